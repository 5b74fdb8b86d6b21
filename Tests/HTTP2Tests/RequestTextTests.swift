import Base
import HTTP2
import Testing

@Suite struct RequestTextTests {
  private func text(_ fields: [(String, String)], limit: Int = 1000) -> String {
    var request = RequestText(limit: limit)
    request.begin()
    for (name, value) in fields {
      let name = Array(name.utf8)
      let value = Array(value.utf8)
      request.add(name.rawBytes, value.rawBytes)
    }
    var text = ByteBuffer(capacity: 64)
    request.write(to: &text)
    return text.withReadable { $0.text }
  }

  @Test func theHeadOfHTTP11() {
    #expect(
      text([
        (":path", "/a?b"), (":method", "GET"), (":scheme", "https"), (":authority", "a:1"),
        ("accept", "*/*"), ("x", ""),
      ]) == "GET /a?b HTTP/1.1\r\nhost: a:1\r\naccept: */*\r\nx: \r\n\r\n")
  }

  @Test func hostStandsForAnAuthority() {
    #expect(
      text([(":method", "GET"), (":path", "/"), ("host", "b")])
        == "GET / HTTP/1.1\r\nhost: b\r\n\r\n")
  }

  /// The parser refuses a head with two hosts; the same one twice is one.
  @Test func anotherHostIsNotHidden() {
    let fields = [(":method", "GET"), (":path", "/"), (":authority", "a")]
    #expect(text(fields + [("host", "a")]) == "GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    #expect(text(fields + [("host", "b")]) == "GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n")
  }

  @Test func connectAsksForItsAuthority() {
    #expect(
      text([(":method", "CONNECT"), (":authority", "a:443")])
        == "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n")
  }

  @Test func cookiesBecomeOne() {
    #expect(
      text([
        (":method", "GET"), (":path", "/"), ("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"),
      ]) == "GET / HTTP/1.1\r\nx: y\r\ncookie: a=1; b=2\r\n\r\n")
  }

  @Test func whatIsTooLargeIsNotKept() {
    var request = RequestText(limit: 100)
    request.begin()
    let name = Array("x".utf8)
    let value = [UInt8](repeating: 0x61, count: 90)
    request.add(name.rawBytes, value.rawBytes)
    let answer1 = !request.isTooLarge
    #expect(answer1)
    request.add(name.rawBytes, value.rawBytes)
    let answer2 = request.isTooLarge && !request.isBomb
    #expect(answer2)
    for _ in 0..<3 { request.add(name.rawBytes, value.rawBytes) }
    let answer3 = request.isBomb
    #expect(answer3)
    var text = ByteBuffer(capacity: 64)
    request.write(to: &text)
    let count = text.count
    #expect(count < 130)
    request.begin()
    let answer4 = !request.isTooLarge
    #expect(answer4)
  }
}

@Suite struct AnswerFieldRuleTests {
  @Test func whatIsTheConnectionsOwnIsDropped() {
    for name in ["Connection", "keep-alive", "Proxy-Connection", "TRANSFER-ENCODING", "Upgrade"] {
      #expect(rule(name) == .dropped)
    }
  }

  @Test func whatIsOneContentsOwnIsNotRemembered() {
    for name in [
      "X-Ipfs-Path", "X-IPFS-Hash", "x-ipfs-roots", "Content-Range", "Content-Location",
      "Last-Modified", "Content-Disposition",
    ] {
      #expect(rule(name) == .literal)
    }
  }

  @Test func allElseIs() {
    for name in ["Content-Type", "Cache-Control", "Vary", "Age", "X-Request-ID", "ETag", ""] {
      #expect(rule(name) == .indexed)
    }
  }

  private func rule(_ name: String) -> AnswerFieldRule {
    let name = Array(name.utf8)
    return .of(name.rawBytes)
  }
}
