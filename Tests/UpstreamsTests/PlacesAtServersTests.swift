import Base
import HTTP
import Telemetry
import Testing

@testable import Upstreams

/// Servers that take only so many requests at a time (`max_connections`), and who waits for them.
@Suite struct PlacesAtServersTests {
  private func world(
    _ seed: UInt64 = 1, regions: [Int] = [1], most: Int = 2, waiting: Int = 3,
    takes: Interval = .seconds(1)
  ) -> SimulatedUpstreams {
    SimulatedUpstreams(
      seed: seed, regions: regions,
      traits: Array(
        repeating: UpstreamServer.Traits(maxConnections: most, maxWaiting: waiting), count: 9)
    ) { _, _ in
      var reply = Reply.ok([1])
      reply.delay = takes
      return reply
    }
  }

  private func ends(_ world: SimulatedUpstreams) -> Bool {
    world.pool.closeIdle()
    return world.settle() && world.network.openEnds == 0 && world.active == 0
      && world.servers.allSatisfy { $0.waitingCount == 0 }
  }

  @Test func someWaitAndSomeAreRefused() {
    let world = world()
    let askers = (0..<7).map { world.ask("/\($0)") }
    var most = 0
    world.run {
      most = max(most, world.servers[0].active)
      return askers.allSatisfy(\.isOver)
    }
    #expect(most == 2)
    #expect(askers.count { $0.body == [1] } == 5)
    #expect(askers.count { $0.fault == Fault(.unavailable, .upstream) } == 2)
    #expect(world.counters.value(.upstreamQueued) == 3)
    // Those that waited in the order in which they came.
    let order = world.requests.map { $0.head.split(separator: " ")[1] }
    #expect(order.prefix(2).sorted() == ["/0", "/1"] && order.dropFirst(2) == ["/2", "/3", "/4"])
    #expect(ends(world))
  }

  @Test func whoFindsTheQueueFullGoesElsewhere() {
    let world = world(regions: [1, 1], waiting: 1)
    let askers = (0..<5).map { world.ask("/\($0)") }
    world.run { askers.allSatisfy(\.isOver) }
    #expect(askers.allSatisfy { $0.body == [1] })
    #expect(world.servers.map(\.requests) == [3, 2])
    #expect(ends(world))
  }

  @Test func patienceEnds() {
    // Ten seconds, as long as a connection may take to open.
    let world = world(regions: [1, 1], most: 1, takes: .seconds(15))
    let start = world.network.now
    let first = world.ask("/0")
    let second = world.ask("/1")
    world.run { first.isOver && second.isOver }
    #expect(first.call.server === world.servers[0] && second.call.server === world.servers[1])
    #expect(world.network.now - start >= .seconds(25) && world.network.now - start < .seconds(26))
    #expect(ends(world))
  }

  @Test(arguments: 0..<40) func placesAreNeitherLostNorGivenTwice(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let world = world(
      seed, regions: [2, 1], most: random.number(in: 1...3), waiting: random.number(in: 0...4),
      takes: .milliseconds(random.number(in: 0...30)))
    var askers: [Asker] = []
    for number in 0..<200 {
      world.network.after(.milliseconds(random.number(in: 0...300))) {
        let asker = world.ask("/\(number)")
        askers.append(asker)
      }
    }
    for _ in 0..<100 {
      world.network.after(.milliseconds(random.number(in: 0...320))) {
        let open = askers.filter { !$0.isOver }
        if let asker = open.randomElement(using: &random) { asker.cancel() }
      }
    }
    var isWithin = true
    world.run {
      for server in world.servers {
        isWithin = isWithin && server.active <= server.traits.maxConnections && server.active >= 0
      }
      return false
    }
    #expect(isWithin)
    #expect(askers.count == 200 && askers.allSatisfy { $0.isOver && !$0.calledAfterEnd })
    #expect(ends(world))
  }
}
