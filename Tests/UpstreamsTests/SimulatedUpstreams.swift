import Base
import EventLoop
import HTTP
import System
import Telemetry

@testable import Upstreams

/// What a scripted server does with one request.
struct Reply {
  enum Then { case keep, close, reset, stall }
  var wire: [UInt8] = []
  var then = Then.keep
  /// How long the answer takes to begin.
  var delay: Interval?
  /// Closes an idle connection that long after the answer.
  var closesAfter: Interval?
  /// Sends no more than so much at a time.
  var trickle: (bytes: Int, every: Interval)?

  static func text(_ head: String, _ body: [UInt8] = [], then: Then = .keep) -> Reply {
    Reply(wire: [UInt8](head.replacing("\n", with: "\r\n").utf8) + body, then: then)
  }

  static func ok(_ body: [UInt8], then: Then = .keep) -> Reply {
    text("HTTP/1.1 200 OK\nContent-Length: \(body.count)\n\n", body, then: then)
  }

  static func chunked(_ body: [UInt8], sizes: () -> Int) -> Reply {
    var wire = [UInt8]("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
    var rest = body[...]
    while !rest.isEmpty {
      let piece = rest.prefix(max(1, sizes()))
      wire += [UInt8]("\(String(piece.count, radix: 16))\r\n".utf8) + piece + [13, 10]
      rest = rest.dropFirst(piece.count)
    }
    return Reply(wire: wire + [UInt8]("0\r\n\r\n".utf8))
  }
}

/// Servers on a loop of their own, and a pool that asks them, in one simulated network.
final class SimulatedUpstreams {
  let network: SimulatedNetwork
  let loop: Loop
  let serverLoop: Loop
  /// The first region; requests belong to it unless they say otherwise.
  let region: UpstreamRegion
  let map: UpstreamMap
  /// Those of all regions, by the numbers that `reply` and `requests` have.
  let servers: [UpstreamServer]
  let counters = CounterPage()
  let pool: UpstreamPool
  /// The answer to a request by a server.
  var reply: (Int, String) -> Reply
  private(set) var requests: [(server: Int, head: String)] = []
  private var listeners: [Int: PeerListener] = [:]

  /// - Parameters:
  ///   - servers: how many there are, in one region unless `regions` says how many each has.
  ///   - next: as the map's.
  ///   - traits: of the first servers; all others have the usual ones.
  ///   - hasLastResort: whether the last region is that.
  init(
    seed: UInt64, servers: Int = 1, regions: [Int]? = nil, next: [[Int]?] = [],
    hasLastResort: Bool = false, refusing: Set<Int> = [],
    options: UpstreamOptions = UpstreamOptions(),
    traits: [UpstreamServer.Traits] = [],
    reply: @escaping (Int, String) -> Reply = { _, _ in .ok([]) }
  ) {
    network = SimulatedNetwork(seed: seed)
    loop = Loop(in: network)
    serverLoop = Loop(in: network)
    self.reply = reply
    let sizes = regions ?? [servers]
    let members = (0..<sizes.reduce(0, +)).map { index in
      UpstreamServer(
        address: SocketAddress(host: "192.0.2.1", port: UInt16(8000 + index)) ?? .none,
        name: "node\(index)",
        traits: traits.indices.contains(index) ? traits[index] : UpstreamServer.Traits())
    }
    self.servers = members
    var rest = members[...]
    var all = sizes.enumerated().map { index, size in
      defer { rest = rest.dropFirst(size) }
      return UpstreamRegion(name: "region\(index)", servers: Array(rest.prefix(size)))
    }
    region = all[0]
    let lastResort = hasLastResort ? all.removeLast() : nil
    map = UpstreamMap(regions: all, next: next, lastResort: lastResort)
    pool = UpstreamPool(loop: loop, map: map, options: options, counters: counters)
    for index in members.indices where !refusing.contains(index) { open(index) }
  }

  /// Has a server take connections.
  func open(_ server: Int) {
    listeners[server] = listeners[server] ?? PeerListener(self, server, servers[server].address)
  }

  /// Has it refuse new ones.
  func close(_ server: Int) {
    listeners[server]?.close()
    listeners[server] = nil
  }

  func answer(_ server: Int, _ head: String) -> Reply {
    requests.append((server, head))
    return reply(server, head)
  }

  /// Lets everything happen that will; false where it never ends.
  func settle(within steps: Int = 2_000_000) -> Bool {
    for _ in 0..<steps where !network.step() { return true }
    return false
  }

  /// Runs until something holds or nothing more happens.
  func run(until condition: () -> Bool) {
    while !condition() && network.step() {}
  }

  func ask(_ target: String, method: HTTP.Method = .get, region: Int = 0) -> Asker {
    var request = UpstreamRequest(method: method, target: [UInt8](target.utf8))
    request.region = region
    let asker = Asker(self, request)
    asker.call.start()
    return asker
  }

  /// Asks and waits for the end.
  func fetch(_ target: String, method: HTTP.Method = .get, region: Int = 0) -> Asker {
    let asker = ask(target, method: method, region: region)
    run { asker.isOver }
    return asker
  }

  var active: Int { servers.map(\.active).reduce(0, +) }
}

final class PeerListener: EventHandler {
  private unowned let world: SimulatedUpstreams
  private let server: Int
  private var socket: Int32 = -1
  private var handle = Handle.none

  init(_ world: SimulatedUpstreams, _ server: Int, _ address: SocketAddress) {
    self.world = world
    self.server = server
    super.init()
    if let opened = try? world.serverLoop.listen(on: address, self) { (socket, handle) = opened }
  }

  func close() { world.serverLoop.close(socket, handle) }

  override func ready(_ readiness: Readiness) {
    while case .success((let connection, _)) = world.serverLoop.accept(socket) {
      let peer = PeerConnection(world, server, connection)
      peer.handle = (try? world.serverLoop.watch(connection, peer)) ?? .none
    }
  }
}

final class PeerConnection: EventHandler {
  private unowned let world: SimulatedUpstreams
  private let server: Int
  private let socket: Int32
  var handle = Handle.none
  private var input: [UInt8] = []
  private var output: ArraySlice<UInt8> = []
  private var kept: ArraySlice<UInt8> = []
  private var current: Reply?
  private var isClosed = false
  private var served = 0

  init(_ world: SimulatedUpstreams, _ server: Int, _ socket: Int32) {
    self.world = world
    self.server = server
    self.socket = socket
  }

  override func ready(_ readiness: Readiness) {
    receive()
    send()
  }

  private func receive() {
    var room = [UInt8](repeating: 0, count: 4096)
    while !isClosed {
      let result = room.withUnsafeMutableBytes { world.serverLoop.receive(socket, into: $0) }
      switch result {
      case .bytes(let count): input += room[..<count]
      case .wouldBlock:
        takeRequest()
        return
      case .end, .broken: close()
      }
    }
  }

  private func takeRequest() {
    // Requests have no body: a head ends where its empty line does.
    let ends = input.indices.dropFirst(3).first {
      input[$0 - 3...$0].elementsEqual([13, 10, 13, 10])
    }
    guard current == nil, let end = ends else { return }
    let head = String(decoding: input[...end], as: UTF8.self)
    input.removeFirst(end + 1)
    let reply = world.answer(server, head)
    guard let delay = reply.delay else {
      current = reply
      output = reply.wire[...]
      dole()
      return
    }
    world.network.after(delay) { [self] in
      current = reply
      output = reply.wire[...]
      dole()
      send()
    }
  }

  /// Keeps back all but the next piece of an answer that comes in such.
  private func dole() {
    guard !isClosed, let trickle = current?.trickle, !output.isEmpty else { return }
    kept = output.dropFirst(trickle.bytes)
    output = output.prefix(trickle.bytes)
    world.network.after(trickle.every) { [self] in
      output += kept
      kept = []
      dole()
      send()
    }
  }

  private func send() {
    while !isClosed, current != nil, !output.isEmpty {
      let piece = [UInt8](output.prefix(64 << 10))
      switch world.serverLoop.send(socket, piece.rawBytes) {
      case .bytes(let count): output.removeFirst(count)
      case .wouldBlock: return
      case .end, .broken: close()
      }
    }
    guard !isClosed, kept.isEmpty, let reply = current else { return }
    switch reply.then {
    case .stall: return
    case .close: close()
    case .reset:
      world.network.breakConnection(socket)
      close()
    case .keep:
      current = nil
      served += 1
      if let wait = reply.closesAfter { closeLater(wait) }
    }
  }

  private func closeLater(_ wait: Interval) {
    let count = served
    world.network.after(wait) { [self] in
      if served == count && current == nil && input.isEmpty { close() }
    }
  }

  private func close() {
    if isClosed { return }
    isClosed = true
    world.serverLoop.close(socket, handle)
  }
}

/// A consumer that writes down what it is told, with as much room as the test lets it have.
final class Asker: UpstreamConsumer {
  private let world: SimulatedUpstreams
  private let request: UpstreamRequest
  lazy var call = UpstreamCall(world.pool, request, self)
  var status: Int?
  var body: [UInt8] = []
  var outcome: Result<Bool, Fault>?
  var calledAfterEnd = false
  var isCancelled = false
  /// How much room the next `takeBody` has.
  var room: () -> Int = { 8192 }
  /// Says that there is no more room, and resumes so much later.
  var pause: () -> Interval? = { nil }
  var onHead: () -> Void = {}
  var onBody: () -> Void = {}
  var onEnd: () -> Void = {}

  init(_ world: SimulatedUpstreams, _ request: UpstreamRequest) {
    self.world = world
    self.request = request
  }

  var isOver: Bool { outcome != nil || isCancelled }
  var fault: Fault? {
    if case .failure(let fault) = outcome { return fault }
    return nil
  }

  func cancel() {
    isCancelled = true
    call.cancel()
  }

  private func note() {
    if isOver { calledAfterEnd = true }
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    note()
    if status != nil { calledAfterEnd = true }
    status = head.status
    onHead()
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    note()
    if status == nil { calledAfterEnd = true }
    var piece = [UInt8](repeating: 0, count: room())
    let count = piece.withUnsafeMutableBytes { read($0) }
    body += piece[..<count]
    onBody()
    if isOver { return false }
    guard let wait = pause() else { return true }
    world.network.after(wait) { [self] in call.resume() }
    return false
  }

  override func finished(lengthKnown: Bool) {
    note()
    outcome = .success(lengthKnown)
    onEnd()
  }

  override func failed(_ fault: Fault) {
    note()
    outcome = .failure(fault)
    onEnd()
  }
}

/// Bytes that tell their place.
func pattern(_ count: Int, _ salt: Int = 0) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8 &+ salt &* 7) }
}
