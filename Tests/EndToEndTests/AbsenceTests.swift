import Base
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// Content that is not there: what is proven is remembered, what has just failed is not asked for again
  /// at once, and what comes back is had.
  @Suite struct Absences {
    static let proofQuery = "?format=car&dag-scope=block&car-order=dfs&car-dups=n"
    static let html = ("Accept", "text/html")

    static func proofs(_ sluice: SluiceProcess, _ outcome: String) throws -> Double {
      try sluice.metric(#"sluice_absence_proofs_total{outcome="\#(outcome)"}"#)
    }

    static func isFailing(_ answer: Response, _ status: Int, retryAfter: Int) -> Bool {
      answer.status == status && answer["Retry-After"] == "\(retryAfter)"
        && answer["Cache-Status"] == "sluice; fwd=uri-miss; detail=failing"
        && answer.cacheStatus == "ERROR"
    }

    static func isAbsent(_ answer: Response) -> Bool {
      answer.status == 404 && answer["Cache-Status"] == "sluice; hit; detail=absent"
        && answer.cacheStatus == "HIT" && answer.isComplete
    }

    // MARK: Proofs

    @Test(arguments: [false, true]) func whatIsProvenNeedsNoUpstream(isSharded: Bool) throws {
      var dag = TestDAG()
      var entries: [String: TestDAG.Node] = [:]
      for number in 0..<(isSharded ? 400 : 3) {
        entries["\(number).txt"] = try dag.file(Array("file \(number)".utf8))
      }
      let root = try isSharded ? dag.shardedDirectory(entries) : dag.directory(entries)
      let top = try dag.directory(["a b": root])
      let origin = try OriginProcess(car: dag.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let absent = "/ipfs/\(top.cid)/a%20b/none.txt"
      let first = try sluice.request(absent)
      // The upstream's own words.
      #expect(first.status == 404 && first.text.contains("no link named"))
      #expect(first["Cache-Status"] == "sluice; fwd=uri-miss; detail=status")
      #expect(try eventually { try Self.proofs(sluice, "proven") == 1 })
      #expect(try sluice.request("/ipfs/\(top.cid)/a%20b/1.txt").text == "file 1")
      try sluice.settle()
      let asked = try sluice.metric("sluice_upstream_requests_total")
      origin.stop()
      let answer = try sluice.request(absent)
      #expect(Self.isAbsent(answer) && answer["X-Ipfs-Path"] == "/ipfs/\(top.cid)/a b/none.txt")
      #expect(answer.text.hasPrefix("404 Not Found: nothing is at this path"))
      #expect(answer["Retry-After"] == nil)
      let page = try sluice.request(absent, [Self.html])
      #expect(Self.isAbsent(page) && page["Content-Type"] == "text/html; charset=utf-8")
      let head = try sluice.request(absent, method: "HEAD")
      #expect(Self.isAbsent(head) && head.body.isEmpty)
      for field in [("Range", "bytes=1-2"), ("If-None-Match", "\"x\"")] {
        #expect(Self.isAbsent(try sluice.request(absent, [field])), "\(field)")
      }
      // What is not there is not in the cache.
      #expect(try sluice.request(absent, [("Cache-Control", "only-if-cached")]).status == 412)
      let spelt = "/ipfs/\(try top.cid.version0())/a%20b/./none.txt?x=y"
      #expect(Self.isAbsent(try sluice.request(spelt)))
      #expect(try sluice.request("/ipfs/\(top.cid)/a%20b/1.txt").cacheStatus == "HIT")
      #expect(try sluice.metric("sluice_upstream_requests_total") == asked)
      #expect(try sluice.metric(#"sluice_absence_answers_total{reason="absent"}"#) == 6)
      // Other forms and other paths have memories of their own.
      for other in [absent + "?format=raw", absent + "x"] {
        #expect(try sluice.request(other).cacheStatus == "ERROR")
      }
    }

    /// Each of these is answered 404 for the path, and something for the proof that is none.
    enum Lie: String, CaseIterable, Sendable {
      case nothing, headerOnly, otherDirectory, flippedBit, cutOff, noCAR, status, endless, silence
      case itIsThere
    }

    @Test(arguments: Lie.allCases) func whatDoesNotProveItIsNoProof(lie: Lie) throws {
      var dag = TestDAG()
      let file = try dag.file(Array("content".utf8))
      let root = try dag.directory(["a": file, "b": file])
      let other = try dag.directory(["c": file])
      let blocks = try [root, other].map { node -> (CID, [UInt8]) in
        (node.cid, try #require(dag.bytes(of: node.cid)))
      }
      let over = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        guard request.target.hasSuffix(Self.proofQuery) else {
          return try reply.answer(404, [], Array("not here\n".utf8))
        }
        try Self.lie(lie, blocks, over, reply)
      }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["first_byte: 2s"]
      let sluice = try SluiceProcess(settings)
      // `b` is there, whatever the upstream says.
      let path = "/ipfs/\(root.cid)/\(lie == .itIsThere ? "b" : "none")"
      #expect(try sluice.request(path).text == "not here\n")
      #expect(try eventually { try Self.proofs(sluice, "unproven") == 1 })
      var answers: [Response] = []
      #expect(
        try eventually {
          answers.append(try sluice.request(path))
          return upstream.requests.count { $0.target == path } == 2
        })
      #expect(answers.allSatisfy { $0.status == 404 && $0.cacheStatus != "HIT" })
      #expect(upstream.requests.count { $0.target == path + Self.proofQuery } == 1)
      #expect(try Self.proofs(sluice, "proven") == 0)
    }

    private static func lie(
      _ lie: Lie, _ blocks: [(CID, [UInt8])], _ over: Gate, _ reply: Reply
    ) throws {
      func car(_ blocks: [(CID, [UInt8])]) -> [UInt8] {
        var output = ByteBuffer(capacity: 1024)
        CARWriter.appendHeader(roots: blocks.map(\.0), to: &output)
        for (cid, bytes) in blocks { CARWriter.appendBlock(cid, bytes.rawBytes, to: &output) }
        return output.readable.array
      }
      let (root, other) = (blocks[0], blocks[1])
      switch lie {
      case .nothing: try reply.answer(200, [], [])
      case .headerOnly: try reply.answer(200, [], car([]))
      case .otherDirectory: try reply.answer(200, [], car([other]))
      case .flippedBit:
        var bytes = root.1
        bytes[bytes.count / 2] ^= 1
        try reply.answer(200, [], car([(root.0, bytes)]))
      case .cutOff: try reply.answer(200, [], car([root]).dropLast())
      case .noCAR: try reply.answer(200, [], Array("<html>".utf8))
      case .status: try reply.answer(404, [], car([root]))
      case .endless:
        try reply.head(200, [("Content-Length", "1000000000000")])
        try reply.send(car([]))
        let block = try TestContent.raw(noise(1 << 20, seed: 1))
        let more = Array(car([(block.cid, block.body)]).dropFirst(car([(block.cid, [])]).count))
        while true { try reply.send(more) }
      case .silence: over.wait()
      case .itIsThere: try reply.answer(200, [], car([root]))
      }
    }

    @Test func proofsAreForgottenInTime() throws {
      var dag = TestDAG()
      let root = try dag.directory(["a": try dag.file([1, 2, 3])])
      let origin = try OriginProcess(car: dag.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.negativeTTL = "3s"
      let sluice = try SluiceProcess(settings)
      let path = "/ipfs/\(root.cid)/none"
      for round in 1...2 {
        // The first time, and when the proof's time is over.
        var answer = try sluice.request(path)
        #expect(
          try eventually {
            if !Self.isAbsent(answer) { return true }
            answer = try sluice.request(path)
            return false
          })
        #expect(answer["Cache-Status"] == "sluice; fwd=uri-miss; detail=status")
        #expect(try eventually { try Self.proofs(sluice, "proven") == Double(round) })
        #expect(Self.isAbsent(try sluice.request(path)))
      }
    }

    @Test func proofsCanBeSwitchedOff() throws {
      let content = try TestContent.opaque([1])
      let upstream = try ScriptedUpstream { _, reply in try reply.answer(404, [], []) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.negativeTTL = "0s"
      let sluice = try SluiceProcess(settings)
      let path = content.path + "/none"
      #expect(try sluice.request(path).status == 404)
      #expect(Self.isFailing(try sluice.request(path), 404, retryAfter: 1))
      #expect(!eventually(within: 0.3) { upstream.requests.count > 1 })
    }

    // MARK: Failures

    @Test(arguments: [404, 500, 502, 504]) func failuresAreNotAskedForAgainAtOnce(status: Int)
      throws
    {
      let content = try TestContent.opaque(noise(1000, seed: 120))
      let isBack = Collected<Bool>()
      let upstream = try ScriptedUpstream { _, reply in
        guard isBack.all.last ?? false else {
          return try reply.answer(status, [], Array("the node's words".utf8))
        }
        try reply.serve(content, extra: [("Set-Cookie", "a=b")])
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      /// Asks until the upstream is asked for the time of that number; gives that answer.
      func askUntilAsked(_ count: Int) throws -> Response {
        var answers: [Response] = []
        let isAsked = try eventually {
          answers.append(try sluice.request(content.path))
          return upstream.requests.count == count
        }
        #expect(isAsked)
        let last = answers.removeLast()
        #expect(answers.allSatisfy { $0["Cache-Status"]?.hasSuffix("detail=failing") ?? false })
        return last
      }
      #expect(try sluice.request(content.path).text == "the node's words")
      #expect(Self.isFailing(try sluice.request(content.path), status, retryAfter: 1))
      #expect(
        Self.isFailing(try sluice.request(content.path, method: "HEAD"), status, retryAfter: 1))
      #expect(upstream.requests.count == 1)
      #expect(try askUntilAsked(2).text == "the node's words")
      #expect(Self.isFailing(try sluice.request(content.path), status, retryAfter: 2))
      isBack.add(true)
      #expect(isSame(try askUntilAsked(3).body, content.body))
      // A success forgets: this is a first failure again.
      isBack.add(false)
      #expect(try sluice.request(content.path).text == "the node's words")
      #expect(Self.isFailing(try sluice.request(content.path), status, retryAfter: 1))
      let cached = try sluice.request(content.path, [("Cache-Control", "only-if-cached")])
      #expect(cached.status == 412)
      #expect(upstream.requests.count == 4)
    }

    /// What tells nothing of the content is not remembered as the content's.
    @Test(arguments: [400, 403, 410, 429, 451, 503]) func otherStatusesAreAskedForAgain(
      status: Int
    ) throws {
      let upstream = try ScriptedUpstream { _, reply in try reply.answer(status, [], []) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let path = try TestContent.opaque([2]).path
      for count in 1...2 {
        #expect(try sluice.request(path).status == status)
        #expect(upstream.requests.count == count)
      }
    }

    /// A dead CID costs one client its patience, and not each of a herd.
    @Test(arguments: ["GET", "HEAD"]) func silenceIsRemembered(method: String) throws {
      let over = Gate()
      let upstream = try ScriptedUpstream { _, _ in over.wait() }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["first_byte: 500ms"]
      let sluice = try SluiceProcess(settings)
      let path = try TestContent.opaque([3]).path
      #expect(try sluice.request(path, method: method).status == 504)
      for _ in 0..<5 {
        #expect(Self.isFailing(try sluice.request(path), 504, retryAfter: 1))
      }
      #expect(upstream.requests.count == 1)
      #expect(try sluice.metric(#"sluice_absence_answers_total{reason="failing"}"#) == 5)
    }

    /// A server that cannot be reached, or breaks off, says nothing of content.
    @Test(arguments: [false, true]) func brokenServersAreNotTheContents(isDead: Bool) throws {
      let dead = try DeadPort()
      let upstream = try ScriptedUpstream { _, reply in try reply.reset() }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: isDead ? dead.port : upstream.port)
      let path = try TestContent.opaque([4]).path
      for _ in 0..<3 {
        let answer = try sluice.request(path)
        #expect(answer.status >= 502)
        #expect(answer["Cache-Status"] == "sluice; fwd=uri-miss; detail=upstream")
      }
    }

    /// A part may be there where the head is not to be had, and the other way round.
    @Test func aPartTellsNothingOfTheWhole() throws {
      let content = try TestContent.opaque(noise(300_000, seed: 121))
      let upstream = try ScriptedUpstream { request, reply in
        if request["Range"] != nil { return try reply.serve(content) }
        try reply.answer(504, [], [])
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let range = ("Range", "bytes=70000-140000")
      for _ in 0..<2 {
        let answer = try sluice.request(content.path, [range])
        #expect(answer.status == 206 && isSame(answer.body, content.body, 70_000..<140_001))
      }
    }

    /// A name that nobody finds is looked for once, and not at once again.
    @Test func deadNamesAreLookedForOnce() throws {
      let gate = Gate()
      defer { gate.open() }
      let upstream = try ScriptedUpstream { _, _ in _ = gate.wait(seconds: 60) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["first_byte: 200ms"]
      let sluice = try SluiceProcess(settings)
      let first = try sluice.request("/ipns/dead.test/a")
      #expect(first.status == 504)
      #expect(eventually { upstream.requests.map(\.method) == ["HEAD"] })
      #expect(Self.isFailing(try sluice.request("/ipns/dead.test/b"), 504, retryAfter: 1))
      #expect(upstream.requests.count == 1)
      // It may be found later.
      #expect(
        try eventually {
          _ = try sluice.request("/ipns/dead.test/a")
          return upstream.requests.count > 1
        })
    }

    /// Who joins a failure gets it in the form that it accepts itself.
    @Test func joinedFailuresAreInEachClientsForm() throws {
      let content = try TestContent.opaque([6])
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        _ = gate.wait(seconds: 60)
        try reply.answer(504, [("Content-Type", "text/html")], Array("<p>no".utf8))
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let (port, adminPort) = (sluice.port, sluice.adminPort)
      let answers = Collected<(number: Int, answer: Response)>()
      try onThreads(4) { number in
        if number > 0 { _ = eventually { upstream.requests.count == 1 } }
        if number == 3 {
          let joined = try eventually {
            let metrics = Metrics.parse(try RawClient(port: adminPort).request("/metrics").text)
            return metrics["sluice_fill_readers_joined_total"] == 2
          }
          gate.open()
          #expect(joined)
        } else {
          let fields = number == 2 ? [] : [Self.html]
          answers.add((number, try RawClient(port: port).request(content.path, fields)))
        }
      }
      for (number, answer) in answers.all {
        #expect(answer.status == 504)
        let type = number == 2 ? "text/plain; charset=utf-8" : "text/html"
        #expect(answer["Content-Type"] == type && (answer.text == "<p>no") == (number != 2))
      }
      #expect(upstream.requests.count == 1)
    }

    /// Where content has a host of its own a 404 may be the site's page, which stays; what is no such page is
    /// looked for again.
    @Test func sitesKeepTheirPages() throws {
      let content = try TestContent.opaque([5])
      let upstream = try ScriptedUpstream { request, reply in
        try reply.answer(404, [("Content-Type", "text/html")], Array("own page".utf8))
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.hosts = ["{ name: dweb.test, subdomains: true }"]
      let sluice = try SluiceProcess(settings)
      let asker = Asker(port: sluice.port)
      var question = Question("/none")
      question.host = "\(content.cid.text(in: .base32)).ipfs.dweb.test"
      for count in 1...2 {
        #expect(try asker.ask(question).text == "own page")
        #expect(
          eventually {
            upstream.requests.filter { !$0.target.contains("format=car") }.count == count
          })
      }
    }

    /// What a site's rules say of a path that is proven not to exist is kept; a lie about it is not.
    @Test func whatSitesSayOfMissingPathsIsKept() throws {
      var dag = TestDAG()
      let page = Array("<title>Not here</title>".utf8)
      let rules = "/old/* /new/:splat 301\n/gone /404.html 410\n/* /404.html 404\n"
      let site = try dag.directory([
        "_redirects": dag.file(Array(rules.utf8)), "404.html": dag.file(page),
        "docs": dag.directory(["a.txt": dag.file([1])]),
      ])
      let origin = try OriginProcess(
        car: dag.car, names: [("docs.test", "/ipfs/\(site.cid)")], subdomainHosts: ["dweb.test"])
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.hosts = ["{ name: dweb.test, subdomains: true }"]
      let sluice = try SluiceProcess(settings)
      let asker = Asker(port: sluice.port)
      func ask(
        _ target: String, _ method: String = "GET", host: String = "\(site.cid).ipfs.dweb.test"
      ) throws -> Response {
        var question = Question(target)
        question.method = method
        question.host = host
        return try asker.ask(question)
      }
      let targets = ["/old/a%20b", "/gone", "/no/such", "/docs"]
      let first = try targets.map { try ask($0) }
      #expect(first.map(\.status) == [301, 410, 404, 301])
      #expect(try eventually { try Self.proofs(sluice, "proven") == 3 })
      #expect(try eventually { try Self.proofs(sluice, "unproven") == 1 })
      try sluice.settle()
      #expect(
        try eventually { try targets.dropLast().allSatisfy { try ask($0).cacheStatus == "HIT" } })
      // Under a name nobody knows for how long a path will be missing.
      #expect(first[2]["Cache-Control"]?.contains("immutable") == true)
      for _ in 0..<2 {
        let named = try ask("/no/such", host: "docs-test.ipns.dweb.test")
        #expect(named.status == 404 && named.body == page && named["Cache-Control"] == nil)
      }
      origin.stop()
      // Gateways may add a query to where a redirect leads.
      #expect(try ask("/old/a%20b?x=y").status == 502 && ask("/gone?x=y").status == 410)
      for (target, before) in zip(targets, first).dropLast() {
        let again = try ask(target)
        #expect(again.status == before.status && again.body == before.body && again.isComplete)
        for field in ["Location", "Etag", "Content-Type", "Cache-Control", "X-Ipfs-Path"] {
          #expect(again[field] == before[field], "\(target) \(field)")
        }
        #expect(try ask(target, "HEAD").status == before.status)
      }
      // A directory without its slash is the moment's business: the client's query goes with it.
      #expect(try ask("/docs").status == 502)
    }
  }
}
