internal import Base
internal import EventLoop
internal import System
internal import Telemetry

/// A connection from a proxy that has yet to say whom it brings.
///
/// It looks at what has come and takes no more than the proxy's header out of the socket, so that what follows is
/// as if the client had connected itself.
final class ProxyGreeter: EventHandler {
  private let worker: ServerWorker
  private let socket: Int32
  private let peer: SocketAddress
  private let traits: ListenerTraits
  private var handle = Handle.none
  private var isOver = false

  init(_ worker: ServerWorker, _ socket: Int32, _ peer: SocketAddress, _ traits: ListenerTraits) {
    self.worker = worker
    self.socket = socket
    self.peer = peer
    self.traits = traits
  }

  /// Begins to wait.
  ///
  /// Throws where the loop cannot watch the socket.
  func open() throws(Fault) -> Handle {
    handle = try worker.loop.watch(socket, self)
    worker.loop.setTimer(handle, tag: 0, at: worker.loop.now + worker.options.headerTimeout)
    return handle
  }

  override func ready(_ readiness: Readiness) {
    guard !isOver, readiness.contains(.readable) else { return }
    worker.proxyBytes.clear()
    var result = IOResult.wouldBlock
    _ = unsafe worker.proxyBytes.fill(atLeast: ProxyHeader.longest) { room in
      result = unsafe worker.loop.peek(
        socket, into: UnsafeMutableRawBufferPointer(rebasing: room[..<ProxyHeader.longest]))
      if case .bytes(let count) = result { return count }
      return 0
    }
    switch result {
    case .bytes: break
    case .wouldBlock: return
    case .end, .broken: return refuse()
    }
    switch worker.proxyBytes.withReadable(ProxyHeader.parse) {
    case .needMore:
      // Behind the end nothing more comes.
      if readiness.contains(.ended) { refuse() }
    case .malformed: refuse()
    case .complete(let bytes, let client): take(bytes, client)
    }
  }

  /// Takes the header out of the socket, where it was just seen, and gives the connection on.
  private func take(_ bytes: Int, _ client: SocketAddress?) {
    var left = bytes
    while left > 0 {
      worker.proxyBytes.clear()
      var result = IOResult.wouldBlock
      _ = unsafe worker.proxyBytes.fill(atLeast: left) { room in
        result = unsafe worker.loop.receive(
          socket, into: UnsafeMutableRawBufferPointer(rebasing: room[..<left]))
        return 0
      }
      guard case .bytes(let count) = result else { return refuse() }
      left -= count
    }
    isOver = true
    worker.loop.unwatch(socket, handle)
    worker.greeted(handle)
    worker.accepted(socket, from: client ?? peer, traits)
  }

  private func refuse() {
    worker.counters.add(.proxyHeaderMalformed)
    close()
  }

  override func deadline(_ tag: UInt32) {
    guard !isOver else { return }
    worker.counters.add(.timeoutClientHeader)
    close()
  }

  func close() {
    guard !isOver else { return }
    isOver = true
    worker.loop.close(socket, handle)
    worker.greeted(handle)
  }
}
