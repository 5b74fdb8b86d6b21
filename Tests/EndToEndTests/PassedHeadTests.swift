import TestKit
import Testing

extension EndToEnd {
  /// What an upstream's head says, and is not given on as it is.
  @Suite struct PassedHeads {
    static let ofOrigin = [
      ("Strict-Transport-Security", "max-age=63072000; includeSubDomains"),
      ("Alt-Svc", "h3=\":443\""), ("Clear-Site-Data", "\"*\""), ("NEL", "{}"),
      ("Report-To", "{}"), ("Service-Worker-Allowed", "/"),
    ]

    /// They would speak for this gateway's own name, of a hit for as long as it is kept.
    @Test(arguments: ["", "?format=tar"]) func whatIsOfItsOriginStaysThere(query: String) throws {
      let content = try TestContent.opaque(noise(1000, seed: 31))
      let upstream = try ScriptedUpstream { _, reply in
        try reply.serve(content, extra: Self.ofOrigin + [("X-Other", "stays")])
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for _ in 0..<2 {
        let answer = try sluice.request(content.path + query)
        #expect(isSame(answer.body, content.body) && answer["X-Other"] == "stays")
        for (name, _) in Self.ofOrigin { #expect(answer[name] == nil, "\(name)") }
        try sluice.settle()
      }
    }

    /// Whatever is not kept of a name's content is asked for by its CID too, which upstreams call unchanging.
    @Test func aNamesContentIsNotForGood() throws {
      let content = try TestContent.opaque(noise(1000, seed: 32))
      let upstream = try ScriptedUpstream { request, reply in
        if request.target.hasPrefix("/ipns/") {
          let fields = [
            ("X-Ipfs-Path", "/ipns/docs.test"), ("X-Ipfs-Roots", "\(content.cid)"),
            ("Cache-Control", "public, max-age=90"),
          ]
          return try reply.answer(200, fields, [])
        }
        let fields = Reply.fields(of: content).filter { $0.0 != "Etag" }
        try reply.answer(200, fields + [("Etag", "W/\(content.etag)")], content.body)
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let named = try sluice.request("/ipns/docs.test")
      #expect(isSame(named.body, content.body) && named.cacheStatus == "MISS")
      #expect(named["Cache-Control"] == "public, max-age=90")
      #expect(named["Age"].flatMap { Int($0) }.map { 0..<90 ~= $0 } == true)
      let same = try sluice.request("/ipns/docs.test", [("If-None-Match", content.etag)])
      #expect(same.status == 304 && same["Cache-Control"] == "public, max-age=90")
      let rooted = try sluice.request(content.path)
      #expect(rooted["Cache-Control"]?.contains("immutable") == true)
      #expect(rooted["Etag"] == "W/\(content.etag)")
    }

    /// Who waits for the same asks for itself.
    @Test func aCookieIsForOneClient() throws {
      let content = try TestContent.opaque(noise(1000, seed: 33))
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if request.number == 0 { gate.wait() }
        try reply.serve(content, extra: [("Set-Cookie", "id=\(request.number)")])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let clients = try (0..<3).map { _ in
        let client = try RawClient(port: sluice.port)
        try client.send(RawClient.text(content.path))
        return client
      }
      #expect(try eventually { try sluice.metric("sluice_fill_readers_joined_total") == 2 })
      gate.open()
      let answers = try clients.map { try $0.response() }
      #expect(answers.allSatisfy { isSame($0.body, content.body) })
      #expect(Set(answers.map { $0["Set-Cookie"] }).count == 3)
    }

    /// Only what is here in full is here (RFC 9111, section 5.2.1.7): nobody is asked for the rest.
    @Test(arguments: [300_000, 3_000_000]) func onlyTheCacheMeansOnlyTheCache(bytes: Int) throws {
      let content = try TestContent.opaque(noise(bytes, seed: 34))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let only = ("Cache-Control", "only-if-cached")
      let part = ("Range", "bytes=70000-70009")
      #expect(try sluice.request(content.path, [part]).status == 206)
      try sluice.settle()
      let asked = upstream.requests.count
      let here = try sluice.request(content.path, [only, part])
      #expect(here.status == 206 && isSame(here.body, Array(content.body[70_000..<70_010])))
      let missing = [
        [only], [only, ("Range", "bytes=70000-")], [only, ("Range", "bytes=0-99999")],
      ]
      for fields in missing {
        #expect(try sluice.request(content.path, fields).status == 412, "\(fields)")
      }
      #expect(try sluice.request(content.path, method: "HEAD", [only]).status == 412)
      #expect(upstream.requests.count == asked)
      #expect(try isSame(sluice.request(content.path).body, content.body))
      try sluice.settle()
      #expect(try isSame(sluice.request(content.path, [only]).body, content.body))
      #expect(try sluice.request(content.path, method: "HEAD", [only]).status == 200)
    }

    /// An absolute form may leave it out (RFC 9112, section 3.2.1).
    @Test func anUpstreamIsAskedForAPath() throws {
      let content = try TestContent.opaque(noise(1000, seed: 35))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.hosts = ["{ name: dweb.test, subdomains: true }"]
      let sluice = try SluiceProcess(settings)
      let host = "\(content.cid.text(in: .base32)).ipfs.dweb.test"
      var question = Question("http://\(host)?format=tar")
      question.host = host
      #expect(try Asker(port: sluice.port).ask(question).status == 200)
      #expect(upstream.requests.map(\.target) == ["/?format=tar"])
    }
  }
}
