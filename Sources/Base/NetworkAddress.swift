/// An IPv4 or IPv6 address without a port, as 16 bytes.
///
/// An IPv4 address is kept in its IPv6-mapped form (`::ffff:a.b.c.d`, RFC 4291, 2.5.5.2), so that both
/// ways in which a socket may name one client are one address.
public struct NetworkAddress: Hashable, Sendable {
  /// The first eight bytes, as one number.
  public let high: UInt64
  /// The last eight bytes, as one number.
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  /// An IPv4 address; `127.0.0.1` is 0x7f00_0001.
  public init(ipv4: UInt32) {
    self.init(high: 0, low: Self.mapped | UInt64(ipv4))
  }

  /// What stands above the 32 bits of a mapped IPv4 address.
  private static let mapped: UInt64 = 0xffff_0000_0000

  public var isIPv4: Bool { high == 0 && low & ~0xffff_ffff == Self.mapped }

  /// The network that it is in, of 24 bits for an IPv4 address and of 48 for an IPv6 one: what is left of an
  /// address where nobody is to be told by it.
  ///
  /// The 48 bits of a 6to4 address (RFC 3056) hold a whole IPv4 address, so 40 of them are left.
  public var shortened: NetworkAddress {
    if isIPv4 { return NetworkAddress(high: high, low: low & ~0xff) }
    let is6to4 = high >> 48 == 0x2002
    return NetworkAddress(high: high & (is6to4 ? ~0xff_ffff : ~0xffff), low: 0)
  }

  /// Reads `127.0.0.1`, or an IPv6 address in a form of RFC 4291, section 2.2, without brackets.
  ///
  /// Strict: nil for leading zeros and short forms of IPv4 (`010.1`), which programs read in several ways,
  /// and for zones (`%eth0`), which mean nothing on another machine.
  public init?(_ text: RawSpan) {
    if let ipv4 = Self.ipv4(text) {
      self.init(ipv4: ipv4)
    } else if let ipv6 = Self.ipv6(text) {
      self = ipv6
    } else {
      return nil
    }
  }

  /// The same, from a string.
  public init?(_ text: some StringProtocol) {
    let bytes = Array(text.utf8)
    self.init(bytes.rawBytes)
  }

  private static func ipv4(_ text: RawSpan) -> UInt32? {
    guard (7...15).contains(text.byteCount) else { return nil }
    var address: UInt32 = 0
    var number: UInt32 = 0
    var digits = 0
    var parts = 1
    for offset in 0..<text.byteCount {
      let byte = text.byte(offset)
      if byte == UInt8(ascii: ".") {
        guard digits > 0, parts < 4 else { return nil }
        address = address << 8 | number
        number = 0
        digits = 0
        parts += 1
      } else {
        guard byte.isASCIIDigit, digits == 0 || number > 0 else { return nil }
        number = number * 10 + UInt32(byte & 0x0f)
        digits += 1
        guard number <= 255 else { return nil }
      }
    }
    return parts == 4 && digits > 0 ? address << 8 | number : nil
  }

  private static func ipv6(_ text: RawSpan) -> NetworkAddress? {
    // "::" is the shortest form, eight groups of which the last two are written as IPv4 the longest.
    let end = text.byteCount
    guard (2...45).contains(end) else { return nil }
    var groups = InlineArray<8, UInt16>(repeating: 0)
    var count = 0
    // How many groups stand before the "::".
    var gap: Int?
    var offset = 0
    if text.hasPrefix("::") {
      gap = 0
      offset = 2
    }
    while offset < end {
      var next = offset
      while next < end, text.byte(next) != UInt8(ascii: ":") { next += 1 }
      let part = text.extracting(offset..<next)
      if next == end, count <= 6, let ipv4 = ipv4(part) {
        groups[count] = UInt16(ipv4 >> 16)
        groups[count + 1] = UInt16(truncatingIfNeeded: ipv4)
        count += 2
        break
      }
      guard count < 8, let group = group(part) else { return nil }
      groups[count] = group
      count += 1
      if next == end { break }
      offset = next + 1
      // A single colon separates; it cannot end the text.
      guard offset < end else { return nil }
      if text.byte(offset) == UInt8(ascii: ":") {
        guard gap == nil else { return nil }
        gap = count
        offset += 1
      }
    }
    guard gap == nil ? count == 8 : count < 8 else { return nil }
    let before = gap ?? 8
    let missing = 8 - count
    var words: (high: UInt64, low: UInt64) = (0, 0)
    for index in 0..<8 {
      let group =
        index < before ? groups[index] : index < before + missing ? 0 : groups[index - missing]
      words.high = words.high << 16 | words.low >> 48
      words.low = words.low << 16 | UInt64(group)
    }
    return NetworkAddress(high: words.high, low: words.low)
  }

  /// One to four hexadecimal digits.
  private static func group(_ text: RawSpan) -> UInt16? {
    guard (1...4).contains(text.byteCount) else { return nil }
    var group: UInt16 = 0
    for offset in 0..<text.byteCount {
      guard let digit = text.byte(offset).hexValue else { return nil }
      group = group << 4 | UInt16(digit)
    }
    return group
  }
}

extension NetworkAddress: CustomStringConvertible {
  /// `127.0.0.1` or `2001:db8::1`, as RFC 5952 wants it; a mapped IPv4 address is written as IPv4.
  public var description: String {
    var text = ByteBuffer(capacity: 64)
    appendText(to: &text)
    return text.readable.text
  }

  /// Appends the same; touches no heap where the buffer has room.
  public func appendText(to output: inout ByteBuffer) {
    if isIPv4 {
      for part in 0..<4 {
        if part > 0 { output.append(UInt8(ascii: ".")) }
        output.append(decimal: UInt8(truncatingIfNeeded: low >> UInt64(24 - 8 * part)))
      }
      return
    }
    let gap = longestGap
    var index = 0
    while index < 8 {
      if index == gap.lowerBound, gap.count > 1 {
        output.append("::")
        index = gap.upperBound
        continue
      }
      if index > 0, index != gap.upperBound || gap.count < 2 { output.append(UInt8(ascii: ":")) }
      appendGroup(group(index), to: &output)
      index += 1
    }
  }

  private func group(_ index: Int) -> UInt16 {
    let word = index < 4 ? high : low
    return UInt16(truncatingIfNeeded: word >> UInt64(16 * (3 - index % 4)))
  }

  /// The first of the longest runs of zero groups.
  private var longestGap: Range<Int> {
    var longest = 0..<0
    var start = 0
    for index in 0..<8 {
      if group(index) != 0 {
        start = index + 1
      } else if index + 1 - start > longest.count {
        longest = start..<index + 1
      }
    }
    return longest
  }

  private func appendGroup(_ group: UInt16, to output: inout ByteBuffer) {
    var isLeading = true
    for place in 0..<4 {
      let digit = UInt8(truncatingIfNeeded: group >> UInt16(12 - 4 * place)) & 0x0f
      if isLeading, digit == 0, place < 3 { continue }
      isLeading = false
      output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
  }
}
