import Base
import TestKit
import Testing

@testable import HTTP2

/// Each flood against a session: it ends with GOAWAY and ENHANCE_YOUR_CALM, and names the kind.
@Suite struct FloodTests {
  private typealias Frame = HTTP2Frame

  /// Sends a beginning, then `frames` again and again; how often until the session was over.
  private func flood(
    _ kind: CostlyFrame, atMost most: Int, before: [UInt8] = [],
    _ frames: (Int) -> [UInt8]
  ) {
    let pair = SessionPair()
    let beginning = Frame.preface + Frame.settings + Frame.settingsAck + before
    pair.session.receive(beginning.rawBytes, at: .zero)
    _ = pair.gather()
    var sent = 0
    var said: [UInt8] = []
    while pair.session.end == nil, sent <= most {
      let bytes = frames(sent)
      pair.session.receive(bytes.rawBytes, at: .zero)
      said = pair.gather()
      sent += 1
    }
    #expect(pair.session.end == .flood(kind))
    #expect(said.suffix(17).prefix(5) == [0, 0, 8, 7, 0], "no GOAWAY at the end")
    #expect(said.suffix(4) == [0, 0, 0, 11])
    #expect(pair.session.isOver)
    // What comes after it changes nothing.
    let requests = pair.requests.count
    let more = Frame.headers(999_999, Frame.get("/1"))
    pair.session.receive(more.rawBytes, at: .zero)
    #expect(pair.requests.count == requests && pair.gather().isEmpty)
  }

  @Test func rapidReset() {
    flood(.reset, atMost: 501) { turn in
      let stream = UInt32(turn * 2 + 1)
      return Frame.headers(stream, Frame.get("/1000000"))
        + Frame.make(3, stream: stream, Frame.number(8))
    }
  }

  /// The server is made to reset streams itself, by windows that overflow.
  @Test func resetsThatAreProvoked() {
    flood(.reset, atMost: 501) { turn in
      let stream = UInt32(turn * 2 + 1)
      return Frame.headers(stream, Frame.get("/1000000"))
        + Frame.make(8, stream: stream, Frame.number(0x7fff_ffff))
    }
  }

  @Test func malformedRequests() {
    flood(.reset, atMost: 501) { turn in
      Frame.headers(
        UInt32(turn * 2 + 1), Frame.get("/1") + Frame.field("connection", "close"))
    }
  }

  @Test func streamsAboveTheLimit() {
    let open = (0..<100).flatMap { Frame.headers(UInt32($0 * 2 + 1), Frame.get("/1000000")) }
    let pair = SessionPair()
    let beginning = Frame.preface + Frame.settings + open
    pair.session.receive(beginning.rawBytes, at: .zero)
    let more = Frame.headers(1001, Frame.get("/1"))
    pair.session.receive(more.rawBytes, at: .zero)
    #expect(pair.requests.count == 100)
    // Before the client knows of the limit the stream is refused, and may be asked again.
    let refused = Frame.make(3, stream: 1001, Frame.number(7))
    let said = pair.gather()
    #expect(said.indices.contains { said[$0...].starts(with: refused) })
  }

  /// Nobody takes what is said, and the limit is never acknowledged: refusals only pile up.
  @Test func refusalsThatNobodyTakes() {
    let open = (0..<100).flatMap { Frame.headers(UInt32($0 * 2 + 1), Frame.get("/1000000")) }
    let pair = SessionPair()
    let beginning = Frame.preface + Frame.settings + open
    pair.session.receive(beginning.rawBytes, at: .zero)
    var sent = 0
    while pair.session.end == nil, sent < 5000 {
      let more = Frame.headers(UInt32(1001 + sent * 2), Frame.get("/1"))
      pair.session.receive(more.rawBytes, at: .zero)
      sent += 1
    }
    #expect(sent < 2000 && pair.session.end == .flood(.reset))
  }

  /// As many as a head needs that may be so long, in frames of half their length.
  @Test func longHeadsMayBeInManyFrames() {
    var flooded = FloodGuard(headBytes: 200 << 10)
    flooded.headBegins()
    let isFine = (0..<25).allSatisfy { _ in flooded.allows(.continuation, at: .zero) }
    #expect(isFine && !flooded.allows(.continuation, at: .zero))
  }

  @Test func continuations() {
    flood(.continuation, atMost: 10, before: Frame.make(1, flags: 1, stream: 1, Frame.get("/1"))) {
      _ in Frame.make(9, stream: 1, Frame.field("a", "b"))
    }
  }

  @Test func emptyContinuations() {
    flood(.continuation, atMost: 10, before: Frame.make(1, flags: 1, stream: 1, Frame.get("/1"))) {
      _ in Frame.make(9, stream: 1)
    }
  }

  @Test func pings() {
    flood(.ping, atMost: 201) { _ in Frame.make(6, [UInt8](repeating: 7, count: 8)) }
  }

  @Test func settings() {
    flood(.settings, atMost: 51) { _ in Frame.settings }
  }

  @Test func emptyData() {
    let open = Frame.make(1, flags: 4, stream: 1, Frame.get("/1"))
    flood(.emptyData, atMost: 101, before: open) { _ in Frame.make(0, stream: 1) }
  }

  @Test func paddingOnly() {
    let open = Frame.make(1, flags: 4, stream: 1, Frame.get("/1"))
    flood(.emptyData, atMost: 101, before: open) { _ in
      Frame.make(0, flags: 8, stream: 1, [10] + [UInt8](repeating: 0, count: 10))
    }
  }

  @Test func priorities() {
    flood(.priority, atMost: 1001) { turn in
      Frame.make(2, stream: UInt32(turn * 2 + 1), Frame.number(0) + [1])
    }
  }

  @Test func priorityUpdates() {
    flood(.priority, atMost: 1001) { turn in
      Frame.make(16, Frame.number(UInt32(turn % 50 * 2 + 1)) + Array("u=1".utf8))
    }
  }

  @Test func windowUpdates() {
    flood(.windowUpdate, atMost: 1001) { _ in Frame.make(8, Frame.number(1)) }
  }

  @Test func unknownFrames() {
    flood(.other, atMost: 101) { _ in Frame.make(0x77, [1, 2, 3]) }
  }

  /// A field that is set once and then named by one byte each.
  @Test func headerBomb() {
    let large = String(repeating: "a", count: 3000)
    // With indexing: it becomes entry 62 of the table.
    let set: [UInt8] = [0x40] + Array(Frame.field("a", large).dropFirst())
    flood(.fields, atMost: 1) { turn in
      Frame.headers(
        UInt32(turn * 2 + 1), Frame.get("/1") + set + [UInt8](repeating: 0x80 | 62, count: 10_000))
    }
  }

  /// The rest of a bomb's frame is not even looked at: reading it whole would take milliseconds.
  @Test func aBombIsNotReadToItsEnd() {
    let pair = SessionPair()
    let large = String(repeating: "a", count: 3000)
    let set: [UInt8] = [0x40] + Array(Frame.field("a", large).dropFirst())
    let block = Frame.get("/1") + set + [UInt8](repeating: 0x80 | 62, count: 10_000)
    let bytes = Frame.preface + Frame.settings + Frame.headers(1, block)
    pair.session.receive(bytes.rawBytes, at: .zero)
    #expect(pair.session.end == .flood(.fields))
    let most = HTTP2Limits().headBytes * RequestText.bombFactor
    #expect(pair.session.request.bytes > most && pair.session.request.bytes < most + 4000)
  }

  @Test func aHeadThatIsTooLargeIsToldSo() {
    let pair = SessionPair()
    let stream = pair.client.ask(
      "/10", fields: (0..<20).map { ("x\($0)", String(repeating: "y", count: 2000)) })
    pair.exchange()
    // The connection is told by an empty head, and answers by itself.
    #expect(pair.requests.map(\.head) == [""])
    #expect(pair.session.end == nil)
    #expect(pair.client.answers[stream]?.status == 200)
  }

  @Test func aWindowThatOverflowsEndsTheConnection() {
    let pair = SessionPair()
    let bytes = Frame.preface + Frame.settings + Frame.make(8, Frame.number(0x7fff_ffff))
    pair.session.receive(bytes.rawBytes, at: .zero)
    #expect(pair.gather().suffix(17).contains(3), "FLOW_CONTROL_ERROR")
    #expect(pair.session.isOver)
  }

  @Test func whatIsNotHTTP2EndsTheSession() {
    let pair = SessionPair()
    let bytes = Array("GET / HTTP/1.1\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxx".utf8)
    pair.session.receive(bytes.rawBytes, at: .zero)
    #expect(pair.session.end == .failed)
    _ = pair.gather()
    #expect(pair.session.isOver)
  }
}
