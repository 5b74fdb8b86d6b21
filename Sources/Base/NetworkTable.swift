/// Networks with a value each, by which an address finds the smallest of them that it lies in: any number of
/// them, without allocation.
///
/// Both families are cut into ranges that do not overlap, and kept in `RangeLines`: of what a look-up among a
/// million prefixes reads, one or two lines lie in memory alone.
public struct NetworkTable: Sendable {
  /// What a network leads to; `none` is no value.
  public typealias Value = UInt16
  static let none = Value.max

  private let ipv4: NarrowRanges
  private let ipv6: WideRanges

  /// Collects networks.
  public struct Builder: Sendable {
    fileprivate var ipv4: [AddressRange] = []
    fileprivate var ipv6: [AddressRange] = []

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
      ipv4.append(AddressRange(first: UInt128(first) << 96, bits: bits, value: value))
    }

    /// An IPv6 network: its first address, and the bits of its prefix from 0 to 128.
    public mutating func add(ipv6 first: UInt128, bits: Int, _ value: Value) {
      ipv6.append(AddressRange(first: first, bits: bits, value: value))
    }

    /// The table; of networks that are given twice the later one counts.
    public consuming func build() -> NetworkTable {
      NetworkTable(
        ipv4: NarrowRanges(AddressRange.cut(ipv4)), ipv6: WideRanges(AddressRange.cut(ipv6)))
    }
  }

  private init(ipv4: NarrowRanges, ipv6: WideRanges) {
    self.ipv4 = ipv4
    self.ipv6 = ipv6
  }

  /// A table of nothing.
  public init() { self = Builder().build() }

  /// How many ranges the networks have been cut into.
  public var rangeCount: Int { ipv4.count + ipv6.count }

  /// The value of the smallest network that the address lies in.
  public func value(of address: NetworkAddress) -> Value? {
    let value =
      address.isIPv4
      ? ipv4.value(UInt32(truncatingIfNeeded: address.low)) : ipv6.value(address.high, address.low)
    return value == Self.none ? nil : value
  }
}
