import TestKit
import Testing

extension EndToEnd {
  /// Upstreams that fail, in all the ways that they do.
  @Suite struct UpstreamTrouble {
    enum Breach: String, CaseIterable, Sendable {
      case end, reset, stall, early, extra
    }

    /// Sends a third of the body and breaks; asked again, it has the rest.
    @Test(arguments: Breach.allCases) func brokenBodiesGoOnFromTheSameServer(breach: Breach) throws
    {
      let content = try TestContent.opaque(noise(300_000, seed: 90))
      let over = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        guard request.number == 0 else { return try reply.serve(content) }
        let length = ("Content-Length", "\(content.body.count)")
        try reply.head(200, Reply.fields(of: content) + [length])
        try reply.send(content.body[..<100_000])
        reply.pause(milliseconds: 100)
        switch breach {
        case .end: reply.close()
        case .reset: try reply.reset()
        case .stall: over.wait()
        case .early: try reply.head(500, [("Content-Length", "0"), ("Connection", "close")])
        case .extra:
          try reply.send(content.body[100_000...])
          try reply.send([1, 2, 3])
        }
        reply.close()
      }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["between_bytes: 500ms"]
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200)
      let isComplete = answer.isComplete
      if breach == .early {
        // Another answer's head within the body: what it really has there is something else.
        #expect(!isComplete)
      } else {
        // What follows the body is none of it.
        #expect(isComplete)
        #expect(isSame(answer.body, content.body))
      }
      let again = try sluice.request(content.path)
      #expect(again.status == 200 && again.isComplete && isSame(again.body, content.body))
      try sluice.settle()
      let kept = try sluice.request(content.path)
      #expect(kept.cacheStatus == "HIT" && isSame(kept.body, content.body))
    }

    /// A stream of chunks without its last one is not whole, though nobody knows its length.
    @Test func brokenChunksAreSeenToBeBroken() throws {
      let content = try TestContent.opaque(noise(50_000, seed: 91))
      let upstream = try ScriptedUpstream { _, reply in
        try reply.head(200, [("Transfer-Encoding", "chunked")])
        try reply.send("c350\r\n".utf8)
        try reply.send(content.body)
        try reply.send("\r\n".utf8)
        reply.pause(milliseconds: 100)
        reply.close()
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for _ in 0..<2 {
        let answer = try sluice.request(content.path)
        #expect(answer.status == 200 && !answer.isComplete)
      }
    }

    @Test func refusalsGoToTheNextServer() throws {
      let content = try TestContent.opaque(noise(5000, seed: 92))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let dead = try [DeadPort(), DeadPort()]
      let sluice = try SluiceProcess(
        SluiceProcess.Settings(upstreams: dead.map(\.port) + [upstream.port]))
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200 && isSame(answer.body, content.body))
    }

    @Test func noServerIsASentence() throws {
      let dead = try DeadPort()
      let sluice = try SluiceProcess(upstream: dead.port)
      let path = try TestContent.opaque([1]).path
      for fields in [[], [("Range", "bytes=5-9")]] {
        let answer = try sluice.request(path, fields)
        #expect([502, 503].contains(answer.status))
        #expect(answer.text.contains("no upstream server could be reached"))
        #expect(answer["Cache-Control"] == "no-store")
      }
      let page = try sluice.request(path, [("Accept", "text/html")])
      #expect(page["Content-Type"] == "text/html; charset=utf-8" && page.text.contains("<h1>"))
      #expect(try sluice.request(path, method: "HEAD").status >= 502)
    }

    @Test func silenceEndsInTime() throws {
      let content = try TestContent.opaque(noise(5000, seed: 93))
      let over = Gate()
      let upstream = try ScriptedUpstream { _, _ in over.wait() }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["first_byte: 300ms"]
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path)
      #expect(answer.status == 504 && answer.text.contains("did not answer in time"))
      #expect(try sluice.metric(#"sluice_upstream_errors_total{kind="timeout"}"#) == 1)
    }

    @Test(arguments: [
      "ICY 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
      "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "HTTP/2.0 200 OK\r\n\r\n", "\u{0}\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]) func nonsenseIsABadGateway(head: String) throws {
      let upstream = try ScriptedUpstream { _, reply in try reply.send(head.utf8) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(try sluice.request(TestContent.opaque([2]).path).status == 502)
      #expect(sluice.isRunning)
    }

    /// A kept connection that turns out to be dead costs the client nothing.
    @Test(arguments: [false, true]) func deadConnectionsAreReplaced(isReset: Bool) throws {
      let contents = try (0..<3).map { try TestContent.opaque(noise(3000, seed: 94 + $0)) }
      let upstream = try ScriptedUpstream { request, reply in
        if request.place == 1 && request.connection == 0 {
          if isReset { try reply.reset() }
          return reply.close()
        }
        try reply.serve(contents.first { $0.path == request.target } ?? contents[0])
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      for content in contents {
        let answer = try sluice.request(content.path)
        #expect(answer.status == 200 && isSame(answer.body, content.body))
      }
      #expect(upstream.connectionCount == 2)
      #expect(upstream.requests.count == 4)
    }

    /// An upstream that says goodbye after each answer.
    @Test func connectionsThatCloseAreNotUsedAgain() throws {
      let contents = try (0..<5).map { try TestContent.opaque(noise(3000, seed: 100 + $0)) }
      let upstream = try ScriptedUpstream { request, reply in
        let content = contents.first { $0.path == request.target } ?? contents[0]
        try reply.serve(content, extra: [("Connection", "close")])
        reply.close()
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for content in contents {
        #expect(isSame(try sluice.request(content.path).body, content.body))
      }
      #expect(upstream.connectionCount == 5 && upstream.requests.count == 5)
    }

    /// Ranges of what is not known, from an upstream that does not know ranges.
    @Test func anUpstreamWithoutRanges() throws {
      let content = try TestContent.opaque(noise(200_000, seed: 110))
      let upstream = try ScriptedUpstream { _, reply in
        try reply.answer(200, Reply.fields(of: content), content.body)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      for part in [150_000..<150_010, 1..<199_999] {
        let range = "bytes=\(part.lowerBound)-\(part.upperBound - 1)"
        let answer = try sluice.request(content.path, [("Range", range)])
        #expect(answer.status == 206 && isSame(answer.body, content.body, part))
      }
    }

    /// What comes instead of the rest of a part is not given out as that rest.
    @Test(arguments: [404, 200, 206]) func theRestIsHeldAgainstTheObject(status: Int) throws {
      let content = try TestContent.opaque(noise(200_000, seed: 113))
      let upstream = try ScriptedUpstream { request, reply in
        guard let range = request["Range"] else { return try reply.serve(content) }
        if range == "bytes=65536-131071" {
          // The slice breaks off within the part that the client wants.
          let place = ("Content-Range", "bytes 65536-131071/200000")
          try reply.head(
            206, Reply.fields(of: content) + [place, ("Content-Length", "65536")])
          try reply.send(content.body[65_536..<80_000])
          reply.pause(milliseconds: 200)
          return reply.close()
        }
        let page = noise(20_000, seed: 114)
        try reply.answer(status, [("Content-Range", "bytes 0-19999/20000")], page)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path, [("Range", "bytes=70000-99999")])
      #expect(answer.status == 206 && !answer.isComplete)
      #expect(isSame(answer.body, content.body, 70_000..<70_000 + answer.body.count))
      #expect(sluice.isRunning)
    }

    /// A block outside the client's part may be missing: what it asked for is still there.
    @Test func theClientsOwnPartIsAskedForAlone() throws {
      let content = try TestContent.opaque(noise(200_000, seed: 115))
      let upstream = try ScriptedUpstream { request, reply in
        guard let range = request["Range"], range == "bytes=65536-131071" else {
          return try reply.serve(content)
        }
        let place = ("Content-Range", "bytes 65536-131071/200000")
        try reply.head(206, Reply.fields(of: content) + [place, ("Content-Length", "65536")])
        try reply.send(content.body[65_536..<80_000])
        try reply.reset()
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path, [("Range", "bytes=70000-99999")])
      #expect(answer.status == 206 && isSame(answer.body, content.body, 70_000..<100_000))
    }

    /// A part of another object, or of another place, is never spliced in.
    @Test(arguments: ["etag", "place", "total", "short"]) func wrongPartsAreRefused(
      wrong: String
    ) throws {
      let content = try TestContent.opaque(noise(200_000, seed: 111))
      let isHonest = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        guard let range = request["Range"], !isHonest.wait(seconds: 0),
          let part = Reply.part(range, of: content.body.count)
        else { return try reply.serve(content) }
        let shift = wrong == "place" ? 1 : 0
        let total = wrong == "total" ? 200_001 : 200_000
        let place = "bytes \(part.lowerBound + shift)-\(part.upperBound - 1 + shift)/\(total)"
        var fields = Reply.fields(of: content) + [("Content-Range", place)]
        if wrong == "etag" { fields[0].1 = "\"\(Keeping.other)\"" }
        let body = Array(noise(part.count - (wrong == "short" ? 1 : 0), seed: 112))
        try reply.answer(206, fields, body)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      _ = try? sluice.request(content.path, [("Range", "bytes=70000-70009")])
      isHonest.open()
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200 && isSame(answer.body, content.body))
      let part = try sluice.request(content.path, [("Range", "bytes=70000-70009")])
      #expect(part.status == 206 && isSame(part.body, content.body, 70_000..<70_010))
    }
  }
}
