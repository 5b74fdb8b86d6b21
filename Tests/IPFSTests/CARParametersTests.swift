import Base
import IPFS
import Testing

@Suite struct CARParametersTests {
  /// The parameters of `name=value` pairs as a URL has them.
  private static func parse(_ query: String) throws(CARParameterError) -> CARParameters {
    var parameters = CARParameters()
    for pair in query.split(separator: "&") {
      let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
      let name = Array(parts[0].utf8)
      let value = Array(parts[1].utf8)
      guard let parameter = CARParameters.Parameter(inURL: name.rawBytes) else { continue }
      try parameters.take(parameter, value.rawBytes)
    }
    return parameters
  }

  private static func range(_ text: String) -> CARParameters.EntityBytes? {
    let text = Array(text.utf8)
    return CARParameters.EntityBytes(text.rawBytes)
  }

  @Test func defaultsAreThoseOfGateways() throws {
    let parameters = try Self.parse("")
    #expect(parameters == CARParameters())
    #expect(parameters.scope == .all)
    #expect(parameters.entityBytes == nil)
    #expect(parameters.order == .depthFirst)
    #expect(!parameters.duplicates)
    #expect(try Self.parse("car-version=1&car-order=dfs&car-dups=n&dag-scope=all") == parameters)
    #expect(try Self.parse("car-version=&car-order=&car-dups=") == parameters)
    #expect(try Self.parse("format=car&filename=x") == parameters)
    let type = appended { parameters.appendMediaType(to: &$0) }
    #expect(type.text == "application/vnd.ipld.car; version=1; order=dfs; dups=n")
  }

  /// Queries of one line mean the same, those of different lines do not.
  static let meanings = [
    ["", "dag-scope=all", "dag-scope=all&entity-bytes=0:10", "entity-bytes=0:*&dag-scope=all"],
    ["dag-scope=block", "dag-scope=block&entity-bytes=5:*"],
    ["dag-scope=entity", "entity-bytes=0:*", "entity-bytes=-0:*", "entity-bytes=0:-1"],
    ["entity-bytes=0:10", "dag-scope=entity&entity-bytes=+0:010", "entity-bytes=00:10"],
    ["entity-bytes=-10:*", "entity-bytes=-10:-1"],
    ["entity-bytes=1:*"], ["entity-bytes=1:1"], ["entity-bytes=0:0"],
    ["car-order=unk"], ["car-dups=y"], ["car-order=unk&car-dups=y"],
    ["entity-bytes=0:-2"], ["entity-bytes=-9223372036854775808:9223372036854775807"],
  ]

  @Test func equalMeaningsAreEqual() throws {
    let keys = try Self.meanings.map { line in
      let parsed = try line.map { try Self.parse($0) }
      #expect(Set(parsed).count == 1)
      let keys = parsed.map { parameters in appended { parameters.appendKey(to: &$0) } }
      #expect(Set(keys).count == 1)
      return keys[0]
    }
    #expect(Set(keys).count == Self.meanings.count)
  }

  @Test(arguments: [
    ("car-version=2", CARParameterError.unknownVersion), ("car-version=01", .unknownVersion),
    ("car-order=DFS", .unknownOrder), ("car-dups=yes", .malformedDuplicates),
    ("dag-scope=", .unknownScope), ("dag-scope=file", .unknownScope),
    ("entity-bytes=", .malformedEntityBytes),
  ]) func refusesOtherValues(_ query: String, _ expected: CARParameterError) {
    #expect(throws: expected) { try Self.parse(query) }
    #expect(!expected.sentence.isEmpty)
  }

  @Test(arguments: [
    "", ":", "1", "1:", ":1", "*:1", "1:**", "1:1:1", "a:1", "1:b", "1:0", "-1:-2", "--1:1", "1 :2",
    "9223372036854775808:*", "0:-9223372036854775809", "-:*", "0x1:2",
  ]) func refusesRanges(_ text: String) {
    #expect(Self.range(text) == nil)
  }

  @Test func rangesResolveAsTheyAreRead() throws {
    let cases: [(String, Int64, Range<Int64>)] = [
      ("0:0", 10, 0..<1), ("0:9", 10, 0..<10), ("0:99", 10, 0..<10), ("5:*", 10, 5..<10),
      ("10:*", 10, 10..<10), ("99:*", 10, 10..<10), ("-3:*", 10, 7..<10), ("-99:*", 10, 0..<10),
      ("2:-3", 10, 2..<8), ("-5:-3", 10, 5..<8), ("8:-5", 10, 8..<8), ("-3:2", 10, 7..<7),
      ("0:-99", 10, 0..<0), ("0:0", 0, 0..<0), ("-1:*", 0, 0..<0),
    ]
    for (text, size, expected) in cases {
      #expect(try #require(Self.range(text)).resolve(size: size) == expected, "\(text)")
    }
    let extremes = [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max]
    for from in extremes {
      for last in extremes {
        guard let range = Self.range("\(from):\(last)") else { continue }
        for size in [0, 1, 1000, Int64.max] {
          let bytes = range.resolve(size: size)
          #expect(bytes.lowerBound >= 0 && bytes.upperBound <= size)
        }
      }
    }
  }

  @Test func namesOfAcceptAreOthers() {
    for (name, isKnown) in [("version", true), ("Order", true), ("dups", true), ("q", false)] {
      let name = bytes(name)
      #expect((CARParameters.Parameter(inAccept: name.rawBytes) != nil) == isKnown)
    }
  }
}
