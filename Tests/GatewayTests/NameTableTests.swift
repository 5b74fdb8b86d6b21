import Base
import IPFS
import Testing

@testable import Gateway

@Suite struct NameTableTests {
  let start = Instant(nanoseconds: 1_000_000_000_000)
  let name = Array("docs.example".utf8)

  private func entry(
    ttl: Int, grace: Int, resolved: Int = 0, root: String = rootText
  ) throws -> NameEntry {
    NameEntry(
      root: try cid(root), resolved: start + .seconds(resolved), ttl: .seconds(ttl),
      grace: .seconds(grace))
  }

  private func standing(_ table: NameTable, _ name: [UInt8], at now: Instant) -> String {
    switch table.find(name, now: now) {
    case .unknown: "unknown"
    case .fresh: "fresh"
    case .due: "due"
    case .past: "past"
    }
  }

  /// What is said at a second after the start, just before it, and at it.
  private func standings(_ table: NameTable, at seconds: Int) -> String {
    let now = start + .seconds(seconds)
    let before = standing(table, name, at: Instant(nanoseconds: now.nanoseconds - 1))
    return before + " " + standing(table, name, at: now)
  }

  // MARK: Time

  @Test(arguments: [
    (300, 3_600, [0: "fresh", 300: "due", 360: "past", 3_900: "unknown"]),
    // A short time makes a short wait, too.
    (10, 3_600, [0: "fresh", 10: "due", 20: "past", 3_610: "unknown"]),
    (300, 30, [0: "fresh", 300: "due", 330: "unknown"]),
    (300, 60, [0: "fresh", 300: "due", 360: "unknown"]),
    (300, 61, [0: "fresh", 300: "due", 360: "past", 361: "unknown"]),
    (300, 0, [0: "fresh", 300: "unknown"]),
    (0, 100, [0: "past", 100: "unknown"]), (0, 0, [0: "unknown"]),
    (604_800, 86_400, [0: "fresh", 604_800: "due", 604_860: "past", 691_200: "unknown"]),
  ])
  func anEntryAgesStepByStep(ttl: Int, grace: Int, changes: [Int: String]) throws {
    let table = NameTable()
    #expect(standing(table, name, at: start) == "unknown")
    table.set(name, try entry(ttl: ttl, grace: grace))
    var last: String?
    for second in changes.keys.sorted() {
      let next = try #require(changes[second])
      if let last { #expect(standings(table, at: second) == "\(last) \(next)", "\(second)") }
      #expect(standing(table, name, at: start + .seconds(second)) == next, "\(second)")
      last = next
    }
    #expect(standing(table, name, at: .never) == "unknown" || grace > 0)
  }

  @Test func agesAreWholeSeconds() throws {
    let entry = try entry(ttl: 300, grace: 0)
    #expect(entry.age(at: start) == 0)
    #expect(entry.age(at: start + .milliseconds(999)) == 0)
    #expect(entry.age(at: start + .milliseconds(61_500)) == 61)
    #expect(entry.age(at: .zero) == 0)
  }

  @Test func aNameLeadsWhereTheLatestLookUpSaid() throws {
    let table = NameTable()
    table.set(name, try entry(ttl: 10, grace: 0))
    table.set(name, try entry(ttl: 10, grace: 0, resolved: 5, root: "bafkqaaa"))
    #expect(table.count == 1)
    guard case .fresh(let found) = table.find(name, now: start + .seconds(14)) else {
      Issue.record("not fresh")
      return
    }
    #expect(try found.root == cid("bafkqaaa"))
    table.forget(name)
    #expect(table.count == 0 && standing(table, name, at: start) == "unknown")
    table.forget(name)
  }

  // MARK: Records

  /// Seconds of a record's life after the look-up, and the grace that is allowed.
  @Test(arguments: [
    (1_000, 3_600, [0: "fresh", 300: "due", 360: "past", 1_000: "unknown"]),
    (10_000, 600, [0: "fresh", 300: "due", 360: "past", 900: "unknown"]),
    (330, 3_600, [0: "fresh", 300: "due", 330: "unknown"]),
    (300, 3_600, [0: "fresh", 300: "unknown"]), (100, 3_600, [0: "fresh", 100: "unknown"]),
    (0, 3_600, [0: "unknown"]), (-5, 3_600, [0: "unknown"]),
    (10_000, 0, [0: "fresh", 300: "unknown"]),
  ])
  func anEntryEndsWithItsRecord(life: Int, grace: Int, changes: [Int: String]) throws {
    let table = NameTable()
    table.set(name, try entry(ttl: 300, grace: 0))
    table.bound(
      name, resolved: start, ends: start + .seconds(life), grace: .seconds(grace))
    var last: String?
    for second in changes.keys.sorted() {
      let next = try #require(changes[second])
      if let last { #expect(standings(table, at: second) == "\(last) \(next)", "\(second)") }
      #expect(standing(table, name, at: start + .seconds(second)) == next, "\(second)")
      last = next
    }
  }

  @Test func anOlderRecordSaysNothingOfALaterLookUp() throws {
    let table = NameTable()
    table.set(name, try entry(ttl: 300, grace: 600, resolved: 10))
    for ends in [-100, 11, 100_000] {
      table.bound(name, resolved: start, ends: start + .seconds(ends), grace: .seconds(9_999))
      #expect(
        standings(table, at: 310) == "fresh due" && standings(table, at: 910) == "past unknown")
    }
    // Nor does it bring back what was forgotten.
    table.forget(name)
    table.bound(name, resolved: start + .seconds(10), ends: .never, grace: .seconds(600))
    #expect(table.count == 0)
  }

  @Test func neverPastTheRecordsEnd() throws {
    var random = SeededRandom(seed: 61)
    for _ in 0..<2_000 {
      let table = NameTable()
      let ttl = random.number(in: 0...500)
      table.set(name, try entry(ttl: ttl, grace: random.number(in: 0...500)))
      let life = random.number(in: -10...1_000)
      let grace = random.number(in: 0...500)
      for _ in 0...random.number(in: 0...1) {
        table.bound(name, resolved: start, ends: start + .seconds(life), grace: .seconds(grace))
      }
      let after = random.number(in: 0...500)
      #expect(standing(table, name, at: start + .seconds(max(0, life) + after)) == "unknown")
      if life > 0, ttl > 0 {
        let shorter = min(life, ttl)
        #expect(standing(table, name, at: start + .seconds(shorter - 1)) == "fresh")
        #expect(standing(table, name, at: start + .seconds(shorter)) != "fresh")
      }
      #expect(standing(table, name, at: start + .seconds(ttl + grace + after)) == "unknown")
    }
  }

  // MARK: Bounds and spellings

  @Test func namesHaveABound() throws {
    let table = NameTable()
    let entry = try entry(ttl: 300, grace: 0)
    func name(_ number: Int) -> [UInt8] { withUnsafeBytes(of: UInt32(number)) { Array($0) } }
    for number in 0..<NameTable.maximumCount { table.set(name(number), entry) }
    #expect(table.count == NameTable.maximumCount)
    // What is there already takes no other's place.
    for number in 0..<10 { table.set(name(number), entry) }
    #expect(standing(table, name(NameTable.maximumCount - 1), at: start) == "fresh")
    for number in 0..<50 {
      table.set(name(NameTable.maximumCount + number), entry)
      #expect(standing(table, name(NameTable.maximumCount + number), at: start) == "fresh")
    }
    #expect(table.count == NameTable.maximumCount)
  }

  private func canonical(_ name: String) -> [UInt8] {
    let bytes = Array(name.utf8)
    return NameTable.canonical(bytes.rawBytes)
  }

  @Test func aKeyHasOneNameInEverySpelling() throws {
    let text = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    let key = try cid(text)
    for base in Multibase.allCases {
      var spelling = ByteBuffer(capacity: 128)
      key.appendText(in: base, to: &spelling)
      #expect(canonical(spelling.readable.text) == canonical(text), "\(base)")
    }
    #expect(
      try canonical("\(CID(codec: .dagPB, hash: key.hash, digest: key.digest))") == canonical(text))
    let hash = try cid(rootText)
    #expect(canonical(rootText) == canonical("\(hash.version1)"))
    #expect(canonical(rootText) != canonical(text))
  }

  @Test func aDomainIsInLowerCase() {
    #expect(canonical("docs.example") == name)
    #expect(canonical("Docs.EXAMPLE.") == name)
    #expect(canonical("docs.example..") != name && canonical("docs-example") != name)
    #expect(canonical("É.example") == Array("É.example".utf8))
    #expect(canonical("") == [] && canonical(".") == [])
    // No domain is taken for a key: that begins with a zero byte.
    #expect(canonical(rootText).first == 0 && canonical("bafkqaaa").first == 0)
  }

  @Test func anyNameHasAForm() {
    var random = SeededRandom(seed: 62)
    let pieces = ["k51", "Qm", "baf", ".", "a", "A", "é", "z", rootText]
    for _ in 0..<3_000 {
      var bytes = (0..<random.number(in: 0...5)).flatMap { _ in
        Array(pieces[random.number(in: 0...pieces.count - 1)].utf8)
      }
      if random.chance(0.3), !bytes.isEmpty {
        bytes[random.number(in: 0...bytes.count - 1)] = UInt8(random.number(in: 0...255))
      }
      let once = NameTable.canonical(bytes.rawBytes)
      #expect(once.count <= bytes.count + 1)
      let isKey = (try? CID.parse(bytes.rawBytes)) != nil
      if isKey { #expect(once.first == 0) }
    }
  }
}
