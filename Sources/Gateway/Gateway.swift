internal import Admission
public import Base
public import Cache
public import EventLoop
public import HTTP
public import HTTP1
public import Logging
internal import Router
public import Server
internal import Synchronization
internal import System
public import Telemetry
public import Upstreams

/// What all workers of the gateway share: the cache, the fills in flight, the upstreams.
public final class Gateway: Sendable {
  public let options: GatewayOptions
  public let storage: DiskStorage
  public let fills = FillTable()
  /// Searches for the head of what is not in the cache, by the keys of the content.
  let headSearches = FillTable()
  /// What bounds the memory of all fills together.
  public let memory: SliceBudget
  public let upstreams: UpstreamMap
  /// Reads what is not in memory.
  let disk: DiskQueue
  /// Reads the index through, and does whatever else takes long: no read waits for it.
  let scans: DiskQueue
  let log: Logger
  let troubles: UpstreamTroubles
  let badSlices = BadSlices()
  let passing = PassingSlices(memory: MemoryLimit.bytes)
  let crew = GatewayCrew()
  let names = NameTable()
  let absences = AbsenceTable()
  let siteAnswers = SiteAnswerTable()
  let doubtful = DoubtfulKeys()
  /// What `/cache-stats` says; nil before the program has said how that is found out.
  private let statistics = Mutex<(@Sendable (Instant) -> [UInt8])?>(nil)
  private let diskWarnings = LogPace()
  private let sliceWarnings = LogPace()
  /// A line a second says enough of where time goes.
  let slowPace = LogPace(pause: .seconds(1))

  /// - Parameter scans: For what takes long; nil for the threads that read.
  public init(
    options: GatewayOptions, storage: DiskStorage, upstreams: UpstreamMap, disk: DiskQueue,
    scans: DiskQueue? = nil, log: Logger
  ) {
    self.options = options
    self.storage = storage
    memory = SliceBudget(limit: max(options.sliceMemory, 4 * storage.options.sliceSize))
    self.upstreams = upstreams
    self.disk = disk
    self.scans = scans ?? disk
    self.log = log
    troubles = UpstreamTroubles(regions: upstreams.regions.count)
  }

  /// Says what `/cache-stats` answers, as JSON; `page` is called on any worker.
  public func provideStatistics(_ page: @escaping @Sendable (Instant) -> [UInt8]) {
    statistics.withLock { $0 = page }
  }

  /// The statistics of now; nil where nobody provides them.
  func statisticsPage(at now: Instant) -> [UInt8]? {
    statistics.withLock { $0 }?(now)
  }

  /// Tells the log that the cache's disk did not take something, at most every ten seconds.
  ///
  /// Called on the cache writer's thread, whose clock this is; each refusal is counted by the storage.
  func diskRefused(_ fault: Fault) {
    let isRoom = fault == Fault(.exhausted, .disk, errno: SystemError.noSpace)
    // The storage tells of a full disk itself: once, and when that is over.
    if isRoom && storage.counters.isDiskFull.load(ordering: .relaxed) { return }
    guard let count = diskWarnings.due(at: Clock.now) else { return }
    log.warning(
      isRoom
        ? "the cache has no room for some answers now: they are given without being kept"
        : "the cache's disk takes nothing: answers are given without being kept",
      metadata: [
        "path": .string(storage.options.path), "count": .stringConvertible(count),
        "fault": .string(fault.name), "why": .string(SystemError.text(fault.errno)),
      ])
  }

  /// Tells the log of slices that could not be used, at most every ten seconds.
  func sliceWasBad(_ fault: Fault, now: Instant) {
    guard let count = sliceWarnings.due(at: now) else { return }
    log.warning(
      "stored slices cannot be used and are fetched again",
      metadata: fault.metadata.merging(["count": .stringConvertible(count)]) { own, _ in own })
  }
}

/// One worker of the gateway: takes requests from its server and lives their lives.
public final class GatewayWorker: RequestHandler {
  public let gateway: Gateway
  public let loop: Loop
  public let counters: CounterPage
  let port: WorkerPort
  let pool: UpstreamPool
  let sliceShift: UInt8
  /// The worker's own, so that a hit touches nothing that others count too.
  let hosts: HostBook
  let hasTrustedProxies: Bool
  let hasCluster: Bool
  /// What may not be given; nil where there is no such list.
  let denials: WorkerDenials?
  /// Whether anything but content is given by how the client came.
  let hasDiversions: Bool
  let limits: WorkerLimits?
  let clusterLimits: WorkerLimits?
  /// Kept for them.
  private let limitKeys: [RateLimitKeyMemory]
  let index: IndexReader
  let starving: StarvingFills
  let searches: SearchWatch
  var residency = ResidencyMemory()
  var checks = SliceChecks()
  /// Room for one small body that is looked at before it is sent.
  var scratch = ByteBuffer(capacity: GatewayOptions.copiedBytes)
  var accessLog: AccessLogBuffer?
  /// From when on a request is told of as slow.
  let slowAfter: Interval
  let startsTraces: Bool
  /// Hits that began and ended in this turn.
  var turnHits = 0
  /// Hits that ended in this turn, and whose answer had begun within one that was over long ago.
  var turnFirstBytes = 0
  /// Room for a trace's number on its way into the access log.
  var traceNumber = ByteBuffer(capacity: 64)
  private var random: SeededRandom
  /// Set by the program when it stops: `/health` says so.
  public var isDraining = false
  var drivers = FillDrivers()
  var nameLookUps = NameLookUps()
  var absenceProofs = AbsenceProofs()
  private var idle: [Exchange] = []
  /// Those that live a request now; each knows its place.
  private(set) var active: [Exchange] = []

  var log: Logger { gateway.log }

  /// - Parameter number: the worker's own, different from all others'.
  public init(
    _ gateway: Gateway, number: Int, loop: Loop, counters: CounterPage,
    accessLog: AccessLogWriter?
  ) throws(Fault) {
    self.gateway = gateway
    self.loop = loop
    self.counters = counters
    port = WorkerPort(number: number, mailbox: loop.mailbox)
    pool = UpstreamPool(
      loop: loop, map: gateway.upstreams, options: gateway.options.upstream, counters: counters)
    hosts = HostBook(gateway.options.hosts)
    hasTrustedProxies = !gateway.options.trustedProxies.isEmpty
    hasCluster = gateway.options.cluster != nil
    denials = gateway.options.denials.map { WorkerDenials($0.list) }
    hasDiversions =
      gateway.options.securePort != nil || gateway.options.webroot != nil
      || !gateway.options.cacheStats.isEmpty
    var limitKeys: [RateLimitKeyMemory] = []
    func limits(_ limiter: RateLimiter?) -> WorkerLimits? {
      guard let limiter else { return nil }
      let keys = limiter.keyMemory()
      limitKeys.append(keys)
      return WorkerLimits(limiter, keys)
    }
    self.limits = limits(gateway.options.rateLimits)
    clusterLimits = limits(gateway.options.clusterRateLimits)
    self.limitKeys = limitKeys
    sliceShift = UInt8(gateway.storage.options.sliceSize.trailingZeroBitCount)
    let mailbox = loop.mailbox
    // A message ends the loop's turn, and with it the hold on an index that closes.
    index = try gateway.storage.reader { mailbox.post {} }
    starving = StarvingFills(loop, gateway.memory)
    searches = SearchWatch(loop, gateway.options, counters)
    startsTraces = gateway.options.startsTraces
    slowAfter = gateway.options.slowAfter ?? Interval(nanoseconds: .max)
    let seed = try SystemRandom.bytes(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    random = SeededRandom(seed: seed)
    self.accessLog = accessLog.map {
      AccessLogBuffer(writer: $0, seed: seed ^ .max, now: loop.now)
    }
    loop.endOfTurn.append { [unowned self] in endTurn() }
    gateway.crew.join(self)
  }

  deinit { gateway.crew.leave(port.number) }

  private func endTurn() {
    index.endTurn()
    gateway.storage.announce()
    accessLog?.flushIfDue(now: loop.now)
    counters.add(.loopTurn)
    counters.observe(.loopLag, loop.lag)
    guard turnHits | turnFirstBytes > 0 else { return }
    // Within a turn time stands still: none of them took longer than all of it. For an answer that began in
    // an earlier turn this one stands, since its own is not known any more.
    counters.observe(.firstByteHit, loop.lag, count: turnHits + turnFirstBytes)
    if turnHits > 0 { counters.observe(.requestHit, loop.lag, count: turnHits) }
    turnHits = 0
    turnFirstBytes = 0
  }

  /// A number by chance, never zero: nobody's secret.
  var randomNumber: UInt64 { max(1, random.next()) }

  /// Ends what the worker keeps open; after its server has drained.
  public func close() {
    gateway.crew.leave(port.number)
    absenceProofs.close()
    pool.closeIdle()
    starving.close()
    searches.close()
    accessLog?.flush()
    // Worker and exchanges hold each other.
    idle = []
    checks = SliceChecks()
    loop.endOfTurn = []
    nameLookUps = NameLookUps()
  }

  // MARK: Requests

  public func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    nextExchange().run(request, text: text, on: stream)
  }

  public func refuse(_ refusal: Refusal, on stream: ClientStream) {
    nextExchange().refuse(refusal, on: stream)
  }

  private func nextExchange() -> Exchange {
    let exchange = idle.popLast() ?? Exchange(self)
    exchange.slot = active.count
    active.append(exchange)
    counters.set(.exchangesActive, active.count)
    return exchange
  }

  /// Takes back an exchange that has ended.
  func recycle(_ exchange: Exchange) {
    let last = active.removeLast()
    if last !== exchange {
      active[exchange.slot] = last
      last.slot = exchange.slot
    }
    counters.set(.exchangesActive, active.count)
    if idle.count < GatewayOptions.pooledExchanges { idle.append(exchange) }
  }

  // MARK: Removals and denials

  /// Uses another denylist from now on, and ends what is against it.
  func take(_ change: DenylistChange) {
    let list = change.list
    guard let denials, list.generation >= denials.list.generation else { return }
    let steps = list.generation - denials.list.generation
    denials.take(list)
    // The same rules in another table end nothing, and rules that let pass neither.
    let probe = steps == 1 ? change.added : nil
    guard steps > 0, probe?.hasDenials ?? true else { return }
    // What this turn still does shall not see the index as it was.
    index.endTurn()
    for exchange in active { exchange.cutIfDenied(first: probe) }
    for driver in drivers.all
    where (probe.map { driver.isDenied(by: $0) } ?? true) && driver.isDenied(by: list) {
      driver.cut()
    }
  }

  /// Breaks off all answers that give something that is being removed; how many they are, by part.
  ///
  /// - Parameter parts: keys that were found in the index to be of the subject, and of which part.
  func breakOff(_ subject: RemovalSubject, _ parts: [Digest128: Int]) -> [Int: Int] {
    // What this turn still does shall not see the index as it was.
    index.endTurn()
    var counts: [Int: Int] = [:]
    // As it is now: each that ends changes it.
    for exchange in active.map({ $0 }) {
      guard let part = part(of: exchange, subject, parts) else { continue }
      // It has nothing of what was kept, and will be told what may be given.
      if !subject.endsAnswers && exchange.awaitsUpstream { continue }
      counts[part, default: 0] += 1
      exchange.breakOff()
    }
    return counts
  }

  /// Cuts the fills of this worker that bring such; how many they are, by part.
  func cutFills(_ subject: RemovalSubject, _ parts: [Digest128: Int]) -> [Int: Int] {
    var counts: [Int: Int] = [:]
    for driver in drivers.all {
      guard let part = part(of: driver, subject, parts) else { continue }
      counts[part, default: 0] += 1
      driver.cut()
    }
    return counts
  }

  /// Keys that answers and fills of this worker are about which are of nothing that is being removed.
  func keysInUse(outside subject: RemovalSubject, _ parts: [Digest128: Int]) -> Set<Digest128> {
    var keys: Set<Digest128> = []
    for exchange in active
    where !exchange.canonicalKey.isEmpty && part(of: exchange, subject, parts) == nil {
      keys.insert(exchange.key)
    }
    for driver in drivers.all
    where !driver.fill.canonicalKey.isEmpty && part(of: driver, subject, parts) == nil {
      keys.insert(driver.fill.key)
    }
    return keys
  }

  private func part(
    of exchange: Exchange, _ subject: RemovalSubject, _ parts: [Digest128: Int]
  ) -> Int? {
    if exchange.canonicalKey.isEmpty { return nil }
    if let part = parts[exchange.key] { return part }
    return exchange.canonicalKey.withReadable { key in
      guard subject.looksAtHeads else { return subject.part(ofKey: key, etag: RawSpan()) }
      let fields = exchange.reader?.fill.head?.fields ?? []
      // Before the head is known what stands there is an earlier answer's.
      if exchange.total == 0 { exchange.etag.clear() }
      return exchange.etag.withReadable { subject.part(ofKey: key, etag: $0, fields: fields) }
    }
  }

  private func part(
    of driver: FillDriver, _ subject: RemovalSubject, _ parts: [Digest128: Int]
  ) -> Int? {
    let key = driver.fill.canonicalKey
    if key.isEmpty { return nil }
    if let part = parts[driver.fill.key] { return part }
    let etag = driver.head?.etag ?? []
    return subject.part(
      ofKey: key.rawBytes, etag: etag.rawBytes, fields: driver.head?.fields ?? [])
  }

  // MARK: The index

  /// Where the index says that a slice lies that was not found bad since; for who plans a fetch.
  func goodSlice(
    _ number: Int, of key: Digest128, _ shift: UInt8, _ total: Int64
  ) -> Slice? {
    guard let slice = locate(slice: number, of: key, shift, total),
      !gateway.badSlices.contains(slice)
    else { return nil }
    return slice
  }

  /// Where the index says that a slice lies; nil where it has none, or cuts the object otherwise.
  ///
  /// A fault of the index is a miss.
  func locate(slice number: Int, of key: Digest128, _ shift: UInt8, _ total: Int64) -> Slice? {
    do throws(Fault) {
      let found = try index.lookUp(key) { bytes -> Slice? in
        guard let view = RecordView(bytes), view.sliceShift == shift,
          Int64(view.totalBytes) == total
        else { return nil }
        return locate(slice: number, of: key, view, bytes)
      }
      return found ?? nil
    } catch {
      return nil
    }
  }

  /// The same, for a record that is at hand.
  func locate(
    slice number: Int, of key: Digest128, _ record: RecordView, _ bytes: RawSpan
  ) -> Slice? {
    guard number < record.sliceCount else { return nil }
    var slice = record.slice(number, in: bytes)
    if record.isLarge {
      let (block, place) = number.quotientAndRemainder(dividingBy: SliceBlock.slices)
      do throws(Fault) {
        let found = try index.slices(key, block: UInt32(truncatingIfNeeded: block)) {
          SliceBlock.slice(place, stamp: record.stamp, in: $0)
        }
        slice = found ?? .absent
      } catch {
        return nil
      }
    }
    return slice.isAbsent || !gateway.storage.isLive(slice.segment) ? nil : slice
  }

  /// Whether the index has a place for each of these slices of a record that is at hand.
  ///
  /// Of large objects there may be thousands, so they are looked up a block at a time, and of the largest only the
  /// first 65,536: a worker has no time for more.
  func hasSlices(
    _ numbers: ClosedRange<Int>, of key: Digest128, _ record: RecordView, _ bytes: RawSpan
  ) -> Bool {
    guard numbers.upperBound < record.sliceCount else { return false }
    guard record.isLarge else {
      return numbers.allSatisfy { locate(slice: $0, of: key, record, bytes) != nil }
    }
    let blocks = numbers.lowerBound / SliceBlock.slices...numbers.upperBound / SliceBlock.slices
    return blocks.prefix(1_024).allSatisfy { block in
      let first = block * SliceBlock.slices
      let wanted = numbers.clamped(to: first...first + SliceBlock.slices - 1)
      do throws(Fault) {
        return try index.slices(key, block: UInt32(truncatingIfNeeded: block)) { block in
          wanted.allSatisfy {
            let slice = SliceBlock.slice($0 - first, stamp: record.stamp, in: block)
            return !slice.isAbsent && gateway.storage.isLive(slice.segment)
          }
        } ?? false
      } catch {
        return false
      }
    }
  }
}

extension Counter {
  /// The counter of an answer that was not kept.
  static func notStored(_ reason: NotStored) -> Counter {
    switch reason {
    case .foreignAnswer: .notStoredForeignAnswer
    case .noLength: .notStoredNoLength
    case .setCookie: .notStoredSetCookie
    case .status: .notStoredStatus
    case .generated: .notStoredGenerated
    case .bypass: .notStoredBypass
    case .mismatch: .notStoredMismatch
    case .truncated: .notStoredTruncated
    case .disk: .notStoredDisk
    case .memory: .notStoredMemory
    case .tooLarge: .notStoredTooLarge
    case .unchecked: .notStoredUnchecked
    }
  }
}
