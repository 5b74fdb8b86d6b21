import Base
import Testing

@testable import Origin

struct RedirectsFileTests {
  private func file(_ text: String) throws -> RedirectsFile { try RedirectsFile(Array(text.utf8)) }

  /// From, to, path, where it leads.
  @Test(
    arguments: [
      ("/one", "/one.html", "/one", "/one.html"),
      ("/one/", "/one.html", "/one", "/one.html"),
      ("/one", "/one.html", "/one/two", nil),
      ("/one/two", "/x", "/one", nil),
      ("/posts/:year/:title", "/a/:title/:year", "/posts/2022/hi", "/a/hi/2022"),
      ("/posts/:year", "/a/:year", "/posts/2022/hi", nil),
      ("/:a/:ab", "/x/:ab/:a", "/1/2", "/x/2/1"),
      ("/splat/*", "/to/:splat", "/splat/a/b", "/to/a/b"),
      ("/splat/*", "/to/:splat", "/splat", nil),
      ("/*", "/index.html", "/any/thing", "/index.html"),
      ("/a*", "/b", "/ab", nil),
      ("/x", "https://example.org/:splat", "/x", "https://example.org/"),
    ] as [(String, String, String, String?)])
  func placeholders(from: String, to: String, path: String, destination: String?) throws {
    let found = try file("\(from) \(to)\n").rule(for: Array(path.utf8))
    #expect(found.map { String(decoding: $0.destination, as: UTF8.self) } == destination)
    if destination != nil { #expect(found?.status == 301) }
  }

  @Test func firstRuleWins() throws {
    let rules = try file("# comment\r\n\r\n/a /b 302\r\n  /a\t/c 200  \n/* /d 404")
    #expect(rules.rules.count == 3)
    #expect(rules.rule(for: Array("/a".utf8))?.status == 302)
    #expect(rules.rule(for: Array("/z".utf8))?.status == 404)
  }

  @Test(arguments: [
    ("/home / 301!", "forced redirects"), ("/home / 42", "status code 42 is not supported"),
    ("/home", "missing 'to' path"), ("/a /b 301 x", "must match format"),
    ("a /b", "must begin with '/'"), ("/a*b /b", "must end with asterisk"),
    ("/a/*/* /b", "at most one asterisk"), ("/a ftp://x", "invalid URL scheme"),
  ])
  func wrongLines(line: String, sentence: String) {
    #expect {
      _ = try file("/fine /too\n\(line)\n")
    } throws: { error in
      (error as? RedirectsFile.Malformed)?.sentence.contains(sentence) == true
    }
  }

  @Test func sizeIsBounded() throws {
    let line = "/a /b\n"
    _ = try RedirectsFile(Array(String(repeating: line, count: 10_000).utf8))
    #expect(throws: RedirectsFile.Malformed.self) {
      _ = try RedirectsFile(Array(String(repeating: line, count: 11_000).utf8))
    }
  }

  @Test func anyBytesAreReadOrRefused() throws {
    var random = SeededRandom(seed: 3)
    let alphabet = Array("/:*a1 \n\t#!200https301".utf8) + [0, 0xff]
    for _ in 0..<3_000 {
      let bytes = (0..<random.number(in: 0...60)).map { _ in
        alphabet[random.number(in: 0...alphabet.count - 1)]
      }
      guard let rules = try? RedirectsFile(bytes) else { continue }
      _ = rules.rule(for: Array("/a/1/:a".utf8))
      _ = rules.rule(for: [])
    }
  }
}
