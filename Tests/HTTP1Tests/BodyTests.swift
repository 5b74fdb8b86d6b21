import Base
import HTTP
import HTTP1
import Testing

@Suite struct BodyTests {
  /// Reads a body that arrives in pieces; the last line says how it went.
  private func read(
    _ framing: BodyFraming, _ bytes: [UInt8], pieces: [Int]
  ) -> (body: [UInt8], end: String, left: Int) {
    var reader = BodyReader(framing)
    var body: [UInt8] = []
    var pending: [UInt8] = []
    var arrived = 0
    for end in pieces + [bytes.count] {
      pending += bytes[arrived..<end]
      arrived = end
      reading: while true {
        switch reader.read(pending.rawBytes) {
        case .needMore(let consumed):
          pending.removeFirst(consumed)
          break reading
        case .data(let skip, let count):
          body += pending[skip..<(skip + count)]
          pending.removeFirst(skip + count)
        case .end(let consumed):
          pending.removeFirst(consumed)
          return (body, "end", pending.count + bytes.count - arrived)
        case .malformed(let sentence): return (body, "\(sentence)", 0)
        }
      }
    }
    return (body, "\(reader.endOfInput)", pending.count)
  }

  @Test(arguments: [
    ("5\r\nhello\r\n0\r\n\r\n", "hello", 0), ("0\r\n\r\nGET", "", 3),
    ("a;x=\"y\"\r\n0123456789\r\n00\r\n\r\n", "0123456789", 0),
    ("1\r\na\r\n1\r\nb\r\n0\r\nX: y\r\nZ: \r\n\r\n", "ab", 0),
    ("0000000000000001\r\na\r\n0;z\r\n\r\n", "a", 0),
    ("A\r\n0123456789\r\n0\r\n\r\n!", "0123456789", 1),
  ])
  func decodesChunks(_ text: String, _ expected: String, _ left: Int) {
    let bytes = [UInt8](text.utf8)
    for pieces in [[], Array(0..<bytes.count)] + bytes.indices.map({ [$0] }) {
      let found = read(.chunked, bytes, pieces: pieces)
      #expect(String(decoding: found.body, as: UTF8.self) == expected)
      #expect(found.end == "end" && found.left == left)
    }
  }

  @Test(arguments: [
    "\r\n", "x\r\n", "-1\r\n", "+1\r\n", "0x1\r\n", " 1\r\n", "1 \r\n", "1\n", "1\ra",
    "1;\u{0}\r\n",
    "1;a\nb\r\n", "1\r\nab\r\n", "1\r\na\n", "1\r\na\rb", "00000000000000001\r\n",
    "8000000000000000\r\n", "ffffffffffffffff\r\n", "0\r\n\n", "0\r\nX\u{1}", "0\r\nX: y\n",
    "0\r\n\rX",
    "1;" + String(repeating: "x", count: 300),
    "0\r\n" + String(repeating: "X: y\r\n", count: 3_000),
    "1\r\na\r\n\r\n", ";\r\n",
  ])
  func refusesMalformedChunks(_ text: String) {
    let bytes = [UInt8](text.utf8)
    let whole = read(.chunked, bytes, pieces: [])
    #expect(!["end", "complete", "truncated"].contains(whole.end))
    if bytes.count < 100 {
      let dripped = read(.chunked, bytes, pieces: Array(0..<bytes.count))
      #expect(dripped.end == whole.end && dripped.body == whole.body)
    }
  }

  @Test func theLargestChunkSizeIsTaken() {
    let found = read(.chunked, [UInt8]("7fffffffffffffff\r\nab".utf8), pieces: [])
    #expect(found.body == [0x61, 0x62] && found.end == "truncated")
  }

  @Test func randomChunksComeBack() {
    var random = SeededRandom(seed: 5)
    for _ in 0..<300 {
      var body: [UInt8] = []
      var wire: [UInt8] = []
      for _ in 0..<random.number(in: 0...6) {
        let chunk = (0..<random.number(in: 1...40)).map { _ in UInt8(random.number(in: 0...255)) }
        body += chunk
        wire += Array(String(chunk.count, radix: 16).utf8) + [13, 10] + chunk + [13, 10]
      }
      wire += Array("0\r\n\r\n".utf8)
      let pieces = (0..<5).map { _ in random.number(in: 0...wire.count) }.sorted()
      let found = read(.chunked, wire, pieces: pieces)
      #expect(found.body == body && found.end == "end" && found.left == 0)
      let cut = Array(wire[..<random.number(in: 0...(wire.count - 1))])
      #expect(read(.chunked, cut, pieces: []).end == "truncated")
      let bent = read(.chunked, mutate(wire, &random), pieces: [])
      #expect(bent.body.count <= wire.count * 4 + 200)
    }
  }

  @Test func readsOtherFramings() {
    let bytes = [UInt8]("hello".utf8)
    for pieces in [[], [0], [1, 3], [0, 1, 2, 3, 4]] {
      let exact = read(.length(5), bytes, pieces: pieces)
      #expect(exact.body == bytes && exact.end == "end" && exact.left == 0)
      let part = read(.length(3), bytes, pieces: pieces)
      #expect(part.body == Array(bytes[..<3]) && part.end == "end" && part.left == 2)
      let short = read(.length(6), bytes, pieces: pieces)
      #expect(short.body == bytes && short.end == "truncated")
      let open = read(.untilClose, bytes, pieces: pieces)
      #expect(open.body == bytes && open.end == "complete")
      let none = read(.none, bytes, pieces: pieces)
      #expect(none.body.isEmpty && none.end == "end" && none.left == 5)
    }
    #expect(read(.length(0), [], pieces: []).end == "end")
    var reader = BodyReader(.length(5))
    #expect(reader.remainingBytes == 5 && !reader.isComplete)
    _ = reader.read(bytes.rawBytes)
    #expect(reader.remainingBytes == 0 && reader.isComplete)
  }

  /// RFC 9112, 6.3, rule by rule.
  @Test func findsTheFramingOfAMessage() {
    func framing(_ status: Int, _ length: Int64?, _ chunked: Bool, _ method: HTTP.Method)
      -> BodyFraming
    {
      var head = ResponseHead()
      head.status = status
      head.contentLength = length
      head.isChunked = chunked
      return BodyFraming.ofResponse(head, requestMethod: method)
    }
    #expect(framing(200, 5, false, .head) == .none && framing(200, nil, true, .head) == .none)
    #expect(framing(204, 5, false, .get) == .none && framing(304, 5, false, .get) == .none)
    #expect(framing(103, nil, false, .get) == .none && framing(200, 5, false, .connect) == .none)
    #expect(framing(404, 5, false, .connect) == .length(5))
    #expect(framing(200, nil, true, .get) == .chunked && framing(200, 5, false, .get) == .length(5))
    #expect(framing(200, 0, false, .get) == .none)
    #expect(framing(200, nil, false, .get) == .untilClose)
    var request = RequestHead()
    #expect(BodyFraming.ofRequest(request) == .none)
    request.contentLength = 7
    #expect(BodyFraming.ofRequest(request) == .length(7))
    request.contentLength = nil
    request.isChunked = true
    #expect(BodyFraming.ofRequest(request) == .chunked)
  }

  /// What stands behind the chunks can be asked for once the end has been read, however it arrived.
  @Test func trailers() {
    let bytes = Array("1\r\na\r\n0\r\nX: y\r\nx-stream-ERROR:  it broke \r\nbad\r\n\r\n".utf8)
    for split in bytes.indices {
      var reader = BodyReader(.chunked)
      var pending: [UInt8] = []
      for part in [bytes[..<split], bytes[split...]] {
        pending += part
        reading: while true {
          switch reader.read(pending.rawBytes) {
          case .needMore(let consumed), .end(let consumed):
            pending.removeFirst(consumed)
            break reading
          case .data(let skip, let count): pending.removeFirst(skip + count)
          case .malformed(let sentence): return #expect("\(sentence)" == "")
          }
        }
        #expect(reader.isComplete || reader.trailer(.xStreamError) == nil)
      }
      #expect(reader.trailer(.xStreamError) == Array("it broke".utf8))
      #expect(reader.trailer(.etag) == nil && reader.trailer(.other) == nil)
    }
  }
}
