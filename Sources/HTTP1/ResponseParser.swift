import Base
public import HTTP

/// The parser of response heads (RFC 9112), for the client role.
///
/// Works as `RequestParser` does. Every refusal has the status 502. A head of 1xx is complete like any
/// other: the caller consumes it, calls `reset()` and parses the next one.
public struct ResponseParser: Sendable {
  private let limits: HTTP1Limits
  private var scanner = HeadScanner()
  private var framing = FramingFields()
  private var hasStatusLine = false

  public init(limits: HTTP1Limits = HTTP1Limits()) {
    self.limits = limits
  }

  /// Makes it ready for the next head.
  public mutating func reset() {
    scanner.reset()
    framing.reset()
    hasStatusLine = false
  }

  /// Parses what has arrived of a head; `bytes` starts with the head's first byte at every call.
  public mutating func parse(_ bytes: RawSpan, into head: inout ResponseHead) -> ParseResult {
    switch parseLines(bytes, into: &head) {
    case .refused(let refusal): .refused(Refusal(502, refusal.sentence))
    case let result: result
    }
  }

  private mutating func parseLines(
    _ bytes: RawSpan, into head: inout ResponseHead
  ) -> ParseResult {
    while true {
      switch scanner.next(bytes, limits) {
      case .needMore: return .needMore
      case .tooLong: return .refused(Refusal(502, "A line is too long."))
      case .refused(let refusal): return .refused(refusal)
      case .text(let start, let end):
        if !hasStatusLine {
          head.reset()
          if let refusal = readStatusLine(bytes.extracting(start..<end), &head) {
            return .refused(refusal)
          }
          hasStatusLine = true
        } else if start == end {
          return finish(&head)
        } else if let refusal = framing.read(bytes, start, end, &head.fields, limits) {
          return .refused(refusal)
        }
      }
    }
  }

  /// `HTTP/1.1 200 OK`; the reason may be empty, and the space before it missing.
  private func readStatusLine(_ line: RawSpan, _ head: inout ResponseHead) -> Refusal? {
    guard line.byteCount >= 12 else { return Refusal(502, "The status line is malformed.") }
    switch httpVersion(line.extracting(0..<8)) {
    case .success(let version): head.version = version
    case .failure(let refusal): return refusal
    }
    guard line.byte(8) == 0x20, line.byteCount == 12 || line.byte(12) == 0x20,
      let status = line.extracting(9..<12).decimal, 100...599 ~= status
    else { return Refusal(502, "The status is malformed.") }
    head.status = Int(status)
    return nil
  }

  private func finish(_ head: inout ResponseHead) -> ParseResult {
    if let refusal = framing.contradiction(head.version) { return .refused(refusal) }
    head.contentLength = framing.contentLength
    head.isChunked = framing.isChunked
    head.keepAlive = framing.keepAlive(head.version)
    return .complete(scanner.lineStart)
  }
}
