public import Base
internal import Synchronization

/// The states of a limit's keys, in one piece of memory that all threads share without a lock.
///
/// Set-associative: a key has one set of eight slots, each a tag and a value of 64 bits; a check looks at
/// eight tags in one cache line and swaps one value in the next. With four slots of 16 bytes for each key, of as many
/// keys as there is room for one in a thousand is in a set that is too full.
///
/// What the value is, the limit says: the *theoretical arrival time* of GCRA (ITU-T I.371), in nanoseconds of the
/// same clock as `now`, or a count of what is under way. One table never holds both.
///
/// - A tag is 64 bits of a keyed hash, the set comes from 64 others of it. Two of a million keys share one allowance
///   with a chance of 10⁻⁶ × 2⁻³² or so, and nobody who does not know the hash's key can look for such.
/// - A check of a key that is known is one compare-and-swap of its value. Should the slot have become another
///   key's in between, the swap fails, since that key's value is another one: times differ by the nanosecond, and
///   counts have a number that grows with each new key. Where two times are equal by chance, one charge is
///   another key's.
/// - A new key takes a slot by swapping its value for `claimed`, writes its tag and then its value. Two threads that
///   bring the same new key at the same moment may, very rarely, both get a slot: the first in order counts
///   from then on, and what the other slot holds (one charge, or one count until it is given back) is lost to
///   the limit.
@safe
public final class RateLimitTable: @unchecked Sendable {
  // Unchecked: of what is shared, all is atomic.

  /// Slots of a set.
  static let ways = 8
  /// Slots for each key that there is to be room for.
  private static let slotsPerKey = 4
  private static let hugePage = 2 << 20
  /// A value that no key has: somebody is writing the slot.
  private static let claimed = Int.min
  /// How often a check begins anew because others were faster; more is no contention but a fault.
  private static let patience = 10_000
  /// How often it waits for one who is writing a slot, and who may have been interrupted there.
  private static let politeness = 64

  // Sets of sixteen words, eight tags and then their eight values, in one allocation that lives as long as the
  // table. Every offset is a set's number, masked, and a way.
  private let words: UnsafeMutablePointer<Atomic<Int>>
  private let setCount: Int
  private let lost = Atomic<Int>(0)

  /// Makes room for so many keys.
  ///
  /// - Parameter prepare: Called with memory of whole pages before its first use, where there is so much; true if
  ///   it has been made zeros, which the kernel does without touching it.
  public init(keys: Int, prepare: (UnsafeMutableRawBufferPointer) -> Bool = { _ in false }) {
    setCount = max(1, Self.slotsPerKey * keys / Self.ways)
    let count = setCount * 2 * Self.ways
    var bytes = count * MemoryLayout<Atomic<Int>>.stride
    let isLarge = bytes >= Self.hugePage
    // On the border of a huge page where it is that large, and then with nobody else's bytes in the last one.
    if isLarge { bytes = (bytes + Self.hugePage - 1) / Self.hugePage * Self.hugePage }
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: bytes, alignment: isLarge ? Self.hugePage : 128)
    var isZero = false
    if isLarge {
      isZero = unsafe prepare(UnsafeMutableRawBufferPointer(start: memory, count: bytes))
    }
    if !isZero { unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    // An atomic word of zeros is what `Atomic(0)` is, and has nothing to deinitialize.
    unsafe words = memory.bindMemory(to: Atomic<Int>.self, capacity: count)
  }

  deinit { unsafe words.deallocate() }

  /// Bytes of memory.
  public var byteCount: Int { wordCount * MemoryLayout<Atomic<Int>>.stride }

  private var wordCount: Int { setCount * 2 * Self.ways }

  /// How many keys lost what they owed, or were not counted, since their set was full.
  public var losses: Int { lost.load(ordering: .relaxed) }

  // MARK: Rates

  /// What became of a charge.
  public enum Charge: Equatable, Sendable {
    case passed
    /// The key owes until then, in nanoseconds of `now`'s clock.
    case refused(until: Int)
  }

  /// Charges a key, if it then owes no more than `capacity` (GCRA).
  ///
  /// - Parameters:
  ///   - cost: Nanoseconds in which the allowance earns what is asked for.
  ///   - capacity: Nanoseconds that may be owed.
  @inline(__always)
  public func charge(_ key: Digest128, _ cost: Int, capacity: Int, now: Int) -> Charge {
    let (tag, set) = place(key)
    let slot = find(tag, set)
    if slot >= 0, let owed = value(slot, of: tag) {
      let start = max(owed, now)
      let (due, isTooFar) = start.addingReportingOverflow(cost)
      if isTooFar || due &- now > capacity { return .refused(until: start) }
      if swap(slot, owed, due) { return .passed }
    }
    return chargeAgain(tag, set, cost, capacity: capacity, now: now)
  }

  /// The same where the key is new, or somebody else was faster.
  @inline(never)
  private func chargeAgain(
    _ tag: Int, _ set: Int, _ cost: Int, capacity: Int, now: Int
  ) -> Charge {
    var politeness = Self.politeness
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else {
        if cost > capacity { return .refused(until: now) }
        if insertTime(tag, set, now &+ cost, now: now, &politeness) { return .passed }
        continue
      }
      guard let owed = value(slot, of: tag) else { continue }
      let start = max(owed, now)
      let (due, isTooFar) = start.addingReportingOverflow(cost)
      if isTooFar || due &- now > capacity { return .refused(until: start) }
      if swap(slot, owed, due) { return .passed }
    }
    return .passed
  }

  /// Charges a key whatever it owes, up to `most` nanoseconds from now.
  ///
  /// - Parameter hint: Where `owes` has found the key; below 0 for nowhere.
  @inline(__always)
  public func owe(_ key: Digest128, _ cost: Int, most: Int, now: Int, hint: Int = -1) {
    let (tag, set) = place(key)
    // A slot of the key's own set, whatever it has become since.
    if hint >= set, hint < set &+ 2 &* Self.ways, hint &- set >= Self.ways,
      let owed = value(hint, of: tag), swap(hint, owed, Self.due(owed, cost, most, now))
    {
      return
    }
    oweAgain(tag, set, cost, most: most, now: now)
  }

  @inline(__always)
  private static func due(_ owed: Int, _ cost: Int, _ most: Int, _ now: Int) -> Int {
    let (due, isTooFar) = max(owed, now).addingReportingOverflow(cost)
    let limit = max(owed, now &+ most)
    return isTooFar ? limit : min(due, limit)
  }

  @inline(never)
  private func oweAgain(_ tag: Int, _ set: Int, _ cost: Int, most: Int, now: Int) {
    var politeness = Self.politeness
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else {
        if insertTime(tag, set, now &+ min(cost, most), now: now, &politeness) { return }
        continue
      }
      guard let owed = value(slot, of: tag) else { continue }
      if swap(slot, owed, Self.due(owed, cost, most, now)) { return }
    }
  }

  /// Takes a charge back; one that is no longer known is none.
  public func forgive(_ key: Digest128, _ cost: Int) {
    let (tag, set) = place(key)
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else { return }
      guard let owed = value(slot, of: tag) else { continue }
      if swap(slot, owed, owed &- cost) { return }
    }
  }

  /// Until when a key owes, and where that is noted; `now` and nowhere (below 0) where it owes nothing.
  @inline(__always)
  public func owes(_ key: Digest128, now: Int) -> (until: Int, slot: Int) {
    let (tag, set) = place(key)
    let slot = find(tag, set)
    if slot < 0 { return (now, -1) }
    if let owed = value(slot, of: tag) { return (max(owed, now), slot) }
    return owesAgain(tag, set, now: now)
  }

  @inline(never)
  private func owesAgain(_ tag: Int, _ set: Int, now: Int) -> (until: Int, slot: Int) {
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else { return (now, -1) }
      if let owed = value(slot, of: tag) { return (max(owed, now), slot) }
    }
    return (now, -1)
  }

  // MARK: Counts

  /// What became of a wish to be one more.
  public enum Count: Equatable, Sendable {
    /// Counted, to be given back there.
    case taken(slot: Int)
    case refused
    /// Nothing is known of the key, and all of its set have something under way: it is let through, and not counted.
    ///
    /// The others' numbers are no fault of its own; and what a client can have open is bounded by its connections.
    case uncounted
  }

  /// The part of a value that counts; what is above it numbers the slot's keys.
  private static let countMask = Int(UInt32.max)

  /// Counts one more of a key, unless it has `limit` already.
  @inline(__always)
  public func take(_ key: Digest128, limit: Int) -> Count {
    let (tag, set) = place(key)
    let slot = find(tag, set)
    if slot >= 0, let old = value(slot, of: tag) {
      if old & Self.countMask >= limit { return .refused }
      if swap(slot, old, old &+ 1) { return .taken(slot: slot) }
    }
    return takeAgain(tag, set, limit: limit)
  }

  @inline(never)
  private func takeAgain(_ tag: Int, _ set: Int, limit: Int) -> Count {
    var politeness = Self.politeness
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else {
        switch insertCount(tag, set, &politeness) {
        case .again: continue
        case .full:
          lost.add(1, ordering: .relaxed)
          return .uncounted
        case .at(let slot): return .taken(slot: slot)
        }
      }
      guard let old = value(slot, of: tag) else { continue }
      if old & Self.countMask >= limit { return .refused }
      if swap(slot, old, old &+ 1) { return .taken(slot: slot) }
    }
    return .uncounted
  }

  /// Gives back what `take` has counted, once.
  ///
  /// A slot that counts something keeps its key, so it need not be looked for.
  @inline(__always)
  public func giveBack(_ slot: Int) {
    guard slot >= 0, slot < wordCount else { return }
    unsafe words[slot].subtract(1, ordering: .acquiringAndReleasing)
  }

  /// How many a key has under way.
  public func count(_ key: Digest128) -> Int {
    let (tag, set) = place(key)
    for _ in 0..<Self.patience {
      let slot = find(tag, set)
      guard slot >= 0 else { return 0 }
      if let value = value(slot, of: tag) { return value & Self.countMask }
    }
    return 0
  }

  /// How many all keys have under way; looks at all of it, so for tests.
  var total: Int {
    (0..<wordCount).filter { $0 % (2 * Self.ways) >= Self.ways }.reduce(0) { sum, slot in
      return unsafe sum + words[slot].load(ordering: .acquiring) & Self.countMask
    }
  }

  // MARK: Slots

  /// A key's tag, which is not 0, and the first word of its set.
  @inline(__always)
  private func place(_ key: Digest128) -> (tag: Int, set: Int) {
    let tag = Int(bitPattern: UInt(key.first == 0 ? 1 : key.first))
    // Of all sets the one that lies as far along as the number among all numbers.
    let set = key.second.multipliedFullWidth(by: UInt64(setCount)).high
    return (tag, Int(truncatingIfNeeded: set) &* (2 &* Self.ways))
  }

  /// The word of a key's value; below 0 where the set does not know it.
  @inline(__always)
  private func find(_ tag: Int, _ set: Int) -> Int {
    for way in 0..<Self.ways
    where unsafe words[set &+ way].load(ordering: .acquiring) == tag {
      return set &+ Self.ways &+ way
    }
    return -1
  }

  /// A slot's value, if it is that tag's: whoever makes it another's writes the tag before the value.
  @inline(__always)
  private func value(_ slot: Int, of tag: Int) -> Int? {
    let value = unsafe words[slot].load(ordering: .acquiring)
    guard value != Self.claimed,
      unsafe words[slot &- Self.ways].load(ordering: .acquiring) == tag
    else { return nil }
    return value
  }

  @inline(__always)
  private func swap(_ slot: Int, _ old: Int, _ new: Int) -> Bool {
    unsafe words[slot].compareExchange(
      expected: old, desired: new, ordering: .acquiringAndReleasing
    ).exchanged
  }

  /// Gives a new key the slot whose debt ended first, or will end first; false: to be tried again.
  private func insertTime(
    _ tag: Int, _ set: Int, _ time: Int, now: Int, _ politeness: inout Int
  ) -> Bool {
    var oldest = -1
    var least = Int.max
    for slot in set + Self.ways..<set + 2 * Self.ways {
      let value = unsafe words[slot].load(ordering: .acquiring)
      if value == Self.claimed {
        if waits(&politeness) { return false }
      } else if value < least {
        least = value
        oldest = slot
      }
    }
    guard oldest >= 0, swap(oldest, least, Self.claimed) else { return false }
    guard publish(tag, at: oldest, in: set, time, else: 0) else { return false }
    if least > now { lost.add(1, ordering: .relaxed) }
    return true
  }

  private enum Insertion { case at(Int), full, again }

  /// Gives a new key a slot that counts nothing, with a count of one.
  private func insertCount(_ tag: Int, _ set: Int, _ politeness: inout Int) -> Insertion {
    for slot in set + Self.ways..<set + 2 * Self.ways {
      let value = unsafe words[slot].load(ordering: .acquiring)
      if value == Self.claimed {
        if waits(&politeness) { return .again }
        continue
      }
      guard value & Self.countMask == 0 else { continue }
      guard swap(slot, value, Self.claimed) else { return .again }
      let number = ((value >> 32) &+ 1) & 0x7fff_ffff
      return publish(tag, at: slot, in: set, number << 32 | 1, else: number << 32)
        ? .at(slot) : .again
    }
    return .full
  }

  /// Whether to look again for what somebody is writing, which may be the same key.
  private func waits(_ politeness: inout Int) -> Bool {
    politeness -= 1
    return politeness >= 0
  }

  /// Writes a claimed slot; false where the key has come to the set otherwise, at a place before it.
  private func publish(
    _ tag: Int, at slot: Int, in set: Int, _ value: Int, else empty: Int
  ) -> Bool {
    // Of two who write the same tag at least one sees the other's: each writes before it looks.
    unsafe words[slot - Self.ways].store(tag, ordering: .sequentiallyConsistent)
    for other in set..<slot - Self.ways
    where unsafe words[other].load(ordering: .sequentiallyConsistent) == tag {
      unsafe words[slot - Self.ways].store(0, ordering: .releasing)
      unsafe words[slot].store(empty, ordering: .releasing)
      return false
    }
    unsafe words[slot].store(value, ordering: .releasing)
    return true
  }
}
