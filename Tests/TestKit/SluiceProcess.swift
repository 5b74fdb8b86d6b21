import Foundation

/// The gateway as a process, with a folder of its own for its settings and its cache.
public final class SluiceProcess {
  /// What differs from one test's gateway.conf to another's.
  public struct Settings: Sendable {
    /// Ports on 127.0.0.1.
    public var upstreams: [UInt16]
    /// Lines of the `regions` section in the place of one region with those.
    public var regions: [String] = []
    /// Sections as they stand in the file.
    public var sections: [String] = []
    public var workers = 2
    public var sliceSize = "1MB"
    public var maxSize = "1GB"
    /// Lines of the `timeouts` section, `client_idle: 300ms` for example.
    public var timeouts: [String] = []
    /// Lines of the `limits` section.
    public var limits: [String] = []
    /// Entries of the `hosts` section, `{ name: dweb.test, subdomains: true }` for example.
    public var hosts: [String] = []
    /// Lines of the `tls` section; with any there is a listener with TLS too.
    public var tls: [String] = []
    /// Lines of the `admin` section beside its address.
    public var admin: [String] = []
    /// 0 lets the system choose.
    public var port: UInt16 = 0
    /// The cache's folder; in the process's own one unless it is absolute.
    public var cachePath = "cache"
    /// How long a proven absence is remembered; nil for the default.
    public var negativeTTL: String?
    /// Lines of the `logs.access` section, and of `logs`.
    public var accessLog: [String] = []
    public var logs: [String] = []

    public init(upstreams: [UInt16] = []) { self.upstreams = upstreams }

    public var text: String {
      var lines = ["workers: \(workers)", "listen:", "  - address: 127.0.0.1:\(port)"]
      if !tls.isEmpty {
        lines += ["  - { address: 127.0.0.1:0, tls: true }", "tls:"] + tls.map { "  " + $0 }
      }
      lines += [
        "cache:", "  path: \(cachePath)", "  max_size: \(maxSize)", "  slice_size: \(sliceSize)",
      ]
      if let negativeTTL { lines += ["  negative_ttl: \(negativeTTL)"] }
      if regions.isEmpty {
        lines += ["regions:", "  test:", "    servers:"]
        lines += upstreams.map { "      - address: 127.0.0.1:\($0)" }
      } else {
        lines += ["regions:"] + regions.map { "  " + $0 }
      }
      lines += sections
      if !timeouts.isEmpty { lines += ["timeouts:"] + timeouts.map { "  " + $0 } }
      if !hosts.isEmpty { lines += ["hosts:"] + hosts.map { "  - " + $0 } }
      if !limits.isEmpty { lines += ["limits:"] + limits.map { "  " + $0 } }
      lines += ["admin:", "  address: 127.0.0.1:0"] + admin.map { "  " + $0 }
      lines += ["logs:", "  access:", "    path: access.log"]
      lines += accessLog.map { "    " + $0 } + logs.map { "  " + $0 }
      return lines.joined(separator: "\n") + "\n"
    }
  }

  public let folder: TemporaryFolder
  public let settings: Settings
  public private(set) var port: UInt16 = 0
  /// The port of the listener with TLS; 0 where there is none.
  public private(set) var securePort: UInt16 = 0
  public private(set) var adminPort: UInt16 = 0
  private var child: ChildProcess
  private var run = 0

  public convenience init(upstream: UInt16) throws {
    try self.init(Settings(upstreams: [upstream]))
  }

  public init(_ settings: Settings) throws {
    Program.raiseDescriptors()
    folder = try TemporaryFolder()
    self.settings = settings
    try folder.write(settings.text, to: "gateway.conf")
    child = try Self.start(in: folder, run: run)
    try findPorts()
  }

  deinit {
    guard !child.isRunning, case .killed(let signal) = child.ending, signal != SIGKILL else {
      return
    }
    FileHandle.standardError.write(Data("the gateway died by signal \(signal): \(errors)\n".utf8))
  }

  private static func start(in folder: TemporaryFolder, run: Int) throws -> ChildProcess {
    try ChildProcess(
      Program.path, ["serve", "--config", "gateway.conf"], in: folder.path,
      output: folder.file("output-\(run)"), errors: folder.file("errors-\(run)"))
  }

  private func findPorts() throws {
    let started = eventually(within: 60) { errors.contains(" started ") || !child.isRunning }
    guard started, child.isRunning, let port = address(after: " listening address=127.0.0.1:"),
      let adminPort = address(after: " serving metrics address=127.0.0.1:")
    else { throw TestFailure("the gateway does not start: \(errors)") }
    (self.port, self.adminPort) = (port, adminPort)
    let words = " listening address=127.0.0.1:"
    if !settings.tls.isEmpty, let last = errors.range(of: words, options: .backwards) {
      securePort = UInt16(errors[last.upperBound...].prefix { $0.isNumber }) ?? 0
    }
  }

  private func address(after words: String) -> UInt16? {
    errors.range(of: words).flatMap { UInt16(errors[$0.upperBound...].prefix { $0.isNumber }) }
  }

  public var pid: pid_t { child.pid }
  public var isRunning: Bool { child.isRunning }
  /// How the last run ended; nil as long as it lives.
  public var ending: ChildProcess.Ending? { isRunning ? nil : child.ending }
  /// What this run has written to its standard error.
  public var errors: String { folder.text(of: "errors-\(run)") }
  public var accessLog: String { folder.text(of: "access.log") }

  // MARK: Its size

  /// The most memory that it has had at once, in bytes, files and code included (VmHWM).
  public func peakMemory() throws -> Int {
    let status = try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8)
    guard let place = status.range(of: "VmHWM:"),
      let kilobytes = Int(
        status[place.upperBound...].drop { $0 == " " || $0 == "\t" }
          .prefix { $0.isNumber })
    else { throw TestFailure("no VmHWM of \(pid)") }
    return kilobytes << 10
  }

  /// How long each of its workers' threads has run, in nanoseconds.
  public func workerTimes() throws -> [Int] {
    let folder = "/proc/\(pid)/task"
    let tasks = try FileManager.default.contentsOfDirectory(atPath: folder)
    return try tasks.compactMap { task in
      let name = try String(contentsOfFile: "\(folder)/\(task)/comm", encoding: .utf8)
      guard name.hasPrefix("worker-") else { return nil }
      let times = try String(contentsOfFile: "\(folder)/\(task)/schedstat", encoding: .utf8)
      return times.split(separator: " ").first.flatMap { Int($0) }
    }
  }

  // MARK: Its life

  /// Asks it to stop in order.
  public func askToStop() { child.send(SIGTERM) }

  /// Waits for its end, after `askToStop`.
  public func waitForEnd(seconds: Double = 60) throws -> ChildProcess.Ending {
    try child.wait(seconds: seconds)
  }

  /// Stops it in order.
  @discardableResult
  public func stop() throws -> ChildProcess.Ending {
    askToStop()
    return try waitForEnd()
  }

  /// Ends it as a power cut would end the process.
  public func kill() { child.kill() }

  /// Ends it by a signal that a fault of its own would bring.
  public func crash(by signal: Int32) throws -> ChildProcess.Ending {
    child.send(signal)
    return try waitForEnd()
  }

  /// Stops all of its threads where they are, and waits until they stand: those within a system call
  /// end it first.
  public func halt() throws {
    child.send(SIGSTOP)
    let tasks = "/proc/\(pid)/task"
    let stands = eventually {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
      return !names.isEmpty
        && names.allSatisfy { name in
          guard let stat = try? String(contentsOfFile: "\(tasks)/\(name)/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
          else { return true }
          return stat[end...].dropFirst(2).first == "T"
        }
    }
    if !stands { throw TestFailure("the gateway does not stop") }
  }

  /// Starts it again on the same folder, after it has ended.
  public func startAgain(_ changed: Settings? = nil) throws {
    child.kill()
    if let changed { try folder.write(changed.text, to: "gateway.conf") }
    run += 1
    child = try Self.start(in: folder, run: run)
    try findPorts()
  }

  // MARK: Talking to it

  public func connect() throws -> RawClient { try RawClient(port: port) }

  /// One request on a connection of its own.
  public func request(
    _ path: String, method: String = "GET", _ fields: [(String, String)] = []
  ) throws -> Response {
    try connect().request(path, method: method, fields)
  }

  /// The numbers of /metrics, by name and labels as they stand there.
  public func metrics() throws -> [String: Double] {
    let response = try RawClient(port: adminPort).request("/metrics")
    guard response.status == 200 else { throw TestFailure("/metrics: \(response.status)") }
    return Metrics.parse(response.text)
  }

  public func metric(_ name: String) throws -> Double {
    guard let value = try metrics()[name] else { throw TestFailure("no metric \(name)") }
    return value
  }

  /// Waits until everything that has been fetched is committed.
  public func settle() throws {
    let isDone = try eventually {
      let numbers = try metrics()
      return numbers["sluice_fills_in_flight"] == 0 && numbers["sluice_fills_active"] == 0
        && numbers["sluice_cache_queued_bytes"] == 0
    }
    guard isDone else {
      let numbers = try metrics()
      let names = ["sluice_fills_in_flight", "sluice_fills_active", "sluice_cache_queued_bytes"]
      let left = names.map { "\($0) \(numbers[$0] ?? -1)" }.joined(separator: ", ")
      throw TestFailure("fills do not end: \(left)")
    }
  }
}

/// The text format of Prometheus.
public enum Metrics {
  /// Samples by name and labels; lines that are none are left out.
  public static func parse(_ text: String) -> [String: Double] {
    var values: [String: Double] = [:]
    for line in text.split(separator: "\n") where !line.hasPrefix("#") {
      guard let space = line.lastIndex(of: " "),
        let value = Double(line[line.index(after: space)...])
      else { continue }
      values[String(line[..<space])] = value
    }
    return values
  }

  /// Lines that the format does not allow.
  public static func malformed(_ text: String) -> [String] {
    let sample = /^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? -?[0-9.e+-]+$/
    let comment =
      /^# (HELP [a-zA-Z_:][a-zA-Z0-9_:]* .+|TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge|histogram))$/
    return text.split(separator: "\n").map(String.init)
      .filter { $0.wholeMatch(of: sample) == nil && $0.wholeMatch(of: comment) == nil }
  }
}
