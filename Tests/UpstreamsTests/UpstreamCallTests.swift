import Base
import EventLoop
import HTTP
import Telemetry
import Testing

@testable import Upstreams

@Suite struct UpstreamCallTests {
  private func ends(_ world: SimulatedUpstreams) -> Bool {
    world.pool.closeIdle()
    return world.settle() && world.network.openEnds == 0 && world.active == 0
      && world.counters.value(.upstreamConnectionsBusy) == 0
      && world.counters.value(.upstreamConnectionsIdle) == 0
  }

  @Test func requestAsWritten() {
    let world = SimulatedUpstreams(seed: 1)
    _ = world.fetch("/ipfs/a?format=car")
    #expect(
      world.requests.first?.head
        == "GET /ipfs/a?format=car HTTP/1.1\r\nHost: 192.0.2.1:8000\r\nUser-Agent: sluice\r\n\r\n")
    var request = UpstreamRequest(method: .head, target: [UInt8]("/x".utf8))
    request.host = [UInt8]("gateway.example".utf8)
    request.accept = [UInt8]("application/vnd.ipld.raw".utf8)
    request.firstByte = 5
    request.lastByte = 9
    request.fields = [("X-Forwarded-For", [UInt8]("192.0.2.7\r\nEvil: 1".utf8))]
    let asker = Asker(world, request)
    asker.call.start()
    world.run { asker.isOver }
    #expect(
      world.requests.last?.head
        == "HEAD /x HTTP/1.1\r\nHost: gateway.example\r\nUser-Agent: sluice\r\n"
        + "Accept: application/vnd.ipld.raw\r\nRange: bytes=5-9\r\n"
        + "X-Forwarded-For: 192.0.2.7  Evil: 1\r\n\r\n")
    #expect(ends(world))
  }

  /// Which may be somebody else's.
  @Test func theLastResortIsToldOfNoTraceAndNoClient() {
    let world = SimulatedUpstreams(seed: 2, regions: [1, 1], hasLastResort: true) { server, _ in
      server == 0 ? .text("HTTP/1.1 503 No\nContent-Length: 0\n\n") : .ok([])
    }
    var request = UpstreamRequest(target: [UInt8]("/x".utf8))
    request.fields = [
      ("traceparent", [UInt8]("00-1-2-01".utf8)), ("X-Forwarded-Host", [UInt8]("a.test".utf8)),
      ("tracestate", [UInt8]("a=1".utf8)), ("X-Forwarded-For", [UInt8]("192.0.2.9".utf8)),
      ("If-None-Match", [UInt8]("\"a\"".utf8)),
    ]
    let asker = Asker(world, request)
    asker.call.start()
    world.run { asker.isOver }
    #expect(asker.status == 200 && world.requests.map(\.server) == [0, 1])
    let heads = world.requests.map(\.head)
    #expect(heads[0].contains("traceparent: 00-1-2-01\r\n") && heads[0].contains("tracestate: a=1"))
    #expect(heads[0].contains("X-Forwarded-Host: a.test\r\n"))
    #expect(heads[0].contains("X-Forwarded-For: 192.0.2.9\r\n"))
    #expect(!heads[1].contains("trace") && !heads[1].contains("X-Forwarded"))
    #expect(heads[1].contains("If-None-Match: \"a\"\r\n"))
    #expect(ends(world))
  }

  /// A stranger has no host of ours: it is asked by path and under its own name, or not at all.
  @Test func theLastResortIsAskedUnderItsOwnName() {
    var status = 200
    let world = SimulatedUpstreams(seed: 2, regions: [1, 1], hasLastResort: true) { server, _ in
      server == 0
        ? .text("HTTP/1.1 503 No\nContent-Length: 0\n\n")
        : .text("HTTP/1.1 \(status) X\nContent-Length: 0\nLocation: /ipfs/cid/a/\n\n")
    }
    func ask(_ strangerTarget: String?) -> Asker {
      var request = UpstreamRequest(
        target: [UInt8]("/a".utf8), host: [UInt8]("cid.ipfs.gw.example".utf8))
      request.strangerTarget = strangerTarget.map { [UInt8]($0.utf8) }
      let asker = Asker(world, request)
      asker.call.start()
      world.run { asker.isOver }
      return asker
    }
    #expect(ask("/ipfs/cid/a").status == 200)
    #expect(world.requests[0].head.hasPrefix("GET /a HTTP/1.1\r\nHost: cid.ipfs.gw.example\r\n"))
    #expect(
      world.requests[1].head.hasPrefix("GET /ipfs/cid/a HTTP/1.1\r\nHost: 192.0.2.1:8001\r\n"))
    // Where it leads is not where the client is.
    status = 301
    #expect(ask("/ipfs/cid/a").fault == Fault(.unavailable, .upstream))
    #expect(world.requests.map(\.server) == [0, 1, 0, 1])
    #expect(ask(nil).status == 503 && world.requests.count == 5)
    #expect(ends(world))
  }

  @Test func whatCannotBeSentFailsAtOnce() {
    let world = SimulatedUpstreams(seed: 1, servers: 2)
    let asker = world.ask("/a b")
    #expect(asker.outcome == nil)
    world.run { asker.isOver }
    #expect(asker.fault == Fault(.malformed, .own))
    #expect(world.counters.value(.upstreamConnectionOpened) == 0)
    let nowhere = SimulatedUpstreams(seed: 1, servers: 0)
    #expect(nowhere.fetch("/a").fault == Fault(.unavailable, .upstream))
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func connectionsAreKept(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed) { _, _ in .ok(pattern(20_000)) }
    for _ in 0..<5 {
      let asker = world.fetch("/a")
      #expect(asker.outcome == .success(true))
      #expect(asker.body == pattern(20_000))
    }
    #expect(world.counters.value(.upstreamConnectionOpened) == 1)
    #expect(world.counters.value(.upstreamRequest) == 5)
    #expect(world.pool.idleCount(world.servers[0]) == 1)
    #expect(world.region.servers[0].requests == 5)
    #expect(ends(world))
  }

  @Test func idleConnectionsEnd() {
    let world = SimulatedUpstreams(seed: 3, options: UpstreamOptions(idlePerServer: 2))
    let askers = (0..<4).map { world.ask("/\($0)") }
    world.run { askers.allSatisfy(\.isOver) }
    #expect(world.pool.idleCount(world.servers[0]) == 2)
    // By their timeout, without anybody's help.
    #expect(world.settle())
    #expect(world.pool.idleCount(world.servers[0]) == 0)
    #expect(world.network.openEnds == 0)
  }

  @Test func idleConnectionEndedByServer() {
    let world = SimulatedUpstreams(seed: 3) { _, _ in
      Reply(wire: Reply.ok([]).wire, closesAfter: .seconds(1))
    }
    _ = world.fetch("/a")
    #expect(world.pool.idleCount(world.servers[0]) == 1)
    let start = world.network.now
    #expect(world.settle())
    #expect(world.pool.idleCount(world.servers[0]) == 0 && world.network.openEnds == 0)
    #expect(world.network.now - start >= .seconds(1))
  }

  @Test(arguments: 0..<20) func deadKeptConnectionIsReplaced(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed, servers: 2, refusing: [1]) { _, _ in
      Reply(wire: Reply.ok(pattern(99)).wire, closesAfter: .microseconds(1500))
    }
    _ = world.region.servers[1].failed(at: world.network.now, UpstreamOptions())
    _ = world.fetch("/a")
    let wait = Interval.microseconds(Int(seed) * 200)
    var second: Asker?
    world.network.after(wait) { second = world.ask("/b") }
    world.run { second?.isOver ?? false }
    #expect(second?.outcome == .success(true))
    #expect(second?.body == pattern(99))
    #expect(world.requests.allSatisfy { $0.server == 0 })
    #expect(world.region.servers[0].errors == 0)
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func refusedConnectGoesToTheNextServer(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed, servers: 2, refusing: [0])
    let asker = world.fetch("/a")
    #expect(asker.outcome == .success(true))
    #expect(asker.call.server === world.region.servers[1])
    #expect(world.region.servers[0].lastFailure != nil)
    #expect(world.region.servers[0].errors == 1)
    #expect(world.counters.value(.upstreamRetry) == 1)
    #expect(world.counters.value(.upstreamConnect) == 1)
    // It ranks last now, though it has the fewest requests.
    for _ in 0..<3 { _ = world.fetch("/b") }
    #expect(world.region.servers[0].requests == 1)
    #expect(ends(world))
  }

  @Test func nobodyLeft() {
    let world = SimulatedUpstreams(seed: 5, servers: 3, refusing: [0, 1, 2])
    let asker = world.fetch("/a")
    #expect(asker.fault?.kind == .connect)
    #expect(asker.fault?.errno == 111)
    #expect(world.counters.value(.upstreamRequest) == 3)
    #expect(ends(world))
  }

  @Test(arguments: [Reply.Then.reset, .close], 0..<10 as Range<UInt64>)
  func brokenBeforeTheFirstByte(then: Reply.Then, seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed, servers: 2) { server, _ in
      server == 0 ? Reply(then: then) : .ok(pattern(5))
    }
    let asker = world.fetch("/a")
    #expect(asker.outcome == .success(true))
    #expect(world.requests.map(\.server) == [0, 1])
    #expect(world.region.servers[0].lastFailure != nil)
    world.reply = { _, _ in Reply(then: then) }
    let second = world.fetch("/b")
    #expect(second.fault?.kind == .closed || second.fault?.kind == .reset)
    #expect(ends(world))
  }

  @Test func silenceBeforeTheFirstByte() {
    let world = SimulatedUpstreams(seed: 2, servers: 2) { server, _ in
      server == 0 ? Reply(then: .stall) : .ok([])
    }
    let start = world.network.now
    #expect(world.fetch("/a").outcome == .success(true))
    #expect(world.network.now - start >= .seconds(40))
    #expect(world.network.now - start < .seconds(41))
    #expect(world.counters.value(.timeoutUpstreamFirstByte) == 1)
    // It answered nobody meanwhile.
    #expect(world.region.servers[0].lastFailure != nil)
    #expect(ends(world))
    let single = SimulatedUpstreams(seed: 2) { _, _ in Reply(then: .stall) }
    let silent = single.fetch("/a")
    #expect(silent.fault == Fault(.timeout, .upstream))
    #expect(silent.call.endedInSilence)
    #expect(ends(single))
  }

  @Test func slowConnect() {
    let world = SimulatedUpstreams(seed: 2)
    world.network.weather.delay = 11_000_000...12_000_000
    let asker = world.fetch("/a")
    #expect(asker.fault == Fault(.timeout, .upstream))
    #expect(!asker.call.endedInSilence)
    #expect(world.counters.value(.timeoutUpstreamConnect) == 1)
    #expect(world.region.servers[0].lastFailure != nil)
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func interimHeads(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed) { _, head in
      head.contains("/early")
        ? .text("HTTP/1.1 103 Early Hints\nLink: </a>\n\nHTTP/1.1 404 No\nContent-Length: 2\n\nhi")
        : head.contains("/other")
          ? .text("HTTP/1.1 101 Switching Protocols\nUpgrade: x\n\n")
          : .text(String(repeating: "HTTP/1.1 100 Continue\n\n", count: 9))
    }
    let asker = world.fetch("/early")
    #expect(asker.status == 404)
    #expect(asker.body == [UInt8]("hi".utf8))
    for target in ["/other", "/endless"] {
      let refused = world.fetch(target)
      #expect(refused.fault == Fault(.malformed, .upstream))
      #expect(refused.status == nil)
    }
    // Of three requests one had an answer.
    #expect(world.counters.value(.upstreamFirstByte).count == 1)
    #expect(ends(world))
  }

  @Test func answersWithoutBody() {
    let world = SimulatedUpstreams(seed: 4) { _, head in
      head.hasPrefix("HEAD")
        ? .text("HTTP/1.1 200 OK\nContent-Length: 1000\n\n")
        : .text("HTTP/1.1 304 Not Modified\nContent-Length: 7\n\n")
    }
    #expect(world.fetch("/a", method: .head).outcome == .success(true))
    #expect(world.fetch("/a").outcome == .success(true))
    #expect(world.counters.value(.upstreamConnectionOpened) == 1)
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func bytesBeyondTheAnswerEndTheConnection(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed) { _, _ in
      Reply(wire: Reply.ok(pattern(50)).wire + Reply.ok([1, 2, 3]).wire)
    }
    for _ in 0..<3 { #expect(world.fetch("/a").body == pattern(50)) }
    // Whatever was unasked for has been seen by now.
    #expect(world.settle())
    #expect(world.network.openEnds == 0)
  }

  @Test(arguments: 0..<10) func malformedHeadIsNotTriedAgain(seed: UInt64) {
    let world = SimulatedUpstreams(seed: seed, servers: 2) { _, _ in .text("SSH-2.0-x\n\n") }
    #expect(world.fetch("/a").fault == Fault(.malformed, .upstream))
    #expect(world.requests.count == 1)
    #expect(world.counters.value(.upstreamMalformed) == 1)
    #expect(ends(world))
  }
}
