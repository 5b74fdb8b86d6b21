import Base
import EventLoop
import HTTP
import HTTP1
import System
import Telemetry
import Testing

@testable import Server

/// Bodies of requests, pulled by who takes them.
@Suite struct BodyTests {
  static func length(_ path: String, _ body: [UInt8], _ fields: String = "") -> [UInt8] {
    let head = ServerWorld.get(path, "POST", "Content-Length: \(body.count)\r\n\(fields)")
    return Array(head.utf8) + body
  }

  static func chunked(
    _ path: String, _ body: [UInt8], _ fields: String = "", sizes: () -> Int
  ) -> [UInt8] {
    var wire = Array(
      ServerWorld.get(path, "PUT", "Transfer-Encoding: chunked\r\n\(fields)").utf8)
    var rest = body[...]
    while !rest.isEmpty {
      let piece = rest.prefix(max(1, sizes()))
      wire += Array("\(String(piece.count, radix: 16));x=y\r\n".utf8) + piece + [13, 10]
      rest = rest.dropFirst(piece.count)
    }
    return wire + Array("0\r\nA-Trailer: b\r\n\r\n".utf8)
  }

  /// Both framings, bodies of all sizes, in pieces at random, with other requests behind them.
  @Test(arguments: 0..<40 as Range<UInt64>)
  func bodiesArriveWhole(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    var random = SeededRandom(seed: seed)
    world.handler.room = { random.number(in: 1...70_000) }
    var draw = SeededRandom(seed: ~seed)
    var wire: [UInt8] = []
    var sent: [[UInt8]] = []
    for number in 0..<12 {
      let count = draw.chance(0.2) ? draw.number(in: 0...300_000) : draw.number(in: 0...3_000)
      let body = pattern(count)
      if count == 0 || draw.chance(0.3) {
        wire += Array(ServerWorld.get("/now/\(number)").utf8)
      } else if draw.chance(0.5) {
        sent.append(body)
        wire += Self.length("/take/\(number)", body)
      } else {
        sent.append(body)
        wire += Self.chunked("/take/\(number)", body) { draw.number(in: 1...40_000) }
      }
    }
    let visitor = try world.visit()
    var wait = Interval.zero
    while !wire.isEmpty {
      let piece = Array(wire.prefix(draw.number(in: 1...60_000)))
      wire.removeFirst(piece.count)
      wait = wait + .milliseconds(draw.number(in: 0...20))
      world.network.after(wait) { visitor.send(piece) }
    }
    world.run { Received.all(visitor.received).count { $0.isComplete } == 12 }
    world.run(for: .seconds(1))
    #expect(world.handler.taken.map(\.bytes) == sent)
    #expect(world.handler.taken.allSatisfy { $0.hasEnded && $0.fault == nil })
    let answers = Received.all(visitor.received)
    #expect(answers.count == 12 && answers.allSatisfy { $0.fields["connection"] == nil })
    #expect(world.worker.connectionCount == 1, "the connection is kept")
    #expect(world.counters.value(.connectionAccepted) == 1)
  }

  /// A sink without room leaves the bytes with their client.
  @Test func aFullSinkHoldsItsClientBack() throws {
    let world = try ServerWorld(seed: 1)
    let body = pattern(5_000_000)
    var isFull = true
    world.handler.room = { isFull ? 0 : 30_000 }
    let visitor = try world.visit()
    visitor.send(Self.length("/take", body))
    world.run(for: .seconds(200))
    #expect(!visitor.toSend.isEmpty, "what nobody has room for is not read")
    #expect(!visitor.isOver && world.counters.value(.timeoutClientBody) == 0)
    isFull = false
    let sink = try #require(world.handler.taken.first)
    sink.bodyReadable()
    world.run { Received.all(visitor.received).first?.isComplete ?? false }
    #expect(sink.bytes == body && sink.hasEnded)
    #expect(Received.all(visitor.received).first?.status == 200)
  }

  // MARK: 100-continue

  @Test func theClientIsToldToContinueWhereItsBodyIsWanted() throws {
    let world = try ServerWorld(seed: 2)
    let head = ServerWorld.get(
      "/take", "POST", "Content-Length: 5\r\nExpect: 100-continue\r\n")
    let visitor = try world.visit(head)
    world.run { visitor.text.hasSuffix("\r\n\r\n") }
    #expect(visitor.text == "HTTP/1.1 100 Continue\r\n\r\n")
    visitor.send("hello" + ServerWorld.get("/now/3"))
    let word = visitor.received.count
    func answers() -> [Received] { Received.all(Array(visitor.received.dropFirst(word))) }
    world.run { answers().count { $0.isComplete } == 2 }
    #expect(world.handler.taken.first?.bytes == Array("hello".utf8))
    #expect(answers().map(\.status) == [200, 200])
  }

  /// Who sends at once needs no word, and who is refused gets the answer in its place.
  @Test func noWordWhereItIsOfNoUse() throws {
    let world = try ServerWorld(seed: 3)
    let fields = "Content-Length: 5\r\nExpect: 100-continue\r\n"
    let eager = try world.visit(ServerWorld.get("/take", "POST", fields) + "hello")
    world.run { Received.all(eager.received).first?.isComplete ?? false }
    #expect(Received.all(eager.received).map(\.status) == [200])
    let refused = try world.visit(ServerWorld.get("/now/4", "POST", fields))
    world.run { refused.isOver }
    let answers = Received.all(refused.received)
    #expect(answers.map(\.status) == [200] && answers[0].fields["connection"] == "close")
  }

  // MARK: What goes wrong

  /// The answer comes before the body's end: the client is told that the connection ends with it.
  @Test func anEarlyAnswerEndsTheConnection() throws {
    let world = try ServerWorld(seed: 4)
    let head = ServerWorld.get("/early", "POST", "Content-Length: 100000\r\n")
    let visitor = try world.visit(head + String(repeating: "x", count: 5_000))
    world.run { visitor.isOver }
    let answers = Received.all(visitor.received)
    #expect(answers.map(\.status) == [200] && answers[0].fields["connection"] == "close")
    #expect(world.settle() && world.network.openEnds == 0)
  }

  @Test(arguments: ["zz\r\n", "5\r\nhelloX", "5\nhello\r\n", "FFFFFFFFFFFFFFFFF\r\n", "-1\r\n"])
  func malformedChunksReachTheSink(framing: String) throws {
    let world = try ServerWorld(seed: 5)
    let head = ServerWorld.get("/take", "POST", "Transfer-Encoding: chunked\r\n")
    let visitor = try world.visit(head + "3\r\nabc\r\n" + framing + ServerWorld.get("/now/1"))
    world.run { visitor.isOver }
    let sink = try #require(world.handler.taken.first)
    #expect(sink.fault == Fault(.malformed, .client) && !sink.wasAborted)
    #expect(sink.bytes.starts(with: Array("abc".utf8)))
    #expect(world.handler.seen == ["/take"], "nothing behind it is a request")
    #expect(Received.all(visitor.received).map(\.status) == [400])
    #expect(world.settle() && world.network.openEnds == 0)
  }

  @Test func aSilentClientReachesTheSink() throws {
    let world = try ServerWorld(seed: 6)
    let visitor = try world.visit()
    visitor.send(Array(Self.length("/take", pattern(3_000)).dropLast(10)))
    world.run { visitor.isOver }
    let sink = try #require(world.handler.taken.first)
    #expect(
      sink.fault == Fault(.timeout, .client) && sink.bytes == Array(pattern(3_000).dropLast(10)))
    #expect(world.network.now >= .zero + .seconds(60) && world.network.now < .zero + .seconds(70))
    #expect(world.counters.value(.timeoutClientBody) == 1)
    #expect(Received.all(visitor.received).map(\.status) == [408])
  }

  /// Bytes now and then keep it alive.
  @Test func aSlowClientIsNoSilentOne() throws {
    let world = try ServerWorld(seed: 7)
    let visitor = try world.visit()
    var wire = Self.length("/take", pattern(10))
    for step in 0..<10 {
      let piece = Array(step == 9 ? wire : Array(wire.prefix(wire.count - 9 + step)))
      wire.removeFirst(piece.count)
      world.network.after(.seconds(50 * step)) { visitor.send(piece) }
    }
    world.run { Received.all(visitor.received).first?.isComplete ?? false }
    #expect(Received.all(visitor.received).map(\.status) == [200])
  }

  @Test(arguments: [true, false])
  func aClientThatGoesReachesTheSink(isHalf: Bool) throws {
    let world = try ServerWorld(seed: 8)
    let visitor = try world.visit { $0.halfCloses = isHalf }
    visitor.send(Array(Self.length("/take", pattern(3_000)).dropLast(10)))
    world.run { world.handler.taken.first?.bytes.count == 2_990 || visitor.isOver }
    if !isHalf { visitor.close() }
    world.run { world.handler.taken.first?.wasAborted ?? false }
    let sink = try #require(world.handler.taken.first)
    #expect(sink.wasAborted && !sink.hasEnded)
    #expect(world.settle() && world.network.openEnds == 0 && world.worker.connectionCount == 0)
  }

  /// Whatever the weather, nothing is left behind.
  @Test(arguments: 0..<40 as Range<UInt64>)
  func nothingIsLeft(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    var random = SeededRandom(seed: seed)
    world.handler.room = {
      let mayBeFull = world.network.now < .zero + .seconds(50)
      return mayBeFull && random.chance(0.1) ? 0 : random.number(in: 1...70_000)
    }
    var draw = SeededRandom(seed: seed &+ 77)
    for _ in 0..<10 {
      let body = pattern(draw.number(in: 1...100_000))
      let path = ["/take", "/early", "/now/7", "/duplex"].randomElement(using: &draw) ?? ""
      var wire =
        draw.chance(0.5)
        ? Self.length(path, body) : Self.chunked(path, body) { draw.number(in: 1...9_000) }
      if draw.chance(0.3) { wire[draw.number(in: 70...wire.count - 1)] ^= 0x15 }
      if draw.chance(0.3) { wire.removeLast(draw.number(in: 1...wire.count)) }
      let visitor = try world.visit { $0.halfCloses = draw.chance(0.3) }
      visitor.send(wire)
      let leaves = draw.chance(0.3)
      world.network.after(.milliseconds(draw.number(in: 0...2_000))) {
        if leaves { visitor.close() }
      }
    }
    // Room comes again, sooner or later.
    for second in 1...1_000 {
      world.network.after(.milliseconds(100 * second)) {
        for sink in world.handler.taken { sink.bodyReadable() }
      }
    }
    #expect(world.settle())
    #expect(world.network.openEnds == 0 && world.worker.connectionCount == 0)
  }

  // MARK: What is refused before anybody sees it

  /// Heads that two servers could frame in two ways (RFC 9112, section 6.3 and 11.2).
  @Test(arguments: [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\nContent-Length: 6\r\n", "Content-Length: +5\r\n",
    "Content-Length: 5, 6\r\n", "Content-Length: 0x5\r\n",
    "Transfer-Encoding: gzip\r\n", "Transfer-Encoding: chunked, gzip\r\n",
    "Transfer-Encoding : chunked\r\n", "Transfer-Encoding: xchunked\r\n",
    "Content-Length: 99999999999999999999\r\n",
  ])
  func ambiguousFramingIsRefused(fields: String) throws {
    let world = try ServerWorld(seed: 9)
    let visitor = try world.visit(
      ServerWorld.get("/take", "POST", fields) + "0\r\n\r\n" + ServerWorld.get("/now/1"))
    world.run { visitor.isOver }
    #expect(world.handler.seen.isEmpty && world.handler.refused.count == 1)
    #expect(Received.all(visitor.received).allSatisfy { $0.status == 400 || $0.status == 501 })
  }
}
