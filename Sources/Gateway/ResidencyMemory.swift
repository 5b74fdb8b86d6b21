internal import Base

/// What was found in memory a moment ago: hot ranges of files, so that each hit need not ask the kernel.
///
/// A place in it may be overwritten at any time, by another range with the same place; then the kernel is
/// asked again. For as long as an entry counts, its pages are among the last used and stay.
struct ResidencyMemory {
  private struct Entry {
    var range: UInt64 = 0
    var count: UInt32 = 0
    /// In milliseconds, modulo 2^32.
    var since: UInt32 = 0
  }

  /// Less than the page cache needs to get rid of what has just been read, under any pressure that
  /// leaves a cache of use.
  static let term = Interval.milliseconds(500)
  /// Room for some thousands of hot slices without many meeting; 256 KiB.
  static let places = 1 << 14

  private var entries = [Entry](repeating: Entry(), count: Self.places)

  /// Whether `count` bytes from an offset of a segment were seen in memory just now.
  func covers(_ segment: UInt32, _ offset: Int, _ count: Int, _ now: Instant) -> Bool {
    let range = Self.range(segment, offset)
    let entry = entries[Self.place(range)]
    let age = Self.milliseconds(now) &- entry.since
    return count > 0 && entry.range == range && entry.count >= count
      && age < UInt32(Self.term.milliseconds)
  }

  mutating func note(_ segment: UInt32, _ offset: Int, _ count: Int, _ now: Instant) {
    let range = Self.range(segment, offset)
    entries[Self.place(range)] = Entry(
      range: range, count: UInt32(clamping: count), since: Self.milliseconds(now))
  }

  /// Forgets what begins at an offset of a segment.
  mutating func forget(_ segment: UInt32, _ offset: Int) {
    let range = Self.range(segment, offset)
    let place = Self.place(range)
    if entries[place].range == range { entries[place] = Entry() }
  }

  private static func range(_ segment: UInt32, _ offset: Int) -> UInt64 {
    UInt64(segment) << 32 | UInt64(UInt32(truncatingIfNeeded: offset))
  }

  private static func milliseconds(_ instant: Instant) -> UInt32 {
    UInt32(truncatingIfNeeded: instant.nanoseconds / 1_000_000)
  }

  private static func place(_ range: UInt64) -> Int {
    // Fibonacci hashing: offsets are multiples of pages.
    Int(truncatingIfNeeded: (range &* 0x9e37_79b9_7f4a_7c15) >> 50)
  }
}
