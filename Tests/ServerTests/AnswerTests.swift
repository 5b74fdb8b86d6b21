import Base
import EventLoop
import HTTP1
import System
import Telemetry
import Testing

@testable import Server

/// Answers: how their length is told, how bodies are pulled, how they end.
@Suite struct AnswerTests {
  let get = ServerWorld.get

  static let slowWeather: SimulatedNetwork.Weather = {
    var weather = SimulatedNetwork.Weather()
    weather.window = 5_000
    return weather
  }()

  @Test func headHasTheFieldsAndNoBody() throws {
    let world = try ServerWorld(seed: 1)
    let visitor = try world.visit(
      get("/now/9", "HEAD", "") + get("/pump/900000", "HEAD", "") + get("/unknown/5", "HEAD", "")
        + get("/now/2", "GET", ""))
    world.run(for: .seconds(5))
    let answers = Received.all(visitor.received, heads: [true, true, true, false])
    #expect(answers.map { $0.fields["content-length"] } == ["9", "900000", nil, "2"])
    #expect(answers[2].fields["transfer-encoding"] == "chunked")
    #expect(answers[3].body == pattern(2))
    #expect(!visitor.isOver)
  }

  @Test func fieldsCannotEndTheirLine() throws {
    let world = try ServerWorld(seed: 2)
    let visitor = try world.visit(get("/fields", "GET", ""))
    world.run(for: .seconds(5))
    let answer = try #require(Received.all(visitor.received).first)
    #expect(answer.fields["etag"] == "\"aInjected: yes\"")
    #expect(answer.fields["injected"] == nil)
    #expect(answer.fields["content-range"] == "bytes 5-9/20")
    #expect(answer.fields["age"] == "12")
    #expect(answer.fields["date"]?.hasPrefix("Tue, 14 Nov 2023 22:13:") == true)
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func chunksOfAnySizeGiveTheSameBody(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed, weather: seed < 10 ? .init() : Self.slowWeather)
    var random = SeededRandom(seed: seed)
    // From single bytes to more than is gathered before a send.
    let largest = [1, 10, 3_000, 150_000][Int(seed % 4)]
    world.handler.piece = { random.number(in: 1...largest) }
    let counts = [0, 1, 15, 16, 17, largest == 1 ? 300 : largest == 10 ? 4_096 : 180_000]
    let visitor = try world.visit(counts.map { get("/unknown/\($0)", "GET", "") }.joined())
    #expect(world.settle())
    let answers = Received.all(visitor.received)
    #expect(answers.map(\.body) == counts.map(pattern))
    #expect(answers.allSatisfy { $0.isComplete && $0.fields["content-length"] == nil })
  }

  @Test(arguments: 0..<20 as Range<UInt64>)
  func aSlowClientSlowsItsSource(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed, weather: Self.slowWeather)
    let path = seed.isMultiple(of: 2) ? "/pump/100000" : "/unknown/100000"
    let visitor = try world.visit(get(path, "GET", "")) { $0.reads = false }
    world.run(for: .seconds(5))
    let pump = try #require(world.handler.pumps.first)
    let (taken, calls) = (pump.taken.reduce(0, +), pump.calls)
    #expect(taken < 70_000 && !pump.isOver)
    world.run(for: .seconds(5))
    #expect(pump.calls == calls, "not asked while the client takes nothing")
    visitor.reads = true
    visitor.read()
    world.run { pump.isOver }
    world.run(for: .seconds(5))
    #expect(pump.taken.reduce(0, +) == 100_000 && !pump.wasAborted)
    #expect(Received.all(visitor.received).map(\.body) == [pattern(100_000)])
    #expect(!visitor.isOver)
  }

  @Test func theLengthIsToldByTheEndForAClientOfOld() throws {
    let world = try ServerWorld(seed: 3)
    let visitor = try world.visit("GET /unknown/70000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    #expect(world.settle())
    let answer = try #require(Received.all(visitor.received).first)
    #expect(answer.fields["transfer-encoding"] == nil)
    #expect(answer.fields["content-length"] == nil)
    #expect(answer.fields["connection"] == "close")
    #expect(answer.body == pattern(70_000))
    #expect(visitor.sawEnd && visitor.failure == nil)
  }

  @Test(arguments: 0..<10 as Range<UInt64>)
  func whatIsCutOffForAClientOfOldIsAReset(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    let visitor = try world.visit("GET /cut/70000 HTTP/1.0\r\n\r\n")
    #expect(world.settle())
    #expect(visitor.failure == SystemError.connectionReset)
    #expect(!visitor.sawEnd)
  }

  /// By its own slowness, or by a stop that waits no longer.
  @Test(arguments: [false, true])
  func whatAClientOfOldDoesNotTakeIsAReset(isStopped: Bool) throws {
    let world = try ServerWorld(seed: 5, weather: Self.slowWeather)
    let visitor = try world.visit("GET /unknown/200000 HTTP/1.0\r\n\r\n") { $0.reads = false }
    world.run(for: .seconds(2))
    #expect(world.handler.pumps.first?.isOver == false)
    if isStopped { world.worker.closeAll() }
    world.run(for: .seconds(200))
    #expect(world.worker.connectionCount == 0)
    visitor.reads = true
    visitor.read()
    world.run(for: .seconds(5))
    #expect(visitor.failure == SystemError.connectionReset && !visitor.sawEnd)
  }

  /// Cut off by its chunks, or with bytes of the told length missing: visibly in each case.
  @Test(arguments: ["/cut/30000", "/cut/0", "/pump/30000/30001", "/pump/0/1"])
  func whatIsCutOffIsNotComplete(path: String) throws {
    for seed in 0..<5 as Range<UInt64> {
      let world = try ServerWorld(seed: seed)
      let visitor = try world.visit(get(path, "GET", "") + get("/now/1", "GET", ""))
      #expect(world.settle())
      let answers = Received.all(visitor.received)
      #expect(answers.allSatisfy { !$0.isComplete } && answers.count <= 1)
      #expect(visitor.isOver)
      #expect(world.handler.seen.count == 1)
      #expect(world.worker.connectionCount == 0 && world.network.openEnds == 0)
    }
  }

  @Test func anAbortedAnswerHoldsNothing() throws {
    weak var held: Pump?
    do {
      let world = try ServerWorld(seed: 4, weather: Self.slowWeather)
      let visitor = try world.visit(get("/pump/100000", "GET", "")) { $0.reads = false }
      world.run(for: .seconds(1))
      held = world.handler.pumps.first
      #expect(held?.isOver == false)
      visitor.close()
      world.run { world.worker.connectionCount == 0 }
      #expect(held?.wasAborted == true)
      #expect(world.settle())
      #expect(world.network.openEnds == 0)
    }
    #expect(held == nil)
  }

  @Test func finishWithoutAnAnswerBreaksOff() throws {
    let world = try ServerWorld(seed: 5)
    let visitor = try world.visit(get("/hold", "GET", ""))
    world.run { !world.handler.held.isEmpty }
    try #require(world.handler.held.first).finish()
    #expect(world.settle())
    #expect(visitor.received == [] && visitor.isOver)
  }
}
