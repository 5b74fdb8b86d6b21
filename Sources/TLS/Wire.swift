internal import Base
internal import COpenSSL

/// What a session's BIO reads from and writes to: memory instead of a socket.
///
/// The BIO knows the place of its `Wire`, which the session owns and frees after the BIO. Input is lent
/// to it for one call.
@safe
struct Wire {
  var input: UnsafeRawPointer?
  var inputCount = 0
  /// Kept alive by the session.
  let buffers: Unmanaged<TLSBuffers>

  init(_ buffers: TLSBuffers) {
    unsafe input = nil
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

  private static func wire(of bio: OpaquePointer?) -> UnsafeMutablePointer<Wire>? {
    unsafe BIO_get_data(bio)?.assumingMemoryBound(to: Wire.self)
  }

  private static func write(
    _ bio: OpaquePointer?, _ bytes: UnsafePointer<CChar>?, _ count: Int32
  ) -> Int32 {
    guard let wire = unsafe wire(of: bio), let bytes = unsafe bytes, count > 0 else { return -1 }
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
    guard let input = unsafe wire.pointee.input, unsafe wire.pointee.inputCount > 0 else {
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
