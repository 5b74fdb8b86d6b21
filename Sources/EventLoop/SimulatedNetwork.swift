public import Base
internal import System

/// A network, a clock and loops on it, in one thread, all from one seed.
///
/// Bytes arrive late and in pieces, writes are cut short, connections break when the test says so.
/// Loops take their turns in random order. The same seed gives the same history.
public final class SimulatedNetwork {
  /// What the network does to traffic.
  public struct Weather: Sendable {
    /// Between a write and its arrival.
    public var delay: ClosedRange<Int> = 20...2_000
    /// How likely a read or write moves only a part, down to one byte.
    public var shortTransfers = 0.3
    /// How many bytes may be on their way in one direction.
    public var window = 64 * 1024
    /// How likely an item of a disk queue takes long, and is not taken at all.
    public var slowReads = 0.0
    public var refusedReads = 0.0

    public init() {}
  }

  /// A connection's one end.
  private final class End {
    let peer: Int32
    let local: SocketAddress
    let remote: SocketAddress
    var backend: SimulatedBackend?
    var handle = Handle.none
    var inbox: [UInt8] = []
    var taken = 0
    var onTheWay = 0
    var lastArrival = Instant.zero
    var peerEnded = false
    var broken: Int32 = 0
    var writerBlocked = false
    var isConnected = false
    var isClosed = false

    init(peer: Int32, local: SocketAddress, remote: SocketAddress) {
      self.peer = peer
      self.local = local
      self.remote = remote
    }

    var held: Int { inbox.count - taken }
  }

  private final class Listener {
    let address: SocketAddress
    let backend: SimulatedBackend
    let handle: Handle
    var waiting: [Int32] = []

    init(address: SocketAddress, backend: SimulatedBackend, handle: Handle) {
      self.address = address
      self.backend = backend
      self.handle = handle
    }
  }

  private struct Event {
    var due: Instant
    var action: () -> Void
  }

  public private(set) var now = Instant(nanoseconds: 1_000_000_000)
  public var weather = Weather()
  public var random: SeededRandom
  public var wallSeconds: Int64 { 1_700_000_000 + now.nanoseconds / 1_000_000_000 }

  private var members: [(loop: Loop, backend: SimulatedBackend)] = []
  private var ends: [Int32: End] = [:]
  private var listeners: [Int32: Listener] = [:]
  /// Latest first, so that the next is taken from the end.
  private var events: [Event] = []
  private var nextSocket: Int32 = 1

  public init(seed: UInt64) {
    random = SeededRandom(seed: seed)
  }

  func join(_ loop: Loop, _ backend: SimulatedBackend) {
    members.append((loop, backend))
  }

  // MARK: Time

  /// Does something later: a disk's answer, a fault, a client's next idea.
  public func after(_ interval: Interval, _ action: @escaping () -> Void) {
    let due = now + interval
    var index = events.count
    while index > 0 && events[index - 1].due <= due { index -= 1 }
    events.insert(Event(due: due, action: action), at: index)
  }

  /// Lets one loop take a turn, or time pass to the next event; false when nothing will ever happen.
  public func step() -> Bool {
    while let next = events.last, next.due <= now {
      events.removeLast()
      next.action()
    }
    let runnable = members.indices.filter {
      members[$0].backend.hasEvents || members[$0].loop.hasWork(at: now)
    }
    if let chosen = runnable.randomElement(using: &random) {
      members[chosen].loop.turn(limit: .zero)
      return true
    }
    let nextEvent = events.last?.due ?? .never
    let next = members.map(\.loop.nextTimer).min().map { min($0, nextEvent) } ?? nextEvent
    if next == .never { return false }
    now = max(next, now + .microseconds(1))
    return true
  }

  // MARK: Sockets

  /// Whether every connection has been closed at both ends: what a leak test asks.
  public var openEnds: Int { ends.values.count { !$0.isClosed } }

  func listen(on address: SocketAddress, _ backend: SimulatedBackend, _ handle: Handle) -> Int32 {
    let id = newSocket()
    listeners[id] = Listener(address: address, backend: backend, handle: handle)
    return id
  }

  func localAddress(_ socket: Int32) -> SocketAddress {
    listeners[socket]?.address ?? ends[socket]?.local ?? .none
  }

  func accept(_ socket: Int32) -> Result<(Int32, SocketAddress), Fault> {
    guard let listener = listeners[socket], !listener.waiting.isEmpty else {
      return .failure(Fault(.reset, .own, errno: SystemError.again))
    }
    let id = listener.waiting.removeFirst()
    return .success((id, ends[id]?.remote ?? .none))
  }

  /// Begins a connection; a listener of the address (one of several, by chance) gets its other end.
  func connect(to address: SocketAddress, isCutOff: Bool = false) -> Int32 {
    let near = newSocket()
    let far = newSocket()
    let client = SocketAddress(simulated: Int(near), port: 1024)
    let end = End(peer: far, local: client, remote: address)
    ends[near] = end
    after(delay()) { [self] in
      guard !end.isClosed, end.broken == 0 else { return }
      let open = listeners.filter { !isCutOff && $0.value.address == address }
        .sorted { $0.key < $1.key }
      guard let listener = open.randomElement(using: &random)?.value else {
        end.broken = 111
        tell(end, [.readable, .writable, .hungUp])
        return
      }
      let other = End(peer: near, local: address, remote: client)
      other.isConnected = true
      ends[far] = other
      listener.waiting.append(far)
      listener.backend.tell(listener.handle, .readable)
      end.isConnected = true
      tell(end, .writable)
    }
    return near
  }

  func pendingError(_ socket: Int32) -> Int32 { ends[socket]?.broken ?? 9 }

  func watch(_ socket: Int32, _ backend: SimulatedBackend, _ handle: Handle) {
    guard let end = ends[socket] else { return }
    end.backend = backend
    end.handle = handle
    if end.held > 0 || end.peerEnded { tell(end, .readable) }
    if end.isConnected { tell(end, .writable) }
  }

  func unwatch(_ socket: Int32) {
    ends[socket]?.backend = nil
    ends[socket]?.handle = .none
  }

  /// What has come, as a whole.
  func peek(_ socket: Int32, into room: UnsafeMutableRawBufferPointer) -> IOResult {
    guard let end = ends[socket] else { return .broken(9) }
    if end.held == 0 {
      if end.broken != 0 { return .broken(end.broken) }
      return end.peerEnded ? .end : .wouldBlock
    }
    let count = min(room.count, end.held)
    unsafe end.inbox.withUnsafeBytes { inbox in
      unsafe room.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: inbox[end.taken..<end.taken + count]))
    }
    return .bytes(count)
  }

  func receive(_ socket: Int32, into room: UnsafeMutableRawBufferPointer) -> IOResult {
    guard let end = ends[socket] else { return .broken(9) }
    if end.held == 0 {
      if end.broken != 0 { return .broken(end.broken) }
      return end.peerEnded ? .end : .wouldBlock
    }
    let count = portion(of: min(room.count, end.held))
    unsafe end.inbox.withUnsafeBytes { inbox in
      unsafe room.copyMemory(
        from: UnsafeRawBufferPointer(rebasing: inbox[end.taken..<end.taken + count]))
    }
    end.taken += count
    if end.held == 0 {
      end.inbox.removeAll(keepingCapacity: true)
      end.taken = 0
    }
    if end.held > 0 || end.peerEnded || end.broken != 0 { tell(end, .readable) }
    if let peer = ends[end.peer], peer.writerBlocked, !peer.isClosed {
      peer.writerBlocked = false
      tell(peer, .writable)
    }
    return .bytes(count)
  }

  func send(_ socket: Int32, _ bytes: RawSpan) -> IOResult {
    send(socket, count: bytes.byteCount) { count in bytes.extracting(0..<count).array }
  }

  func sendFile(_ socket: Int32, from file: Int32, offset: Int64, count: Int) -> IOResult {
    send(socket, count: count) { count throws(Fault) in
      var piece = ByteBuffer(capacity: count)
      _ = try unsafe piece.fill(atLeast: count) { room throws(Fault) in
        try unsafe FileReference(descriptor: file).read(
          at: Int(offset), into: UnsafeMutableRawBufferPointer(rebasing: room[..<count]))
      }
      return piece.withReadable { $0.array }
    }
  }

  /// Sends as many of `count` bytes as there is room for; `take` gives their first so many, or fewer
  /// where they end.
  private func send(
    _ socket: Int32, count total: Int, _ take: (Int) throws(Fault) -> [UInt8]
  ) -> IOResult {
    guard let end = ends[socket] else { return .broken(9) }
    if end.broken != 0 { return .broken(end.broken) }
    guard end.isConnected else { return .wouldBlock }
    guard let peer = ends[end.peer], !peer.isClosed else { return .broken(32) }
    let room = weather.window - peer.held - peer.onTheWay
    if room <= 0 {
      end.writerBlocked = true
      return .wouldBlock
    }
    let piece: [UInt8]
    do throws(Fault) {
      piece = try take(portion(of: min(room, total)))
    } catch {
      return .broken(error.errno)
    }
    if piece.isEmpty && total > 0 { return .end }
    let count = piece.count
    peer.onTheWay += count
    arrive(at: peer) { [self] in
      peer.onTheWay -= count
      if peer.isClosed {
        // Nobody reads it any more: the sender is told so.
        finish(peerOf: peer, reset: true)
        return
      }
      peer.inbox += piece
      tell(peer, .readable)
    }
    if count == room {
      // As with a full socket buffer: told when the peer has read, not before.
      end.writerBlocked = count < total
    } else if count < total {
      tell(end, .writable)
    }
    return .bytes(count)
  }

  /// Sends two runs; where less than both is taken, `writable` will be told.
  func send(_ socket: Int32, _ first: RawSpan, _ second: RawSpan) -> IOResult {
    let result = send(socket, first)
    guard result == .bytes(first.byteCount) else { return result }
    guard case .bytes(let count) = send(socket, second) else { return result }
    return .bytes(first.byteCount + count)
  }

  /// Bytes that the peer has not read: the network has no room beside the reader's.
  func unacknowledged(_ socket: Int32) -> Int {
    guard let end = ends[socket], let peer = ends[end.peer] else { return 0 }
    return peer.held + peer.onTheWay
  }

  func shutdownWrite(_ socket: Int32) {
    guard let end = ends[socket], !end.isClosed else { return }
    finish(peerOf: end, reset: false)
  }

  /// Ends a connection's side; what the peer has not been read is a reset for it, as with TCP.
  func close(_ socket: Int32) {
    if let listener = listeners.removeValue(forKey: socket) {
      for waiting in listener.waiting { close(waiting, reset: true) }
      return
    }
    close(socket, reset: false)
  }

  private func close(_ socket: Int32, reset: Bool) {
    guard let end = ends[socket], !end.isClosed else { return }
    end.isClosed = true
    end.backend = nil
    let unread = end.held > 0
    end.inbox = []
    end.taken = 0
    finish(peerOf: end, reset: reset || unread)
    if ends[end.peer]?.isClosed ?? !end.isConnected {
      ends[end.peer] = nil
      ends[socket] = nil
    }
  }

  /// Breaks a connection under its owner's hands, in both directions.
  public func breakConnection(_ socket: Int32) {
    guard let end = ends[socket], !end.isClosed else { return }
    end.broken = SystemError.connectionReset
    tell(end, [.readable, .writable, .hungUp])
    finish(peerOf: end, reset: true)
  }

  /// Parts a loop from the network for good, as when its machine dies: its connections break, nobody
  /// reaches its listeners, and it reaches nobody.
  public func cutOff(_ loop: Loop) {
    guard let backend = members.first(where: { $0.loop === loop })?.backend else { return }
    backend.isCutOff = true
    for (id, listener) in listeners.sorted(by: { $0.key < $1.key })
    where listener.backend === backend {
      close(id)
    }
    for (id, end) in ends.sorted(by: { $0.key < $1.key }) where end.backend === backend {
      breakConnection(id)
    }
  }

  private func finish(peerOf end: End, reset: Bool) {
    guard let peer = ends[end.peer], !peer.isClosed else { return }
    arrive(at: peer) { [self] in
      if peer.isClosed { return }
      if reset {
        peer.broken = SystemError.connectionReset
        peer.inbox = []
        peer.taken = 0
      } else {
        peer.peerEnded = true
      }
      tell(peer, reset ? [.readable, .writable, .hungUp] : [.readable, .ended])
    }
  }

  private func arrive(at end: End, _ action: @escaping () -> Void) {
    // In order: nothing overtakes what was sent before.
    let due = max(now + delay(), end.lastArrival)
    end.lastArrival = due
    after(due - now, action)
  }

  private func tell(_ end: End, _ readiness: Readiness) {
    end.backend?.tell(end.handle, readiness)
  }

  private func newSocket() -> Int32 {
    nextSocket += 1
    return nextSocket
  }

  private func delay() -> Interval { .microseconds(random.number(in: weather.delay)) }

  private func portion(of count: Int) -> Int {
    guard count > 1, random.chance(weather.shortTransfers) else { return count }
    return random.chance(0.2) ? 1 : random.number(in: 1...count)
  }
}

/// A loop's view of the simulated network: the events that wait for it.
final class SimulatedBackend {
  let network: SimulatedNetwork
  var isCutOff = false
  private var pending: [(handle: Handle, readiness: Readiness)] = []

  init(_ network: SimulatedNetwork) {
    self.network = network
  }

  var hasEvents: Bool { !pending.isEmpty }
  var eventCount: Int { pending.count }

  func tell(_ handle: Handle, _ readiness: Readiness) {
    if let index = pending.firstIndex(where: { $0.handle == handle }) {
      pending[index].readiness.formUnion(readiness)
    } else {
      pending.append((handle, readiness))
    }
  }

  func nextEvent() -> (Handle, Readiness)? {
    guard !pending.isEmpty else { return nil }
    let event = pending.removeFirst()
    return (event.handle, event.readiness)
  }

  func listen(on address: SocketAddress, _ handle: Handle) -> Int32 {
    network.listen(on: address, self, handle)
  }

  func watch(_ socket: Int32, _ handle: Handle) {
    network.watch(socket, self, handle)
  }
}
