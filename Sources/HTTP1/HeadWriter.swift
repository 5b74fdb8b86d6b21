public import Base
public import HTTP

/// Writes message heads into a buffer.
///
/// No value can end its line: CR, LF, NUL and other control bytes are written as spaces (RFC 9110, 5.5).
/// A name, method or target that is none is refused: nothing is written then, and the result is false.
public enum HeadWriter {
  /// Appends `HTTP/1.1 200 OK` and CRLF; `status` has three digits.
  public static func statusLine(_ status: Int, to buffer: inout ByteBuffer) {
    if let line = preparedLine(status) {
      buffer.append(line)
      return
    }
    precondition(status >= 100 && status <= 999)
    buffer.append("HTTP/1.1 ")
    buffer.append(decimal: status)
    buffer.append(" ")
    buffer.append(Status.reason(status))
    buffer.append("\r\n")
  }

  private static func preparedLine(_ status: Int) -> StaticString? {
    switch status {
    case 100: "HTTP/1.1 100 Continue\r\n"
    case 200: "HTTP/1.1 200 OK\r\n"
    case 206: "HTTP/1.1 206 Partial Content\r\n"
    case 301: "HTTP/1.1 301 Moved Permanently\r\n"
    case 304: "HTTP/1.1 304 Not Modified\r\n"
    case 404: "HTTP/1.1 404 Not Found\r\n"
    case 502: "HTTP/1.1 502 Bad Gateway\r\n"
    case 504: "HTTP/1.1 504 Gateway Timeout\r\n"
    default: nil
    }
  }

  /// Appends `GET /path HTTP/1.1` and CRLF; refuses `.other` and a target with blanks or control bytes.
  @discardableResult
  public static func requestLine(
    _ method: Method, _ target: RawSpan, to buffer: inout ByteBuffer
  ) -> Bool {
    guard method != .other, isTarget(target) else { return false }
    buffer.append(method.text)
    return finishRequestLine(target, to: &buffer)
  }

  /// The same with a method's own text, for methods that have no case.
  @discardableResult
  public static func requestLine(
    methodText: RawSpan, _ target: RawSpan, to buffer: inout ByteBuffer
  ) -> Bool {
    guard methodText.isToken, isTarget(target) else { return false }
    buffer.append(methodText)
    return finishRequestLine(target, to: &buffer)
  }

  private static func finishRequestLine(
    _ target: RawSpan, to buffer: inout ByteBuffer
  ) -> Bool {
    buffer.append(UInt8(ascii: " "))
    buffer.append(target)
    buffer.append(" HTTP/1.1\r\n")
    return true
  }

  private static func isTarget(_ target: RawSpan) -> Bool {
    let end = target.byteCount
    return end > 0 && target.firstControl(from: 0) == end
      && target.firstBlank(or: 0x20, or: 0x20, from: 0, to: end) == end
  }

  /// Appends a field whose value is known to be clean; `token` is not `.other`.
  @inline(__always)
  public static func field(
    _ token: FieldToken, _ value: StaticString, to buffer: inout ByteBuffer
  ) {
    name(token, to: &buffer)
    buffer.append(value)
    buffer.append("\r\n")
  }

  /// Appends a field; `token` is not `.other`.
  public static func field(
    _ token: FieldToken, _ value: RawSpan, to buffer: inout ByteBuffer
  ) {
    name(token, to: &buffer)
    self.value(value, to: &buffer)
  }

  /// Appends a field whose value is a number; `token` is not `.other`.
  public static func field(
    _ token: FieldToken, decimal value: Int64, to buffer: inout ByteBuffer
  ) {
    name(token, to: &buffer)
    buffer.append(decimal: value)
    buffer.append("\r\n")
  }

  /// Appends a field of any name.
  @discardableResult
  public static func field(
    name: RawSpan, value: RawSpan, to buffer: inout ByteBuffer
  ) -> Bool {
    guard name.isToken else { return false }
    buffer.append(name)
    buffer.append(": ")
    self.value(value, to: &buffer)
    return true
  }

  /// The same for cold paths.
  @discardableResult
  public static func field(
    name: String, value: String, to buffer: inout ByteBuffer
  ) -> Bool {
    let name = [UInt8](name.utf8)
    let value = [UInt8](value.utf8)
    return field(name: name.rawBytes, value: value.rawBytes, to: &buffer)
  }

  /// Appends the empty line.
  public static func endHead(to buffer: inout ByteBuffer) {
    buffer.append("\r\n")
  }

  @inline(__always)
  private static func name(_ token: FieldToken, to buffer: inout ByteBuffer) {
    precondition(token != .other)
    buffer.append(token.text)
    buffer.append(": ")
  }

  private static func value(_ value: RawSpan, to buffer: inout ByteBuffer) {
    var start = 0
    while true {
      let end = value.firstControl(from: start)
      buffer.append(value.extracting(start..<end))
      if end == value.byteCount { break }
      buffer.append(UInt8(ascii: " "))
      start = end + 1
    }
    buffer.append("\r\n")
  }
}
