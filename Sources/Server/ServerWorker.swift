public import Base
public import EventLoop
internal import HTTP
internal import HTTP1
public import System
public import Telemetry

/// One worker's part of the server: its listening sockets and its clients' connections.
///
/// Every worker listens on the same addresses by itself (SO_REUSEPORT), so that nothing is shared.
public final class ServerWorker {
  public let loop: Loop
  public let options: ServerOptions
  public let handler: any RequestHandler
  public let counters: CounterPage
  /// Set once by `drain`: answers say `Connection: close`.
  public private(set) var isDraining = false
  private var listeners: [Listener] = []
  private var connections: [Handle: ServerConnection] = [:]
  private var editedHead = ByteBuffer(capacity: 1024)
  private var date = ByteBuffer(capacity: 64)
  private var dateSecond: Int64 = -1
  private var whenEmpty: (() -> Void)?
  /// What HTTP/2 connections share; made for the first of them.
  private(set) lazy var http2 = HTTP2Supplies(self)
  /// Who else serves these listeners' connections, and this worker's number there; none if it is alone.
  var crew: (all: ServerCrew, number: Int)?

  public init(
    loop: Loop, options: ServerOptions, handler: any RequestHandler, counters: CounterPage
  ) {
    self.loop = loop
    self.options = options
    self.handler = handler
    self.counters = counters
  }

  /// Begins to listen; the address as bound.
  ///
  /// Throws `Fault` with the error number.
  @discardableResult
  public func listen(on address: SocketAddress) throws(Fault) -> SocketAddress {
    let listener = Listener(self)
    try listener.open(address)
    listeners.append(listener)
    return listener.address
  }

  /// Makes the operator's changes to the fields of a head that is being written.
  @inline(__always)
  func edit(_ head: inout ByteBuffer, from start: Int) {
    guard !options.headEdits.isEmpty else { return }
    options.headEdits.apply(to: &head, from: start, scratch: &editedHead)
  }

  public var connectionCount: Int { connections.count }
  var hasRoom: Bool { connections.count < options.connections }

  /// Stops listening, lets answers under way end, and then calls `done`.
  public func drain(_ done: @escaping () -> Void) {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    whenEmpty = done
    for connection in inOrder { connection.drain() }
    if connections.isEmpty { finishDraining() }
  }

  /// Closes all connections, answered or not.
  public func closeAll() {
    for connection in inOrder { connection.close() }
  }

  /// The connections, in an order that follows from what happened.
  private var inOrder: [ServerConnection] {
    connections.sorted { $0.key.index < $1.key.index }.map(\.value)
  }

  private func finishDraining() {
    let done = whenEmpty
    whenEmpty = nil
    done?()
  }

  /// Serves a connection that was accepted here, or hands it on to another worker.
  func accepted(_ socket: Int32, from peer: SocketAddress) {
    if let crew, crew.all.handOver(socket, from: peer, by: crew.number) {
      counters.add(.connectionHandedOver)
    } else {
      serve(socket, from: peer)
    }
  }

  /// Takes a connection that another worker accepted.
  ///
  /// It may come when this one has stopped listening: then it gets one answer, as those that were open.
  func adopt(_ socket: Int32, from peer: SocketAddress) {
    if isDraining && whenEmpty == nil {
      loop.close(socket, .none)
      leaveCrew()
    } else {
      serve(socket, from: peer)
    }
  }

  private func serve(_ socket: Int32, from peer: SocketAddress) {
    let connection = ClientConnection(self, socket: socket, peer: peer)
    do throws(Fault) {
      let handle = try connection.open()
      connections[handle] = connection
      counters.add(.connectionAccepted)
      counters.set(.clientConnections, connections.count)
    } catch {
      loop.close(socket, .none)
      leaveCrew()
    }
  }

  /// A connection goes on in another protocol.
  func connectionChanged(_ handle: Handle, to connection: ServerConnection) {
    connections[handle] = connection
  }

  private func leaveCrew() {
    if let crew { crew.all.ended(at: crew.number) }
  }

  func connectionClosed(_ handle: Handle) {
    connections[handle] = nil
    leaveCrew()
    counters.set(.clientConnections, connections.count)
    for listener in listeners where listener.isFull { listener.resume() }
    if connections.isEmpty && isDraining { finishDraining() }
  }

  /// The `Date` line of this second, made once for it.
  func appendDate(to output: inout ByteBuffer) {
    if loop.wallSeconds != dateSecond {
      dateSecond = loop.wallSeconds
      date.clear()
      date.append("Date: ")
      HTTPDate.append(dateSecond, to: &date)
      date.append("\r\n")
    }
    date.withReadable { output.append($0) }
  }
}
