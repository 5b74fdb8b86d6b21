import Base
import IPFS
import Testing

@testable import Admin

/// What the bodies and queries of requests say.
@Suite struct AdminRequestTests {
  static let cid = "bafkreigse74zrr4kzzwfbx72hs7edf2zu3ui2fgzhvzs2amr77e7yl2b2u"
  static let old = "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"

  static func purge(_ text: String) throws(AdminRefusal) -> PurgeRequest {
    try PurgeRequest(Array(text.utf8))
  }

  static func question(_ query: String) throws(AdminRefusal) -> WhyQuestion {
    try WhyQuestion(query: Array(query.utf8).rawBytes, host: "localhost")
  }

  static func status(_ body: () throws(AdminRefusal) -> Void) -> Int {
    do throws(AdminRefusal) {
      try body()
      return 200
    } catch {
      return error.status
    }
  }

  @Test func purgesNameCIDsPathsAndHosts() throws {
    let request = try Self.purge(
      """
      {"cids":["\(Self.cid)","\(Self.old)"],"paths":["/ipfs/\(Self.cid)/a%20b/","/ipns/example.com/x"],
      "hosts":["docs.example.org"],"reason":"a notice"}
      """)
    #expect(request.subjects.count == 5 && request.reason == "a notice")
    guard case .cid(let cid, _) = request.subjects[1] else {
      Issue.record("no CID")
      return
    }
    #expect("\(cid)" == Self.old)
    guard case .path(.cid, let below, _) = request.subjects[2] else {
      Issue.record("no path")
      return
    }
    #expect(below == Array("/a b/".utf8))
    guard case .path(.name(let name), _, _) = request.subjects[3] else {
      Issue.record("no name")
      return
    }
    #expect(name == Array("example.com".utf8))
    #expect(request.subjects[4] == .host("docs.example.org"))
  }

  @Test(arguments: [
    "", "[]", "{}", #"{"cids":[]}"#, #"{"cids":"x"}"#, #"{"cids":[1]}"#, #"{"cids":["nonsense"]}"#,
    #"{"paths":["/ipfs/\#(cid)/a?x"]}"#, #"{"paths":["/ipfs/\#(cid)/a#b"]}"#,
    #"{"paths":["/nowhere"]}"#, #"{"paths":["/ipfs/nonsense/x"]}"#, #"{"paths":["/ipfs/"]}"#,
    #"{"hosts":["a b"]}"#, #"{"hosts":["a\r\nX: y"]}"#, #"{"hosts":[""]}"#,
    #"{"hosts":["a"],"reason":1}"#, #"{"hosts":["a"],"forms":["raw"]}"#, #"{"hosts":["a"]"#,
  ])
  func purgesThatMakeNoSenseAreRefused(text: String) {
    #expect(Self.status { () throws(AdminRefusal) in _ = try Self.purge(text) } == 400, "\(text)")
  }

  @Test func subjectsAreCheckedBeforeTheyAreSent() {
    #expect(PurgeCheck.complaint(about: Self.cid, of: "cids") == nil)
    #expect(PurgeCheck.complaint(about: "/ipfs/\(Self.cid)/a b%3F", of: "paths") == nil)
    #expect(PurgeCheck.complaint(about: "docs.example.org", of: "hosts") == nil)
    #expect(PurgeCheck.complaint(about: "nonsense", of: "cids") != nil)
    let path = PurgeCheck.complaint(about: "/ipfs/\(Self.cid)/a#b", of: "paths")
    #expect(path?.contains("%23") == true)
    #expect(PurgeCheck.complaint(about: "a b", of: "hosts") != nil)
  }

  @Test func batchesHaveABound() {
    func batch(_ count: Int) -> String {
      let list = Array(repeating: "\"\(Self.cid)\"", count: count).joined(separator: ",")
      return "{\"cids\":[\(list)]}"
    }
    #expect(Self.status { () throws(AdminRefusal) in _ = try Self.purge(batch(1_000)) } == 200)
    #expect(Self.status { () throws(AdminRefusal) in _ = try Self.purge(batch(1_001)) } == 413)
    let reason = String(repeating: "x", count: 1_001)
    #expect(
      Self.status { () throws(AdminRefusal) in
        _ = try Self.purge("{\"hosts\":[\"a\"],\"reason\":\"\(reason)\"}")
      } == 400)
  }

  /// Mutations of a good body: it is read, or refused with a status for clients.
  @Test func fuzzedBodiesAreReadOrRefused() {
    var random = SeededRandom(seed: 21)
    let good = Array(
      #"{"cids":["\#(Self.cid)"],"paths":["/ipfs/\#(Self.old)/a%20b"],"hosts":["a.example"]}"#.utf8)
    var outcomes: Set<Int> = []
    for _ in 0..<5_000 {
      var bytes = good
      for _ in 0..<random.number(in: 1...3) where !bytes.isEmpty {
        let place = random.number(in: 0...bytes.count - 1)
        switch random.number(in: 0...3) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        case 2: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        default: bytes.removeLast(bytes.count - place)
        }
      }
      outcomes.insert(Self.status { () throws(AdminRefusal) in _ = try PurgeRequest(bytes) })
      _ = Self.status { () throws(AdminRefusal) in _ = try DrainRequest(bytes) }
    }
    #expect(outcomes == [200, 400])
  }

  @Test func drainsNameOneServer() throws {
    let request = try DrainRequest(Array(#"{"server":"eu/10.0.0.1:80","reason":"disk"}"#.utf8))
    #expect(request.server == "eu/10.0.0.1:80" && request.reason == "disk")
    for text in [#"{}"#, #"{"server":""}"#, #"{"server":1}"#, #"{"servers":["a"]}"#, "[]"] {
      #expect(
        Self.status { () throws(AdminRefusal) in _ = try DrainRequest(Array(text.utf8)) } == 400)
    }
  }

  @Test(arguments: [
    ("url=/ipfs/\(cid)/a", "/ipfs/\(cid)/a"), ("path=%2Fipfs%2F\(cid)", "/ipfs/\(cid)"),
    ("url=\(cid)", "/ipfs/\(cid)"), ("url=\(cid)/a?format=raw", "/ipfs/\(cid)/a?format=raw"),
    ("url=ipfs%3A%2F%2F\(cid)%2Fa", "/ipfs/\(cid)/a"), ("url=IPNS://k51", "/ipns/k51"),
    ("url=ipfs/\(cid)", "/ipfs/\(cid)"), ("url=https://x.example/y", "https://x.example/y"),
    ("url=docs.example.org/y", "http://docs.example.org/y"),
  ])
  func whyTakesWhatPeopleWrite(query: String, target: String) throws {
    let question = try Self.question(query)
    // A URL has a host of its own.
    let host = ["x.example", "docs.example.org"].first { target.contains($0) }
    #expect(question.target == target && question.host == host ?? "localhost")
  }

  @Test func whyTakesHostAcceptAndClient() throws {
    let query = "url=/x&host=a.example&client=2001%3Adb8%3A%3A7&accept=application%2Fvnd.ipld.car"
    let question = try Self.question(query)
    #expect(question.host == "a.example" && question.accept == "application/vnd.ipld.car")
    #expect(question.client == NetworkAddress("2001:db8::7"))
  }

  @Test(arguments: [
    "", "url=", "url=nonsense", "url=/x&client=here", "url=/x&colour=red",
    "url=/x&host=a%0D%0AX:%20y", "url=/x%0A", "url=/x&accept=%00",
  ])
  func whyRefusesWhatIsNoQuestion(query: String) {
    #expect(
      Self.status { () throws(AdminRefusal) in _ = try Self.question(query) } == 400, "\(query)")
  }

  @Test func pagesAreFoundByTheirPath() {
    func page(_ path: String) -> AdminPage? { AdminPage(path: Array(path.utf8).rawBytes) }
    for known in AdminPage.allCases {
      #expect(page(known.rawValue) == known)
      #expect(known.takes(.get) != known.takes(.post))
    }
    for path in ["", "/api", "/api/v1/stats/", "/API/V1/STATS", "/api/v2/stats", "/metrics?x"] {
      #expect(page(path) == nil)
    }
  }
}
