public import Base
public import System

/// One thread's loop: sockets, timers, messages and promises, in turns.
///
/// All of it is used on one thread; only `mailbox` may be touched from others. The face is small, so
/// that the backend can be epoll or a simulated network, and one day io_uring.
public final class Loop {
  enum Backend {
    case epoll(EpollBackend)
    case simulated(SimulatedBackend)
  }

  private struct Timer {
    var handle: Handle
    var tag: UInt32
  }

  /// The time of this turn, read once after each wait.
  public private(set) var now: Instant
  /// Seconds since 1970 of this turn.
  public private(set) var wallSeconds: Int64
  /// Milliseconds within that second.
  public private(set) var wallMilliseconds: Int
  public let mailbox: Mailbox
  /// Called at the end of each turn: what must not outlive one (read transactions) ends here.
  public var endOfTurn: [() -> Void] = []
  /// How long the turn took, without its wait: the delay that anything ready had to bear.
  ///
  /// Of this turn for what is called at its end, and of the one before for all else.
  public private(set) var lag: Interval = .zero
  public private(set) var turns = 0

  private let backend: Backend
  private var handlers = Slab<EventHandler>()
  private var timers: TimerWheel<Timer>
  private var fired: [Timer] = []
  private var promised: [(handler: EventHandler, tag: UInt32)] = []
  private var running: [(handler: EventHandler, tag: UInt32)] = []
  private var stopping = false

  /// A loop on epoll for the calling or a later thread.
  ///
  /// Throws where descriptors have run out.
  public init() throws(Fault) {
    let epoll = try EpollBackend()
    backend = .epoll(epoll)
    mailbox = epoll.mailbox
    now = Clock.now
    (wallSeconds, wallMilliseconds) = Clock.wall()
    timers = TimerWheel(now: now)
  }

  /// A loop of a simulated network, which drives its turns.
  public init(in network: SimulatedNetwork) {
    let simulated = SimulatedBackend(network)
    backend = .simulated(simulated)
    mailbox = Mailbox()
    now = network.now
    wallSeconds = network.wallSeconds
    wallMilliseconds = 0
    timers = TimerWheel(now: network.now)
    network.join(self, simulated)
  }

  // MARK: Turns

  /// Runs turns until `stop` is called on this thread.
  public func run() {
    while !stopping { turn(limit: .seconds(1)) }
  }

  /// Ends `run` after the turn under way.
  public func stop() { stopping = true }

  /// One turn: waits for at most `limit`, then serves all that is ready.
  public func turn(limit: Interval) {
    // From the end of the turn before, which is later than `now`.
    let since = now + lag
    let until = promised.isEmpty ? timers.nextTurn(now: since, limit: limit) : since
    switch backend {
    case .epoll(let epoll):
      let count = epoll.wait(until - since)
      now = Clock.now
      (wallSeconds, wallMilliseconds) = Clock.wall()
      for index in 0..<count {
        let (handle, readiness) = epoll.event(index)
        if handle == EpollBackend.mailboxHandle {
          mailbox.clearWakeUp()
          continue
        }
        handlers[handle]?.ready(readiness)
      }
    case .simulated(let simulated):
      now = simulated.network.now
      wallSeconds = simulated.network.wallSeconds
      // What is told meanwhile waits for the next turn, as with epoll.
      for _ in 0..<simulated.eventCount {
        guard let (handle, readiness) = simulated.nextEvent() else { break }
        handlers[handle]?.ready(readiness)
      }
    }
    mailbox.deliver()
    fireTimers()
    keepPromises()
    if case .epoll = backend { lag = Clock.now - now }
    for end in endOfTurn { end() }
    turns &+= 1
  }

  private func fireTimers() {
    timers.advance(to: now, &fired)
    if fired.isEmpty { return }
    let due = fired
    fired.removeAll(keepingCapacity: true)
    for timer in due { handlers[timer.handle]?.deadline(timer.tag) }
  }

  private func keepPromises() {
    // What is promised meanwhile waits for the next turn, which then does not sleep.
    swap(&promised, &running)
    for promise in running { promise.handler.deadline(promise.tag) }
    running.removeAll(keepingCapacity: true)
  }

  /// Whether a turn now would do something: for a simulation.
  func hasWork(at instant: Instant) -> Bool {
    !promised.isEmpty || !mailbox.isEmpty || nextTimer <= instant
  }

  /// The earliest time a timer may be due.
  var nextTimer: Instant {
    timers.count == 0 ? .never : timers.nextTurn(now: now, limit: .seconds(3600))
  }

  // MARK: Handlers, timers, promises

  /// Gives a handler a name that timers can use without a socket.
  public func enrol(_ handler: EventHandler) -> Handle { handlers.insert(handler) }

  /// Gives a handle's events and timers to another handler from now on.
  public func handOver(_ handle: Handle, to handler: EventHandler) {
    handlers.replace(handle, with: handler)
  }

  /// Forgets a handler: nothing more reaches it through this handle.
  public func dismiss(_ handle: Handle) { handlers.remove(handle) }

  /// Calls `deadline(tag)` of the handle's handler at that time, unless it has been dismissed.
  public func setTimer(_ handle: Handle, tag: UInt32, at deadline: Instant) {
    timers.set(Timer(handle: handle, tag: tag), at: deadline)
  }

  /// Calls `deadline(tag)` at the end of this turn, or of the next where promises are being kept.
  public func soon(_ handler: EventHandler, tag: UInt32) {
    promised.append((handler, tag))
  }

  // MARK: Sockets

  /// Watches a connection's socket for its handler until `close`.
  ///
  /// Throws where the kernel refuses.
  public func watch(_ socket: Int32, _ handler: EventHandler) throws(Fault) -> Handle {
    let handle = handlers.insert(handler)
    do throws(Fault) {
      switch backend {
      case .epoll(let epoll): try epoll.watch(socket, handle)
      case .simulated(let simulated): simulated.watch(socket, handle)
      }
    } catch {
      handlers.remove(handle)
      throw error
    }
    return handle
  }

  /// Watches a socket no more, and leaves it open: for whoever watches it next.
  public func unwatch(_ socket: Int32, _ handle: Handle) {
    handlers.remove(handle)
    switch backend {
    case .epoll(let epoll): epoll.unwatch(socket)
    case .simulated(let simulated): simulated.network.unwatch(socket)
    }
  }

  /// Listens; the handler is told `.readable` for as long as connections wait.
  public func listen(
    on address: SocketAddress, _ handler: EventHandler
  ) throws(Fault) -> (socket: Int32, handle: Handle) {
    switch backend {
    case .epoll(let epoll):
      let socket = try SocketCalls.listen(on: address, reusePort: true)
      let handle = handlers.insert(handler)
      try epoll.watchLevel(socket, handle)
      return (socket, handle)
    case .simulated(let simulated):
      let handle = handlers.insert(handler)
      return (simulated.listen(on: address, handle), handle)
    }
  }

  /// The address that a listener is bound to; it tells the port where 0 was asked for.
  public func localAddress(_ socket: Int32) -> SocketAddress {
    switch backend {
    case .epoll: SocketCalls.localAddress(socket)
    case .simulated(let simulated): simulated.network.localAddress(socket)
    }
  }

  /// Stops or resumes being told of waiting connections.
  public func pauseListening(_ socket: Int32, _ handle: Handle, _ paused: Bool) {
    if case .epoll(let epoll) = backend { epoll.pause(socket, handle, paused) }
  }

  /// The next waiting connection.
  ///
  /// A failure of kind `.exhausted` asks for a pause.
  public func accept(_ listener: Int32) -> Result<(Int32, SocketAddress), Fault> {
    switch backend {
    case .epoll: SocketCalls.accept(listener)
    case .simulated(let simulated): simulated.network.accept(listener)
    }
  }

  /// Begins to connect; the handler is told `.writable` at the end, and then asks `pendingError`.
  public func connect(
    to address: SocketAddress, _ handler: EventHandler
  ) throws(Fault) -> (socket: Int32, handle: Handle) {
    switch backend {
    case .epoll:
      let socket = try SocketCalls.connect(to: address)
      do throws(Fault) {
        return (socket, try watch(socket, handler))
      } catch {
        SocketCalls.close(socket)
        throw error
      }
    case .simulated(let simulated):
      let socket = simulated.network.connect(to: address, isCutOff: simulated.isCutOff)
      return (socket, try watch(socket, handler))
    }
  }

  /// The error that a connect ended with, 0 where there is a connection.
  public func pendingError(_ socket: Int32) -> Int32 {
    switch backend {
    case .epoll: SocketCalls.pendingError(socket)
    case .simulated(let simulated): simulated.network.pendingError(socket)
    }
  }

  @inline(__always)
  public func receive(_ socket: Int32, into room: UnsafeMutableRawBufferPointer) -> IOResult {
    switch backend {
    case .epoll: unsafe SocketCalls.receive(socket, into: room)
    case .simulated(let simulated): unsafe simulated.network.receive(socket, into: room)
    }
  }

  /// What `receive` would give; the bytes stay where they are.
  public func peek(_ socket: Int32, into room: UnsafeMutableRawBufferPointer) -> IOResult {
    switch backend {
    case .epoll: unsafe SocketCalls.peek(socket, into: room)
    case .simulated(let simulated): unsafe simulated.network.peek(socket, into: room)
    }
  }

  /// Sends as much as the socket takes; `more` says that other bytes follow at once.
  @inline(__always)
  public func send(_ socket: Int32, _ bytes: RawSpan, more: Bool = false) -> IOResult {
    switch backend {
    case .epoll: SocketCalls.send(socket, bytes, more: more)
    case .simulated(let simulated): simulated.network.send(socket, bytes)
    }
  }

  /// Sends two runs of bytes as one.
  @inline(__always)
  public func send(_ socket: Int32, _ first: RawSpan, _ second: RawSpan) -> IOResult {
    switch backend {
    case .epoll: SocketCalls.send(socket, first, second, more: false)
    case .simulated(let simulated): simulated.network.send(socket, first, second)
    }
  }

  /// Sends from a file without copying; `.end` where the file ends before the offset.
  @inline(__always)
  public func sendFile(
    _ socket: Int32, from file: Int32, offset: Int64, count: Int
  ) -> IOResult {
    switch backend {
    case .epoll: SocketCalls.sendFile(socket, from: file, offset: offset, count: count)
    case .simulated(let simulated):
      simulated.network.sendFile(socket, from: file, offset: offset, count: count)
    }
  }

  /// Bytes sent that the peer has not got yet, as far as the system knows.
  public func unacknowledged(_ socket: Int32) -> Int {
    switch backend {
    case .epoll: SocketCalls.unacknowledged(socket)
    case .simulated(let simulated): simulated.network.unacknowledged(socket)
    }
  }

  /// Says that nothing more will be sent; the peer may still be read.
  public func shutdownWrite(_ socket: Int32) {
    switch backend {
    case .epoll: SocketCalls.shutdownWrite(socket)
    case .simulated(let simulated): simulated.network.shutdownWrite(socket)
    }
  }

  /// Makes the coming `close` a reset, which no peer can take for an orderly end.
  public func abort(_ socket: Int32) {
    switch backend {
    case .epoll: SocketCalls.resetOnClose(socket)
    case .simulated(let simulated): simulated.network.breakConnection(socket)
    }
  }

  /// Closes a socket and forgets its handler.
  public func close(_ socket: Int32, _ handle: Handle) {
    handlers.remove(handle)
    switch backend {
    case .epoll: SocketCalls.close(socket)
    case .simulated(let simulated): simulated.network.close(socket)
    }
  }
}
