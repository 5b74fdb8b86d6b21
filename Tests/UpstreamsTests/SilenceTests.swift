import Base
import HTTP
import Telemetry
import Testing

@testable import Upstreams

/// Whose fault it is that a server says nothing: its own, or the content's.
@Suite struct SilenceTests {
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
}
