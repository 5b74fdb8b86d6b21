/// A run of 128-bit numbers with a value, as a prefix gives it.
struct AddressRange: Sendable {
  var first: UInt128
  /// How many leading bits all numbers of the range share.
  var bits: Int
  var value: NetworkTable.Value

  private var last: UInt128 {
    first | (bits >= 128 ? 0 : UInt128.max >> UInt128(max(bits, 0)))
  }

  /// Where a value begins that goes on up to the next cut.
  struct Cut {
    var first: UInt128
    var value: NetworkTable.Value
  }

  /// Cuts ranges that may lie within each other into ones that lie one behind the other, from 0 on; in each the
  /// smallest of those given counts, and of equal ones the last.
  static func cut(_ entries: [AddressRange]) -> [Cut] {
    let order = entries.indices.sorted { one, other in
      let (left, right) = (entries[one], entries[other])
      if left.first != right.first { return left.first < right.first }
      return left.bits != right.bits ? left.bits < right.bits : one < other
    }
    var cuts: [Cut] = []
    append(0, NetworkTable.none, to: &cuts)
    // Those that the place reached lies in, the smallest one last.
    var open: [(last: UInt128, value: NetworkTable.Value)] = []
    func close(before first: UInt128?) {
      while let ending = open.last, first.map({ ending.last < $0 }) ?? true {
        open.removeLast()
        if ending.last < .max {
          append(ending.last + 1, open.last?.value ?? NetworkTable.none, to: &cuts)
        }
      }
    }
    for index in order {
      let entry = entries[index]
      close(before: entry.first)
      append(entry.first, entry.value, to: &cuts)
      open.append((entry.last, entry.value))
    }
    close(before: nil)
    return cuts
  }

  /// Begins a range; one that would be empty goes, and one that would go on with the same value is none.
  private static func append(
    _ first: UInt128, _ value: NetworkTable.Value, to cuts: inout [Cut]
  ) {
    if cuts.last?.first == first { cuts.removeLast() }
    if cuts.last?.value == value { return }
    cuts.append(Cut(first: first, value: value))
  }
}

/// Ranges of 32-bit numbers, which lie in the upper bits of what they are made of.
struct NarrowRanges: Sendable {
  private let firsts: LineTree<UInt32>
  private let values: [NetworkTable.Value]

  init(_ cuts: [AddressRange.Cut]) {
    firsts = LineTree(cuts.map { UInt32(truncatingIfNeeded: $0.first >> 96) })
    values = cuts.map(\.value)
  }

  var count: Int { values.count }

  func value(_ number: UInt32) -> NetworkTable.Value { values[firsts.place(of: number)] }
}

/// Ranges of 128-bit numbers.
struct WideRanges: Sendable {
  private let highs: LineTree<UInt64>
  private let lows: [UInt64]
  private let values: [NetworkTable.Value]

  init(_ cuts: [AddressRange.Cut]) {
    highs = LineTree(cuts.map { UInt64(truncatingIfNeeded: $0.first >> 64) })
    lows = cuts.map { UInt64(truncatingIfNeeded: $0.first) }
    values = cuts.map(\.value)
  }

  var count: Int { values.count }

  /// The value of the range that a number lies in, given by its halves.
  func value(_ high: UInt64, _ low: UInt64) -> NetworkTable.Value {
    var place = highs.place(of: high)
    // In this order: the line of the one is at hand, that of the other mostly is not.
    if highs[place] == high && lows[place] > low {
      place = placeAmongEquals(high, low, before: place)
    }
    return values[place]
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
