import Base
import EventLoop
import HTTP
import HTTP1
import Logging
import Router
import Server
import System
import Telemetry
import Upstreams

@testable import Cache
@testable import Gateway

/// A gateway of two workers with its nodes, its clients and its disk, all in simulated time.
final class World {
  static let address = SocketAddress(simulated: 1, port: 80)
  /// Bad behaviour ends then, so that everything after it must end well.
  private static let faultsEnd = Instant(nanoseconds: 20_000_000_000)

  let seed: UInt64
  var random: SeededRandom
  let network: SimulatedNetwork
  let troubles: Troubles
  let nodeLoop: Loop
  let clientLoop: Loop
  let gateway: Gateway
  private let memory: MemoryStorage
  private let region: UpstreamRegion
  private var workers: [GatewayWorker] = []
  private var servers: [ServerWorker] = []
  private var nodes: [Node] = []
  private var clients: [Client] = []
  private var starting = 0
  private var isWatching = true
  private(set) var failures: [String] = []
  /// A hash of all that clients saw, and when: equal histories have equal ones.
  private(set) var history: UInt64 = 0xcbf2_9ce4_8422_2325
  var asked = 0
  var answers = 0
  var broken = 0
  /// Whether a client may be sent away, since a worker drains.
  private(set) var mayRefuse = false

  init(seed: UInt64) throws {
    self.seed = seed
    random = SeededRandom(seed: seed &* 0x1_0001 &+ 11)
    network = SimulatedNetwork(seed: seed)
    troubles = Troubles(&random, class: seed % 3)
    nodeLoop = Loop(in: network)
    clientLoop = Loop(in: network)
    var cache = CacheOptions(path: "", maxSize: (64 << 20) + troubles.segments * (4 << 20))
    cache.sliceSize = 64 << 10
    cache.queueBytes = troubles.queueBytes
    memory = MemoryStorage(cache, seed: seed)
    region = UpstreamRegion(
      name: "here",
      servers: troubles.nodes.indices.map { index in
        UpstreamServer(
          address: SocketAddress(host: "192.0.2.1", port: UInt16(8000 + index)) ?? .none,
          name: "node\(index)")
      })
    var options = GatewayOptions()
    options.upstream = UpstreamOptions(
      connectTimeout: .seconds(1), firstByteTimeout: .seconds(2), betweenBytesTimeout: .seconds(1),
      idlePerServer: random.number(in: 0...3),
      failTimeout: .milliseconds(random.number(in: 1...10_000)))
    gateway = Gateway(
      options: options, storage: .memory(memory), region: region, disk: nil,
      log: Logger(label: "simulation") { _ in SwiftLogNoOpLogHandler() })
    if random.chance(0.3) { network.weather.window = random.number(in: 3_000...20_000) }
    network.weather.shortTransfers = random.chance(0.5) ? 0.05 : 0.3
    try addWorkers()
    for (index, server) in region.servers.enumerated() {
      nodes.append(Node(self, index, server.address, seed: random.next()))
    }
  }

  private func addWorkers() throws {
    var options = ServerOptions()
    options.sendTimeout = .seconds(10)
    for number in 0..<2 {
      let loop = Loop(in: network)
      let counters = CounterPage()
      let worker = try GatewayWorker(
        gateway, number: number, loop: loop, counters: counters, accessLog: nil)
      let server = ServerWorker(loop: loop, options: options, handler: worker, counters: counters)
      try server.listen(on: Self.address)
      workers.append(worker)
      servers.append(server)
    }
  }

  var areNodesFaulty: Bool { network.now < Self.faultsEnd }

  func fail(_ complaint: String) {
    let time = Double(network.now.nanoseconds) / 1e9
    if failures.count < 5 { failures.append("\(time) s: \(complaint)") }
  }

  func note(_ numbers: Int...) {
    for number in numbers + [Int(network.now.nanoseconds)] {
      history = (history ^ UInt64(bitPattern: Int64(number))) &* 0x100_0000_01b3
    }
  }

  // MARK: The run

  func run() {
    schedule()
    pump()
    watch()
    if !settle("clients are not served", until: { self.areClientsDone }) { return }
    isWatching = false
    if !settle("something goes on for ever", until: { false }) { return }
    checkRest()
    checkStorage()
    checkCounters()
    for server in servers { server.drain {} }
    for worker in workers { worker.close() }
    for node in nodes { node.shutDown() }
    if !settle("closing does not end", until: { false }) { return }
    checkLeaks()
  }

  /// Lets time pass until something holds or nothing more will happen.
  private func settle(_ complaint: String, until condition: () -> Bool) -> Bool {
    let limit = network.now + .seconds(900)
    while !condition() && failures.isEmpty && network.step() {
      if network.now > limit {
        fail(complaint)
        break
      }
    }
    return failures.isEmpty
  }

  private var areClientsDone: Bool { starting == 0 && clients.allSatisfy(\.isOver) }

  private var fillsActive: Int {
    workers.map { $0.counters.value(.fillsActive) }.reduce(0, +)
  }

  /// The disk's thread: does a few jobs now and then.
  private func pump() {
    network.after(.microseconds(random.number(in: 1...20_000))) { [self] in
      if random.chance(troubles.disk) { memory.failNextWrites = random.number(in: 1...3) }
      var isIdle = false
      for _ in 0..<random.number(in: 0...4) where !memory.step() { isIdle = true }
      let isQuiet = areClientsDone && fillsActive == 0 && gateway.fills.count == 0
      if !(isIdle && isQuiet) { pump() }
    }
  }

  private func watch() {
    let limit: Interval = .seconds(troubles.hasFaultyNodes ? 60 : 15)
    network.after(.milliseconds(500)) { [self] in
      for client in clients { client.watch(limit: limit) }
      if isWatching { watch() }
    }
  }

  // MARK: The plan

  private func schedule() {
    let span = random.number(in: 1_000...8_000)
    let favourites = (0..<random.number(in: 3...12)).map { _ in
      Content.all[random.number(in: 0...Content.all.count - 1)]
    }
    for _ in 0..<random.number(in: 10...40) {
      let time = random.number(in: 0...span * 1_000)
      // A crowd asks for one thing at the same moment.
      let isCrowd = random.chance(0.2)
      let content = favourites[random.number(in: 0...favourites.count - 1)]
      for _ in 0..<(isCrowd ? random.number(in: 3...12) : 1) {
        start(at: time + random.number(in: 0...2_000), isCrowd ? content : nil, favourites)
      }
    }
    if troubles.drains {
      network.after(.milliseconds(random.number(in: 0...span))) { [self] in
        mayRefuse = true
        servers[1].drain {}
      }
    }
    guard troubles.hasFaultyNodes else { return }
    for node in nodes where troubles.nodes[node.number] > 0.3 {
      for _ in 0..<random.number(in: 0...3) {
        network.after(.milliseconds(random.number(in: 0...span))) { node.close() }
        network.after(.milliseconds(random.number(in: 0...span * 2))) { node.open() }
      }
      network.after(.milliseconds(span * 2)) { node.open() }
    }
  }

  private func start(at microseconds: Int, _ content: Content?, _ favourites: [Content]) {
    var manners = Manners()
    manners.pipelines = random.chance(0.3)
    manners.halfCloses = random.chance(0.05)
    if random.chance(0.15) {
      manners.abortsAfter = .microseconds(random.number(in: 0...100_000))
    }
    if random.chance(0.3) {
      manners.gulp = random.number(in: 200...20_000)
      manners.pauses = 0.3
    }
    let count = content == nil ? random.number(in: 1...6) : random.number(in: 1...2)
    let asks = (0..<count).map { index in
      let anything = Content.all[random.number(in: 0...Content.all.count - 1)]
      let favourite = favourites[random.number(in: 0...favourites.count - 1)]
      var ask = ask(index == 0 ? content ?? favourite : random.chance(0.2) ? anything : favourite)
      ask.closes = index == count - 1 && random.chance(0.3)
      return ask
    }
    let client = Client(self, clients.count, asks, manners)
    clients.append(client)
    starting += 1
    network.after(.microseconds(microseconds)) { [self] in
      starting -= 1
      client.start()
    }
  }

  private func ask(_ content: Content) -> Ask {
    var ask = Ask(content: content)
    ask.isHead = random.chance(0.1)
    let total = content.bytes.count
    if random.chance(0.4) {
      let first = random.number(in: 0...total + total / 8)
      let edge = random.number(in: 0...total / 65_536) * 65_536 + random.number(in: 0...1)
      switch random.number(in: 0...6) {
      case 0: ask.range = "bytes=\(first)-\(first + random.number(in: 0...total))"
      case 1: ask.range = "bytes=\(first)-"
      case 2: ask.range = "bytes=-\(first)"
      case 3: ask.range = "bytes=0-\(first)"
      case 4: ask.range = "bytes=\(edge)-\(edge + random.number(in: 0...100_000))"
      case 5: ask.range = "bytes=\(max(0, edge - 2))-\(edge)"
      default:
        ask.range = ["bytes=5-3", "bytes=x", "lines=1-2", "bytes=0-0"].randomElement(using: &random)
      }
      if random.chance(0.2) { ask.condition = random.chance(0.5) ? .ifRange : .ifRangeOther }
    } else if random.chance(0.15) {
      ask.condition = random.chance(0.5) ? .noneMatch : .noneMatchOther
    }
    return ask
  }

  // MARK: What must hold at the end

  private func checkRest() {
    for worker in workers {
      if worker.counters.value(.exchangesActive) != 0 { fail("exchanges do not end") }
      if worker.counters.value(.fillsActive) != 0 { fail("fills are not freed") }
      if worker.counters.value(.upstreamConnectionsBusy) != 0 { fail("upstream requests go on") }
    }
    if gateway.fills.count != 0 { fail("\(gateway.fills.count) fills stay in their table") }
    for server in region.servers where server.active != 0 {
      fail("\(server.name) has \(server.active) active requests")
    }
  }

  /// Where all is well upstream nothing may look like trouble.
  private func checkCounters() {
    guard !troubles.hasFaultyNodes else { return }
    let bad: [Counter] = [
      .requestError, .timeoutUpstreamConnect, .timeoutUpstreamFirstByte,
      .timeoutUpstreamBetweenBytes, .timeoutClientSend, .timeoutClientHeader,
      .notStoredForeignAnswer, .notStoredMismatch, .notStoredTruncated, .notStoredNoLength,
    ]
    for worker in workers {
      for counter in bad where worker.counters.value(counter) != 0 {
        fail("\(counter.rawValue) is \(worker.counters.value(counter))")
      }
    }
  }

  private func checkLeaks() {
    if network.openEnds != 0 { fail("\(network.openEnds) ends of connections stay open") }
    for worker in workers {
      let gauges: [Gauge] = [
        .clientConnections, .upstreamConnectionsIdle, .upstreamConnectionsBusy, .exchangesActive,
      ]
      for gauge in gauges where worker.counters.value(gauge) != 0 {
        fail("\(gauge.rawValue) is \(worker.counters.value(gauge))")
      }
    }
  }

  /// All that has been kept is what it says it is.
  private func checkStorage() {
    for content in Content.all {
      guard let key = storageKey(content) else { continue }
      let found = memory.lookUp(key) { Record($0) }
      guard let found else { continue }
      guard let record = found, record.status == 200, record.etag == Array(content.etag.utf8),
        record.totalBytes == content.bytes.count
      else {
        fail("the record of #\(content.number) is not its own")
        continue
      }
      for index in 0..<record.sliceCount {
        let slice = slice(index, of: record, key)
        if slice.isAbsent || !memory.pin(slice.segment) { continue }
        let start = index << Int(record.sliceShift)
        var bytes = [UInt8](
          repeating: 0, count: min(1 << Int(record.sliceShift), record.totalBytes - start))
        let read = bytes.withUnsafeMutableBytes {
          memory.read(slice.segment, at: Int(slice.offset), into: $0)
        }
        memory.unpin(slice.segment)
        let isRight = bytes.withUnsafeBytes { content.matches($0, at: start) }
        if read != .bytes(bytes.count) || !isRight {
          fail("slice \(index) of #\(content.number) is stored wrong")
        }
      }
    }
  }

  private func slice(_ index: Int, of record: Record, _ key: Digest128) -> Slice {
    if !record.isLarge { return record.slices[index] }
    let number = UInt32(index / SliceBlock.slices)
    let found = memory.slices(key, block: number) {
      SliceBlock.slice(index % SliceBlock.slices, stamp: record.stamp, in: $0)
    }
    return found ?? .absent
  }

  private func storageKey(_ content: Content) -> Digest128? {
    let text = Ask(content: content).wire
    var parser = RequestParser()
    var head = RequestHead()
    var path = ByteBuffer(capacity: 256)
    var key = ByteBuffer(capacity: 256)
    guard case .complete = parser.parse(text.rawBytes, into: &head),
      case .content = Router.route(head, text: text.rawBytes, path: &path, key: &key)
    else { return nil }
    return memory.hash(key.readable)
  }
}
