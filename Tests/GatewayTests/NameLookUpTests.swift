import Base
import IPFS
import Testing

@testable import Gateway

@Suite struct NameLookUpTests {
  /// What a head says, as text: the root and seconds, `elsewhere`, or `none`.
  private func answer(
    _ fields: String..., status: Int = 200, path: String? = "/ipns/docs.example/a",
    segments: Int = 0
  ) throws -> String {
    let fields = fields + (path.map { ["X-Ipfs-Path: \($0)"] } ?? [])
    let answer = try UpstreamAnswer(fields, status: status)
    switch NameAnswer(answer.head, answer.text.rawBytes, name: name, segments: segments) {
    case .leads(let root, let ttl): return "\(root) \(ttl.nanoseconds / 1_000_000_000)"
    case .elsewhere: return "elsewhere"
    case .noAnswer: return "none"
    }
  }

  private let name = Array("/ipns/docs.example".utf8)
  private let roots = "X-Ipfs-Roots: \(rootText)"
  private let minute = "Cache-Control: public, max-age=60"

  @Test func theFirstRootIsWhereItLeads() throws {
    #expect(try answer(roots, minute) == "\(rootText) 60")
    #expect(try answer(roots + ",bafkqaaa", minute, segments: 1) == "\(rootText) 60")
    #expect(
      try answer("x-ipfs-roots: bafkqaaa , \(rootText)", minute, segments: 1) == "bafkqaaa 60")
    #expect(try answer(roots, "X-Ipfs-Roots: bafkqaaa", minute) == "\(rootText) 60")
  }

  /// A name that leads below a root has one root more than the path has segments.
  @Test func eachSegmentHasARoot() throws {
    for segments in 0...3 {
      for count in 0...4 {
        let field =
          "X-Ipfs-Roots: " + Array(repeating: rootText, count: count).joined(separator: ",")
        let expected = count == segments + 1 ? "\(rootText) 60" : "elsewhere"
        #expect(try answer(field, minute, segments: segments) == expected)
      }
    }
  }

  @Test(arguments: [
    ("/ipns/docs.example", true), ("/ipns/docs.example/", true), ("/ipns/docs.example/a/b", true),
    ("/ipns/Docs.EXAMPLE/a", true), ("/IPNS/docs.example", true), ("/ipns/docs.example2", false),
    ("/ipns/docs.exampl", false), ("/ipns/docs.example.", false), ("/ipfs/docs.example", false),
    ("/ipns/other.example/docs.example", false), ("/ipns/docs-example", false), ("", false),
    ("docs.example", false),
  ])
  func theAnswerIsForTheNameThatWasAsked(path: String, isOf: Bool) throws {
    let expected = isOf ? "\(rootText) 60" : "elsewhere"
    #expect(try answer(roots, minute, path: path) == expected)
  }

  @Test func withoutItsPathAnAnswerSaysNothing() throws {
    #expect(try answer(roots, minute, path: nil) == "elsewhere")
    #expect(try answer(roots, minute, status: 503, path: nil) == "none")
  }

  @Test(arguments: [
    "X-Ipfs-Roots:", "X-Ipfs-Roots: ,\(rootText)", "X-Ipfs-Roots: none", "X-Ipfs-Root: \(rootText)",
    "X-Ipfs-Roots: \(rootText)x", "X-Ipfs-Roots: \(rootText) bafkqaaa",
  ])
  func withoutARootItLeadsElsewhere(field: String) throws {
    #expect(try answer(field, minute) == "elsewhere")
  }

  @Test(arguments: [
    ("max-age=1", 1), ("public, max-age=300", 300), ("MAX-AGE=\"5\"", 5),
    ("max-age=604800", 604_800), ("max-age=604801", 604_800),
    ("public, max-age=29030400, immutable", 604_800), ("max-age=99999999999999999999", 604_800),
    ("max-age=60, s-maxage=7", 60), ("max-age=60, must-revalidate", 60),
    ("max-age=5, max-age=6", 5),
  ])
  func countsForAsLongAsTheUpstreamSays(control: String, seconds: Int) throws {
    #expect(try answer(roots, "Cache-Control: \(control)") == "\(rootText) \(seconds)")
  }

  @Test(arguments: [
    "", "public", "max-age=0", "max-age=-1", "max-age=x", "max-age", "no-store, max-age=60",
    "max-age=60, no-cache", "private, max-age=60", "no-cache=\"x\", max-age=60", "s-maxage=60",
    "\"max-age=60\"",
  ])
  func whatIsNotToBeKeptLeadsElsewhere(control: String) throws {
    #expect(try answer(roots, "Cache-Control: \(control)") == "elsewhere")
  }

  /// Of what another cache has had for a while only the rest counts.
  @Test(arguments: [
    ("0", 60), ("10", 50), ("59", 1), ("60", 1), ("9999999999999999999999", 1), ("x", 60),
  ])
  func anAgeIsTakenOff(age: String, seconds: Int) throws {
    #expect(try answer(roots, minute, "Age: \(age)") == "\(rootText) \(seconds)")
    let most = "Cache-Control: max-age=99999999999"
    #expect(try answer(roots, most, "Age: 5") == "\(rootText) 604800")
  }

  @Test func severalFieldsCountTogether() throws {
    #expect(try answer(roots) == "elsewhere")
    #expect(try answer(roots, "Cache-Control: public", minute) == "\(rootText) 60")
    #expect(try answer(roots, minute, "Cache-Control: max-age=7") == "\(rootText) 60")
    #expect(try answer(roots, minute, "Cache-Control: no-store") == "elsewhere")
    #expect(try answer(roots, minute, "Set-Cookie: a=b") == "elsewhere")
  }

  @Test(arguments: [
    (201, "elsewhere"), (204, "elsewhere"), (206, "elsewhere"), (301, "elsewhere"),
    (302, "elsewhere"), (304, "elsewhere"), (400, "elsewhere"), (404, "elsewhere"),
    (410, "elsewhere"), (451, "elsewhere"), (429, "none"), (500, "none"), (502, "none"),
    (504, "none"), (599, "none"),
  ])
  func otherStatuses(status: Int, expected: String) throws {
    #expect(try answer(roots, minute, status: status) == expected)
  }

  /// Damaged heads lead to what they say or elsewhere, and never trap.
  @Test(arguments: 0..<5 as Range<UInt64>) func damagedHeads(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    var judged = 0
    for _ in 0..<300 {
      var fields = [roots + ",bafkqaaa", minute, "X-Ipfs-Path: /ipns/docs.example/a"]
      let at = random.number(in: 0...2)
      var bytes = Array(fields[at].utf8)
      bytes[random.number(in: 0...bytes.count - 1)] = UInt8(random.number(in: 0x20...0xff))
      fields[at] = String(decoding: bytes, as: UTF8.self)
      guard let answer = try? UpstreamAnswer(fields) else { continue }
      judged += 1
      switch NameAnswer(answer.head, answer.text.rawBytes, name: name, segments: 1) {
      case .leads(let root, let ttl):
        #expect(fields[2].lowercased().hasPrefix("x-ipfs-path: /ipns/docs.example"))
        #expect(fields[0].contains("\(root)"))
        #expect(ttl > .zero && ttl <= NameTable.longestTTL)
      case .elsewhere: break
      case .noAnswer: Issue.record("\(fields)")
      }
    }
    #expect(judged > 100)
  }
}
