internal import Base
internal import COpenSSL

/// One side of a TLS connection, without a socket: ciphertext in, plaintext out, and the reverse.
///
/// Records that it makes lie in the thread's `TLSBuffers.output` when a call returns: answers of the
/// handshake and alerts also after `decrypt`. It belongs to one thread.
@safe
public final class TLSSession {
  public enum State: Sendable {
    case open
    /// The peer has said that nothing more comes (`close_notify`, RFC 8446, section 6.1).
    case peerClosed
    /// The peer broke the protocol, or its certificate is not what it should be; nothing more goes.
    case failed
  }

  /// The most plaintext that is encrypted in one call: 16 full records for one `send`.
  public static let mostPlaintext = 256 * 1024
  /// The most plaintext that a record holds (RFC 8446, section 5.1).
  public static let recordBytes = 16 * 1024

  public private(set) var state = State.open
  /// Why it failed; nil as long as it has not.
  public private(set) var failure: String?

  /// OpenSSL's `SSL`, owned.
  let ssl: OpaquePointer
  /// What its BIO reads and writes, owned; freed after it.
  private let wire: UnsafeMutablePointer<Wire>
  private let buffers: TLSBuffers
  /// What OpenSSL's callbacks look into, and what owns the context.
  private let owner: AnyObject
  /// Ciphertext that has come and that OpenSSL has not taken.
  private var unread = ByteBuffer(capacity: 64)
  private var hasSentClose = false
  /// Bytes of plaintext that have come and gone.
  private var carried = 0
  /// The server that the session is kept for; nil once it is, and on the server's own side.
  private var peer: TLSPeer?

  private init(
    _ context: TLSContext, of owner: AnyObject, _ buffers: TLSBuffers
  ) throws(TLSError) {
    guard let ssl = unsafe SSL_new(context.pointer) else { throw .latest("no session can be made") }
    let wire = UnsafeMutablePointer<Wire>.allocate(capacity: 1)
    unsafe wire.initialize(to: Wire(buffers))
    guard let bio = unsafe Wire.bio(on: wire) else {
      unsafe SSL_free(ssl)
      unsafe wire.deallocate()
      throw .latest("no session can be made")
    }
    // One BIO for both ways; the session owns it now.
    unsafe SSL_set_bio(ssl, bio, bio)
    unsafe Wire.watch(ssl, on: wire)
    unsafe self.ssl = ssl
    unsafe self.wire = wire
    self.buffers = buffers
    self.owner = owner
  }

  /// The server's side of a new connection.
  public convenience init(
    server certificates: ServerCertificates, _ buffers: TLSBuffers
  ) throws(TLSError) {
    try self.init(certificates.first, of: certificates, buffers)
    unsafe SSL_set_accept_state(ssl)
  }

  /// The client's side; its first flight is made by `start`.
  public convenience init(client server: TLSPeer, _ buffers: TLSBuffers) throws(TLSError) {
    try self.init(server.trust.context, of: server, buffers)
    peer = server
    unsafe SSL_set_connect_state(ssl)
    try unsafe server.prepare(ssl)
  }

  deinit {
    // Without this OpenSSL takes a session whose connection just ended for one not to be resumed.
    unsafe SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
    unsafe SSL_free(ssl)
    unsafe wire.deinitialize(count: 1)
    unsafe wire.deallocate()
  }

  var isServer: Bool { unsafe SSL_is_server(ssl) == 1 }

  // MARK: What became of the handshake

  /// Whether the handshake has come to its end.
  public var isEstablished: Bool { unsafe SSL_is_init_finished(ssl) == 1 }
  /// Whether it was shortened by an earlier session.
  public var isResumed: Bool { unsafe SSL_session_reused(ssl) == 1 }

  /// The protocol that both sides agreed on (ALPN, RFC 7301); nil where none was asked for.
  public var applicationProtocol: String? {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(ssl, &name, &count)
    guard let name = unsafe name, count > 0 else { return nil }
    return unsafe String(
      decoding: UnsafeBufferPointer(start: name, count: Int(count)), as: UTF8.self)
  }

  /// Whether HTTP/2 was agreed on: what `applicationProtocol` says, without making a text.
  public var isHTTP2: Bool {
    var name: UnsafePointer<UInt8>?
    var count: UInt32 = 0
    unsafe SSL_get0_alpn_selected(ssl, &name, &count)
    guard let name = unsafe name, count == 2 else { return false }
    return unsafe name[0] == UInt8(ascii: "h") && name[1] == UInt8(ascii: "2")
  }

  /// `TLSv1.3` or `TLSv1.2`.
  public var version: String {
    guard let text = unsafe SSL_get_version(ssl) else { return "" }
    return unsafe String(cString: text)
  }

  /// Whether the version is 1.3, and not an older one.
  public var isVersion13: Bool { unsafe SSL_version(ssl) == TLS1_3_VERSION }

  /// The cipher suite's name.
  public var cipher: String {
    guard let text = unsafe SSL_CIPHER_get_name(SSL_get_current_cipher(ssl)) else { return "" }
    return unsafe String(cString: text)
  }

  /// The peer's certificate in its PEM form's bytes (DER); empty where there is none.
  public var peerCertificate: [UInt8] {
    guard let certificate = unsafe SSL_get1_peer_certificate(ssl) else { return [] }
    defer { unsafe X509_free(certificate) }
    var bytes: UnsafeMutablePointer<UInt8>?
    let count = unsafe i2d_X509(certificate, &bytes)
    guard count > 0, let bytes = unsafe bytes else { return [] }
    defer { unsafe CRYPTO_free(bytes, #file, 0) }
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
  }

  /// The OCSP answer that the server stapled to its certificate; empty where there is none.
  public var staple: [UInt8] {
    var bytes: UnsafePointer<UInt8>?
    let count = unsafe openssl_staple(ssl, &bytes)
    guard count > 0, let bytes = unsafe bytes else { return [] }
    return unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
  }

  /// Asks the server for a staple; before `start`.
  public func askForStaple() { unsafe openssl_ask_staple(ssl) }

  // MARK: Bytes

  /// Makes the client's first flight.
  public func start() {
    TLSError.forget()
    note(unsafe SSL_do_handshake(ssl))
  }

  /// Whether bytes have come that were not given away yet.
  public var hasUnread: Bool { unsafe !unread.isEmpty || SSL_pending(ssl) > 0 }

  /// Takes ciphertext and fills the room with plaintext; the number of bytes written.
  ///
  /// What finds no room stays, and a call without ciphertext goes on with it. Ciphertext that comes
  /// meanwhile is kept: who calls sees to it that it is not much.
  public func decrypt(_ ciphertext: RawSpan, into room: UnsafeMutableRawBufferPointer) -> Int {
    guard state == .open else { return 0 }
    if unread.isEmpty {
      let (written, left) = unsafe ciphertext.withUnsafeBytes { bytes in
        unsafe read(bytes, into: room)
      }
      if left > 0 {
        unread.append(ciphertext.extracting((ciphertext.byteCount - left)...))
      }
      return written
    }
    unread.append(ciphertext)
    let (written, left) = unread.withReadable { span in
      unsafe span.withUnsafeBytes { bytes in unsafe read(bytes, into: room) }
    }
    unread.consume(unread.count - left)
    if unread.isEmpty && unread.capacity > 4096 { unread = ByteBuffer(capacity: 64) }
    return written
  }

  private func read(
    _ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawBufferPointer
  ) -> (written: Int, left: Int) {
    unsafe wire.pointee.input = bytes.baseAddress
    unsafe wire.pointee.inputCount = bytes.count
    var written = 0
    while written < room.count && state == .open {
      // With nothing left in either place the next call could only say so.
      if written > 0, unsafe wire.pointee.inputCount == 0, unsafe SSL_pending(ssl) == 0 { break }
      TLSError.forget()
      let most = Int32(clamping: room.count - written)
      let count = unsafe SSL_read(ssl, room.baseAddress.map { unsafe $0 + written }, most)
      if count <= 0 {
        note(count)
        break
      }
      written += Int(count)
    }
    // New keys belong to much plaintext; else the peer only keeps this side busy.
    carried += written
    unsafe wire.pointee.mostChatter = Wire.freeChatter + carried >> 20
    if unsafe wire.pointee.isTalkative {
      state = .failed
      failure = "the peer asks for new keys without end"
    }
    if written > 0, let peer {
      // Tickets of TLS 1.3 come before a server's first words.
      unsafe peer.keepSession(of: ssl)
      self.peer = nil
    }
    let left = unsafe wire.pointee.inputCount
    unsafe wire.pointee.input = nil
    unsafe wire.pointee.inputCount = 0
    return (written, left)
  }

  /// Encrypts plaintext of at most `mostPlaintext`; false where the session cannot (any more).
  ///
  /// With `lending` a large last record stays in OpenSSL's buffer, which saves copying it: `withLent` has it,
  /// behind what is in `TLSBuffers.output`, and `endLending` comes before anything else that is asked of
  /// the session. Where there are two or more records that one is full, and what is left over comes first.
  public func encrypt(_ plaintext: RawSpan, lending: Bool = false) -> Bool {
    precondition(plaintext.byteCount <= Self.mostPlaintext)
    guard state != .failed, !hasSentClose else { return false }
    if plaintext.isEmpty { return true }
    endLending(keepingFrom: 0)
    TLSError.forget()
    let lends = lending && plaintext.byteCount >= Self.leastLent && mayLend
    // OpenSSL would make and free its buffer for each record; with the last one it lets it go.
    let before =
      lends
      ? max(0, plaintext.byteCount - Self.recordBytes)
      : (plaintext.byteCount - 1) / Self.recordBytes * Self.recordBytes
    var count = Int32(0)
    var taken = 0
    unsafe plaintext.withUnsafeBytes { bytes in
      if before > 0 || lends { unsafe openssl_release_buffers(ssl, 0) }
      if before > 0 {
        count = unsafe write(UnsafeRawBufferPointer(rebasing: bytes[..<before]))
        taken = max(0, Int(count))
      }
      if before > 0 && !lends { unsafe openssl_release_buffers(ssl, 1) }
      if taken < before { return }
      if lends { unsafe wire.pointee.lending = bytes.count - before }
      count = unsafe write(UnsafeRawBufferPointer(rebasing: bytes[before...]))
      unsafe wire.pointee.lending = 0
      taken += max(0, Int(count))
    }
    if lends { unsafe openssl_release_buffers(ssl, 1) }
    // The BIO takes everything, so it is all or nothing.
    if taken == plaintext.byteCount {
      carried += plaintext.byteCount
      if lends, unsafe wire.pointee.lent == nil { releaseWriteBuffer() }
      return true
    }
    unsafe wire.pointee.lent = nil
    note(count)
    return false
  }

  /// Whether a record can be lent: not in a handshake, whose flights are as large as one, and not where the peer
  /// has asked for short records (RFC 6066, section 4), of which one call makes many.
  private var mayLend: Bool {
    guard Self.keepsBuffers, isEstablished else { return false }
    let length = unsafe SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl))
    return length == TLSEXT_max_fragment_length_DISABLED || length > 4
  }

  /// Whether OpenSSL heeds `SSL_MODE_RELEASE_BUFFERS` as it is at each record: from 3.2 on it goes by what that was
  /// at the handshake's end, and lets go of a buffer that would be lent.
  static let keepsBuffers = OpenSSL_version_num() < 0x3020_0000

  /// The least plaintext whose record is lent: far more than a message of the protocol's own, and with less
  /// there is little to save.
  static let leastLent = 4 * 1024

  /// Bytes of the record that is lent; 0 where none is.
  public var lentBytes: Int { unsafe wire.pointee.lent?.count ?? 0 }

  /// Lends the record to `body`; nothing where there is none.
  public func withLent<Result>(_ body: (RawSpan) -> Result) -> Result {
    guard let lent = unsafe wire.pointee.lent else { return body(RawSpan()) }
    return unsafe body(lent.bytes)
  }

  /// Copies the lent record's bytes from `start` on behind `TLSBuffers.output`, and gives it back.
  public func endLending(keepingFrom start: Int) {
    guard let lent = unsafe wire.pointee.lent else { return }
    let left = unsafe lent.bytes.extracting(min(start, lent.count)...)
    if !left.isEmpty { buffers.output.append(left) }
    unsafe wire.pointee.lent = nil
    releaseWriteBuffer()
  }

  /// To write nothing is how OpenSSL lets go of this buffer and of no other.
  private func releaseWriteBuffer() {
    TLSError.forget()
    var written = 0
    unsafe SSL_write_ex(ssl, nil, 0, &written)
  }

  /// Says that nothing more will be sent (`close_notify`); once, and only after the handshake.
  public func close() {
    guard state != .failed, !hasSentClose, isEstablished else { return }
    hasSentClose = true
    TLSError.forget()
    _ = unsafe SSL_shutdown(ssl)
    TLSError.forget()
  }

  /// The number of bytes taken, which is all of them, or OpenSSL's complaint.
  private func write(_ bytes: UnsafeRawBufferPointer) -> Int32 {
    unsafe SSL_write(ssl, bytes.baseAddress, Int32(clamping: bytes.count))
  }

  /// Takes note of what an unsuccessful call means.
  private func note(_ result: Int32) {
    if result > 0 { return }
    switch unsafe SSL_get_error(ssl, result) {
    case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: break
    case SSL_ERROR_ZERO_RETURN: state = .peerClosed
    default:
      state = .failed
      // The session that it was to go on with may be why.
      if !isEstablished { peer?.forget() }
      let verdict = unsafe SSL_get_verify_result(ssl)
      let reason = TLSError.reason()
      if verdict != Int(X509_V_OK), let text = unsafe X509_verify_cert_error_string(verdict) {
        failure = unsafe String(cString: text)
      } else {
        failure = reason.isEmpty ? "the peer broke the protocol" : reason
      }
    }
  }
}
