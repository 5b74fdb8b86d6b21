import Base
import EventLoop
import System

/// A handler that writes down the tags it is told.
final class Noter: EventHandler {
  var tags: [UInt32] = []
  var times: [Instant] = []
  var onDeadline: (UInt32) -> Void = { _ in }
  private let clock: () -> Instant

  init(clock: @escaping () -> Instant = { .zero }) {
    self.clock = clock
  }

  override func deadline(_ tag: UInt32) {
    tags.append(tag)
    times.append(clock())
    onDeadline(tag)
  }
}

/// One end of a connection: sends what it was given, reads as long as it may.
final class End: EventHandler {
  let loop: Loop
  var socket: Int32 = -1
  var handle = Handle.none
  var toSend: ArraySlice<UInt8> = []
  /// Ends its sending side, or closes altogether, when all has been sent.
  var halfCloses = false
  var closesWhenSent = false
  var reads = true
  var received: [UInt8] = []
  var sawEnd = false
  var failure: Int32?
  /// How many bytes each read and write moved.
  var history: [Int] = []
  private(set) var isClosed = false

  init(_ loop: Loop) {
    self.loop = loop
  }

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.hungUp), loop.pendingError(socket) != 0 {
      failure = failure ?? loop.pendingError(socket)
    }
    if readiness.contains(.readable) && reads { read() }
    if readiness.contains(.writable) { write() }
  }

  func read() {
    var room = [UInt8](repeating: 0, count: 4096)
    while !isClosed {
      switch room.withUnsafeMutableBytes({ loop.receive(socket, into: $0) }) {
      case .bytes(let count):
        history.append(count)
        received += room[..<count]
      case .wouldBlock: return
      case .end:
        sawEnd = true
        return
      case .broken(let error):
        failure = error
        return
      }
    }
  }

  func write() {
    while !isClosed, !toSend.isEmpty {
      let piece = Array(toSend.prefix(10_000))
      switch loop.send(socket, piece.rawBytes) {
      case .bytes(let count):
        history.append(-count)
        toSend = toSend.dropFirst(count)
        if count < piece.count { return }
      case .wouldBlock: return
      case .end: return
      case .broken(let error):
        failure = error
        return
      }
    }
    if halfCloses { loop.shutdownWrite(socket) }
    if closesWhenSent { close() }
  }

  func close() {
    if isClosed { return }
    isClosed = true
    loop.close(socket, handle)
  }
}

/// Accepts, one end each.
final class Door: EventHandler {
  let loop: Loop
  var socket: Int32 = -1
  var handle = Handle.none
  var ends: [End] = []
  var prepare: (End) -> Void = { _ in }

  init(_ loop: Loop, at address: SocketAddress) throws {
    self.loop = loop
    super.init()
    (socket, handle) = try loop.listen(on: address, self)
  }

  override func ready(_ readiness: Readiness) {
    while case .success((let connection, _)) = loop.accept(socket) {
      let end = End(loop)
      end.socket = connection
      ends.append(end)
      prepare(end)
      end.handle = (try? loop.watch(connection, end)) ?? .none
    }
  }
}

let address = SocketAddress(simulated: 1, port: 80)

/// Two loops, a listener on the one and a connection from the other.
final class Pair {
  let network: SimulatedNetwork
  let near: End
  let door: Door
  var far: End? { door.ends.first }

  init(seed: UInt64, weather: SimulatedNetwork.Weather = .init()) throws {
    network = SimulatedNetwork(seed: seed)
    network.weather = weather
    door = try Door(Loop(in: network), at: address)
    near = End(Loop(in: network))
  }

  func connect(to place: SocketAddress = address) throws {
    (near.socket, near.handle) = try near.loop.connect(to: place, near)
  }

  /// Runs until nothing more happens; false where that never comes.
  func settle(within steps: Int = 500_000) -> Bool {
    for _ in 0..<steps where !network.step() { return true }
    return false
  }
}

func pattern(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
}
