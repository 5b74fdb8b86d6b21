import Base
import HTTP

/// The lines of a head, taken one by one as they become complete.
///
/// A line is looked at once, however its bytes arrive: the scanner remembers how far it has looked.
/// Looking for the line's end also finds what may not be in a line, so that what comes after it knows
/// its text to be free of control bytes other than HTAB.
struct HeadScanner {
  enum Line {
    case needMore
    /// A line without its CRLF.
    case text(start: Int, end: Int)
    case tooLong
    case refused(Refusal)
  }

  /// Where the next line starts.
  private(set) var lineStart = 0
  private var scanned = 0

  mutating func reset() {
    lineStart = 0
    scanned = 0
  }

  @inline(__always)
  mutating func next(_ bytes: RawSpan, _ limits: HTTP1Limits) -> Line {
    let end = bytes.firstControl(from: scanned)
    scanned = end
    if end &- lineStart > limits.lineBytes { return .tooLong }
    // Also holds for a head that has not ended where the limit is.
    if end &+ 2 > limits.headBytes { return .refused(Refusal(431, "The head is too large.")) }
    guard end < bytes.byteCount else { return .needMore }
    guard bytes.byte(end) == 0x0d else {
      return .refused(
        bytes.byte(end) == 0x0a
          ? Refusal(400, "A line ends in a bare LF.")
          : Refusal(400, "The head holds a control byte."))
    }
    guard end &+ 1 < bytes.byteCount else { return .needMore }
    guard bytes.byte(end &+ 1) == 0x0a else {
      return .refused(Refusal(400, "The head holds a bare CR."))
    }
    let start = lineStart
    lineStart = end &+ 2
    scanned = lineStart
    return .text(start: start, end: end)
  }
}

/// What the fields of a head say about where the message ends and what comes after it.
struct FramingFields {
  private(set) var contentLength: Int64?
  private(set) var hasTransferEncoding = false
  private(set) var isChunked = false
  private(set) var says: (close: Bool, keepAlive: Bool) = (false, false)

  mutating func reset() {
    self = FramingFields()
  }

  /// Reads a field line and adds it to `fields`; gives what is wrong with it.
  @inline(__always)
  mutating func read(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ fields: inout [Field], _ limits: HTTP1Limits
  ) -> Refusal? {
    let colon = bytes.first(UInt8(ascii: ":"), from: start, to: end)
    let name = bytes.extracting(start..<colon)
    let token = FieldToken.of(name)
    if colon == end || (token == .other && !name.isToken) {
      return Self.refusal(ofLine: bytes.extracting(start..<end), colon - start)
    }
    if fields.count >= limits.fieldCount {
      return Refusal(431, "The head has too many fields.")
    }
    let value = bytes.trimmed(from: colon &+ 1, to: end)
    fields.append(
      Field(token: token, name: ByteRange(start: start, count: colon &- start), value: value))
    switch token {
    case .contentLength: return readContentLength(bytes.bytes(value))
    case .transferEncoding: return readTransferEncoding(bytes.bytes(value))
    case .connection:
      readConnection(bytes.bytes(value))
      return nil
    default: return nil
    }
  }

  private static func refusal(ofLine line: RawSpan, _ colon: Int) -> Refusal {
    if line.byteCount > 0, line.byte(0).isBlank {
      return Refusal(400, "A field is folded over several lines.")
    }
    if colon == line.byteCount { return Refusal(400, "A field line has no colon.") }
    if colon > 0, line.byte(colon - 1).isBlank {
      return Refusal(400, "A field name is followed by a blank.")
    }
    return Refusal(400, "A field name is malformed.")
  }

  private mutating func readContentLength(_ value: RawSpan) -> Refusal? {
    if contentLength != nil { return Refusal(400, "Content-Length is repeated.") }
    guard let length = value.decimal else {
      return Refusal(400, "Content-Length is malformed.")
    }
    contentLength = length
    return nil
  }

  /// RFC 9112, 6.1: chunked must be last and stand once; no other coding is known here.
  private mutating func readTransferEncoding(_ value: RawSpan) -> Refusal? {
    hasTransferEncoding = true
    var codings = 0
    var offset = 0
    while offset < value.byteCount {
      let comma = value.first(UInt8(ascii: ","), from: offset, to: value.byteCount)
      let coding = value.bytes(value.trimmed(from: offset, to: comma))
      offset = comma + 1
      if coding.byteCount == 0 { continue }
      codings += 1
      if isChunked { return Refusal(400, "The chunked coding is not the last one.") }
      guard coding.equalsIgnoringCase("chunked") else {
        return coding.isToken
          ? Refusal(501, "A transfer coding is unknown.")
          : Refusal(400, "Transfer-Encoding is malformed.")
      }
      isChunked = true
    }
    return codings == 0 ? Refusal(400, "Transfer-Encoding is empty.") : nil
  }

  private mutating func readConnection(_ value: RawSpan) {
    var offset = 0
    while offset < value.byteCount {
      let comma = value.first(UInt8(ascii: ","), from: offset, to: value.byteCount)
      let option = value.bytes(value.trimmed(from: offset, to: comma))
      offset = comma + 1
      if option.equalsIgnoringCase("close") { says.close = true }
      if option.equalsIgnoringCase("keep-alive") { says.keepAlive = true }
    }
  }

  /// What the fields contradict each other in, known once all are read.
  func contradiction(_ version: Version) -> Refusal? {
    guard hasTransferEncoding else { return nil }
    if contentLength != nil {
      return Refusal(400, "Content-Length and Transfer-Encoding exclude each other.")
    }
    return version == .http10 ? Refusal(400, "HTTP/1.0 has no Transfer-Encoding.") : nil
  }

  /// RFC 9112, 9.3.
  func keepAlive(_ version: Version) -> Bool {
    !says.close && (version == .http11 || says.keepAlive)
  }
}

/// The version that eight bytes name, or why it is not accepted.
@inline(__always)
func httpVersion(_ text: RawSpan) -> Result<Version, Refusal> {
  // "HTTP/1.1", first byte lowest.
  if text.byteCount == 8, text.word(0) == 0x312e_312f_5054_5448 { return .success(.http11) }
  return rareVersion(text)
}

private func rareVersion(_ text: RawSpan) -> Result<Version, Refusal> {
  guard text.byteCount == 8, text.extracting(0..<5).equals("HTTP/"), text.byte(5).isASCIIDigit,
    text.byte(6) == UInt8(ascii: "."), text.byte(7).isASCIIDigit
  else { return .failure(Refusal(400, "The version is malformed.")) }
  return text.byte(5) == UInt8(ascii: "1") && text.byte(7) == UInt8(ascii: "0")
    ? .success(.http10) : .failure(Refusal(505, "This version of HTTP is not spoken here."))
}
