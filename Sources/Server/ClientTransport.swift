internal import Base
internal import EventLoop
internal import System
internal import TLS

/// The way of a connection's bytes: the plain socket, or TLS upon it.
///
/// All that a connection sends and receives goes through here, so that what speaks HTTP knows nothing of
/// what lies below. Readiness is told once for each change: whoever leaves bytes unread, after a
/// `receive` that filled all its room, has to ask again by itself.
struct ClientTransport {
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
  let socket: Int32
  /// Nil where the socket is all there is.
  private let tls: TLSStream?

  init(_ loop: Loop, socket: Int32, tls: TLSStream?) {
    self.loop = loop
    self.socket = socket
    self.tls = tls
  }

  private var ciphertext: Ciphertext { Ciphertext(loop: loop, socket: socket) }

  /// Whether the client's way here is encrypted.
  var isSecure: Bool { tls != nil }

  /// What the handshake came to; nil without TLS.
  var session: TLSSession? { tls?.session }

  // MARK: Receiving

  /// Receives into the room; fewer bytes than it holds mean that nothing more is there now.
  @inline(__always)
  mutating func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult {
    if let tls { return unsafe tls.receive(into: room, from: ciphertext) }
    return unsafe loop.receive(socket, into: room)
  }

  // MARK: Sending

  /// Whether bytes that count as sent still wait for the socket: `push` when it takes more, and neither
  /// end nor rest before.
  @inline(__always)
  var holdsOutput: Bool { tls?.holdsOutput ?? false }

  /// Whether they wait for what is sent next alone: `push` sends them without it.
  var awaitsMore: Bool { tls?.awaitsMore ?? false }

  /// Sends what is held; nil once nothing is held any more.
  mutating func push() -> IOResult? {
    guard let tls else { return nil }
    let result = tls.push(to: ciphertext)
    if result == nil, isEnding { loop.shutdownWrite(socket) }
    return result
  }

  /// Sends as much as is taken now; `more` says that other bytes follow at once.
  @inline(__always)
  mutating func send(_ bytes: RawSpan, more: Bool = false) -> IOResult {
    if let tls { return tls.send(bytes, more: more, to: ciphertext) }
    return loop.send(socket, bytes, more: more)
  }

  /// Sends two runs of bytes as one.
  @inline(__always)
  mutating func send(_ first: RawSpan, _ second: RawSpan) -> IOResult {
    if let tls { return tls.send(first, second, to: ciphertext) }
    return loop.send(socket, first, second)
  }

  /// Sends `head`, and behind it a file's range, which is in memory; what is taken counts both.
  ///
  /// `.end` where the file ends before the offset and nothing has been taken.
  @inline(__always)
  mutating func sendFile(
    behind head: RawSpan, from file: Int32, offset: Int64, count: Int
  ) -> IOResult {
    if let tls {
      return tls.sendFile(
        FileReference(descriptor: file), offset: Int(offset), count: count, behind: head,
        to: ciphertext)
    }
    if head.isEmpty { return loop.sendFile(socket, from: file, offset: offset, count: count) }
    let before = loop.send(socket, head, more: true)
    guard case .bytes(head.byteCount) = before else { return before }
    switch loop.sendFile(socket, from: file, offset: offset, count: count) {
    case .bytes(let count): return .bytes(head.byteCount + count)
    case .broken(let error): return .broken(error)
    case .wouldBlock, .end: return before
    }
  }

  // MARK: The end

  /// The end has been said, and waits behind what is held.
  private var isEnding = false

  /// Says that nothing more will be sent; the peer may still be read.
  mutating func shutdownWrite() {
    if let tls {
      tls.close(to: ciphertext)
      isEnding = true
      if tls.holdsOutput { return }
    }
    loop.shutdownWrite(socket)
  }

  /// Says that the connection ends in order, where that takes words.
  mutating func sayEnd() { tls?.close(to: ciphertext) }

  /// Makes the coming `close` a reset, which no peer can take for an orderly end.
  mutating func abort() { loop.abort(socket) }

  /// Closes the socket and forgets its handler.
  mutating func close(_ handle: Handle) { loop.close(socket, handle) }
}
