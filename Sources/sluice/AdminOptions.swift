import Admin
import ArgumentParser
import Base
import Configuration
import HTTP
import System

/// How the commands that talk to a running gateway end, beside 0 for success.
enum AdminExit {
  /// The gateway refused, or could not do all of it.
  static let failure = ExitCode(1)
  /// No gateway answers there (EX_UNAVAILABLE of sysexits.h).
  static let unavailable = ExitCode(69)
  /// The token is missing or wrong, or this client's network may not (EX_NOPERM).
  static let noPermission = ExitCode(77)

  static let discussion = """
    Exit status: 0 if it was done, 1 if the gateway refused or could not do all of it, 64 for a mistake in \
    the command, 69 if no gateway answers, 77 if the token is missing or wrong or this client may not.
    """
}

/// Where the gateway is that a command is for, and how its answer is shown.
struct AdminOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, help: "The settings, which say where the admin address and token are.")
  var config = "gateway.conf"

  @Option(help: "The admin address, in the place of what the settings say: 127.0.0.1:9180.")
  var admin: String?

  @Option(
    help: "The file with the token, in the place of the settings'; changes by --admin need it.")
  var tokenFile: String?

  @Flag(help: "Print the gateway's answer as JSON, for scripts.")
  var json = false

  /// Asks, and gives the body of an answer that says yes.
  func ask(_ request: AdminClient.Request) throws -> JSONValue {
    try body(of: answer(to: request))
  }

  /// Asks, and gives whatever is answered.
  func answer(to request: AdminClient.Request) throws -> AdminClient.Answer {
    let (place, addresses) = try addresses()
    var trouble = AdminClient.Trouble.unreachable(0)
    for address in addresses {
      let answer: AdminClient.Answer
      do throws(AdminClient.Trouble) {
        answer = try AdminClient(address: address).ask(request)
      } catch {
        trouble = error
        // Only what was never sent may be sent again.
        if case .unreachable = error { continue }
        break
      }
      return answer
    }
    throw Self.fail(AdminExit.unavailable, Self.sentence(trouble, place))
  }

  /// The same for a change, with the token.
  func change(
    _ target: String, _ body: JSONValue, patience: Interval = .seconds(60)
  ) throws -> JSONValue {
    try self.body(of: answer(toChange: target, body, patience: patience))
  }

  /// The same, with whatever is answered.
  func answer(
    toChange target: String, _ body: JSONValue, patience: Interval
  ) throws -> AdminClient.Answer {
    try answer(
      to: AdminClient.Request(
        method: .post, target: target, token: try token(), body: body, patience: patience))
  }

  static func fail(_ code: ExitCode, _ sentence: String) -> ExitCode {
    Program.tell("Error: \(sentence)")
    return code
  }

  private static func sentence(_ trouble: AdminClient.Trouble, _ place: String) -> String {
    switch trouble {
    case .unreachable(111):
      "nothing listens on \(place): is sluice running? (admin.address in gateway.conf, or --admin)"
    case .unreachable(let error):
      "\(place) cannot be reached: \(SystemError.text(error)) (admin.address in gateway.conf, or --admin)"
    case .timeout: "\(place) does not answer in time"
    case .broken: "what answers on \(place) is not the admin address of a sluice of this version"
    }
  }

  /// What a good answer says; throws with what a bad one says.
  private func body(of answer: AdminClient.Answer) throws -> JSONValue {
    if (200..<300).contains(answer.status) { return answer.body }
    if json { print(answer.body.lines) }
    throw Self.refusal(answer)
  }

  /// Tells what a bad answer says; the exit status for it.
  static func refusal(_ answer: AdminClient.Answer) -> ExitCode {
    var sentence = answer.body["error"]?.string ?? "status \(answer.status)"
    if let hint = answer.body["hint"]?.string { sentence += " (\(hint))" }
    let isForbidden = answer.status == 401 || answer.status == 403
    return fail(isForbidden ? AdminExit.noPermission : AdminExit.failure, sentence)
  }

  // MARK: Where

  private func addresses() throws -> (place: String, [SocketAddress]) {
    if let admin {
      guard let place = HostPort(admin), place.port > 0 else {
        throw ValidationError("--admin \(admin) is no address; write 127.0.0.1:9180 or [::1]:9180")
      }
      switch SocketAddress.resolve(host: place.host, port: place.port) {
      case .success(let addresses) where !addresses.isEmpty: return ("\(place)", addresses)
      case .success: throw Self.fail(AdminExit.unavailable, "\(place) has no address")
      case .failure(let error):
        throw Self.fail(AdminExit.unavailable, "\(place) has no address: \(error.sentence)")
      }
    }
    let place = try settings().admin.address
    guard place.port > 0 else {
      throw ValidationError(
        "\(config): admin.address has port 0, which the system chooses at the start: give --admin")
    }
    // Where a gateway listens on all addresses, it does on the loopback.
    let host = place.host == "0.0.0.0" ? "127.0.0.1" : place.host == "::" ? "::1" : place.host
    guard let address = SocketAddress(host: host, port: place.port) else {
      throw Self.fail(AdminExit.unavailable, "\(place) is no address")
    }
    return (address.description, [address])
  }

  private func settings() throws -> Settings {
    guard Folder.exists(config) else {
      throw Self.fail(
        AdminExit.failure,
        "\(config): no such file; --config names the settings, or --admin the address of a gateway")
    }
    return try SettingsLoader.load(config)
  }

  private func token() throws -> [UInt8] {
    // What the settings name is the token of their own gateway, and goes in clear text: not to another one.
    if admin != nil, tokenFile == nil {
      throw Self.fail(
        AdminExit.noPermission,
        "changes by --admin need --token-file: the token in \(config) is that of its own gateway")
    }
    let path = try tokenFile ?? (Folder.exists(config) ? settings().admin.tokenFile : nil)
    guard let path else {
      throw Self.fail(
        AdminExit.noPermission,
        "changes need the gateway's token: admin.token_file in \(config), or --token-file")
    }
    do throws(AdminToken.Unusable) {
      return try AdminToken(path: path).current()
    } catch {
      throw Self.fail(AdminExit.noPermission, "the token cannot be used: \(error.sentence)")
    }
  }
}
