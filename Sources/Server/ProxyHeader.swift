internal import Base
internal import HTTP
internal import System

/// What a proxy says before anything else of the client behind it: PROXY protocol, version 1 or 2 (HAProxy's
/// "The PROXY protocol", 2.1 and 2.2).
///
/// The client's address is taken and nothing else; what version 2 has behind it is passed over.
enum ProxyHeader: Equatable {
  /// It is right so far, and not whole.
  case needMore
  /// These are no such words, or longer than anybody has to say.
  case malformed
  /// So many bytes are the header; the client's address, nil where the proxy speaks for itself.
  case complete(bytes: Int, client: SocketAddress?)

  /// The longest line of version 1, with its end.
  static let longestLine = 107
  /// The longest header of version 2 that is read: the addresses, and what certificates some proxies tell of.
  static let longest = 4096

  static let signature: [UInt8] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a,
  ]

  /// Reads the start of a connection.
  static func parse(_ bytes: RawSpan) -> ProxyHeader {
    if bytes.isEmpty { return .needMore }
    let isSecond = bytes.byte(0) == signature[0]
    let start = isSecond ? signature : Array("PROXY ".utf8)
    let count = min(start.count, bytes.byteCount)
    guard bytes.extracting(0..<count).equals(Array(start[..<count]).rawBytes) else {
      return .malformed
    }
    if count < start.count { return .needMore }
    return isSecond ? parseSecond(bytes) : parseFirst(bytes)
  }

  /// `PROXY TCP4 192.0.2.1 192.0.2.9 56324 443`, and the same with TCP6; `PROXY UNKNOWN` and whatever follows.
  private static func parseFirst(_ bytes: RawSpan) -> ProxyHeader {
    let most = min(bytes.byteCount, longestLine)
    let end = bytes.first(0x0a, from: 0, to: most)
    if end == most { return most == longestLine ? .malformed : .needMore }
    guard end > 0, bytes.byte(end - 1) == 0x0d else { return .malformed }
    var words: [RangeOfBytes] = []
    var place = 0
    while place < end - 1 {
      let stop = bytes.first(0x20, from: place, to: end - 1)
      words.append(place..<stop)
      place = stop + 1
    }
    let kind = words.count > 1 ? bytes.extracting(words[1]) : RawSpan()
    if kind.equals("UNKNOWN") { return .complete(bytes: end + 1, client: nil) }
    let isIPv4 = kind.equals("TCP4")
    guard isIPv4 || kind.equals("TCP6"), words.count == 6,
      bytes.byte(end - 2) != 0x20,
      let source = NetworkAddress(bytes.extracting(words[2])),
      let target = NetworkAddress(bytes.extracting(words[3])),
      source.isIPv4 == isIPv4, target.isIPv4 == isIPv4,
      let port = portNumber(bytes.extracting(words[4])),
      portNumber(bytes.extracting(words[5])) != nil,
      let client = SocketAddress(host: source.description, port: port)
    else { return .malformed }
    return .complete(bytes: end + 1, client: client)
  }

  private typealias RangeOfBytes = Range<Int>

  private static func portNumber(_ text: RawSpan) -> UInt16? {
    guard text.byteCount <= 5, let number = text.decimal else { return nil }
    return UInt16(exactly: number)
  }

  private static func parseSecond(_ bytes: RawSpan) -> ProxyHeader {
    // The signature, version and command, family and protocol, the length of what follows.
    guard bytes.byteCount >= 16 else { return .needMore }
    let length = Int(bytes.byte(14)) << 8 | Int(bytes.byte(15))
    guard bytes.byte(12) >> 4 == 2, 16 + length <= longest else { return .malformed }
    guard bytes.byteCount >= 16 + length else { return .needMore }
    let whole = 16 + length
    switch bytes.byte(12) & 0x0f {
    case 0: return .complete(bytes: whole, client: nil)
    case 1: break
    default: return .malformed
    }
    switch bytes.byte(13) {
    case 0x11 where length >= 12:
      let address = NetworkAddress(ipv4: UInt32(truncatingIfNeeded: number(bytes, 16, 4)))
      return complete(whole, address, number(bytes, 24, 2))
    case 0x21 where length >= 36:
      let address = NetworkAddress(high: number(bytes, 16, 8), low: number(bytes, 24, 8))
      return complete(whole, address, number(bytes, 48, 2))
    case 0x11, 0x21: return .malformed
    // Datagrams, local sockets and what is not known: of no address that we could use.
    default: return .complete(bytes: whole, client: nil)
    }
  }

  private static func complete(_ whole: Int, _ address: NetworkAddress, _ port: UInt64)
    -> ProxyHeader
  {
    guard
      let client = SocketAddress(
        host: address.description, port: UInt16(truncatingIfNeeded: port))
    else { return .malformed }
    return .complete(bytes: whole, client: client)
  }

  private static func number(_ bytes: RawSpan, _ place: Int, _ count: Int) -> UInt64 {
    var value: UInt64 = 0
    for offset in place..<place + count { value = value << 8 | UInt64(bytes.byte(offset)) }
    return value
  }
}
