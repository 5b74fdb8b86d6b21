import Base
import HTTP
import Synchronization
import Telemetry
import Testing

@testable import Upstreams

/// Whose fault it is that a server says nothing: its own, or the content's.
@Suite struct SilenceTests {
  private final class Heard: Sendable {
    let events = Mutex<[UpstreamEvent]>([])
  }

  private func ends(_ world: SimulatedUpstreams) -> Bool {
    world.pool.closeIdle()
    return world.settle() && world.network.openEnds == 0 && world.active == 0
  }

  /// A server that stops within a long body is to blame for it, however long it has answered others before.
  @Test func aServerThatStopsWithinALongBody() {
    var hasStopped = false
    let world = SimulatedUpstreams(seed: 7) { _, head in
      if hasStopped { return Reply(then: .stall) }
      guard head.contains("/long") else { return .ok([]) }
      var reply = Reply.ok(pattern(60_000))
      reply.wire.removeLast(100)
      reply.then = .stall
      // In a minute or so.
      reply.trickle = (bytes: 1024, every: .seconds(1))
      return reply
    }
    let long = world.ask("/long")
    for second in 1..<60 { world.network.after(.seconds(second)) { _ = world.ask("/live") } }
    world.network.after(.seconds(60)) { hasStopped = true }
    world.run { long.isOver }
    #expect(long.body.count == 59_900 && long.fault == Fault(.timeout, .upstream))
    #expect(world.servers[0].lastFailure != nil)
    #expect(ends(world))
    // One that goes on answering others is not.
    let other = SimulatedUpstreams(seed: 7) { _, head in
      head.contains("/long")
        ? .text("HTTP/1.1 200 OK\nContent-Length: 9\n\nabc", then: .stall) : .ok([])
    }
    let part = other.ask("/long")
    for second in 1..<20 { other.network.after(.seconds(second)) { _ = other.ask("/live") } }
    other.run { part.isOver }
    #expect(part.fault == Fault(.timeout, .upstream) && other.servers[0].lastFailure == nil)
    #expect(ends(other))
  }

  /// What a node needs no peers for says nothing of what it finds: one that only lives is to blame for its
  /// silence, and its neighbours are asked.
  @Test func aServerThatOnlyLives() {
    let world = SimulatedUpstreams(seed: 5, servers: 3) { server, head in
      server == 0 && !head.contains("bafkqaaa") ? Reply(then: .stall) : .ok([])
    }
    let heard = Heard()
    world.map.onEvent { event in heard.events.withLock { $0.append(event) } }
    let prober = UpstreamProber(
      loop: world.loop, map: world.map,
      probe: UpstreamProbe(
        target: Array("/ipfs/bafkqaaa?format=raw".utf8), interval: .seconds(2),
        timeout: .seconds(2), rise: 2, fall: 3),
      options: world.pool.options)
    prober.start()
    var askers = (0..<6).map { world.ask("/\($0)") }
    for second in 1..<60 {
      world.network.after(.seconds(second)) { askers.append(world.ask("/live")) }
    }
    world.run { askers.count == 65 && askers.allSatisfy(\.isOver) }
    #expect(askers.allSatisfy { $0.status == 200 })
    #expect(world.counters.value(.upstreamMiss) == 0)
    #expect(heard.events.withLock { $0 }.first == .down(server: "node0", .failures))
    prober.close()
    #expect(ends(world))
  }

  private static func slowly(_ status: Int) -> Reply {
    var reply = Reply.text("HTTP/1.1 \(status) X\nContent-Length: 0\n\n")
    reply.delay = .seconds(6)
    return reply
  }

  /// One that has sent wrong bytes a moment ago may find nothing for dead content all the same.
  @Test func aSuspectThatAnswersOthersLooksInVain() {
    let world = SimulatedUpstreams(seed: 5) { _, head in
      head.contains("/dead") ? Self.slowly(504) : .ok([])
    }
    world.servers[0].blame(at: world.network.now)
    let blamed = world.servers[0].lastFailure
    let dead = (0..<2).map { world.ask("/dead\($0)") }
    for second in 1..<6 { world.network.after(.seconds(second)) { _ = world.ask("/live") } }
    world.run { dead.allSatisfy(\.isOver) }
    #expect(dead.allSatisfy { $0.status == 504 && $0.call.server === world.servers[0] })
    #expect(world.counters.value(.upstreamMiss) == 2)
    #expect(!world.servers[0].isDown(at: world.network.now))
    #expect(world.servers[0].lastFailure == blamed)
    #expect(ends(world))
  }

  /// What it does not find once and again, and others do, is there.
  @Test func aServerThatOverlooksEverything() {
    let world = SimulatedUpstreams(seed: 5, regions: [1, 1]) { server, _ in
      server == 0 ? Self.slowly(504) : .ok([])
    }
    let first = (0..<2).map { world.ask("/\($0)") }
    world.run { first.allSatisfy(\.isOver) }
    #expect(first.allSatisfy { $0.status == 200 } && world.servers[0].lastFailure == nil)
    let more = (0..<4).map { world.ask("/\($0)") }
    world.run { more.allSatisfy(\.isOver) }
    #expect(more.allSatisfy { $0.status == 200 })
    #expect(world.servers[0].isDown(at: world.network.now))
    #expect(!world.servers[1].isDown(at: world.network.now))
    #expect(ends(world))
    // Content that nobody has is nobody's fault.
    let dead = SimulatedUpstreams(seed: 5, regions: [1, 1]) { _, _ in Self.slowly(504) }
    let lost = (0..<8).map { dead.ask("/\($0)") }
    dead.run { lost.allSatisfy(\.isOver) }
    #expect(dead.servers.allSatisfy { $0.lastFailure == nil })
    #expect(ends(dead))
  }
}
