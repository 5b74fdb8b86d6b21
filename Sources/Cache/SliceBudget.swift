internal import Base
internal import Synchronization

/// The memory that the slices of all fills take, and the bound on it.
///
/// It has no queue: a fill that gets none asks again (see `Fill.lackingBytes`). Slices that are kept
/// come free by the disk's speed, whatever clients do; so they share one bound, and somebody may
/// always go on: one whose bytes are checked as a whole takes for the whole at once. Slices that are
/// passed on come free by the clients' speed, so the bound is on what fills hold beyond one piece each.
public final class SliceBudget: Sendable {
  public enum Use: Sendable { case kept, passed }

  /// The most that slices on their way to the disk take, in bytes.
  public let limit: Int
  /// The most that passed slices take, in bytes, the first of each fill aside.
  public var passedLimit: Int { limit / 2 }
  private let kept = Atomic<Int>(0)
  private let passed = Atomic<Int>(0)
  private let claimed = Atomic<Int>(0)
  /// Of what is kept, the bytes that are gathered and may still be dropped.
  private let collected = Atomic<Int>(0)

  public init(limit: Int) { self.limit = limit }

  /// Bytes in use.
  public func bytes(_ use: Use) -> Int {
    switch use {
    case .kept: kept.load(ordering: .relaxed)
    case .passed: passed.load(ordering: .relaxed)
    }
  }

  /// Bytes of buffers that lie ready for the next slices, of all budgets.
  public static var idleBytes: Int { SliceMemory.idleBytes }

  /// What kept slices may still take, for one that has claimed so many bytes; a single one larger
  /// than the bound passes when it is alone.
  public func freeBytes(claiming own: Int = 0) -> Int {
    let used = bytes(.kept)
    let others = claimed.load(ordering: .relaxed) - own
    return used == 0 && others <= 0 ? .max : max(0, limit - used - others)
  }

  /// Holds back so many bytes from everybody else, so that many small ones do not starve a large one;
  /// false where another has a claim.
  public func claim(_ count: Int) -> Bool {
    claimed.compareExchange(expected: 0, desired: count, ordering: .relaxed).exchanged
  }

  /// Ends a claim: just before it is used, or where it is not needed any more.
  public func unclaim(_ count: Int) { claimed.subtract(count, ordering: .relaxed) }

  /// Takes memory for slices that are kept; false where the bound is reached.
  func take(_ count: Int) -> Bool {
    let claimed = claimed.load(ordering: .relaxed)
    var used = kept.load(ordering: .relaxed)
    while used == 0 && claimed == 0 || used + count <= limit - claimed {
      let (exchanged, original) = kept.weakCompareExchange(
        expected: used, desired: used + count, ordering: .relaxed)
      if exchanged { return true }
      used = original
    }
    return false
  }

  /// Takes memory for a piece that is passed on; false where the bound is reached and it is not
  /// its fill's first.
  func takePassed(_ count: Int, isFirst: Bool) -> Bool {
    guard isFirst || bytes(.passed) + count <= passedLimit else { return false }
    passed.add(count, ordering: .relaxed)
    return true
  }

  /// Takes memory for bytes that are gathered before it is known whether they are kept; to be given back,
  /// or made a buffer of.
  ///
  /// They come free by their clients' speed, so they may take no more than a quarter: what is on its way to the
  /// disk must not wait for them.
  public func takeCollected(_ count: Int) -> Bool {
    guard collected.load(ordering: .relaxed) + count <= limit / 4, take(count) else { return false }
    collected.add(count, ordering: .relaxed)
    return true
  }

  public func giveCollected(_ count: Int) {
    collected.subtract(count, ordering: .relaxed)
    give(count, .kept)
  }

  /// Counts gathered bytes as on their way to the disk from now on.
  public func keepCollected(_ count: Int) { collected.subtract(count, ordering: .relaxed) }

  /// A buffer of bytes for which the budget has been taken.
  public func collected(_ bytes: [UInt8]) -> SliceBuffer {
    let buffer = SliceBuffer(capacity: bytes.count, of: self, .kept)
    buffer.append(bytes.rawBytes)
    return buffer
  }

  func give(_ count: Int, _ use: Use) {
    switch use {
    case .kept: kept.subtract(count, ordering: .relaxed)
    case .passed: passed.subtract(count, ordering: .relaxed)
    }
  }
}
