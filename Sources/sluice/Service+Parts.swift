import Admin
import Base
import Cache
import Configuration
import EventLoop
import Gateway
import HTTP1
import Logging
import Router
import Server
import System
import Telemetry
import Upstreams

/// The parts of a service, made from settings; each failure is a sentence that names the setting.
extension Service {
  static func logger(_ level: Settings.Level) throws -> Logger {
    let threshold: Logger.Level =
      switch level {
      case .debug: .debug
      case .info: .info
      case .warning: .warning
      case .error: .error
      }
    do throws(Fault) {
      return try OperationalLog.logger(level: threshold) {
        let (seconds, milliseconds) = Clock.wall()
        return WallTime(seconds: seconds, milliseconds: milliseconds)
      }
    } catch {
      throw Program.fail("the standard error cannot be written to")
    }
  }

  static func openStorage(_ cache: Settings.Cache, _ log: Logger) throws -> DiskStorage {
    var options = CacheOptions(path: cache.path, maxSize: cache.maxSize)
    options.sliceSize = cache.sliceSize
    if case .after(let age) = cache.maxAge { options.maxAge = age }
    if let shortage = shortage(cache) { log.warning("\(shortage)") }
    do throws(Fault) {
      try CrashMarks.leave(at: options.crashMarks, for: CacheOptions.crashTime)
      let storage = try DiskStorage(options, wallSeconds: Clock.wallSeconds)
      if let aside = storage.setAside { tell(.setAside(aside), options.path, log) }
      let path = options.path
      storage.onEvent { tell($0, path, log) }
      return storage
    } catch  where error.errno == SystemError.again {
      throw Program.fail("cache.path \(cache.path): another process uses this cache")
    } catch {
      throw Program.fail("cache.path \(cache.path): \(SystemError.text(error.errno))")
    }
  }

  /// A sentence where the cache may become larger than its disk has room for; nil where all is well.
  static func shortage(_ cache: Settings.Cache) -> String? {
    let options = CacheOptions(path: cache.path, maxSize: cache.maxSize)
    guard let room = options.roomOnDisk, room < cache.maxSize else { return nil }
    return """
      cache.max_size: \(Shown.bytes(cache.maxSize)), and its disk has room for \
      \(Shown.bytes(room)), \(cache.path) included; the index alone may grow to \
      \(Shown.bytes(options.indexSize))
      """
  }

  private static func tell(_ event: StorageEvent, _ path: String, _ log: Logger) {
    func why(_ fault: Fault) -> Logger.Metadata {
      [
        "path": .string(path), "fault": .string(fault.name),
        "why": .string(SystemError.text(fault.errno)),
      ]
    }
    switch event {
    case .setAside(let aside):
      log.warning(
        "the index could not be used and was set aside; the cache begins anew",
        metadata: ["why": .string(aside.why.rawValue), "name": .string(aside.name)])
    case .closed(let fault):
      log.error("the index cannot be used: the cache is opened anew", metadata: why(fault))
    case .vanished:
      log.error("the cache's folder is not where it was: the cache is opened anew")
    case .unopened(let fault):
      log.error(
        "the cache cannot be opened: answers are given without being kept; tried again all along",
        metadata: why(fault))
    case .reopened: log.notice("the cache is in use again")
    case .full(let free, let isKeeping):
      var room: Logger.Metadata = ["path": .string(path)]
      room["free"] = free.map { .string(Shown.bytes($0)) }
      log.warning(
        isKeeping
          ? "the disk is full: older content makes room"
          : "the disk is full: answers are given without being kept", metadata: room)
    case .roomy:
      log.notice("the disk has room again", metadata: ["path": .string(path)])
    case .unreserved(let shortage):
      var room: Logger.Metadata = ["needed": .string(Shown.bytes(shortage.needed))]
      room["free"] = shortage.free.map { .string(Shown.bytes($0)) }
      log.warning(
        "the disk has no room set aside for the index: it may refuse it some day", metadata: room)
    }
  }

  /// Whose word on a client counts.
  static func trustedProxies(_ settings: Settings) -> NetworkSet {
    NetworkSet(settings.trustedProxies)
  }

  static func hosts(_ settings: Settings) -> HostTable { HostTable(settings.hosts) }

  static func headEdits(_ settings: Settings) -> HeadEdits {
    HeadEdits(settings.headers.map { (name: $0.name, value: $0.value) })
  }

  /// The client connections that the system's limit on descriptors leaves room for.
  static func connections(_ settings: Settings, _ descriptors: Int, _ log: Logger) -> Int {
    let room = max(16, descriptors - otherDescriptors)
    if settings.limits.connections > room {
      log.notice(
        "the system allows fewer descriptors than limits.connections wants; raise LimitNOFILE",
        metadata: ["connections": .stringConvertible(room)])
    }
    return min(settings.limits.connections, room)
  }

  /// Upstream connections, segments, logs.
  private static let otherDescriptors = 2_048

  static func socketAddress(_ place: HostPort) throws -> SocketAddress {
    guard let address = SocketAddress(host: place.host, port: place.port) else {
      throw Program.fail("\(place) is not an address to listen on")
    }
    return address
  }
}

extension Settings.Workers {
  /// How many threads that is on this machine.
  var number: Int {
    switch self {
    case .auto: ProcessLimits.cores
    case .count(let count): count
    }
  }
}
