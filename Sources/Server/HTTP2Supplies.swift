internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import HTTP2
internal import System

/// What the HTTP/2 connections of one worker use in turns, so that each has only what it needs to keep.
final class HTTP2Supplies {
  /// Buffers and streams that wait for their next use: some connections' worth, for a burst to end without
  /// giving memory back.
  private static let keptBuffers = 8
  private static let keptStreams = 256

  let memory = SessionMemory()
  /// What was just received; a session takes all of it at once.
  var input = ByteBuffer(capacity: ServerOptions.http2InputBytes)
  var parser: RequestParser
  var head = RequestHead()
  private let loop: Loop
  private var buffers: [FrameBuffer] = []
  private var streams: [ClientStream] = []

  init(_ worker: ServerWorker) {
    loop = worker.loop
    parser = RequestParser(limits: worker.options.limits)
  }

  func takeBuffer() -> FrameBuffer { buffers.popLast() ?? FrameBuffer() }

  func giveBack(_ buffer: FrameBuffer) {
    if buffers.count < Self.keptBuffers { buffers.append(buffer) }
  }

  func takeStream(peer: SocketAddress, isSecure: Bool) -> ClientStream {
    guard let stream = streams.popLast() else {
      return ClientStream(loop: loop, peer: peer, isSecure: isSecure)
    }
    stream.peer = peer
    stream.isSecure = isSecure
    return stream
  }

  /// Takes a stream back whose answer has ended in order, so that nobody knows it any more.
  func giveBack(_ stream: ClientStream) {
    guard streams.count < Self.keptStreams,
      stream.output.capacity <= ServerOptions.http2KeptOutputBytes
    else { return }
    stream.output.clear()
    streams.append(stream)
  }
}
