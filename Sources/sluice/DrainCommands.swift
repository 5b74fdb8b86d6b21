import Admin
import ArgumentParser

/// `sluice drain`: no new requests for a server.
struct DrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain",
    abstract: "Have a running gateway send no new requests to a server.",
    discussion: """
      Those under way go to their end. It lasts until undrain, or until the gateway is started anew. \
      \(AdminExit.discussion)
      """)

  @OptionGroup var server: DrainArguments

  func run() throws { try server.change("/api/v1/servers/drain") }
}

/// `sluice undrain`: the server takes its part again.
struct UndrainCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "undrain", abstract: "Have a running gateway send requests to a server again.",
    discussion: AdminExit.discussion)

  @OptionGroup var server: DrainArguments

  func run() throws { try server.change("/api/v1/servers/undrain") }
}

/// What both are told.
struct DrainArguments: ParsableArguments {
  @Argument(
    help: "The server as stats shows it: region/address, or region/name for all its addresses.")
  var server: String

  @Option(help: "Why, for the audit log.")
  var reason: String?

  @OptionGroup var options: AdminOptions

  func change(_ target: String) throws {
    var members = [JSONValue.Member("server", .string(server))]
    if let reason { members.append(.init("reason", .string(reason))) }
    let answer = try options.change(target, .object(members))
    if options.json {
      print(answer.lines)
      return
    }
    let isDrained = answer["drained"]?.bool ?? false
    for server in answer["servers"]?.elements ?? [] {
      let name = server["name"]?.string ?? "?"
      let active = server["active"]?.integer ?? 0
      print(
        isDrained
          ? "\(name) is drained: \(Shown.count(active)) requests are under way there"
          : "\(name) takes requests again")
    }
  }
}
