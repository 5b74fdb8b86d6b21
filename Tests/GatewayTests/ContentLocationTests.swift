import Base
import HTTP
import Router
import Testing

@testable import Gateway

@Suite struct ContentLocationTests {
  private func of(
    _ target: [UInt8], _ form: ContentForm, _ selection: CARSelection = CARSelection()
  ) -> [UInt8] {
    ContentLocation.of(target.rawBytes, form: form, selection: selection)
  }

  private func of(
    _ target: String, _ form: ContentForm, _ selection: CARSelection = CARSelection()
  ) -> String {
    String(decoding: of(Array(target.utf8), form, selection), as: UTF8.self)
  }

  @Test(arguments: [
    ("/a", "/a?format=raw"), ("/a?", "/a?format=raw"), ("/a?b=c", "/a?b=c&format=raw"),
    ("/a?z=1&b=2", "/a?b=2&format=raw&z=1"), ("/a?format=car", "/a?format=raw"),
    ("/a?format=x&b&format=y", "/a?b=&format=raw"), ("/a?for%6Dat=x", "/a?format=raw"),
    ("/a?Format=x", "/a?Format=x&format=raw"), ("/a?b=2&a=1&b=1", "/a?a=1&b=2&b=1&format=raw"),
    ("/a?&&b=&", "/a?b=&format=raw"), ("/a?=b", "/a?=b&format=raw"),
    ("/a?b=c=d", "/a?b=c%3Dd&format=raw"),
    // A path stays as it was sent; names and values are as Go writes them.
    ("/a%20b%2f/%C3%A9?x", "/a%20b%2f/%C3%A9?format=raw&x="),
    ("/a?q=b+c%20d%26e%3d%2B", "/a?format=raw&q=b+c+d%26e%3D%2B"),
    ("/a?q=%C3%A9/:@!*'()~-._", "/a?format=raw&q=%C3%A9%2F%3A%40%21%2A%27%28%29~-._"),
    ("/a?q=%0d%0aX:%20y", "/a?format=raw&q=%0D%0AX%3A+y"), ("/a?q=%zz", "/a?format=raw&q=%25zz"),
    ("/a?b?c", "/a?b%3Fc=&format=raw"),
  ])
  func theFormStandsInTheQuery(target: String, expected: String) {
    #expect(of(target, .raw) == expected)
  }

  @Test(arguments: ContentForm.allCases) func everyFormHasItsName(form: ContentForm) {
    #expect(of("/a", form) == "/a?format=\(form.name)")
  }

  /// The parameters of a CAR's type as the router reads them.
  @Test(arguments: [
    ("", "", "/?format=car"), ("", ";q=0.5", "/?format=car"),
    (
      "", ";version=1;order=dfs;dups=n",
      "/?car-dups=n&car-order=dfs&car-version=1&format=car"
    ),
    ("dag-scope=all", ";dups=y", "/?car-dups=y&dag-scope=all&format=car"),
    ("car-dups=n", ";dups=y;order=unk", "/?car-dups=n&car-order=unk&format=car"),
    ("car-dups=&x=1", ";dups=y", "/?car-dups=y&format=car&x=1"),
    ("entity-bytes=0:*", ";version=1", "/?car-version=1&entity-bytes=0%3A%2A&format=car"),
  ])
  func aTypesParametersStandBesideIt(query: String, type: String, expected: String) throws {
    let mark = query.isEmpty ? "" : "?"
    let asked = try #require(
      try contentRequest(
        "/ipfs/bafkqaaa/\(mark)\(query)", accept: "application/vnd.ipld.car\(type)"))
    #expect(asked.form == .car && asked.isFromAccept)
    #expect(of("/\(mark)\(query)", .car, asked.selection) == expected)
    // Of another form's answer they say nothing.
    #expect(!of("/", .raw, asked.selection).contains("car-"))
  }

  @Test func anyTargetGivesOneLine() {
    var random = SeededRandom(seed: 63)
    let alphabet = Array("/?&=%+aformt.:2".utf8) + [0xe9]
    for _ in 0..<3_000 {
      let target =
        Array("/".utf8)
        + (0..<random.number(in: 0...30)).map { _ in
          alphabet[random.number(in: 0...alphabet.count - 1)]
        }
      let location = of(target, .dagJSON)
      let path = target.prefix { $0 != UInt8(ascii: "?") }
      #expect(location.starts(with: path))
      let query = location.dropFirst(path.count)
      #expect(query.first == UInt8(ascii: "?"))
      let safe = Array("-._~+%&=".utf8)
      #expect(
        query.dropFirst().allSatisfy {
          $0.isASCIIDigit || (0x61...0x7a).contains($0.asciiLowercased) || safe.contains($0)
        })
      // It asks for the form itself, and is its own.
      #expect(of(location, .dagJSON) == location)
      let parameters = Array(query.dropFirst())
      let value = QueryParameters.value(named: "format", in: parameters.rawBytes)
        .map { parameters.rawBytes.bytes($0).text }
      #expect(value == "dag-json")
    }
  }
}
