public import Base

extension Settings {
  public struct Logs: Equatable, Sendable {
    public var access = AccessLog()
    public var level = Level.info
    /// Requests that take as long are told of; zero for none.
    public var slow = Interval.zero
  }

  public struct AccessLog: Equatable, Sendable {
    public var target = Target.standardOutput
    public var format = Format.json
    /// Of so many hits that went well one is logged.
    public var sample = 1
    /// Whether clients' addresses lose their last part.
    public var shortensAddresses = false

    public enum Target: Equatable, Sendable {
      case off, standardOutput
      /// A file, its path as `Cache.path` is.
      case file(String)
    }

    public enum Format: String, CaseIterable, Sendable {
      case json, combined
    }
  }

  public enum Level: String, CaseIterable, Sendable {
    case debug, info, warning, error
  }

  /// W3C Trace Context.
  public struct Tracing: Equatable, Sendable {
    /// Whether requests that belong to no trace begin one.
    public var start = false
  }
}
