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
