public import Base
public import Synchronization

/// One worker's counters, gauges and histograms, in memory that no other worker writes to.
///
/// Only the owning worker calls the verbs that change it, so a load and a store do what would
/// otherwise be a locked addition; any thread may read. That rule is what makes it `Sendable`.
/// Numbers wrap round instead of trapping.
@safe
public final class CounterPage: @unchecked Sendable {
  // Parts of one allocation that lives as long as the page. Every offset is an enum's index, a cell of a
  // table or a bucket that `HistogramBounds` bounds, so it lies inside its part.
  @usableFromInline let counters: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let gauges: UnsafeMutablePointer<Atomic<Int>>
  /// The cells of `StatusCells`, of `RequestCells`, and for each region those of `FetchOutcome`.
  @usableFromInline let responses: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let requests: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let regions: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let regionCount: Int
  /// For each histogram its buckets, then the sum of its nanoseconds.
  @usableFromInline let histograms: UnsafeMutablePointer<Atomic<Int>>
  @usableFromInline let histogramStride = HistogramBounds.buckets + 1
  private let slotCount: Int

  /// `HistogramBounds.first` for 0 to 64 significant bits, and after it one bound for each bucket.
  @usableFromInline let bounds: UnsafeMutablePointer<Int64>
  /// The cell of each status from `StatusCells.first` on.
  @usableFromInline let statusCells: UnsafeMutablePointer<UInt8>

  /// - Parameter regions: How many regions requests may belong to.
  public init(regions: Int = 0) {
    regionCount = max(regions, 0)
    let gaugeBase = Counter.allCases.count
    let responseBase = gaugeBase + Gauge.allCases.count
    let requestBase = responseBase + StatusCells.count
    let regionBase = requestBase + RequestCells.count
    let histogramBase = regionBase + regionCount * FetchOutcome.allCases.count
    slotCount = histogramBase + HistogramName.allCases.count * histogramStride
    // Whole pairs of cache lines, so that a neighbour in memory never shares one.
    let bytes = (slotCount * MemoryLayout<Atomic<Int>>.stride + 127) & ~127
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 128)
    unsafe counters = memory.bindMemory(to: Atomic<Int>.self, capacity: slotCount)
    for slot in 0..<slotCount { unsafe (counters + slot).initialize(to: Atomic(0)) }
    unsafe gauges = counters + gaugeBase
    unsafe responses = counters + responseBase
    unsafe requests = counters + requestBase
    unsafe self.regions = counters + regionBase
    unsafe histograms = counters + histogramBase

    let table = HistogramBounds.table
    unsafe bounds = .allocate(capacity: 65 + HistogramBounds.buckets)
    for bits in 0...64 {
      let first = Int64(HistogramBounds.first(significantBits: bits))
      unsafe (bounds + bits).initialize(to: first)
    }
    for bucket in 0..<HistogramBounds.buckets {
      let bound = bucket < table.count ? table[bucket].nanoseconds : .max
      unsafe (bounds + 65 + bucket).initialize(to: bound)
    }
    unsafe statusCells = .allocate(capacity: StatusCells.statuses)
    for offset in 0..<StatusCells.statuses {
      let cell = UInt8(StatusCells.index(StatusCells.first + offset))
      unsafe (statusCells + offset).initialize(to: cell)
    }
  }

  deinit {
    unsafe counters.deinitialize(count: slotCount)
    unsafe counters.deallocate()
    unsafe bounds.deallocate()
    unsafe statusCells.deallocate()
  }

  // MARK: - The owning worker's

  /// Counts `count` more of something; the owning worker's alone.
  @inlinable
  public func add(_ counter: Counter, _ count: Int = 1) {
    unsafe Self.add(counters + counter.index, count)
  }

  /// Sets what the worker has of something; the owning worker's alone.
  @inlinable
  public func set(_ gauge: Gauge, _ value: Int) {
    unsafe gauges[gauge.index].store(value, ordering: .relaxed)
  }

  /// Changes what the worker has of something; the owning worker's alone.
  @inlinable
  public func adjust(_ gauge: Gauge, by change: Int) {
    unsafe Self.add(gauges + gauge.index, change)
  }

  /// Counts a response by its status; the owning worker's alone.
  @inlinable
  public func addResponse(status: Int) {
    let offset = status &- 100
    // One comparison for both ends; what lies outside is a 5xx, as 599 is.
    let place = UInt(bitPattern: offset) < 500 ? offset : 499
    unsafe Self.add(responses + Int(statusCells[place]), 1)
  }

  /// Counts a request by its host and protocol; the owning worker's alone.
  @inlinable
  public func addRequest(_ host: HostClass, _ version: ProtocolClass, isSecure: Bool) {
    let cell = RequestCells.index(host, version, isSecure: isSecure)
    unsafe Self.add(requests + cell, 1)
  }

  /// Counts a request that a region's servers were needed for; the owning worker's alone.
  ///
  /// A region that the page has no room for is not counted.
  public func addRegion(_ region: Int, _ outcome: FetchOutcome) {
    guard region >= 0, region < regionCount else { return }
    unsafe Self.add(regions + region * FetchOutcome.allCases.count + Int(outcome.rawValue), 1)
  }

  /// Puts a latency in its bucket (a negative one counts as 0); the owning worker's alone.
  ///
  /// - Parameter count: How many had that latency.
  @inlinable
  public func observe(_ name: HistogramName, _ interval: Interval, count: Int = 1) {
    let nanoseconds = max(interval.nanoseconds, 0)
    let bits = Int64.bitWidth &- nanoseconds.leadingZeroBitCount
    let first = unsafe Int(truncatingIfNeeded: bounds[bits])
    // One comparison suffices: see `HistogramBounds.first`.
    let above = unsafe nanoseconds > bounds[65 &+ first]
    let histogram = unsafe histograms + name.index &* histogramStride
    unsafe Self.add(histogram + (first &+ (above ? 1 : 0)), count)
    unsafe Self.add(histogram + (histogramStride &- 1), Int(nanoseconds) &* count)
  }

  @inlinable
  @inline(__always)
  static func add(_ slot: UnsafeMutablePointer<Atomic<Int>>, _ count: Int) {
    let value = unsafe slot.pointee.load(ordering: .relaxed)
    unsafe slot.pointee.store(value &+ count, ordering: .relaxed)
  }

  // MARK: - Any thread's

  public func value(_ counter: Counter) -> Int {
    unsafe counters[counter.index].load(ordering: .relaxed)
  }

  public func value(_ gauge: Gauge) -> Int {
    unsafe gauges[gauge.index].load(ordering: .relaxed)
  }

  public func value(_ name: HistogramName) -> HistogramSnapshot {
    Self.sum([self], name)
  }

  /// The responses with a status, or with any of its class where it has no cell of its own.
  public func responses(status: Int) -> Int { responses(cell: StatusCells.index(status)) }

  func responses(cell: Int) -> Int { unsafe responses[cell].load(ordering: .relaxed) }

  func requests(cell: Int) -> Int { unsafe requests[cell].load(ordering: .relaxed) }

  func requests(region: Int, _ outcome: FetchOutcome) -> Int {
    guard region >= 0, region < regionCount else { return 0 }
    let cell = region * FetchOutcome.allCases.count + Int(outcome.rawValue)
    return unsafe regions[cell].load(ordering: .relaxed)
  }

  public static func sum(_ pages: [CounterPage], _ counter: Counter) -> Int {
    pages.reduce(0) { $0 &+ $1.value(counter) }
  }

  public static func sum(_ pages: [CounterPage], _ gauge: Gauge) -> Int {
    pages.reduce(0) { $0 &+ $1.value(gauge) }
  }

  public static func sum(_ pages: [CounterPage], _ name: HistogramName) -> HistogramSnapshot {
    var sum = HistogramSnapshot(
      buckets: Array(repeating: 0, count: HistogramBounds.buckets), sumNanoseconds: 0)
    for page in pages {
      let histogram = unsafe page.histograms + name.index * page.histogramStride
      for bucket in sum.buckets.indices {
        unsafe sum.buckets[bucket] &+= histogram[bucket].load(ordering: .relaxed)
      }
      unsafe sum.sumNanoseconds &+= histogram[sum.buckets.count].load(ordering: .relaxed)
    }
    return sum
  }
}
