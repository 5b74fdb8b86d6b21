public import Base
public import Cache
public import EventLoop
public import HTTP
public import HTTP1
public import Logging
public import Server
internal import Synchronization
internal import System
public import Telemetry
public import Upstreams

/// What all workers of the gateway share: the cache, the fills in flight, the upstreams.
public final class Gateway: Sendable {
  public let options: GatewayOptions
  public let storage: Storage
  public let fills = FillTable()
  public let region: UpstreamRegion
  /// Reads what is not in memory; nil on a simulated loop, whose storage never waits.
  let disk: DiskQueue?
  let log: Logger
  /// When the log last told of a disk that takes nothing, in nanoseconds; 0 before.
  private let lastDiskWarning = Atomic<Int64>(0)

  public init(
    options: GatewayOptions, storage: Storage, region: UpstreamRegion, disk: DiskQueue?, log: Logger
  ) {
    self.options = options
    self.storage = storage
    self.region = region
    self.disk = disk
    self.log = log
  }

  /// Tells the log that the cache's disk took nothing, at most every ten seconds.
  ///
  /// Called on the cache writer's thread, whose clock this is; each refusal is counted by the storage.
  func diskRefused(_ fault: Fault) {
    let now = Clock.now.nanoseconds
    let last = lastDiskWarning.load(ordering: .relaxed)
    guard last == 0 || now - last > Interval.seconds(10).nanoseconds else { return }
    lastDiskWarning.store(now, ordering: .relaxed)
    log.warning(
      "the cache's disk takes nothing: answers are given without being kept",
      metadata: ["fault": .string(fault.name), "why": .string(SystemError.text(fault.errno))])
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
  let index: StorageReader
  var residency = ResidencyMemory()
  var accessLog: AccessLogBuffer?
  /// Set by the program when it stops: `/health` says so.
  public var isDraining = false
  private var idle: [Exchange] = []
  private var active = 0

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
      loop: loop, region: gateway.region, options: gateway.options.upstream, counters: counters)
    sliceShift = UInt8(gateway.storage.options.sliceSize.trailingZeroBitCount)
    index = try gateway.storage.reader()
    self.accessLog = accessLog.map { AccessLogBuffer(writer: $0, now: loop.now) }
    loop.endOfTurn.append { [unowned self] in endTurn() }
  }

  private func endTurn() {
    index.endTurn()
    accessLog?.flushIfDue(now: loop.now)
    counters.add(.loopTurn)
    counters.observe(.loopLag, loop.lag)
  }

  /// Ends what the worker keeps open; after its server has drained.
  public func close() {
    pool.closeIdle()
    accessLog?.flush()
    // Worker and exchanges hold each other.
    idle = []
    loop.endOfTurn = []
  }

  // MARK: Requests

  public func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    let exchange = idle.popLast() ?? Exchange(self)
    active += 1
    counters.set(.exchangesActive, active)
    exchange.run(request, text: text, on: stream)
  }

  public func refuse(_ refusal: Refusal, on stream: ClientStream) {
    let exchange = idle.popLast() ?? Exchange(self)
    active += 1
    exchange.refuse(refusal, on: stream)
  }

  /// Takes back an exchange that has ended.
  func recycle(_ exchange: Exchange) {
    active -= 1
    counters.set(.exchangesActive, active)
    if idle.count < GatewayOptions.pooledExchanges { idle.append(exchange) }
  }

  // MARK: The index

  /// Whether the index has a slice of a key, in a segment that can still be read.
  func hasSlice(_ number: Int, of key: Digest128, _ shift: UInt8, _ total: Int64) -> Bool {
    locate(slice: number, of: key, shift, total) != nil
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
    }
  }
}
