public import Base
internal import HTTP

/// A request's head, put together from its fields as the text that HTTP/1.1 would have.
///
/// What a request says is then read by one parser, whatever its version (RFC 9113, section 8.3.1, gives
/// the correspondence). One head at a time: those of a connection do not mix.
public struct RequestText: ~Copyable {
  /// How many times the limit a head may be before the connection is not worth it.
  static let bombFactor = 4

  private let limit: Int
  private var pseudo = ByteBuffer(capacity: 512)
  private var lines = ByteBuffer(capacity: 2048)
  private var cookie = ByteBuffer(capacity: 256)
  private var method = ByteRange.empty
  private var path = ByteRange.empty
  private var authority = ByteRange.empty
  /// What has been taken of the present head, kept or not.
  private(set) var bytes = 0

  /// - Parameter limit: the bytes that names and values may have in all, with 4 for each field.
  public init(limit: Int) { self.limit = limit }

  /// Makes it ready for the next head.
  public mutating func begin() {
    pseudo.clear()
    lines.clear()
    cookie.clear()
    method = .empty
    path = .empty
    authority = .empty
    bytes = 0
  }

  /// Whether the head has more than may be; what is beyond that was not kept.
  public var isTooLarge: Bool { bytes > limit }
  /// Whether it has so much that its sender must mean it.
  public var isBomb: Bool { bytes > limit * Self.bombFactor }

  /// Takes a field, whose name is in lower case and whose value cannot end a line.
  public mutating func add(_ name: RawSpan, _ value: RawSpan) {
    // As the lines are counted: a colon, a blank and the line's end.
    bytes += name.byteCount + value.byteCount + 4
    if isTooLarge { return }
    if name.byteCount > 0, name.byte(0) == UInt8(ascii: ":") {
      addPseudo(name, value)
    } else if name.equalsIgnoringCase("cookie") {
      // RFC 9113, section 8.2.3: the pieces that were one field are one again.
      cookie.append(cookie.isEmpty ? "cookie: " as StaticString : "; ")
      cookie.append(value)
    } else if !authority.isEmpty, name.equalsIgnoringCase("host"),
      pseudo.readable.bytes(authority).equals(value)
    {
      // Said twice, and the same.
    } else {
      lines.append(name)
      lines.append(": ")
      lines.append(value)
      lines.append("\r\n")
    }
  }

  private mutating func addPseudo(_ name: RawSpan, _ value: RawSpan) {
    let place = ByteRange(start: pseudo.count, count: value.byteCount)
    // All of them come before any other field, which the session has seen to.
    if name.equalsIgnoringCase(":method") {
      method = place
    } else if name.equalsIgnoringCase(":path") {
      path = place
    } else if name.equalsIgnoringCase(":authority") {
      authority = place
    } else {
      return
    }
    pseudo.append(value)
  }

  /// Writes the text of a head that has come to its end.
  public func write(to text: inout ByteBuffer) {
    let isConnect = pseudo.readable.bytes(method).equals("CONNECT")
    text.append(pseudo.readable.bytes(method))
    text.append(" ")
    text.append(pseudo.readable.bytes(isConnect ? authority : path))
    text.append(" HTTP/1.1\r\n")
    if !authority.isEmpty {
      text.append("host: ")
      text.append(pseudo.readable.bytes(authority))
      text.append("\r\n")
    }
    text.append(lines.readable)
    if !cookie.isEmpty {
      text.append(cookie.readable)
      text.append("\r\n")
    }
    text.append("\r\n")
  }
}
