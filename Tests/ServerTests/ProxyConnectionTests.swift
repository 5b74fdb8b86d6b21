import Base
import EventLoop
import Foundation
import System
import Testing

@testable import Server

@Suite struct ProxyConnectionTests {
  private func world(_ seed: UInt64, trusting networks: [String]) throws -> ServerWorld {
    var options = ServerOptions()
    options.trustedProxies = NetworkSet(try networks.map { try Network($0) })
    return try ServerWorld(
      seed: seed, options: options, traits: ListenerTraits(hasProxyHeader: true))
  }

  @Test(arguments: 0..<20)
  func theClientIsWhoTheProxySays(seed: UInt64) throws {
    let world = try world(seed, trusting: ["10.0.0.0/8"])
    let header = seed % 2 == 0 ? "PROXY TCP4 192.0.2.7 10.0.0.1 4711 80\r\n" : "PROXY UNKNOWN\r\n"
    let visitor = try world.visit(header + ServerWorld.get("/peer") + ServerWorld.get("/peer"))
    world.run {
      visitor.received.count > 0
        && String(decoding: visitor.received, as: UTF8.self).contains("\r\n\r\n")
    }
    world.run(for: .seconds(1))
    let text = String(decoding: visitor.received, as: UTF8.self)
    #expect(text.components(separatedBy: "192.0.2.7").count == (seed % 2 == 0 ? 3 : 1), "\(text)")
    #expect(text.components(separatedBy: "HTTP/1.1 200").count == 3, "\(text)")
    visitor.close()
    #expect(world.settle() && world.worker.connectionCount == 0)
  }

  @Test func othersAreTurnedAway() throws {
    let strangers = try world(1, trusting: ["192.0.2.0/24"])
    let stranger = try strangers.visit("PROXY UNKNOWN\r\n" + ServerWorld.get("/a"))
    #expect(strangers.settle())
    #expect(stranger.received.isEmpty)
    #expect(strangers.counters.value(.proxyUntrusted) == 1)

    let world = try world(2, trusting: ["10.0.0.0/8"])
    let plain = try world.visit(ServerWorld.get("/a"))
    #expect(world.settle())
    #expect(plain.received.isEmpty)
    #expect(world.counters.value(.proxyHeaderMalformed) == 1)
    // One that says nothing, and one that goes before it has said enough.
    _ = try world.visit("")
    _ = try world.visit("PROXY TC") { $0.halfCloses = true }
    #expect(world.settle())
    #expect(
      world.counters.value(.timeoutClientHeader) + world.counters.value(.proxyHeaderMalformed) >= 2)
    #expect(world.network.openEnds == 0)
  }
}
