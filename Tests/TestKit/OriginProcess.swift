import Foundation

/// `sluice origin` as a process, serving CAR files.
public final class OriginProcess {
  public let port: UInt16
  private let folder: TemporaryFolder
  private let options: [String]
  private var child: ChildProcess

  /// - Parameters:
  ///   - names: What is found below `/ipns`, and at hosts of that name.
  ///   - subdomainHosts: Hosts below which each root has a host of its own.
  public init(
    car: [UInt8], workers: Int = 1, names: [(name: String, target: String)] = [],
    subdomainHosts: [String] = []
  ) throws {
    folder = try TemporaryFolder()
    try folder.write(car, to: "content.car")
    options = ["--workers", "\(workers)"] + Self.arguments(names, subdomainHosts)
    (child, port) = try Self.start(in: folder, port: 0, options)
  }

  private static func start(in folder: TemporaryFolder, port: UInt16, _ options: [String]) throws
    -> (ChildProcess, UInt16)
  {
    let errors = "errors-\(UInt64.random(in: 0 ... .max))"
    let child = try ChildProcess(
      Program.path,
      ["origin", "--car", "content.car", "--listen", "127.0.0.1:\(port)"] + options,
      in: folder.path, output: folder.file("output"), errors: folder.file(errors))
    let words = "listens on 127.0.0.1:"
    let isUp = eventually(within: 60) {
      folder.text(of: errors).contains(words) || !child.isRunning
    }
    let log = folder.text(of: errors)
    guard isUp, let place = log.range(of: words),
      let port = UInt16(log[place.upperBound...].prefix { $0.isNumber })
    else { throw TestFailure("the origin does not start: \(log)") }
    return (child, port)
  }

  private static func arguments(
    _ names: [(name: String, target: String)], _ subdomainHosts: [String]
  ) -> [String] {
    names.flatMap { ["--name", "\($0.name)=\($0.target),ttl=1h"] }
      + subdomainHosts.flatMap { ["--subdomain-host", $0] }
  }

  /// Ends it; whoever asks it from then on is refused.
  public func stop() { child.kill() }

  /// Starts it on the same port, after it has ended.
  public func startAgain() throws {
    child.kill()
    (child, _) = try Self.start(in: folder, port: port, options)
  }

  /// Stops it where it is: its connections stay, and nothing comes.
  public func halt() { child.send(SIGSTOP) }

  /// Lets it go on after `halt`.
  public func wake() { child.send(SIGCONT) }
}
