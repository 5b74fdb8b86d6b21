internal import Base
internal import CNghttp2

// What nghttp2 calls. The pointer that it hands back is the session object, which outlives nghttp2's part of
// it; names, values and bytes that it points to live as long as the call.

extension ServerSession {
  // Both are made once, and all threads only read what they point to.

  nonisolated(unsafe) static let option: OpaquePointer? = {
    var option: OpaquePointer?
    guard unsafe nghttp2_option_new(&option) == 0, let option = unsafe option else { return nil }
    // Bodies that nobody reads must not be sent on and on.
    unsafe nghttp2_option_set_no_auto_window_update(option, 1)
    // Kept for a tree of priorities that is not used.
    unsafe nghttp2_option_set_no_closed_streams(option, 1)
    unsafe nghttp2_option_set_builtin_recv_extension_type(
      option, UInt8(NGHTTP2_PRIORITY_UPDATE.rawValue))
    // All other kinds are told of too, so that they can be counted; what they say is passed over.
    for type in 0x0a...0xff where type != Int(NGHTTP2_PRIORITY_UPDATE.rawValue) {
      unsafe nghttp2_option_set_user_recv_extension_type(option, UInt8(type))
    }
    // Counted here, in FloodGuard; nghttp2's own bounds say nothing to the client.
    unsafe nghttp2_option_set_stream_reset_rate_limit(option, 1_000_000, 1_000_000)
    unsafe nghttp2_option_set_max_continuations(option, 1_000)
    return unsafe option
  }()

  nonisolated(unsafe) static let callbacks: OpaquePointer? = {
    var made: OpaquePointer?
    guard unsafe nghttp2_session_callbacks_new(&made) == 0, let made = unsafe made else {
      return nil
    }
    unsafe nghttp2_session_callbacks_set_on_begin_frame_callback(made) { _, head, owner in
      guard let head = unsafe head else { return 0 }
      unsafe ServerSession.of(owner).frameBegins(
        head.pointee.type, head.pointee.flags, length: head.pointee.length)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_begin_headers_callback(made) { _, _, owner in
      unsafe ServerSession.of(owner).headBegins()
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_header_callback(made) {
      _, _, name, nameCount, value, valueCount, _, owner in
      guard let name = unsafe name, let value = unsafe value else { return 0 }
      return unsafe ServerSession.with(owner) { machine in
        unsafe machine.field(
          RawSpan(_unsafeStart: name, byteCount: nameCount),
          RawSpan(_unsafeStart: value, byteCount: valueCount))
        // nghttp2 would check all of what is left of the frame: references of a byte each to 36 MB of fields.
        return machine.end == nil ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
      }
    }
    // A head with a malformed field is malformed (RFC 9113, section 8.2.1): the stream is reset.
    unsafe nghttp2_session_callbacks_set_on_invalid_header_callback(made) {
      _, _, _, _, _, _, _, owner in
      unsafe ServerSession.of(owner).isWithinHead = false
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
    }
    unsafe nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(made) { _, _, _, owner in
      unsafe ServerSession.of(owner).isWithinHead = false
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_recv_callback(made) { _, frame, owner in
      guard let frame = unsafe frame else { return 0 }
      unsafe ServerSession.of(owner).frameArrived(frame)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_extension_chunk_recv_callback(made) { _, _, _, _, _ in
      NGHTTP2_ERR_CANCEL.rawValue
    }
    unsafe nghttp2_session_callbacks_set_unpack_extension_callback(made) { _, _, _, _ in
      NGHTTP2_ERR_CANCEL.rawValue
    }
    unsafe nghttp2_session_callbacks_set_on_data_chunk_recv_callback(made) {
      session, _, stream, bytes, count, owner in
      guard let place = unsafe ServerSession.place(session, stream), let bytes = unsafe bytes else {
        _ = unsafe nghttp2_session_consume_connection(session, count)
        return 0
      }
      let span = unsafe RawSpan(_unsafeStart: bytes, byteCount: count)
      unsafe ServerSession.of(owner).delegate?.bodyArrived(place, span)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_stream_close_callback(made) {
      session, stream, code, owner in
      guard let place = unsafe ServerSession.place(session, stream) else { return 0 }
      unsafe ServerSession.of(owner).delegate?.streamClosed(
        place, isComplete: code == NGHTTP2_NO_ERROR.rawValue)
      return 0
    }
    unsafe nghttp2_session_callbacks_set_on_frame_send_callback(made) { _, frame, owner in
      guard let frame = unsafe frame else { return 0 }
      unsafe ServerSession.of(owner).frameSent(frame)
      return 0
    }
    // A head beyond nghttp2's own bound (64 KiB) would leave its stream without a word.
    unsafe nghttp2_session_callbacks_set_on_frame_not_send_callback(made) {
      session, frame, _, owner in
      guard let frame = unsafe frame else { return 0 }
      let head = unsafe frame.pointee.hd
      if UInt32(head.type) == NGHTTP2_HEADERS.rawValue,
        unsafe ServerSession.place(session, head.stream_id) != nil
      {
        unsafe ServerSession.of(owner).reset(head.stream_id, .internalError)
      }
      return 0
    }
    unsafe nghttp2_session_callbacks_set_send_data_callback(made) {
      _, frame, head, count, _, owner in
      guard let head = unsafe head, let output = unsafe ServerSession.of(owner).output else {
        return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
      }
      unsafe output.commit(head: head, payload: count)
      return 0
    }
    return unsafe made
  }()

  /// Calls with the session behind nghttp2's pointer, and without counting a reference; whoever called nghttp2 has one.
  @inline(__always)
  private static func with<Result>(
    _ owner: UnsafeMutableRawPointer?, _ body: (ServerSession) -> Result
  ) -> Result {
    guard let owner = unsafe owner else { preconditionFailure("nghttp2 lost its session") }
    return unsafe Unmanaged<ServerSession>.fromOpaque(owner)._withUnsafeGuaranteedRef(body)
  }

  static func of(_ owner: UnsafeMutableRawPointer?) -> ServerSession {
    guard let owner = unsafe owner else { preconditionFailure("nghttp2 lost its session") }
    return unsafe Unmanaged<ServerSession>.fromOpaque(owner).takeUnretainedValue()
  }

  // A stream's place, one more than it, is what nghttp2 keeps for the stream.
  static func place(_ session: OpaquePointer?, _ stream: Int32) -> Int? {
    guard let kept = unsafe nghttp2_session_get_stream_user_data(session, stream) else {
      return nil
    }
    return Int(bitPattern: kept) - 1
  }

  // MARK: Frames in

  private func frameBegins(_ type: UInt8, _ flags: UInt8, length: Int) {
    guard let kind = Self.costly(type, flags, length), end == nil else { return }
    if !guardian.allows(kind, at: now) { calmDown(.flood(kind)) }
  }

  /// What a frame may be a flood's part as; nil for those that are worth it.
  private static func costly(_ type: UInt8, _ flags: UInt8, _ length: Int) -> CostlyFrame? {
    switch UInt32(type) {
    case NGHTTP2_HEADERS.rawValue: return nil
    case NGHTTP2_DATA.rawValue:
      // A frame of nothing but padding is as good as empty; those that end a stream come once.
      let ends = UInt32(flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
      let isPadded = UInt32(flags) & NGHTTP2_FLAG_PADDED.rawValue != 0
      return ends || length > (isPadded ? 256 : 0) ? nil : .emptyData
    case NGHTTP2_RST_STREAM.rawValue: return .reset
    case NGHTTP2_CONTINUATION.rawValue: return .continuation
    case NGHTTP2_PING.rawValue: return .ping
    case NGHTTP2_SETTINGS.rawValue: return .settings
    case NGHTTP2_PRIORITY.rawValue, NGHTTP2_PRIORITY_UPDATE.rawValue: return .priority
    case NGHTTP2_WINDOW_UPDATE.rawValue: return .windowUpdate
    default: return .other
    }
  }

  private func headBegins() {
    isWithinHead = true
    guardian.headBegins()
    request.begin()
  }

  private func field(_ name: RawSpan, _ value: RawSpan) {
    request.add(name, value)
    if request.isBomb { calmDown(.flood(.fields)) }
  }

  private func frameArrived(_ frame: UnsafePointer<nghttp2_frame>) {
    let head = unsafe frame.pointee.hd
    let ends = UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0
    switch UInt32(head.type) {
    case NGHTTP2_HEADERS.rawValue:
      isWithinHead = false
      guard end == nil else { return }
      if unsafe frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
        requestArrived(head.stream_id, hasBody: !ends)
      } else if ends {
        // Trailers end the body; what they say is dropped.
        bodyEnded(head.stream_id)
      }
    case NGHTTP2_DATA.rawValue where ends: bodyEnded(head.stream_id)
    default: break
    }
  }

  private func requestArrived(_ stream: Int32, hasBody: Bool) {
    requestText.clear()
    if !request.isTooLarge { request.write(to: &requestText) }
    let place = requestText.withReadable { delegate?.requestArrived(stream, $0, hasBody: hasBody) }
    guard let place else {
      reset(stream, .refusedStream)
      return
    }
    _ = unsafe nghttp2_session_set_stream_user_data(
      session, stream, UnsafeMutableRawPointer(bitPattern: place + 1))
  }

  private func bodyEnded(_ stream: Int32) {
    if let place = unsafe Self.place(session, stream) { delegate?.bodyEnded(place) }
  }

  // MARK: Frames out

  /// Asks the stream for the payload of its next frame, and lets it write that where it is sent from.
  static let readBody: nghttp2_data_source_read_callback = {
    session, stream, _, length, flags, _, owner in
    let session = unsafe session
    let machine = unsafe ServerSession.of(owner)
    guard let place = unsafe ServerSession.place(session, stream), let flags = unsafe flags,
      let output = machine.output
    else { return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue) }
    // What is already gathered goes first.
    guard output.takesFrame else { return Int(NGHTTP2_ERR_PAUSE.rawValue) }
    let room = unsafe output.room(min(length, FrameBuffer.frameBytes - FrameBuffer.headBytes))
    switch unsafe machine.delegate?.fill(place, room) ?? .broken {
    case .bytes(let count):
      precondition(count > 0 && count <= room.count)
      unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue
      return count
    case .last(let count):
      precondition(count >= 0 && count <= room.count)
      unsafe flags.pointee |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue | NGHTTP2_DATA_FLAG_EOF.rawValue
      return count
    case .wait: return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    case .broken: return Int(NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue)
    }
  }

  private func frameSent(_ frame: UnsafePointer<nghttp2_frame>) {
    let head = unsafe frame.pointee.hd
    switch UInt32(head.type) {
    case NGHTTP2_DATA.rawValue, NGHTTP2_HEADERS.rawValue:
      if UInt32(head.type) == NGHTTP2_DATA.rawValue { guardian.sentData() }
      if UInt32(head.flags) & NGHTTP2_FLAG_END_STREAM.rawValue != 0,
        let place = unsafe Self.place(session, head.stream_id)
      {
        delegate?.answerSent(place)
      }
    case NGHTTP2_RST_STREAM.rawValue:
      // Resets that the client provokes by mistakes cost as much as its own.
      let code = unsafe frame.pointee.rst_stream.error_code
      let isOurs =
        code == NGHTTP2_NO_ERROR.rawValue || code == NGHTTP2_INTERNAL_ERROR.rawValue
        || code == NGHTTP2_CANCEL.rawValue
      if !isOurs && !guardian.allows(.reset, at: now) { calmDown(.flood(.reset)) }
    default: break
    }
  }
}
