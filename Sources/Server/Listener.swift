internal import Base
internal import EventLoop
internal import System
internal import Telemetry

/// What connections to an address begin with.
public struct ListenerTraits: Sendable {
  /// TLS, with the worker's certificates.
  public var isSecure: Bool
  /// Before that a proxy's word on the client (`ProxyHeader`), from trusted proxies only.
  public var hasProxyHeader: Bool
  /// The proxy has named no client, so that what the request says of one may be the client's own invention.
  var isUnnamed = false
  /// The connection's part of its client's number; nil where none is kept.
  var place: ClientCounts.Place?

  public init(isSecure: Bool = false, hasProxyHeader: Bool = false) {
    self.isSecure = isSecure
    self.hasProxyHeader = hasProxyHeader
  }
}

/// A listening socket.
///
/// Rests for a while when descriptors run out or the worker is full.
final class Listener: EventHandler {
  private unowned let worker: ServerWorker
  let traits: ListenerTraits
  private var socket: Int32 = -1
  private var handle = Handle.none
  private(set) var address = SocketAddress.none
  /// Resting because the worker has all the connections it may have.
  private(set) var isFull = false

  init(_ worker: ServerWorker, _ traits: ListenerTraits) {
    self.worker = worker
    self.traits = traits
  }

  func open(_ wanted: SocketAddress) throws(Fault) {
    (socket, handle) = try worker.loop.listen(on: wanted, self)
    address = worker.loop.localAddress(socket)
  }

  override func ready(_ readiness: Readiness) {
    for _ in 0..<ServerOptions.acceptsPerTurn {
      guard socket >= 0 else { return }
      guard worker.hasRoom else {
        isFull = true
        worker.counters.add(.acceptPause)
        worker.loop.pauseListening(socket, handle, true)
        return
      }
      switch worker.loop.accept(socket) {
      case .success(let (connection, peer)): worker.admit(connection, from: peer, traits)
      case .failure(let fault):
        if fault.kind == .exhausted { rest() }
        if fault.errno == SystemError.again || fault.kind == .exhausted { return }
      }
    }
    // More may wait; a real listener is told again, a simulated one has to ask.
    worker.loop.soon(self, tag: 1)
  }

  override func deadline(_ tag: UInt32) {
    guard socket >= 0 else { return }
    if tag == 0 { worker.loop.pauseListening(socket, handle, false) }
    ready(.readable)
  }

  private func rest() {
    worker.counters.add(.acceptPause)
    worker.loop.pauseListening(socket, handle, true)
    worker.loop.setTimer(handle, tag: 0, at: worker.loop.now + ServerOptions.acceptPause)
  }

  /// Listens again after the worker was full.
  func resume() {
    isFull = false
    worker.loop.pauseListening(socket, handle, false)
    worker.loop.soon(self, tag: 1)
  }

  func close() {
    guard socket >= 0 else { return }
    worker.loop.close(socket, handle)
    socket = -1
  }
}
