import Foundation
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// A client cannot tell Sluice from the gateway behind it: whatever it asks, it gets what that one
  /// would have said, the first time, again, and when that one is gone.
  @Suite struct FormTables {
    @Test func everyFormOfRequest() throws {
      var dag = TestDAG()
      var requests: [FormTableRun.Request] = []
      var names: [(name: String, target: String)] = []
      for (salt, form) in FormTable.cases.enumerated() {
        var place = try form.content.place(in: &dag, salt: salt)
        if form.host == .dnsLink, place.root != nil { place.name = "s\(salt).example" }
        guard let question = form.question(place) else { continue }
        if let name = place.name, let root = place.root { names.append((name, "/ipfs/\(root)")) }
        requests.append(FormTableRun.Request(form, question))
      }
      #expect(requests.count >= 300)
      try FormTableRun(requests, car: dag.car, names: names).everything()
    }

    /// The same with content that Kubo and go-car made; it lies beside the package and may be missing.
    @Test(.enabled(if: !FormTableFixtures.files.isEmpty)) func everyFormOfFixtures() throws {
      var dag = TestDAG()
      let requests = try FormTableFixtures.requests(&dag)
      #expect(requests.count >= 100)
      try FormTableRun(requests, car: dag.car, names: []).everything()
    }
  }
}

/// Why an answer may rightly not be given without an upstream, though it was given before.
enum Unkept: String, CaseIterable {
  case generated = "generated pages change with the program that makes them"
  case redirect = "redirects are a matter of the moment's query and host"
  case archive = "nothing in a TAR tells whether it is whole"
  /// It may be given all the same: for a moment, or for longer where an absence is proven.
  case failure = "an error may be over the next time"

  /// By what the origin said to the request, and to the same one without conditions.
  static func of(
    _ answer: Response, plain: Response, _ request: FormTableRun.Request
  ) -> Unkept? {
    if request.isOwn(answer) { return nil }
    let etag = plain["Etag"] ?? ""
    if etag.hasPrefix("\"DirIndex-") || etag.hasPrefix("\"DagIndex-") { return .generated }
    if etag.contains(".x-tar") { return .archive }
    // A directory without its slash is shown instead of redirected for tools that ask for it so.
    if request.name.hasPrefix("directory with index, no slash · ?go-get=1"),
      request.question.host == nil
    {
      return .redirect
    }
    if answer.status == 301, request.isToSubdomain(answer) { return nil }
    if request.isBySiteRules(answer) { return nil }
    // A condition on what is not kept is not kept either.
    switch answer.status == 304 ? plain.status : answer.status {
    case 200, 206, 304, 412, 416: return nil
    case 301, 302, 307, 308: return .redirect
    default: return .failure
    }
  }
}

/// A run of a table: an origin with all the content, and a gateway in front of it.
struct FormTableRun {
  /// One case.
  struct Request {
    var name: String
    var question: Question
    var condition: Condition?
    var onlyIfCached = false
    /// Whether it names a root that is none, or asks for what no content is needed to refuse.
    var isRefused = false

    init(_ name: String, _ question: Question) { (self.name, self.question) = (name, question) }

    init(_ form: FormCase, _ question: Question) {
      self.init(form.name, question)
      condition = form.condition
      onlyIfCached = form.onlyIfCached
      isRefused = form.host == .address && (form.content == .invalid || form.serviceWorker)
    }

    /// Whether an answer leads to a host of the content's own, which the gateway knows by itself.
    func isToSubdomain(_ answer: Response) -> Bool {
      guard question.host == TestHosts.subdomains else { return false }
      return answer["Location"]?.contains(".\(TestHosts.subdomains)/") ?? false
    }

    /// Whether a site's `_redirects` made it, of a file: kept, since the path is proven not to exist.
    func isBySiteRules(_ answer: Response) -> Bool {
      answer.status == 302 || answer.status == 404 && answer["Etag"] != nil
    }

    /// Whether the gateway needs nobody for this answer.
    func isOwn(_ answer: Response) -> Bool {
      !["GET", "HEAD"].contains(question.method) || (isRefused && answer.status == 400)
    }
  }

  struct Planned {
    var name: String
    var question: Question
    /// The same for the whole, without conditions.
    var plain: Question
    var onlyIfCached = false
    var expected: Response
    /// The origin's answer to `plain`.
    var whole: Response
    /// The type of the whole that the origin does not tell of a part from its middle.
    var typeOfWhole: String?
    var unkept: Unkept?

    /// Whether the answer brings no bytes that could be kept.
    var needsFetching: Bool {
      question.method == "HEAD" || [304, 412, 416].contains(expected.status)
    }
  }

  private(set) var cases: [Planned] = []
  private var failures: [(state: String, lines: [String])] = []
  private let origin: OriginProcess
  private let sluice: SluiceProcess

  init(
    _ requests: [Request], car: [UInt8], names: [(name: String, target: String)]
  ) throws {
    origin = try OriginProcess(car: car, names: names, subdomainHosts: [TestHosts.subdomains])
    var settings = SluiceProcess.Settings(upstreams: [origin.port])
    settings.sliceSize = "64KB"
    settings.hosts = TestHosts.entries
    sluice = try SluiceProcess(settings)
    let asker = Asker(port: origin.port)
    cases = try requests.map { try Self.plan($0, asker) }
  }

  /// All three states, and what was found.
  func everything() throws {
    var run = self
    try run.warm()
    try run.stopOriginAndAsk()
    run.report()
  }

  /// Asks the origin itself: what it says is what is right.
  private static func plan(_ request: Request, _ origin: Asker) throws -> Planned {
    var question = request.question
    var plain = question
    plain.fields.removeAll { $0.name == "Range" || $0.name == "Cache-Control" }
    let answer = try origin.ask(plain)
    if let condition = request.condition {
      question.fields += condition.fields(etag: answer["Etag"] ?? "\"none\"")
    }
    let expected = try origin.ask(question)
    plain.method = "GET"
    var planned = Planned(
      name: request.name, question: question, plain: plain, onlyIfCached: request.onlyIfCached,
      expected: expected, whole: answer)
    planned.unkept = Unkept.of(expected, plain: answer, request)
    if expected.status == 206, expected["Content-Type"] == nil {
      planned.typeOfWhole = answer["Content-Type"]
    }
    return planned
  }

  // MARK: The three states

  /// Each case for the first time, and again; then the content itself where it has not been fetched.
  mutating func warm() throws {
    let asker = Asker(port: sluice.port)
    var cold: [String] = []
    var warm: [String] = []
    for planned in cases {
      if planned.onlyIfCached {
        if let line = refusalFault(planned, asker) { cold.append(line) }
        _ = try? asker.ask(planned.plain)
        // What has been given is in the cache once it is committed.
        try sluice.settle()
      } else if let line = fault(planned, asker) {
        cold.append(line)
      }
      // What is not kept is not in the cache the second time either.
      let mayRefuse = planned.onlyIfCached && planned.unkept != nil
      if let line = mayRefuse ? refusalFault(planned, asker) : fault(planned, asker) {
        warm.append(line)
      }
      if planned.needsFetching { _ = try? asker.ask(planned.plain) }
    }
    failures.append(("cold", cold))
    failures.append(("warm", warm))
    try sluice.settle()
    // What is proven to be absent is known as soon as the origin has told it.
    let busy = #"sluice_upstream_connections{state="busy"}"#
    guard try eventually({ try sluice.metric(busy) == 0 }) else {
      throw TestFailure("the origin is asked without end")
    }
  }

  /// The third state; what then gets another answer must be what may, no less and no more.
  mutating func stopOriginAndAsk() throws {
    origin.stop()
    let asker = Asker(port: sluice.port)
    var lost: [String] = []
    var kept: [String] = []
    for planned in cases {
      switch (fault(planned, asker), planned.unkept) {
      case (let line?, nil): lost.append(line)
      case (nil, .failure?): break
      // What Sluice refuses by itself it refuses always.
      case (nil, let reason?)
      where planned.expected.status != 400
        && !DeliberateDifference.isLabelTooLong(planned.question):
        kept.append("\(planned.name): is answered, though \(reason.rawValue)")
      default: break
      }
    }
    failures.append(("origin off", lost))
    failures.append(("origin off, not in the list", kept))
  }

  func report() {
    for (state, lines) in failures where !lines.isEmpty {
      let all = lines.joined(separator: "\n  ")
      Issue.record("\(state): \(lines.count) of \(cases.count) cases differ\n  \(all)")
    }
  }

  private func fault(_ planned: Planned, _ asker: Asker) -> String? {
    do {
      let got = try asker.ask(planned.question)
      var found = Difference.all(
        expected: planned.expected, got: got, method: planned.question.method)
      // A gateway that knows the whole may tell of its parts what it is.
      if let type = planned.typeOfWhole, got["Content-Type"] == type {
        found.removeAll { $0.field == "Content-Type" }
      }
      found = DeliberateDifference.remove(
        from: found, planned.question, expected: planned.expected, got: got, whole: planned.whole)
      guard !found.isEmpty else { return nil }
      return line(planned, found.map(\.description).joined(separator: "; "))
    } catch {
      return line(planned, "no answer: \(error)")
    }
  }

  /// Nothing is in the cache yet, and only the cache may answer: 412, unless the request needs no
  /// content to be answered.
  private func refusalFault(_ planned: Planned, _ asker: Asker) -> String? {
    do {
      let got = try asker.ask(planned.question)
      if got.status == 412 || got.status == planned.expected.status { return nil }
      return line(planned, "status: expected 412 or \(planned.expected.status), got \(got.status)")
    } catch {
      return line(planned, "no answer: \(error)")
    }
  }

  private func line(_ planned: Planned, _ text: String) -> String {
    "\(planned.name) [\(planned.question.method) \(planned.question.target)]: \(text)"
  }
}
