import CNghttp2

/// The client's side of one HTTP/2 connection in memory, kept by nghttp2: what is to be sent comes from
/// `take`, what has come goes to `receive`.
public final class HTTP2Client {
  public struct Answer {
    public var status = 0
    public var fields: [(name: String, value: String)] = []
    public var body: [UInt8] = []
    /// Whether its last frame had END_STREAM.
    public var isComplete = false
    /// The error code that the stream ended with; nil while it is open.
    public var closed: UInt32?

    public subscript(name: String) -> String? { fields.first { $0.name == name }?.value }
  }

  public private(set) var answers: [Int32: Answer] = [:]
  /// The order in which streams' frames of data came.
  public private(set) var dataOrder: [Int32] = []
  /// The error code and last stream of each GOAWAY.
  public private(set) var goAways: [(code: UInt32, last: Int32)] = []
  public private(set) var settings: [Int32: UInt32] = [:]
  public private(set) var pongs = 0
  /// Why the server's bytes were not understood; nil while they are.
  public private(set) var failure: String?
  /// Streams whose window is not opened again.
  public var stalled: Set<Int32> = []
  /// Whether the connection's window is not opened again by itself.
  public var isConnectionStalled = false
  private var session: OpaquePointer?
  private var bodies: [Int32: (bytes: [UInt8], offset: Int)] = [:]

  /// - Parameter window: the bytes that a stream may send before it is told to go on.
  public init(window: UInt32 = 65535, connectionWindow: Int32 = 1 << 24) {
    var callbacks: OpaquePointer?
    nghttp2_session_callbacks_new(&callbacks)
    defer { nghttp2_session_callbacks_del(callbacks) }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) {
      _, frame, name, nameCount, value, valueCount, _, owner in
      let name = String(decoding: UnsafeBufferPointer(start: name, count: nameCount), as: UTF8.self)
      let value = String(
        decoding: UnsafeBufferPointer(start: value, count: valueCount), as: UTF8.self)
      guard let frame else { return 0 }
      HTTP2Client.of(owner).field(frame.pointee.hd.stream_id, name, value)
      return 0
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
      _, _, stream, bytes, count, owner in
      HTTP2Client.of(owner).data(stream, UnsafeBufferPointer(start: bytes, count: count))
      return 0
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, owner in
      if let frame { HTTP2Client.of(owner).arrived(frame.pointee) }
      return 0
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, stream, code, owner in
      HTTP2Client.of(owner).answers[stream, default: Answer()].closed = code
      return 0
    }
    var option: OpaquePointer?
    nghttp2_option_new(&option)
    defer { nghttp2_option_del(option) }
    nghttp2_option_set_no_auto_window_update(option, 1)
    nghttp2_session_client_new2(
      &session, callbacks, Unmanaged.passUnretained(self).toOpaque(), option)
    var entries = [
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE.rawValue), value: window),
      nghttp2_settings_entry(
        settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
    ]
    nghttp2_submit_settings(session, 0, &entries, entries.count)
    nghttp2_session_set_local_window_size(session, 0, 0, connectionWindow)
  }

  deinit { nghttp2_session_del(session) }

  private static func of(_ owner: UnsafeMutableRawPointer?) -> HTTP2Client {
    guard let owner else { preconditionFailure("nghttp2 lost its client") }
    return Unmanaged<HTTP2Client>.fromOpaque(owner).takeUnretainedValue()
  }

  // MARK: Asking

  /// Begins a request; its stream.
  @discardableResult
  public func ask(
    _ path: String, method: String = "GET", authority: String? = "example.org",
    fields: [(String, String)] = [], body: [UInt8]? = nil
  ) -> Int32 {
    var all = [(":method", method), (":path", path), (":scheme", "http")]
    if let authority { all.append((":authority", authority)) }
    all += fields
    return ask(all, body: body)
  }

  /// The same with fields that are all given.
  public func ask(_ fields: [(String, String)], body: [UInt8]? = nil) -> Int32 {
    let texts = fields.map { (Array($0.0.utf8), Array($0.1.utf8)) }
    var storage: [UnsafeMutablePointer<UInt8>] = []
    func keep(_ bytes: [UInt8]) -> UnsafeMutablePointer<UInt8> {
      let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: bytes.count + 1)
      for (offset, byte) in bytes.enumerated() { copy[offset] = byte }
      storage.append(copy)
      return copy
    }
    defer { for copy in storage { copy.deallocate() } }
    let pairs = texts.map {
      nghttp2_nv(
        name: keep($0.0), value: keep($0.1), namelen: $0.0.count, valuelen: $0.1.count, flags: 0)
    }
    guard let body else {
      return nghttp2_submit_request(session, nil, pairs, pairs.count, nil, nil)
    }
    var provider = nghttp2_data_provider(source: nghttp2_data_source(ptr: nil)) {
      _, stream, room, count, flags, _, owner in
      let client = HTTP2Client.of(owner)
      guard var body = client.bodies[stream], let room, let flags else { return 0 }
      let part = min(count, body.bytes.count - body.offset)
      for offset in 0..<part { room[offset] = body.bytes[body.offset + offset] }
      body.offset += part
      client.bodies[stream] = body
      if body.offset == body.bytes.count { flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue }
      return part
    }
    let stream = nghttp2_submit_request(session, nil, pairs, pairs.count, &provider, nil)
    bodies[stream] = (body, 0)
    return stream
  }

  public func reset(_ stream: Int32) {
    nghttp2_submit_rst_stream(session, 0, stream, NGHTTP2_CANCEL.rawValue)
  }

  public func ping() { nghttp2_submit_ping(session, 0, nil) }

  /// PRIORITY_UPDATE (RFC 9218, section 7.1).
  public func prioritise(_ stream: Int32, _ value: String) {
    Array(value.utf8).withUnsafeBufferPointer {
      _ = nghttp2_submit_priority_update(session, 0, stream, $0.baseAddress, $0.count)
    }
  }

  /// Opens a stalled stream's window by so much.
  public func open(_ stream: Int32, _ bytes: Int) {
    nghttp2_session_consume_stream(session, stream, bytes)
  }

  /// Opens the connection's window by so much.
  public func openConnection(_ bytes: Int) {
    nghttp2_submit_window_update(session, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(bytes))
  }

  // MARK: Bytes

  /// All that is to be sent now.
  public func take() -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      var frame: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &frame)
      guard count > 0 else { return bytes }
      bytes += UnsafeBufferPointer(start: frame, count: count)
    }
  }

  public func receive(_ bytes: [UInt8]) {
    guard failure == nil else { return }
    let result = nghttp2_session_mem_recv(session, bytes, bytes.count)
    if result < 0 { failure = String(cString: nghttp2_strerror(Int32(result))) }
  }

  public func isComplete(_ stream: Int32) -> Bool { answers[stream]?.isComplete ?? false }

  private func field(_ stream: Int32, _ name: String, _ value: String) {
    if name == ":status" {
      answers[stream, default: Answer()].status = Int(value) ?? 0
    } else {
      answers[stream, default: Answer()].fields.append((name, value))
    }
  }

  private func data(_ stream: Int32, _ bytes: UnsafeBufferPointer<UInt8>) {
    answers[stream, default: Answer()].body += bytes
    if dataOrder.last != stream { dataOrder.append(stream) }
    if !isConnectionStalled { nghttp2_session_consume_connection(session, bytes.count) }
    if !stalled.contains(stream) { nghttp2_session_consume_stream(session, stream, bytes.count) }
  }

  private func arrived(_ frame: nghttp2_frame) {
    switch UInt32(frame.hd.type) {
    case NGHTTP2_DATA.rawValue, NGHTTP2_HEADERS.rawValue:
      if UInt32(frame.hd.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0 {
        answers[frame.hd.stream_id, default: Answer()].isComplete = true
      }
    case NGHTTP2_GOAWAY.rawValue:
      goAways.append((frame.goaway.error_code, frame.goaway.last_stream_id))
    case NGHTTP2_PING.rawValue:
      if UInt32(frame.hd.flags) & NGHTTP2_FLAG_ACK.rawValue != 0 { pongs += 1 }
    case NGHTTP2_SETTINGS.rawValue:
      for index in 0..<frame.settings.niv {
        settings[frame.settings.iv[index].settings_id] = frame.settings.iv[index].value
      }
    default: break
    }
  }
}

/// Frames of HTTP/2 as bytes, also such as no good client sends (RFC 9113, sections 4 and 6).
public enum HTTP2Frame {
  public static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

  public static func make(
    _ type: UInt8, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []
  ) -> [UInt8] {
    let count = UInt32(payload.count)
    return [
      UInt8(truncatingIfNeeded: count >> 16), UInt8(truncatingIfNeeded: count >> 8),
      UInt8(truncatingIfNeeded: count), type, flags,
    ] + number(stream) + payload
  }

  public static func number(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  public static let settings = make(4)
  public static let settingsAck = make(4, flags: 1)

  /// A field as HPACK's literal without indexing and without Huffman's code (RFC 7541, section 6.2.2).
  public static func field(_ name: String, _ value: String) -> [UInt8] {
    func text(_ text: String) -> [UInt8] {
      let bytes = Array(text.utf8)
      guard bytes.count >= 127 else { return [UInt8(bytes.count)] + bytes }
      var count = bytes.count - 127
      var prefix: [UInt8] = [127]
      while count >= 128 {
        prefix.append(UInt8(count & 127) | 128)
        count >>= 7
      }
      return prefix + [UInt8(count)] + bytes
    }
    return [0] + text(name) + text(value)
  }

  /// A GET's fields.
  public static func get(_ path: String) -> [UInt8] {
    field(":method", "GET") + field(":scheme", "http") + field(":authority", "a")
      + field(":path", path)
  }

  /// HEADERS with END_HEADERS and END_STREAM.
  public static func headers(_ stream: UInt32, _ block: [UInt8], flags: UInt8 = 5) -> [UInt8] {
    make(1, flags: flags, stream: stream, block)
  }
}
