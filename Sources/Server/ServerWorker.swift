public import Base
public import EventLoop
internal import HTTP
internal import HTTP1
public import System
internal import TLS
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
  /// The room that sessions share; nil before the first.
  private var tlsBuffers: TLSBuffers?
  /// Proxies that have yet to say whom they bring.
  private var greeters: [Handle: ProxyGreeter] = [:]
  /// Where they look at what has come.
  var proxyBytes = ByteBuffer(capacity: 64)
  private var whenEmpty: (() -> Void)?
  /// What large answers give in a turn.
  var share = TurnShare()
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
  public func listen(
    on address: SocketAddress, _ traits: ListenerTraits = ListenerTraits()
  ) throws(Fault) -> SocketAddress {
    let listener = Listener(self, traits)
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

  deinit {
    if let crew { crew.all.forget(crew.number) }
  }

  public var connectionCount: Int { connections.count }
  var hasRoom: Bool { connections.count + greeters.count < options.connections }

  /// Stops listening, lets answers under way end, and then calls `done`.
  public func drain(_ done: @escaping () -> Void) {
    isDraining = true
    for listener in listeners { listener.close() }
    listeners = []
    for greeter in greeters.values { greeter.close() }
    whenEmpty = done
    for connection in inOrder { connection.drain() }
    if connections.isEmpty { finishDraining() }
  }

  /// Closes all connections, answered or not.
  public func closeAll() {
    for greeter in greeters.values { greeter.close() }
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

  /// Takes a new connection as its listener has it.
  func admit(_ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits) {
    guard traits.hasProxyHeader else { return accepted(socket, from: peer, traits) }
    guard let address = peer.networkAddress, options.trustedProxies.contains(address) else {
      counters.add(.proxyUntrusted)
      loop.close(socket, .none)
      return
    }
    let greeter = ProxyGreeter(self, socket, peer, traits)
    do throws(Fault) {
      greeters[try greeter.open()] = greeter
    } catch {
      loop.close(socket, .none)
    }
  }

  func greeted(_ handle: Handle) {
    greeters[handle] = nil
    resumeListeners()
  }

  /// Listens again where a place has become free.
  private func resumeListeners() {
    for listener in listeners where listener.isFull && hasRoom { listener.resume() }
  }

  /// Serves a connection that was accepted here, or hands it on to another worker.
  func accepted(_ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits) {
    guard let traits = counted(peer, traits) else {
      counters.add(.connectionRefused)
      loop.close(socket, .none)
      return
    }
    if let crew, crew.all.handOver(socket, from: peer, traits, by: crew.number) {
      counters.add(.connectionHandedOver)
    } else {
      serve(socket, from: peer, traits)
    }
  }

  /// Counts a new connection with its client's others; nil where those are as many as may be.
  ///
  /// Not those of trusted proxies, which bring any number of clients.
  private func counted(_ peer: SocketAddress, _ traits: ListenerTraits) -> ListenerTraits? {
    guard let counts = options.clientCounts, !traits.isUnnamed, let address = peer.networkAddress,
      !options.trustedProxies.contains(address)
    else { return traits }
    guard let place = counts.enter(address) else { return nil }
    var traits = traits
    traits.place = place
    return traits
  }

  /// Takes a connection that another worker accepted.
  ///
  /// It may come when this one has stopped listening: then it gets one answer, as those that were open.
  func adopt(_ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits) {
    if isDraining && whenEmpty == nil {
      loop.close(socket, .none)
      leaveCrew()
    } else {
      serve(socket, from: peer, traits)
    }
  }

  private func serve(_ socket: Int32, from peer: SocketAddress, _ traits: ListenerTraits) {
    do throws(Fault) {
      let tls = traits.isSecure ? try tlsStream() : nil
      let connection = ClientConnection(self, socket: socket, peer: peer, tls: tls)
      connection.stream.isPeerUnnamed = traits.isUnnamed
      connection.clientPlace = traits.place
      let handle: Handle
      do throws(Fault) {
        handle = try connection.open()
      } catch {
        connection.giveUp()
        throw error
      }
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
    let before = connections.updateValue(connection, forKey: handle)
    connection.clientPlace = before?.clientPlace
    before?.clientPlace = nil
  }

  /// A session with the certificates of now.
  private func tlsStream() throws(Fault) -> TLSStream {
    guard let store = options.certificates else { throw Fault(.unavailable, .own) }
    let buffers = tlsBuffers ?? TLSBuffers()
    tlsBuffers = buffers
    do throws(TLSError) {
      return TLSStream(try TLSSession(server: store.current, buffers), buffers)
    } catch {
      throw Fault(.exhausted, .own)
    }
  }

  private func leaveCrew() {
    if let crew { crew.all.ended(at: crew.number) }
  }

  func connectionClosed(_ handle: Handle) {
    // Others may hold the object for a while.
    connections.removeValue(forKey: handle)?.clientPlace = nil
    leaveCrew()
    counters.set(.clientConnections, connections.count)
    resumeListeners()
    if connections.isEmpty && isDraining { finishDraining() }
  }

  /// The line that keeps browsers with TLS, for answers over it.
  func appendStrictTransport(to output: inout ByteBuffer) {
    guard let term = options.strictTransport else { return }
    output.append("Strict-Transport-Security: max-age=")
    output.append(decimal: term.nanoseconds / 1_000_000_000)
    output.append("\r\n")
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
