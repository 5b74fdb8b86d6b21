import Base
import EventLoop
import HTTP
import HTTP1
import System
import Telemetry
import Testing

@testable import Upstreams

/// Bodies of requests on their way to a server.
@Suite struct RequestBodyTests {
  /// Both framings, sources that pause and servers that are slow.
  @Test(arguments: 0..<40 as Range<UInt64>)
  func bodiesArriveWhole(seed: UInt64) throws {
    var draw = SeededRandom(seed: seed)
    let world = BodyWorld(seed: seed)
    for number in 0..<4 {
      let bytes = pattern(draw.number(in: 1...400_000), number)
      let framing = draw.chance(0.5) ? BodyFraming.chunked : .length(Int64(bytes.count))
      let source = world.source(bytes, pausing: draw.chance(0.5))
      let asker = world.ask(.post, framing, source)
      world.run { asker.isOver }
      #expect(asker.status == 200 && asker.outcome == .success(true))
      #expect(asker.body == Array("\(bytes.count)".utf8))
      #expect(world.peers.last?.body == bytes)
      #expect(source.largest <= BodySender.pieceBytes)
    }
    #expect(world.counters.value(.upstreamRetry) == 0)
    #expect(world.pool.idleCount(world.server) == 1, "more would wait for nobody")
    #expect(world.settle() && world.server.active == 0)
  }

  /// A body without a byte is a body all the same.
  @Test func anEmptyChunkedBody() throws {
    let world = BodyWorld(seed: 1)
    let asker = world.ask(.put, .chunked, world.source([]))
    world.run { asker.isOver }
    #expect(asker.status == 200 && asker.body == Array("0".utf8))
  }

  /// RFC 9110, 8.6.
  @Test(arguments: [(HTTP.Method.post, true), (.get, false), (.delete, false)])
  func theAbsenceOfABodyIsSaid(method: HTTP.Method, isSaid: Bool) throws {
    let world = BodyWorld(seed: 2)
    let asker = world.ask(method, .none, nil)
    world.run { asker.isOver }
    #expect(asker.status == 200)
    #expect(world.peers.first?.head.contains("Content-Length: 0\r\n") == isSaid)
  }

  /// The source is not asked for more than the server takes.
  @Test func aServerThatTakesNothingHoldsTheSource() throws {
    let world = BodyWorld(seed: 3, [.takeNothing])
    let source = world.source(pattern(10_000_000))
    let asker = world.ask(.post, .chunked, source)
    world.run(for: .seconds(10))
    #expect(!asker.isOver && source.given < 2_000_000)
    world.run { asker.isOver }
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(world.counters.value(.timeoutUpstreamBetweenBytes) == 1)
    #expect(world.network.now < .zero + .seconds(60))
  }

  /// Neither the first byte's deadline nor that of all tries ends an upload.
  @Test func anUploadMayTakeItsTime() throws {
    let world = BodyWorld(seed: 4)
    let source = world.source(pattern(200), piece: 1, every: .seconds(15))
    let asker = world.ask(.post, .length(200), source)
    world.run { asker.isOver }
    #expect(asker.status == 200 && world.network.now > .zero + .seconds(2_900))
    // Which is not the server's.
    let taken = world.counters.value(.upstreamFirstByte)
    #expect(taken.count == 1 && taken.sumNanoseconds < 5_000_000_000)
    #expect(try #require(asker.call).timing.firstByte < .seconds(5))
  }

  /// After its end the server has its usual time.
  @Test func theAnswerHasItsDeadline() throws {
    let world = BodyWorld(seed: 5, [.silent])
    let asker = world.ask(.post, .length(9), world.source(pattern(9)))
    world.run { asker.isOver }
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(world.network.now > .zero + .seconds(39) && world.network.now < .zero + .seconds(45))
  }

  // MARK: Answers before the end

  /// Adding content is answered all the while.
  @Test func bothBodiesAtTheSameTime() throws {
    let world = BodyWorld(seed: 6, [.echo])
    let bytes = pattern(300_000)
    let source = world.source(bytes, piece: 30_000, every: .seconds(25))
    let asker = world.ask(.post, .length(300_000), source)
    world.run { asker.isOver }
    #expect(asker.status == 200 && asker.outcome == .success(true) && asker.body == bytes)
    #expect(world.counters.value(.upstreamFirstByte).count == 0)
  }

  /// Who refuses gets no more of it, and the connection is not used again.
  @Test(arguments: [false, true])
  func aRefusalEndsTheBody(closes: Bool) throws {
    let world = BodyWorld(seed: 7, [.refuse(closes: closes)])
    let source = world.source(pattern(5_000_000))
    let asker = world.ask(.post, .chunked, source)
    world.run { asker.isOver }
    #expect(asker.status == 413 && asker.outcome == .success(true))
    #expect(source.given < 5_000_000)
    #expect(world.pool.idleCount(world.server) == 0)
    #expect(world.settle())
  }

  @Test func theServerIsAskedFirst() throws {
    let world = BodyWorld(seed: 8, [.askedFirst(.milliseconds(300))])
    let source = world.source(pattern(9))
    let asker = world.ask(.put, .length(9), source, expects: true)
    world.run(for: .milliseconds(200))
    #expect(source.given == 0)
    world.run { asker.isOver }
    #expect(asker.status == 200 && asker.body == Array("9".utf8))
    #expect(world.peers[0].head.contains("Expect: 100-continue\r\n"))
  }

  /// One that does not know of it gets the body after a while.
  @Test func noAnswerToThatIsNoRefusal() throws {
    let world = BodyWorld(seed: 9)
    let asker = world.ask(.put, .length(9), world.source(pattern(9)), expects: true)
    world.run { asker.isOver }
    #expect(asker.status == 200)
    #expect(world.network.now >= .zero + .seconds(1) && world.network.now < .zero + .seconds(3))
  }

  @Test func whoIsAskedFirstMayRefuse() throws {
    let world = BodyWorld(seed: 10, [.refuse(closes: false)])
    let source = world.source(pattern(9))
    let asker = world.ask(.put, .length(9), source, expects: true)
    world.run { asker.isOver }
    #expect(asker.status == 413 && source.given == 0)
    #expect(world.pool.idleCount(world.server) == 0)
  }

  /// A client that has nothing to give just then does not hold a server for ever that stops in its answer.
  @Test(arguments: [
    ("HTTP/1.1 401 Who\r\nContent-Length: 500\r\n\r\n", false),
    ("HTTP/1.1 401 Who\r\nContent-Length: 500\r\n\r\nsome", false),
    ("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", true),
    ("HTTP/1.1 1", true),
  ])
  func answersThatStopEnd(text: String, expects: Bool) throws {
    let world = BodyWorld(seed: 13, [.stops(after: text)])
    let source = world.source(pattern(500), piece: 100, every: .seconds(100_000))
    let asker = world.ask(.post, .length(500), source, expects: expects)
    world.run(for: .seconds(100))
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(world.server.active == 0)
  }

  /// The server's word that it wants the body may come at any time; its time to answer is the same.
  @Test(arguments: [3, 8])
  func aLateContinueTakesNoTimeAway(seconds: Int) throws {
    let world = BodyWorld(
      seed: 14, [.answersLate(continues: .seconds(seconds), answers: .seconds(35))])
    let source = world.source(pattern(200), piece: 100, every: .seconds(5))
    let asker = world.ask(.put, .length(200), source, expects: true)
    world.run { asker.isOver }
    #expect(asker.status == 200 && asker.outcome == .success(true))
  }

  // MARK: Failover

  @Test(arguments: [HTTP.Method.get, .put, .delete, .post, .patch])
  func whoCannotBeReachedIsPassedOver(method: HTTP.Method) throws {
    let world = BodyWorld(seed: 11, [.refuseConnections, .read])
    let bytes = pattern(50_000)
    for _ in 0..<3 {
      let asker = world.ask(method, .length(50_000), world.source(bytes))
      world.run { asker.isOver }
      #expect(asker.status == 200 && world.peers.last?.body == bytes)
    }
  }

  /// A server that breaks off before it has asked for the body: only who may be repeated is.
  @Test(arguments: [(HTTP.Method.put, true), (.get, true), (.post, false), (.patch, false)])
  func beforeTheBodyOnlyTheIdempotentGoOn(method: HTTP.Method, goesOn: Bool) throws {
    let world = BodyWorld(seed: 12, [.dieAfter(0), .read])
    let source = world.source(pattern(9))
    let asker = world.ask(method, .length(9), source, expects: true)
    world.run { asker.isOver }
    #expect(world.firstAsked == 0)
    #expect(asker.status == (goesOn ? 200 : nil))
    #expect(goesOn || asker.fault?.kind == .closed && source.given == 0)
  }

  /// What has been read of a body cannot be read again.
  @Test(arguments: [HTTP.Method.put, .post])
  func withinTheBodyNobodyGoesOn(method: HTTP.Method) throws {
    let world = BodyWorld(seed: 13, [.dieAfter(100_000), .dieAfter(100_000)])
    let asker = world.ask(method, .chunked, world.source(pattern(3_000_000)))
    world.run { asker.isOver }
    #expect(asker.fault?.side == .upstream && world.peers.count == 1)
    #expect(world.counters.value(.upstreamRetry) == 0)
    #expect(world.settle() && world.server.active == 0)
  }

  /// A body that breaks is nobody's fault but its client's.
  @Test func aBrokenBodyEndsTheRequest() throws {
    let world = BodyWorld(seed: 14)
    let source = world.source(pattern(100), breaksAfter: 50)
    let asker = world.ask(.post, .length(100), source)
    world.run { asker.isOver }
    #expect(asker.fault == Fault(.malformed, .client))
    #expect(world.server.errors == 0 && world.settle() && world.server.active == 0)
    #expect(world.peers[0].wasCut)
  }

  /// Wherever its consumer gives up, nothing is left.
  @Test(arguments: 0..<30 as Range<UInt64>)
  func cancelledAnywhere(seed: UInt64) throws {
    var draw = SeededRandom(seed: seed)
    let world = BodyWorld(seed: seed, [.echo, .read, .askedFirst(.milliseconds(5))])
    for _ in 0..<6 {
      let source = world.source(pattern(200_000), pausing: draw.chance(0.5))
      let asker = world.ask(.put, .chunked, source, expects: draw.chance(0.5))
      world.network.after(.milliseconds(draw.number(in: 0...60))) {
        if !asker.isOver { asker.cancel() }
      }
    }
    #expect(world.settle())
    #expect(world.servers.allSatisfy { $0.active == 0 })
  }
}

// MARK: - The other ends

/// A source of bytes that a test has, with pauses.
final class TestBody: UpstreamBody {
  private unowned let world: BodyWorld
  private var rest: ArraySlice<UInt8>
  private let piece: Int
  private let pause: Interval?
  private let breaksAfter: Int
  private var isPausing = false
  var call: UpstreamCall?
  private(set) var given = 0
  private(set) var largest = 0

  init(_ world: BodyWorld, _ bytes: [UInt8], piece: Int, pause: Interval?, breaksAfter: Int) {
    self.world = world
    (rest, self.piece, self.pause) = (bytes[...], piece, pause)
    self.breaksAfter = breaksAfter
  }

  override func pull(into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    if isPausing { return .pause }
    if given >= breaksAfter { return .broken(Fault(.malformed, .client)) }
    if rest.isEmpty { return .end }
    let bytes = Array(rest.prefix(min(piece, room.count, breaksAfter - given)))
    room.copyBytes(from: bytes)
    rest = rest.dropFirst(bytes.count)
    given += bytes.count
    largest = max(largest, bytes.count)
    if let pause {
      isPausing = true
      world.network.after(pause) { [self] in
        isPausing = false
        call?.bodyReadable()
      }
    }
    return .bytes(bytes.count)
  }
}

/// What a server does with requests and their bodies.
enum BodyScript {
  /// Reads all of it, and tells how much that was.
  case read
  case echo
  case silent
  case takeNothing
  case refuseConnections
  /// Says 100 after a while.
  case askedFirst(Interval)
  case refuse(closes: Bool)
  case dieAfter(Int)
  /// Says this at once, and nothing more.
  case stops(after: String)
  /// Says 100 so long after the request's head, whether it was asked or not, and answers at once after so long.
  case answersLate(continues: Interval, answers: Interval)
}

final class BodyWorld: EventHandler {
  let network: SimulatedNetwork
  let loop: Loop
  let serverLoop: Loop
  let servers: [UpstreamServer]
  let scripts: [BodyScript]
  let counters = CounterPage()
  let pool: UpstreamPool
  fileprivate(set) var peers: [BodyPeer] = []
  /// The number of the first server that got a request.
  var firstAsked: Int? { peers.first?.number }
  private var doors: [BodyDoor] = []
  private var bodies: [TestBody] = []

  var server: UpstreamServer { servers[0] }

  init(seed: UInt64, _ scripts: [BodyScript] = [.read]) {
    network = SimulatedNetwork(seed: seed)
    loop = Loop(in: network)
    serverLoop = Loop(in: network)
    self.scripts = scripts
    servers = scripts.indices.map { index in
      UpstreamServer(
        address: SocketAddress(host: "192.0.2.9", port: UInt16(9000 + index)) ?? .none,
        name: "peer\(index)")
    }
    pool = UpstreamPool(
      loop: loop, map: UpstreamMap(UpstreamRegion(name: "apart", servers: servers)),
      options: UpstreamOptions(), counters: counters)
    super.init()
    for (index, script) in scripts.enumerated() {
      if case .refuseConnections = script { continue }
      doors.append(BodyDoor(self, index))
    }
  }

  func source(
    _ bytes: [UInt8], piece: Int = .max, every pause: Interval? = nil, pausing: Bool = false,
    breaksAfter: Int = .max
  ) -> TestBody {
    TestBody(
      self, bytes, piece: pausing ? 7_000 : piece,
      pause: pausing ? .milliseconds(3) : pause, breaksAfter: breaksAfter)
  }

  func ask(
    _ method: HTTP.Method, _ framing: BodyFraming, _ body: TestBody?, expects: Bool = false
  ) -> BodyAsker {
    var request = UpstreamRequest(method: method, target: Array("/add?a=b".utf8))
    request.body = framing
    request.expectsContinue = expects
    let asker = BodyAsker()
    let call = UpstreamCall(pool, request, asker, body: body)
    asker.call = call
    body?.call = call
    call.start()
    return asker
  }

  func run(until condition: () -> Bool) {
    for _ in 0..<500_000 where !condition() { if !network.step() { return } }
  }

  func run(for interval: Interval) {
    var isOver = false
    network.after(interval) { isOver = true }
    run { isOver }
  }

  func settle() -> Bool {
    for _ in 0..<500_000 where !network.step() { return true }
    return false
  }
}

private final class BodyDoor: EventHandler {
  private unowned let world: BodyWorld
  private let number: Int
  private var socket: Int32 = -1

  init(_ world: BodyWorld, _ number: Int) {
    self.world = world
    self.number = number
    super.init()
    let opened = try? world.serverLoop.listen(on: world.servers[number].address, self)
    socket = opened?.socket ?? -1
  }

  override func ready(_ readiness: Readiness) {
    while case .success((let connection, _)) = world.serverLoop.accept(socket) {
      let peer = BodyPeer(world, number, connection)
      world.peers.append(peer)
      peer.handle = (try? world.serverLoop.watch(connection, peer)) ?? .none
    }
  }
}

/// A server's end of one connection.
final class BodyPeer: EventHandler {
  private unowned let world: BodyWorld
  let number: Int
  private let socket: Int32
  var handle = Handle.none
  private var input = ByteBuffer(capacity: 4096)
  private var output: [UInt8] = []
  private(set) var head = ""
  private(set) var body: [UInt8] = []
  private var reader: BodyReader?
  /// Whether the connection ended within a body.
  private(set) var wasCut = false
  private var isClosed = false
  private var hasAnswered = false
  private var isAsking = false

  init(_ world: BodyWorld, _ number: Int, _ socket: Int32) {
    self.world = world
    self.number = number
    self.socket = socket
  }

  private var script: BodyScript { world.scripts[number] }

  override func ready(_ readiness: Readiness) {
    send()
    receive()
  }

  private func receive() {
    while !isClosed {
      if case .takeNothing = script, reader != nil { return }
      if isAsking { return }
      var result = IOResult.wouldBlock
      _ = input.fill(atLeast: 4096) { room in
        result = world.serverLoop.receive(socket, into: room)
        if case .bytes(let count) = result { return count }
        return 0
      }
      switch result {
      case .bytes: take()
      case .wouldBlock: return
      case .end, .broken:
        wasCut = reader.map { !$0.isComplete } ?? false
        close()
      }
    }
  }

  private func take() {
    if reader == nil {
      let text = input.readable.text
      guard let end = text.firstRange(of: "\r\n\r\n") else { return }
      head = String(text[..<end.upperBound])
      input.consume(head.utf8.count)
      var parser = RequestParser()
      var parsed = RequestHead()
      guard case .complete = parser.parse(Array(head.utf8).rawBytes, into: &parsed) else {
        close()
        return
      }
      (body, hasAnswered) = ([], false)
      reader = BodyReader(.ofRequest(parsed))
      begin()
    }
    readBody()
  }

  private func begin() {
    switch script {
    case .askedFirst(let wait) where head.contains("Expect:"):
      isAsking = true
      world.network.after(wait) { [self] in
        isAsking = false
        say("HTTP/1.1 100 Continue\r\n\r\n")
        receive()
      }
    case .echo: say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    case .refuse(let closes):
      hasAnswered = true
      say("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nmuch")
      if closes { close() }
    case .dieAfter(0): close()
    case .stops(let text): say(text)
    case .answersLate(let first, let second):
      world.network.after(first) { [self] in say("HTTP/1.1 100 Continue\r\n\r\n") }
      world.network.after(second) { [self] in
        say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1")
      }
    default: return
    }
  }

  private func readBody() {
    while !isClosed, !isAsking, !hasAnswered, reader != nil {
      switch input.withReadable({ reader?.read($0) ?? .needMore(consumed: 0) }) {
      case .needMore(let consumed):
        input.consume(consumed)
        return
      case .data(let skip, let count):
        input.consume(skip)
        let bytes = Array(input.readable.bytes(ByteRange(start: 0, count: count)).array)
        input.consume(count)
        body += bytes
        if case .echo = script {
          output += Array("\(String(count, radix: 16))\r\n".utf8) + bytes + [13, 10]
          send()
        }
        if case .dieAfter(let most) = script, body.count >= most { close() }
      case .end(let consumed):
        input.consume(consumed)
        answer()
      case .malformed:
        close()
      }
    }
  }

  private func answer() {
    hasAnswered = true
    switch script {
    case .silent, .stops, .answersLate: return
    case .echo: say("0\r\n\r\n")
    default:
      let text = "\(body.count)"
      say("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\n\r\n\(text)")
    }
    // The next request on the connection.
    reader = nil
    if !input.isEmpty { take() }
  }

  private func say(_ text: String) {
    output += Array(text.utf8)
    send()
  }

  private func send() {
    while !isClosed, !output.isEmpty {
      guard case .bytes(let count) = world.serverLoop.send(socket, output.rawBytes) else { return }
      output.removeFirst(count)
    }
  }

  private func close() {
    if isClosed { return }
    isClosed = true
    world.serverLoop.close(socket, handle)
  }
}

final class BodyAsker: UpstreamConsumer {
  var call: UpstreamCall?
  var status: Int?
  var body: [UInt8] = []
  var outcome: Result<Bool, Fault>?
  private var isCancelled = false

  var isOver: Bool { outcome != nil || isCancelled }
  var fault: Fault? {
    if case .failure(let fault) = outcome { return fault }
    return nil
  }

  func cancel() {
    isCancelled = true
    call?.cancel()
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    status = head.status
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    var piece = [UInt8](repeating: 0, count: 8192)
    let count = piece.withUnsafeMutableBytes { read($0) }
    body += piece[..<count]
    return true
  }

  override func finished(lengthKnown: Bool) { outcome = .success(lengthKnown) }
  override func failed(_ fault: Fault) { outcome = .failure(fault) }
}
