import Base
import HTTP2
import TestKit
import Testing

@Suite struct ServerSessionTests {
  private func pair(_ limits: HTTP2Limits = HTTP2Limits(), _ client: HTTP2Client = HTTP2Client())
    -> SessionPair
  { SessionPair(limits: limits, client: client) }

  @Test func aRequestBecomesAHeadAndItsAnswerComes() {
    let pair = pair()
    let stream = pair.client.ask(
      "/40000?a=b", authority: "example.org:8080",
      fields: [
        ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"), ("host", "example.org:8080"),
      ])
    pair.exchange()
    #expect(
      pair.requests[0].head
        == "GET /40000?a=b HTTP/1.1\r\nhost: example.org:8080\r\naccept: */*\r\ncookie: a=1; b=2\r\n\r\n"
    )
    let answer = pair.client.answers[stream]
    #expect(answer?.status == 200)
    #expect(answer?.fields.map(\.name) == ["content-type", "x-ipfs-path"])
    #expect(answer?.body.isEmpty == true && answer?.isComplete == true)
    #expect(pair.requests[0].closed == true)
  }

  @Test func theServerTellsItsLimits() {
    var limits = HTTP2Limits()
    limits.streams = 7
    limits.headBytes = 5000
    let pair = pair(limits)
    pair.exchange()
    #expect(pair.client.settings == [3: 7, 4: 262_144, 6: 5000, 9: 1])
  }

  /// Trailers end a body, and nobody is told what they say: neither this request nor the next one.
  @Test func trailersAreDropped() {
    typealias Frame = HTTP2Frame
    let pair = pair()
    let post =
      Frame.field(":method", "POST") + Frame.field(":scheme", "http")
      + Frame.field(":authority", "a") + Frame.field(":path", "/0")
    let trailers =
      Frame.field("x-checksum", "1") + Frame.field("host", "b") + Frame.field("cookie", "c=d")
    let bytes =
      Frame.preface + Frame.settings
      + Frame.headers(1, post + Frame.field("trailer", "x-checksum"), flags: 4)
      + Frame.make(0, stream: 1, Array("hello".utf8)) + Frame.headers(1, trailers)
      + Frame.headers(3, Frame.get("/0"))
      // Without a body before them, and with fields that belong to a head's beginning: malformed.
      + Frame.headers(5, post, flags: 4) + Frame.headers(5, Frame.field(":path", "/1"))
      + Frame.headers(7, Frame.get("/0"))
    pair.session.receive(bytes.rawBytes, at: .zero)
    let said = pair.gather()
    #expect(pair.session.end == nil)
    #expect(pair.requests.map(\.id) == [1, 3, 5, 7])
    #expect(
      pair.requests[0].head == "POST /0 HTTP/1.1\r\nhost: a\r\ntrailer: x-checksum\r\n\r\n")
    #expect(pair.requests[0].body == Array("hello".utf8) && pair.requests[0].bodyEnded)
    #expect(!pair.requests[2].bodyEnded && pair.requests[2].closed == false)
    let reset = Frame.make(3, stream: 5, Frame.number(1))
    #expect(said.indices.contains { said[$0...].starts(with: reset) })
    for request in [pair.requests[1], pair.requests[3]] {
      #expect(request.head == "GET /0 HTTP/1.1\r\nhost: a\r\n\r\n")
    }
  }

  @Test(arguments: [0, 1, 16384, 16385, 65535, 65536, 300_000])
  func bodiesOfAllSizesAreExact(_ count: Int) {
    let pair = pair()
    let stream = pair.client.ask("/\(count)")
    pair.exchange()
    #expect(pair.client.answers[stream]?.body == SessionPair.body(0, count))
    #expect(pair.client.isComplete(stream))
  }

  @Test func manyStreamsInAnyOrderAndAnyPieces() {
    for seed in 0..<20 as Range<UInt64> {
      var random = SeededRandom(seed: seed)
      let window = UInt32.random(in: 1000...100_000, using: &random)
      let pair = pair(HTTP2Limits(), HTTP2Client(window: window))
      pair.pauses = Int.random(in: 2...6, using: &random)
      var asked: [Int32: Int] = [:]
      for _ in 0..<10 {
        for _ in 0..<Int.random(in: 0...9, using: &random) {
          let isLarge = Int.random(in: 0...3, using: &random) == 0
          let count = Int.random(in: 0...(isLarge ? 200_000 : 3000), using: &random)
          asked[pair.client.ask("/\(count)")] = count
        }
        pair.exchange { Int.random(in: 1...20_000, using: &random) }
      }
      #expect(pair.requests.count == asked.count)
      for (place, request) in pair.requests.enumerated() {
        let count = asked[request.id] ?? -1
        #expect(pair.client.answers[request.id]?.body == SessionPair.body(place, count))
        #expect(pair.client.isComplete(request.id) && request.closed == true)
      }
      #expect(pair.client.failure == nil && pair.session.end == nil)
    }
  }

  @Test func byteByByte() {
    let pair = pair()
    let stream = pair.client.ask("/20000")
    pair.exchange { 1 }
    #expect(pair.client.answers[stream]?.body == SessionPair.body(0, 20_000))
  }

  @Test func aBodyThatBreaksOffIsResetAndNeverLooksComplete() {
    let pair = pair()
    pair.breaks[0] = 50_000
    let broken = pair.client.ask("/100000")
    let whole = pair.client.ask("/100000")
    pair.exchange()
    #expect(!pair.client.isComplete(broken))
    #expect(pair.client.answers[broken]?.closed == 2)
    #expect(pair.client.isComplete(whole))
    #expect(pair.requests[0].closed == false && pair.requests[1].closed == true)
  }

  @Test func aStalledStreamHoldsNobodyUp() {
    let pair = pair()
    let stalled = pair.client.ask("/1000000")
    pair.client.stalled = [stalled]
    let others = (0..<20).map { _ in pair.client.ask("/100000") }
    pair.exchange()
    for stream in others { #expect(pair.client.isComplete(stream)) }
    #expect(pair.client.answers[stalled]?.body.count == 65535)
    #expect(pair.session.isStalled(stalled))
    pair.client.stalled = []
    pair.client.open(stalled, 65535)
    pair.exchange()
    #expect(pair.client.answers[stalled]?.body == SessionPair.body(0, 1_000_000))
  }

  @Test func whatClientsReset() {
    let pair = pair()
    let stream = pair.client.ask("/1000000")
    pair.client.stalled = [stream]
    pair.exchange()
    pair.client.reset(stream)
    pair.exchange()
    #expect(pair.requests[0].closed == false)
    let next = pair.client.ask("/10")
    pair.exchange()
    #expect(pair.client.isComplete(next))
  }

  // MARK: Bodies of requests

  @Test func bodiesArriveWhole() {
    let pair = pair()
    let body = SessionPair.body(9, 3_000_000)
    let stream = pair.client.ask("/3", method: "POST", body: body)
    pair.exchange()
    #expect(pair.requests[0].hasBody && pair.requests[0].bodyEnded)
    #expect(pair.requests[0].body == body)
    #expect(pair.client.isComplete(stream))
  }

  @Test func whoReadsNoBodyGetsNoMoreThanAWindow() {
    let pair = pair()
    pair.readsBodies = false
    pair.client.ask("/3", method: "POST", body: SessionPair.body(9, 400_000))
    pair.exchange()
    #expect(pair.requests[0].body.count == 262_144)
    #expect(!pair.requests[0].bodyEnded)
  }

  // MARK: Priorities

  @Test func urgencyGoesFirst() {
    let pair = pair()
    let late = pair.client.ask("/60000", fields: [("priority", "u=6")])
    let soon = pair.client.ask("/60000", fields: [("priority", "u=1")])
    let usual = pair.client.ask("/60000")
    pair.exchange()
    #expect(pair.client.dataOrder == [soon, usual, late])
  }

  @Test func incrementalStreamsTakeTurns() {
    let pair = pair()
    let streams = (0..<3).map { _ in pair.client.ask("/60000", fields: [("priority", "i")]) }
    pair.exchange()
    #expect(Array(pair.client.dataOrder.prefix(6)) == streams + streams)
  }

  @Test func prioritiesChangeOnTheWay() {
    let pair = pair()
    let first = pair.client.ask("/60000", fields: [("priority", "u=2")])
    let second = pair.client.ask("/60000", fields: [("priority", "u=5")])
    let asked = pair.client.take()
    pair.session.receive(asked.rawBytes, at: .zero)
    pair.client.prioritise(second, "u=0")
    pair.exchange()
    #expect(pair.client.dataOrder == [second, first])
  }

  // MARK: The end

  @Test func theEndIsAnnouncedFirst() {
    let pair = pair()
    pair.client.ask("/10")
    pair.exchange()
    pair.session.announceEnd()
    pair.exchange()
    #expect(pair.client.goAways.map(\.last) == [.max])
    #expect(!pair.session.isOver)
    pair.session.takeNoMore()
    let last = pair.gather()
    // nghttp2's client, which has no stream open, listens no more.
    #expect(last == HTTP2Frame.make(7, HTTP2Frame.number(1) + HTTP2Frame.number(0)))
    #expect(pair.client.goAways.allSatisfy { $0.code == 0 })
    #expect(pair.session.isOver)
  }

  @Test func whatWasTakenIsAnsweredBehindTheLastWord() {
    let pair = pair()
    let stream = pair.client.ask("/100000")
    pair.client.stalled = [stream]
    pair.exchange()
    pair.session.takeNoMore()
    pair.exchange()
    #expect(!pair.session.isOver)
    pair.client.stalled = []
    pair.client.open(stream, 65535)
    pair.exchange()
    #expect(pair.client.isComplete(stream) && pair.session.isOver)
  }

  // MARK: Memory

  @Test func steadyTrafficTakesNoMemoryFromTheSystem() {
    let pair = pair()
    func rounds(_ count: Int) {
      for _ in 0..<count {
        for _ in 0..<10 { pair.client.ask("/1000") }
        pair.exchange()
      }
    }
    rounds(50)
    let before = pair.memory.blocksMade
    rounds(50)
    #expect(pair.memory.blocksMade == before)
  }

  @Test func sessionsGiveTheirMemoryBack() {
    let memory = SessionMemory()
    for _ in 0..<3 {
      let session = ServerSession(limits: HTTP2Limits(), memory: memory)
      let preface = HTTP2Frame.preface
      session.receive(preface.rawBytes, at: .zero)
      #expect(memory.blocksInUse > 0)
    }
    #expect(memory.blocksInUse == 0)
  }
}
