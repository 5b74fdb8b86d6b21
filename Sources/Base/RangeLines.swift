/// Ranges that lie one behind the other from 0 on, each with a value, in lines of a processor's cache.
///
/// A line has the first numbers of some ranges with their values behind them, so that the last step of a search,
/// which is mostly the dear one, is a single line. Which line it is a `LineTree` knows.
struct RangeLines<Number: FixedWidthInteger & UnsignedInteger & Sendable>: Sendable {
  /// Lines of 64 bytes: numbers, then as many values.
  private let words: [UInt64]
  private let start: Int
  /// The first number of each line.
  private let lines: LineTree<Number>
  let count: Int

  /// Ranges of a line: 10 of 32 bits, or 6 of 64.
  static var block: Int { 64 / (MemoryLayout<Number>.size + MemoryLayout<NetworkTable.Value>.size) }
  private static var numbersPerWord: Int { 8 / MemoryLayout<Number>.size }
  /// The word of a line that values begin in.
  private static var valuesStart: Int { block / numbersPerWord }
  private static var lineWords: Int { 8 }

  /// Ranges by their first numbers, in rising order, equal ones side by side; the first one is 0.
  init(_ firsts: [Number], _ values: [NetworkTable.Value]) {
    count = firsts.count
    let lineCount = (count + Self.block - 1) / Self.block
    var words = [UInt64](repeating: 0, count: (lineCount + 1) * Self.lineWords)
    // Lines begin where the processor's do.
    let address = unsafe words.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    let start = (-address & 63) / 8
    for index in 0..<lineCount * Self.block {
      let line = start + index / Self.block * Self.lineWords
      let slot = index % Self.block
      // The last line is filled up with numbers that are found only for themselves, and the last value.
      let number = index < count ? firsts[index] : .max
      let value = values[min(index, count - 1)]
      words[line + slot / Self.numbersPerWord] |=
        UInt64(number) << UInt64(slot % Self.numbersPerWord * Number.bitWidth)
      words[line + Self.valuesStart + slot / 4] |= UInt64(value) << UInt64(slot % 4 * 16)
    }
    self.words = words
    self.start = start
    lines = LineTree(stride(from: 0, to: count, by: Self.block).map { firsts[$0] })
  }

  /// The place of the last range whose first number is not above another.
  @inline(__always)
  func place(of number: Number) -> Int {
    let line = lines.place(of: number)
    var slot = 0
    for other in 1..<Self.block {
      slot &+= self.number(line, other) <= number ? 1 : 0
    }
    return line &* Self.block &+ slot
  }

  /// The first number of the range at a place.
  @inline(__always)
  subscript(place: Int) -> Number { number(place / Self.block, place % Self.block) }

  /// The value of the range at a place.
  @inline(__always)
  func value(at place: Int) -> NetworkTable.Value {
    let slot = place % Self.block
    let word = words[
      start &+ place / Self.block &* Self.lineWords &+ Self.valuesStart &+ slot / 4]
    return NetworkTable.Value(truncatingIfNeeded: word >> UInt64(slot % 4 &* 16))
  }

  @inline(__always)
  private func number(_ line: Int, _ slot: Int) -> Number {
    let word = words[start &+ line &* Self.lineWords &+ slot / Self.numbersPerWord]
    return Number(
      truncatingIfNeeded: word >> UInt64(slot % Self.numbersPerWord &* Number.bitWidth))
  }
}

/// Ranges of 32-bit numbers, which lie in the upper bits of what they are made of.
struct NarrowRanges: Sendable {
  private let ranges: RangeLines<UInt32>

  init(_ cuts: [AddressRange.Cut]) {
    ranges = RangeLines(
      cuts.map { UInt32(truncatingIfNeeded: $0.first >> 96) }, cuts.map(\.value))
  }

  var count: Int { ranges.count }

  func value(_ number: UInt32) -> NetworkTable.Value {
    ranges.value(at: ranges.place(of: number))
  }
}

/// Ranges of 128-bit numbers.
struct WideRanges: Sendable {
  private let highs: RangeLines<UInt64>
  private let lows: [UInt64]

  init(_ cuts: [AddressRange.Cut]) {
    highs = RangeLines(
      cuts.map { UInt64(truncatingIfNeeded: $0.first >> 64) }, cuts.map(\.value))
    lows = cuts.map { UInt64(truncatingIfNeeded: $0.first) }
  }

  var count: Int { highs.count }

  /// The value of the range that a number lies in, given by its halves.
  func value(_ high: UInt64, _ low: UInt64) -> NetworkTable.Value {
    var place = highs.place(of: high)
    // In this order: the line of the one is at hand, that of the other mostly is not. A number that only fills
    // the last line up is the greatest there is, and stands behind all ranges.
    if highs[place] == high && lows[min(place, count &- 1)] > low || place >= count {
      place = placeAmongEquals(high, low, before: min(place + 1, count))
    }
    return highs.value(at: place)
  }

  /// The last place before another whose number is not above the one given, where others have the same upper
  /// half: prefixes of more than 64 bits, which are rare.
  private func placeAmongEquals(_ high: UInt64, _ low: UInt64, before end: Int) -> Int {
    var first = 0
    var count = end
    while count > 0 {
      let half = count / 2
      let place = first + half
      if highs[place] < high || highs[place] == high && lows[place] <= low {
        first = place + 1
        count -= half + 1
      } else {
        count = half
      }
    }
    return max(0, first - 1)
  }
}
