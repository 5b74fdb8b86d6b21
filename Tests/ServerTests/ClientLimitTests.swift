import Base
import EventLoop
import System
import TestKit
import Testing

@testable import Server

/// How many connections a client may have, and how slow it may be.
@Suite struct ClientLimitTests {
  // MARK: Connections

  /// Behind a proxy that says who connects: its own connections are any number.
  private func world(limit: Int, seed: UInt64 = 1, workers: Int = 1) throws -> ServerWorld {
    var options = ServerOptions()
    options.trustedProxies = NetworkSet([try Network("10.0.0.0/8")])
    options.clientCounts = ClientCounts(limit: limit)
    return try ServerWorld(
      seed: seed, options: options, workers: workers, traits: ListenerTraits(hasProxyHeader: true))
  }

  private func header(_ client: String) -> String {
    let family = client.contains(":") ? "TCP6" : "TCP4"
    let own = client.contains(":") ? "2001:db8::1" : "10.0.0.1"
    return "PROXY \(family) \(client) \(own) 4711 80\r\n"
  }

  @Test func aConnectionTooManyIsClosed() throws {
    let world = try world(limit: 2)
    let ask = ServerWorld.get("/now/3")
    let clients = ["192.0.2.7", "192.0.2.7", "192.0.2.8"]
    let first = try clients.map { try world.visit(header($0) + ask) }
    world.run(for: .seconds(1))
    for visitor in first { #expect(Received.all(visitor.received).map(\.status) == [200]) }
    let more = try world.visit(header("192.0.2.7") + ask)
    let other = try world.visit(header("192.0.2.8") + ask)
    world.run(for: .seconds(1))
    #expect(more.isOver && more.received.isEmpty)
    #expect(Received.all(other.received).map(\.status) == [200])
    #expect(world.counters.value(.connectionRefused) == 1)
    // A place is free again as soon as a connection ends, however it does.
    first[0].close()
    world.run(for: .seconds(1))
    let again = try world.visit(header("192.0.2.7") + ask)
    world.run(for: .seconds(1))
    #expect(Received.all(again.received).map(\.status) == [200])
    #expect(world.counters.value(.connectionRefused) == 1)
  }

  @Test func anIPv6ClientIsItsNetwork() throws {
    let world = try world(limit: 1)
    let ask = ServerWorld.get("/now/3")
    let one = try world.visit(header("2001:db8:1:2::1") + ask)
    world.run(for: .seconds(1))
    let same = try world.visit(header("2001:db8:1:2:ffff::9") + ask)
    let other = try world.visit(header("2001:db8:1:3::1") + ask)
    world.run(for: .seconds(1))
    #expect(Received.all(one.received).count == 1 && Received.all(other.received).count == 1)
    #expect(same.isOver && same.received.isEmpty)
  }

  @Test func proxiesAndThoseWhomTheyDoNotNameAreAnyNumber() throws {
    let world = try world(limit: 1)
    let visitors = try (0..<5).map { _ in
      try world.visit("PROXY UNKNOWN\r\n" + ServerWorld.get("/now/3"))
    }
    let own = try (0..<5).map { _ in
      try world.visit(header("10.9.9.9") + ServerWorld.get("/now/3"))
    }
    world.run(for: .seconds(1))
    for visitor in visitors + own {
      #expect(Received.all(visitor.received).map(\.status) == [200])
    }
    #expect(world.counters.value(.connectionRefused) == 0)
  }

  /// Whatever ends connections, of both protocols and on all workers: no number stays behind.
  @Test(arguments: 0..<20 as Range<UInt64>) func numbersBalance(seed: UInt64) throws {
    let world = try world(limit: 3, seed: seed, workers: 2)
    let counts = try #require(world.worker.options.clientCounts)
    var random = SeededRandom(seed: seed)
    let clients = ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    let http2 = String(decoding: HTTP2Frame.preface + HTTP2Frame.settings, as: UTF8.self)
    for _ in 0..<60 {
      let client = clients[random.number(in: 0...2)]
      let asks = ["", "GET ", http2, ServerWorld.get("/now/9"), ServerWorld.get("/pump/200000")]
      let visitor = try world.visit(header(client) + asks[random.number(in: 0...4)])
      visitor.reads = random.chance(0.7)
      let leaves = random.number(in: 1...5_000)
      world.network.after(.milliseconds(leaves)) { visitor.close() }
      world.run(for: .milliseconds(random.number(in: 0...400)))
      for client in clients {
        let address = try #require(NetworkAddress(client))
        #expect(counts.count(address) <= 3)
      }
    }
    #expect(world.settle())
    #expect(world.crew.allSatisfy { $0.connectionCount == 0 })
    for client in clients {
      let address = try #require(NetworkAddress(client))
      #expect(counts.count(address) == 0, "\(client)")
    }
  }

  // MARK: Pace

  private func slowWorld(_ rate: Int?, seed: UInt64 = 1) throws -> ServerWorld {
    var options = ServerOptions()
    options.minSendRate = rate.map { SendRate(bytes: $0, per: .seconds(1)) }
    var weather = SimulatedNetwork.Weather()
    weather.window = 8_000
    return try ServerWorld(seed: seed, options: options, weather: weather)
  }

  /// A client that reads what its window holds, 8000 bytes, every so many seconds.
  private func visit(_ world: ServerWorld, every seconds: Int, _ path: String) throws -> Visitor {
    let visitor = try world.visit(ServerWorld.get(path)) { $0.reads = false }
    for number in 1...400 {
      world.network.after(.seconds(seconds * number)) { if !visitor.isOver { visitor.read() } }
    }
    return visitor
  }

  @Test(arguments: ["/pump/200000", "/unknown/200000"])
  func whoTakesTooLittleIsCutOff(path: String) throws {
    let world = try slowWorld(1_024)
    let visitor = try visit(world, every: 10, path)
    world.run(for: .seconds(20))
    #expect(world.worker.connectionCount == 1)
    world.run { world.worker.connectionCount == 0 }
    // Within the first window, or the second if the first began with a full socket's worth.
    #expect(world.network.now < .zero + .seconds(70))
    #expect(world.counters.value(.connectionTooSlow) == 1)
    #expect(world.counters.value(.timeoutClientSend) == 0)
    #expect(world.handler.pumps[0].wasAborted)
    world.run(for: .seconds(60))
    // The end is a reset: no length, no last chunk, no orderly end that could pass for one.
    #expect(visitor.failure != nil && !visitor.sawEnd)
  }

  @Test func whoTakesEnoughIsServedToTheEnd() throws {
    let world = try slowWorld(1_024)
    _ = try visit(world, every: 5, "/pump/400000")
    world.run { world.handler.pumps.first?.isOver == true }
    #expect(world.network.now > .zero + .seconds(200))
    #expect(world.counters.value(.connectionTooSlow) == 0)
  }

  @Test func withoutALimitAnyPaceWillDo() throws {
    let world = try slowWorld(nil)
    _ = try visit(world, every: 50, "/pump/100000")
    world.run { world.handler.pumps.first?.isOver == true }
    #expect(world.handler.pumps.first?.isOver == true)
    #expect(world.counters.value(.connectionTooSlow) == 0)
  }

  /// The source gives a few bytes a second, and the client takes all of them at once.
  @Test func aSlowSourceIsNotItsClientsFault() throws {
    let world = try slowWorld(1 << 20)
    let visitor = try world.visit(ServerWorld.get("/hold"))
    world.run { !world.handler.held.isEmpty }
    let stream = world.handler.held[0]
    stream.begin(status: 200)
    stream.endHead(.known(3_000))
    for number in 1...1_000 {
      world.network.after(.seconds(number)) {
        guard stream.isOpen else { return }
        _ = stream.offer([UInt8](repeating: 7, count: min(10, Int(stream.bodyDue))).rawBytes)
        if stream.bodyDue == 0 { stream.finish() }
      }
    }
    world.run(for: .seconds(1_001))
    #expect(Received.all(visitor.received).map(\.isComplete) == [true])
    #expect(world.counters.value(.connectionTooSlow) == 0)
  }

  /// A request behind an answer that its client does not take changes nothing about when it is given up.
  @Test(arguments: [nil, 1_024] as [Int?]) func aRequestBehindDoesNotStopTheClock(rate: Int?) throws
  {
    let world = try slowWorld(rate)
    let visitor = try world.visit(ServerWorld.get("/now/60000")) { $0.reads = false }
    world.network.after(.seconds(1)) { visitor.send(ServerWorld.get("/hold")) }
    world.run(for: .seconds(5))
    #expect(world.handler.held.count == 1 && world.worker.connectionCount == 1)
    world.run(for: .seconds(120))
    #expect(world.worker.connectionCount == 0)
    #expect(world.counters.value(.timeoutClientSend) == (rate == nil ? 1 : 0))
    #expect(world.counters.value(.connectionTooSlow) == (rate == nil ? 0 : 1))
  }

  /// A stream that waits for its window is looked at when something is due, and not all the time.
  @Test func aStalledStreamIsLeftAlone() throws {
    let world = try ServerWorld(seed: 5, options: ServerOptions())
    let visitor = try HTTP2Visitor(world, HTTP2Client(window: 8_192))
    let stream = visitor.client.ask("/pump/20000")
    visitor.client.stalled = [stream]
    for number in 1...6 {
      world.network.after(.seconds(50 * number)) {
        visitor.client.open(stream, 4_100)
        visitor.go()
      }
    }
    var steps = 0
    world.run {
      steps += 1
      return visitor.client.isComplete(stream)
    }
    #expect(visitor.client.isComplete(stream))
    #expect(steps < 1_000, "\(steps)")
  }

  /// Many streams share what their connection takes: each alone is slow, and all of them together are not.
  private func shared(_ bytes: Int, streams: Int = 8) throws -> (ServerWorld, HTTP2Visitor) {
    var options = ServerOptions()
    options.minSendRate = SendRate(bytes: 1_024, per: .seconds(1))
    let world = try ServerWorld(seed: 9, options: options)
    let visitor = try HTTP2Visitor(
      world, HTTP2Client(window: 1 << 20, connectionWindow: 65_535))
    let asked = (0..<streams).map { _ in visitor.client.ask("/pump/40000") }
    visitor.client.isConnectionStalled = true
    for number in 1...200 {
      world.network.after(.seconds(5 * number)) {
        visitor.client.openConnection(bytes)
        visitor.go()
      }
    }
    world.run {
      asked.allSatisfy {
        visitor.client.isComplete($0) || visitor.client.answers[$0]?.closed != nil
      }
        || world.worker.connectionCount == 0 && world.network.now > .zero + .seconds(10)
    }
    return (world, visitor)
  }

  @Test func streamsThatShareAWindowAreNotJudgedOneByOne() throws {
    let (world, visitor) = try shared(6_000)
    #expect(visitor.client.answers.values.allSatisfy { $0.body == pattern(40_000) })
    #expect(visitor.client.answers.count == 8)
    #expect(world.counters.value(.connectionTooSlow) == 0)
    #expect(world.network.now > .zero + .seconds(120))
  }

  @Test func aConnectionWhoseWindowIsTooSmallIsCutOff() throws {
    let (world, _) = try shared(4_000)
    #expect(world.counters.value(.connectionTooSlow) == 1)
    #expect(world.worker.connectionCount == 0)
    #expect(world.network.now < .zero + .seconds(100))
  }

  private func http2Pace(_ bytes: Int) throws -> (ServerWorld, HTTP2Visitor, Int32) {
    var options = ServerOptions()
    options.minSendRate = SendRate(bytes: 1_024, per: .seconds(1))
    let world = try ServerWorld(seed: 5, options: options)
    let visitor = try HTTP2Visitor(world, HTTP2Client(window: 8_192))
    let stream = visitor.client.ask("/pump/200000")
    visitor.client.stalled = [stream]
    for number in 1...100 {
      world.network.after(.seconds(5 * number)) {
        visitor.client.open(stream, bytes)
        visitor.go()
      }
    }
    return (world, visitor, stream)
  }

  /// The stream alone: others on the connection may go on.
  @Test func anHTTP2StreamThatTakesTooLittleIsReset() throws {
    let (world, visitor, stream) = try http2Pace(4_100)
    world.run { visitor.client.answers[stream]?.closed != nil }
    #expect(visitor.client.answers[stream]?.closed == 8)
    #expect(world.network.now < .zero + .seconds(100))
    #expect(world.counters.value(.connectionTooSlow) == 1)
    #expect(world.counters.value(.timeoutClientSend) == 0)
    let other = visitor.client.ask("/now/5")
    visitor.go()
    world.run { visitor.client.isComplete(other) }
    #expect(visitor.client.answers[other]?.body == pattern(5))
  }

  @Test func anHTTP2StreamThatTakesEnoughIsServedToTheEnd() throws {
    let (world, visitor, stream) = try http2Pace(8_100)
    world.run { visitor.client.isComplete(stream) || visitor.client.answers[stream]?.closed != nil }
    #expect(visitor.client.answers[stream]?.body == pattern(200_000))
    #expect(world.counters.value(.connectionTooSlow) == 0)
  }

  @Test func anHTTP2ConnectionThatTakesTooLittleIsCutOff() throws {
    var options = ServerOptions()
    options.minSendRate = SendRate(bytes: 1_024, per: .seconds(1))
    var weather = SimulatedNetwork.Weather()
    weather.window = 8_000
    let world = try ServerWorld(seed: 6, options: options, weather: weather)
    let visitor = try HTTP2Visitor(world, HTTP2Client(window: 1 << 30, connectionWindow: 1 << 30))
    let stream = visitor.client.ask("/pump/400000")
    visitor.reads = false
    for number in 1...100 {
      world.network.after(.seconds(10 * number)) {
        visitor.reads = true
        visitor.go()
        visitor.reads = false
      }
    }
    world.run { world.worker.connectionCount == 1 }
    world.run { world.worker.connectionCount == 0 }
    #expect(world.counters.value(.connectionTooSlow) == 1)
    #expect(world.counters.value(.timeoutClientSend) == 0)
    #expect(!visitor.client.isComplete(stream))
  }

  // MARK: The watch itself

  @Test func onlyTimeInWhichBytesWaitCounts() {
    let rate = SendRate(bytes: 100, per: .seconds(1))
    var watch = SendRateWatch()
    func at(_ seconds: Int) -> Instant { .zero + .seconds(seconds) }
    func isTooSlow(_ watch: inout SendRateWatch, _ seconds: Int, _ taken: Int) -> Bool {
      watch.isTooSlow(for: rate, at: at(seconds), taken: taken)
    }
    #expect(watch.due(at: at(0)) == .never)
    watch.began(at: at(10), taken: 1_000)
    #expect(watch.due(at: at(10)) == at(40))
    watch.ended(at: at(20))
    #expect(watch.due(at: at(1_000)) == .never)
    // Ten of thirty seconds have gone.
    watch.began(at: at(1_000), taken: 9_999)
    watch.began(at: at(1_005), taken: 0)
    #expect(watch.due(at: at(1_000)) == at(1_020))
    let early = isTooSlow(&watch, 1_010, 1_000)
    #expect(!early && watch.due(at: at(1_010)) == at(1_020))
    // 3000 bytes in 30 seconds are just enough, and one less is not.
    var other = watch
    let enough = isTooSlow(&watch, 1_020, 4_000)
    let less = isTooSlow(&other, 1_020, 3_999)
    #expect(!enough && less)
    #expect(watch.due(at: at(1_020)) == at(1_050))
    let nothing = isTooSlow(&watch, 1_050, 4_000)
    #expect(nothing)
  }
}
