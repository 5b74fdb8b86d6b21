import Base
import Synchronization
import Testing

@testable import Upstreams

@Suite struct UpstreamProberTests {
  private final class Heard: Sendable {
    let events = Mutex<[UpstreamEvent]>([])
  }

  private let probe = UpstreamProbe(
    target: Array("/ipfs/bafkqaaa?format=raw".utf8), interval: .seconds(5), timeout: .seconds(2),
    rise: 2, fall: 3)

  /// Lets some time pass, in which nothing else happens.
  private func pass(_ world: SimulatedUpstreams, seconds: Int) {
    var isOver = false
    world.network.after(.seconds(seconds)) { isOver = true }
    world.run { isOver }
  }

  @Test func probesTakeDownAndUp() {
    var stalls = false
    let world = SimulatedUpstreams(seed: 1, regions: [2, 1, 1], hasLastResort: true) { server, _ in
      server == 0 && stalls ? Reply(then: .stall) : .ok([])
    }
    let heard = Heard()
    world.map.onEvent { event in heard.events.withLock { $0.append(event) } }
    let prober = UpstreamProber(
      loop: world.loop, map: world.map, probe: probe, options: world.pool.options)
    prober.start()
    pass(world, seconds: 1)
    // All but the last resort, at once and then every five seconds.
    #expect(world.requests.map(\.server).sorted() == [0, 1, 2])
    #expect(world.requests[0].head.hasPrefix("GET /ipfs/bafkqaaa?format=raw HTTP/1.1\r\n"))
    pass(world, seconds: 20)
    #expect(world.requests.count == 15)
    // They are nobody's requests.
    #expect(world.servers.allSatisfy { $0.requests == 0 && $0.active == 0 })

    stalls = true
    pass(world, seconds: 18)
    #expect(world.servers[0].isDown(at: world.network.now))
    #expect(heard.events.withLock { $0 } == [.down(server: "node0", .probes)])
    for _ in 0..<4 { #expect(world.fetch("/a").call.server === world.servers[1]) }
    stalls = false
    pass(world, seconds: 11)
    #expect(!world.servers[0].isDown(at: world.network.now))
    #expect(heard.events.withLock { $0 }.last == .up(server: "node0"))
    prober.close()
    world.pool.closeIdle()
    #expect(world.settle() && world.network.openEnds == 0)
  }

  @Test func refusedAndWrongAnswersFail() {
    let world = SimulatedUpstreams(seed: 1, regions: [3], refusing: [0]) { server, _ in
      server == 1 ? .text("HTTP/1.1 404 No\nContent-Length: 0\n\n") : .ok([])
    }
    let prober = UpstreamProber(
      loop: world.loop, map: world.map, probe: probe, options: world.pool.options)
    prober.start()
    pass(world, seconds: 12)
    #expect(world.servers.map { $0.isDown(at: world.network.now) } == [true, true, false])
    prober.close()
    #expect(world.settle() && world.network.openEnds == 0)
  }

  /// A server that failed in need, and that nobody needs any more, is found to be back, probes or not; until
  /// then operators see it as down, whichever way they look.
  @Test(arguments: [true, false]) func whatNobodyTriesIsNotDownForGood(hasProbes: Bool) {
    let world = SimulatedUpstreams(
      seed: 1, regions: [1, 1, 1], hasLastResort: true, refusing: [0, 1, 2],
      options: UpstreamOptions(failTimeout: .seconds(10), slowStart: .zero))
    let options = world.pool.options
    let heard = Heard()
    world.map.onEvent { event in heard.events.withLock { $0.append(event) } }
    var probe = probe
    if !hasProbes { probe.interval = .zero }
    let prober = UpstreamProber(
      loop: world.loop, map: world.map, probe: probe, options: options)
    prober.start()
    for _ in 0..<2 { #expect(world.fetch("/a").fault?.kind == .connect) }
    #expect(world.servers.allSatisfy { $0.isDown(at: world.network.now) })
    world.open(0)
    for second in 0..<80 { world.network.after(.seconds(second)) { _ = world.ask("/b") } }
    pass(world, seconds: 40)
    #expect(world.servers[0].condition(at: world.network.now, options) == .up)
    for server in world.servers[1...] {
      #expect(server.isDown(at: world.network.now))
      #expect(server.condition(at: world.network.now, options) == .down)
    }
    // A stranger need not have what probes ask for.
    world.reply = { server, _ in
      server == 2 ? .text("HTTP/1.1 403 No\nContent-Length: 0\n\n") : .ok([])
    }
    world.open(1)
    world.open(2)
    pass(world, seconds: 35)
    for server in world.servers {
      #expect(!server.isDown(at: world.network.now))
      #expect(server.condition(at: world.network.now, options) == .up)
    }
    // Clients' requests had no part in it, and those that are up are left alone.
    #expect(world.servers[1...].allSatisfy { $0.requests == 2 })
    #expect(world.requests.count { $0.server == 2 } == 1)
    #expect(heard.events.withLock { $0.count { $0 == .up(server: "node2") } } == 1)
    prober.close()
    world.pool.closeIdle()
    #expect(world.settle() && world.network.openEnds == 0)
  }
}
