public import Base

/// Who sent a request and how it was asked for, as far as trusted proxies in front of us say so.
///
/// Two families of fields tell it: `X-Forwarded-For`, `-Proto` and `-Host`, and `Forwarded` (RFC 7239).
/// **Where a request has any of the former, `Forwarded` is not looked at**: nearly all proxies write
/// those and pass the other on as it came, from whoever wrote it. So a trusted proxy that writes
/// `Forwarded` must take `X-Forwarded-…` off.
///
/// Each proxy adds an entry at the end of the list, so the list is read from there. The peer is believed
/// if it is trusted, and so is each address that somebody believed names, until one is not trusted: that
/// is the client. Where all are trusted it is the last one reached, the leftmost. An entry that names no
/// address (`unknown`, a pseudonym, or what is malformed) ends the way at the last address before it, since
/// nobody can be asked what stands further left.
///
/// Scheme and host are taken from the entry which names the client, as the proxy wrote it that the client
/// spoke to; of `X-Forwarded-Proto` and `-Host`, which some proxies write once and others add to, from the
/// entry as far from the end of its own list, or the first one of a list that is shorter.
public struct Forwarded: Equatable, Sendable {
  public enum Scheme: Sendable {
    case http, https
  }

  /// Where the request comes from; the peer where nobody trusted says otherwise.
  public var client: NetworkAddress
  /// Whether the peer is a trusted proxy; if not, nothing else was looked at.
  public var peerIsTrusted: Bool
  /// How the client spoke to the first proxy; nil where it is not said, or is neither of them.
  public var scheme: Scheme?
  /// The host, with its port if it has one, that the client asked for; empty where it is not said, or is none.
  ///
  /// A place in the text that the fields were parsed from.
  public var host: ByteRange

  /// Entries that are looked at, counted from the end: no chain of trusted proxies is longer.
  public static let maximumHops = LastEntries.capacity

  /// Reads a request's fields, whose places are in `text`; touches no heap.
  ///
  /// - Parameter isTrusted: Whether an address is that of a proxy whose word counts.
  public static func read(
    _ fields: [Field], text: RawSpan, peer: NetworkAddress, isTrusted: (NetworkAddress) -> Bool
  ) -> Forwarded {
    var result = Forwarded(client: peer, peerIsTrusted: false, scheme: nil, host: .empty)
    guard isTrusted(peer) else { return result }
    result.peerIsTrusted = true
    var hasOld = false
    var hasNew = false
    for index in fields.indices {
      switch fields[index].token {
      case .xForwardedFor, .xForwardedProto, .xForwardedHost: hasOld = true
      case .forwarded: hasNew = true
      default: break
      }
    }
    if hasOld {
      result.readLists(fields, text, isTrusted)
    } else if hasNew {
      result.readElements(fields, text, isTrusted)
    }
    return result
  }

  // MARK: X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host

  private mutating func readLists(
    _ fields: [Field], _ text: RawSpan, _ isTrusted: (NetworkAddress) -> Bool
  ) {
    let addresses = LastEntries(fields, .xForwardedFor, text)
    var hops = 0
    while let entry = addresses.fromEnd(hops), let address = Self.node(text.bytes(entry)) {
      client = address
      hops += 1
      if !isTrusted(address) { break }
    }
    // The last entry of each list is the peer's.
    let place = max(hops - 1, 0)
    let schemes = LastEntries(fields, .xForwardedProto, text)
    if let entry = schemes.fromEnd(min(place, schemes.count - 1)) {
      scheme = Self.scheme(text.bytes(entry))
    }
    let hosts = LastEntries(fields, .xForwardedHost, text)
    if let entry = hosts.fromEnd(min(place, hosts.count - 1)) { host = Self.host(text, entry) }
  }

  // MARK: Forwarded

  private mutating func readElements(
    _ fields: [Field], _ text: RawSpan, _ isTrusted: (NetworkAddress) -> Bool
  ) {
    let elements = LastEntries(fields, .forwarded, text, quoted: true)
    var hops = 0
    while let entry = elements.fromEnd(hops) {
      guard let element = ForwardedElement(text, entry) else { return }
      // The nearer to the client, the better the word.
      if let value = element.proto { scheme = Self.scheme(text.bytes(value)) }
      if let value = element.host { host = Self.host(text, value) }
      guard let value = element.node, let address = Self.node(text.bytes(value)) else { return }
      client = address
      if !isTrusted(address) { return }
      hops += 1
    }
  }

  // MARK: Values

  /// The address of `1.2.3.4`, `1.2.3.4:80`, `[::1]`, `[::1]:80` or `::1`; nil for all else.
  static func node(_ text: RawSpan) -> NetworkAddress? {
    let end = text.byteCount
    guard end > 0 else { return nil }
    if text.byte(0) == UInt8(ascii: "[") {
      let close = text.first(UInt8(ascii: "]"), from: 0, to: end)
      guard close < end, isPort(text.extracting((close + 1)..<end)) else { return nil }
      guard let address = NetworkAddress(text.extracting(1..<close)) else { return nil }
      // Brackets are for IPv6, mapped addresses among them.
      return text.first(UInt8(ascii: ":"), from: 1, to: close) < close ? address : nil
    }
    let colon = text.first(UInt8(ascii: ":"), from: 0, to: end)
    let isIPv6 = colon < end && text.first(UInt8(ascii: ":"), from: colon + 1, to: end) < end
    if isIPv6 || colon == end { return NetworkAddress(text) }
    return isPort(text.extracting(colon..<end)) ? NetworkAddress(text.extracting(0..<colon)) : nil
  }

  /// Nothing, or a colon with a port behind it, which may be a pseudonym (RFC 7239, section 6).
  private static func isPort(_ text: RawSpan) -> Bool {
    let end = text.byteCount
    guard end > 0 else { return true }
    guard end > 1, text.byte(0) == UInt8(ascii: ":") else { return false }
    let port = text.extracting(1..<end)
    return port.byte(0) == UInt8(ascii: "_") ? port.isToken : end <= 6 && port.decimal != nil
  }

  private static func scheme(_ text: RawSpan) -> Scheme? {
    if text.equalsIgnoringCase("https") { return .https }
    return text.equalsIgnoringCase("http") ? .http : nil
  }

  private static func host(_ text: RawSpan, _ place: ByteRange) -> ByteRange {
    Authority.isValid(text.bytes(place), mayBeEmpty: false) ? place : .empty
  }
}

/// The last entries of a list that may be spread over several fields (RFC 9110, 5.6.1).
struct LastEntries {
  /// Longer chains of proxies are no chains but attacks.
  static let capacity = 32

  /// A ring: entry number n lies at n modulo the capacity.
  private var entries = InlineArray<32, ByteRange>(repeating: .empty)
  private var total = 0

  /// Collects the entries of all fields with a token.
  ///
  /// - Parameter quoted: Whether commas within quoted strings belong to their entry.
  init(_ fields: [Field], _ token: FieldToken, _ text: RawSpan, quoted: Bool = false) {
    for index in fields.indices where fields[index].token == token {
      let field = fields[index].value
      // A place that is not in the text has no bytes.
      guard field.end <= text.byteCount else { continue }
      var start = Int(field.start)
      while start < field.end {
        let end =
          quoted
          ? Self.quotedEnd(text, start, field.end)
          : text.first(UInt8(ascii: ","), from: start, to: field.end)
        add(text.trimmed(from: start, to: end))
        start = end + 1
      }
    }
  }

  /// The entries at hand, at most `capacity`.
  var count: Int { min(total, Self.capacity) }

  /// The entry so far from the end, 0 being the last one; nil where there is none at hand.
  func fromEnd(_ distance: Int) -> ByteRange? {
    guard distance >= 0, distance < count else { return nil }
    return entries[(total - 1 - distance) % Self.capacity]
  }

  /// Empty entries are none (RFC 9110, 5.6.1.2).
  private mutating func add(_ entry: ByteRange) {
    if entry.isEmpty { return }
    entries[total % Self.capacity] = entry
    total += 1
  }

  /// The next comma outside of quotes, or the end.
  private static func quotedEnd(_ text: RawSpan, _ start: Int, _ end: Int) -> Int {
    var offset = start
    var isQuoted = false
    while offset < end {
      switch text.byte(offset) {
      case UInt8(ascii: "\""): isQuoted.toggle()
      case UInt8(ascii: "\\") where isQuoted: offset += 1
      case UInt8(ascii: ",") where !isQuoted: return offset
      default: break
      }
      offset += 1
    }
    return end
  }
}

/// One element of Forwarded: the places of the values that count (RFC 7239, section 4).
struct ForwardedElement {
  private(set) var node: ByteRange?
  private(set) var proto: ByteRange?
  private(set) var host: ByteRange?

  /// Reads `for=192.0.2.60;proto=http;host="a.example:80"`; nil where it is not of this form.
  ///
  /// Values are given without their quotes. One with an escape in it is malformed: no address, scheme or
  /// host needs one.
  init?(_ text: RawSpan, _ element: ByteRange) {
    var offset = Int(element.start)
    let end = element.end
    guard end <= text.byteCount else { return nil }
    while offset < end {
      // Empty pairs pass, as in `for=a;;proto=b`.
      if text.byte(offset) == UInt8(ascii: ";") || text.byte(offset).isBlank {
        offset += 1
        continue
      }
      let equals = text.first(UInt8(ascii: "="), from: offset, to: end)
      let name = text.extracting(offset..<equals)
      guard equals + 1 < end, name.isToken,
        let value = Self.value(text, from: equals + 1, to: end)
      else { return nil }
      guard take(name, value.place) else { return nil }
      offset = value.next
      while offset < end, text.byte(offset).isBlank { offset += 1 }
      guard offset == end || text.byte(offset) == UInt8(ascii: ";") else { return nil }
    }
  }

  /// The value's place, and where the text goes on.
  private static func value(
    _ text: RawSpan, from start: Int, to end: Int
  ) -> (place: ByteRange, next: Int)? {
    var offset = start
    guard text.byte(start) == UInt8(ascii: "\"") else {
      // Colons and brackets want quotes, and are often written without.
      while offset < end, isBare(text.byte(offset)) { offset += 1 }
      return offset > start ? (ByteRange(start: start, count: offset - start), offset) : nil
    }
    offset += 1
    while offset < end, text.byte(offset) != UInt8(ascii: "\"") {
      if text.byte(offset) == UInt8(ascii: "\\") { return nil }
      offset += 1
    }
    guard offset < end else { return nil }
    return (ByteRange(start: start + 1, count: offset - start - 1), offset + 1)
  }

  private static func isBare(_ byte: UInt8) -> Bool {
    byte.isTokenByte || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "[")
      || byte == UInt8(ascii: "]")
  }

  /// Notes a pair; false where it was there before, which the RFC forbids.
  private mutating func take(_ name: RawSpan, _ value: ByteRange) -> Bool {
    if name.equalsIgnoringCase("for") {
      defer { node = value }
      return node == nil
    }
    if name.equalsIgnoringCase("proto") {
      defer { proto = value }
      return proto == nil
    }
    if name.equalsIgnoringCase("host") {
      defer { host = value }
      return host == nil
    }
    return true
  }
}
