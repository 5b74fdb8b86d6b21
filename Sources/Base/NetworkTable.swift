/// Networks with a value each, by which an address finds the smallest of them that it lies in: any number of
/// them, without allocation.
///
/// Both families are cut into ranges that do not overlap, and their first addresses searched in three steps
/// over arrays of growing size, of which all but the last few lines stay in a processor's caches.
public struct NetworkTable: Sendable {
  /// What a network leads to; `none` is no value.
  public typealias Value = UInt16
  static let none = Value.max

  private let ipv4: RangeTable
  private let ipv6: RangeTable

  /// Collects networks.
  public struct Builder: Sendable {
    fileprivate var ipv4: [RangeTable.Entry] = []
    fileprivate var ipv6: [RangeTable.Entry] = []

    public init() {}

    public mutating func add(_ network: Network, _ value: Value) {
      let address = network.address
      if network.isIPv4 {
        add(ipv4: UInt32(truncatingIfNeeded: address.low), bits: network.prefixBits, value)
      } else {
        add(
          ipv6: UInt128(address.high) << 64 | UInt128(address.low), bits: network.prefixBits,
          value)
      }
    }

    /// An IPv4 network: its first address, and the bits of its prefix from 0 to 32.
    public mutating func add(ipv4 first: UInt32, bits: Int, _ value: Value) {
      ipv4.append(RangeTable.Entry(first: UInt128(first) << 96, bits: bits, value: value))
    }

    /// An IPv6 network: its first address, and the bits of its prefix from 0 to 128.
    public mutating func add(ipv6 first: UInt128, bits: Int, _ value: Value) {
      ipv6.append(RangeTable.Entry(first: first, bits: bits, value: value))
    }

    /// The table; of networks that are given twice the later one counts.
    public consuming func build() -> NetworkTable {
      NetworkTable(ipv4: RangeTable(ipv4), ipv6: RangeTable(ipv6))
    }
  }

  private init(ipv4: RangeTable, ipv6: RangeTable) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
  }

  /// A table of nothing.
  public init() { self.init(ipv4: RangeTable([]), ipv6: RangeTable([])) }

  /// How many ranges the networks have been cut into.
  public var rangeCount: Int { ipv4.count + ipv6.count }

  /// The value of the smallest network that the address lies in.
  public func value(of address: NetworkAddress) -> Value? {
    let value =
      address.isIPv4
      ? ipv4.value(address.low << 32, 0) : ipv6.value(address.high, address.low)
    return value == Self.none ? nil : value
  }
}

/// Ranges of 128-bit numbers that lie one behind the other, from 0 on, each with a value.
struct RangeTable: Sendable {
  struct Entry: Sendable {
    var first: UInt128
    /// How many leading bits all numbers of the range share.
    var bits: Int
    var value: NetworkTable.Value

    fileprivate var last: UInt128 {
      first | (bits >= 128 ? 0 : UInt128.max >> UInt128(max(bits, 0)))
    }
  }

  /// The upper and the lower halves of the ranges' first numbers.
  private var highs: [UInt64] = []
  private var lows: [UInt64] = []
  private var values: [NetworkTable.Value] = []
  /// Every 64th of `highs`, and every 64th of those.
  private var samples: [UInt64] = []
  private var fewSamples: [UInt64] = []
  private static let sampling = 64

  init(_ entries: [Entry]) {
    let order = entries.indices.sorted { one, other in
      let (left, right) = (entries[one], entries[other])
      if left.first != right.first { return left.first < right.first }
      return left.bits != right.bits ? left.bits < right.bits : one < other
    }
    append(0, NetworkTable.none)
    // Those that the place reached lies in, the smallest one last.
    var open: [(last: UInt128, value: NetworkTable.Value)] = []
    func close(before first: UInt128?, _ append: (UInt128, NetworkTable.Value) -> Void) {
      while let ending = open.last, first.map({ ending.last < $0 }) ?? true {
        open.removeLast()
        if ending.last < .max { append(ending.last + 1, open.last?.value ?? NetworkTable.none) }
      }
    }
    for index in order {
      let entry = entries[index]
      close(before: entry.first) { append($0, $1) }
      append(entry.first, entry.value)
      open.append((entry.last, entry.value))
    }
    close(before: nil) { append($0, $1) }
    samples = Swift.stride(from: 0, to: highs.count, by: Self.sampling).map { highs[$0] }
    fewSamples = Swift.stride(from: 0, to: samples.count, by: Self.sampling).map { samples[$0] }
  }

  var count: Int { values.count }

  /// Begins a range; one that would be empty goes, and one that would go on with the same value is none.
  private mutating func append(_ first: UInt128, _ value: NetworkTable.Value) {
    let high = UInt64(truncatingIfNeeded: first >> 64)
    let low = UInt64(truncatingIfNeeded: first)
    if highs.last == high && lows.last == low {
      highs.removeLast()
      lows.removeLast()
      values.removeLast()
    }
    if values.last == value { return }
    highs.append(high)
    lows.append(low)
    values.append(value)
  }

  /// The value of the range that a number lies in, given by its halves.
  func value(_ high: UInt64, _ low: UInt64) -> NetworkTable.Value {
    let size = Self.sampling
    let few = search(fewSamples, 0..<fewSamples.count, step: size * size, high, low)
    let middle = few * size
    let sample = search(
      samples, middle..<min(middle + size, samples.count), step: size, high, low)
    let start = sample * size
    return values[search(highs, start..<min(start + size, highs.count), step: 1, high, low)]
  }

  /// The last place whose number is not above the one given; the first of the range is known not to be.
  ///
  /// Always the same number of steps for a length, each without a branch that depends on what is found.
  @inline(__always)
  private func search(
    _ numbers: [UInt64], _ range: Range<Int>, step: Int, _ high: UInt64, _ low: UInt64
  ) -> Int {
    var base = range.lowerBound
    var count = range.count
    while count > 1 {
      let half = count / 2
      let found = numbers[base + half]
      let isAbove = found > high || (found == high && lows[(base + half) * step] > low)
      base = isAbove ? base : base + half
      count -= half
    }
    return base
  }
}
