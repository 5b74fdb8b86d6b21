import Base
import EventLoop
import TestKit
import Testing

@testable import Server

@Suite struct HTTP2ConnectionTests {
  private func world(_ seed: UInt64 = 1, _ options: ServerOptions = ServerOptions()) throws
    -> ServerWorld
  { try ServerWorld(seed: seed, options: options) }

  // MARK: Answers

  @Test func answersOfAllKindsOnOneConnection() throws {
    for seed in 0..<10 as Range<UInt64> {
      let world = try world(seed)
      var random = SeededRandom(seed: seed)
      world.handler.piece = { random.number(in: 1...30_000) }
      let visitor = try HTTP2Visitor(world)
      let paths = [
        "/now/0", "/now/3", "/now/15000", "/pump/0", "/pump/100000", "/unknown/70000", "/later/9",
        "/none", "/pump/300000",
      ]
      let streams = paths.map { visitor.client.ask($0) }
      world.run { streams.allSatisfy(visitor.client.isComplete) }
      for (path, stream) in zip(paths, streams) {
        let count = Int(path.split(separator: "/").last ?? "") ?? 0
        #expect(visitor.client.answers[stream]?.body == pattern(count), "\(path)")
      }
      #expect(visitor.client.answers[streams[7]]?.status == 204)
      #expect(visitor.client.answers[streams[4]]?["content-length"] == "100000")
      #expect(visitor.client.answers[streams[5]]?["transfer-encoding"] == nil)
      #expect(visitor.client.answers[streams[0]]?["connection"] == nil)
      #expect(world.counters.value(.http2Connection) == 1)
      #expect(world.counters.value(.http2Stream) == paths.count)
      let good = [200, 204, 206].reduce(0) { $0 + world.counters.responses(status: $1) }
      #expect(good == paths.count)
      visitor.close()
      #expect(world.settle())
      #expect(world.worker.connectionCount == 0 && world.network.openEnds == 0)
    }
  }

  @Test func aHeadRequestHasNoBody() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/now/100", method: "HEAD")
    world.run { visitor.client.isComplete(stream) }
    #expect(visitor.client.answers[stream]?["content-length"] == "100")
    #expect(visitor.client.answers[stream]?.body.isEmpty == true)
  }

  @Test func thePrefaceMayComeInPieces() throws {
    let world = try world()
    let visitor = try world.visit()
    let bytes =
      HTTP2Frame.preface + HTTP2Frame.settings
      + HTTP2Frame.headers(1, HTTP2Frame.get("/now/3"))
    for (index, byte) in bytes.enumerated() {
      world.network.after(.milliseconds(index)) { visitor.send([byte]) }
    }
    world.run(for: .seconds(1))
    #expect(world.handler.seen == ["/now/3"])
    #expect(world.counters.value(.refusal400) == 0)
  }

  @Test func whatOnlyBeginsLikeThePrefaceIsRefused() throws {
    let world = try world()
    let visitor = try world.visit("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
    world.run { visitor.isOver }
    #expect(visitor.text.hasPrefix("HTTP/1.1 "))
    #expect(world.counters.value(.http2Connection) == 0)
  }

  @Test func thePrefaceBehindARequestIsRefused() throws {
    let world = try world()
    world.run(for: .milliseconds(5))
    let visitor = try world.visit(
      "GET /now/1 HTTP/1.1\r\nHost: a\r\n\r\nPRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    world.run { visitor.isOver }
    #expect(world.counters.value(.http2Connection) == 0)
    #expect(world.handler.refused.count == 1)
  }

  @Test func aPrefaceThatDoesNotEndHasItsTime() throws {
    let world = try world()
    let visitor = try world.visit("PRI * HTTP/2.0\r\n")
    let start = world.network.now
    world.run { visitor.isOver }
    #expect(world.counters.value(.timeoutClientHeader) == 1)
    #expect((world.network.now - start).seconds <= 13)
  }

  @Test func whatIsTooLargeIsTold() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let fields = (0..<20).map { ("x\($0)", String(repeating: "y", count: 2000)) }
    let large = visitor.client.ask("/now/1", fields: fields)
    let next = visitor.client.ask("/now/1")
    world.run { visitor.client.isComplete(large) && visitor.client.isComplete(next) }
    #expect(visitor.client.answers[large]?.status == 431)
    #expect(visitor.client.answers[next]?.status == 200)
    #expect(world.counters.value(.refusal431) == 1)
  }

  @Test func twoHostsAreRefused() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/now/1", authority: "a", fields: [("host", "b")])
    world.run { visitor.client.isComplete(stream) }
    #expect(visitor.client.answers[stream]?.status == 400)
  }

  // MARK: Slow clients

  @Test func stalledStreamsHoldNobodyUp() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stalled = (0..<50).map { _ in visitor.client.ask("/pump/200000") }
    visitor.client.stalled = Set(stalled)
    let others = (0..<50).map { _ in visitor.client.ask("/pump/100000") }
    world.run { others.allSatisfy(visitor.client.isComplete) }
    for stream in others { #expect(visitor.client.answers[stream]?.body == pattern(100_000)) }
    for stream in stalled { #expect(visitor.client.answers[stream]?.body.count == 65535) }
    // Of what a stream cannot send nothing was taken from its source.
    #expect(world.handler.pumps.prefix(50).allSatisfy { $0.taken.reduce(0, +) == 65535 })
  }

  @Test func aStalledStreamIsResetAfterItsTime() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/pump/200000")
    visitor.client.stalled = [stream]
    world.run(for: .seconds(50))
    #expect(visitor.client.answers[stream]?.closed == nil)
    world.run(for: .seconds(80))
    #expect(visitor.client.answers[stream]?.closed == 8)
    #expect(world.counters.value(.timeoutClientSend) == 1)
    #expect(world.handler.pumps[0].wasAborted)
    #expect(world.worker.connectionCount == 1)
  }

  /// The last frame waits for a window too, though there is no byte in it.
  @Test func aStreamThatLacksOnlyItsEndIsResetAfterItsTime() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/tail/65535")
    visitor.client.stalled = [stream]
    world.run(for: .seconds(5))
    #expect(visitor.client.answers[stream]?.body.count == 65535)
    #expect(world.handler.pumps[0].isOver && !visitor.client.isComplete(stream))
    world.run(for: .seconds(130))
    #expect(visitor.client.answers[stream]?.closed == 8)
    world.run(for: .seconds(130))
    #expect(world.worker.connectionCount == 0)
  }

  @Test func aStreamBehindTheLastOneIsRefused() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world, HTTP2Client(window: 1 << 30, connectionWindow: 1 << 30))
    visitor.reads = false
    visitor.client.ask("/pump/2000000")
    world.run(for: .seconds(2))
    world.worker.drain {}
    // Nothing of that reaches the client, whose requests are taken until its last call is over.
    world.run(for: .seconds(2))
    let late = visitor.client.ask("/now/5")
    visitor.go()
    world.run(for: .seconds(1))
    #expect(!world.handler.seen.contains("/now/5"))
    visitor.reads = true
    visitor.read()
    world.run(for: .seconds(5))
    #expect(visitor.client.answers[late]?.closed == 7)
  }

  @Test func whoReadsNothingIsClosedAfterItsTime() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world, HTTP2Client(window: 1 << 30, connectionWindow: 1 << 30))
    visitor.reads = false
    visitor.client.ask("/pump/2000000")
    world.run(for: .seconds(120))
    #expect(world.worker.connectionCount == 0)
    #expect(world.counters.value(.timeoutClientSend) == 1)
    #expect(world.handler.pumps.first?.wasAborted == true)
  }

  @Test func anIdleConnectionIsToldAndClosed() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/now/1")
    world.run { visitor.client.isComplete(stream) }
    let start = world.network.now
    world.run { visitor.isOver }
    #expect(75...76 ~= (world.network.now - start).seconds)
    #expect(visitor.client.goAways.map(\.code) == [0])
    #expect(world.counters.value(.timeoutClientIdle) == 1)
  }

  @Test func aHeadThatDoesNotEndHasItsTime() throws {
    let world = try world()
    let visitor = try world.visit()
    visitor.send(
      HTTP2Frame.preface + HTTP2Frame.settings
        + HTTP2Frame.make(1, flags: 1, stream: 1, HTTP2Frame.get("/now/1")))
    let start = world.network.now
    world.run { visitor.isOver }
    #expect(10...11 ~= (world.network.now - start).seconds)
    #expect(world.counters.value(.timeoutClientHeader) == 1)
    #expect(visitor.received.suffix(4) == [0, 0, 0, 11])
  }

  // MARK: The end

  @Test func aBodyThatBreaksOffIsReset() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let cut = visitor.client.ask("/cut/100000")
    let short = visitor.client.ask("/pump/1000/2000")
    let whole = visitor.client.ask("/pump/100000")
    world.run { visitor.client.isComplete(whole) && visitor.client.answers[short]?.closed != nil }
    for stream in [cut, short] {
      #expect(visitor.client.answers[stream]?.closed == 2)
      #expect(!visitor.client.isComplete(stream))
    }
    #expect(visitor.client.answers[whole]?.body == pattern(100_000))
    #expect(!visitor.isOver)
  }

  @Test func whoResetsIsNoLongerAnswered() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/pump/200000")
    visitor.client.stalled = [stream]
    world.run { visitor.client.answers[stream]?.body.count == 65535 }
    visitor.client.reset(stream)
    visitor.go()
    world.run { world.handler.pumps[0].wasAborted }
    #expect(world.handler.pumps[0].wasAborted)
  }

  @Test func whoLeavesEndsAllItsStreams() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let streams = (0..<10).map { _ in visitor.client.ask("/pump/200000") }
    visitor.client.stalled = Set(streams)
    world.run { streams.allSatisfy { visitor.client.answers[$0]?.body.count == 65535 } }
    visitor.close()
    world.run { world.worker.connectionCount == 0 }
    #expect(world.handler.pumps.allSatisfy { $0.wasAborted })
    #expect(world.settle())
  }

  @Test func drainingAnswersWhatWasTakenAndThenEnds() throws {
    let world = try world()
    let busy = try HTTP2Visitor(world)
    let idle = try HTTP2Visitor(world)
    let stream = busy.client.ask("/pump/200000")
    busy.client.stalled = [stream]
    world.run { busy.client.answers[stream]?.body.count == 65535 }
    var isDone = false
    world.worker.drain { isDone = true }
    // A request that is on its way when the end is announced is taken.
    let last = busy.client.ask("/now/5")
    busy.go()
    world.run(for: .milliseconds(200))
    #expect(idle.isOver && idle.client.goAways.map(\.code) == [0])
    #expect(busy.client.goAways.first?.last == .max)
    #expect(busy.client.answers[last]?.body == pattern(5))
    world.run(for: .seconds(2))
    #expect(!isDone)
    busy.client.stalled = []
    busy.client.open(stream, 65535)
    busy.go()
    world.run { isDone }
    #expect(isDone && busy.client.isComplete(stream))
    #expect(busy.client.answers[stream]?.body == pattern(200_000))
  }

  @Test func aFloodEndsTheConnectionAndOnlyThat() throws {
    let world = try world()
    let good = try HTTP2Visitor(world)
    let bad = try world.visit()
    bad.send(HTTP2Frame.preface + HTTP2Frame.settings)
    for _ in 0..<300 { bad.send(HTTP2Frame.make(6, [UInt8](repeating: 1, count: 8))) }
    let stream = good.client.ask("/pump/500000")
    world.run { bad.isOver && good.client.isComplete(stream) }
    #expect(bad.isOver && good.client.isComplete(stream))
    #expect(world.counters.value(.http2FloodPing) == 1)
    #expect(world.worker.connectionCount == 1)
  }

  // MARK: Bodies of requests

  @Test func bodiesArePulled() throws {
    for seed in 0..<10 as Range<UInt64> {
      let world = try world(seed)
      var random = SeededRandom(seed: seed)
      world.handler.room = { random.number(in: 1...30_000) }
      let visitor = try HTTP2Visitor(world)
      let body = pattern(600_000)
      let told = visitor.client.ask(
        "/take", method: "POST", fields: [("content-length", "600000")], body: body)
      let untold = visitor.client.ask("/take", method: "POST", body: body)
      let duplex = visitor.client.ask("/duplex", method: "POST", body: body)
      world.run { [told, untold, duplex].allSatisfy(visitor.client.isComplete) }
      #expect(world.handler.taken.count == 3)
      for sink in world.handler.taken { #expect(sink.bytes == body) }
    }
  }

  @Test func aShortBodyThatNobodyTakesMayEnd() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/now/9", method: "POST", body: pattern(200_000))
    let start = world.network.now
    world.run { visitor.client.answers[stream]?.closed != nil }
    #expect(visitor.client.isComplete(stream))
    #expect((world.network.now - start).seconds < 2)
  }

  @Test func aBodyThatNobodyTakesIsCutOffBehindTheAnswer() throws {
    let world = try world()
    let visitor = try HTTP2Visitor(world)
    let stream = visitor.client.ask("/now/9", method: "POST", body: pattern(2_000_000))
    let next = visitor.client.ask("/now/7")
    world.run {
      visitor.client.answers[stream]?.closed != nil && visitor.client.isComplete(next)
    }
    #expect(visitor.client.answers[stream]?.closed == 0)
    #expect(visitor.client.answers[stream]?.body == pattern(9))
    #expect(!visitor.isOver)
  }

  @Test func whoWaitsForA100GetsIt() throws {
    let world = try world()
    let visitor = try world.visit()
    visitor.send(
      HTTP2Frame.preface + HTTP2Frame.settings
        + HTTP2Frame.headers(
          1,
          HTTP2Frame.field(":method", "POST") + HTTP2Frame.field(":scheme", "http")
            + HTTP2Frame.field(":authority", "a") + HTTP2Frame.field(":path", "/take")
            + HTTP2Frame.field("expect", "100-continue"), flags: 4))
    world.run(for: .milliseconds(200))
    // HEADERS of stream 1 without END_STREAM, and in it the static table's entry for ":status" with 100.
    let start = visitor.received.indices.first {
      visitor.received[$0...].dropFirst(3).starts(with: [1, 4, 0, 0, 0, 1])
    }
    #expect(start != nil)
    visitor.send(HTTP2Frame.make(0, flags: 1, stream: 1, pattern(100)))
    world.run(for: .milliseconds(200))
    #expect(world.handler.taken.first?.bytes == pattern(100))
  }

  @Test func aBodyThatDoesNotComeHasItsTime() throws {
    let world = try world()
    let visitor = try world.visit()
    visitor.send(
      HTTP2Frame.preface + HTTP2Frame.settings
        + HTTP2Frame.headers(
          1,
          HTTP2Frame.field(":method", "POST") + HTTP2Frame.field(":scheme", "http")
            + HTTP2Frame.field(":authority", "a") + HTTP2Frame.field(":path", "/take"), flags: 4))
    world.run(for: .seconds(140))
    #expect(world.counters.value(.timeoutClientBody) == 1)
  }
}
