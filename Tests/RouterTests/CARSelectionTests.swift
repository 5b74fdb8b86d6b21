import Base
import IPFS
import HTTP
import Testing

@testable import Router

@Suite struct CARSelectionTests {
  /// The parameters of a query and then of a media type; nil where a value is the upstream's to judge.
  private func selection(_ query: String, type: String = "") -> CARSelection? {
    var selection = CARSelection()
    for (text, isFromURL) in [(query, true), (type, false)] {
      for pair in text.split(separator: isFromURL ? "&" : ";") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let name = Array(parts[0].utf8)
        let value = parts.count > 1 ? Array(parts[1].utf8) : []
        let part =
          isFromURL
          ? CARParameters.Parameter(inURL: name.rawBytes)
          : CARParameters.Parameter(inAccept: name.rawBytes)
        guard let part else { continue }
        guard selection.set(part, value.rawBytes, isFromURL: isFromURL) else { return nil }
      }
    }
    return selection
  }

  private func text(_ selection: CARSelection?) -> String? {
    guard let selection else { return nil }
    var text: [UInt8] = []
    selection.appendQuery(to: &text)
    return String(decoding: text.dropFirst(), as: UTF8.self)
  }

  private func key(_ selection: CARSelection) -> [UInt8] {
    var key = ByteBuffer(capacity: 64)
    selection.appendKey(to: &key)
    return key.readable.array
  }

  @Test func nothingIsSaidAtFirst() {
    let selection = CARSelection()
    #expect(selection.scope == .unsaid && selection.order == .unsaid)
    #expect(selection.duplicates == .unsaid && selection.bytes == nil)
    #expect(text(selection) == "" && selection.typeParameters.isEmpty)
    #expect(self.selection("format=car&filename=x&Dag-Scope=all&car_dups=y&dups=y") == selection)
  }

  @Test(arguments: [
    "dag-scope=block", "dag-scope=entity", "dag-scope=all", "car-order=dfs", "car-order=unk",
    "car-dups=y", "car-dups=n", "entity-bytes=0:*", "entity-bytes=0:0", "entity-bytes=5:3",
    "entity-bytes=-10:*", "entity-bytes=-10:-1", "entity-bytes=3:-4",
    "entity-bytes=9223372036854775807:9223372036854775807",
    "entity-bytes=-9223372036854775807:-9223372036854775807",
    "dag-scope=entity&entity-bytes=1:2&car-order=unk&car-dups=y",
  ])
  func everyValueIsWrittenAsItWasRead(query: String) {
    #expect(text(selection(query)) == query)
  }

  @Test(arguments: [
    ("car-version=1", ""), ("entity-bytes=-0:007", "entity-bytes=0:7"),
    ("car-dups=n&dag-scope=all", "dag-scope=all&car-dups=n"),
    ("car-version=&car-order=&car-dups=", ""), ("car-dups", ""),
    // A range is one of an entity's bytes.
    ("dag-scope=all&entity-bytes=1:2", "dag-scope=all"),
    ("entity-bytes=1:2&dag-scope=block&car-dups=y", "dag-scope=block&car-dups=y"),
  ])
  func whatMeansTheSameIsWrittenAlike(query: String, written: String) {
    #expect(text(selection(query)) == written)
  }

  @Test(arguments: [
    "dag-scope=", "dag-scope=Block", "dag-scope=file", "dag-scope= all", "entity-bytes=",
    "entity-bytes=1", "entity-bytes=:", "entity-bytes=1:", "entity-bytes=:1", "entity-bytes=*:1",
    "entity-bytes=1:2:3", "entity-bytes=+1:2", "entity-bytes=--1:2", "entity-bytes=-:2",
    "entity-bytes=1:**", "entity-bytes=0x1:2", "entity-bytes=1:2 ",
    "entity-bytes=9223372036854775808:*", "entity-bytes=-9223372036854775808:*",
    "entity-bytes=0:99999999999999999999999999", "entity-bytes=0:-99999999999999999999999999",
    "car-version=2", "car-version=01", "car-version=v1", "car-order=DFS", "car-order=bfs",
    "car-dups=yes", "car-dups=Y", "car-dups=1",
  ])
  func otherValuesAreTheUpstreams(query: String) {
    #expect(selection(query) == nil)
  }

  @Test(arguments: [
    ("dag-scope=block&dag-scope=all", "dag-scope=block"),
    ("car-dups=y&car-dups=n&car-dups=y", "car-dups=y"),
    ("entity-bytes=1:2&entity-bytes=3:4", "entity-bytes=1:2"),
    ("car-order=unk&car-order=none", "car-order=unk"), ("car-version=1&car-version=2", ""),
  ])
  func theFirstCounts(query: String, written: String) {
    #expect(text(selection(query)) == written)
  }

  @Test(arguments: [
    ("", "version=1;order=dfs;dups=y", "car-order=dfs&car-dups=y"),
    ("", "VERSION=1;Order=unk;DUPS=n", "car-order=unk&car-dups=n"),
    ("car-dups=y", "dups=n", "car-dups=y"), ("car-dups=y", "dups=maybe", "car-dups=y"),
    ("car-order=dfs", "order=unk;dups=n", "car-order=dfs&car-dups=n"),
    ("car-version=1", "version=2", ""), ("car-dups=", "dups=y", "car-dups=y"),
    ("", "q=0.5;x=y;car-dups=y;dag-scope=block", ""), ("", "dups=;dups=y", "car-dups=y"),
  ])
  func theURLGoesBeforeTheType(query: String, type: String, written: String) {
    #expect(text(selection(query, type: type)) == written)
  }

  /// One parameter twice makes a type malformed.
  @Test(arguments: [
    "dups=y;dups=n", "dups=y;dups=y", "version=2", "order=DFS", "dups=yes", "order=dfs;ORDER=unk",
    "version=1;version=2",
  ])
  func otherTypesAreTheUpstreams(type: String) {
    #expect(selection("", type: type) == nil)
  }

  @Test(arguments: [
    ("", "", ""), ("car-version=1&car-dups=y", "", ""),
    ("", "version=1;order=dfs;dups=n", "car-version=1 car-order=dfs car-dups=n"),
    ("", "order=unk", "car-order=unk"), ("", "dups=y", "car-dups=y"),
    ("car-order=unk&dag-scope=all", "version=1;order=dfs", "car-version=1"),
    ("car-dups=", "dups=y", "car-dups=y"), ("", "version=;dups=", ""),
  ])
  func whatTheTypeAloneSaid(query: String, type: String, expected: String) {
    let parameters = selection(query, type: type)?.typeParameters
    #expect(parameters?.map { "\($0.name)=\($0.value)" }.joined(separator: " ") == expected)
  }

  /// Where it was said changes neither what is asked for nor the key.
  @Test func theWayItWasSaidMeansNothing() throws {
    let url = try #require(selection("car-version=1&car-order=dfs&car-dups=y"))
    let type = try #require(selection("", type: "dups=y;order=dfs"))
    #expect(url == type && key(url) == key(type))
    #expect(url.typeParameters.count == 0 && type.typeParameters.count == 2)
  }

  @Test func differentSelectionsHaveDifferentKeys() throws {
    var keys: Set<[UInt8]> = []
    var count = 0
    for scope in ["", "block", "entity", "all"] {
      for order in ["", "dfs", "unk"] {
        for duplicates in ["", "y", "n"] {
          for bytes in ["", "0:*", "0:0", "1:1", "-1:*", "-1:1", "1:-1", "11:1", "1:11"] {
            let pairs = [
              ("dag-scope", scope), ("car-order", order), ("car-dups", duplicates),
              ("entity-bytes", bytes),
            ]
            let query = pairs.filter { !$0.1.isEmpty }.map { "\($0.0)=\($0.1)" }
            keys.insert(key(try #require(selection(query.joined(separator: "&")))))
            if bytes.isEmpty || scope == "" || scope == "entity" { count += 1 }
          }
        }
      }
    }
    #expect(keys.count == count)
  }

  /// Whatever the values: what is taken can be written and read again, and is the same then.
  @Test func whatIsTakenComesBack() throws {
    var random = SeededRandom(seed: 51)
    let names = [
      "dag-scope", "entity-bytes", "car-version", "car-order", "car-dups", "version", "order",
      "dups", "x",
    ]
    let values = [
      "block", "entity", "all", "1", "2", "dfs", "unk", "y", "n", "", "0:*", ":", "*", "-", "-5",
      "9223372036854775807", "9223372036854775808",
    ]
    var taken = 0
    for _ in 0..<10_000 {
      func pairs() -> [(String, [UInt8])] {
        (0..<random.number(in: 0...3)).map { _ in
          let name = names[random.number(in: 0...names.count - 1)]
          var value = Array(values[random.number(in: 0...values.count - 1)].utf8)
          if name == "entity-bytes", random.chance(0.7) {
            let ends = (0..<2).map { _ in
              random.chance(0.2)
                ? Int64(bitPattern: random.next()) : Int64(random.number(in: -9...9))
            }
            value = Array("\(ends[0]):\(random.chance(0.3) ? "*" : "\(ends[1])")".utf8)
          }
          if random.chance(0.05), !value.isEmpty {
            value[random.number(in: 0...value.count - 1)] = UInt8(random.number(in: 0...255))
          }
          return (name, value)
        }
      }
      var one = CARSelection()
      var isKnown = true
      for (isFromURL, said) in [(true, pairs()), (false, pairs())] {
        for (name, value) in said {
          let name = Array(name.utf8)
          let part =
            isFromURL
            ? CARParameters.Parameter(inURL: name.rawBytes)
            : CARParameters.Parameter(inAccept: name.rawBytes)
          guard let part else { continue }
          let fits = one.set(part, value.rawBytes, isFromURL: isFromURL)
          isKnown = isKnown && fits
        }
      }
      guard isKnown else { continue }
      taken += 1
      let written = try #require(text(one))
      let again = try #require(selection(written), "\(written)")
      var meant = one
      if one.scope == .block || one.scope == .all { meant.bytes = nil }
      #expect(again == meant && key(again) == key(one) && text(again) == written)
      #expect(again.typeParameters.isEmpty)
    }
    #expect(taken > 1_000)
  }
}
