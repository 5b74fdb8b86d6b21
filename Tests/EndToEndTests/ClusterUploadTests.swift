import Base
import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Bodies on their way to the cluster.
  @Suite struct ClusterUploads {
    /// As curl sends them: with a length after being told to continue, in chunks, and in one go.
    @Test func curlUploads() throws {
      let server = try Cluster.reader()
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let folder = try TemporaryFolder()
      let body = noise(20 << 20, seed: 300)
      try folder.write(body, to: "file")
      let expected = Cluster.text(of: ReceivedBody(of: body))
      let url = Cluster.url(sluice, "add")
      let sized = try Outcome.curl(["-T", "file", url], in: folder)
      #expect(sized.text == expected)
      let asked = try #require(server.requests.last)
      #expect(asked["Content-Length"] == "\(20 << 20)" && asked["Expect"] == "100-continue")
      let chunked = try Outcome.of(
        "sh", ["-c", "curl -sS -X POST -T - \(url)add < file"], in: folder)
      #expect(chunked.text == expected)
      #expect(server.requests.last?["Transfer-Encoding"] == "chunked")
      #expect(server.requests.last?["Content-Length"] == nil)
      let plain = try Outcome.curl(["-H", "Expect:", "--data-binary", "@file", url], in: folder)
      #expect(plain.text == expected && server.requests.last?["Expect"] == nil)
      let form = try Outcome.curl(["-F", "file=@file", url], in: folder)
      #expect(form.text.hasSuffix(" true"))
      #expect(server.requests.last?["Content-Type"]?.hasPrefix("multipart/form-data") ?? false)
      // One connection for several bodies, in both framings.
      let twice = try Outcome.of(
        "sh",
        [
          "-c",
          "curl -sS --write-out ' %{num_connects} ' -T file \(url) "
            + "--next -sS --write-out ' %{num_connects} ' -H 'Transfer-Encoding: chunked' -T file \(url) "
            + "--next -sS --write-out ' %{num_connects}' \(url)",
        ], in: folder)
      #expect(twice.text.hasPrefix("\(expected) 1 \(expected) 0 0 "), "\(twice.text)")
      #expect(twice.text.hasSuffix(" 0"))
    }

    /// Many GiB in the memory of a few pieces.
    @Test func memoryStaysFlat() throws {
      let server = try Cluster.reader()
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      _ = try sluice.request("/cluster/id", method: "POST")
      let before = try sluice.peakMemory()
      let block = noise(1 << 20, seed: 301)
      let blocks = Soak.pick(256, soak: 8 << 10)
      let began = ContinuousClock.now
      let client = try RawClient(port: sluice.port, seconds: 60)
      try client.send(
        RawClient.text(
          "/cluster/add", method: "POST", [("Content-Length", "\(blocks << 20)")]))
      let sum = BodySum()
      for number in 0..<blocks {
        var piece = block
        withUnsafeBytes(of: number) { piece.replaceSubrange(0..<8, with: $0) }
        sum.add(piece)
        try client.send(piece)
      }
      let answer = try client.response()
      #expect(answer.text == Cluster.text(of: sum.received(isComplete: true)))
      let grown = try sluice.peakMemory() - before
      #expect(grown < 8 << 20, "\(grown) bytes more for \(blocks) MiB")
      Soak.report(
        "an upload of \(blocks) MiB in \(ContinuousClock.now - began): \(grown >> 10) KiB more "
          + "than the \(before >> 10) KiB before")
      #expect(try sluice.metric("sluice_request_body_bytes_total") == Double(blocks << 20))
      // The connection goes on behind it.
      #expect(try client.request("/cluster/id").status == 200)
    }

    /// How long a body is on its way is its client's time, not the server's.
    @Test func anUploadsTimeIsItsClients() throws {
      let server = try Cluster.reader()
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let client = try sluice.connect()
      try client.send(
        RawClient.text("/cluster/add", method: "POST", [("Content-Length", "20")]))
      #expect(try eventually { try sluice.metric("sluice_exchanges_active") == 1 })
      for _ in 0..<2 {
        usleep(500_000)
        try client.send("0123456789")
      }
      #expect(try client.response().status == 200)
      #expect(try sluice.metric("sluice_upstream_first_byte_seconds_count") == 1)
      let firstByte = try sluice.metric("sluice_upstream_first_byte_seconds_sum")
      #expect(try sluice.stop() == .exited(0))
      let data = Data((sluice.accessLog.split(separator: "\n").last ?? "").utf8)
      let line = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      let duration = try #require(line["duration"] as? Double)
      let upstream = try #require(line["upstream_time"] as? Double)
      #expect(duration >= 0.9 && upstream < duration - 0.4, "\(upstream) of \(duration)")
      #expect(firstByte < duration - 0.4)
    }

    /// By TLS on both sides: the client's bytes come out of one session and go into another.
    @Test func byTLS() throws {
      let server = try Cluster.reader()
      defer { server.stop() }
      let authority = try TestAuthority()
      var inner = SluiceProcess.Settings(upstreams: [try freePort()])
      inner.sections = [
        "cluster_api: { servers: [{ address: 127.0.0.1:\(server.port) }], allow: [127.0.0.0/8] }"
      ]
      inner.tls = ["certificates: [\(try authority.issue(["localhost"], as: "inner").setting)]"]
      let api = try SluiceProcess(inner)
      var outer = SluiceProcess.Settings(upstreams: [try freePort()])
      outer.sections = [
        "cluster_api:", "  servers: [{ address: \"https://localhost:\(api.securePort)\" }]",
        "  allow: [127.0.0.0/8]",
      ]
      outer.tls = [
        "certificates: [\(try authority.issue(["gw.test"], as: "outer").setting)]",
        "ca_file: \(authority.file)",
      ]
      let sluice = try SluiceProcess(outer)
      let body = noise(24 << 20, seed: 304)
      try authority.folder.write(body, to: "body")
      // The inner one stands where a server's API has its root.
      let url = "https://gw.test:\(sluice.securePort)/cluster/cluster/add"
      let trust = [
        "--cacert", authority.file, "--http1.1", "--resolve", "*:\(sluice.securePort):127.0.0.1",
      ]
      let expected = Cluster.text(of: ReceivedBody(of: body))
      for fields in [[], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect:"]] {
        let outcome = try Outcome.curl(trust + fields + ["-T", "body", url], in: authority.folder)
        #expect(outcome.text == expected, "\(outcome.errors)")
      }
      #expect(server.requests.last?["X-Forwarded-Proto"] == "https")
      #expect(try sluice.peakMemory() < 200 << 20)
    }

    /// A server that reads no further stops its client, and nothing piles up between them.
    @Test func aSlowServerSlowsItsClient() throws {
      let gate = Gate()
      let server = try ScriptedUpstream { _, reply in
        var isFirst = true
        let body = try reply.readBody { _ in
          if isFirst { gate.wait() }
          isFirst = false
        }
        try reply.answer(200, [], Array(Cluster.text(of: body).utf8))
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      _ = try sluice.request("/cluster/id", method: "POST")
      let before = try sluice.peakMemory()
      let body = noise(64 << 20, seed: 302)
      let client = try RawClient(port: sluice.port, seconds: 60)
      try client.send(
        RawClient.text("/cluster/add", method: "POST", [("Content-Length", "\(body.count)")]))
      let sent = Collected<Int>()
      let done = Gate()
      let sender = UncheckedBox(client)
      Thread.detachNewThread {
        for offset in stride(from: 0, to: body.count, by: 1 << 20) {
          do { try sender.value.send(Array(body[offset..<offset + 1 << 20])) } catch { break }
          sent.add(offset)
        }
        done.open()
      }
      // Until nothing moves any more.
      var last = -1
      let stands = eventually(within: 20) {
        usleep(700_000)
        defer { last = sent.all.count }
        return sent.all.count == last
      }
      #expect(stands && !done.isOpenNow && sent.all.count < 40)
      #expect(try sluice.peakMemory() - before < 8 << 20)
      gate.open()
      #expect(done.wait())
      #expect(try client.response().text == Cluster.text(of: ReceivedBody(of: body)))
    }

    /// A server may answer at once and go on as the body arrives; the client sees it all the while.
    @Test func bothWaysAtTheSameTime() throws {
      let server = try ScriptedUpstream { _, reply in
        try reply.head(200, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Stream-Error")])
        try reply.readBody { piece in
          let line = "{\"bytes\":\(piece.count)}\n"
          try reply.send("\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n".utf8)
        }
        try reply.send("0\r\nX-Other: 1\r\nX-Stream-Error: it did not work\r\n\r\n".utf8)
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let client = try sluice.connect()
      try client.send(
        RawClient.text("/cluster/add", method: "POST", [("Transfer-Encoding", "chunked")]))
      let head = try client.head()
      #expect(head.status == 200 && head["Transfer-Encoding"] == "chunked")
      #expect(head["Trailer"] == "X-Stream-Error" && head["Connection"] == "close")
      for count in [5, 1000] {
        try client.send(
          "\(String(count, radix: 16))\r\n\(String(repeating: "x", count: count))\r\n")
        let line = "{\"bytes\":\(count)}\n"
        let wire = "\(String(line.utf8.count, radix: 16))\r\n\(line)\r\n"
        #expect(try client.bytes(wire.utf8.count) == Array(wire.utf8))
      }
      try client.send("0\r\n\r\n")
      // What the cluster says behind its answer is the only word of a failure that it has then.
      let end = "0\r\nX-Stream-Error: it did not work\r\n\r\n"
      #expect(try client.bytes(end.utf8.count) == Array(end.utf8))
      // HTTP/1.0 has no place for it: there the answer is visibly cut off.
      let old = try sluice.connect()
      try old.send("POST /cluster/add HTTP/1.0\r\nContent-Length: 1\r\n\r\nx")
      #expect(try old.head().status == 200)
      #expect(try old.bytes(12) == Array("{\"bytes\":1}\n".utf8))
      #expect(old.ending(within: 10) == .reset)
    }

    // MARK: Early ends

    /// The server's answer counts, whatever of the body is still to come.
    @Test func aServerThatRefuses() throws {
      let server = try ScriptedUpstream { request, reply in
        if request.target == "/some" { try reply.readBody(atMost: 100_000) }
        try reply.answer(401, [("Connection", "close")], Array("who are you?".utf8))
        reply.close()
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let folder = try TemporaryFolder()
      try folder.write(noise(8 << 20, seed: 303), to: "file")
      // Asked first, so that nothing is sent in vain.
      let asked = try Outcome.curl(
        [
          "-T", "file", "--expect100-timeout", "60", "--write-out",
          " %{http_code} %{size_upload}", Cluster.url(sluice, "none"),
        ], in: folder)
      #expect(asked.text == "who are you? 401 0")
      let eager = try sluice.connect()
      try eager.send(
        RawClient.text("/cluster/some", method: "POST", [("Content-Length", "10000000")]))
      try eager.send([UInt8](repeating: 1, count: 200_000))
      let answer = try eager.response()
      #expect(answer.status == 401 && answer.isComplete && answer["Connection"] == "close")
      #expect(eager.ending(within: 10) == .closed)
    }

    @Test func aServerThatDiesWithinTheBody() throws {
      let dying = try ScriptedUpstream { _, reply in
        try reply.readBody(atMost: 300_000)
        try reply.reset()
      }
      defer { dying.stop() }
      let sluice = try Cluster.gateway([dying.port])
      for method in ["POST", "PUT"] {
        let client = try sluice.connect()
        try client.send(
          RawClient.text("/cluster/add", method: method, [("Content-Length", "\(4 << 20)")]))
        // Not all of it: the sockets could take the whole before the server's end is seen.
        try? client.send([UInt8](repeating: 1, count: 3 << 20))
        let answer = try client.response()
        #expect(answer.status == 502 && answer["Connection"] == "close")
      }
      #expect(dying.requests.count == 2, "what was read of a body is not sent again")
    }

    /// The server sees that the body is not whole; the gateway has nothing left of it.
    @Test(arguments: ["closes", "resets", "breaks the framing", "is silent"])
    func aClientThat(ends: String) throws {
      let bodies = Collected<ReceivedBody>()
      let server = try ScriptedUpstream { _, reply in
        bodies.add(try reply.readBody())
        reply.close()
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway(
        [server.port], timeouts: ends == "is silent" ? ["client_body: 300ms"] : [])
      let client = try sluice.connect()
      try client.send(
        RawClient.text("/cluster/add", method: "POST", [("Transfer-Encoding", "chunked")]))
      try client.send("5\r\nhello\r\n")
      #expect(eventually { server.requests.count == 1 })
      switch ends {
      case "closes": client.close()
      case "resets": client.reset()
      case "breaks the framing":
        try client.send("nonsense\r\n")
        let answer = try client.response()
        #expect(answer.status == 400 && answer["Connection"] == "close")
      default:
        #expect(try client.response().status == 408)
        #expect(try sluice.metric(#"sluice_timeouts_total{side="client_body"}"#) == 1)
      }
      #expect(eventually { bodies.all.count == 1 })
      #expect(bodies.all.first?.isComplete == false)
      #expect(
        try eventually { try sluice.metric("sluice_exchanges_active") == 0 }
          && eventually { try sluice.metric("sluice_upstream_connections{state=\"busy\"}") == 0 })
      let name = "127.0.0.1:\(server.port)"
      #expect(
        try sluice.metric(
          "sluice_upstream_server_errors_total{region=\"cluster_api\",server=\"\(name)\"}") == 0)
    }

    /// Who leaves while the server still works takes the request with it.
    @Test func aClientThatLeavesEndsTheRequest() throws {
      let gone = Gate()
      let server = try ScriptedUpstream { _, reply in
        try reply.head(200, [("Transfer-Encoding", "chunked")])
        do {
          while true {
            try reply.send("5\r\nhello\r\n".utf8)
            reply.pause(milliseconds: 20)
          }
        } catch { gone.open() }
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let client = try sluice.connect()
      try client.send(RawClient.text("/cluster/monitor"))
      #expect(try client.head().status == 200)
      client.close()
      #expect(gone.wait())
    }

    /// Whatever becomes of uploads, those that are answered were whole, and nothing is left of any.
    @Test func uploadsThatEndAnywhere() throws {
      let server = try ScriptedUpstream(remembers: false) { request, reply in
        if request["Expect"] != nil { try reply.askForBody() }
        switch request.number % 6 {
        case 0:
          try reply.readBody(atMost: 50_000)
          try reply.reset()
        case 1:
          try reply.answer(413, [("Connection", "close")], [])
          reply.close()
        default:
          let body = try reply.readBody()
          if body.isComplete { try reply.answer(200, [], Array(Cluster.text(of: body).utf8)) }
        }
      }
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let port = sluice.port
      let answers = Collected<Int>()
      try onThreads(8) { thread in
        var random = SeededRandom(seed: UInt64(thread))
        for _ in 0..<Soak.pick(30, soak: 2_000) {
          let body = noise(random.number(in: 1...400_000), seed: UInt64(thread))
          let isChunked = random.chance(0.5)
          var wire = Array(
            RawClient.text(
              "/cluster/add", method: random.chance(0.5) ? "PUT" : "POST",
              [isChunked ? ("Transfer-Encoding", "chunked") : ("Content-Length", "\(body.count)")]
            )
            .utf8)
          if isChunked { wire += Array("\(String(body.count, radix: 16))\r\n".utf8) }
          wire += body
          if isChunked { wire += Array("\r\n0\r\n\r\n".utf8) }
          let leaves = random.chance(0.3)
          if leaves { wire = Array(wire.prefix(random.number(in: 1...wire.count))) }
          let client = try RawClient(port: port)
          // Who is refused may find that nobody takes the rest.
          try? client.send(wire)
          if leaves {
            if random.chance(0.5) { client.reset() } else { client.close() }
            continue
          }
          guard let answer = try? client.response() else { continue }
          answers.add(answer.status)
          guard answer.status == 200 else { continue }
          if answer.text != Cluster.text(of: ReceivedBody(of: body)) {
            throw TestFailure("what came is not what was sent: \(answer.text)")
          }
        }
      }
      #expect(answers.all.count { $0 == 200 } > 30)
      #expect(answers.all.allSatisfy { [200, 413, 502].contains($0) })
      let name = "127.0.0.1:\(server.port)"
      let left = [
        "sluice_exchanges_active", "sluice_client_connections",
        "sluice_upstream_connections{state=\"busy\"}",
        "sluice_upstream_server_active{region=\"cluster_api\",server=\"\(name)\"}",
      ]
      let isClean = try eventually {
        let numbers = try sluice.metrics()
        return left.allSatisfy { numbers[$0] == 0 }
      }
      #expect(isClean)
    }

    /// What two servers could frame in two ways reaches nobody.
    @Test(arguments: [
      [("Content-Length", "5"), ("Transfer-Encoding", "chunked")],
      [("Content-Length", "5"), ("Content-Length", "50")], [("Transfer-Encoding", "gzip, chunked")],
      [("Transfer-Encoding", "xchunked")], [("Content-Length", "5_0")],
    ])
    func smuggledBodies(fields: [(String, String)]) throws {
      let server = try Cluster.reader()
      defer { server.stop() }
      let sluice = try Cluster.gateway([server.port])
      let client = try sluice.connect()
      try client.send(RawClient.text("/cluster/add", method: "POST", fields))
      try client.send("0\r\n\r\nDELETE /cluster/pins HTTP/1.1\r\nHost: a\r\n\r\n")
      let status = try client.response().status
      #expect(status == 400 || status == 501)
      #expect(client.ending(within: 10) != .bytes)
      #expect(server.requests.isEmpty)
    }
  }
}

/// A value that one thread after the other uses.
private final class UncheckedBox<Value>: @unchecked Sendable {
  // Unchecked: the test waits for the one before the other begins.
  let value: Value

  init(_ value: Value) { self.value = value }
}
