import Base
import Synchronization

/// The bytes of one slice on their way from an upstream to clients and to the disk.
///
/// One worker fills it from the front; readers and the cache writer take what has been published.
/// That is what makes sharing it safe: bytes below `count` never change, the count only grows, and
/// only the filler writes above it.
@safe
public final class SliceBuffer: @unchecked Sendable {
  public let capacity: Int
  private let base: UnsafeMutableRawPointer
  private let published = Atomic<Int>(0)
  /// Bytes behind them that are written and not published; the filler's own.
  public private(set) var unpublished = 0
  private let budget: SliceBudget?
  private let use: SliceBudget.Use
  /// What a slice for the disk sums up to, made while its bytes are still in the cache of the core that
  /// received them: from there it takes a third of the time that a writer needs later, from memory.
  private var running: SliceChecksum?
  private var whole: UInt64?
  /// Slices of at most so many bytes are summed at once, when they are full.
  private static let smallBytes = 64 << 10

  /// A buffer whose capacity has been taken from a budget, to which it goes back at the end.
  init(capacity: Int, of budget: SliceBudget?, _ use: SliceBudget.Use) {
    self.capacity = capacity
    self.budget = budget
    self.use = use
    unsafe base = SliceMemory.take(capacity)
    // Without memory for its state the sum is made in the end.
    if isSummed && capacity > Self.smallBytes { running = try? SliceChecksum() }
  }

  public convenience init(capacity: Int) {
    self.init(capacity: max(capacity, 1), of: nil, .kept)
  }

  public convenience init(_ bytes: [UInt8]) {
    self.init(capacity: bytes.count)
    append(bytes.rawBytes)
  }

  deinit {
    unsafe SliceMemory.give(base, capacity)
    budget?.give(capacity, use)
  }

  public var count: Int { published.load(ordering: .acquiring) }
  public var free: Int { capacity - count - unpublished }

  /// The bytes published so far.
  public var bytes: RawSpan {
    @_lifetime(borrow self)
    get {
      let span = unsafe RawSpan(_unsafeStart: base, byteCount: count)
      return unsafe _overrideLifetime(span, borrowing: self)
    }
  }

  private var isSummed: Bool { budget != nil && use == .kept }

  /// Sums up the next bytes, which are about to be published.
  private func add(_ bytes: Int) {
    let end = count + bytes
    if capacity > Self.smallBytes {
      running?.update(unsafe RawSpan(_unsafeStart: base + count, byteCount: bytes))
    } else if end == capacity {
      whole = Slice.checksum(of: unsafe RawSpan(_unsafeStart: base, byteCount: end))
    }
  }

  /// The checksum of all bytes; for the writer, once the filler has given the buffer to it and adds no more.
  var checksum: UInt64 { whole ?? running?.value ?? Slice.checksum(of: bytes) }

  /// Adds as many of the bytes as fit behind what is written, publishes all of it, and says how many were
  /// added; for the filler only.
  @discardableResult
  public func append(_ bytes: RawSpan) -> Int {
    let taken = min(bytes.byteCount, free)
    unsafe bytes.withUnsafeBytes { source in
      if let start = source.baseAddress {
        unsafe (base + count + unpublished).copyMemory(from: start, byteCount: taken)
      }
    }
    unpublished += taken
    _ = publish()
    return taken
  }

  /// Lets `body` write into the free end and publishes as many bytes as it says; for the filler only.
  public func fill<E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    let written = try unsafe write(body)
    _ = publish()
    return written
  }

  /// Lets `body` write into the free end, as many bytes as it says; for the filler only.
  ///
  /// They reach nobody before `publish`.
  public func write<E: Error>(
    _ body: (UnsafeMutableRawBufferPointer) throws(E) -> Int
  ) throws(E) -> Int {
    let tail = unsafe UnsafeMutableRawBufferPointer(
      start: base + count + unpublished, count: free)
    let written = try unsafe body(tail)
    precondition(written >= 0 && written <= tail.count)
    unpublished += written
    return written
  }

  /// The last bytes written, published or not; for the filler only.
  @_lifetime(borrow self)
  public func lastBytes(_ bytes: Int) -> RawSpan {
    let end = count + unpublished
    let taken = min(bytes, end)
    let span = unsafe RawSpan(_unsafeStart: base + (end - taken), byteCount: taken)
    return unsafe _overrideLifetime(span, borrowing: self)
  }

  /// Publishes the written bytes, all but the last `held` of them; how many that were.
  public func publish(allBut held: Int = 0) -> Int {
    let bytes = max(0, unpublished - held)
    unpublished -= bytes
    if isSummed { add(bytes) }
    published.add(bytes, ordering: .releasing)
    return bytes
  }

  /// Forgets the bytes that were written and not published; for the filler only.
  public func dropUnpublished() { unpublished = 0 }
}
