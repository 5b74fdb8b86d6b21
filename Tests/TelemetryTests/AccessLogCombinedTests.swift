import Base
import Testing

@testable import Telemetry

@Suite struct AccessLogCombinedTests {
  private func line(_ texts: Texts) -> [UInt8] {
    var formatter = AccessLogFormatter(.combined)
    var output = ByteBuffer(capacity: 64)
    texts.withEntry { formatter.append($0, to: &output) }
    return output.readable.array
  }

  private func text(_ texts: Texts) -> String { String(decoding: line(texts), as: UTF8.self) }

  @Test func aLineIsSpelledLikeThis() {
    let texts = Texts(
      referer: Array("https://a.example/".utf8), userAgent: Array("curl/7.88.1".utf8))
    #expect(
      text(texts) == """
        203.0.113.7 - - [02/Jan/2026:03:04:05 +0000] "GET /ipfs/bafkqaaa?format=raw HTTP/1.1" 206 \
        4711 "https://a.example/" "curl/7.88.1"

        """)
  }

  @Test func whatIsNotThereIsAHyphen() {
    let texts = Texts(client: [], method: [], target: [])
    #expect(text(texts) == "- - - [02/Jan/2026:03:04:05 +0000] \"-\" 206 4711 \"-\" \"-\"\n")
  }

  @Test func bytesAreEscapedAsNginxDoes() {
    let agent = Array("a \"b\" \\ ~".utf8) + [0x7f, 0x00, 0x1f, 0x0a, 0xc3, 0xa9, 0xff]
    #expect(
      text(Texts(userAgent: agent))
        .hasSuffix(#""a \x22b\x22 \x5C ~\x7F\x00\x1F\x0A\xC3\xA9\xFF""# + "\"\n") == false)
    #expect(
      text(Texts(userAgent: agent))
        .hasSuffix(#"a \x22b\x22 \x5C ~\x7F\x00\x1F\x0A\xC3\xA9\xFF"# + "\"\n"))
  }

  /// The line taken apart by the rules that readers of nginx's logs use.
  private static func bytes(of escaped: some StringProtocol) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = escaped.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "\\") else {
        bytes.append(byte)
        continue
      }
      let digits = String(decoding: rest.dropFirst().prefix(2), as: UTF8.self)
      guard rest.first == UInt8(ascii: "x"), let value = UInt8(digits, radix: 16) else {
        return nil
      }
      bytes.append(value)
      rest = rest.dropFirst(3)
    }
    return bytes
  }

  @Test func anyBytesGiveOneLineThatReadsBack() throws {
    var random = SeededRandom(seed: 29)
    for round in 0..<200 {
      func bytes() -> [UInt8] {
        let count = random.number(in: 1...(round % 10 == 0 ? 6_000 : 80))
        return (0..<count).map { _ in UInt8(random.number(in: 0...255)) }
      }
      let texts = Texts(target: bytes(), referer: bytes(), userAgent: bytes())
      let line = line(texts)
      #expect(line.count <= AccessLogLimits.line)
      #expect(line.filter { $0 == 0x0a }.count == 1 && line.last == 0x0a)
      #expect(line.dropLast().allSatisfy { (0x20...0x7e).contains($0) })
      // No quotation mark but those of the form itself.
      let parts = String(decoding: line, as: UTF8.self).split(
        separator: "\"", omittingEmptySubsequences: false)
      try #require(parts.count == 7)
      let request = "GET ".utf8 + texts.target.prefix(AccessLogLimits.target) + " HTTP/1.1".utf8
      #expect(Self.bytes(of: parts[1]) == Array(request))
      #expect(Self.bytes(of: parts[3]) == Array(texts.referer.prefix(AccessLogLimits.field)))
      #expect(Self.bytes(of: parts[5]) == Array(texts.userAgent.prefix(AccessLogLimits.field)))
    }
  }

  @Test func monthsHaveTheirNames() {
    let names = [
      "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    // The first of each month of 2026 is a day after the last one of the month before.
    let lengths: [Int64] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var second: Int64 = 1_767_225_600
    for (name, length) in zip(names, lengths) {
      var output = ByteBuffer(capacity: 64)
      output.append(commonLog: second)
      #expect(output.readable.text == "01/\(name)/2026:00:00:00 +0000")
      second += length * 86_400
      output.clear()
      output.append(commonLog: second - 1)
      #expect(output.readable.text == "\(length)/\(name)/2026:23:59:59 +0000")
    }
  }
}
