import Base
import HTTP
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct AnswerPolicyTests {
  let root: CID
  let leaf: CID

  init() throws {
    root = try cid(rootText).version1
    leaf = try raw(root)
  }

  func verdict(_ fields: String..., status: Int = 200, root: CID? = nil) throws -> String {
    try UpstreamAnswer(fields, status: status).verdict(root: root ?? self.root)
  }

  // MARK: Kept

  @Test func whatBelongsIsKept() throws {
    let etag = "Etag: \"\(root)\""
    #expect(try verdict(etag, "Content-Length: 5") == "keep")
    #expect(try verdict(etag, "Content-Length: 0", "X-Ipfs-Roots: \(root)") == "keep")
    #expect(
      try verdict("Etag: \"\(leaf)\"", "Content-Length: 5", "X-Ipfs-Roots: \(root),\(leaf)")
        == "keep \(leaf)")
    #expect(
      try verdict("Etag: \"\(leaf)\"", "Content-Length: 5", "X-Ipfs-Roots: \(root) , \(leaf)")
        == "keep \(leaf)")
    #expect(
      try verdict("Etag: \"\(leaf)\"", "Content-Length: 5", root: leaf) == "keep \(leaf)")
  }

  /// Which spelling the client chose does not matter: upstreams are asked for version 1.
  @Test func theRootMayBeSpeltOtherwise() throws {
    let twin = try cid(rootText)
    let roots = "X-Ipfs-Roots: \(root)"
    #expect(try verdict("Etag: \"\(root)\"", "Content-Length: 5", roots, root: twin) == "keep")
    #expect(try verdict("Etag: \"\(root)\"", "Content-Length: 5", root: twin) == "keep")
    #expect(try verdict("Etag: \"\(twin)\"", "Content-Length: 5", roots) == "foreign_answer")
  }

  // MARK: Forms

  @Test(arguments: [
    (ContentForm.file, "", "keep"), (.file, ".raw", "foreign_answer"),
    (.file, ".json", "foreign_answer"), (.file, ".dag-pb", "foreign_answer"),
    (.raw, ".raw", "keep self"), (.raw, "", "foreign_answer"),
    (.json, ".json", "keep"), (.json, "", "keep"), (.json, ".cbor", "foreign_answer"),
    (.cbor, ".cbor", "keep"), (.dagJSON, ".dag-json", "keep"), (.dagJSON, "", "foreign_answer"),
    (.dagCBOR, ".dag-cbor", "keep"), (.tar, ".x-tar", "foreign_answer"),
    (.ipnsRecord, "", "foreign_answer"),
  ])
  func eachFormHasItsEtag(form: ContentForm, suffix: String, expected: String) throws {
    let answer = try UpstreamAnswer(["Etag: \"\(root)\(suffix)\"", "Content-Length: 5"])
    let wanted = expected.replacing("self", with: "\(root)")
    #expect(answer.verdict(root: root, form: form) == wanted)
  }

  /// A block of data given as it is can be checked whatever it is called; one that was converted cannot.
  @Test func blocksOfDataAreCheckedAsTheyAre() throws {
    let data = try CID(codec: .dagCBOR, hash: root.hash, digest: root.digest)
    func verdict(_ suffix: String, _ form: ContentForm) throws -> String {
      try UpstreamAnswer(["Etag: \"\(data)\(suffix)\"", "Content-Length: 5"])
        .verdict(root: data, form: form)
    }
    #expect(try verdict(".dag-cbor", .file) == "keep \(data)")
    #expect(try verdict(".cbor", .cbor) == "keep \(data)")
    #expect(try verdict(".json", .json) == "keep")
    #expect(try verdict(".dag-json", .dagJSON) == "keep")
    #expect(try verdict(".dag-json", .file) == "foreign_answer")
  }

  @Test func carsAreCollected() throws {
    let type = "Content-Type: application/vnd.ipld.car; version=1; order=dfs; dups=n"
    func verdict(_ fields: String...) throws -> String {
      try UpstreamAnswer(fields + ["Transfer-Encoding: chunked"]).verdict(root: root, form: .car)
    }
    #expect(try verdict(type, "Etag: W/\"\(root).car.abc\"") == "collect")
    #expect(try verdict(type, "Etag: \"\(root).car.abc\"") == "foreign_answer")
    #expect(try verdict(type, "Etag: W/\"\(leaf).car.abc\"") == "foreign_answer")
    #expect(try verdict(type, "Etag: W/\"\(root).car.abc") == "foreign_answer")
    #expect(try verdict("Content-Type: text/html", "Etag: W/\"\(root).car.a\"") == "foreign_answer")
    #expect(try verdict(type, "Etag: W/\"\(root).car.a\"", "Set-Cookie: a=b") == "set_cookie")
  }

  // MARK: Nobody's

  @Test func whatNamesNothingOfItIsForeign() throws {
    func isForeign(
      _ fields: String..., root: CID? = nil, isBare: Bool = true, form: ContentForm = .file,
      status: Int = 200
    ) throws -> Bool {
      let answer = try UpstreamAnswer(fields, status: status)
      var content = FillContent(root: root ?? self.root, form: form)
      content.isBare = isBare
      return AnswerPolicy.isForeign(answer.head, text: answer.text.rawBytes, content: content)
    }
    // Login pages, static servers, other content.
    #expect(try isForeign("Content-Type: text/html"))
    #expect(try isForeign("Content-Type: text/html", root: leaf))
    for etag in ["\"5f3c-61a\"", "W/\"5f3c\"", "\"\"", "abc", "\"", "W/", "\"\(leaf)\""] {
      #expect(try isForeign("Etag: \(etag)"), "\(etag)")
    }
    let other = "X-Ipfs-Roots: \(leaf)"
    #expect(try isForeign(other, "Etag: \"\(root)\"") && isForeign(other))
    #expect(try isForeign("Etag: \"5f3c-61a\"", isBare: false) && isForeign(isBare: false))
    // Whatever names it, in whichever words.
    let ours = "X-Ipfs-Roots: \(root)"
    #expect(try !isForeign(ours) && !isForeign(ours, "Etag: \"5f3c\""))
    #expect(try !isForeign("X-Ipfs-Roots: \(root),\(leaf)", "Etag: \"\(leaf)\"", isBare: false))
    for etag in ["\"\(root)\"", "W/\"\(root)\"", "\"\(rootText)\"", "\"\(root).raw\""] {
      #expect(try !isForeign("Etag: \(etag)"), "\(etag)")
    }
    #expect(try !isForeign("Etag: W/\"\(root).car.abc\"", form: .car))
    #expect(try !isForeign("Etag: \"DirIndex-2b567f6r5vvdg_CID-\(root)\""))
    // A file below the root has a CID of its own.
    #expect(try !isForeign("Etag: \"\(leaf)\"", isBare: false))
    // What says that there is no content says nothing of who says so.
    for status in [206, 301, 304, 404, 500] { #expect(try !isForeign(status: status)) }
  }

  // MARK: Not kept

  @Test(arguments: [201, 204, 206, 301, 304, 404, 410, 500, 504])
  func otherStatuses(status: Int) throws {
    #expect(
      try verdict("Etag: \"\(root)\"", "Content-Length: 5", status: status) == "status")
  }

  @Test func foreignEtags() throws {
    for etag in [
      "\"\(leaf)\"", "W/\"\(root)\"", "\(root)", "\"\(root)", "\"\(root)\" ,\"x\"",
      "\"\(root).raw\"",
      "\"\(rootText)\"", "\"\"", "\"abc\"", "\"\("\(root)".uppercased())\"", "*",
    ] {
      #expect(try verdict("Etag: \(etag)", "Content-Length: 5") == "foreign_answer", "\(etag)")
    }
    #expect(try verdict("Content-Length: 5") == "foreign_answer")
    let etag = "Etag: \"\(root)\""
    #expect(try verdict(etag, etag, "Content-Length: 5") == "foreign_answer")
    #expect(
      try verdict(etag, "Content-Length: 5", "Content-Encoding: gzip") == "foreign_answer")
  }

  @Test func foreignRoots() throws {
    let etag = "Etag: \"\(root)\""
    for roots in ["", "x", ",", "\(root),", ",\(root)", "bafkqaaa", "bafkqaaa,\(root)", "\(leaf)"] {
      #expect(
        try verdict(etag, "Content-Length: 5", "X-Ipfs-Roots: \(roots)") == "foreign_answer",
        "\(roots)")
    }
    // The last root is another than the Etag says.
    #expect(
      try verdict(etag, "Content-Length: 5", "X-Ipfs-Roots: \(root),\(leaf)") == "foreign_answer")
  }

  @Test func generatedPages() throws {
    for kind in ["DirIndex", "DagIndex"] {
      #expect(
        try verdict("Etag: \"\(kind)-abc_CID-\(root)\"", "Content-Length: 5") == "generated")
    }
    #expect(
      try verdict("Etag: \"dirIndex-abc_CID-\(root)\"", "Content-Length: 5") == "foreign_answer")
  }

  @Test func cookies() throws {
    #expect(
      try verdict("Etag: \"\(root)\"", "Content-Length: 5", "set-cookie: a=b") == "set_cookie")
  }

  @Test func withoutALength() throws {
    let etag = "Etag: \"\(root)\""
    #expect(try verdict(etag) == "no_length")
    #expect(try verdict(etag, "Transfer-Encoding: chunked") == "no_length")
  }

  @Test func tooLarge() throws {
    let etag = "Etag: \"\(root)\""
    #expect(try verdict(etag, "Content-Length: \(Int64(1) << 50)") == "keep")
    #expect(try verdict(etag, "Content-Length: \(Int64(1) << 50 + 1)") == "foreign_answer")
    #expect(try verdict(etag, "Content-Length: \(Int64.max)") == "foreign_answer")
  }

  // MARK: The head that readers get

  static let hopByHop = [
    "Connection: keep-alive, X-Gone", "Keep-Alive: timeout=5", "TE: trailers", "Trailer: X",
    "Upgrade: h2c", "X-Gone: 1", "x-gone: 2",
  ]
  static let own = [
    "Date: Tue, 14 Nov 2023 22:13:20 GMT", "Age: 5", "Cache-Status: x", "Server: kubo", "Via: x",
    "Content-Length: 5",
  ]
  static let ends = ["Content-Disposition: inline", "X-Kept: a, b"]
  static let remade = [
    "Cache-Control: public", "Accept-Ranges: bytes", "X-Ipfs-Path: /ipfs/x",
    "Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT", "Content-Location: /x",
    "Access-Control-Allow-Origin: *", "access-control-whatever: x",
  ]

  @Test func theHeadLeavesOutWhatIsTheConnections() throws {
    let answer = try UpstreamAnswer(
      Self.hopByHop + Self.own + Self.remade + Self.ends + [
        "Etag: \"e\"", "Content-Type: text/plain",
      ])
    let passed = answer.answerHead(keeps: false)
    #expect(passed.lines == Self.remade + Self.ends)
    let kept = answer.answerHead(keeps: true)
    #expect(kept.lines == Self.ends)
    for head in [passed, kept] {
      #expect(head.status == 200 && head.totalBytes == 5 && head.created == 7)
      #expect(head.server == "node")
      #expect(String(decoding: head.etag, as: UTF8.self) == "\"e\"")
      #expect(String(decoding: head.contentType, as: UTF8.self) == "text/plain")
    }
  }

  /// Connection is a list, and a list may stand in several lines (RFC 9110, section 5.3).
  @Test func everyConnectionFieldCounts() throws {
    let answer = try UpstreamAnswer([
      "Connection: keep-alive", "X-One: 1", "Connection: ,x-one ,\tX-TWO", "X-Two: 2", "X-On: 3",
    ])
    #expect(answer.answerHead(keeps: false).lines == ["X-On: 3"])
  }

  @Test func chunkedAnswersHaveNoLength() throws {
    let answer = try UpstreamAnswer(["Transfer-Encoding: chunked", "X: y"])
    let head = answer.answerHead(keeps: false)
    #expect(head.totalBytes == nil)
    #expect(head.lines == ["X: y"])
  }

  /// Damaged heads are never kept as something they are not, and never trap.
  @Test(arguments: 0..<10 as Range<UInt64>) func damagedHeads(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let fields = [
      "Etag: \"\(leaf)\"", "Content-Length: 5", "X-Ipfs-Roots: \(root),\(leaf)",
      "Connection: close, X-A",
    ]
    var judged = 0
    for _ in 0..<200 {
      var damaged = fields
      let at = random.number(in: 0...(fields.count - 1))
      var bytes = Array(damaged[at].utf8)
      bytes[random.number(in: 0...(bytes.count - 1))] = UInt8(random.number(in: 0x20...0x7e))
      damaged[at] = String(decoding: bytes, as: UTF8.self)
      guard let answer = try? UpstreamAnswer(damaged) else { continue }
      judged += 1
      let verdict = answer.verdict(root: root)
      #expect(["keep \(leaf)", "foreign_answer", "no_length"].contains(verdict), "\(damaged)")
      if damaged[0] != fields[0] && !damaged[0].hasPrefix("E") && !damaged[0].hasPrefix("e") {
        #expect(verdict != "keep \(leaf)")
      }
      _ = answer.answerHead(keeps: true)
    }
    #expect(judged > 50)
  }
}
