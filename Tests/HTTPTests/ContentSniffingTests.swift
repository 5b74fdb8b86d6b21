import Base
import HTTP
import Testing

@Suite struct ContentSniffingTests {
  @Test(
    arguments: [
      ([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "image/png"),
      ([0xff, 0xd8, 0xff, 0xe0], "image/jpeg"),
      (Array("GIF89a".utf8), "image/gif"),
      (Array("RIFF0000WEBP".utf8), "image/webp"),
      (Array("RIFF0000WAVE".utf8), "audio/wav"),
      (Array("%PDF-1.7".utf8), "application/pdf"),
      (Array("0000ftypisom".utf8), "video/mp4"),
      (Array("  \n<!DOCTYPE HTML>".utf8), "text/html"),
      ([0x1f, 0x8b, 0x08], "application/gzip"),
      ([0x00, 0x61, 0x73, 0x6d], "application/wasm"),
      (Array("grüße".utf8).dropLast(2) + [], "text/plain; charset=utf-8"),
      ([0xc3], "text/plain; charset=iso-8859-1"),
      ([0x61, 0x00], "application/octet-stream"),
      ([0xff, 0xfe, 0x80, 0x00], "text/plain; charset=utf-16le"),
      ([0x93, 0x61, 0x94], "text/plain; charset=windows-1252"),
      (Array("<p>".utf8), "text/html"), (Array("<pre>".utf8), "text/plain; charset=utf-8"),
      (Array("<!-- -->".utf8), "text/html"), (Array("<?xml?>".utf8), "text/xml; charset=utf-8"),
      (Array("<?xml?><svg/>".utf8), "image/svg+xml"),
      (Array(" {\"a\": [1, -2.5e+3, \"\\u00e4\"]} ".utf8), "application/json"),
      (Array("[]".utf8), "application/json"), (Array("{}x".utf8), "text/plain; charset=utf-8"),
      (Array("{\"a\"".utf8), "text/plain; charset=utf-8"),
      (Array("[1,]".utf8), "text/plain; charset=utf-8"),
      (Array("12".utf8), "text/plain; charset=utf-8"),
      (Array("[\"\(String(repeating: "x", count: 600))".utf8.prefix(512)), "application/json"),
      ([], "text/plain; charset=utf-8"),
    ] as [([UInt8], String)])
  func starts(bytes: [UInt8], type: String) {
    #expect(MediaType.sniff(bytes) == type)
  }

  @Test func anyBytesHaveAType() {
    var random = SeededRandom(seed: 3)
    let pieces = [
      "{", "}", "[", "]", "\"", "\\", "u00", ":", ",", "1", "-", "e", ".", "true", " ", "<", "é",
    ]
    for _ in 0..<20_000 {
      var text = (0..<random.number(in: 0...12)).flatMap { _ in
        Array(pieces[random.number(in: 0...pieces.count - 1)].utf8)
      }
      if random.chance(0.1) { text.append(UInt8(random.number(in: 0...255))) }
      #expect(!MediaType.sniff(text).isEmpty)
    }
    let deep = [UInt8](repeating: UInt8(ascii: "["), count: 512)
    #expect(MediaType.sniff(deep) == "text/plain; charset=utf-8")
  }
}
