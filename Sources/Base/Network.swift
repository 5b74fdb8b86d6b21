/// All addresses that begin with the same bits: a CIDR block (RFC 4632; RFC 4291, 2.3).
///
/// An IPv4 network holds IPv4 addresses, in whichever form they come; an IPv6 network holds none of
/// them: `::/0` is all of IPv6 and nothing else.
public struct Network: Hashable, Sendable {
  /// The first address.
  public let address: NetworkAddress
  /// How many bits all its addresses begin with: up to 32, or up to 128 in IPv6.
  public let prefixBits: Int
  private let highMask: UInt64
  private let lowMask: UInt64

  /// The network of an address that stands alone.
  public init(_ address: NetworkAddress) {
    self.init(address, bits: 128)
  }

  /// The network of so many bits that an address lies in, counted in all 128.
  private init(_ address: NetworkAddress, bits: Int) {
    highMask = bits >= 64 ? .max : ~(UInt64.max >> UInt64(bits))
    // A shift by 64 or more gives zero.
    lowMask = bits <= 64 ? 0 : ~(UInt64.max >> UInt64(bits - 64))
    self.address = NetworkAddress(high: address.high & highMask, low: address.low & lowMask)
    // Of the first address, since a shorter prefix cuts off what makes a mapped one.
    prefixBits = self.address.isIPv4 ? bits - Self.mappedBits : bits
  }

  /// Bits before those of a mapped IPv4 address.
  private static let mappedBits = 96

  public var isIPv4: Bool { address.isIPv4 }

  /// Reads `10.0.0.0/8` or `2001:db8::/32`; an address without a length is a network of its own.
  ///
  /// Strict: bits behind the prefix must be zero, since whoever writes `10.0.0.5/8` meant something else
  /// than what it would be.
  public init(_ text: some StringProtocol) throws(NetworkError) {
    let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    guard let first = parts.first, let address = NetworkAddress(first) else { throw .address }
    guard parts.count == 2 else {
      self.init(address)
      return
    }
    // Mapped addresses are written as IPv6, with the length that goes with it.
    let isWrittenAsIPv4 = !first.utf8.contains(UInt8(ascii: ":"))
    let longest = isWrittenAsIPv4 ? 32 : 128
    let digits = parts[1].utf8
    guard (1...3).contains(digits.count), digits.allSatisfy(\.isASCIIDigit),
      digits.count == 1 || digits.first != UInt8(ascii: "0"), let bits = Int(parts[1]),
      bits <= longest
    else { throw .length(longest: longest) }
    let all = isWrittenAsIPv4 ? Self.mappedBits + bits : bits
    let network = Network(address, bits: all)
    guard network.address == address else { throw .hostBits(address, of: network) }
    self = network
  }

  public func contains(_ address: NetworkAddress) -> Bool {
    address.high & highMask == self.address.high && address.low & lowMask == self.address.low
      && address.isIPv4 == isIPv4
  }
}

extension Network: CustomStringConvertible {
  /// `10.0.0.0/8`; always with the length.
  public var description: String { "\(address)/\(prefixBits)" }
}

/// Why a text is no network.
public enum NetworkError: Error, Equatable, Sendable {
  /// What stands before the slash, or all of it, is no address.
  case address
  /// What stands behind the slash is no number of bits.
  case length(longest: Int)
  /// The address has bits behind the prefix: it is one of this network's, not the first.
  case hostBits(NetworkAddress, of: Network)

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .address: "it begins with no IPv4 or IPv6 address"
    case .length(let longest): "what follows the slash is no number of bits from 0 to \(longest)"
    case .hostBits(let address, let network):
      "bits are set behind the prefix: the network is \(network), the address alone \(address)"
    }
  }
}

/// Networks that an address is looked for in: a handful, one after the other, without allocation.
public struct NetworkSet: Equatable, Sendable {
  /// Each costs a nanosecond or so in each look-up.
  public static let maximumCount = 256

  /// The longest prefixes first, each network once.
  public let networks: [Network]

  /// Takes the first `maximumCount` of them.
  public init(_ networks: some Sequence<Network> = []) {
    var seen: Set<Network> = []
    let distinct = networks.filter { seen.insert($0).inserted }.prefix(Self.maximumCount)
    self.networks = distinct.sorted {
      ($0.prefixBits, $1.address.high, $1.address.low)
        > ($1.prefixBits, $0.address.high, $0.address.low)
    }
  }

  public var isEmpty: Bool { networks.isEmpty }

  /// Whether the address lies in one of them.
  public func contains(_ address: NetworkAddress) -> Bool { network(of: address) != nil }

  /// The smallest of them that the address lies in.
  public func network(of address: NetworkAddress) -> Network? {
    for index in networks.indices where networks[index].contains(address) {
      return networks[index]
    }
    return nil
  }
}
