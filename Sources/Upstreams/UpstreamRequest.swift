internal import Base
public import HTTP
public import HTTP1

/// What to ask an upstream server for; the head is written from this and nothing else.
public struct UpstreamRequest: Sendable {
  public var method: Method
  /// The request target in origin-form, with its query.
  public var target: [UInt8]
  /// What Host says; nil stands for the server's own `ip:port`.
  public var host: [UInt8]?
  /// What a stranger is asked for instead, under a name of its own, where Host is a client's: what that host
  /// stands for, by its path; nil where a stranger cannot be asked then.
  public var strangerTarget: [UInt8]?
  /// The first byte wanted, from 0; nil asks for everything.
  public var firstByte: Int64?
  /// The last byte wanted; nil asks up to the end.
  ///
  /// Counts only beside `firstByte`.
  public var lastByte: Int64?
  public var accept: [UInt8]?
  /// Whole lines of other fields, known to be safe to send; Sluice's own User-Agent is left out then.
  public var lines: [UInt8] = []
  /// How the end of the body is told; what it consists of is given to the call.
  public var body = BodyFraming.none
  /// Whether the server is to say whether it wants the body before it gets it.
  public var expectsContinue = false
  /// Whether a server that lets the time pass may be looking for content that nobody has.
  public var isSearch = true
  /// The place of the region that it belongs to, among the map's.
  public var region = 0
  /// Whether it asks for the rest of an answer that has broken off, and is no client's request of its own.
  public var isContinuation = false
  /// Servers not to be asked, by their numbers.
  public var avoided: [Int] = []
  /// Other fields, known to be safe to send, X-Forwarded-For for example.
  public var fields: [(name: StaticString, value: [UInt8])]

  public init(
    method: Method = .get, target: [UInt8], host: [UInt8]? = nil, firstByte: Int64? = nil,
    lastByte: Int64? = nil, accept: [UInt8]? = nil,
    fields: [(name: StaticString, value: [UInt8])] = []
  ) {
    self.method = method
    self.target = target
    self.host = host
    self.firstByte = firstByte
    self.lastByte = lastByte
    self.accept = accept
    self.fields = fields
  }

  /// Whether a field tells of the trace that the request belongs to (W3C Trace Context).
  public static func isTrace(_ name: StaticString) -> Bool {
    let name = name.description
    return name == "traceparent" || name == "tracestate"
  }

  /// Whether a field is for the operator's own servers: of traces, and of the client and whom it asked.
  private static func isPrivate(_ name: StaticString) -> Bool {
    isTrace(name) || name.description.hasPrefix("X-Forwarded-")
  }

  /// Whether a stranger can be asked: not by a client's own Host, which is nobody's there.
  var isForStrangers: Bool { host == nil || strangerTarget != nil }

  /// Appends the head for one server; false where the method, target or a name cannot be sent.
  ///
  /// - Parameter isStranger: Whether the server may be somebody else's, who is asked under its own name, and
  ///   told of no trace, and of no client.
  func write(
    for server: UpstreamServer, isStranger: Bool, keepAlive: Bool, to buffer: inout ByteBuffer
  ) -> Bool {
    let target = isStranger && host != nil ? strangerTarget ?? target : target
    guard HeadWriter.requestLine(method, target.rawBytes, to: &buffer) else { return false }
    let host = isStranger ? server.authority : host ?? server.authority
    HeadWriter.field(.host, host.rawBytes, to: &buffer)
    if lines.isEmpty {
      HeadWriter.field(.userAgent, "sluice", to: &buffer)
    } else {
      buffer.append(lines)
    }
    if let accept { HeadWriter.field(.accept, accept.rawBytes, to: &buffer) }
    if let firstByte {
      buffer.append(FieldToken.range.text)
      buffer.append(": bytes=")
      buffer.append(decimal: firstByte)
      buffer.append("-")
      if let lastByte { buffer.append(decimal: lastByte) }
      buffer.append("\r\n")
    }
    for field in fields where !isStranger || !Self.isPrivate(field.name) {
      // A static string's bytes live as long as the process.
      let bytes = unsafe UnsafeRawBufferPointer(
        start: field.name.utf8Start, count: field.name.utf8CodeUnitCount)
      let name = unsafe RawSpan(_unsafeBytes: bytes)
      let value = field.value
      guard HeadWriter.field(name: name, value: value.rawBytes, to: &buffer) else {
        return false
      }
    }
    writeFraming(to: &buffer)
    if !keepAlive { HeadWriter.field(.connection, "close", to: &buffer) }
    HeadWriter.endHead(to: &buffer)
    return true
  }

  private func writeFraming(to buffer: inout ByteBuffer) {
    switch body {
    case .length(let length): HeadWriter.field(.contentLength, decimal: length, to: &buffer)
    case .chunked: HeadWriter.field(.transferEncoding, "chunked", to: &buffer)
    case .none, .untilClose:
      // RFC 9110, 8.6: for a method that usually has a body, its absence is said.
      if method == .post || method == .put || method == .patch {
        HeadWriter.field(.contentLength, decimal: 0, to: &buffer)
      }
    }
    if expectsContinue && body != .none { HeadWriter.field(.expect, "100-continue", to: &buffer) }
  }
}
