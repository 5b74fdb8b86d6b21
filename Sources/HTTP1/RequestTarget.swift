import Base
import HTTP

/// The authority that a request target itself names.
struct TargetAuthority: Sendable {
  var range: ByteRange
  /// The port that need not be written: 80, 443, or 0 where there is none.
  var defaultPort: Int64
}

/// The four forms of a request target (RFC 9112, 3.2).
enum RequestTarget {
  /// Reads the target in `start..<end`, which is not empty, into `head`.
  ///
  /// Bytes of 0x80 and above are let through, as clients do send paths unencoded; `#` is not, since what
  /// follows it would be read as path by one and dropped by the next.
  @inline(__always)
  static func read(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> Result<TargetAuthority?, Refusal> {
    head.target = ByteRange(start: start, count: end - start)
    if head.method == .connect { return authorityForm(bytes, &head) }
    if bytes.byte(start) == UInt8(ascii: "/") {
      return readPath(bytes, start, end, &head).map { nil }
    }
    if end - start == 1, bytes.byte(start) == UInt8(ascii: "*"), head.method == .options {
      head.path = head.target
      return .success(nil)
    }
    return absoluteForm(bytes, start, end, &head)
  }

  @inline(__always)
  private static func readPath(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> Result<Void, Refusal> {
    let question = UInt8(ascii: "?")
    let hash = UInt8(ascii: "#")
    let pathEnd = bytes.firstBlank(or: question, or: hash, from: start, to: end)
    head.path = ByteRange(start: start, count: pathEnd - start)
    guard pathEnd < end else { return .success(()) }
    guard bytes.byte(pathEnd) == question,
      bytes.firstBlank(or: hash, or: hash, from: pathEnd, to: end) == end
    else { return .failure(Refusal(400, "The request target has a blank or a fragment.")) }
    head.query = ByteRange(start: pathEnd + 1, count: end - pathEnd - 1)
    return .success(())
  }

  private static func authorityForm(
    _ bytes: RawSpan, _ head: inout RequestHead
  ) -> Result<TargetAuthority?, Refusal> {
    let target = bytes.bytes(head.target)
    guard Authority.isValid(target, mayBeEmpty: false), Authority.port(target) != nil else {
      return .failure(Refusal(400, "CONNECT needs a host and a port."))
    }
    return .success(TargetAuthority(range: head.target, defaultPort: 0))
  }

  private static func absoluteForm(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> Result<TargetAuthority?, Refusal> {
    let target = bytes.extracting(start..<end)
    let scheme: (length: Int, port: Int64)
    if target.hasPrefixIgnoringCase("http://") {
      scheme = (7, 80)
    } else if target.hasPrefixIgnoringCase("https://") {
      scheme = (8, 443)
    } else {
      return .failure(Refusal(400, "The request target is malformed."))
    }
    let hostStart = start + scheme.length
    var hostEnd = hostStart
    while hostEnd < end {
      let byte = bytes.byte(hostEnd)
      if byte == UInt8(ascii: "/") || byte == UInt8(ascii: "?") || byte == UInt8(ascii: "#") {
        break
      }
      hostEnd += 1
    }
    guard Authority.isValid(bytes.extracting(hostStart..<hostEnd), mayBeEmpty: false) else {
      return .failure(Refusal(400, "The host of the request target is malformed."))
    }
    if case .failure(let refusal) = readPath(bytes, hostEnd, end, &head) {
      return .failure(refusal)
    }
    head.target = ByteRange(start: hostEnd, count: end - hostEnd)
    if head.path.isEmpty {
      // The slash that ends the scheme's "//" stands for the path that is not there.
      head.path = ByteRange(start: hostStart - 1, count: 1)
      if head.target.isEmpty { head.target = head.path }
    }
    let range = ByteRange(start: hostStart, count: hostEnd - hostStart)
    return .success(TargetAuthority(range: range, defaultPort: scheme.port))
  }
}
