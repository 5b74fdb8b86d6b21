internal import Base
internal import EventLoop
internal import System

/// The way of a connection's bytes: today the plain socket.
///
/// All that a connection sends and receives goes through here, so that what speaks HTTP knows nothing of
/// what lies below. Readiness is told once for each change: whoever leaves bytes unread, after a
/// `receive` that filled all its room, has to ask again by itself.
struct ClientTransport {
  private let loop: Loop
  let socket: Int32

  init(_ loop: Loop, socket: Int32) {
    self.loop = loop
    self.socket = socket
  }

  // MARK: Receiving

  /// Receives into the room; fewer bytes than it holds mean that nothing more is there now.
  @inline(__always)
  mutating func receive(into room: UnsafeMutableRawBufferPointer) -> IOResult {
    unsafe loop.receive(socket, into: room)
  }

  // MARK: Sending

  /// Whether bytes that count as sent still wait for the socket: `push` when it takes more, and neither
  /// end nor rest before.
  @inline(__always)
  var holdsOutput: Bool { false }

  /// Sends what is held; nil once nothing is held any more.
  mutating func push() -> IOResult? { nil }

  /// Sends as much as is taken now; `more` says that other bytes follow at once.
  @inline(__always)
  mutating func send(_ bytes: RawSpan, more: Bool = false) -> IOResult {
    loop.send(socket, bytes, more: more)
  }

  /// Sends two runs of bytes as one.
  @inline(__always)
  mutating func send(_ first: RawSpan, _ second: RawSpan) -> IOResult {
    loop.send(socket, first, second)
  }

  /// Sends a file's range, which is in memory; `.end` where the file ends before the offset.
  @inline(__always)
  mutating func sendFile(from file: Int32, offset: Int64, count: Int) -> IOResult {
    loop.sendFile(socket, from: file, offset: offset, count: count)
  }

  // MARK: The end

  /// Says that nothing more will be sent; the peer may still be read.
  mutating func shutdownWrite() { loop.shutdownWrite(socket) }

  /// Makes the coming `close` a reset, which no peer can take for an orderly end.
  mutating func abort() { loop.abort(socket) }

  /// Closes the socket and forgets its handler.
  mutating func close(_ handle: Handle) { loop.close(socket, handle) }
}
