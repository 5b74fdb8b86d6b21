import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// HTTP/2 with prior knowledge, by clients that are not ours and by one that misbehaves.
  @Suite struct HTTP2 {
    @Test func curlDownloadsAsUsual() throws {
      var site = TestSite()
      let file = try site.add(noise(5 << 20, seed: 300))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let url = "http://127.0.0.1:\(sluice.port)\(file.path)"
      let known = "--http2-prior-knowledge"
      for cache in ["MISS", "HIT"] {
        let whole = try Outcome.curl([known, "--fail", "--dump-header", "/dev/stderr", url])
        #expect(whole.ending == .exited(0) && isSame(whole.output, file.body))
        #expect(whole.errors.contains("HTTP/2 200"))
        #expect(whole.errors.contains("x-cache-status: \(cache)\r\n"))
        #expect(!whole.errors.lowercased().contains("transfer-encoding"))
      }
      let part = try Outcome.curl([known, "--fail", "--range", "1048570-2097160", url])
      #expect(isSame(part.output, file.body, 1_048_570..<2_097_161))
      let head = try Outcome.curl([known, "--head", url])
      #expect(head.text.contains("content-length: 5242880\r\n"))
      let condition = "If-None-Match: \(file.etag)"
      let unchanged = try Outcome.curl([
        known, "--header", condition, "--write-out", "%{http_code} %{size_download}", url,
      ])
      #expect(unchanged.text == "304 0")
      let refused = try Outcome.curl([
        known, "--write-out", "%{http_code}", "--output", "/dev/null", "--request", "POST",
        "--data-binary", String(repeating: "x", count: 100_000), url,
      ])
      #expect(refused.text == "405")
      #expect(eventually { sluice.accessLog.contains(#""version":"HTTP/2.0""#) })
      #expect(try sluice.metric("sluice_http2_requests_total") == 6)
    }

    /// Over TLS both sides agree on it (ALPN, RFC 7301).
    @Test func curlAgreesOnItOverTLS() throws {
      var site = TestSite()
      let file = try site.add(noise(3 << 20, seed: 305))
      let origin = try OriginProcess(car: site.car)
      let authority = try TestAuthority()
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.tls = ["certificates: [\(try authority.issue(["gw.test"], as: "gw").setting)]"]
      let sluice = try SluiceProcess(settings)
      let url = "https://gw.test:\(sluice.securePort)\(file.path)"
      let trust = ["--cacert", authority.file, "--resolve", "*:\(sluice.securePort):127.0.0.1"]
      for (asked, got) in [("--http2", "2"), ("--http2", "2"), ("--http1.1", "1.1")] {
        let outcome = try Outcome.curl(
          trust + [asked, "--fail", "--write-out", "%{stderr}%{http_version}", url])
        #expect(outcome.ending == .exited(0) && isSame(outcome.output, file.body))
        #expect(outcome.errors.hasSuffix(got), "\(outcome.errors)")
      }
    }

    /// Many objects of many sizes at once, compared by nghttp's own count and by their bytes.
    @Test func nghttpAndH2load() throws {
      var site = TestSite()
      let sizes = [1, 1000, 16_383, 16_384, 70_000, 1 << 20]
      let files = try sizes.map { try site.add(noise($0, seed: UInt64(400 + $0))) }
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let urls = files.map { "http://127.0.0.1:\(sluice.port)\($0.path)" }
      let folder = try TemporaryFolder()
      for _ in 0..<2 {
        let fetched = try Outcome.of("nghttp", urls, in: folder)
        #expect(fetched.ending == .exited(0))
        // One after the other is written, in any order.
        #expect(fetched.output.count == sizes.reduce(0, +))
      }
      let load = try Outcome.of(
        "h2load", ["--requests=3000", "--clients=10", "--max-concurrent-streams=10"] + urls)
      #expect(load.text.contains("3000 succeeded, 0 failed, 0 errored"), "\(load.text)")
      #expect(load.text.contains("3000 2xx"))
    }

    @Test func aBodyThatBreaksOffIsAnError() throws {
      let content = try TestContent.opaque(noise(300_000, seed: 301))
      let upstream = try ScriptedUpstream { _, reply in
        try reply.head(200, Reply.fields(of: content) + [("Content-Length", "300000")])
        try reply.send(content.body[..<100_000])
        reply.pause(milliseconds: 100)
        reply.close()
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let outcome = try Outcome.curl([
        "--http2-prior-knowledge", "--fail", "http://127.0.0.1:\(sluice.port)\(content.path)",
      ])
      // CURLE_HTTP2_STREAM: the stream was not closed cleanly.
      #expect(outcome.ending == .exited(92))
      #expect(outcome.output.count < 300_000)
    }

    /// What stands behind a body is no part of it, nor of anything that is remembered.
    @Test func trailersAreDroppedBothWays() throws {
      let server = try ScriptedUpstream { request, reply in
        guard request.method == "POST" else {
          try reply.head(200, [("Transfer-Encoding", "chunked"), ("Trailer", "X-Checksum")])
          if request.method == "GET" {
            try reply.send("5\r\nhello\r\n0\r\nX-Checksum: 1\r\nEtag: \"x\"\r\n\r\n".utf8)
          }
          return
        }
        let body = try reply.readBody()
        let told = reply.trailers.joined() + (request["Trailer"] ?? "")
        try reply.answer(200, [], Array("\(body.count) \(body.isComplete) [\(told)]".utf8))
      }
      defer { server.stop() }
      var settings = SluiceProcess.Settings(upstreams: [server.port])
      settings.sections = [
        "cluster_api: { servers: [{ address: 127.0.0.1:\(server.port) }], allow: [127.0.0.0/8] }"
      ]
      let sluice = try SluiceProcess(settings)
      let folder = try TemporaryFolder()
      try folder.write(noise(70_000, seed: 306), to: "body")
      let base = "http://127.0.0.1:\(sluice.port)"
      let sent = try Outcome.of(
        "nghttp",
        [
          "--no-content-length", "--data=body", "--trailer=x-checksum: 1", base + "/cluster/add",
        ], in: folder)
      #expect(sent.text == "70000 true []", "\(sent.text) \(sent.errors)")

      let asker = try HTTP2Asker(port: sluice.port)
      let stream = asker.client.ask("/ipns/example.com")
      asker.run { asker.client.isComplete(stream) }
      let answer = try #require(asker.client.answers[stream])
      #expect(answer.status == 200 && answer.body == Array("hello".utf8))
      #expect(answer["x-checksum"] == nil && answer["etag"] == nil && answer["trailer"] == nil)
      let client = try sluice.connect()
      try client.send(RawClient.text("/ipns/example.com"))
      let head = try client.head()
      #expect(head.status == 200 && head["Trailer"] == nil)
      let wire = Array("5\r\nhello\r\n0\r\n\r\n".utf8)
      #expect(try client.bytes(wire.count) == wire)
      #expect(try client.request("/health").status == 200)
    }

    /// Each with the real server, as operators would try it.
    @Test func commonToolsByTLS() throws {
      var site = TestSite()
      let file = try site.add(noise(200_000, seed: 307))
      let origin = try OriginProcess(car: site.car)
      let authority = try TestAuthority()
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      let issued = try authority.issue(["gw.test", "127.0.0.1"], as: "gw")
      settings.tls = ["certificates: [\(issued.setting)]"]
      let sluice = try SluiceProcess(settings)
      let url = "https://127.0.0.1:\(sluice.securePort)\(file.path)"
      let folder = authority.folder
      let fetched = try Outcome.of("nghttp", ["--no-verify-peer", url], in: folder)
      #expect(fetched.ending == .exited(0) && isSame(fetched.output, file.body))
      let load = try Outcome.of(
        "h2load", ["--requests=500", "--clients=5", "--max-concurrent-streams=10", url])
      #expect(load.text.contains("500 succeeded, 0 failed, 0 errored"), "\(load.text)")
      #expect(load.text.contains("Application protocol: h2"))
      for (offered, agreed) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
        let command =
          "openssl s_client -connect 127.0.0.1:\(sluice.securePort) -servername gw.test -alpn \(offered) "
          + "-CAfile \(authority.file) -verify_return_error </dev/null"
        let shaken = try Outcome.of("sh", ["-c", command], in: folder)
        #expect(shaken.text.contains("ALPN protocol: \(agreed)\n"), "\(shaken.text)")
      }
      // Two connections of one curl: the second one goes on with the session of the first. With 1.2 curl of Debian 12
      // takes no tickets (SSL_OP_NO_TICKET), and there is no other way here.
      for version in ["1.2", "1.3"] {
        let name = #"sluice_tls_handshakes_total{outcome="resumed"}"#
        let before = try sluice.metric(name)
        let twice = try Outcome.curl([
          "--cacert", authority.file, "--tls-max", version, "--http1.1", "--fail", "--header",
          "Connection: close", "--output", "/dev/null", "--output", "/dev/null", "--write-out",
          "%{num_connects} ", url, url,
        ])
        #expect(twice.text == "1 1 ", "\(twice.errors)")
        if version == "1.3" { #expect(try sluice.metric(name) == before + 1) }
        let second = try Outcome.curl([
          "--cacert", authority.file, "--tls-max", version, "--http2", "--fail", url,
        ])
        #expect(isSame(second.output, file.body), "\(second.errors)")
      }
    }

    /// Half of a connection's streams stand still in a large object: the others run, and nothing piles up.
    @Test func stalledStreamsHoldNobodyUp() throws {
      var site = TestSite()
      let size = Soak.isOn ? 1 << 30 : 64 << 20
      let block = noise(1 << 18, seed: 302)
      let large = try site.add(block, times: size >> 18)
      let small = try (0..<50).map { try site.add(noise(200_000, seed: UInt64(310 + $0))) }
      let origin = try OriginProcess(car: site.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.maxSize = "4GB"
      let sluice = try SluiceProcess(settings)
      let asker = try HTTP2Asker(port: sluice.port)
      // Once, so that memory for one slow reader of a download is there already.
      let before = try sluice.peakMemory()
      let stalled = (0..<50).map { _ in asker.client.ask("/ipfs/\(large)") }
      asker.client.stalled = Set(stalled)
      let others = small.map { asker.client.ask($0.path) }
      let begun = ContinuousClock.now
      let done = asker.run {
        others.allSatisfy(asker.client.isComplete)
          && stalled.allSatisfy { asker.client.answers[$0]?.body.count == 65_535 }
      }
      let time = ContinuousClock.now - begun
      #expect(done)
      for (stream, file) in zip(others, small) {
        #expect(isSame(asker.client.answers[stream]?.body ?? [], file.body))
      }
      let grown = try sluice.peakMemory() - before
      print(
        "50 stalled streams of \(size >> 20) MiB: \(grown >> 20) MiB more at the peak; the 50 others took \(time)"
      )
      // A download may run ahead of its readers by 32 MiB; the streams themselves hold next to nothing.
      #expect(grown < 80 << 20)
    }

    @Test func stoppingAnswersWhatWasTaken() throws {
      var site = TestSite()
      let file = try site.add(noise(3 << 20, seed: 303))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let asker = try HTTP2Asker(port: sluice.port)
      let stream = asker.client.ask(file.path)
      asker.client.stalled = [stream]
      asker.run { asker.client.answers[stream]?.body.count == 65_535 }
      sluice.askToStop()
      asker.run { !asker.client.goAways.isEmpty }
      #expect(asker.client.goAways.first?.code == 0)
      asker.client.stalled = []
      asker.client.open(stream, 65_535)
      asker.run { asker.client.isComplete(stream) }
      #expect(isSame(asker.client.answers[stream]?.body ?? [], file.body))
      asker.run { asker.isOver }
      #expect(try sluice.waitForEnd() == .exited(0))
    }

    /// Each flood runs against the server while a client beside it is served.
    @Test func floodsEndTheirOwnConnection() throws {
      var site = TestSite()
      let file = try site.add(noise(100_000, seed: 304))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let good = try HTTP2Asker(port: sluice.port)
      for (name, beginning, frame) in Self.floods(file.path) {
        let before = try sluice.metric(#"sluice_http2_floods_total{frame="\#(name)"}"#)
        let bad = try RawClient(port: sluice.port)
        try bad.send(HTTP2Frame.preface + HTTP2Frame.settings + beginning)
        for turn in 0..<3000 {
          // The server closes in the middle of it.
          do { try bad.send(frame(UInt32(turn))) } catch { break }
        }
        let stream = good.client.ask(file.path)
        good.run { good.client.isComplete(stream) }
        #expect(isSame(good.client.answers[stream]?.body ?? [], file.body), "beside \(name)")
        #expect(
          eventually {
            (try? sluice.metric(#"sluice_http2_floods_total{frame="\#(name)"}"#)) == before + 1
          }, "\(name)")
      }
      #expect(!good.isOver)
    }

    private static func floods(_ path: String) -> [(String, [UInt8], (UInt32) -> [UInt8])] {
      let get = HTTP2Frame.get(path)
      let open = HTTP2Frame.make(1, flags: 4, stream: 1, get)
      return [
        (
          "rst_stream", [],
          { turn in
            HTTP2Frame.headers(turn * 2 + 1, get)
              + HTTP2Frame.make(3, stream: turn * 2 + 1, HTTP2Frame.number(8))
          }
        ),
        (
          "continuation", HTTP2Frame.make(1, stream: 1, get),
          { _ in HTTP2Frame.make(9, stream: 1, HTTP2Frame.field("a", "b")) }
        ),
        ("ping", [], { _ in HTTP2Frame.make(6, [UInt8](repeating: 1, count: 8)) }),
        ("settings", [], { _ in HTTP2Frame.settings }),
        ("empty_data", open, { _ in HTTP2Frame.make(0, stream: 1) }),
        (
          "priority", [],
          { turn in HTTP2Frame.make(2, stream: turn * 2 + 1, HTTP2Frame.number(0) + [1]) }
        ),
        ("window_update", [], { _ in HTTP2Frame.make(8, HTTP2Frame.number(1)) }),
        (
          "headers", [],
          { turn in
            let bomb: [UInt8] =
              [0x40]
              + Array(HTTP2Frame.field("a", String(repeating: "a", count: 3000)).dropFirst())
              + [UInt8](repeating: 0xbe, count: 10_000)
            return HTTP2Frame.headers(turn * 2 + 1, get + bomb)
          }
        ),
        ("other", [], { _ in HTTP2Frame.make(0x77, [1]) }),
      ]
    }
  }
}
