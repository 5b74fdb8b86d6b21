import Base
import EventLoop
import HTTP
import Telemetry
import Testing

@testable import Upstreams

/// Random histories: servers that answer, break, stall and refuse, consumers that pause and cancel.
@Suite struct UpstreamHistoryTests {
  /// What an answer must come to.
  private enum Promise { case whole, cutOff, either }

  private final class History {
    var bodies: [Int: [UInt8]] = [:]
    /// The last answer that a request got.
    var last: [Int: Promise] = [:]
  }

  private static func number(of head: String) -> Int {
    Int(head.drop { $0 != "/" }.dropFirst().prefix { $0.isNumber }) ?? -1
  }

  private static func reply(
    _ random: inout SeededRandom, _ body: [UInt8]
  ) -> (Reply, Promise) {
    var reply: Reply
    var promise = Promise.whole
    switch random.number(in: 0...2) {
    case 0: reply = .ok(body)
    case 1:
      let most = random.number(in: 1...8_000)
      var sizes = random
      reply = .chunked(body) { sizes.number(in: 1...most) }
    default: reply = .text("HTTP/1.1 200 OK\nConnection: close\n\n", body, then: .close)
    }
    if random.chance(0.3) {
      reply.wire = [UInt8]("HTTP/1.1 103 Early Hints\r\n\r\n".utf8) + reply.wire
    }
    switch random.number(in: 0...11) {
    case 0: return (Reply(then: .close), .cutOff)
    case 1: return (Reply(then: .reset), .cutOff)
    case 2: return (Reply(then: .stall), .cutOff)
    case 3 where reply.then == .keep:
      reply.wire.removeLast(random.number(in: 1...reply.wire.count))
      reply.then = random.chance(0.5) ? .close : .stall
      promise = .cutOff
    case 4:
      reply.then = .reset
      promise = .either
    case 5 where reply.then == .keep:
      reply.wire += [UInt8]("junk".utf8)
    case 6, 7:
      reply.closesAfter = .microseconds(random.number(in: 1...20_000))
    default: break
    }
    return (reply, promise)
  }

  @Test(arguments: 0..<120) func histories(seed: UInt64) {
    var random = SeededRandom(seed: seed &* 977 &+ 5)
    let servers = random.number(in: 1...4)
    let refusing = Set((0..<servers).filter { _ in random.chance(0.2) })
    let world = SimulatedUpstreams(
      seed: seed, servers: servers, refusing: refusing,
      options: UpstreamOptions(
        idlePerServer: random.number(in: 0...3), failTimeout: .milliseconds(50)),
      traits: (0..<servers).map { _ in
        UpstreamServer.Traits(
          maxConnections: seed % 3 == 0 ? random.number(in: 1...3) : 0, maxWaiting: 20)
      })
    let history = History()
    var script = SeededRandom(seed: seed &+ 1)
    world.reply = { _, head in
      let number = Self.number(of: head)
      let (reply, promise) = Self.reply(&script, history.bodies[number] ?? [])
      history.last[number] = promise
      return reply
    }
    var askers: [Asker] = []
    for number in 0..<20 {
      history.bodies[number] = pattern(
        random.chance(0.2) ? random.number(in: 0...1) : random.number(in: 0...20_000), number)
      world.network.after(.milliseconds(random.number(in: 0...200))) {
        askers.append(Self.ask(world, number))
      }
    }
    #expect(world.settle())
    world.pool.closeIdle()
    #expect(world.settle())
    #expect(askers.count == 20)
    for asker in askers { Self.check(asker, history) }
    #expect(world.active == 0)
    #expect(world.network.openEnds == 0)
    #expect(world.counters.value(.upstreamConnectionsBusy) == 0)
    #expect(world.counters.value(.upstreamConnectionsIdle) == 0)
    let requests = world.region.servers.map(\.requests).reduce(0, +)
    #expect(world.counters.value(.upstreamRequest) == requests)
  }

  private static func ask(_ world: SimulatedUpstreams, _ number: Int) -> Asker {
    var random = SeededRandom(seed: UInt64(number) &+ world.network.random.next())
    let asker = world.ask("/\(number)")
    var rooms = random
    let most = random.number(in: 1...12_000)
    asker.room = { rooms.number(in: min(most, 100)...most) }
    if random.chance(0.5) {
      var pauses = random
      asker.pause = {
        pauses.chance(0.3) ? .microseconds(pauses.number(in: 1...20_000)) : nil
      }
    }
    if random.chance(0.2) {
      world.network.after(.microseconds(random.number(in: 0...30_000))) {
        if !asker.isOver { asker.cancel() }
      }
    }
    return asker
  }

  private static func check(_ asker: Asker, _ history: History) {
    let number = number(of: String(decoding: asker.call.request.target, as: UTF8.self))
    let body = history.bodies[number] ?? []
    #expect(asker.isOver)
    #expect(!asker.calledAfterEnd)
    #expect(body.starts(with: asker.body))
    if asker.isCancelled { return }
    switch asker.outcome {
    case .success(let lengthKnown):
      #expect(asker.status == 200)
      #expect(history.last[number] != .cutOff)
      if lengthKnown || history.last[number] == .whole { #expect(asker.body == body) }
    case .failure(let fault):
      // A whole answer fails nobody; the last try may also have been a refused connect.
      #expect(history.last[number] != .whole || fault.kind == .connect)
      if asker.status != nil { #expect(history.last[number] != .whole) }
    case nil: break
    }
  }
}
