public import Base

/// Host and optional port, without user information (RFC 9110, 7.2; RFC 3986, 3.2).
public enum Authority {
  public static func isValid(_ text: RawSpan, mayBeEmpty: Bool) -> Bool {
    if text.byteCount == 0 { return mayBeEmpty }
    let hostEnd = hostEnd(text)
    guard hostEnd > 0 else { return false }
    if hostEnd < text.byteCount {
      guard text.byte(hostEnd) == UInt8(ascii: ":") else { return false }
      let digits = text.extracting((hostEnd + 1)..<text.byteCount)
      if digits.byteCount > 0 {
        guard digits.byteCount <= 5, let port = digits.decimal, port <= 65_535 else {
          return false
        }
      }
    }
    let host = text.extracting(0..<hostEnd)
    return host.byte(0) == UInt8(ascii: "[") ? isLiteral(host) : isRegisteredName(host)
  }

  /// The port of a valid authority, nil where it names none.
  public static func port(_ text: RawSpan) -> Int64? {
    let start = hostEnd(text) + 1
    return start < text.byteCount ? text.extracting(start..<text.byteCount).decimal : nil
  }

  /// Whether two valid authorities are one, letters' case and a scheme's own port aside.
  public static func same(
    _ bytes: RawSpan, _ one: ByteRange, _ other: ByteRange, defaultPort: Int64
  ) -> Bool {
    let one = bytes.bytes(one)
    let other = bytes.bytes(other)
    let hostEnd = hostEnd(one)
    guard hostEnd == self.hostEnd(other),
      (port(one) ?? defaultPort) == (port(other) ?? defaultPort)
    else { return false }
    for offset in 0..<hostEnd
    where one.byte(offset).asciiLowercased != other.byte(offset).asciiLowercased {
      return false
    }
    return true
  }

  /// Where the host ends: after `]`, or at the first colon.
  public static func hostEnd(_ text: RawSpan) -> Int {
    if text.byteCount > 0, text.byte(0) == UInt8(ascii: "[") {
      return min(text.first(UInt8(ascii: "]"), from: 0, to: text.byteCount) + 1, text.byteCount)
    }
    return text.first(UInt8(ascii: ":"), from: 0, to: text.byteCount)
  }

  /// An IPv6 address in brackets; only its bytes are looked at.
  private static func isLiteral(_ host: RawSpan) -> Bool {
    let end = host.byteCount - 1
    guard end >= 3, host.byte(end) == UInt8(ascii: "]") else { return false }
    for offset in 1..<end {
      let byte = host.byte(offset)
      let isAllowed =
        byte.hexValue != nil || byte == UInt8(ascii: ":") || byte == UInt8(ascii: ".")
      if !isAllowed { return false }
    }
    return true
  }

  /// A reg-name: unreserved bytes, sub-delims and percent-encoded ones.
  private static func isRegisteredName(_ host: RawSpan) -> Bool {
    var offset = 0
    while offset < host.byteCount {
      let byte = host.byte(offset)
      if byte == UInt8(ascii: "%") {
        guard offset + 2 < host.byteCount, host.byte(offset + 1).hexValue != nil,
          host.byte(offset + 2).hexValue != nil
        else { return false }
        offset += 3
        continue
      }
      // One bit for each of the 128 ASCII bytes.
      let bits: UInt64 = byte < 64 ? 0x2bff_7fd2_0000_0000 : 0x47ff_fffe_87ff_fffe
      guard byte < 128, bits &>> UInt64(byte & 63) & 1 == 1 else { return false }
      offset += 1
    }
    return true
  }
}
