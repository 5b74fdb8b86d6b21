import Base
import Foundation
import TestKit
import Testing

@testable import Upstreams

@Suite struct PlaceDatabaseTests {
  private let rules = PlaceRules(countries: ["DE": 1, "CH": 2], continents: ["EU": 3, "AS": 4])

  private func writer(isIPv6: Bool = true) throws -> PlaceDatabaseWriter {
    var writer = PlaceDatabaseWriter(isIPv6: isIPv6)
    try writer.add("2.0.0.0/8", country: "FR", continent: "EU")
    try writer.add("2.160.0.0/12", country: "DE", continent: "EU")
    try writer.add("2.160.7.0/24", country: "CH", continent: "EU")
    try writer.add("14.0.0.0/8", country: "JP", continent: "AS")
    try writer.add("3.0.0.0/8", country: "US", continent: "NA")
    try writer.add("5.5.5.5/32", country: nil, continent: "AS")
    if isIPv6 {
      try writer.add("2a00::/12", country: "FR", continent: "EU")
      try writer.add("2a00:1:2::/48", country: "DE", continent: "EU")
    }
    return writer
  }

  private func table(_ bytes: [UInt8]) throws -> NetworkTable {
    let folder = try TemporaryFolder()
    try folder.write(bytes, to: "places.mmdb")
    return try PlaceDatabase.table(path: folder.file("places.mmdb"), rules)
  }

  private func value(_ table: NetworkTable, _ address: String) throws -> UInt16? {
    table.value(of: try #require(NetworkAddress(address)))
  }

  private static let rows: [(String, UInt16?)] = [
    ("1.255.255.255", nil), ("2.0.0.0", 3), ("2.160.0.1", 1), ("2.160.7.255", 2),
    ("2.160.8.0", 1), ("2.176.0.0", 3), ("3.1.1.1", nil), ("5.5.5.5", 4), ("5.5.5.6", nil),
    ("14.255.255.255", 4), ("15.0.0.0", nil),
  ]

  @Test(arguments: [24, 28, 32]) func readsWhatIsWritten(bits: Int) throws {
    for isIPv6 in [true, false] {
      var writer = try writer(isIPv6: isIPv6)
      writer.recordBits = bits
      let table = try table(writer.bytes())
      for (address, expected) in Self.rows {
        #expect(try value(table, address) == expected, "\(address)")
      }
      #expect(try value(table, "2a00:1:2:3::1") == (isIPv6 ? 1 : nil))
      #expect(try value(table, "2a0f::1") == (isIPv6 ? 3 : nil))
      #expect(try value(table, "2b00::1") == nil)
    }
  }

  @Test func aliasesOfIPv4AreLeftOut() throws {
    var writer = try writer()
    writer.hasAliases = true
    let table = try table(writer.bytes())
    for (address, expected) in Self.rows { #expect(try value(table, address) == expected) }
    // What leads to the IPv4 addresses a second time is not walked again.
    #expect(try value(table, "8200::1") == nil)
  }

  @Test func badFilesAreRefused() throws {
    let good = try writer().bytes()
    for bytes in [[], Array("no database".utf8), Array(good.prefix(good.count / 2))] {
      #expect(throws: PlaceDatabase.Unusable.self) { try table(bytes) }
    }
    #expect(throws: PlaceDatabase.Unusable(sentence: "no such file or directory")) {
      try PlaceDatabase.table(path: "/nowhere/places.mmdb", rules)
    }
    // A tree of which a node leads to itself has no end.
    var loop = good
    loop.replaceSubrange(9..<12, with: [0, 0, 1])
    #expect(throws: PlaceDatabase.Unusable(sentence: "its nodes are no tree")) { try table(loop) }
  }

  /// Whatever is in the file, reading it ends, with a table or a word.
  @Test func damageNeverTraps() throws {
    let good = try writer().bytes()
    var random = SeededRandom(seed: 3)
    for _ in 0..<300 {
      var bytes = good
      for _ in 0..<random.number(in: 1...8) {
        bytes[random.number(in: 0...bytes.count - 1)] = UInt8(random.number(in: 0...255))
      }
      if random.chance(0.2) { bytes.removeLast(random.number(in: 0...bytes.count - 1)) }
      do {
        _ = try table(bytes)
      } catch let error as PlaceDatabase.Unusable {
        #expect(!error.sentence.isEmpty)
      }
    }
  }

  // MARK: The watch

  @Test func aNewFileTakesThePlaceOfTheOldOneAndABadOneDoesNot() throws {
    let folder = try TemporaryFolder()
    let path = folder.file("places.mmdb")
    let places = ClientPlaces(home: 9, rules: rules)
    let watch = PlaceWatch(path: path, places: places)
    let client = try #require(NetworkAddress("2.160.0.1"))
    func region() -> Int { places.region(of: client, mark: [UInt8]().rawBytes) }
    #expect(watch.look() == .unusable("no such file or directory"))
    #expect(watch.look() == nil && region() == 9)
    try folder.write(writer().bytes(), to: "places.mmdb")
    // Once to see it, and once more to see that it is whole.
    #expect(watch.look() == nil && region() == 9)
    guard case .used = watch.look() else {
      Issue.record("the file is not used")
      return
    }
    #expect(region() == 1 && watch.look() == nil)

    try folder.write(Array("bad".utf8), to: "places.mmdb")
    #expect(watch.look() == nil)
    guard case .unusable(let why) = watch.look() else {
      Issue.record("a bad file is used")
      return
    }
    #expect(!why.isEmpty && watch.look() == nil && region() == 1)

    var other = PlaceDatabaseWriter()
    try other.add("2.0.0.0/8", country: "CH", continent: "EU")
    try folder.write(other.bytes(), to: "places.mmdb")
    #expect(watch.look() == nil)
    guard case .used = watch.look() else {
      Issue.record("the good file is not used")
      return
    }
    #expect(region() == 2)
  }

  @Test func theFirstLookTakesTheFileAsItIs() throws {
    let folder = try TemporaryFolder()
    try folder.write(writer().bytes(), to: "places.mmdb")
    let places = ClientPlaces(rules: rules)
    let watch = PlaceWatch(path: folder.file("places.mmdb"), places: places)
    guard case .used(let ranges) = watch.look() else {
      Issue.record("the file is not used")
      return
    }
    #expect(ranges > 5)
    // Who empties the file in place harms nobody.
    try folder.write([UInt8](), to: "places.mmdb")
    let client = NetworkAddress("14.0.0.1")
    #expect(places.region(of: client, mark: [UInt8]().rawBytes) == 4)
  }
}
