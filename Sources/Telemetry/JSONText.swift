public import Base

extension ByteBuffer {
  /// Appends bytes as the inside of a JSON string (RFC 8259, section 7), whatever they are.
  ///
  /// Quotation mark and backslash get a backslash, control characters (C0, DELETE and C1, which
  /// could steer a terminal) become `\u00XX`, and each byte that is not part of well-formed UTF-8
  /// becomes U+FFFD. Everything else stands as it is.
  public mutating func append(jsonEscaping bytes: RawSpan) {
    var start = 0
    var offset = 0
    while true {
      offset = bytes.firstNotPlain(from: offset)
      guard offset < bytes.byteCount else { break }
      let length = bytes.printableUTF8Length(at: offset)
      if length > 0 {
        offset += length
        continue
      }
      append(bytes.extracting(start..<offset))
      offset += appendEscape(bytes, at: offset)
      start = offset
    }
    append(bytes.extracting(start..<offset))
  }

  /// Appends the escape for what stands at an offset, and gives how many bytes that was.
  private mutating func appendEscape(_ bytes: RawSpan, at offset: Int) -> Int {
    let byte = bytes.byte(offset)
    switch byte {
    case 0x22, 0x5c:
      append(0x5c)
      append(byte)
    case 0x00...0x1f, 0x7f:
      append(control: byte)
    case 0xc2 where offset + 1 < bytes.byteCount && bytes.byte(offset + 1) & 0xe0 == 0x80:
      append(control: bytes.byte(offset + 1))
      return 2
    default:
      append("\\ufffd" as StaticString)
    }
    return 1
  }

  private mutating func append(control byte: UInt8) {
    append("\\u00" as StaticString)
    append(hexDigit(byte >> 4))
    append(hexDigit(byte & 0x0f))
  }

  private func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x57 + value
  }
}

extension RawSpan {
  /// Where the first byte stands that is not printable ASCII or is `"` or `\`; the count if none is.
  fileprivate func firstNotPlain(from start: Int) -> Int {
    var offset = start
    while offset + 8 <= byteCount {
      // The loop's condition holds the eight bytes inside.
      let word = UInt64(
        littleEndian: unsafe unsafeLoadUnaligned(
          fromUncheckedByteOffset: offset, as: UInt64.self))
      let found = Self.notPlain(word)
      if found != 0 { return offset + found.trailingZeroBitCount / 8 }
      offset += 8
    }
    while offset < byteCount {
      let byte = byte(offset)
      if byte < 0x20 || byte >= 0x7f || byte == 0x22 || byte == 0x5c { return offset }
      offset += 1
    }
    return offset
  }

  /// The top bit of each byte that is not plain; bits above the lowest one may be wrong.
  @inline(__always)
  private static func notPlain(_ word: UInt64) -> UInt64 {
    let ones: UInt64 = 0x0101_0101_0101_0101
    // A byte below n: the subtraction borrows. Right up to the first byte where it does.
    func below(_ word: UInt64, _ limit: UInt64) -> UInt64 { (word &- ones &* limit) & ~word }
    let found =
      below(word, 0x20) | below(word ^ (ones &* 0x22), 1) | below(word ^ (ones &* 0x5c), 1)
      | below(word ^ (ones &* 0x7f), 1) | word
    return found & (ones &* 0x80)
  }

  /// The length of the well-formed sequence of UTF-8 at an offset that may stand unescaped, else 0.
  ///
  /// Well-formed as in table 3-7 of the Unicode Standard: no overlong form, no surrogate, nothing
  /// above U+10FFFF. ASCII and C1 controls give 0.
  fileprivate func printableUTF8Length(at offset: Int) -> Int {
    let length: Int
    var second: ClosedRange<UInt8> = 0x80...0xbf
    switch byte(offset) {
    case 0xc2:
      length = 2
      second = 0xa0...0xbf
    case 0xc3...0xdf: length = 2
    case 0xe0:
      length = 3
      second = 0xa0...0xbf
    case 0xed:
      length = 3
      second = 0x80...0x9f
    case 0xe1...0xef: length = 3
    case 0xf0:
      length = 4
      second = 0x90...0xbf
    case 0xf1...0xf3: length = 4
    case 0xf4:
      length = 4
      second = 0x80...0x8f
    default: return 0
    }
    guard length <= byteCount - offset, second.contains(byte(offset + 1)) else { return 0 }
    for next in 2..<max(length, 2) where byte(offset + next) & 0xc0 != 0x80 { return 0 }
    return length
  }
}
