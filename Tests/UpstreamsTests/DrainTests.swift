import Base
import System
import Testing

@testable import Upstreams

/// Servers that operators take out and in again.
@Suite struct DrainTests {
  private func names(_ upstreams: SimulatedUpstreams) -> [String] {
    upstreams.map.servers.map { "region0/\($0.label)" }
  }

  @Test func aDrainedServerIsAskedNoMore() throws {
    let upstreams = SimulatedUpstreams(seed: 1, servers: 3)
    #expect(upstreams.map.setDrained(true, "region0/node1").map(\.label) == ["node1"])
    // How far a broken body may be resumed is not for a drain to change.
    #expect(upstreams.map.servers(from: 0).count == 3)
    for _ in 0..<12 { _ = upstreams.ask("/a") }
    #expect(upstreams.settle())
    #expect(Set(upstreams.requests.map(\.server)) == [0, 2])
    #expect(upstreams.map.setDrained(false, "region0/node1").count == 1)
    for _ in 0..<12 { _ = upstreams.ask("/a") }
    #expect(upstreams.settle())
    #expect(Set(upstreams.requests.map(\.server)) == [0, 1, 2])
  }

  @Test func whatIsUnderWayGoesToItsEnd() throws {
    let upstreams = SimulatedUpstreams(seed: 2) { _, _ in
      var reply = Reply.ok([1, 2, 3])
      reply.delay = .seconds(5)
      return reply
    }
    let asker = upstreams.ask("/a")
    upstreams.run { !upstreams.requests.isEmpty }
    _ = upstreams.map.setDrained(true, "region0/node0")
    #expect(upstreams.servers[0].active == 1)
    let late = upstreams.ask("/b")
    #expect(upstreams.settle())
    #expect(asker.body == [1, 2, 3] && asker.fault == nil)
    // With nobody else there, who comes later is told so.
    #expect(late.fault?.kind == .unavailable)
    #expect(upstreams.requests.count == 1 && upstreams.servers[0].active == 0)
  }

  @Test func whoWaitedForAPlaceGoesElsewhere() throws {
    let traits = UpstreamServer.Traits(maxConnections: 1)
    let upstreams = SimulatedUpstreams(
      seed: 3, regions: [1, 1], traits: [traits],
      reply: { server, _ in
        var reply = Reply.ok([UInt8(server)])
        if server == 0 { reply.delay = .seconds(2) }
        return reply
      })
    let first = upstreams.ask("/a")
    let waiting = upstreams.ask("/b")
    upstreams.run { upstreams.servers[0].waitingCount == 1 }
    _ = upstreams.map.setDrained(true, "region0/node0")
    #expect(upstreams.settle())
    #expect(first.body == [0] && waiting.body == [1])
    #expect(upstreams.servers[0].active == 0 && upstreams.servers[0].waitingCount == 0)
  }

  @Test func theLastResortMayBeDrainedToo() throws {
    let upstreams = SimulatedUpstreams(
      seed: 4, regions: [1, 1], hasLastResort: true, refusing: [0])
    #expect(upstreams.map.setDrained(true, "region1/node1").count == 1)
    let asker = upstreams.ask("/a")
    #expect(upstreams.settle())
    #expect(asker.fault != nil && upstreams.requests.isEmpty)
  }

  @Test func unknownNamesDrainNobody() {
    let upstreams = SimulatedUpstreams(seed: 5)
    for name in ["", "node0", "region0", "region0/", "region0/node7", "region9/node0", "/node0"] {
      #expect(upstreams.map.setDrained(true, name).isEmpty && !upstreams.map.has(name))
    }
    #expect(upstreams.map.has("region0/node0"))
    #expect(!upstreams.servers[0].isDrained)
  }

  /// A name's addresses come and go; those that come are drained like those that went.
  @Test func aNameIsDrainedWithAllItsAddresses() throws {
    let region = UpstreamRegion(name: "eu", servers: [])
    let map = UpstreamMap(region)
    var addresses = ["192.0.2.1", "192.0.2.2"]
    let entry = UpstreamEntry(
      host: "kubo.internal", port: 8080, text: "kubo.internal:8080",
      traits: UpstreamServer.Traits(), isName: true)
    let names = UpstreamNames(map, [[entry]]) { _, port in
      .success(addresses.compactMap { SocketAddress(host: $0, port: port) })
    }
    names.look()
    func drained() -> [String] {
      region.servers.filter(\.isDrained).map(\.address.host).sorted()
    }
    #expect(map.setDrained(true, "eu/kubo.internal:8080").count == 2)
    addresses = ["192.0.2.2", "192.0.2.3"]
    names.look()
    #expect(drained() == ["192.0.2.2", "192.0.2.3"])
    // One of them again: the other one stays out, and so does one that comes back.
    #expect(map.setDrained(false, "eu/kubo.internal:8080@192.0.2.3").count == 1)
    #expect(drained() == ["192.0.2.2"])
    addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    names.look()
    #expect(drained() == ["192.0.2.1", "192.0.2.2"])
    #expect(map.setDrained(true, "eu/kubo.internal:8080@192.0.2.3").count == 1)
    #expect(drained() == addresses)
    #expect(map.setDrained(false, "eu/kubo.internal:8080@192.0.2.2").count == 1)
    #expect(map.setDrained(true, "eu/kubo.internal:8080").count == 3)
    #expect(drained() == addresses)
    #expect(map.setDrained(false, "eu/kubo.internal:8080").count == 3)
    names.look()
    #expect(drained() == [])
  }

  @Test func theOrderIsThatOfTries() throws {
    let upstreams = SimulatedUpstreams(
      seed: 6, regions: [2, 1], next: [[1], [0]],
      traits: [UpstreamServer.Traits(isBackup: true), UpstreamServer.Traits()])
    let options = UpstreamOptions()
    func order(_ home: Int) -> [String] {
      upstreams.map.order(from: home, at: upstreams.loop.now, options).map(\.server.label)
    }
    #expect(order(0) == ["node1", "node0", "node2"] && order(1) == ["node2", "node1", "node0"])
    #expect(upstreams.map.routeNames(from: 1) == ["region1", "region0"])
    _ = upstreams.map.setDrained(true, "region0/node1")
    #expect(order(0) == ["node0", "node2"])
    #expect(upstreams.servers[1].condition(at: upstreams.loop.now, options) == .drained)
    #expect(upstreams.servers[0].condition(at: upstreams.loop.now, options) == .up)
  }
}
