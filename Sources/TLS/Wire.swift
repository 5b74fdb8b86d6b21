internal import Base
internal import COpenSSL

/// What a session's BIO reads from and writes to: memory instead of a socket.
///
/// The BIO knows the place of its `Wire`, which the session owns and frees after the BIO. Input is lent
/// to it for one call. Output is copied behind what the thread's buffer has, but for a large record that its
/// session asks to be lent: that one stays where OpenSSL has made it.
@safe
struct Wire {
  var input: UnsafeRawPointer?
  var inputCount = 0
  /// Messages of the peer that ask for work and bring no plaintext.
  var chatter = 0
  /// How many of them there may be; no input is read beyond.
  var mostChatter = Wire.freeChatter
  /// Plaintext whose record is lent instead of copied; 0 where none is.
  var lending = 0
  /// The lent record, in OpenSSL's own buffer: there until that is used again.
  var lent: UnsafeRawBufferPointer?
  /// Kept alive by the session.
  let buffers: Unmanaged<TLSBuffers>

  /// A handshake with a retry, a server's tickets, and new keys now and then: far fewer than these.
  static let freeChatter = 32

  var isTalkative: Bool { chatter > mostChatter }

  init(_ buffers: TLSBuffers) {
    unsafe input = nil
    unsafe lent = nil
    unsafe self.buffers = .passUnretained(buffers)
  }

  /// The kind of BIO; made once, never freed; nil where OpenSSL has no memory.
  private nonisolated(unsafe) static let method: OpaquePointer? = {
    // 64 and above are free for programs; it is a source and a sink (bio.h).
    guard let method = unsafe BIO_meth_new(BIO_get_new_index() | 0x0400, "sluice") else {
      return nil
    }
    unsafe BIO_meth_set_write(method) { bio, bytes, count in
      unsafe Wire.write(bio, bytes, count)
    }
    unsafe BIO_meth_set_read(method) { bio, room, count in
      unsafe Wire.read(bio, room, count)
    }
    // Flushes succeed, having nothing to do; of all else nothing is known.
    unsafe BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
    return unsafe method
  }()

  /// A BIO on a wire that outlives it; nil where OpenSSL has no memory.
  static func bio(on wire: UnsafeMutablePointer<Wire>) -> OpaquePointer? {
    guard let method = unsafe method, let bio = unsafe BIO_new(method) else { return nil }
    unsafe BIO_set_data(bio, wire)
    unsafe BIO_set_init(bio, 1)
    return unsafe bio
  }

  /// Has a session's messages counted on its wire.
  ///
  /// OpenSSL takes any number of requests for new keys (RFC 8446, section 4.6.3) in one call, and
  /// answers each: 27 bytes that cost 40 µs.
  static func watch(_ ssl: OpaquePointer, on wire: UnsafeMutablePointer<Wire>) {
    unsafe openssl_on_message(
      ssl,
      { isWritten, _, kind, bytes, count, _, argument in
        guard isWritten == 0, kind == SSL3_RT_HANDSHAKE, count > 0, let bytes = unsafe bytes,
          let wire = unsafe argument?.assumingMemoryBound(to: Wire.self)
        else { return }
        switch unsafe Int32(bytes.load(as: UInt8.self)) {
        case SSL3_MT_HELLO_REQUEST, SSL3_MT_CLIENT_HELLO, SSL3_MT_NEWSESSION_TICKET,
          SSL3_MT_KEY_UPDATE:
          unsafe wire.pointee.chatter += 1
        default: break
        }
      }, wire)
  }

  private static func wire(of bio: OpaquePointer?) -> UnsafeMutablePointer<Wire>? {
    unsafe BIO_get_data(bio)?.assumingMemoryBound(to: Wire.self)
  }

  private static func write(
    _ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int32
  ) -> Int32 {
    guard let wire = unsafe wire(of: bio), let bytes = unsafe bytes, count > 0 else { return -1 }
    // What is lent has just been written over: better no connection than wrong bytes.
    if unsafe wire.pointee.lent != nil {
      unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      return -1
    }
    // A message of the protocol's own may come before it, and is far smaller.
    if unsafe wire.pointee.lending > 0 && Int(count) > wire.pointee.lending {
      unsafe wire.pointee.lent = UnsafeRawBufferPointer(start: bytes, count: Int(count))
      return count
    }
    unsafe wire.pointee.buffers._withUnsafeGuaranteedRef { buffers in
      unsafe buffers.output.append(
        RawSpan(_unsafeStart: UnsafeRawPointer(bytes), byteCount: Int(count)))
    }
    return count
  }

  private static func read(
    _ bio: OpaquePointer?, _ room: UnsafeMutablePointer<CChar>?, _ count: Int32
  ) -> Int32 {
    unsafe BIO_clear_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
    guard let wire = unsafe wire(of: bio), let room = unsafe room, count > 0 else { return -1 }
    guard let input = unsafe wire.pointee.input, unsafe wire.pointee.inputCount > 0,
      unsafe !wire.pointee.isTalkative
    else {
      unsafe BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY)
      return -1
    }
    let taken = min(Int(count), unsafe wire.pointee.inputCount)
    unsafe UnsafeMutableRawPointer(room).copyMemory(from: input, byteCount: taken)
    unsafe wire.pointee.input = input + taken
    unsafe wire.pointee.inputCount -= taken
    return Int32(taken)
  }
}
