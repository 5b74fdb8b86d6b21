import Base
import EventLoop
import HTTP1
import Telemetry
import Testing

@testable import Server

/// Connections as such: refusals, deadlines, limits, the end of a worker.
@Suite struct ConnectionTests {
  let get = ServerWorld.get

  // MARK: Refusals

  @Test func aRefusalIsAnsweredAndReadBehind() throws {
    for seed in 0..<10 as Range<UInt64> {
      let world = try ServerWorld(seed: seed)
      // What still comes must not turn the answer into a reset.
      let visitor = try world.visit(
        get("/now/3", "GET", "") + "GET / HTTP/1.1\r\n\r\n" + String(repeating: "x", count: 100_000)
      )
      #expect(world.settle())
      #expect(Received.all(visitor.received).map(\.status) == [200, 400])
      #expect(Received.all(visitor.received).last?.fields["connection"] == "close")
      #expect(world.handler.refused == [400])
      #expect(world.counters.value(.refusal400) == 1)
      #expect(visitor.sawEnd && visitor.failure == nil)
      #expect(world.network.openEnds == 0)
    }
  }

  @Test func whoNeverStopsSendingIsCutOff() throws {
    let world = try ServerWorld(seed: 1)
    let visitor = try world.visit("BAD\r\n\r\n" + String(repeating: "x", count: 600_000)) {
      $0.closesAfterEnd = false
    }
    world.run { world.worker.connectionCount == 0 && visitor.received.count > 0 }
    #expect(!visitor.toSend.isEmpty)
    #expect(world.worker.connectionCount == 0)
    #expect(world.network.now < .zero + .seconds(10))
  }

  /// What is sent behind a refused request is dropped after the refusal, not in its place.
  @Test func aRefusalComesBeforeTheEndOfALongUpload() throws {
    var weather = SimulatedNetwork.Weather()
    weather.window = 1 << 20
    weather.shortTransfers = 0
    let world = try ServerWorld(seed: 8, weather: weather)
    let visitor = try world.visit("BAD\r\n\r\n" + String(repeating: "x", count: 1_000_000))
    world.run { visitor.isOver }
    #expect(Received.all(visitor.received).map(\.status) == [400])
  }

  @Test func whoNeverClosesIsLeft() throws {
    let world = try ServerWorld(seed: 2)
    let visitor = try world.visit("BAD\r\n\r\n") { $0.closesAfterEnd = false }
    world.run { visitor.sawEnd }
    #expect(world.worker.connectionCount == 1)
    let since = world.network.now
    world.run { world.worker.connectionCount == 0 }
    #expect(world.network.now - since < ServerOptions.lingerTimeout + .milliseconds(100))
  }

  /// Who has said that nothing follows is not waited for, unless something does.
  @Test(arguments: ["", "POST / HTTP/1.1\r\n\r\n"])
  func whoAskedForTheEndHasIt(behind: String) throws {
    var weather = SimulatedNetwork.Weather()
    weather.shortTransfers = 0
    let world = try ServerWorld(seed: 2, weather: weather)
    let last = get("/now/3", "GET", "Connection: close\r\n")
    let visitor = try world.visit(last + behind) { $0.closesAfterEnd = false }
    world.run { visitor.sawEnd }
    #expect(Received.all(visitor.received).map(\.status) == [200])
    #expect(visitor.failure == nil)
    #expect(world.worker.connectionCount == (behind.isEmpty ? 0 : 1))
  }

  /// An upload that was answered before its end still comes, and must not meet a reset.
  @Test func theEndComesBehindTheWholeUpload() throws {
    let world = try ServerWorld(seed: 2)
    let upload = get("/now/3", "POST", "Connection: close\r\nContent-Length: 100000\r\n")
    let visitor = try world.visit(upload + String(repeating: "x", count: 100_000))
    world.run { visitor.isOver }
    #expect(Received.all(visitor.received).map(\.status) == [200])
    #expect(visitor.sawEnd && visitor.failure == nil)
  }

  @Test func aHeadBeyondTheLimitIsRefused() throws {
    let world = try ServerWorld(seed: 3)
    let visitor = try world.visit(
      get("/" + String(repeating: "a", count: 20_000), "GET", ""))
    world.run { visitor.isOver }
    #expect(Received.all(visitor.received).map(\.status) == [414])
    #expect(visitor.failure == nil)
  }

  // MARK: Deadlines

  @Test func aHeadThatDoesNotComeIsRefused() throws {
    let world = try ServerWorld(seed: 4)
    let visitor = try world.visit("GET / HTTP/1.1\r\n")
    // A byte now and then does not help.
    for second in 1...9 { world.network.after(.seconds(second)) { visitor.send("X") } }
    let start = world.network.now
    world.run { visitor.isOver }
    #expect(Received.all(visitor.received).map(\.status) == [408])
    #expect(10...11 ~= (world.network.now - start).seconds)
    #expect(world.counters.value(.timeoutClientHeader) == 1)
  }

  @Test func aHeadHasItsTimeAlsoBehindAnAnswer() throws {
    let world = try ServerWorld(seed: 5)
    let visitor = try world.visit(get("/now/1", "GET", "") + "GET / HT")
    let start = world.network.now
    world.run { visitor.isOver }
    #expect(Received.all(visitor.received).map(\.status) == [200, 408])
    #expect(10...11 ~= (world.network.now - start).seconds)
  }

  @Test func whoAsksNothingIsLeft() throws {
    let world = try ServerWorld(seed: 6)
    let silent = try world.visit()
    let idle = try world.visit(get("/now/1", "GET", ""))
    let start = world.network.now
    world.run { silent.isOver }
    #expect(10...11 ~= (world.network.now - start).seconds)
    world.run { idle.isOver }
    #expect(75...76 ~= (world.network.now - start).seconds)
    #expect(Received.all(idle.received).count == 1)
    #expect(silent.received == [] && silent.failure == nil && idle.failure == nil)
    #expect(world.counters.value(.timeoutClientIdle) == 2)
  }

  @Test func anAnswerMayTakeItsTimeButNotTheClient() throws {
    var options = ServerOptions()
    options.sendTimeout = .seconds(30)
    let world = try ServerWorld(
      seed: 7, options: options, weather: AnswerTests.slowWeather)
    let waiting = try world.visit(get("/hold", "GET", ""))
    let stuck = try world.visit(get("/pump/100000", "GET", "")) { $0.reads = false }
    let start = world.network.now
    world.run { world.worker.connectionCount == 2 }
    world.run { world.worker.connectionCount == 1 }
    #expect(30...32 ~= (world.network.now - start).seconds)
    #expect(world.counters.value(.timeoutClientSend) == 1)
    #expect(world.handler.pumps.first?.wasAborted == true)
    #expect(!stuck.sawEnd)
    world.run(for: .seconds(600))
    #expect(!waiting.isOver)
    world.handler.answerNow(4, on: try #require(world.handler.held.first))
    world.run { !waiting.received.isEmpty }
    world.run(for: .seconds(1))
    #expect(Received.all(waiting.received).map(\.body.count) == [4])
  }

  /// A client that takes a little now and then is slow, not gone.
  @Test func theDeadlineOfSendingStartsAnewWithEachByte() throws {
    let world = try ServerWorld(seed: 8, weather: AnswerTests.slowWeather)
    let visitor = try world.visit(get("/pump/40000", "GET", "")) { $0.reads = false }
    for number in 1...30 { world.network.after(.seconds(50 * number)) { visitor.read() } }
    world.run { world.handler.pumps.first?.isOver == true }
    #expect(world.handler.pumps.first?.isOver == true)
    #expect(world.network.now > .zero + .seconds(100))
    #expect(world.counters.value(.timeoutClientSend) == 0)
  }

  // MARK: Limits and the end

  @Test func connectionsBeyondTheLimitWait() throws {
    var options = ServerOptions()
    options.connections = 2
    let world = try ServerWorld(seed: 9, options: options)
    let visitors = try (0..<5).map { _ in try world.visit(get("/now/1", "GET", "")) }
    world.run(for: .seconds(2))
    #expect(world.worker.connectionCount == 2)
    #expect(visitors.count { !$0.received.isEmpty } == 2)
    #expect(world.counters.value(.acceptPause) > 0)
    for served in 3...5 {
      let done = try #require(visitors.first { !$0.received.isEmpty && !$0.isClosed })
      done.close()
      world.run(for: .seconds(2))
      #expect(visitors.count { !$0.received.isEmpty } == served)
      #expect(world.worker.connectionCount == 2)
    }
  }

  @Test func aBurstOfConnectionsIsTakenWhole() throws {
    let world = try ServerWorld(seed: 10)
    let visitors = try (0..<300).map { try world.visit(get("/now/\($0)", "GET", "")) }
    world.run(for: .seconds(5))
    #expect(world.worker.connectionCount == 300)
    for (number, visitor) in visitors.enumerated() {
      #expect(Received.all(visitor.received).map(\.body.count) == [number])
    }
    world.worker.closeAll()
    #expect(world.worker.connectionCount == 0)
    #expect(world.settle())
    #expect(world.network.openEnds == 0)
  }

  @Test func drainingEndsWhatIsIdleAndFinishesTheRest() throws {
    let world = try ServerWorld(seed: 11)
    let idle = try world.visit(get("/now/1", "GET", ""))
    let waiting = try world.visit(get("/hold", "GET", "") + get("/now/2", "GET", ""))
    world.run { !world.handler.held.isEmpty && !idle.received.isEmpty }
    world.run(for: .seconds(1))
    var done = 0
    world.worker.drain { done += 1 }
    world.run { idle.isOver }
    #expect(idle.sawEnd && idle.failure == nil)
    let late = try world.visit(get("/now/3", "GET", ""))
    world.run { late.isOver }
    #expect(late.failure != nil && late.received == [])
    #expect(done == 0 && world.worker.connectionCount == 1)
    world.handler.answerNow(7, on: try #require(world.handler.held.first))
    world.run { waiting.isOver }
    let answers = Received.all(waiting.received)
    #expect(answers.map(\.body.count) == [7])
    #expect(answers.first?.fields["connection"] == "close")
    #expect(world.settle())
    #expect(done == 1)
  }

  @Test func drainingNothingIsDoneAtOnce() throws {
    let world = try ServerWorld(seed: 12)
    var done = 0
    world.worker.drain { done += 1 }
    #expect(done == 1 && world.worker.isDraining)
  }
}
