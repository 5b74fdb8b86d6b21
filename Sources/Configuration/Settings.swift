public import Base
public import Router

/// What gateway.conf says, as plain values: the defaults until something else is read.
///
/// `SettingsTable` names each of these for the parser, the messages and the printer; the initial
/// values here are the defaults that it shows.
public struct Settings: Equatable, Sendable {
  public var workers = Workers.auto
  public var listen = [Listen(address: HostPort(loopback: 8080))]
  /// Whose word on a client's address counts; none twice.
  public var trustedProxies: [Network] = []
  /// At least one, no pattern twice.
  public var hosts = [HostTable.Entry(.all)]
  /// No name twice, whatever its case.
  public var headers: [Header] = []
  public var cache = Cache()
  public var regions = [Region(name: "local", servers: [Server(address: HostPort(loopback: 8081))])]
  public var timeouts = Timeouts()
  public var limits = Limits()
  public var admin = Admin()
  public var logs = Logs()

  public init() {}

  /// How many threads serve clients.
  public enum Workers: Equatable, Sendable {
    /// One for each core.
    case auto
    case count(Int)
  }

  /// A socket that clients connect to.
  public struct Listen: Hashable, Sendable {
    /// An address, never a name; port 0 leaves the choice to the system.
    public var address: HostPort
  }

  public struct Cache: Equatable, Sendable {
    /// The folder, after `Settings.read` relative to the working directory or absolute.
    public var path = "var/cache"
    /// Bytes on disk, the index counted in.
    public var maxSize = 10 << 30
    /// Bytes; a power of two.
    public var sliceSize = 1 << 20
    public var maxAge = MaxAge.off
    /// How long the proven absence of content is remembered; zero for not at all.
    public var negativeTTL = Interval.seconds(3_600)
    /// How long a name's last content serves while its record is looked for; zero for not at all.
    public var staleNames = Interval.seconds(86_400)
  }

  /// A field that every answer has, or that none has.
  public struct Header: Hashable, Sendable {
    /// A token, in the spelling that clients get.
    public var name: String
    /// Printable ASCII; nil where the field is removed.
    public var value: String?
  }

  /// How long content stays at most.
  public enum MaxAge: Equatable, Sendable {
    /// As long as there is room.
    case off
    case after(Interval)
  }

  /// Upstream servers near to each other.
  public struct Region: Equatable, Sendable {
    public var name: String
    /// At least one.
    public var servers: [Server]
  }

  /// One upstream server.
  public struct Server: Hashable, Sendable {
    public var address: HostPort
  }

  public struct Timeouts: Equatable, Sendable {
    public var connect = Interval.seconds(10)
    public var firstByte = Interval.seconds(40)
    public var betweenBytes = Interval.seconds(20)
    public var clientHeader = Interval.seconds(10)
    public var clientIdle = Interval.seconds(75)
    public var send = Interval.seconds(60)
  }

  public struct Limits: Equatable, Sendable {
    public var connections = 20_000
    public var headerBytes = 32 << 10
  }

  public struct Admin: Equatable, Sendable {
    /// An address, never a name; port 0 leaves the choice to the system.
    public var address = HostPort(loopback: 9180)
  }

  public struct Logs: Equatable, Sendable {
    public var access = AccessLog()
    public var level = Level.info
  }

  public struct AccessLog: Equatable, Sendable {
    public var target = Target.standardOutput
    public var format = Format.json

    public enum Target: Equatable, Sendable {
      case off, standardOutput
      /// A file, its path as `Cache.path` is.
      case file(String)
    }

    public enum Format: String, CaseIterable, Sendable {
      case json
    }
  }

  public enum Level: String, CaseIterable, Sendable {
    case debug, info, warning, error
  }
}
