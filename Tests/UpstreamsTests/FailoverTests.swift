import Base
import HTTP
import Telemetry
import Testing

@testable import Upstreams

/// Where a request goes when the first server cannot answer it.
@Suite struct FailoverTests {
  private static func status(_ status: Int, _ fields: String = "", delay: Interval? = nil) -> Reply
  {
    var reply = Reply.text("HTTP/1.1 \(status) X\nContent-Length: 2\n\(fields)\n", [104, 105])
    reply.delay = delay
    return reply
  }

  private func ends(_ world: SimulatedUpstreams) -> Bool {
    world.pool.closeIdle()
    return world.settle() && world.network.openEnds == 0 && world.active == 0
  }

  @Test(arguments: [502, 503, 504]) func troubleGoesToTheNextServer(status: Int) {
    let world = SimulatedUpstreams(seed: 1, servers: 2) { server, _ in
      server == 0 ? Self.status(status) : .ok([1, 2, 3])
    }
    let asker = world.fetch("/a")
    #expect(asker.status == 200 && asker.body == [1, 2, 3])
    #expect(world.requests.map(\.server) == [0, 1])
    #expect(world.servers[0].lastFailure != nil && world.servers[0].errors == 1)
    #expect(world.counters.value(.upstreamRetry) == 1)
    // A second time within the window takes it down.
    world.reply = { _, _ in Self.status(status) }
    let second = world.fetch("/b")
    // With nobody left the last one's answer is the answer.
    #expect(second.status == status && second.body == [104, 105])
    #expect(world.requests.map(\.server) == [0, 1, 1, 0])
    #expect(world.servers[0].isDown(at: world.network.now))
    #expect(ends(world))
  }

  @Test func whatIsNoTroubleIsTheAnswer() {
    let world = SimulatedUpstreams(seed: 1, servers: 2)
    for status in [404, 410, 429, 500, 501] {
      world.reply = { _, _ in Self.status(status) }
      #expect(world.fetch("/a").status == status)
    }
    #expect(world.counters.value(.upstreamRetry) == 0)
    // Nor is what cannot be asked twice.
    world.reply = { _, _ in Self.status(503) }
    #expect(world.fetch("/a", method: .post).status == 503)
    #expect(ends(world))
  }

  @Test func whoHasNoRoomIsLeftAlone() {
    let world = SimulatedUpstreams(seed: 1, servers: 2) { server, _ in
      server == 0 ? Self.status(429, "Retry-After: 20\n") : .ok([])
    }
    #expect(world.fetch("/a").status == 200)
    for _ in 0..<4 { #expect(world.fetch("/a").status == 200) }
    #expect(world.requests.map(\.server) == [0, 1, 1, 1, 1, 1])
    // It is not down, and it is asked again when it said.
    #expect(!world.servers[0].isDown(at: world.network.now))
    var isLater = false
    world.network.after(.seconds(21)) { isLater = true }
    world.run { isLater }
    world.reply = { _, _ in .ok([]) }
    for _ in 0..<2 { #expect(world.fetch("/b").status == 200) }
    #expect(world.requests.suffix(2).map(\.server).sorted() == [0, 1])
    #expect(ends(world))
  }

  @Test func contentThatNobodyHasIsTriedInOneOtherRegion() {
    let world = SimulatedUpstreams(seed: 1, regions: [2, 2, 2]) { _, _ in
      Self.status(504, delay: .seconds(6))
    }
    let asker = world.fetch("/a")
    #expect(asker.status == 504 && asker.call.endedInSilence)
    #expect(world.requests.map { $0.server / 2 } == [0, 1])
    #expect(world.counters.value(.upstreamMiss) == 2)
    #expect(world.counters.value(.upstreamElsewhere) == 1)
    // The servers are as good as before.
    #expect(world.servers.allSatisfy { $0.lastFailure == nil })
    // Somebody else may have it.
    world.reply = { server, _ in
      server < 2 ? Self.status(504, delay: .seconds(6)) : .ok([7])
    }
    #expect(world.fetch("/b").body == [7])
    #expect(ends(world))
    // In one region alone it is the answer.
    let single = SimulatedUpstreams(seed: 1, servers: 3) { _, _ in
      Self.status(504, delay: .seconds(6))
    }
    #expect(single.fetch("/a").status == 504)
    #expect(single.requests.count == 1)
  }

  @Test func silenceOfAServerThatAnswersOthersIsTheContents() {
    let world = SimulatedUpstreams(seed: 3, regions: [1, 1]) { server, head in
      head.contains("/dead") ? Reply(then: .stall) : .ok([])
    }
    let dead = world.ask("/dead")
    for second in stride(from: 5, to: 100, by: 5) {
      world.network.after(.seconds(second)) {
        _ = world.ask("/live")
        _ = world.ask("/live", region: 1)
      }
    }
    world.run { dead.isOver }
    #expect(dead.fault == Fault(.timeout, .upstream) && dead.call.endedInSilence)
    #expect(world.counters.value(.upstreamMiss) == 2)
    #expect(world.servers.allSatisfy { $0.lastFailure == nil })
    #expect(ends(world))
    // Its neighbours are not asked: they look in the same place.
    let other = SimulatedUpstreams(seed: 4, regions: [2, 1]) { server, head in
      head.contains("/dead") ? Reply(then: .stall) : .ok([])
    }
    let lost = other.ask("/dead")
    for second in stride(from: 5, to: 100, by: 5) {
      other.network.after(.seconds(second)) {
        for _ in 0..<2 { _ = other.ask("/live") }
        _ = other.ask("/live", region: 1)
      }
    }
    other.run { lost.isOver }
    #expect(other.requests.filter { $0.head.contains("/dead") }.map { $0.server / 2 } == [0, 1])
  }

  /// All tries together have a limit, whatever each might take.
  @Test func allTriesHaveALimit() {
    let world = SimulatedUpstreams(seed: 3, servers: 4) { _, _ in Reply(then: .stall) }
    let start = world.network.now
    #expect(world.fetch("/a").fault == Fault(.timeout, .upstream))
    let elapsed = world.network.now - start
    #expect(elapsed >= .seconds(90) && elapsed < .seconds(91))
    #expect(world.requests.count == 3)
    // The last one had only what was left of the time, which says nothing of it.
    #expect(world.servers.map { $0.lastFailure != nil }.filter { $0 }.count == 2)
    #expect(world.servers[world.requests[2].server].lastFailure == nil)
    #expect(ends(world))
  }

  @Test(arguments: 0..<10) func regionsInTheirOrderAndTheLastResort(seed: UInt64) {
    // 0 and 1 are at home, 2 and 3 in the two other regions, 4 is the last resort.
    let world = SimulatedUpstreams(
      seed: seed, regions: [2, 1, 1, 1], next: [[2, 1], [], nil], hasLastResort: true,
      refusing: [0, 1, 2, 3])
    func servers(from region: Int) -> [Int] {
      world.pool.map.servers(from: region).compactMap { server in
        world.servers.firstIndex { $0 === server }
      }
    }
    #expect(servers(from: 0) == [0, 1, 3, 2, 4])
    #expect(servers(from: 1) == [2, 4])
    #expect(servers(from: 2) == [3, 0, 1, 2, 4])
    let asker = world.fetch("/a")
    #expect(asker.status == 200 && asker.call.server === world.servers[4])
    #expect(Array(asker.call.tried.dropFirst(2)) == [3, 2, 4].map { world.servers[$0].number })
    #expect(world.counters.value(.upstreamElsewhere) == 3)
    #expect(world.fetch("/b", region: 1).call.tried == [2, 4].map { world.servers[$0].number })
    #expect(ends(world))
  }

  /// A region that is gone costs a few connects, is left alone for a while, and comes back gently.
  @Test func aRegionGoesAndComesBack() {
    let world = SimulatedUpstreams(
      seed: 9, regions: [2, 1], refusing: [0, 1],
      options: UpstreamOptions(failTimeout: .seconds(10), slowStart: .seconds(10)))
    var counts: [Int: [Int]] = [:]
    var failed = 0
    for tick in 0..<600 {
      world.network.after(.milliseconds(tick * 100)) {
        let asker = world.ask("/\(tick)")
        asker.onEnd = {
          if asker.status != 200 { failed += 1 }
          let server = world.servers.firstIndex { $0 === asker.call.server } ?? -1
          counts[tick / 10, default: [0, 0, 0]][server] += 1
        }
      }
    }
    world.network.after(.seconds(25)) {
      world.open(0)
      world.open(1)
    }
    #expect(world.settle())
    #expect(failed == 0)
    // Two failures each, at once; after that only trials, one each ten seconds.
    #expect(world.servers[0].errors + world.servers[1].errors <= 2 * 2 + 2 * 2)
    for second in 0..<25 { #expect(counts[second]?[2] == 10) }
    // Both are back by their next trial, and the other region is left alone then.
    for second in 41..<60 {
      #expect(counts[second]?[2] == 0)
      #expect(abs((counts[second]?[0] ?? 0) - 5) <= 2)
    }
    #expect(ends(world))
  }

  /// One that comes back beside another gets less at first.
  @Test func slowStartAfterRecovery() {
    let world = SimulatedUpstreams(
      seed: 9, servers: 2,
      options: UpstreamOptions(failTimeout: .seconds(5), slowStart: .seconds(20)))
    let options = world.pool.options
    for _ in 0..<2 { _ = world.servers[0].failed(at: world.network.now, options) }
    var counts: [Int: Int] = [:]
    for tick in 0..<4000 {
      world.network.after(.milliseconds(tick * 10)) {
        let asker = world.ask("/\(tick)")
        asker.onEnd = {
          if asker.call.server === world.servers[0] { counts[tick / 500, default: 0] += 1 }
        }
      }
    }
    #expect(world.settle())
    // Of 500 requests in each five seconds.
    #expect(counts[0] ?? 0 == 0)
    #expect((1...150).contains(counts[1] ?? 0))
    #expect((counts[1] ?? 0) < (counts[2] ?? 0) && (counts[2] ?? 0) < (counts[4] ?? 0))
    #expect((230...270).contains(counts[7] ?? 0))
    #expect(ends(world))
  }

  @Test func backupsOnlyInNeed() {
    let world = SimulatedUpstreams(
      seed: 1, servers: 3, traits: [UpstreamServer.Traits(isBackup: true)])
    for _ in 0..<10 { #expect(world.fetch("/a").status == 200) }
    #expect(world.servers[0].requests == 0)
    world.close(1)
    world.close(2)
    world.pool.closeIdle()
    for _ in 0..<5 { #expect(world.fetch("/a").status == 200) }
    #expect(world.servers[0].requests == 5)
    #expect(ends(world))
  }

  /// Servers that all break get no more than a fifth more requests for it, and ten a second.
  @Test func furtherTriesAreBounded() {
    let world = SimulatedUpstreams(
      seed: 1, servers: 2, options: UpstreamOptions(idlePerServer: 0)
    ) { _, _ in Reply(then: .close) }
    for tick in 0..<3000 {
      world.network.after(.milliseconds(tick)) { _ = world.ask("/a") }
    }
    #expect(world.settle())
    let retries = world.counters.value(.upstreamRetry)
    #expect(retries >= 600 && retries <= 600 + 100)
    #expect(world.counters.value(.upstreamBudgetSpent) == 3000 - retries)
    #expect(world.requests.count == 3000 + retries)
    // What could not even be sent costs nothing.
    let refused = SimulatedUpstreams(seed: 1, servers: 3, refusing: [0, 1])
    for _ in 0..<500 { #expect(refused.fetch("/a").status == 200) }
    #expect(ends(world) && ends(refused))
  }
}
