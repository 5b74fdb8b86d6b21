/// How much of a message head is accepted before the peer is refused.
public struct HTTP1Limits: Sendable {
  /// The longest request line or field line.
  ///
  /// Browsers stay below 8 KiB even with cookies.
  public var lineBytes: Int
  /// The longest head in all.
  public var headBytes: Int
  /// The most fields.
  ///
  /// Browsers send about 20, proxies add a few.
  public var fieldCount: Int

  public init(lineBytes: Int = 16 << 10, headBytes: Int = 32 << 10, fieldCount: Int = 100) {
    self.lineBytes = lineBytes
    self.headBytes = headBytes
    self.fieldCount = fieldCount
  }
}

/// Why a message is not accepted.
public struct Refusal: Error, Sendable {
  /// The status to answer a request with; 502 where a response was refused.
  public var status: Int
  /// A plain sentence for the peer or the log.
  public var sentence: StaticString

  public init(_ status: Int, _ sentence: StaticString) {
    self.status = status
    self.sentence = sentence
  }
}

/// What parsing the bytes of a message head came to.
public enum ParseResult: Sendable {
  /// The head has not ended; call again with the same bytes and more.
  case needMore
  /// The head took so many bytes, its last CRLF included.
  case complete(Int)
  /// The connection can only be answered and closed.
  case refused(Refusal)
}
