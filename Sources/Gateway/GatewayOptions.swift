public import Admission
public import Base
public import Router
public import Upstreams

/// What an operator may set about the gateway itself.
public struct GatewayOptions: Sendable {
  public var upstream = UpstreamOptions()
  /// Bytes of memory that slices on their way to the disk may take, of all fills together; slices
  /// that are passed on may take half as much beside them.
  ///
  /// Enough to keep 200 fetches and the cache writer busy, small beside a machine's memory. At least
  /// four slices.
  public var sliceMemory = 256 << 20

  /// Which hosts are gateways, and of which kind.
  public var hosts = HostTable.standard
  /// Whose word about clients and what they asked counts.
  public var trustedProxies = NetworkSet()
  /// Which region a client belongs to.
  public var places = ClientPlaces()
  /// Who may use the cluster's API, and where; nil where nobody may.
  public var cluster: ClusterAccess?
  /// What may not be given; nil where there is no such list.
  public var denials: Denials?
  /// Who may see `/cache-stats`; nobody where there is none.
  public var cacheStats = NetworkSet()
  /// How long past its time a name's content may be given where no upstream answers.
  public var staleNames = Interval.seconds(86_400)
  /// How long it is remembered that nothing is at a path, where that is proven; zero has none proven.
  public var negativeTTL = Interval.seconds(3_600)

  /// After how long without an answer a search for content counts as a slow one, which most often nobody
  /// can end.
  public var searchPatience = Interval.seconds(5)
  /// How many slow searches there may be at a worker: others that are slow are ended, and what has failed
  /// before is not looked for.
  ///
  /// Far more than living content ever waits for, far fewer than a worker has descriptors.
  public var slowSearches = 128

  /// What clients may ask for of content; nil for all they like.
  public var rateLimits: RateLimiter?
  /// What they may ask for of the cluster's API.
  public var clusterRateLimits: RateLimiter?

  /// The port that clients without TLS are sent to, by https; nil leaves them where they are.
  public var securePort: UInt16?
  /// The folder below which challenges are answered from (ACME's `http-01` in webroot mode); nil for none.
  public var webroot: String?

  /// Requests that take as long are told of in the program's log; nil for none.
  public var slowAfter: Interval?
  /// Whether a request that belongs to no trace begins one.
  public var startsTraces = false

  public init() {}

  /// Bodies below this many bytes follow their head in one send, by copy.
  static let copiedBytes = 16 * 1024
  /// What the disk threads read ahead of a sendfile that would wait.
  static let readAheadBytes = 512 * 1024
  /// What is read around a small body that shares its pages with others.
  static let packedBlockBytes = 16 * 1024
  /// A download nobody waits for any more is finished if so few bytes are missing.
  static let worthFinishing: Int64 = 4 << 20
  /// How often jobs are offered again to a cache writer whose queue was full.
  static let writerPause = Interval.milliseconds(5)
  /// How long jobs are offered before the answer goes on without being kept.
  static let writerPatience = Interval.seconds(1)
  /// Slices that may wait for such a writer before a fetch pauses.
  static let waitingJobs = 8
  /// How often it is looked for memory for the fills that wait for some.
  static let memoryPause = Interval.milliseconds(5)
  /// How long a fill waits for memory before its readers go on without it, or it goes on unkept.
  ///
  /// Longer than a herd of thousands waits for the disk; what takes longer are upstreams that trickle.
  static let memoryPatience = Interval.seconds(10)
  /// How much of an object is thrown away for its rest, from a server that knows no ranges.
  static let skippedBytes: Int64 = 32 << 20
  /// Slices looked up in the index to find how far a fetch must go.
  static let runSlices = 256
  /// Larger bodies are not held in memory for a check against their CID.
  ///
  /// Blocks end at 2 MiB.
  static let verifiedBytes: Int64 = 8 << 20
  /// Bodies up to this size are held back until they are checked; then a bad one costs its client time and
  /// no more.
  ///
  /// A block: it comes in milliseconds, and gateways refuse larger ones.
  static let heldBytes: Int64 = 2 << 20
  /// Bytes of structure that one CAR's check remembers: that of some 16 GiB of files.
  ///
  /// More is given on unchecked and unkept, since each client could ask for as much.
  static let checkedStructure = 4 << 20
  /// CARs up to this size are kept: until their end shows that they are whole they wait in memory.
  static let collectedBytes = 32 << 20
  /// Proofs of absence that a worker asks for at once: they must not take the place of content, and
  /// hold memory.
  static let proofsAtOnce = 8
  /// The longest such proof: the blocks along one path, which are some KiB, and 2 MiB each at most.
  static let proofBytes = 4 << 20
  /// How often an answer begins anew after a fill that was given up or lost what it had.
  static let newBeginnings = 3
  /// Exchanges kept for the next requests.
  static let pooledExchanges = 256
}
