import Base
import HTTP2
import TestKit
import Testing

/// What a client gets of an answer's lines.
@Suite struct AnswerHeadTests {
  /// Answers its only request with lines.
  private final class Liner: ServerSessionDelegate {
    let lines: String
    let session: ServerSession
    var wasGiven = false

    init(_ lines: String, _ session: ServerSession) {
      self.lines = lines
      self.session = session
    }

    func requestArrived(_ stream: Int32, _ head: RawSpan, hasBody: Bool) -> Int? {
      let bytes = Array(lines.utf8)
      wasGiven = session.respond(stream, bytes.rawBytes, hasBody: false)
      return 0
    }

    func bodyArrived(_ place: Int, _ bytes: RawSpan) {}
    func bodyEnded(_ place: Int) {}
    func fill(_ place: Int, _ room: UnsafeMutableRawBufferPointer) -> Filling { .broken }
    func answerSent(_ place: Int) {}
    func streamClosed(_ place: Int, isComplete: Bool) {}
  }

  private func answer(_ lines: String) -> (wasGiven: Bool, answer: HTTP2Client.Answer?) {
    let memory = SessionMemory()
    let session = ServerSession(limits: HTTP2Limits(), memory: memory)
    let liner = Liner(lines, session)
    session.delegate = liner
    let client = HTTP2Client()
    let stream = client.ask("/")
    let asked = client.take()
    session.receive(asked.rawBytes, at: .zero)
    let output = FrameBuffer()
    session.gather(into: output)
    client.receive(output.readable.array)
    return (liner.wasGiven, client.answers[stream])
  }

  @Test func linesBecomeFields() {
    let (_, answer) = answer(
      "HTTP/1.1 206 Partial Content\r\nETag: \"a:b\"\r\nX-Empty:\r\n"
        + "Access-Control-Allow-Origin: *\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        + "X-Ipfs-Path: /ipfs/a b\r\n")
    #expect(answer?.status == 206)
    #expect(
      answer?.fields.map { "\($0.name)=\($0.value)" } == [
        "etag=\"a:b\"", "x-empty=", "access-control-allow-origin=*", "x-ipfs-path=/ipfs/a b",
      ])
    #expect(answer?.isComplete == true)
  }

  /// A content's own fields are not remembered, but their names are, and anew now and then.
  @Test func namesAreSpelledOnce() throws {
    let memory = SessionMemory()
    let session = ServerSession(limits: HTTP2Limits(), memory: memory)
    let client = HTTP2Client()
    let output = FrameBuffer()
    var sizes: [Int] = []
    for number in 100..<400 {
      // Digits, which all take five bits: values differ, and not in length.
      let liner = Liner(
        "HTTP/1.1 200 OK\r\nX-Ipfs-Roots: \(number % 3)00\(number % 2)\r\n", session)
      session.delegate = liner
      let stream = client.ask("/")
      session.receive(client.take().rawBytes, at: .zero)
      session.gather(into: output)
      let frames = output.readable.array
      output.consume(frames.count)
      sizes.append(frames.count)
      client.receive(frames)
      let answer = try #require(client.answers[stream])
      #expect(answer.fields.map(\.name) == ["x-ipfs-roots"])
      #expect(answer.fields.first?.value == "\(number % 3)00\(number % 2)")
    }
    let largest = try #require(sizes.dropFirst().max())
    #expect(largest <= sizes[0] - 9 - 12, "neither the name nor the server's SETTINGS")
  }

  @Test func whatIsNoFieldIsLeftOut() {
    let (_, answer) = answer("HTTP/1.1 200 OK\r\nno colon\r\n: no name\r\nAge: 7\r\n")
    #expect(answer?.fields.map(\.name) == ["age"])
  }

  @Test func whatIsNoHeadIsRefused() {
    #expect(!answer("HTTP/1.1").wasGiven)
  }

  @Test func aHeadThatCannotBeSentResetsItsStream() {
    let lines = (0..<20).map { "X-\($0): \(String(repeating: "v", count: 4000))\r\n" }.joined()
    let (_, answer) = answer("HTTP/1.1 200 OK\r\n" + lines)
    #expect(answer?.status == 0 && answer?.closed == 2)
  }

  @Test func manyFieldsOfAnyLength() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<50 {
      let fields = (0..<random.number(in: 0...150)).map { number in
        ("x-\(number)", String(repeating: "v", count: random.number(in: 0...300)))
      }
      let lines = fields.map { "\($0.0.uppercased()): \($0.1)\r\n" }.joined()
      let (_, answer) = answer("HTTP/1.1 200 OK\r\n" + lines)
      #expect(answer?.fields.map(\.name) == fields.map(\.0))
      #expect(answer?.fields.map(\.value) == fields.map(\.1))
    }
  }
}
