import Base
import HTTP
import Testing

@testable import Router

@Suite struct FileNameTests {
  /// The extension that a gateway has to be asked with; nil where the request is passed through.
  private func foreign(_ rest: String) -> String? {
    let routed = Routed("/ipfs/\(old)\(rest)")
    return routed.asked.map { _ in String(decoding: routed.foreignExtension, as: UTF8.self) }
  }

  @Test(arguments: [
    // Known here, or the path's own.
    ("/a?filename=b.html", ""), ("/a.txt?filename=b.PNG", ""), ("/a.txt?filename=b.txt", ""),
    ("/a.txt?filename=b.TXT", ""), ("/a.TXT?filename=b.txt", ""), ("/a?filename=b", ""),
    ("?filename=b", ""), ("/a.?filename=b.", ""), ("/a.txt?filename=", ""), ("/a.md", ""),
    ("/d.txt/a?filename=b", ""),
    // Only a gateway knows.
    ("/a.txt?filename=b.md", ".md"), ("/a?filename=b.MD", ".md"), ("?filename=b.md", ".md"),
    ("/?filename=b.md", ".md"), ("/a.html?filename=b.md", ".md"), ("/a.txt?filename=b", "."),
    ("/a.html?filename=b", "."), ("/a.txt?filename=b.", "."), ("/a?filename=b.", "."),
    ("/d.md/a?filename=b.md", ".md"), ("/a?filename=b.tar.gz", ".gz"),
    ("/a?filename=b%2Emd", ".md"), ("/a?filename=b.m+d", ".m d"), ("/a?filename=b.m%zz", ".m%zz"),
    ("/a?filename=%00.%00", ".\u{0}"), ("/a?file%6eame=b.md", ".md"),
    ("/a?filename=b.md&filename=c.txt", ".md"),
    // Other forms have their own types.
    ("/a?filename=b.md&format=raw", ""), ("/a?filename=b.md&format=car", ""),
    ("/a?filename=b.md&format=dag-json", ""), ("/a?filename=b.md&format=dag-cbor", ""),
    ("/a?filename=b.md&format=json", ".md"), ("/a?filename=b.md&format=cbor", ".md"),
  ])
  func extensionsThatOnlyAGatewayKnows(rest: String, expected: String) {
    #expect(foreign(rest) == expected)
  }

  @Test func extensionsHaveABound() {
    let long = "." + String(repeating: "x", count: 31)
    #expect(foreign("/a?filename=b\(long)") == long)
    #expect(Routed("/ipfs/\(old)/a?filename=b\(long)x").name == "pass")
    #expect(Routed("/ipfs/\(old)/a?filename=b\(long)x&format=raw").key != nil)
    let host = "bafkqaaa.ipfs.dweb.example"
    #expect(Routed("/a?filename=b\(long)x", host: host).name == "pass with host")
    #expect(Routed("/a?filename=b\(long)x", host: "docs.example").name == "pass with host")
    // Its own extension changes nothing, however long.
    #expect(foreign("/a\(long)x?filename=b\(long)x") == "")
  }

  @Test func theExtensionIsPartOfTheKey() throws {
    func key(_ rest: String) throws -> [UInt8] {
      try #require(Routed("/ipfs/\(old)\(rest)").key)
    }
    let plain = try key("/a.txt")
    let foreign = try key("/a.txt?filename=b.md")
    #expect(foreign == plain + [0] + Array(".md".utf8))
    #expect(try key("/a.txt?filename=c.MD&download=true") == foreign)
    #expect(try key("/a.txt?filename=b") == plain + [0] + Array(".".utf8))
    for same in ["b.txt", "b.html", "", "b.png"] {
      #expect(try key("/a.txt?filename=\(same)") == plain, "\(same)")
    }
    #expect(try key("/a.txt?filename=b.md&format=json") != foreign)
    #expect(
      try key("/a.txt?filename=b.md&format=raw") == key("/a.txt?format=raw"))
    // No path makes the same key: it has no zero byte.
    #expect(Routed("/ipfs/\(old)/a.txt%00.md").name == "400")
  }

  @Test func anyNameIsRead() throws {
    let long = String(repeating: "x", count: 40)
    var random = SeededRandom(seed: 52)
    let pieces = [
      ".", "md", "txt", "html", "%2e", "%", "+", "%00", "%ff", "/", "%C3%A9", long,
    ]
    var found: Set<String> = []
    for _ in 0..<3_000 {
      let name = (0..<random.number(in: 0...6)).map { _ in
        pieces[random.number(in: 0...pieces.count - 1)]
      }.joined()
      let own = random.chance(0.5) ? "a.md" : "a"
      let routed = Routed("/ipfs/\(old)/\(own)?filename=\(name)")
      guard routed.asked != nil, let key = routed.key else {
        #expect(routed.name == "pass")
        found.insert("pass")
        continue
      }
      let foreign = routed.foreignExtension
      #expect(foreign.count <= 32 && (foreign.isEmpty || foreign[0] == 0x2e))
      let plain = try #require(Routed("/ipfs/\(old)/\(own)").key)
      #expect(key == plain + (foreign.isEmpty ? [] : [0] + foreign))
      found.insert(foreign.isEmpty ? "none" : foreign.count == 1 ? "dot" : "extension")
    }
    #expect(found == ["pass", "none", "dot", "extension"])
  }
}
