public import Base
internal import CNghttp2
internal import HTTP

/// What an operator may set about HTTP/2.
public struct HTTP2Limits: Sendable {
  /// Streams of a connection at a time (SETTINGS_MAX_CONCURRENT_STREAMS).
  public var streams = 100
  /// The longest head in all (SETTINGS_MAX_HEADER_LIST_SIZE).
  public var headBytes = 32 << 10
  /// What a stream may send of a request's body before it is read (SETTINGS_INITIAL_WINDOW_SIZE): enough for
  /// some MB/s over a continent.
  static let streamWindow = 256 << 10
  /// The same for all streams of a connection: what their bodies take of memory.
  static let connectionWindow = 1 << 20

  public init() {}
}

/// Why a session has come to its end before its connection.
public enum SessionEnd: Equatable, Sendable {
  /// A head, or the beginning of the connection, took too long.
  case slow
  /// Too many frames of a kind.
  case flood(CostlyFrame)
  /// What came is not HTTP/2, or nghttp2 gave up.
  case failed
}

/// The server's side of one HTTP/2 connection (RFC 9113), without I/O: bytes in, calls of a delegate; frames
/// out.
///
/// nghttp2 keeps the protocol: frames, header compression, windows, priorities (RFC 9218). What floods could
/// use is counted here. Answers are heads in the form of HTTP/1.1's lines; bodies are asked for when a frame
/// can be sent, and written into it directly.
@safe
public final class ServerSession {
  /// Who drives the session, and owns it; set before the first `receive`, and taken out at the end.
  ///
  /// A weak reference would make each count of references to a connection a slow one.
  public var delegate: (any ServerSessionDelegate)?
  let limits: HTTP2Limits
  /// Must outlive the session.
  private let memory: SessionMemory
  // Made in `init`, freed in `deinit` only.
  var session: OpaquePointer?
  var request: RequestText
  var requestText = ByteBuffer(capacity: 2048)
  var guardian: FloodGuard
  /// The time of the bytes that are being read.
  var now = Instant.zero
  /// Where frames go while they are gathered.
  var output: FrameBuffer?
  /// A head has begun to arrive and has not ended.
  public internal(set) var isWithinHead = false
  /// Set once: nothing more is read.
  public internal(set) var end: SessionEnd?
  private var fields = AnswerFields()
  /// Frames that may wait to be gathered: some for each stream, and as many as nghttp2 lets acknowledgements wait.
  private var mostQueued: Int { 1000 + 4 * limits.streams }

  /// Begins with the server's SETTINGS, which wait to be gathered.
  public init(limits: HTTP2Limits, memory: SessionMemory) {
    self.limits = limits
    self.memory = memory
    request = RequestText(limit: limits.headBytes)
    guardian = FloodGuard(headBytes: limits.headBytes)
    unsafe session = nil
    guard let callbacks = unsafe Self.callbacks, let option = unsafe Self.option else {
      end = .failed
      return
    }
    var functions = unsafe memory.functions
    let made = unsafe nghttp2_session_server_new3(
      &session, callbacks, Unmanaged.passUnretained(self).toOpaque(), option,
      &functions)
    if made != 0 {
      end = .failed
      return
    }
    var settings = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
        value: UInt32(clamping: limits.streams)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
        value: UInt32(clamping: limits.headBytes)),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue),
        value: UInt32(HTTP2Limits.streamWindow)),
      // Priorities are those of RFC 9218, and the older ones are not looked at (its section 2.1).
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    let told = unsafe nghttp2_submit_settings(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), &settings, settings.count)
    let widened = unsafe nghttp2_session_set_local_window_size(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(HTTP2Limits.connectionWindow))
    if told != 0 || widened != 0 { end = .failed }
  }

  deinit {
    unsafe nghttp2_session_del(session)
  }

  // MARK: Bytes

  /// Reads what the client has sent.
  ///
  /// Afterwards `end` may be set; what is gathered then still goes to the client.
  public func receive(_ bytes: RawSpan, at now: Instant) {
    guard end == nil else { return }
    self.now = now
    let result = unsafe bytes.withUnsafeBytes { raw in
      unsafe nghttp2_session_mem_recv(
        session, raw.baseAddress?.assumingMemoryBound(to: UInt8.self), raw.count)
    }
    // Who takes nothing of what is said leaves it waiting here, and resets that are not sent are not counted.
    if unsafe nghttp2_session_get_outbound_queue_size(session) > mostQueued {
      calmDown(.flood(.reset))
    }
    guard result < 0, end == nil else { return }
    // nghttp2's own bound on acknowledgements that wait.
    end = result == Int(NGHTTP2_ERR_FLOODED.rawValue) ? .flood(.ping) : .failed
    // It tells mistakes of the protocol by itself; after these it does not.
    _ = unsafe nghttp2_session_terminate_session(
      session,
      end == .failed
        ? UInt32(NGHTTP2_PROTOCOL_ERROR.rawValue) : UInt32(NGHTTP2_ENHANCE_YOUR_CALM.rawValue))
  }

  /// Appends frames to `output` as long as there are some and it takes them.
  public func gather(into output: FrameBuffer) {
    self.output = output
    defer { self.output = nil }
    while output.takesFrame {
      var frame: UnsafePointer<UInt8>?
      let count = unsafe nghttp2_session_mem_send(session, &frame)
      if count < 0 { end = end ?? .failed }
      guard count > 0, let frame = unsafe frame else { return }
      unsafe output.append(frame, count)
    }
  }

  /// Whether frames wait that could be sent.
  public var wantsToSend: Bool { unsafe nghttp2_session_want_write(session) != 0 }

  /// Whether all has been said: the connection can be closed once what was gathered is sent.
  public var isOver: Bool {
    unsafe nghttp2_session_want_read(session) == 0 && nghttp2_session_want_write(session) == 0
  }

  // MARK: Answers

  /// Gives a stream's answer: its head, and whether `fill` will be asked for a body.
  ///
  /// False where that cannot be, since the stream has gone or the head is none.
  @discardableResult
  public func respond(_ stream: Int32, _ head: RawSpan, hasBody: Bool) -> Bool {
    let session = unsafe session
    let result = unsafe fields.with(head) { fields, count in
      guard hasBody else {
        return unsafe nghttp2_submit_response(session, stream, fields, count, nil)
      }
      var body = unsafe nghttp2_data_provider(
        source: nghttp2_data_source(ptr: nil), read_callback: Self.readBody)
      return unsafe nghttp2_submit_response(session, stream, fields, count, &body)
    }
    return result == 0
  }

  /// Tells a client that it may send its request's body (100, RFC 9110, section 15.2.1).
  public func tellToContinue(_ stream: Int32) {
    let head: StaticString = "HTTP/1.1 100 \r\n"
    let session = unsafe session
    let line = unsafe RawSpan(_unsafeStart: head.utf8Start, byteCount: head.utf8CodeUnitCount)
    _ = unsafe fields.with(line) { fields, count in
      unsafe nghttp2_submit_headers(
        session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, nil, fields, count, nil)
    }
  }

  /// Asks for a stream's body again, after `fill` had to wait.
  public func resume(_ stream: Int32) {
    _ = unsafe nghttp2_session_resume_data(session, stream)
  }

  /// Why the server ends a stream (RFC 9113, section 7).
  public enum Reset: UInt32, Sendable {
    case noError = 0
    case internalError = 2
    /// Nothing has been done about it: the client may ask again elsewhere.
    case refusedStream = 7
    case cancel = 8
  }

  /// Ends a stream at once, whatever has been said on it.
  public func reset(_ stream: Int32, _ reason: Reset) {
    _ = unsafe nghttp2_submit_rst_stream(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue), stream, reason.rawValue)
  }

  /// Whether a stream's body waits for the stream's own window.
  public func isStalled(_ stream: Int32) -> Bool {
    unsafe nghttp2_session_get_stream_remote_window_size(session, stream) <= 0
  }

  /// Whether all bodies wait for the connection's window.
  public var isStalled: Bool { unsafe nghttp2_session_get_remote_window_size(session) <= 0 }

  /// Lets the client send as many bytes more, on the connection and, if wanted, on the stream.
  public func bodyTaken(_ stream: Int32, _ count: Int, staysOpen: Bool) {
    if staysOpen {
      _ = unsafe nghttp2_session_consume(session, stream, count)
    } else {
      _ = unsafe nghttp2_session_consume_connection(session, count)
    }
  }

  // MARK: The end

  /// Announces that the connection will end, while requests on their way are still taken (RFC 9113,
  /// section 6.8).
  public func announceEnd() {
    _ = unsafe nghttp2_submit_shutdown_notice(session)
  }

  /// Takes no more requests: what has been taken is answered, and then the session is over.
  public func takeNoMore() {
    _ = unsafe nghttp2_submit_goaway(
      session, UInt8(NGHTTP2_FLAG_NONE.rawValue),
      nghttp2_session_get_last_proc_stream_id(session), UInt32(NGHTTP2_NO_ERROR.rawValue), nil, 0)
  }

  /// Says that the connection ends now since its client takes too much; over once that is gathered.
  public func calmDown(_ why: SessionEnd) {
    guard end == nil else { return }
    end = why
    _ = unsafe nghttp2_session_terminate_session(
      session, UInt32(NGHTTP2_ENHANCE_YOUR_CALM.rawValue))
  }
}
