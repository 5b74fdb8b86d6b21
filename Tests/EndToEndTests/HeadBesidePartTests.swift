import TestKit
import Testing

extension EndToEnd {
  /// A part of an object that nothing is known of: its head and its slices are asked for at once.
  @Suite struct HeadBesidePart {
    static func content(_ seed: UInt64) throws -> TestContent {
      try .opaque(noise(300_000, seed: seed))
    }

    static func start(_ upstream: ScriptedUpstream) throws -> SluiceProcess {
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      return try SluiceProcess(settings)
    }

    static let range = ("Range", "bytes=70000-140000")

    static func isRight(_ answer: Response, _ content: TestContent) -> Bool {
      answer.status == 206 && isSame(answer.body, content.body, 70_000..<140_001)
        && answer["Content-Range"] == "bytes 70000-140000/300000"
    }

    /// The head is held back until the slices have been asked for, or the other way round.
    @Test(arguments: [true, false]) func bothAreAskedForAtOnce(headIsLate: Bool) throws {
      let content = try Self.content(91)
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if (request.method == "HEAD") == headIsLate {
          #expect(gate.wait())
          reply.pause(milliseconds: 50)
        } else {
          gate.open()
        }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      #expect(Self.isRight(try sluice.request(content.path, [Self.range]), content))
      #expect(Set(upstream.requests.map { $0["Range"] }) == [nil, "bytes=65536-196607"])
      #expect(upstream.requests.count == 2)
      try sluice.settle()
      #expect(try sluice.request(content.path, [Self.range]).cacheStatus == "HIT")
      #expect(upstream.requests.count == 2)
    }

    @Test func withoutAnEndSlicesAreAskedForToTheirEnd() throws {
      let content = try Self.content(92)
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      let answer = try sluice.request(content.path, [("Range", "bytes=70000-")])
      #expect(answer.status == 206 && isSame(answer.body, content.body, 70_000..<300_000))
      #expect(
        upstream.requests.compactMap { $0["Range"] } == ["bytes=65536-\(65_536 * 257 - 1)"])
      #expect(upstream.requests.count == 2)
    }

    /// What may not be kept is given to the client as it is, and to nobody else.
    @Test func aHeadThatCannotBeKept() throws {
      let content = try Self.content(93)
      let upstream = try ScriptedUpstream { request, reply in
        if request.method == "HEAD" { reply.pause(milliseconds: 100) }
        try reply.serve(content, extra: [("Set-Cookie", "a=b")])
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      for _ in 0..<2 {
        let answer = try sluice.request(content.path, [Self.range])
        #expect(Self.isRight(answer, content) && answer.cacheStatus != "HIT")
      }
      #expect(upstream.requests.count { $0["Range"] == "bytes=70000-140000" } == 2)
      #expect(try sluice.metric("sluice_cache_entries") == 0)
    }

    /// Without a head there is nothing that a part could belong to.
    @Test func aHeadThatFails() throws {
      let content = try Self.content(94)
      let upstream = try ScriptedUpstream { request, reply in
        if request.method == "HEAD" {
          reply.pause(milliseconds: 100)
          return try reply.answer(404, [], [])
        }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      #expect(Self.isRight(try sluice.request(content.path, [Self.range]), content))
      #expect(try sluice.metric("sluice_cache_entries") == 0)
    }

    @Test(arguments: [true, false]) func beyondTheEnd(headIsLate: Bool) throws {
      let content = try Self.content(95)
      let upstream = try ScriptedUpstream { request, reply in
        if (request.method == "HEAD") == headIsLate { reply.pause(milliseconds: 100) }
        guard request["Range"] != nil else { return try reply.serve(content) }
        try reply.answer(416, [("Content-Range", "bytes */300000")], headIsLate ? [] : [1, 2])
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      let answer = try sluice.request(content.path, [("Range", "bytes=400000-400001")])
      #expect(answer.status == 416 && answer["Content-Range"] == "bytes */300000")
    }

    /// A part that is not of the object that the head told of is thrown away, and asked for again.
    @Test(arguments: ["etag", "place", "total", "chunked", "status"], [true, false])
    func aPartThatDisagrees(what: String, headIsLate: Bool) throws {
      let content = try Self.content(96)
      let other = try Self.content(97)
      let upstream = try ScriptedUpstream { request, reply in
        if (request.method == "HEAD") == headIsLate { reply.pause(milliseconds: 100) }
        let isFirstPart = request["Range"] != nil && request.number < 2
        guard isFirstPart else { return try reply.serve(content) }
        var fields = Reply.fields(of: what == "etag" ? other : content)
        let place = what == "place" ? "bytes 0-131071" : "bytes 65536-196607"
        fields.append(("Content-Range", "\(place)/\(what == "total" ? 300_001 : 300_000)"))
        if what == "status" { return try reply.answer(503, [], [1, 2, 3]) }
        if what != "chunked" { return try reply.answer(206, fields, noise(131_072, seed: 1)) }
        try reply.head(206, fields + [("Transfer-Encoding", "chunked")])
        try reply.send("20000\r\n".utf8)
        try reply.send(noise(131_072, seed: 1))
        try reply.send("\r\n0\r\n\r\n".utf8)
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      #expect(Self.isRight(try sluice.request(content.path, [Self.range]), content))
      #expect(upstream.requests.count == 3)
      try sluice.settle()
      let again = try sluice.request(content.path, [Self.range])
      #expect(Self.isRight(again, content) && again.cacheStatus == "HIT")
    }

    /// Below a root most files are raw leaves, fetched whole; and what begins at 0 or at the end says
    /// too little of its place.
    @Test(arguments: ["/a", "/"], ["bytes=70000-140000"])
    func elsewhereTheHeadComesFirst(path: String, range: String) throws {
      let content = try Self.content(98)
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if request.method == "HEAD" { gate.wait() }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try Self.start(upstream)
      let client = try sluice.connect()
      try client.send(RawClient.text(content.path + path, [("Range", range)]))
      #expect(eventually { upstream.requests.count == 1 })
      #expect(!eventually(within: 0.1) { upstream.requests.count > 1 })
      gate.open()
      #expect(try client.head().status == 206)
    }

    @Test func theClientLeavesBeforeTheHead() throws {
      let content = try Self.content(99)
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if request.method == "HEAD" { gate.wait() }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      let sluice = try Self.start(upstream)
      let client = try sluice.connect()
      try client.send(RawClient.text(content.path, [Self.range]))
      #expect(eventually { upstream.requests.count == 2 })
      client.reset()
      #expect(try eventually { try sluice.metric("sluice_fills_in_flight") == 0 })
      gate.open()
      #expect(Self.isRight(try sluice.request(content.path, [Self.range]), content))
    }
  }
}
