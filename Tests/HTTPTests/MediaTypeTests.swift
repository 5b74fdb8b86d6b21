import Base
import HTTP
import Testing

@Suite struct MediaTypeTests {
  /// Go's own table, as gateways send it.
  static let types = [
    "avif": "image/avif", "css": "text/css; charset=utf-8", "gif": "image/gif",
    "htm": "text/html", "html": "text/html", "jpeg": "image/jpeg", "jpg": "image/jpeg",
    "js": "text/javascript; charset=utf-8", "json": "application/json",
    "mjs": "text/javascript; charset=utf-8", "pdf": "application/pdf", "png": "image/png",
    "svg": "image/svg+xml", "wasm": "application/wasm", "webp": "image/webp",
    "xml": "text/xml; charset=utf-8",
  ]

  private func sure(_ name: [UInt8]) -> String? { MediaType.sure(ofName: name).map { "\($0)" } }
  private func sure(_ name: String) -> String? { sure(Array(name.utf8)) }

  private func fileExtension(_ name: String) -> String {
    String(decoding: MediaType.fileExtension(Array(name.utf8)), as: UTF8.self)
  }

  @Test(arguments: types.keys.sorted()) func everyGatewayHasTheTypes(of written: String) {
    let type = Self.types[written]
    for name in ["a", "", "a.b", "a.txt", "ü", ".", "a b", "\u{0}"] {
      #expect(sure("\(name).\(written)") == type, "\(name)")
      #expect(sure("\(name).\(written.uppercased())") == type, "\(name)")
    }
    #expect(sure(written) == nil)
    for name in ["a.\(written)x", "a.x\(written)", "a.\(written).", "a.\(written) "] {
      #expect(sure(name) == nil, "\(name)")
    }
  }

  @Test(arguments: ["", ".", "a", "a.", "a.txt", "a.md", "a.tar.gz", "a.7z", "a.html/b", "a.html?"])
  func otherNamesDependOnTheGateway(name: String) {
    #expect(sure(name) == nil)
  }

  @Test(arguments: [
    ("a.txt", ".txt"), ("A.TxT", ".txt"), ("a.tar.GZ", ".gz"), ("a", ""), ("", ""), (".", "."),
    ("a.", "."), (".profile", ".profile"), ("a.Ü", ".Ü"), ("a. b", ". b"),
  ])
  func extensionsHaveTheirDot(name: String, expected: String) {
    #expect(fileExtension(name) == expected)
  }

  @Test func anyNameIsRead() {
    var random = SeededRandom(seed: 11)
    let pieces = [".", "html", "PNG", "js", "/", "é", "", "x"]
    var known = 0
    for _ in 0..<5_000 {
      var name = (0..<random.number(in: 0...5)).flatMap { _ in
        Array(pieces[random.number(in: 0...pieces.count - 1)].utf8)
      }
      for _ in 0..<random.number(in: 0...1) where !name.isEmpty {
        name[random.number(in: 0...name.count - 1)] = UInt8(random.number(in: 0...255))
      }
      let end = MediaType.fileExtension(name)
      #expect(end.first == (name.contains(0x2e) ? 0x2e : nil))
      #expect(!end.dropFirst().contains(0x2e) && end.count <= name.count)
      let type = Self.types[String(decoding: end.dropFirst(), as: UTF8.self)]
      #expect(sure(name) == type)
      if type != nil { known += 1 }
    }
    #expect(known > 80)
  }
}
