import Base
import Configuration
import Gateway
import Logging
import System
import Telemetry

/// Logs and traces, made from settings.
extension Service {
  static func accessLog(_ settings: Settings, _ log: Logger) -> AccessLogWriter {
    var options = AccessLogOptions()
    options.format =
      switch settings.logs.access.format {
      case .json: .json
      case .combined: .combined
      }
    options.sample = settings.logs.access.sample
    options.shortensAddresses = settings.logs.access.shortensAddresses
    return AccessLogWriter(destination(settings.logs.access), options, log: log)
  }

  /// Opens the access log and starts its thread.
  static func start(_ accessLog: AccessLogWriter) throws -> System.Thread {
    do throws(Fault) {
      return try accessLog.start()
    } catch {
      let place = if case .file(let path) = accessLog.destination { " \(path)" } else { "" }
      throw Program.fail("logs.access.path\(place): \(SystemError.text(error.errno))")
    }
  }

  static func setTracing(_ settings: Settings, in options: inout GatewayOptions) {
    options.slowAfter = settings.logs.slow > .zero ? settings.logs.slow : nil
    options.startsTraces = settings.tracing.start
  }

  private static func destination(_ log: Settings.AccessLog) -> AccessLogDestination {
    switch log.target {
    case .off: .off
    case .standardOutput: .standardOutput
    case .file(let path): .file(path: path)
    }
  }
}
