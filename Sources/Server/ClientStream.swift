public import Base
public import EventLoop
public import HTTP
internal import HTTP1
public import System
internal import Telemetry

/// How the length of an answer's body is told (RFC 9112, section 6).
public enum BodyLength: Equatable, Sendable {
  /// The status allows no body, and no length is told.
  case absent
  case known(Int64)
  case unknown
}

/// What came of offering bytes to a stream.
public enum Offer: Equatable, Sendable {
  /// So many were taken; where that is fewer than offered, `writable` will be called.
  case taken(Int)
  /// The source file ended before the bytes that were promised.
  case sourceEnded
  /// The client has gone; `aborted` has been or will be called.
  case gone
}

/// One request's way back to the client: a head, then bytes as they are pulled, then the end.
///
/// The body contract: a responder offers bytes or a file's range; the stream takes what its
/// connection takes now, and calls `writable` when it takes more. Nothing is queued in between, so
/// that a slow client slows its source.
public final class ClientStream {
  /// What happens to the response where the client is slow or gone.
  public var responder: Responder?
  public let loop: Loop
  public internal(set) var peer: SocketAddress
  /// Whether the client speaks TLS with us.
  public internal(set) var isSecure: Bool
  /// The peer is a proxy that has named no client: requests may say of one what they like.
  public internal(set) var isPeerUnnamed = false
  /// When the last byte of the request's head had come.
  public internal(set) var started: Instant = .zero
  /// Bytes of bodies offered and taken in this answer.
  public internal(set) var bodyBytes: Int64 = 0
  /// The status given, 0 before.
  public internal(set) var status = 0
  /// From the first bytes of the request's head to its last ones; zero where they came together.
  public internal(set) var headTime = Interval.zero
  /// Bytes of the request's body that have been pulled.
  public private(set) var requestBodyBytes: Int64 = 0
  /// What the TLS handshake came to; nil in cleartext.
  public internal(set) var tls: TLSFacts?
  /// How long the request's body is; `.absent` where it has none.
  public internal(set) var requestBody = BodyLength.absent
  /// When the head was written.
  public internal(set) var firstByte: Instant = .zero
  /// The protocol of the request, also of one whose head could not be understood.
  public internal(set) var version = Version.http11
  var isHead = false
  var phase = Phase.idle
  var isChunked = false
  /// Where the answer's fields begin in `output`.
  private var fieldsStart = 0
  /// What waits to be sent: heads and small bodies, in order; with HTTP/2 a small body alone.
  var output = ByteBuffer(capacity: ServerOptions.outputBytes)
  private var remaining: Int64 = 0
  /// Lines that follow behind the chunks.
  var trailer: [UInt8] = []
  /// Both hold each other until the connection closes, which lets go here; nil with HTTP/2.
  var connection: ClientConnection?
  /// The connection that this is a stream of; nil with HTTP/1.1.
  var http2: HTTP2Connection?
  /// The stream's place on it.
  var place = 0

  enum Phase { case idle, waiting, head, body, finished }

  init(loop: Loop, peer: SocketAddress, isSecure: Bool) {
    self.isSecure = isSecure
    self.loop = loop
    self.peer = peer
  }

  func begin(_ request: RequestHead, at instant: Instant) {
    phase = .waiting
    isHead = request.method == .head
    version = request.version
    started = instant
    bodyBytes = 0
    status = 0
    isChunked = false
    remaining = 0
    requestBody = .absent
    requestBodyBytes = 0
    headTime = .zero
  }

  /// Whether only the connection's end tells where the body ends.
  var endsWithConnection: Bool {
    (phase == .body || phase == .finished) && remaining == .max && !isChunked
  }

  /// Whether an answer is still due on this stream.
  public var isOpen: Bool {
    phase != .idle && phase != .finished && (connection != nil || http2 != nil)
  }
  /// Whether no byte of the answer has been produced yet.
  public var isUntouched: Bool { phase == .waiting }

  private var worker: ServerWorker? { connection?.worker ?? http2?.worker }

  // MARK: The request's body

  /// Takes the request's body, which is then read as `pullBody` asks for it.
  ///
  /// Called from within the handler, before an answer begins. A body that is not taken is not read: the
  /// connection ends after the answer, and so it does where an answer begins before the body has been read.
  /// With HTTP/2 only the stream ends.
  public func takeBody() {
    guard requestBody != .absent, phase == .waiting else { return }
    connection?.body.isTaken = true
    http2?.takeBody(self)
  }

  /// Gives bytes of the body that was taken, into room for at least one.
  ///
  /// Not from within the handler: the responder is told by `bodyReadable` when to begin, and after a
  /// `.pause` when to go on. The first pull has a client that expects it told to continue (100). After
  /// `.broken` of kind `.closed` the client has gone, and `aborted` has been called.
  public func pullBody(into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    let pulled: BodyPull
    if let connection {
      pulled = unsafe connection.pullBody(into: room)
    } else {
      pulled = unsafe http2?.pullBody(self, into: room) ?? .broken(Fault(.closed, .client))
    }
    if case .bytes(let count) = pulled {
      requestBodyBytes += Int64(count)
      worker?.counters.add(.requestBodyBytes, count)
    }
    return pulled
  }

  // MARK: Head

  /// Begins the answer: its status line and date.
  public func begin(status: Int) {
    precondition(phase == .waiting)
    phase = .head
    self.status = status
    firstByte = loop.now
    HeadWriter.statusLine(status, to: &output)
    fieldsStart = output.count
    worker?.appendDate(to: &output)
    if isSecure { worker?.appendStrictTransport(to: &output) }
  }

  @inline(__always)
  public func field(_ token: FieldToken, _ value: StaticString) {
    output.append(token.text)
    output.append(": ")
    output.append(value)
    output.append("\r\n")
  }

  /// A field with bytes from elsewhere; what could end the line (CR, LF, NUL) is left out.
  @inline(__always)
  public func field(_ token: FieldToken, _ value: RawSpan) {
    output.append(token.text)
    output.append(": ")
    appendValue(value)
    output.append("\r\n")
  }

  public func field(_ token: FieldToken, text value: String) {
    field(token, Array(value.utf8).rawBytes)
  }

  @inline(__always)
  public func field(_ token: FieldToken, decimal value: Int64) {
    output.append(token.text)
    output.append(": ")
    output.append(decimal: value)
    output.append("\r\n")
  }

  /// A field that has no token.
  public func field(named name: StaticString, _ value: RawSpan) {
    output.append(name)
    output.append(": ")
    appendValue(value)
    output.append("\r\n")
  }

  public func field(named name: StaticString, _ value: StaticString) {
    output.append(name)
    output.append(": ")
    output.append(value)
    output.append("\r\n")
  }

  public func field(named name: StaticString, text value: String) {
    field(named: name, Array(value.utf8).rawBytes)
  }

  /// A field whose name came from elsewhere too, an upstream's for example; must be a token.
  public func field(bytes name: RawSpan, _ value: RawSpan) {
    output.append(name)
    output.append(": ")
    appendValue(value)
    output.append("\r\n")
  }

  /// Whole lines, each with its CR and LF.
  @inline(__always)
  public func lines(_ text: StaticString) { output.append(text) }

  /// `Content-Range: bytes */total`, of an answer to a range that does not exist.
  public func unsatisfiedRange(total: Int64) {
    output.append("Content-Range: bytes */")
    output.append(decimal: total)
    output.append("\r\n")
  }

  /// `Content-Range: bytes first-last/total` (RFC 9110, section 14.4).
  public func contentRange(_ range: Range<Int64>, total: Int64) {
    output.append("Content-Range: bytes ")
    output.append(decimal: range.lowerBound)
    output.append("-")
    output.append(decimal: range.upperBound - 1)
    output.append("/")
    output.append(decimal: total)
    output.append("\r\n")
  }

  /// A value built piece by piece; the pieces must be free of CR, LF and NUL.
  public func field(_ token: FieldToken, _ write: (inout ByteBuffer) -> Void) {
    output.append(token.text)
    output.append(": ")
    write(&output)
    output.append("\r\n")
  }

  /// Ends the head.
  ///
  /// For a HEAD request no body is due, whatever its length.
  public func endHead(_ body: BodyLength) {
    precondition(phase == .head)
    worker?.edit(&output, from: fieldsStart)
    switch body {
    case .absent: break
    case .known(let length):
      field(.contentLength, decimal: length)
      remaining = length
    case .unknown:
      switch version {
      case .http10: connection?.keepAlive = false
      case .http11:
        isChunked = true
        field(.transferEncoding, "chunked")
      case .http2: break
      }
      remaining = .max
    }
    if isHead || body == .absent { remaining = 0 }
    if version == .http2 {
      phase = .body
      http2?.headEnded(self, hasBody: remaining > 0)
      return
    }
    if connection?.keepAlive != true {
      output.append("Connection: close\r\n")
    } else if version == .http10 {
      // RFC 9112, appendix C.2.2: else such a client waits for the end of the connection.
      output.append("Connection: keep-alive\r\n")
    }
    output.append("\r\n")
    phase = .body
  }

  // MARK: Body

  /// How many bytes of body are still due; a large number where the length is unknown.
  public var bodyDue: Int64 { remaining }

  /// Offers bytes of the body; at most `bodyDue`.
  public func offer(_ bytes: RawSpan) -> Offer {
    precondition(phase == .body && Int64(bytes.byteCount) <= remaining)
    guard let connection else { return took(http2?.offer(bytes, on: self) ?? .gone) }
    return took(isChunked ? connection.offerChunk(bytes) : connection.offer(bytes))
  }

  /// Offers a range of a file that is in memory; with HTTP/1.1 the bytes go by `sendfile`.
  public func offer(file: Int32, offset: Int64, count: Int) -> Offer {
    precondition(phase == .body && Int64(count) <= remaining && !isChunked)
    guard let connection else {
      return took(http2?.offer(file: file, offset: offset, count: count, on: self) ?? .gone)
    }
    return took(connection.offer(file: file, offset: offset, count: count))
  }

  /// How many bytes may be offered in one turn of the loop.
  public var bytesPerTurn: Int {
    // Encryption takes five times as long, and HTTP/2 takes a frame at a time.
    guard !isSecure, let connection else { return TurnShare.besideSmall }
    return connection.worker.share.bytes(at: loop.now)
  }

  /// Whether `fill` may be used now: not while the client takes nothing.
  public var takesCopies: Bool { connection?.takesCopies ?? http2?.takesCopies(on: self) ?? false }

  /// Lets `body` write up to `count` bytes right behind the head, for one send of both.
  ///
  /// The room is given whatever the connection's state, so `count` must be small. What `body`
  /// returns is the number of bytes it wrote.
  @inline(__always)
  public func fill(_ count: Int, _ body: (UnsafeMutableRawBufferPointer) -> Int) -> Int {
    precondition(phase == .body && Int64(count) <= remaining && !isChunked)
    let written = unsafe output.fill(atLeast: count) { tail in
      unsafe body(UnsafeMutableRawBufferPointer(rebasing: tail[..<count]))
    }
    if remaining != .max { remaining -= Int64(written) }
    bodyBytes += Int64(written)
    return written
  }

  /// Gives a small body that is at hand as a whole, right behind the head.
  public func fill(_ bytes: RawSpan) {
    _ = unsafe fill(bytes.byteCount) { room in
      unsafe bytes.withUnsafeBytes { unsafe room.copyMemory(from: $0) }
      return bytes.byteCount
    }
  }

  /// Sends what has been written, the head for example, where the body may be long in coming.
  public func flush() {
    connection?.flush()
    http2?.flushSoon()
  }

  /// Asks for `writable` in the next turn, after `bytesPerTurn`: a fast client leaves room for the others.
  public func yield() {
    connection?.yield()
    http2?.yield(self)
  }

  /// Appends a value less what could end its line.
  private func appendValue(_ value: RawSpan) {
    if value.firstControl(from: 0) == value.byteCount {
      output.append(value)
      return
    }
    // DEL ends no line, but clients of HTTP/2 take a field that has it for malformed.
    for offset in 0..<value.byteCount
    where value.byte(offset) >= 0x20 && value.byte(offset) != 0x7f {
      output.append(value.byte(offset))
    }
  }

  private func took(_ offer: Offer) -> Offer {
    if case .taken(let count) = offer {
      bodyBytes += Int64(count)
      if remaining != .max { remaining -= Int64(count) }
    }
    return offer
  }

  /// Gives a field that follows behind the body (RFC 9110, 6.5); false where there is no place for it.
  public func setTrailer(_ token: FieldToken, _ value: RawSpan) -> Bool {
    guard isChunked, !isHead, phase == .body else { return false }
    var line = ByteBuffer(capacity: 256)
    HeadWriter.field(token, value, to: &line)
    trailer = line.readable.array
    return true
  }

  /// Writes what ends a body of chunks (RFC 9112, 7.1).
  func endChunks() {
    output.append("0\r\n")
    if !trailer.isEmpty {
      output.append(trailer)
      trailer = []
    }
    output.append("\r\n")
  }

  /// Ends the answer.
  ///
  /// Where bytes of the body are missing, it is broken off instead.
  public func finish() {
    guard phase == .body else {
      abort()
      return
    }
    if remaining != 0 && remaining != .max {
      abort()
      return
    }
    phase = .finished
    responder = nil
    worker?.share.ended(bodyBytes: bodyBytes, at: loop.now)
    if let connection { connection.streamFinished() } else { http2?.streamFinished(self) }
  }

  /// Breaks the answer off, so that the client sees that it is not complete.
  ///
  /// With HTTP/1.1 the connection ends, with HTTP/2 the stream is reset.
  public func abort() {
    guard phase != .idle else { return }
    phase = .finished
    responder = nil
    if let connection { connection.breakOff() } else { http2?.breakOff(self) }
  }
}
