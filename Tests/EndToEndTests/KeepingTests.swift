import TestKit
import Testing

extension EndToEnd {
  /// What is kept, and what never may be.
  @Suite struct Keeping {
    struct Case: Sendable, CustomTestStringConvertible {
      var name: String
      var query = ""
      var fields: [(String, String)] = []
      var status = 200
      /// How the upstream answers.
      var answer: @Sendable (TestContent, Reply) throws -> Void
      var testDescription: String { name }
    }

    static func fields(
      _ content: TestContent, _ name: String, _ value: String?
    ) -> [(String, String)] {
      Reply.fields(of: content).filter { $0.0 != name } + (value.map { [(name, $0)] } ?? [])
    }

    static func changed(_ name: String, _ field: String, _ value: String?) -> Case {
      Case(name: name) { content, reply in
        try reply.answer(200, fields(content, field, value), content.body)
      }
    }

    static func status(_ status: Int) -> Case {
      Case(name: "status \(status)", status: status) { content, reply in
        try reply.answer(status, Reply.fields(of: content), content.body)
      }
    }

    static let other = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

    static let unkept: [Case] =
      [
        changed("another Etag", "Etag", "\"something\""),
        changed("another CID's Etag", "Etag", "\"\(other)\""),
        changed("no Etag", "Etag", nil),
        changed("a listing's Etag", "Etag", "\"DirIndex-2b567f6r5vvdg_CID-\(other)\""),
        changed("another root", "X-Ipfs-Roots", other),
        changed("a cookie", "Set-Cookie", "a=b"),
        changed("an encoding", "Content-Encoding", "gzip"),
        Case(name: "a weak Etag") { content, reply in
          try reply.answer(200, fields(content, "Etag", "W/\(content.etag)"), content.body)
        },
        Case(name: "chunks") { content, reply in
          try reply.head(200, Reply.fields(of: content) + [("Transfer-Encoding", "chunked")])
          try reply.send("\(String(content.body.count, radix: 16))\r\n".utf8)
          try reply.send(content.body)
          try reply.send("\r\n0\r\n\r\n".utf8)
        },
        Case(name: "no length") { content, reply in
          try reply.head(200, Reply.fields(of: content) + [("Connection", "close")])
          try reply.send(content.body)
          reply.close()
        },
        status(301), status(403), status(410), status(429), status(501), status(503),
        asked("format=tar", query: "?format=tar"), asked("a record", query: "?format=ipns-record"),
        asked("an escaped name", query: "?f%6Frmat=tar"),
        asked("Accept: TAR", fields: [("Accept", "text/html, application/x-tar")]),
      ]

    static func asked(
      _ name: String, query: String = "", fields: [(String, String)] = []
    ) -> Case {
      Case(name: name, query: query, fields: fields) { content, reply in
        try reply.answer(200, Reply.fields(of: content), content.body)
      }
    }

    @Test(arguments: unkept) func passesThroughUnkept(unkept: Case) throws {
      let content = try TestContent.opaque(noise(70_000, seed: 80))
      let upstream = try ScriptedUpstream { _, reply in try unkept.answer(content, reply) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for number in 1...2 {
        let answer = try sluice.request(content.path + unkept.query, unkept.fields)
        #expect(answer.status == unkept.status)
        #expect(answer.isComplete && isSame(answer.body, content.body))
        #expect(answer.cacheStatus != "HIT")
        #expect(upstream.requests.count == number)
      }
      #expect(upstream.requests.allSatisfy { $0.target == content.path + unkept.query })
      if let (name, value) = unkept.fields.first { #expect(upstream.requests[0][name] == value) }
      try sluice.settle()
      #expect(try sluice.metric("sluice_cache_entries") == 0)
    }

    /// Content may end as a gateway's words of giving up begin, wherever that falls.
    @Test(arguments: [(1, 1), (2, 1), (2, 50), (40, 30), (88, 0), (1, 87), (60, 28)])
    func contentThatEndsLikeAMarker(before: Int, behind: Int) throws {
      let words = Array(
        ("\n\n[Gateway Error: Response truncated - unable to retrieve remaining data "
          + "within timeout period]").utf8)
      // The words begin before a slice's border and go on behind it, in a last slice shorter than they are.
      let body = noise(2 * 65_536 - before, seed: 87) + words.prefix(before + behind)
      let contents = [try TestContent.opaque(body), try TestContent.raw(body)]
      let upstream = try ScriptedUpstream { request, reply in
        try reply.serve(contents[request.target == contents[0].path ? 0 : 1])
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      for content in contents {
        let answer = try sluice.request(content.path)
        #expect(answer.status == 200 && answer.isComplete && isSame(answer.body, body))
        try sluice.settle()
        let again = try sluice.request(content.path)
        #expect(again.cacheStatus == "HIT" && isSame(again.body, body))
      }
      #expect(upstream.requests.count == 2)
    }

    /// A part that nobody asked for is no answer.
    @Test func aPartUnasked() throws {
      let content = try TestContent.opaque(noise(70_000, seed: 86))
      let upstream = try ScriptedUpstream { _, reply in
        let place = ("Content-Range", "bytes 0-\(content.body.count - 1)/\(content.body.count)")
        try reply.answer(206, Reply.fields(of: content) + [place], content.body)
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(try sluice.request(content.path).status == 502)
      try sluice.settle()
      #expect(try sluice.metric("sluice_cache_entries") == 0)
    }

    /// Parameters that mean nothing for a file do not make another object of it.
    @Test func unknownParametersShareTheObject() throws {
      let content = try TestContent.opaque(noise(1000, seed: 81))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(try sluice.request(content.path + "?utm=1").cacheStatus == "MISS")
      #expect(try sluice.request(content.path + "?cachebust=2").cacheStatus == "HIT")
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
      #expect(upstream.requests.count == 1)
    }

    /// What a client says of itself is no business of the upstream's.
    @Test func clientFieldsDoNotReachTheUpstream() throws {
      let content = try TestContent.opaque(noise(1000, seed: 82))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let own = [
        ("Cookie", "a=b"), ("Authorization", "Basic x"), ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"), ("If-None-Match", "\"x\""), ("Accept-Encoding", "gzip"),
        ("X-Forwarded-For", "1.2.3.4"), ("Upgrade", "websocket"),
      ]
      #expect(try sluice.request(content.path, own).status == 200)
      #expect(try sluice.request(content.path + "?format=tar", own).status == 200)
      #expect(upstream.requests.count == 2)
      for request in upstream.requests {
        // What is passed through for its own client takes that one's condition along.
        let isPassed = request.target.contains("?")
        for (name, value) in own {
          let expected: String? =
            switch name {
            case "If-None-Match" where isPassed: value
            // Sluice's own word, not the client's.
            case "X-Forwarded-For" where isPassed: "127.0.0.1"
            default: nil
            }
          #expect(request[name] == expected, "\(name)")
        }
      }
    }

    // MARK: Bytes that are not those of their CID

    static let sizes = [0, 1, 1000, 65_536, 65_537, 250_000]

    @Test(arguments: sizes, [false, true])
    func wrongBytesAreNeverWhole(size: Int, startsWithRange: Bool) throws {
      let content = try TestContent.raw(noise(size, seed: 83))
      // A body of no bytes has none that could be wrong: there it is a byte too many.
      var wrong = content.body
      if size == 0 { wrong = [1] } else { wrong[size - 1] ^= 1 }
      let lie = TestContent(cid: content.cid, body: wrong)
      let isHonest = Gate()
      let upstream = try ScriptedUpstream { _, reply in
        try reply.serve(isHonest.wait(seconds: 0) ? content : lie)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      if startsWithRange {
        _ = try? sluice.request(content.path, [("Range", "bytes=0-0")])
        try sluice.settle()
      }
      for _ in 0..<2 {
        let answer = try? sluice.request(content.path)
        #expect(answer == nil || answer?.status != 200 || answer?.isComplete == false)
        try sluice.settle()
      }
      isHonest.open()
      let healed = try sluice.request(content.path)
      #expect(healed.status == 200 && healed.isComplete && isSame(healed.body, content.body))
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }

    /// Parts of what is being checked wait for it, far ahead as they may be.
    @Test func aPartAheadOfACheckedFetch() throws {
      let content = try TestContent.raw(noise(3 << 20, seed: 85))
      let gate = Gate()
      let upstream = try Coalescing.drip(content, gate)
      defer { upstream.stop() }
      defer { gate.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let crowd = Crowd(of: content.body)
      let total = content.body.count
      try crowd.add(port: sluice.port, request: RawClient.text(content.path), part: 0..<total)
      #expect(crowd.run { $0.clients[0].received > 0 })
      for first in [900_000, 500_000, 1 << 19, total - 1] {
        let part = first..<min(total, first + 5000)
        let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path, [range]), part: part)
      }
      _ = crowd.run(within: 0.3) { _ in false }
      gate.open()
      #expect(crowd.run { $0.doneCount == 5 })
      #expect(upstream.requests.count == 1)
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }

    /// The CID of something, and nothing is what the upstream has.
    @Test func nothingIsNotAnythingsContent() throws {
      let content = try TestContent.raw(noise(5000, seed: 84))
      let empty = TestContent(cid: content.cid, body: [])
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(empty) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for _ in 0..<2 {
        let answer = try? sluice.request(content.path)
        #expect(answer == nil || answer?.status != 200 || answer?.isComplete == false)
        try sluice.settle()
      }
      #expect(try sluice.metric("sluice_cache_entries") == 0)
    }
  }
}
