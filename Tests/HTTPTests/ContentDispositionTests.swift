import Base
import HTTP
import Testing

@Suite struct ContentDispositionTests {
  private func value(_ name: [UInt8], _ kind: ContentDisposition.Kind = .inline) -> String {
    var output = ByteBuffer(capacity: 64)
    ContentDisposition.append(kind, name: name, to: &output)
    return output.readable.text
  }

  private func expected(_ plain: String, _ escaped: String) -> String {
    "inline; filename=\"\(plain)\"; filename*=UTF-8''\(escaped)"
  }

  @Test func bothKinds() {
    let name = Array("a.txt".utf8)
    #expect(value(name) == "inline; filename=\"a.txt\"; filename*=UTF-8''a.txt")
    #expect(
      value(name, .attachment) == "attachment; filename=\"a.txt\"; filename*=UTF-8''a.txt")
  }

  @Test(arguments: [
    ("", "", ""), ("тест.jpg", "____.jpg", "%D1%82%D0%B5%D1%81%D1%82.jpg"),
    ("😀", "_", "%F0%9F%98%80"), ("e\u{301}", "e_", "e%CC%81"), ("\u{fffd}", "_", "%EF%BF%BD"),
  ])
  func charactersBeyondASCIIAreOneUnderscoreEach(name: String, plain: String, escaped: String) {
    #expect(value(Array(name.utf8)) == expected(plain, escaped))
  }

  /// As Go's `url.PathEscape`.
  @Test(arguments: [
    ("a b", "a%20b"), ("a\"b", "a%22b"), ("a\\b", "a%5Cb"), ("100%", "100%25"), ("a;b", "a%3Bb"),
    ("a/b,c?d#e", "a%2Fb%2Cc%3Fd%23e"), ("(a)'*!", "%28a%29%27%2A%21"),
    ("$&+:=@-_.~", "$&+:=@-_.~"), ("a\r\nSet-Cookie: b", "a%0D%0ASet-Cookie:%20b"),
    ("\u{0}\t\u{7f}", "%00%09%7F"), ("<a>[b]{c}|^`", "%3Ca%3E%5Bb%5D%7Bc%7D%7C%5E%60"),
  ])
  func escapes(name: String, escaped: String) {
    #expect(value(Array(name.utf8)) == expected(escaped, escaped))
  }

  /// Go counts each byte that belongs to no character as one.
  @Test(
    arguments: [
      ([0xff], "_", "%FF"), ([0xe2, 0x82], "__", "%E2%82"), ([0xe2, 0x82, 0x61], "__a", "%E2%82a"),
      ([0xf0, 0x9f, 0x98, 0xe2, 0x82, 0xac], "____", "%F0%9F%98%E2%82%AC"),
      ([0xc0, 0xaf], "__", "%C0%AF"), ([0xed, 0xa0, 0x80], "___", "%ED%A0%80"),
      ([0xf4, 0x90, 0x80, 0x80], "____", "%F4%90%80%80"), ([0x80, 0xc3], "__", "%80%C3"),
    ] as [([UInt8], String, String)])
  func bytesThatAreNoText(name: [UInt8], plain: String, escaped: String) {
    #expect(value(name) == expected(plain, escaped))
  }

  /// The plain way, character by character.
  private func plain(_ name: [UInt8]) -> [UInt8] {
    var plain: [UInt8] = []
    var offset = 0
    while offset < name.count {
      if name[offset] < 0x80 {
        plain.append(name[offset])
        offset += 1
        continue
      }
      let count = (2...4).first { count in
        offset + count <= name.count
          && String(validating: name[offset..<offset + count], as: UTF8.self)?.unicodeScalars.count
            == 1
      }
      plain.append(UInt8(ascii: "_"))
      offset += count ?? 1
    }
    return plain
  }

  private func unescaped(_ text: Substring) -> [UInt8] {
    // No plus may stand for a space here.
    let bytes = Array(text.utf8).flatMap { $0 == 0x2b ? Array("%2B".utf8) : [$0] }
    return PercentCoding.query(bytes.rawBytes)
  }

  /// Whatever the name, it stays one value on one line, and both names can be read from it.
  @Test func anyNameStaysInItsQuotes() throws {
    var random = SeededRandom(seed: 12)
    let pieces = ["\"", "\\", "\r\n", "; filename=\"", "é", "漢", "😀", "a", "''", "%22", "+"]
    for _ in 0..<3_000 {
      var name = (0..<random.number(in: 0...6)).flatMap { _ in
        Array(pieces[random.number(in: 0...pieces.count - 1)].utf8)
      }
      for _ in 0..<random.number(in: 0...3) {
        name.insert(
          UInt8(random.number(in: 0...255)), at: random.number(in: 0...name.count))
      }
      let written = value(name, .attachment)
      #expect(written.utf8.allSatisfy { (0x20...0x7e).contains($0) && $0 != 0x5c })
      let parts = written.split(separator: "\"", omittingEmptySubsequences: false)
      try #require(parts.count == 3)
      #expect(parts[0] == "attachment; filename=" && parts[2].hasPrefix("; filename*=UTF-8''"))
      #expect(unescaped(parts[1]) == plain(name))
      #expect(unescaped(parts[2].dropFirst("; filename*=UTF-8''".utf8.count)) == name)
    }
  }
}
