import Base
public import HTTP

/// How the end of a message's body is told (RFC 9112, 6.3).
public enum BodyFraming: Equatable, Sendable {
  case none
  case length(Int64)
  case chunked
  /// The end of the connection is the end of the body.
  case untilClose

  /// The framing of a response to a request of this method.
  ///
  /// After a 2xx to CONNECT, and after a 101, what follows is no body: `.none`.
  public static func ofResponse(_ head: ResponseHead, requestMethod: Method) -> BodyFraming {
    if requestMethod == .head || head.status < 200 || head.status == 204 || head.status == 304 {
      return .none
    }
    if requestMethod == .connect && head.status < 300 { return .none }
    if head.isChunked { return .chunked }
    if let length = head.contentLength { return length == 0 ? .none : .length(length) }
    return .untilClose
  }

  public static func ofRequest(_ head: RequestHead) -> BodyFraming {
    if head.isChunked { return .chunked }
    if let length = head.contentLength, length > 0 { return .length(length) }
    return .none
  }
}

/// The reader of one body, whatever its framing.
public struct BodyReader: Sendable {
  /// What the end of the connection means for a body.
  public enum EndOfInput: Equatable, Sendable {
    case complete, truncated
  }

  public let framing: BodyFraming
  private var remaining: Int64
  private var decoder = ChunkedDecoder()

  public init(_ framing: BodyFraming) {
    self.framing = framing
    if case .length(let length) = framing { remaining = max(length, 0) } else { remaining = 0 }
  }

  /// Says what the next bytes are; ask again with what follows them.
  ///
  /// `bytes` may be empty: a body that has ended says so.
  public mutating func read(_ bytes: RawSpan) -> BodyEvent {
    switch framing {
    case .none: return .end(consumed: 0)
    case .chunked: return decoder.decode(bytes)
    case .untilClose:
      return bytes.byteCount == 0
        ? .needMore(consumed: 0) : .data(skip: 0, count: bytes.byteCount)
    case .length:
      if remaining == 0 { return .end(consumed: 0) }
      if bytes.byteCount == 0 { return .needMore(consumed: 0) }
      let count = Int(min(Int64(bytes.byteCount), remaining))
      remaining -= Int64(count)
      return .data(skip: 0, count: count)
    }
  }

  /// Bytes of body still to come, nil where the framing does not tell.
  public var remainingBytes: Int64? {
    switch framing {
    case .none: 0
    case .length: remaining
    case .chunked: isComplete ? 0 : nil
    case .untilClose: nil
    }
  }

  /// Whether the body has ended without the connection's end.
  public var isComplete: Bool {
    switch framing {
    case .none: true
    case .length: remaining == 0
    case .chunked: decoder.isFinished
    case .untilClose: false
    }
  }

  /// The value of a field behind the body (RFC 9112, 7.1.2); nil where it is not there.
  public func trailer(_ token: FieldToken) -> [UInt8]? { decoder.trailer(token) }

  /// What it means that the connection ends here.
  public var endOfInput: EndOfInput {
    isComplete || framing == .untilClose ? .complete : .truncated
  }
}
