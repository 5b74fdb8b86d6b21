import Base
import HTTP
import Testing

@Suite struct PercentCodingTests {
  private func query(_ text: [UInt8]) -> [UInt8] { PercentCoding.query(text.rawBytes) }

  private func query(_ text: String) -> String {
    String(decoding: query(Array(text.utf8)), as: UTF8.self)
  }

  private func path(_ path: [UInt8]) -> [UInt8] {
    var output = ByteBuffer(capacity: 64)
    output.append("x")
    PercentCoding.append(path: path.rawBytes, to: &output)
    return Array(output.readable.array.dropFirst())
  }

  private func path(_ text: String) -> String {
    String(decoding: path(Array(text.utf8)), as: UTF8.self)
  }

  @Test(arguments: [
    ("", ""), ("a", "a"), ("a+b", "a b"), ("+", " "), ("%2B", "+"), ("%2b%20", "+ "),
    ("%41%5a%5A", "AZZ"), ("%e2%82%AC", "€"), ("%00", "\u{0}"), ("a%26b%3Dc", "a&b=c"),
    ("%2541", "%41"), ("é", "é"),
  ])
  func decodesQueries(text: String, expected: String) {
    #expect(query(text) == expected)
  }

  @Test(arguments: [
    ("%", "%"), ("%4", "%4"), ("100%", "100%"), ("%4g", "%4g"), ("%g4", "%g4"), ("%%41", "%A"),
    ("%4%41", "%4A"), ("%+1", "% 1"), ("%-1", "%-1"), ("%0x", "%0x"), ("a%2", "a%2"), ("%%", "%%"),
    ("%41%", "A%"), ("% 41", "% 41"),
  ])
  func whatIsNoEscapeStandsForItself(text: String, expected: String) {
    #expect(query(text) == expected)
  }

  @Test(arguments: [
    ("", ""), ("/a/b.txt", "/a/b.txt"), ("/a b", "/a%20b"), ("/ü", "/%C3%BC"),
    ("/a%2Fb", "/a%252Fb"), ("?#&=+;", "%3F%23%26%3D%2B%3B"), ("-._~09azAZ", "-._~09azAZ"),
    ("a\r\nb\u{0}", "a%0D%0Ab%00"), ("@:", "%40%3A"), ("//", "//"),
  ])
  func encodesPaths(text: String, expected: String) {
    #expect(path(text) == expected)
  }

  @Test func everyByteHasItsEscape() {
    let digits = Array("0123456789ABCDEF".utf8)
    for byte in UInt8.min...UInt8.max {
      var output = ByteBuffer(capacity: 64)
      PercentCoding.appendEscape(of: byte, to: &output)
      let written = output.readable.array
      #expect(written == [0x25, digits[Int(byte) / 16], digits[Int(byte) % 16]])
      #expect(query(written) == [byte])
    }
  }

  @Test func anyPathComesBack() {
    var random = SeededRandom(seed: 13)
    for _ in 0..<2_000 {
      let bytes = (0..<random.number(in: 0...30)).map { _ in UInt8(random.number(in: 0...255)) }
      let written = path(bytes)
      #expect(written.allSatisfy { (0x21...0x7e).contains($0) && $0 != 0x3f && $0 != 0x23 })
      #expect(query(written) == bytes)
    }
  }

  /// Byte by byte: each is an escape's first, or stands for itself.
  @Test func anyQueryIsDecoded() {
    var random = SeededRandom(seed: 14)
    let alphabet = Array("%%%+0aFgG4".utf8) + [0x00, 0xff]
    for _ in 0..<5_000 {
      let bytes = (0..<random.number(in: 0...12)).map { _ in
        alphabet[random.number(in: 0...alphabet.count - 1)]
      }
      var expected: [UInt8] = []
      var rest = bytes[...]
      while let byte = rest.popFirst() {
        let digits = String(decoding: rest.prefix(2), as: UTF8.self)
        if byte == 0x25, digits.count == 2, digits.allSatisfy(\.isHexDigit),
          let value = UInt8(digits, radix: 16)
        {
          expected.append(value)
          rest = rest.dropFirst(2)
        } else {
          expected.append(byte == 0x2b ? 0x20 : byte)
        }
      }
      #expect(query(bytes) == expected)
    }
  }
}
