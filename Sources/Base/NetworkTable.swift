/// Networks with a value each, by which an address finds the smallest of them that it lies in: any number of
/// them, without allocation.
///
/// Both families are cut into ranges that do not overlap, and their first addresses searched as in a tree whose
/// nodes are lines of a processor's cache: of a million prefixes two or three lie in memory alone.
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

  /// The upper halves of the ranges' first numbers, every eighth of those, every eighth of these and so on
  /// until one block of eight is left: one behind the other, the shortest first, each filled up to whole
  /// blocks.
  private var highs: [UInt64] = []
  /// Where each of them begins.
  private var levels: [Int] = []
  /// How many numbers each of them has.
  private var counts: [Int] = []
  private var lows: [UInt64] = []
  private var values: [NetworkTable.Value] = []
  /// A block is as long as a line of a processor's cache.
  private static let block = 8

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
    layOut()
  }

  /// Puts the levels in the place of the numbers.
  private mutating func layOut() {
    var rows = [highs]
    while let last = rows.last, last.count > Self.block {
      rows.append(stride(from: 0, to: last.count, by: Self.block).map { last[$0] })
    }
    let count = rows.reduce(Self.block) {
      $0 + ($1.count + Self.block - 1) / Self.block * Self.block
    }
    highs = Array(repeating: .max, count: count)
    // Blocks begin where lines do.
    let start = unsafe highs.withUnsafeBytes { Int(bitPattern: $0.baseAddress) }
    let size = MemoryLayout<UInt64>.size
    var place = (-start & (Self.block * size - 1)) / size
    for row in rows.reversed() {
      levels.append(place)
      counts.append(row.count)
      for index in row.indices { highs[place + index] = row[index] }
      place += (row.count + Self.block - 1) / Self.block * Self.block
    }
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
  ///
  /// Three comparisons in the one line of each level.
  func value(_ high: UInt64, _ low: UInt64) -> NetworkTable.Value {
    var place = 0
    for (level, count) in zip(levels, counts) {
      place &*= Self.block
      place &+= highs[level &+ place &+ 4] <= high ? 4 : 0
      place &+= highs[level &+ place &+ 2] <= high ? 2 : 0
      place &+= highs[level &+ place &+ 1] <= high ? 1 : 0
      // What only fills a block up is equal to the greatest of all numbers.
      place = min(place, count &- 1)
    }
    // In this order: the line of the one is at hand, that of the other mostly is not.
    if highs[(levels.last ?? 0) &+ place] == high && lows[place] > low {
      place = placeAmongEquals(high, low, before: place)
    }
    return values[place]
  }

  /// The last place before another whose number is not above the one given, where others have the same upper
  /// half: prefixes of more than 64 bits, which are rare.
  private func placeAmongEquals(_ high: UInt64, _ low: UInt64, before end: Int) -> Int {
    let last = levels.last ?? 0
    var first = 0
    var count = end
    while count > 0 {
      let half = count / 2
      let place = first + half
      let number = highs[last + place]
      if number < high || number == high && lows[place] <= low {
        first = place + 1
        count -= half + 1
      } else {
        count = half
      }
    }
    return max(0, first - 1)
  }
}
