import Base
import EventLoop
import HTTP1
import Telemetry
import Testing

@testable import Server

/// Requests on one connection: their order, and when it may be used again.
@Suite struct RequestTests {
  let get = ServerWorld.get

  @Test(arguments: 0..<20 as Range<UInt64>)
  func pipelinedRequestsAreAnsweredInOrder(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    var random = SeededRandom(seed: seed)
    world.handler.piece = { random.number(in: 1...30_000) }
    var draw = SeededRandom(seed: ~seed)
    let asks = (0..<80).map { _ in
      (
        how: ["now", "pump", "unknown", "later", "none"].randomElement(using: &draw) ?? "now",
        count: draw.chance(0.1) ? draw.number(in: 0...90_000) : draw.number(in: 0...300),
        isHead: draw.chance(0.2)
      )
    }
    let text = asks.map { get("/\($0.how)/\($0.count)", $0.isHead ? "HEAD" : "GET", "") }.joined()
    let visitor = try world.visit(text)
    #expect(world.settle())
    let answers = Received.all(visitor.received, heads: asks.map(\.isHead))
    try #require(answers.count == asks.count)
    for (ask, answer) in zip(asks, answers) {
      let isEmpty = ask.isHead || ask.how == "none"
      #expect(answer.isComplete && answer.status == (ask.how == "none" ? 204 : 200))
      #expect(answer.body == (isEmpty ? [] : pattern(ask.count)))
      #expect(answer.fields["connection"] == nil)
    }
    #expect(visitor.sawEnd && visitor.failure == nil)
    #expect(world.network.openEnds == 0 && world.worker.connectionCount == 0)
    #expect(world.counters.value(.responseBytes) == visitor.received.count)
  }

  /// Far more than the input buffer holds, and more than one turn answers.
  @Test func moreRequestsThanTheInputHolds() throws {
    let world = try ServerWorld(seed: 1)
    let count = 3_000
    let visitor = try world.visit((0..<count).map { get("/now/\($0 % 7)", "GET", "") }.joined())
    #expect(world.settle())
    let answers = Received.all(visitor.received)
    #expect(answers.count == count)
    #expect(answers.enumerated().allSatisfy { $1.body.count == $0 % 7 && $1.isComplete })
  }

  /// They wait behind an answer that takes its time, read or not.
  @Test func manyRequestsBehindASlowAnswer() throws {
    let world = try ServerWorld(seed: 2)
    let count = 5_000
    let rest = (0..<count).map { _ in get("/now/5", "GET", "") }.joined()
    let visitor = try world.visit(get("/hold", "GET", "") + rest)
    world.run(for: .seconds(5))
    #expect(world.handler.seen == ["/hold"])
    #expect(!visitor.toSend.isEmpty, "what is not answered must not be read without bound")
    world.handler.answerNow(9, on: try #require(world.handler.held.first))
    #expect(world.settle())
    #expect(
      Received.all(visitor.received).map(\.body.count) == [9] + Array(repeating: 5, count: count))
  }

  @Test func aConnectionIsUsedAgain() throws {
    let world = try ServerWorld(seed: 3)
    let visitor = try world.visit(get("/now/3", "GET", ""))
    for number in 1...5 {
      world.run { Received.all(visitor.received).count == number }
      world.run(for: .seconds(20))
      #expect(!visitor.isOver)
      visitor.send(get("/later/\(number)", "GET", ""))
    }
    world.run { Received.all(visitor.received).count == 6 }
    #expect(Received.all(visitor.received).map(\.body.count) == [3, 1, 2, 3, 4, 5])
    #expect(world.counters.value(.connectionAccepted) == 1)
    #expect(world.worker.connectionCount == 1)
  }

  @Test(arguments: [
    ("GET /now/5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", true),
    ("GET /now/5 HTTP/1.0\r\n\r\n", true),
    ("GET /now/5 HTTP/1.1\r\nHost: a\r\n\r\n", false),
  ])
  func closesWhereTheRequestSaysSo(text: String, closes: Bool) throws {
    let world = try ServerWorld(seed: 4)
    let visitor = try world.visit(text + get("/now/1", "GET", ""))
    world.run(for: .seconds(5))
    #expect(Received.all(visitor.received).count == (closes ? 1 : 2))
    #expect(Received.all(visitor.received)[0].fields["connection"] == (closes ? "close" : nil))
    #expect(visitor.sawEnd == closes)
    #expect(visitor.failure == nil)
    #expect(world.worker.connectionCount == (closes ? 0 : 1))
  }

  /// RFC 9112, appendix C.2.2: a client of HTTP/1.0 keeps the connection only where it is told so.
  @Test func aClientOfOldIsToldThatTheConnectionStays() throws {
    let world = try ServerWorld(seed: 5)
    let text = "GET /now/5 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    let visitor = try world.visit(text + text)
    world.run(for: .seconds(5))
    let answers = Received.all(visitor.received)
    #expect(answers.map(\.body.count) == [5, 5])
    #expect(answers.map { $0.fields["connection"] } == ["keep-alive", "keep-alive"])
    #expect(!visitor.isOver)
  }

  /// Nobody reads the body, so nothing behind it may be taken for a request.
  @Test(arguments: [
    "Content-Length: 500\r\n", "Transfer-Encoding: chunked\r\n",
  ])
  func aRequestWithABodyIsTheLast(field: String) throws {
    let world = try ServerWorld(seed: 6)
    let visitor = try world.visit(
      get("/now/4", "POST", field) + get("/now/66", "GET", "") + get("/now/77", "GET", ""))
    #expect(world.settle())
    #expect(world.handler.seen == ["/now/4"])
    let answers = Received.all(visitor.received)
    #expect(answers.map(\.body) == [pattern(4)])
    #expect(answers.first?.fields["connection"] == "close")
    #expect(visitor.sawEnd && visitor.failure == nil)
  }

  /// A head that comes in pieces with pauses is the same head.
  @Test(arguments: 0..<10 as Range<UInt64>)
  func headsMayComeInPieces(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    var random = SeededRandom(seed: seed)
    let visitor = try world.visit()
    var text = (0..<3).map { get("/pump/\($0)", "GET", "X: \($0)\r\n") }.joined()
    var wait = Interval.zero
    while !text.isEmpty {
      let piece = String(text.prefix(random.number(in: 1...40)))
      text.removeFirst(piece.count)
      wait = wait + .milliseconds(random.number(in: 0...900))
      world.network.after(wait) { visitor.send(piece) }
    }
    world.run { Received.all(visitor.received).filter(\.isComplete).count == 3 }
    #expect(Received.all(visitor.received).map(\.body.count) == [0, 1, 2])
    #expect(world.handler.refused == [])
  }

  // MARK: Half-closed connections

  @Test(arguments: 0..<20 as Range<UInt64>)
  func whatWasAskedBeforeTheEndIsAnswered(seed: UInt64) throws {
    let world = try ServerWorld(seed: seed)
    let text = get("/now/7", "GET", "") + get("/none", "GET", "") + get("/now/8", "GET", "")
    let visitor = try world.visit(text + get("/pump/200000", "GET", "")) { $0.halfCloses = true }
    #expect(world.settle())
    let answers = Received.all(visitor.received)
    #expect(answers.map(\.body.count) == [7, 0, 8, 200_000])
    #expect(answers.allSatisfy { $0.isComplete })
    #expect(visitor.sawEnd && visitor.failure == nil)
    // The end closes, not a timeout.
    #expect(world.network.now < .zero + .seconds(60))
    #expect(world.counters.value(.timeoutClientIdle) == 0)
  }

  @Test func anEndWithoutRequestsCloses() throws {
    for text in ["", "GET /now/1 HT", get("/now/1", "GET", "") + "GET /"] {
      let world = try ServerWorld(seed: 7)
      let visitor = try world.visit(text) { $0.halfCloses = true }
      world.run { visitor.isOver }
      #expect(visitor.sawEnd && visitor.failure == nil)
      #expect(world.network.now < .zero + .seconds(5))
      #expect(world.worker.connectionCount == 0)
      #expect(world.handler.refused == [])
    }
  }

  @Test func nobodyWaitsForAnAnswerNotBegun() throws {
    let world = try ServerWorld(seed: 8)
    let visitor = try world.visit(get("/hold", "GET", ""))
    world.run { !world.handler.held.isEmpty }
    let stream = try #require(world.handler.held.first)
    #expect(stream.isOpen && stream.isUntouched)
    visitor.close()
    world.run { world.worker.connectionCount == 0 }
    #expect(!stream.isOpen)
    #expect(world.settle())
    #expect(world.network.openEnds == 0)
  }
}
