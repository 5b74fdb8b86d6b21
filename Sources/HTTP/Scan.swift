public import Base

/// Eight bytes looked at in one step, as one word.
///
/// A test gives a word whose lowest set bit marks the first byte that passes; bits above it may be wrong,
/// since a borrow can run upwards (the "haszero" trick).
public enum Lanes {
  /// Marks bytes below `limit`, which is at most 128.
  @inline(__always)
  public static func below(_ limit: UInt8, _ word: UInt64) -> UInt64 {
    (word &- 0x0101_0101_0101_0101 &* UInt64(limit)) & ~word & 0x8080_8080_8080_8080
  }

  /// Marks bytes equal to `byte`.
  @inline(__always)
  public static func equal(_ byte: UInt8, _ word: UInt64) -> UInt64 {
    below(1, word ^ (0x0101_0101_0101_0101 &* UInt64(byte)))
  }

  /// Whether all bytes of two words are printable ASCII, 0x20 to 0x7e.
  @inline(__always)
  static func arePrintable(_ one: UInt64, _ other: UInt64) -> Bool {
    // A byte below 0x20 borrows, 0x7f carries, and one above has its high bit already.
    let blank: UInt64 = 0x2020_2020_2020_2020
    let unit: UInt64 = 0x0101_0101_0101_0101
    let marks =
      (one &- blank) | (one &+ unit) | one | (other &- blank) | (other &+ unit) | other
    return marks & 0x8080_8080_8080_8080 == 0
  }

  /// The offset of the first marked byte.
  @inline(__always)
  public static func first(_ marks: UInt64) -> Int {
    marks.trailingZeroBitCount &>> 3
  }
}

extension RawSpan {
  /// Eight bytes from an offset, the first one lowest; they must lie inside (a trap otherwise).
  @inline(__always)
  public func word(_ offset: Int) -> UInt64 {
    precondition(offset >= 0 && offset &+ 8 <= byteCount)
    return wordInside(offset)
  }

  /// The same, unchecked: every caller has checked its bounds once, before its loop.
  @inline(__always)
  private func wordInside(_ offset: Int) -> UInt64 {
    UInt64(
      littleEndian: unsafe unsafeLoadUnaligned(
        fromUncheckedByteOffset: offset, as: UInt64.self))
  }

  /// The offset of the first byte from `start` that is a control byte other than HTAB, or DEL.
  ///
  /// `byteCount` where there is none. Such a byte ends a line or spoils it.
  @inline(__always)
  public func firstControl(from start: Int) -> Int {
    precondition(start >= 0 && start <= byteCount)
    var offset = start
    // Runs of printable ASCII, which is nearly all there is, are passed over in larger steps.
    while offset &+ 16 <= byteCount,
      Lanes.arePrintable(wordInside(offset), wordInside(offset &+ 8))
    {
      offset &+= 16
    }
    while offset &+ 8 <= byteCount {
      let word = wordInside(offset)
      let marks = Lanes.below(0x20, word) | Lanes.equal(0x7f, word)
      if marks == 0 {
        offset &+= 8
        continue
      }
      offset &+= Lanes.first(marks)
      if byte(offset) != 0x09 { return offset }
      offset &+= 1
    }
    while offset < byteCount {
      let byte = byte(offset)
      if byte == 0x7f || (byte < 0x20 && byte != 0x09) { return offset }
      offset &+= 1
    }
    return byteCount
  }

  /// The offset of the first `wanted` in `start..<end`, or `end`.
  @inline(__always)
  public func first(_ wanted: UInt8, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= byteCount)
    var offset = start
    while offset &+ 8 <= end {
      let marks = Lanes.equal(wanted, wordInside(offset))
      if marks != 0 { return offset &+ Lanes.first(marks) }
      offset &+= 8
    }
    while offset < end {
      if byte(offset) == wanted { return offset }
      offset &+= 1
    }
    return end
  }

  /// The offset of the first of two bytes, or of any below 0x21, in `start..<end`, or `end`.
  @inline(__always)
  public func firstBlank(or one: UInt8, or two: UInt8, from start: Int, to end: Int) -> Int {
    precondition(start >= 0 && end <= byteCount)
    var offset = start
    while offset &+ 8 <= end {
      let word = wordInside(offset)
      let marks = Lanes.below(0x21, word) | Lanes.equal(one, word) | Lanes.equal(two, word)
      if marks != 0 { return offset &+ Lanes.first(marks) }
      offset &+= 8
    }
    while offset < end {
      let byte = byte(offset)
      if byte < 0x21 || byte == one || byte == two { return offset }
      offset &+= 1
    }
    return end
  }

  /// Whether the bytes are a known field name, in any case of letters.
  ///
  /// `name` has letters and hyphens only. Bit 5 is the case of a letter; setting it in both makes
  /// letters and hyphens comparable, and bytes below 0x20, which it would disguise, are looked for.
  func equalsName(_ name: StaticString) -> Bool {
    let count = byteCount
    guard name.utf8CodeUnitCount == count else { return false }
    let known = unsafe RawSpan(_unsafeStart: name.utf8Start, byteCount: count)
    if count < 8 {
      for offset in 0..<count {
        let byte = byte(offset)
        if byte < 0x20 || byte | 0x20 != known.byte(offset) | 0x20 { return false }
      }
      return true
    }
    var offset = 0
    while true {
      let mine = word(offset)
      let differs = (mine ^ known.word(offset)) & 0xdfdf_dfdf_dfdf_dfdf
      if differs != 0 || (mine | mine &<< 1) & 0x4040_4040_4040_4040 != 0x4040_4040_4040_4040 {
        return false
      }
      if offset == count - 8 { return true }
      // The last step overlaps the one before.
      offset = min(offset + 8, count - 8)
    }
  }
}

extension UInt8 {
  /// Whether the byte may stand in a token, such as a method or field name (RFC 9110, 5.6.2).
  @inline(__always)
  public var isTokenByte: Bool {
    // One bit for each of the 128 ASCII bytes.
    let bits: UInt64 = self < 64 ? 0x03ff_6cfa_0000_0000 : 0x57ff_ffff_c7ff_fffe
    return self < 128 && bits &>> UInt64(self & 63) & 1 == 1
  }

  /// Whether the byte is a space or HTAB.
  @inline(__always)
  public var isBlank: Bool { self == 0x20 || self == 0x09 }
}

extension RawSpan {
  /// Whether this is a token: one byte or more, all of them allowed in it (RFC 9110, 5.6.2).
  public var isToken: Bool {
    for offset in 0..<byteCount where !byte(offset).isTokenByte { return false }
    return byteCount > 0
  }

  /// The part of `start..<end` without spaces and tabs at its ends.
  @inline(__always)
  public func trimmed(from start: Int, to end: Int) -> ByteRange {
    var start = start
    var end = end
    while start < end, byte(start).isBlank { start &+= 1 }
    while end > start, byte(end &- 1).isBlank { end &-= 1 }
    return ByteRange(start: start, count: end &- start)
  }

  /// A non-negative decimal number of digits alone; nil where it is none or does not fit.
  public var decimal: Int64? {
    guard byteCount > 0 else { return nil }
    var value: Int64 = 0
    for offset in 0..<byteCount {
      let byte = byte(offset)
      guard byte.isASCIIDigit else { return nil }
      let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, tooLargeToo) = tens.addingReportingOverflow(Int64(byte & 0x0f))
      if tooLarge || tooLargeToo { return nil }
      value = sum
    }
    return value
  }

  /// The same, but what does not fit is the largest number.
  public var decimalClamped: Int64? {
    if let value = decimal { return value }
    guard byteCount > 0 else { return nil }
    for offset in 0..<byteCount where !byte(offset).isASCIIDigit { return nil }
    return .max
  }
}
