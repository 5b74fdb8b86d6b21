import Admission
import Base
import Configuration
import Gateway
import Logging
import System

/// The denylist, made from settings.
extension Service {
  /// Reads the files; nil where there are none.
  static func denylist(_ settings: Settings, _ log: Logger) throws -> DenylistWatch? {
    guard !settings.denylist.files.isEmpty else { return nil }
    do throws(DenylistUnusable) {
      return try denylist(settings.denylist.files) { tell($0, log) }
    } catch {
      throw Program.fail("denylist.files: \(error.sentence)")
    }
  }

  /// Reads files as `serve` would.
  static func denylist(
    _ files: [String], tell: @escaping (DenylistEvent) -> Void
  ) throws(DenylistUnusable) -> DenylistWatch {
    try DenylistWatch(
      paths: files,
      readHeader: { bytes throws(DenylistUnusable) in
        do throws(DenylistFields.Unusable) {
          let fields = try DenylistFields.read(String(decoding: bytes, as: UTF8.self))
          let status = fields.hints[DenyHints.status] ?? ""
          return DenylistHeader(
            name: fields.name, isLegal: DenyHints.isLegal(status: status) ?? false)
        } catch {
          throw DenylistUnusable(error.sentence)
        }
      }, tell: tell)
  }

  private static func tell(_ event: DenylistEvent, _ log: Logger) {
    switch event {
    case .read(let path, let rules, let invalid):
      log.info(
        "a denylist is in use",
        metadata: [
          "path": .string(path), "rules": .stringConvertible(rules),
          "invalid": .stringConvertible(invalid),
        ])
    case .appended(let path, let rules):
      log.info(
        "a denylist has grown",
        metadata: ["path": .string(path), "rules": .stringConvertible(rules)])
    case .invalid(let path, let complaints):
      for complaint in complaints {
        log.warning(
          "a line of a denylist is no rule and is passed over",
          metadata: [
            "at": .string("\(path):\(complaint.line)"), "why": .string(complaint.error.sentence),
          ])
      }
    case .unusable(let path, let why):
      log.error(
        "a denylist cannot be used: the rules that it had stay",
        metadata: ["path": .string(path), "why": .string(why)])
    case .usable(let path):
      log.notice("a denylist can be used again", metadata: ["path": .string(path)])
    }
  }
}

/// The thread that looks at the denylist's files: alone, since whatever else is looked at may take longer than a rule may
/// wait.
final class DenylistThread: Sendable {
  private let isStopping = Monitor(false)

  /// Unchecked: touched by the main thread before the other one starts, and from then on only there.
  private final class Task: @unchecked Sendable {
    let watch: DenylistWatch
    let gateway: Gateway

    init(_ watch: DenylistWatch, _ gateway: Gateway) {
      self.watch = watch
      self.gateway = gateway
    }
  }

  func start(
    _ watch: sending DenylistWatch, _ gateway: Gateway
  ) throws(Fault) -> System.Thread {
    watch.changed = { gateway.take($0, at: Clock.now) }
    let task = Task(watch, gateway)
    return try Thread(name: "denylist") { [isStopping] in
      task.gateway.sweepDenied(at: Clock.now)
      while true {
        let due = Clock.now + DenylistWatch.pause
        let isOver: Bool? = isStopping.wait(until: due) { $0 ? true : nil }
        if isOver != nil { return }
        task.watch.look()
        task.gateway.sweepIfDue(at: Clock.now)
      }
    }
  }

  func stop() {
    isStopping.with { $0 = true }
    isStopping.broadcast()
  }
}
