import Base
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct AbsenceTests {
  static func at(_ milliseconds: Int) -> Instant {
    Instant.zero + .seconds(100_000) + .milliseconds(milliseconds)
  }

  static func failing(_ status: Int, _ milliseconds: Int) -> Absence.Standing {
    .failing(status: status, wait: .milliseconds(milliseconds))
  }

  // MARK: One content

  @Test func nothingIsKnownAtFirst() {
    #expect(Absence().standing(at: Self.at(0)) == .open)
  }

  @Test func onlyWhatSaysThatContentCannotBeHadIsAFailure() {
    let failures = (100...599).filter(Absence.isFailure)
    #expect(failures == [404, 500, 502, 504])
  }

  @Test func eachFailureInARowIsRememberedTwiceAsLong() {
    var absence = Absence()
    var now = 0
    for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
      absence.fail(504, at: Self.at(now))
      #expect(absence.standing(at: Self.at(now)) == Self.failing(504, seconds * 1000))
      now += seconds * 1000
      #expect(absence.standing(at: Self.at(now - 1)) == Self.failing(504, 1))
      #expect(absence.standing(at: Self.at(now)) == .open)
    }
  }

  @Test func manyFailuresAtOnceAreOne() {
    var absence = Absence()
    for moment in [0, 1, 500, 999] { absence.fail(moment == 0 ? 404 : 500, at: Self.at(moment)) }
    #expect(absence.standing(at: Self.at(999)) == Self.failing(404, 1))
    absence.fail(500, at: Self.at(1000))
    #expect(absence.standing(at: Self.at(1000)) == Self.failing(500, 2000))
  }

  @Test func aFailureLongAfterIsAFirstOne() {
    var absence = Absence()
    absence.fail(404, at: Self.at(0))
    let isFirstProof = absence.takeProof()
    #expect(isFirstProof)
    absence.fail(404, at: Self.at(1000))
    let isSecondProof = absence.takeProof()
    #expect(!isSecondProof)
    absence.fail(404, at: Self.at(3000 + 599_999))
    #expect(absence.standing(at: Self.at(3000 + 599_999)) == Self.failing(404, 4000))
    let later = 3000 + 599_999 + 4000 + 600_000
    absence.fail(404, at: Self.at(later))
    #expect(absence.standing(at: Self.at(later)) == Self.failing(404, 1000))
    let isProofOfAnotherRow = absence.takeProof()
    #expect(isProofOfAnotherRow)
  }

  @Test func whatIsProvenStaysSoForItsTime() {
    var absence = Absence()
    absence.fail(404, at: Self.at(0))
    absence.prove(at: Self.at(10), for: .seconds(5))
    #expect(absence.standing(at: Self.at(5009)) == .absent)
    // What was under way says no more than the proof.
    absence.fail(504, at: Self.at(2000))
    #expect(absence.standing(at: Self.at(5009)) == .absent)
    #expect(absence.standing(at: Self.at(5010)) == .open)
    absence.fail(404, at: Self.at(5010))
    #expect(absence.standing(at: Self.at(5010)) == Self.failing(404, 1000))
    let mayProveAgain = absence.takeProof()
    #expect(mayProveAgain)
  }

  // MARK: The table

  static func key(_ text: String) -> [UInt8] { Array(text.utf8) }

  @Test func keysAreTheirOwn() {
    let table = AbsenceTable()
    _ = table.fail(Self.key("a"), 404, at: Self.at(0), mayProve: false)
    _ = table.fail(Self.key("b"), 500, at: Self.at(0), mayProve: false)
    #expect(table.standing(of: Self.key("a"), at: Self.at(1)) == Self.failing(404, 999))
    #expect(table.standing(of: Self.key("b"), at: Self.at(1)) == Self.failing(500, 999))
    #expect(table.standing(of: Self.key("c"), at: Self.at(1)) == .open)
    table.forget(Self.key("a"))
    #expect(table.standing(of: Self.key("a"), at: Self.at(1)) == .open)
    // A success ends the row.
    _ = table.fail(Self.key("a"), 404, at: Self.at(1), mayProve: false)
    #expect(table.standing(of: Self.key("a"), at: Self.at(1)) == Self.failing(404, 1000))
  }

  @Test func aProofIsAskedForOnce() {
    let table = AbsenceTable()
    let key = Self.key("a")
    #expect(!table.fail(key, 404, at: Self.at(0), mayProve: false))
    #expect(table.fail(key, 404, at: Self.at(1), mayProve: true))
    #expect(!table.fail(key, 404, at: Self.at(1000), mayProve: true))
    table.prove(key, at: Self.at(1001), for: .seconds(9))
    #expect(table.standing(of: key, at: Self.at(1001)) == .absent)
    #expect(!table.fail(key, 404, at: Self.at(1002), mayProve: true))
  }

  @Test func aProofOfWhatIsForgottenIsOfNoUse() {
    let table = AbsenceTable()
    let key = Self.key("a")
    _ = table.fail(key, 404, at: Self.at(0), mayProve: true)
    table.forget(key)
    table.prove(key, at: Self.at(1), for: .seconds(9))
    #expect(table.standing(of: key, at: Self.at(1)) == .open)
    #expect(table.count == 0)
  }

  @Test func theOldestAreForgotten() {
    let table = AbsenceTable()
    let all = AbsenceTable.maximumCount + 1000
    for number in 0..<all {
      _ = table.fail(Self.key("\(number)"), 404, at: Self.at(0), mayProve: false)
      #expect(table.count <= AbsenceTable.maximumCount)
    }
    #expect(table.standing(of: Self.key("0"), at: Self.at(1)) == .open)
    for number in all - AbsenceTable.maximumCount / 2..<all {
      #expect(table.standing(of: Self.key("\(number)"), at: Self.at(1)) != .open)
    }
  }

  @Test func longKeysAreNotRemembered() {
    let table = AbsenceTable()
    for count in [AbsenceTable.longestKey, AbsenceTable.longestKey + 1, 0] {
      let key = [UInt8](repeating: 0x61, count: count)
      _ = table.fail(key, 404, at: Self.at(0), mayProve: true)
    }
    #expect(table.count == 1)
  }

  @Test func removalsForget() throws {
    let table = AbsenceTable()
    let removed = try cid(rootText)
    let other = try raw(removed)
    func key(_ cid: CID, _ path: String) -> [UInt8] {
      [0x61] + CanonicalKey.place(of: cid) + Array(path.utf8)
    }
    for cid in [removed, other] {
      for path in ["", "/a"] {
        _ = table.fail(key(cid, path), 404, at: Self.at(0), mayProve: false)
      }
    }
    table.forget(RemovalSubject.content(removed))
    for path in ["", "/a"] {
      #expect(table.standing(of: key(removed, path), at: Self.at(1)) == .open)
      #expect(table.standing(of: key(other, path), at: Self.at(1)) != .open)
    }
    table.forget(RemovalSubject.object(key(other, "/a")))
    #expect(table.standing(of: key(other, "/a"), at: Self.at(1)) == .open)
    #expect(table.count == 1)
  }

  // MARK: What is asked

  static func subject(_ status: Int = 404, ownHost: Bool = false, path: String = "/a b/c") throws
    -> AbsenceSubject
  {
    AbsenceSubject(
      key: [1], countsFailures: true, hasOwnHost: ownHost, root: try cid(rootText),
      remainder: Array(path.utf8), target: Array("/ipfs/x/a%20b/c?format=x".utf8))
  }

  @Test func theBlocksAlongThePathAreAskedFor() throws {
    let question = try Self.subject().question
    #expect(question?.segments.map { String(decoding: $0, as: UTF8.self) } == ["a b", "c"])
    #expect(
      question.map { String(decoding: $0.target, as: UTF8.self) }
        == "/ipfs/x/a%20b/c?format=car&dag-scope=block&car-order=dfs&car-dups=n")
    #expect(try Self.subject(path: "/").question == nil)
    // Sites have no word in what is asked for at paths.
    let own = try Self.subject(ownHost: true).question
    #expect(
      own.map { String(decoding: $0.path, as: UTF8.self) } == "/ipfs/\(rootText)/a%20b/c")
  }

  /// A site's own page for what it does not have is not to be replaced.
  @Test func aHostOfItsOwnHasItsOwnPages() throws {
    #expect(try Self.subject().counts(404) && Self.subject().counts(504))
    #expect(try !Self.subject(ownHost: true).counts(404) && Self.subject(ownHost: true).counts(504))
    #expect(try !Self.subject().counts(429))
  }
}
