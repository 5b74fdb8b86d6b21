import Base
import EventLoop
import HTTP1
import Logging
import Server
import System
import Telemetry
import Testing
import Upstreams

@testable import Cache
@testable import Gateway

/// Content that nobody has, asked for again and again: what servers have to bear of it.
@Suite struct DeadContentTests {
  /// How a node tells that it found nothing.
  enum Manner: CaseIterable {
    /// It looks until its client leaves.
    case silence
    /// A 504 after half a minute, as newer gateways do it.
    case gatewayTimeout
    /// A 500 at once.
    case error
  }

  /// An hour in which a client comes for it every ten seconds, and stays for as long as it takes.
  @Test(arguments: Manner.allCases) func anHourOfOneDeadCID(manner: Manner) throws {
    let world = try SearchWorld(manner)
    defer { world.folder.remove() }
    world.run(hours: 1)
    // One search, in two regions at most, then a pause that grows to a minute.
    let most =
      switch manner {
      case .silence: 60
      case .gatewayTimeout: 70
      // No other server would say anything else.
      case .error: 65
      }
    #expect(world.deadRequests > 10 && world.deadRequests <= most, "\(world.deadRequests)")
    // Every client was told, and the living were served all along.
    #expect(world.statuses.values.reduce(0, +) == world.visits)
    #expect(world.statuses.keys.allSatisfy { $0 == 504 || $0 == 500 }, "\(world.statuses)")
    #expect(world.livingAnswers > 3500)
  }

  /// How clients ask for it.
  enum Asking: String, CaseIterable {
    case part, partAndWhole, head
  }

  /// The same hour with several clients at a time, who want a part of it, or its head: what one has waited for
  /// in vain none of the others looks for again.
  @Test(arguments: [Manner.silence, .gatewayTimeout], Asking.allCases)
  func anHourOfManyClients(manner: Manner, asking: Asking) throws {
    let world = try SearchWorld(manner)
    defer { world.folder.remove() }
    let part = SearchAsker.Question(SearchWorld.deadFile, range: "bytes=0-")
    let whole = SearchAsker.Question(SearchWorld.deadFile)
    world.questions =
      switch asking {
      case .part: [part, part, part, part, part]
      case .partAndWhole: [part, whole, part, whole, part]
      case .head:
        (0..<5).map { _ in SearchAsker.Question(SearchWorld.deadFile, method: "HEAD") }
      }
    world.run(hours: 1)
    let most = manner == .silence ? 60 : 70
    #expect(world.deadRequests > 10 && world.deadRequests <= most, "\(world.deadRequests)")
    #expect(world.statuses.values.reduce(0, +) == 5 * world.visits)
    #expect(world.statuses.keys.allSatisfy { $0 == 504 }, "\(world.statuses)")
    #expect(world.longestWait <= .seconds(100), "\(world.longestWait)")
    #expect(world.livingAnswers > 3500)
  }

  /// Content of which the first slice is kept, and nobody has the rest any more.
  @Test(arguments: [Manner.silence, .gatewayTimeout], ["bytes=150000-150099", nil])
  func missingSlicesOfWhatHasDied(manner: Manner, range: String?) throws {
    let world = try SearchWorld(manner)
    defer { world.folder.remove() }
    try world.keepFirstSlice()
    let question = SearchAsker.Question(SearchWorld.deadFile, range: range)
    world.questions = [question, question, question]
    world.run(hours: 1)
    let most = manner == .silence ? 60 : 70
    #expect(world.deadRequests > 10 && world.deadRequests <= most, "\(world.deadRequests)")
    #expect(world.statuses.values.reduce(0, +) == 3 * world.visits)
    // The record tells the head, and an answer that has begun ends so that it shows; while it is known that nobody has
    // the rest, who wants only that is told so.
    let statuses: Set = range == nil ? [200] : [206, 504]
    #expect(Set(world.statuses.keys) == statuses, "\(world.statuses)")
    #expect(world.longestWait <= .seconds(100), "\(world.longestWait)")
    #expect(world.livingAnswers > 3500)
  }
}

/// Two regions of one node each, a gateway, and clients.
private final class SearchWorld {
  static let dead = "/ipfs/bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
  /// A file of several blocks, of which a part may be fetched by itself.
  static let deadFile = "/ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
  /// Its bytes, while the nodes still have it.
  static let fileBytes = 3 << 16
  static let gatewayAddress = SocketAddress(simulated: 1, port: 80)
  let network = SimulatedNetwork(seed: 7)
  let folder: DiskFolder
  let manner: DeadContentTests.Manner
  let nodeLoop: Loop
  let clientLoop: Loop
  private let gateway: Gateway
  private let storage: DiskStorage
  private var workers: [GatewayWorker] = []
  private var servers: [ServerWorker] = []
  private var nodes: [SearchNode] = []
  /// What is asked for at each visit.
  var questions = [SearchAsker.Question(SearchWorld.dead)]
  var hasDied = true
  var deadRequests = 0
  var visits = 0
  var statuses: [Int: Int] = [:]
  var livingAnswers = 0
  var longestWait = Interval.zero

  init(_ manner: DeadContentTests.Manner) throws {
    self.manner = manner
    folder = try DiskFolder()
    nodeLoop = Loop(in: network)
    clientLoop = Loop(in: network)
    let addresses = (0..<2).compactMap {
      SocketAddress(host: "192.0.2.\($0 + 1)", port: 8080)
    }
    let regions = addresses.enumerated().map { number, address in
      UpstreamRegion(
        name: "region\(number)", servers: [UpstreamServer(address: address, name: "node\(number)")])
    }
    var cache = CacheOptions(path: folder.path + "/1", maxSize: 256 << 20)
    cache.sliceSize = 64 << 10
    storage = try DiskStorage(cache, wallSeconds: network.wallSeconds)
    gateway = Gateway(
      options: GatewayOptions(), storage: storage, upstreams: UpstreamMap(regions: regions),
      disk: DiskQueue(in: network), log: Logger(label: "dead") { _ in SwiftLogNoOpLogHandler() })
    for number in 0..<2 {
      let loop = Loop(in: network)
      let worker = try GatewayWorker(
        gateway, number: number, loop: loop, counters: CounterPage(), accessLog: nil)
      let server = ServerWorker(
        loop: loop, options: ServerOptions(), handler: worker, counters: worker.counters)
      workers.append(worker)
      servers.append(server)
    }
    ServerCrew(servers)
    for server in servers { try server.listen(on: Self.gatewayAddress) }
    for address in addresses { nodes.append(try SearchNode(self, address)) }
  }

  /// Has the first slice of the file kept; then its nodes have it no more.
  func keepFirstSlice() throws {
    hasDied = false
    var status = 0
    ask(.init(Self.deadFile, range: "bytes=0-99")) { status = $0 }
    while status == 0, network.step() {}
    try #require(status == 206)
    let end = network.now + .seconds(30)
    while network.now < end, network.step() {}
    for seconds in [10, 20, 30] {
      let later = network.now + .seconds(seconds)
      while storage.step(now: later, wallSeconds: network.wallSeconds) {}
    }
    // What the writer has told is heard, and nobody keeps the fill.
    let heard = network.now + .seconds(30)
    while network.now < heard, network.step() {}
    try #require(gateway.fills.count == 0)
    hasDied = true
  }

  func run(hours: Int) {
    let end = network.now + .seconds(3600 * hours)
    visit(until: end)
    live(until: end)
    while network.now < end + .seconds(200), network.step() {}
    for server in servers { server.drain {} }
    for worker in workers { worker.close() }
  }

  private func visit(until end: Instant) {
    guard network.now < end else { return }
    visits += 1
    let began = network.now
    for question in questions {
      ask(question) { [self] status in
        statuses[status, default: 0] += 1
        longestWait = max(longestWait, network.now - began)
      }
    }
    network.after(.seconds(10)) { [self] in visit(until: end) }
  }

  /// Others are answered all along, so that servers are well.
  private func live(until end: Instant) {
    guard network.now < end else { return }
    ask(.init("/ipfs/bafkreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi/x")) {
      [self] status in
      if status == 403 { livingAnswers += 1 }
    }
    network.after(.seconds(1)) { [self] in live(until: end) }
  }

  private func ask(_ question: SearchAsker.Question, _ told: @escaping (Int) -> Void) {
    SearchAsker(self, question, told).start()
  }
}

/// Answers all but the dead content.
private final class SearchNode: EventHandler {
  unowned let world: SearchWorld
  private var socket: Int32 = -1
  private var handle = Handle.none

  init(_ world: SearchWorld, _ address: SocketAddress) throws {
    self.world = world
    super.init()
    (socket, handle) = try world.nodeLoop.listen(on: address, self)
  }

  override func ready(_ readiness: Readiness) {
    while case .success((let socket, _)) = world.nodeLoop.accept(socket) {
      let peer = Peer(world, socket)
      peer.handle = (try? world.nodeLoop.watch(socket, peer)) ?? .none
    }
  }

  final class Peer: EventHandler {
    private unowned let world: SearchWorld
    private let socket: Int32
    var handle = Handle.none
    private var input = ""
    private var output: [UInt8] = []
    private var isClosed = false

    init(_ world: SearchWorld, _ socket: Int32) {
      self.world = world
      self.socket = socket
    }

    override func ready(_ readiness: Readiness) {
      flush()
      var room = [UInt8](repeating: 0, count: 4096)
      while !isClosed {
        switch room.withUnsafeMutableBytes({ world.nodeLoop.receive(socket, into: $0) }) {
        case .bytes(let count): input += String(decoding: room[..<count], as: UTF8.self)
        case .wouldBlock:
          answer()
          return
        case .end, .broken:
          isClosed = true
          world.nodeLoop.close(socket, handle)
        }
      }
    }

    private func answer() {
      guard input.hasSuffix("\r\n\r\n") else { return }
      let isFile = input.contains(SearchWorld.deadFile)
      let isDead = world.hasDied && isFile || input.contains(SearchWorld.dead)
      let isHead = input.hasPrefix("HEAD")
      input = ""
      guard isDead else {
        if isFile { sendFile(isHead: isHead) } else { send("403 Forbidden") }
        return
      }
      world.deadRequests += 1
      switch world.manner {
      case .silence: break
      case .gatewayTimeout:
        world.network.after(.seconds(30)) { [self] in send("504 Gateway Timeout") }
      case .error: send("500 Internal Server Error")
      }
    }

    private func send(_ status: String) {
      output += Array("HTTP/1.1 \(status)\r\nContent-Length: 0\r\n\r\n".utf8)
      flush()
    }

    /// Its head, or its first slice, which is all that anybody asks for.
    private func sendFile(isHead: Bool) {
      let cid = SearchWorld.deadFile.dropFirst("/ipfs/".count)
      let (total, part) = (SearchWorld.fileBytes, 1 << 16)
      let place = isHead ? "" : "Content-Range: bytes 0-\(part - 1)/\(total)\r\n"
      output += Array(
        ("HTTP/1.1 \(isHead ? 200 : 206) OK\r\nContent-Length: \(isHead ? total : part)\r\n\(place)"
          + "Etag: \"\(cid)\"\r\nX-Ipfs-Roots: \(cid)\r\nContent-Type: text/plain\r\n\r\n").utf8)
      if !isHead { output += [UInt8](repeating: 0x61, count: part) }
      flush()
    }

    private func flush() {
      guard !isClosed else { return }
      world.nodeLoop.sendAll(&output, to: socket)
    }
  }
}

/// A client with one request.
private final class SearchAsker: EventHandler {
  struct Question {
    var method: String
    var path: String
    var range: String?

    init(_ path: String, method: String = "GET", range: String? = nil) {
      self.path = path
      self.method = method
      self.range = range
    }
  }

  private let world: SearchWorld
  private let told: (Int) -> Void
  private var socket: Int32 = -1
  private var handle = Handle.none
  private var input = ""
  private var output: [UInt8] = []
  private var isOver = false

  init(_ world: SearchWorld, _ question: Question, _ told: @escaping (Int) -> Void) {
    self.world = world
    self.told = told
    let range = question.range.map { "Range: \($0)\r\n" } ?? ""
    output = Array(
      ("\(question.method) \(question.path) HTTP/1.1\r\nHost: a\r\n\(range)"
        + "Connection: close\r\n\r\n").utf8)
  }

  func start() {
    guard let opened = try? world.clientLoop.connect(to: SearchWorld.gatewayAddress, self) else {
      return
    }
    (socket, handle) = opened
  }

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.writable) { world.clientLoop.sendAll(&output, to: socket) }
    var room = [UInt8](repeating: 0, count: 4096)
    while !isOver {
      switch room.withUnsafeMutableBytes({ world.clientLoop.receive(socket, into: $0) }) {
      case .bytes(let count):
        // The status is all that counts.
        if input.utf8.count < 64 { input += String(decoding: room[..<count], as: UTF8.self) }
      case .wouldBlock: return
      case .end, .broken:
        isOver = true
        world.clientLoop.close(socket, handle)
        told(input.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0)
      }
    }
  }
}

extension Loop {
  /// Sends what the socket takes; the rest stays.
  fileprivate func sendAll(_ output: inout [UInt8], to socket: Int32) {
    while !output.isEmpty, case .bytes(let count) = send(socket, output.rawBytes) {
      output.removeFirst(count)
    }
  }
}
