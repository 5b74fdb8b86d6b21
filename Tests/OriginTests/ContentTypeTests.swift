import Testing

@testable import Origin

struct ContentTypeTests {
  @Test(
    arguments: [
      ("a.html", "text/html"), ("A.PNG", "image/png"), ("x.tar.gz", "application/gzip"),
      ("noext", nil), ("dot.", nil), (".txt", "text/plain; charset=utf-8"), ("a.unknown", nil),
    ] as [(String, String?)])
  func names(name: String, type: String?) {
    #expect(ContentType.of(name: Array(name.utf8)) == type)
  }

  @Test(
    arguments: [
      ([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "image/png"),
      ([0xff, 0xd8, 0xff, 0xe0], "image/jpeg"),
      (Array("GIF89a".utf8), "image/gif"),
      (Array("RIFF0000WEBP".utf8), "image/webp"),
      (Array("RIFF0000WAVE".utf8), "text/plain; charset=utf-8"),
      (Array("%PDF-1.7".utf8), "application/pdf"),
      (Array("0000ftypisom".utf8), "video/mp4"),
      (Array("  \n<!DOCTYPE HTML>".utf8), "text/html"),
      ([0x1f, 0x8b, 0x08], "application/gzip"),
      ([0x00, 0x61, 0x73, 0x6d], "application/wasm"),
      (Array("grüße".utf8).dropLast(2) + [], "text/plain; charset=utf-8"),
      ([0xc3], "application/octet-stream"),
      ([0x61, 0x00], "application/octet-stream"),
      ([0xff, 0xfe, 0x80, 0x81, 0x82, 0x83], "application/octet-stream"),
      ([], "text/plain; charset=utf-8"),
    ] as [([UInt8], String)])
  func starts(bytes: [UInt8], type: String) {
    #expect(ContentType.sniff(bytes) == type)
  }
}
