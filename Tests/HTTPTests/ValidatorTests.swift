import Base
import HTTP
import Testing

@Suite struct ValidatorTests {
  /// The comparisons of RFC 9110, 8.8.3.2.
  @Test(arguments: [
    (#"W/"1""#, #"W/"1""#, false, true), (#"W/"1""#, #"W/"2""#, false, false),
    (#"W/"1""#, #""1""#, false, true), (#""1""#, #""1""#, true, true),
  ])
  func comparesAsTheRFCsTable(_ one: String, _ other: String, _ strong: Bool, _ weak: Bool) {
    let one = [UInt8](one.utf8)
    let other = [UInt8](other.utf8)
    let found1 = Etag.strongEqual(one.rawBytes, other.rawBytes)
    #expect(found1 == strong)
    let found2 = Etag.strongMatch(list: one.rawBytes, etag: other.rawBytes)
    #expect(found2 == strong)
    let found3 = Etag.weakMatch(list: one.rawBytes, etag: other.rawBytes)
    #expect(found3 == weak)
  }

  @Test(arguments: [
    ("*", true), (" * ", true), (#""xyzzy""#, true), (#""a", "xyzzy", "b""#, true),
    (#""a",W/"xyzzy""#, true), (#""a""#, false), ("", false), ("xyzzy", false), (#""xyzzy"#, false),
    (#", , "xyzzy""#, true), (#""a,"xyzzy""#, false), (#""a b", "xyzzy""#, false), ("W/", false),
    (#"w/"xyzzy""#, false), (#""xyzzy2""#, false), (#"bad, "xyzzy""#, false),
  ])
  func findsATagInAList(_ list: String, _ expected: Bool) {
    let list = [UInt8](list.utf8)
    let etag = [UInt8](#""xyzzy""#.utf8)
    let found4 = Etag.weakMatch(list: list.rawBytes, etag: etag.rawBytes)
    #expect(found4 == expected)
  }

  @Test func aDateOrAMalformedTagIsEqualToNothing() {
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "", "\"", "abc", "\"a\"b"] {
      let bytes = [UInt8](text.utf8)
      let found5 = Etag.strongEqual(bytes.rawBytes, bytes.rawBytes)
      #expect(!found5)
    }
  }

  private func control(_ text: String) -> CacheControl {
    let bytes = [UInt8](text.utf8)
    return CacheControl.parse(bytes.rawBytes)
  }

  @Test func readsCacheControl() {
    let kubo = control("public, max-age=29030400, immutable")
    #expect(kubo.maxAge == 29_030_400 && kubo.immutable && !kubo.isPrivate)
    #expect(control("only-if-cached").onlyIfCached)
    #expect(control("No-Store ,NO-CACHE").noStore && control("No-Store ,NO-CACHE").noCache)
    #expect(control("private=\"x, no-store\"") == control("private"))
    #expect(control("max-age=\"5\", s-maxage=7").maxAge == 5)
    #expect(control("max-age=\"5\", s-maxage=7").sMaxAge == 7)
    #expect(control("max-age=1, max-age=2").maxAge == 1)
    #expect(control("max-age=99999999999999999999").maxAge == 1 << 31)
    for text in [
      "", ",,,", "max-age", "max-age=", "max-age=-1", "max-age=x", "\"no-store", "a=\"\\",
    ] {
      #expect(control(text) == CacheControl())
    }
  }

  @Test func addsAFurtherField() {
    var control = control("max-age=1")
    let more = [UInt8]("no-store, max-age=9".utf8)
    control.merge(more.rawBytes)
    #expect(control.maxAge == 1 && control.noStore)
  }

  @Test func readsQueryParameters() {
    let query = [UInt8]("format=car&&dag-scope=&x&format=raw&y=a=b&=z".utf8)
    func value(_ name: StaticString) -> String? {
      guard let range = QueryParameters.value(named: name, in: query.rawBytes) else { return nil }
      return query.rawBytes.bytes(range).text
    }
    #expect(value("format") == "car")
    #expect(value("dag-scope") == "" && value("x") == "" && value("y") == "a=b")
    #expect(value("Format") == nil && value("car") == nil)
    var names: [String] = []
    var parameters = QueryParameters(query.rawBytes)
    while let parameter = parameters.next() {
      names.append(query.rawBytes.bytes(parameter.name).text + (parameter.hasValue ? "=" : ""))
    }
    #expect(names == ["format=", "dag-scope=", "x", "format=", "y=", "="])
  }

  @Test func reasonsAreThoseOfTheRegistry() {
    #expect("\(Status.reason(416))" == "Range Not Satisfiable")
    #expect("\(Status.reason(299))" == "Successful" && "\(Status.reason(0))" == "Unknown")
  }

  /// Bytes of any kind give an answer and never a trap.
  @Test func noValueTraps() {
    var random = SeededRandom(seed: 3)
    let seeds = [
      "bytes=0-499, -5", "bytes 0-1/2", "W/\"abc\", \"d\"", "max-age=5, private=\"x\"",
      "Sun, 06 Nov 1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sunday, 06-Nov-94 08:49:37 GMT",
    ].map { [UInt8]($0.utf8) }
    let etag = seeds[2]
    var parsed = 0
    for _ in 0..<20_000 {
      var bytes = seeds[random.number(in: 0...(seeds.count - 1))]
      for _ in 0...random.number(in: 0...2) where !bytes.isEmpty {
        let at = random.number(in: 0...(bytes.count - 1))
        switch random.number(in: 0...2) {
        case 0: bytes[at] = UInt8(random.number(in: 0...255))
        case 1: bytes.remove(at: at)
        default: bytes.insert(bytes[random.number(in: 0...(bytes.count - 1))], at: at)
        }
      }
      if let range = RangeRequest.parse(bytes.rawBytes) {
        parsed += 1
        if case .part(let part) = range.resolve(length: 300) {
          #expect(part.lowerBound >= 0 && part.upperBound <= 300 && !part.isEmpty)
        }
      }
      if let range = ContentRange.parse(bytes.rawBytes) { #expect(range.first >= 0) }
      if HTTPDate.parse(bytes.rawBytes) != nil { parsed += 1 }
      _ = CacheControl.parse(bytes.rawBytes)
      _ = Etag.weakMatch(list: bytes.rawBytes, etag: etag.rawBytes)
    }
    #expect(parsed > 100)
  }
}
