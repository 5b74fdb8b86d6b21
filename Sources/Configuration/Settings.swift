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
  public var tls = TLS()
  public var redirect = Redirect()
  public var cache = Cache()
  public var regions = [
    Region(name: "local", servers: [Server(address: ServerAddress(HostPort(loopback: 8081)))])
  ]
  /// Who is asked when no region can answer.
  public var lastResort: ServerAddress?
  public var health = Health()
  public var geo = Geo()
  public var timeouts = Timeouts()
  public var clusterAPI = ClusterAPI()
  public var limits = Limits()
  /// No name twice; see `checkRateLimits`.
  public var rateLimits: [RateLimit] = []
  public var denylist = Denylist()
  public var admin = Admin()
  public var cacheStats = CacheStats()
  public var logs = Logs()
  public var tracing = Tracing()

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
    /// Whether clients speak TLS there.
    public var isSecure = false
    /// Whether connections begin with a proxy's word on the client.
    public var hasProxyHeader = false
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
    /// At least one, no address twice.
    public var servers: [Server]
    public var next = Next.all

    /// Where requests go that the region cannot answer.
    public enum Next: Equatable, Sendable {
      /// To all other regions, in the file's order.
      case all
      case regions([String])
    }
  }

  /// One upstream server.
  public struct Server: Hashable, Sendable {
    public var address: ServerAddress
    /// Its part of the requests beside the others', from 1.
    public var weight = 1
    /// Whether it is asked only where no other of its region is well.
    public var isBackup = false
    /// Requests at a time; 0 for any number.
    public var maxConnections = 0
    /// Requests that may wait for one of those to end.
    public var maxWaiting = 100
  }

  public struct Health: Equatable, Sendable {
    /// Failures within `failTimeout` that take a server down; 0 for never.
    public var maxFails = 2
    public var failTimeout = Interval.seconds(10)
    public var slowStart = Interval.seconds(10)
    public var probe = Probe()
  }

  public struct Probe: Equatable, Sendable {
    /// The request target.
    public var path = "/ipfs/bafkqaaa?format=raw"
    /// Zero for no probes.
    public var interval = Interval.zero
    public var timeout = Interval.seconds(2)
    public var rise = 2
    public var fall = 3
  }

  /// Which region clients belong to.
  public struct Geo: Equatable, Sendable {
    /// The region's name; nil for the first one.
    public var home: String?
    /// The name of the field in which trusted proxies say it.
    public var header: String?
    public var networks: [Networks] = []
    /// The path of a MaxMind database, as `Cache.path` is.
    public var database: String?
    /// By ISO 3166-1 codes in upper case, none twice.
    public var countries: [Rule] = []
    /// By the codes of continents, none twice.
    public var continents: [Rule] = []

    /// The networks of one region.
    public struct Networks: Equatable, Sendable {
      public var region: String
      public var networks: [Network]
    }

    /// The region of a country or of a continent.
    public struct Rule: Equatable, Sendable {
      public var code: String
      public var region: String
    }
  }

  public struct Timeouts: Equatable, Sendable {
    public var connect = Interval.seconds(10)
    public var firstByte = Interval.seconds(40)
    public var betweenBytes = Interval.seconds(20)
    public var allTries = Interval.seconds(90)
    public var clientHeader = Interval.seconds(10)
    public var clientIdle = Interval.seconds(75)
    public var clientBody = Interval.seconds(60)
    public var send = Interval.seconds(60)
  }

  /// The cluster's API, given on to those who may use it.
  public struct ClusterAPI: Equatable, Sendable {
    /// A path with a slash at both ends.
    public var prefix = "/cluster/"
    /// None where the API is not given on; no address twice.
    public var servers: [Server] = []
    /// Clients who may use it; none twice, at least one where there are servers.
    public var allow: [Network] = []
  }

  public struct Limits: Equatable, Sendable {
    public var connections = 20_000
    /// 0 for any number.
    public var connectionsPerClient = 0
    /// Bytes in a time; nil for any pace.
    public var minSendRate: Rate?
    public var headerBytes = 32 << 10
    public var http2Streams = 100
  }
}
