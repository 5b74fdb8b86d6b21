internal import Base
internal import EventLoop
internal import System
internal import TLS

/// The way of a connection's bytes to a server and back: the plain socket, or TLS upon it.
///
/// As a client's `ClientTransport` it hides what lies below from what speaks HTTP.
struct UpstreamTransport {
  /// The loop's socket, as TLS sees it.
  private struct Ciphertext: CiphertextSocket {
    let loop: Loop
    let socket: Int32

    func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult {
      unsafe loop.receive(socket, into: room)
    }

    func send(_ bytes: RawSpan) -> IOResult { loop.send(socket, bytes) }

    func send(_ first: RawSpan, _ second: RawSpan) -> IOResult { loop.send(socket, first, second) }
  }

  private let loop: Loop
  private let socket: Int32
  /// Nil where the socket is all there is.
  private let tls: TLSStream?

  init(_ loop: Loop, socket: Int32, tls: TLSStream?) {
    self.loop = loop
    self.socket = socket
    self.tls = tls
  }

  private var ciphertext: Ciphertext { Ciphertext(loop: loop, socket: socket) }

  // MARK: The handshake

  /// Whether requests can be sent.
  var isReady: Bool { tls?.session.isEstablished ?? true }

  /// Why the handshake failed; nil where it did not.
  var failure: String? { tls?.session.failure }

  /// Begins the handshake, on a socket that is connected.
  func start() -> IOResult { tls?.start(to: ciphertext) ?? .wouldBlock }

  // MARK: Bytes

  /// Whether bytes were decrypted, or have come, that nobody has taken: the socket does not tell of them.
  var hasUnread: Bool { tls?.session.hasUnread ?? false }

  func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult {
    if let tls { return unsafe tls.receive(into: room, from: ciphertext) }
    return unsafe loop.receive(socket, into: room)
  }

  func send(_ bytes: RawSpan) -> IOResult {
    tls?.send(bytes, to: ciphertext) ?? loop.send(socket, bytes)
  }

  /// Whether bytes that count as sent still wait for the socket.
  var holdsOutput: Bool { tls?.holdsOutput ?? false }

  /// Sends what is held; nil once nothing is.
  func push() -> IOResult? { tls?.push(to: ciphertext) }

  /// Says that the connection ends in order, where that takes words.
  func sayEnd() { tls?.close(to: ciphertext) }
}
