import Base
import HTTP
import HTTP1
import Testing

@Suite struct RequestParserTests {
  private func parse(_ text: String) -> String { request([UInt8](text.utf8)) }

  @Test func readsAHead() {
    let bytes = [UInt8](Corpus.good[1].utf8)
    let (result, head) = parseRequest(bytes + [0x58, 0x58])
    guard case .complete(let count) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(count == bytes.count)
    #expect(head.method == .head && text(head.methodText, bytes) == "HEAD")
    #expect(text(head.target, bytes) == "/ipfs/bafkqaaa?format=raw")
    #expect(text(head.path, bytes) == "/ipfs/bafkqaaa" && text(head.query, bytes) == "format=raw")
    #expect(text(head.authority, bytes) == "gateway.example:8080")
    #expect(head.keepAlive && !head.isChunked && head.contentLength == nil)
    #expect(lines(head.fields, bytes) == ["host|Host|gateway.example:8080", "accept|Accept|*/*"])
    #expect(head.count(.host) == 1 && head.count(.range) == 0)
    #expect(head.value(.accept).map { text($0, bytes) } == "*/*" && head.value(.range) == nil)
  }

  @Test func acceptsTheGood() {
    for text in Corpus.good { #expect(status(text) == 0, "\(text)") }
  }

  @Test func refusesTheBad() {
    for (text, expected) in Corpus.bad { #expect(status(text) == expected, "\(text)") }
  }

  @Test func refusesWhatCouldBeReadInTwoWays() {
    for (fields, expected) in Corpus.smuggling {
      let text = "POST / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n\r\n"
      #expect(status(text) == expected, "\(text)")
    }
    #expect(status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400)
    #expect(status("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n") == 400)
  }

  @Test func keepsConnectionsByVersionAndOption() {
    for (version, option, expected) in [
      ("1.1", "", true), ("1.0", "", false), ("1.1", "close", false), ("1.0", "keep-alive", true),
      ("1.1", "keep-alive, Close", false), ("1.0", "x,KEEP-ALIVE", true), ("1.1", "closed", true),
      ("1.0", "keep-alive, close", false),
    ] {
      let text = "GET / HTTP/\(version)\r\nHost: a\r\nConnection: \(option)\r\n\r\n"
      #expect(parseRequest([UInt8](text.utf8)).head.keepAlive == expected, "\(version) \(option)")
    }
  }

  @Test func readsBodiesAndExpectations() {
    func head(_ fields: String, _ version: String = "1.1") -> RequestHead {
      parseRequest([UInt8]("PUT / HTTP/\(version)\r\nHost: a\r\n\(fields)\r\n\r\n".utf8)).head
    }
    #expect(head("Content-Length: 9223372036854775807").contentLength == .max)
    #expect(head("Content-Length: 0").contentLength == 0)
    #expect(head("Transfer-Encoding: CHUNKED ,").isChunked)
    #expect(head("Expect: 100-Continue").expectsContinue)
    #expect(
      !head("Expect: 100-continue", "1.0").expectsContinue && !head("Expect: x").expectsContinue)
  }

  @Test func readsTheFormsOfATarget() {
    func parts(_ line: String, _ host: String) -> [String] {
      let bytes = [UInt8]("\(line) HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)
      let (result, head) = parseRequest(bytes)
      guard case .complete = result else { return ["\(result)"] }
      return [head.target, head.path, head.query, head.authority].map { text($0, bytes) }
    }
    #expect(parts("GET /a?b?c", "h") == ["/a?b?c", "/a", "b?c", "h"])
    #expect(parts("GET /a?", "h") == ["/a?", "/a", "", "h"])
    #expect(parts("GET //a", "") == ["//a", "//a", "", ""])
    #expect(parts("GET http://H:80/a?b", "h") == ["/a?b", "/a", "b", "H:80"])
    #expect(parts("GET http://h", "h:") == ["/", "/", "", "h"])
    #expect(parts("GET https://h:443?q", "h") == ["?q", "/", "q", "h:443"])
    #expect(parts("OPTIONS *", "h") == ["*", "*", "", "h"])
    #expect(parts("OPTIONS /a", "h") == ["/a", "/a", "", "h"])
    #expect(parts("CONNECT [::1]:80", "[::1]:80") == ["[::1]:80", "", "", "[::1]:80"])
  }

  @Test func holdsItsLimits() {
    let limits = HTTP1Limits(lineBytes: 100, headBytes: 300, fieldCount: 5)
    func check(_ text: String) -> Int { status(text, limits: limits) }
    let long = String(repeating: "a", count: 100)
    #expect(check("GET /\(long) HTTP/1.1\r\n") == 414 && check("GET /\(long)") == 414)
    #expect(check("GET / HTTP/1.1\r\nA: \(long)") == 431)
    let line = "A: \(String(repeating: "a", count: 97))\r\n"
    #expect(check("GET / HTTP/1.1\r\n\(line)") == -1)
    #expect(check("GET / HTTP/1.1\r\n\(line)\(line)\(line)") == 431)
    let few = String(repeating: "A: b\r\n", count: 4)
    #expect(check("GET / HTTP/1.1\r\nHost: a\r\n\(few)\r\n") == 0)
    #expect(check("GET / HTTP/1.1\r\nHost: a\r\n\(few)A: b\r\n") == 431)
    // A head of exactly the limit passes, one byte more does not.
    let base =
      "GET / HTTP/1.1\r\nHost: a\r\nA: \(long.dropLast(10))\r\nB: \(long.dropLast(10))\r\nC: "
    let rest = 300 - base.utf8.count - 4
    #expect(check(base + String(repeating: "c", count: rest) + "\r\n\r\n") == 0)
    #expect(check(base + String(repeating: "c", count: rest + 1) + "\r\n\r\n") == 431)
    #expect(check("\r\n\r\n") == -1 && check("\r") == -1)
  }

  @Test func everySplitGivesTheSame() {
    let smuggling = Corpus.smuggling.map { "POST / HTTP/1.1\r\nHost: a\r\n\($0.text)\r\n\r\n" }
    for text in Corpus.good + Corpus.bad.map(\.text) + smuggling {
      let bytes = [UInt8](text.utf8)
      let whole = request(bytes)
      #expect(request(bytes, pieces: Array(0..<bytes.count)) == whole)
      for split in bytes.indices {
        let parts = request(bytes, pieces: [split])
        if parts != whole { #expect(parts == whole, "\(text) at \(split)") }
      }
    }
  }

  @Test func oneParserReadsOneHeadAfterTheOther() {
    var parser = RequestParser()
    var head = RequestHead()
    for text in Corpus.good + Corpus.good.reversed() {
      let bytes = [UInt8](text.utf8)
      let result = parser.parse(bytes.rawBytes, into: &head)
      #expect(outcome(result, head, bytes) == request(bytes))
      parser.reset()
    }
  }

  /// However a request is bent, what is accepted keeps what the grammar promises.
  @Test func mutatedRequestsKeepTheInvariants() {
    var random = SeededRandom(seed: 0x5eed)
    let smuggling = Corpus.smuggling.map { "POST / HTTP/1.1\r\nHost: a\r\n\($0.text)\r\n\r\n" }
    let seeds = (Corpus.good + Corpus.good + Corpus.good + smuggling).map { [UInt8]($0.utf8) }
    var accepted = 0
    for round in 0..<50_000 {
      let bytes = mutate(seeds[random.number(in: 0...(seeds.count - 1))], &random)
      let (result, head) = parseRequest(bytes)
      if case .complete(let count) = result {
        accepted += 1
        let wrong = violation(head, bytes, count)
        if let wrong { Issue.record("\(wrong): \(String(decoding: bytes, as: UTF8.self))") }
      }
      if round % 10 == 0, !bytes.isEmpty {
        let split = [random.number(in: 0...(bytes.count - 1))]
        let same = request(bytes, pieces: split) == outcome(result, head, bytes)
        if !same { Issue.record("split \(split): \(String(decoding: bytes, as: UTF8.self))") }
      }
    }
    #expect(accepted > 4_000 && accepted < 45_000, "\(accepted)")
  }

  private func violation(_ head: RequestHead, _ bytes: [UInt8], _ count: Int) -> String? {
    guard count >= 4, count <= bytes.count, Array(bytes[(count - 4)..<count]) == [13, 10, 13, 10]
    else { return "end" }
    for range in [head.target, head.path, head.query, head.authority, head.methodText] {
      if range.end > count { return "range" }
      if bytes[range.range].contains(where: { $0 <= 0x20 || $0 == 0x7f }) { return "blank" }
    }
    if head.method != .connect, head.path.isEmpty { return "path" }
    if bytes[head.authority.range].contains(where: { $0 == 0x40 || $0 == 0x2f }) { return "host" }
    if head.version == .http11, head.count(.host) != 1 { return "hosts" }
    if head.isChunked, head.contentLength != nil { return "two framings" }
    if head.isChunked != (head.count(.transferEncoding) > 0) { return "chunked" }
    if (head.contentLength != nil) != (head.count(.contentLength) == 1) { return "length" }
    for field in head.fields {
      if field.name.isEmpty || field.value.end > count { return "field" }
      if bytes[field.name.range].contains(where: { !$0.isTokenByte }) { return "name" }
      let value = bytes[field.value.range]
      if value.contains(where: { ($0 < 0x20 && $0 != 9) || $0 == 0x7f }) { return "value" }
      if let first = value.first, first.isBlank || (value.last?.isBlank ?? false) { return "trim" }
    }
    return nil
  }
}
