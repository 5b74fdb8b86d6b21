import Base
import EventLoop
import HTTP
import Telemetry
import Testing

@testable import Upstreams

@Suite struct UpstreamBodyTests {
  private func ends(_ world: SimulatedUpstreams) -> Bool {
    world.pool.closeIdle()
    return world.settle() && world.network.openEnds == 0 && world.active == 0
      && world.counters.value(.upstreamConnectionsBusy) == 0
      && world.counters.value(.upstreamConnectionsIdle) == 0
  }

  @Test(arguments: 0..<20) func chunkedAndUntilClose(seed: UInt64) {
    let body = pattern(70_000, Int(seed))
    let world = SimulatedUpstreams(seed: seed)
    world.reply = { _, head in
      head.contains("/chunked")
        ? .chunked(body) { world.network.random.number(in: 1...9000) }
        : .text("HTTP/1.1 200 OK\n\n", body, then: .close)
    }
    let chunked = world.fetch("/chunked")
    #expect(chunked.outcome == .success(true))
    #expect(chunked.body == body)
    #expect(world.pool.idleCount(world.servers[0]) == 1)
    let untilClose = world.fetch("/until-close")
    #expect(untilClose.outcome == .success(false))
    #expect(untilClose.body == body)
    #expect(world.pool.idleCount(world.servers[0]) == 0)
    #expect(ends(world))
  }

  @Test(arguments: 0..<20) func cutOffBodies(seed: UInt64) {
    let body = pattern(5_000)
    let world = SimulatedUpstreams(seed: seed, servers: 2)
    world.reply = { _, head in
      let whole = head.contains("/length") ? Reply.ok(body) : Reply.chunked(body) { 700 }
      return Reply(wire: Array(whole.wire.dropLast(1)), then: .close)
    }
    for target in ["/length", "/chunked"] {
      let asker = world.fetch(target)
      #expect(asker.fault == Fault(.closed, .upstream))
      #expect(asker.status == 200)
      #expect(body.starts(with: asker.body) && asker.body.count >= 4_999)
    }
    #expect(world.requests.count == 2)
    #expect(world.counters.value(.upstreamClosed) == 2)
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func malformedChunk(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed) { _, _ in
      .text("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\nzz\n")
    }
    let asker = world.fetch("/a")
    #expect(asker.body == [UInt8]("abc".utf8))
    #expect(asker.fault == Fault(.malformed, .upstream))
    #expect(ends(world))
  }

  /// A chunk just as long as the room and as the next chunk: what is left looks the same.
  @Test(arguments: 0..<10) func chunksAsLongAsTheRoom(seed: UInt64) {
    let body = pattern(1_500)
    let world = SimulatedUpstreams(seed: seed) { _, _ in .chunked(body) { 15 } }
    let asker = world.ask("/a")
    asker.room = { 15 }
    world.run { asker.isOver }
    #expect(asker.outcome == .success(true))
    #expect(asker.body == body)
    #expect(ends(world))
  }

  @Test func silenceWithinABody() {
    let world = SimulatedUpstreams(seed: 8) { _, _ in
      .text("HTTP/1.1 200 OK\nContent-Length: 9\n\nabc", then: .stall)
    }
    let start = world.network.now
    let asker = world.fetch("/a")
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(asker.body == [UInt8]("abc".utf8))
    #expect(!asker.call.endedInSilence)
    #expect(world.network.now - start >= .seconds(20))
    #expect(world.network.now - start < .seconds(21))
    #expect(world.counters.value(.timeoutUpstreamBetweenBytes) == 1)
    #expect(ends(world))
  }

  /// Each byte begins another wait; a server that gives one now and then is given up all the same.
  @Test(arguments: [false, true]) func aTrickleIsSilence(isChunked: Bool) {
    let body = pattern(2000)
    let world = SimulatedUpstreams(seed: 8) { _, _ in
      var reply = isChunked ? Reply.chunked(body) { 100 } : Reply.ok(body)
      reply.trickle = (bytes: 50, every: .seconds(15))
      return reply
    }
    let start = world.network.now
    let asker = world.fetch("/a")
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(body.starts(with: asker.body) && !asker.body.isEmpty)
    #expect(world.network.now - start < .seconds(80))
    #expect(world.counters.value(.timeoutUpstreamBetweenBytes) == 1)
    #expect(world.servers[0].lastFailure != nil)
    #expect(ends(world))
    // An API's progress may be slow.
    var request = UpstreamRequest(target: [UInt8]("/add".utf8))
    request.isSearch = false
    let progress = Asker(world, request)
    progress.call.start()
    world.run { progress.isOver }
    #expect(progress.outcome == .success(true) && progress.body == body)
    #expect(ends(world))
  }

  /// Slow, but a block after the other; and little that ends before anybody would be worried.
  @Test func whatComesInBlocksGoesOn() {
    let body = pattern(400_000)
    let world = SimulatedUpstreams(seed: 8) { _, head in
      let isSmall = head.contains("/small")
      var reply = Reply.ok(isSmall ? pattern(120) : body)
      reply.trickle = (bytes: isSmall ? 70 : 40_000, every: .seconds(isSmall ? 18 : 19))
      return reply
    }
    #expect(world.fetch("/a").body == body)
    #expect(world.fetch("/small").outcome == .success(true))
    // Who has no room is the one who is slow.
    let slow = world.ask("/small")
    slow.room = { 1 }
    slow.pause = { .seconds(2) }
    world.run { slow.isOver }
    #expect(slow.outcome == .success(true))
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func timeWithoutRoomIsNotTheServers(seed: UInt64) {
    let body = pattern(300_000)
    let world = SimulatedUpstreams(seed: seed) { _, head in
      head.contains("/chunked") ? .chunked(body) { 5_000 } : .ok(body)
    }
    for target in ["/chunked", "/length"] {
      let asker = world.ask(target)
      asker.room = { 50_000 }
      asker.pause = { .seconds(33) }
      world.run { asker.isOver }
      #expect(asker.outcome == .success(true))
      #expect(asker.body == body)
    }
    #expect(ends(world))
  }

  @Test func oneConnectionLeavesTurnsToOthers() {
    let body = pattern(3 << 20)
    let world = SimulatedUpstreams(seed: 1) { _, head in
      head.contains("/chunked") ? .chunked(body) { 10_000 } : .ok(body)
    }
    world.network.weather.window = 8 << 20
    world.network.weather.shortTransfers = 0
    for target in ["/length", "/chunked"] {
      let asker = world.ask(target)
      asker.room = { 100_000 }
      var inTurn: [Int: Int] = [:]
      var seen = 0
      asker.onBody = {
        inTurn[world.loop.turns, default: 0] += asker.body.count - seen
        seen = asker.body.count
      }
      world.run { asker.isOver }
      #expect(asker.body == body)
      let most = inTurn.values.max() ?? 0
      // One piece may begin just below the bound, and one promise falls into the turn of its event.
      #expect(most > 100_000 && most <= 2 * (UpstreamOptions.bytesPerTurn + 100_000))
    }
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func cancelFromWithin(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed) { _, _ in .ok(pattern(40_000)) }
    let atHead = world.ask("/a")
    atHead.onHead = { atHead.cancel() }
    let inBody = world.ask("/b")
    inBody.onBody = { inBody.cancel() }
    let atOnce = world.ask("/c")
    atOnce.cancel()
    let connecting = world.ask("/d")
    _ = world.network.step()
    connecting.cancel()
    world.run { atHead.isOver && inBody.isOver }
    #expect(atHead.status == 200 && atHead.body == [])
    #expect(!inBody.body.isEmpty)
    #expect(ends(world))
    for asker in [atHead, inBody, atOnce, connecting] {
      #expect(asker.isCancelled && asker.outcome == nil && !asker.calledAfterEnd)
    }
  }

  @Test func theNextRequestFromWithinTheEnd() {
    let world = SimulatedUpstreams(seed: 6) { _, _ in .ok(pattern(10)) }
    var last: Asker?
    var left = 20
    func chain() {
      let asker = world.ask("/\(left)")
      last = asker
      asker.onEnd = {
        left -= 1
        if left > 0 { chain() }
      }
    }
    chain()
    world.run { left == 0 }
    #expect(last?.body == pattern(10))
    #expect(world.counters.value(.upstreamConnectionOpened) == 1)
    #expect(ends(world))
  }
}
