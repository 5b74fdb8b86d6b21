import Admission
import ArgumentParser
import Base
import Cache
import Configuration
import Gateway
import Origin
import System
import TLS
import Upstreams

/// `sluice serve`: the gateway itself, until it is told to stop.
struct Serve: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run the gateway.",
    discussion: """
      SIGTERM and SIGINT stop it in order: no new connections, answers under way go to their end. A \
      second one ends it at once. SIGUSR1 reopens the access log.
      """)

  @Option(name: .shortAndLong, help: "The settings.")
  var config = "gateway.conf"

  func run() throws {
    let settings = try SettingsLoader.load(config)
    // First of all, so that every thread inherits the mask.
    let signals = try Program.signals()
    let service = try Service.start(settings)
    service.runUntilStopped(signals)
  }
}

/// `sluice check`: whether the settings are right, without starting anything.
struct Check: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Check a settings file and say what is wrong with it, by line and column.")

  @Option(name: .shortAndLong, help: "The settings.")
  var config = "gateway.conf"

  @Flag(help: "Print all settings as they are in force.")
  var print = false

  func run() throws {
    let settings = try SettingsLoader.load(config)
    let warnings = [
      Self.warning(settings.cache, memory: MemoryLimit.bytes), Service.shortage(settings.cache),
      Service.memoryWarning(settings.rateLimits, memory: MemoryLimit.bytes),
      Self.warning(settings.geo),
      Self.warning(settings.tls), Self.warning(settings.denylist), Self.warning(settings.admin),
    ].compactMap { $0 }
    for warning in warnings { Program.tell("\(config): warning: \(warning)") }
    if print {
      Swift.print(settings.printed)
    } else {
      Swift.print("\(config): \(warnings.isEmpty ? "all is well" : "can be used")")
    }
  }

  /// A database that cannot be used: clients then go where all others do.
  private static func warning(_ geo: Settings.Geo) -> String? {
    guard let path = geo.database else { return nil }
    do throws(PlaceDatabase.Unusable) {
      _ = try PlaceDatabase.table(path: path, PlaceRules())
      return nil
    } catch {
      return "geo.maxmind.database: \(path) cannot be used: \(error.sentence)"
    }
  }

  /// Certificates without which `serve` does not start.
  private static func warning(_ tls: Settings.TLS) -> String? {
    guard !tls.certificates.isEmpty else { return nil }
    do throws(TLSError) {
      let wall = Clock.wallSeconds
      let store = try CertificateStore(Service.certificateOptions(tls), now: 0, wall: wall)
      let ended = store.lookAtStaples(at: wall)
      return ended.isEmpty
        ? nil
        : "tls.certificates: OCSP answers that have ended, and are not stapled: "
          + ended.joined(separator: ", ")
    } catch {
      return "tls.certificates: they cannot be used: \(error.sentence)"
    }
  }

  /// Denylists without which `serve` does not start.
  private static func warning(_ denylist: Settings.Denylist) -> String? {
    var complaints: [String] = []
    do throws(DenylistUnusable) {
      _ = try Service.denylist(denylist.files) { event in
        guard case .invalid(let path, let lines) = event else { return }
        complaints += lines.map { "\(path):\($0.line): \($0.error.sentence)" }
      }
      return complaints.isEmpty
        ? nil : "denylist.files: lines that are no rules: " + complaints.joined(separator: "; ")
    } catch {
      return "denylist.files: they cannot be used: \(error.sentence)"
    }
  }

  /// A token without which `serve` does not start.
  private static func warning(_ admin: Settings.Admin) -> String? {
    do {
      _ = try Service.token(admin)
      return nil
    } catch {
      return "\(error)"
    }
  }

  /// What is allowed and seldom meant: an index that content leaves no memory for.
  private static func warning(_ cache: Settings.Cache, memory: Int) -> String? {
    let index = CacheOptions(path: cache.path, maxSize: cache.maxSize).indexSize
    guard index > memory / 4 else { return nil }
    return """
      cache.max_size: the index may grow to \(Program.gibibytes(index)), more than a quarter of the \
      \(Program.gibibytes(memory)) of memory here; look-ups wait for the disk where it is not in memory
      """
  }
}

/// What the commands have in common.
enum Program {
  static func signals() throws -> Signals {
    do throws(Fault) {
      return try Signals()
    } catch {
      throw ValidationError("no signals can be received: \(SystemError.text(error.errno))")
    }
  }

  /// Ends the command with a sentence on the standard error and status 1.
  static func fail(_ sentence: String) -> any Error {
    Failure(sentence: sentence)
  }

  /// An address from its text, `127.0.0.1:8081` or `[::1]:8081`.
  static func address(_ text: String) throws -> SocketAddress {
    guard let place = HostPort(text) else {
      throw ValidationError("\(text) is not an address; write 127.0.0.1:8081 or [::1]:8081")
    }
    return try Service.socketAddress(place)
  }

  /// Makes and starts an origin, or throws with a sentence.
  static func origin(
    _ make: () throws(OriginServer.StartError) -> OriginServer
  ) throws -> OriginServer {
    let origin: OriginServer
    do throws(OriginServer.StartError) {
      origin = try make()
    } catch {
      throw fail("origin: \(error.sentence)")
    }
    do throws(Fault) {
      try origin.start()
    } catch {
      throw fail("origin: cannot start: \(SystemError.text(error.errno))")
    }
    return origin
  }

  /// Writes a line to the standard output at once, also where that is a pipe.
  static func say(_ line: String) {
    do throws(Fault) {
      let stream = try LogFile.standardOutput()
      try stream.write(Array("\(line)\n".utf8).rawBytes)
    } catch {}
  }

  /// Writes a line to the standard error; lost where that is closed.
  static func tell(_ line: String) {
    do throws(Fault) {
      let stream = try LogFile.standardError()
      try stream.write(Array("\(line)\n".utf8).rawBytes)
    } catch {}
  }

  /// A size as sentences have it, `1.5 GiB`.
  static func gibibytes(_ bytes: Int) -> String {
    let tenths = (bytes + (1 << 30) / 20) / ((1 << 30) / 10)
    return "\(tenths / 10).\(tenths % 10) GiB"
  }

  private struct Failure: Error, CustomStringConvertible {
    let sentence: String
    var description: String { sentence }
  }
}
