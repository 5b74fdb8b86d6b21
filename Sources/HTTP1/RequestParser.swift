import Base
public import HTTP

/// The parser of request heads, strict by RFC 9110 and 9112.
///
/// Whatever two servers in a row could read differently is refused, so that no request hides in another.
/// It keeps how far it has looked: a head that drips in byte by byte costs no more than one that arrives
/// whole. Call `reset()` before the next head; after a refusal the connection is of no more use.
public struct RequestParser: Sendable {
  /// Empty lines before a request line that are passed over (RFC 9112, 2.2, asks for at least one).
  private static let leadingLines = 4

  private let limits: HTTP1Limits
  private var scanner = HeadScanner()
  private var framing = FramingFields()
  private var hasRequestLine = false
  private var emptyLines = 0
  private var host: ByteRange?
  /// The authority of an absolute-form or authority-form target.
  private var authority: TargetAuthority?

  public init(limits: HTTP1Limits = HTTP1Limits()) {
    self.limits = limits
  }

  /// Makes it ready for the next head.
  public mutating func reset() {
    scanner.reset()
    framing.reset()
    hasRequestLine = false
    emptyLines = 0
    host = nil
    authority = nil
  }

  /// Parses what has arrived of a head.
  ///
  /// `bytes` starts with the same byte at every call for a head, wherever the caller keeps it; `head` is
  /// the same too. What the head's ranges refer to is `bytes`.
  public mutating func parse(_ bytes: RawSpan, into head: inout RequestHead) -> ParseResult {
    while true {
      switch scanner.next(bytes, limits) {
      case .needMore: return .needMore
      case .tooLong: return .refused(lineTooLong)
      case .refused(let refusal): return .refused(refusal)
      case .text(let start, let end):
        if hasRequestLine {
          if start == end { return finish(bytes, &head) }
          if let refusal = readField(bytes, start, end, &head) { return .refused(refusal) }
        } else if start == end {
          emptyLines += 1
          if emptyLines > Self.leadingLines {
            return .refused(Refusal(400, "The request line is missing."))
          }
        } else {
          head.reset()
          if let refusal = readRequestLine(bytes, start, end, &head) { return .refused(refusal) }
          hasRequestLine = true
        }
      }
    }
  }

  private var lineTooLong: Refusal {
    hasRequestLine
      ? Refusal(431, "A field is too long.") : Refusal(414, "The request target is too long.")
  }

  @inline(__always)
  private mutating func readField(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> Refusal? {
    if let refusal = framing.read(bytes, start, end, &head.fields, limits) { return refusal }
    let field = head.fields[head.fields.count &- 1]
    switch field.token {
    case .host:
      if host != nil { return Refusal(400, "Host is repeated.") }
      host = field.value
    case .expect:
      if bytes.bytes(field.value).equalsIgnoringCase("100-continue") { head.expectsContinue = true }
    default: break
    }
    return nil
  }

  private mutating func readRequestLine(
    _ bytes: RawSpan, _ start: Int, _ end: Int, _ head: inout RequestHead
  ) -> Refusal? {
    let space = bytes.first(0x20, from: start, to: end)
    let method = bytes.extracting(start..<space)
    head.method = .of(method)
    head.methodText = ByteRange(start: start, count: space - start)
    guard head.method != .other || method.isToken else {
      return Refusal(400, "The method is malformed.")
    }
    // The last nine bytes are a space and the version; blanks before them belong to no target.
    let target = min(space + 1, end)
    let targetEnd = end - 9
    guard targetEnd > target, bytes.byte(targetEnd) == 0x20 else {
      return Refusal(400, "The request line is malformed.")
    }
    switch httpVersion(bytes.extracting((targetEnd + 1)..<end)) {
    case .success(let version): head.version = version
    case .failure(let refusal): return refusal
    }
    switch RequestTarget.read(bytes, target, targetEnd, &head) {
    case .success(let found): authority = found
    case .failure(let refusal): return refusal
    }
    return nil
  }

  private func finish(_ bytes: RawSpan, _ head: inout RequestHead) -> ParseResult {
    if let refusal = framing.contradiction(head.version) { return .refused(refusal) }
    if let refusal = settleAuthority(bytes, &head) { return .refused(refusal) }
    head.contentLength = framing.contentLength
    head.isChunked = framing.isChunked
    head.keepAlive = framing.keepAlive(head.version)
    // RFC 9110, 10.1.1: a client of HTTP/1.0 cannot wait for it.
    if head.version == .http10 { head.expectsContinue = false }
    return .complete(scanner.lineStart)
  }

  /// RFC 9112, 3.2: exactly one Host with HTTP/1.1, and a target's own authority must agree with it.
  private func settleAuthority(_ bytes: RawSpan, _ head: inout RequestHead) -> Refusal? {
    if host == nil && head.version == .http11 { return Refusal(400, "Host is missing.") }
    if let host, !Authority.isValid(bytes.bytes(host), mayBeEmpty: true) {
      return Refusal(400, "Host is malformed.")
    }
    guard let authority else {
      head.authority = host ?? .empty
      return nil
    }
    head.authority = authority.range
    if let host, !Authority.same(bytes, host, authority.range, defaultPort: authority.defaultPort) {
      return Refusal(400, "Host and the request target name different hosts.")
    }
    return nil
  }
}
