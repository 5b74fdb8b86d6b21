/// A place in somebody else's bytes: where it starts and how long it is.
///
/// Parsers give these instead of copies; they mean something only beside the bytes they were made for.
public struct ByteRange: Equatable, Hashable, Sendable {
  public var start: UInt32
  public var count: UInt32

  public init(start: Int, count: Int) {
    self.start = UInt32(truncatingIfNeeded: start)
    self.count = UInt32(truncatingIfNeeded: count)
  }

  public static let empty = ByteRange(start: 0, count: 0)

  public var isEmpty: Bool { count == 0 }
  public var end: Int { Int(start) + Int(count) }
  public var range: Range<Int> { Int(start)..<end }
}

extension RawSpan {
  /// The bytes of a range; an empty span where the range does not lie inside.
  @_lifetime(copy self)
  public func bytes(_ range: ByteRange) -> RawSpan {
    range.end <= byteCount ? extracting(range.range) : extracting(0..<0)
  }

  /// The byte at an offset, which must be below `byteCount` (a trap otherwise).
  @inline(__always)
  public func byte(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < byteCount)
    return unsafe unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
  }

  /// Whether the bytes are exactly those of a text.
  public func equals(_ text: StaticString) -> Bool {
    guard text.utf8CodeUnitCount == byteCount else { return false }
    return unsafe equals(RawSpan(_unsafeStart: text.utf8Start, byteCount: byteCount))
  }

  /// Whether the bytes are those of a text but for the case of ASCII letters; `text` is lower-case.
  public func equalsIgnoringCase(_ text: StaticString) -> Bool {
    guard text.utf8CodeUnitCount == byteCount else { return false }
    for offset in 0..<byteCount {
      let expected = unsafe text.utf8Start[offset]
      if byte(offset).asciiLowercased != expected { return false }
    }
    return true
  }

  /// Whether the bytes are the same as others.
  ///
  /// Eight at a step: a hit compares its whole key.
  public func equals(_ other: RawSpan) -> Bool {
    guard other.byteCount == byteCount else { return false }
    var offset = 0
    // Within both, which are of one length; the order of a word's bytes does not matter here.
    while offset &+ 8 <= byteCount {
      let mine = unsafe unsafeLoadUnaligned(fromUncheckedByteOffset: offset, as: UInt64.self)
      let others = unsafe other.unsafeLoadUnaligned(
        fromUncheckedByteOffset: offset, as: UInt64.self)
      if mine != others { return false }
      offset &+= 8
    }
    while offset < byteCount {
      if byte(offset) != other.byte(offset) { return false }
      offset &+= 1
    }
    return true
  }

  /// Whether the bytes begin with a text, as it is written.
  public func hasPrefix(_ text: StaticString) -> Bool {
    byteCount >= text.utf8CodeUnitCount && extracting(0..<text.utf8CodeUnitCount).equals(text)
  }

  /// The same but for the case of ASCII letters; `text` is lower-case.
  public func hasPrefixIgnoringCase(_ text: StaticString) -> Bool {
    byteCount >= text.utf8CodeUnitCount
      && extracting(0..<text.utf8CodeUnitCount).equalsIgnoringCase(text)
  }

  /// Whether a text occurs in the bytes, as it is written; for short bytes.
  public func contains(_ text: StaticString) -> Bool {
    let count = text.utf8CodeUnitCount
    guard count <= byteCount else { return false }
    for start in 0...(byteCount - count) where extracting(start..<start + count).equals(text) {
      return true
    }
    return false
  }

  /// A copy as an array, for cold paths.
  public var array: [UInt8] {
    unsafe withUnsafeBytes { unsafe [UInt8]($0) }
  }

  /// A copy as text, with ill-formed UTF-8 replaced, for logs and cold paths.
  public var text: String {
    unsafe withUnsafeBytes { unsafe String(decoding: $0, as: UTF8.self) }
  }
}

extension UInt8 {
  /// The byte with `A`–`Z` made `a`–`z`.
  @inline(__always)
  public var asciiLowercased: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }

  @inline(__always)
  public var isASCIIDigit: Bool { self &- 0x30 < 10 }

  /// The value of a hexadecimal digit of either case.
  public var hexValue: UInt8? {
    switch self {
    case 0x30...0x39: self - 0x30
    case 0x41...0x46: self - 0x41 + 10
    case 0x61...0x66: self - 0x61 + 10
    default: nil
    }
  }
}

extension Array where Element == UInt8 {
  /// The array's bytes as a span.
  public var rawBytes: RawSpan {
    @_lifetime(borrow self)
    get { unsafe span.bytes }
  }
}
