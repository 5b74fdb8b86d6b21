public import Base

/// One field line: its token and where its name and value lie.
public struct Field: Sendable, Equatable {
  public var token: FieldToken
  public var name: ByteRange
  /// Without blanks at its ends.
  public var value: ByteRange

  @inline(__always)
  public init(token: FieldToken, name: ByteRange, value: ByteRange) {
    self.token = token
    self.name = name
    self.value = value
  }
}

/// What a request says before its body.
///
/// All ranges refer to the text that the head was parsed from: with HTTP/1 the connection's buffer from its
/// first unconsumed byte, with HTTP/2 a stream's own text. A connection keeps one and uses it again.
public struct RequestHead: Sendable {
  public var method: Method = .other
  public var methodText: ByteRange = .empty
  /// The request-target in origin-form, as sent: path and query.
  ///
  /// An absolute-form target with a query and no path (`http://host?a`) has no such text; the range then
  /// starts at the `?`. With CONNECT it is the authority.
  public var target: ByteRange = .empty
  /// The target's path; `*` with `OPTIONS *`, empty with CONNECT, `/` where an absolute-form has none.
  public var path: ByteRange = .empty
  /// What follows `?` in the target, empty where nothing does.
  public var query: ByteRange = .empty
  public var version: Version = .http11
  /// Host and port, of the target where it names them, else of Host; empty where neither does.
  public var authority: ByteRange = .empty
  /// All fields in the order they came.
  public var fields: [Field] = []
  public var contentLength: Int64?
  public var isChunked = false
  /// Whether the connection may be used again after this exchange.
  public var keepAlive = true
  /// Whether the client waits for a 100 before it sends its body.
  public var expectsContinue = false

  public init() {
    fields.reserveCapacity(32)
  }

  /// Makes it as new, but keeps the room for fields.
  public mutating func reset() {
    method = .other
    methodText = .empty
    target = .empty
    path = .empty
    query = .empty
    version = .http11
    authority = .empty
    fields.removeAll(keepingCapacity: true)
    contentLength = nil
    isChunked = false
    keepAlive = true
    expectsContinue = false
  }

  /// The value of the first field with this token.
  public func value(_ token: FieldToken) -> ByteRange? {
    fields.value(token)
  }

  /// How many fields have this token.
  public func count(_ token: FieldToken) -> Int {
    fields.count(token)
  }
}

/// What a response says before its body; ranges as in `RequestHead`.
public struct ResponseHead: Sendable {
  public var status = 0
  public var version: Version = .http11
  /// All fields in the order they came.
  public var fields: [Field] = []
  public var contentLength: Int64?
  public var isChunked = false
  /// Whether the connection may be used again after this exchange.
  public var keepAlive = true

  public init() {
    fields.reserveCapacity(32)
  }

  /// Makes it as new, but keeps the room for fields.
  public mutating func reset() {
    status = 0
    version = .http11
    fields.removeAll(keepingCapacity: true)
    contentLength = nil
    isChunked = false
    keepAlive = true
  }

  /// The value of the first field with this token.
  public func value(_ token: FieldToken) -> ByteRange? {
    fields.value(token)
  }

  /// How many fields have this token.
  public func count(_ token: FieldToken) -> Int {
    fields.count(token)
  }
}

extension [Field] {
  /// The value of the first field with this token.
  public func value(_ token: FieldToken) -> ByteRange? {
    for index in indices where self[index].token == token { return self[index].value }
    return nil
  }

  /// How many fields have this token.
  public func count(_ token: FieldToken) -> Int {
    var found = 0
    for index in indices where self[index].token == token { found += 1 }
    return found
  }
}
