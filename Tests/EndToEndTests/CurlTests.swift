import TestKit
import Testing

extension EndToEnd {
  /// A client that is not ours.
  @Suite struct Curl {
    @Test func downloadsAsUsual() throws {
      var site = TestSite()
      let file = try site.add(noise(5 << 20, seed: 200))
      let small = try site.add(noise(777, seed: 201))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let url = "http://127.0.0.1:\(sluice.port)\(file.path)"
      for _ in 0..<2 {
        let whole = try Outcome.curl(["--fail", url])
        #expect(whole.ending == .exited(0) && isSame(whole.output, file.body))
      }
      let part = try Outcome.curl(["--fail", "--range", "1048570-2097160", url])
      #expect(isSame(part.output, file.body, 1_048_570..<2_097_161))
      let suffix = try Outcome.curl(["--fail", "--range", "-100", url])
      #expect(isSame(suffix.output, file.body, (5 << 20) - 100..<5 << 20))
      let old = try Outcome.curl(["--fail", "--http1.0", url])
      #expect(isSame(old.output, file.body))
      let packed = try Outcome.curl(["--fail", "--compressed", url])
      #expect(isSame(packed.output, file.body))

      // Resumed where it stopped.
      let folder = try TemporaryFolder()
      try folder.write(Array(file.body[..<3_000_000]), to: "partial")
      let resumed = try Outcome.curl(
        ["--fail", "--continue-at", "-", "--output", "partial", url], in: folder)
      #expect(resumed.ending == .exited(0))
      let sum = try Outcome.of("cat", ["partial"], in: folder)
      #expect(isSame(sum.output, file.body))

      let head = try Outcome.curl(["--head", url])
      #expect(head.text.contains("Content-Length: 5242880\r\n"))
      #expect(head.text.contains("X-Cache-Status: HIT\r\n"))
      let condition = "If-None-Match: \(file.etag)"
      let unchanged = try Outcome.curl(
        ["--header", condition, "--write-out", "%{http_code} %{size_download}", url])
      #expect(unchanged.text == "304 0")

      // One connection for several requests.
      let smallURL = "http://127.0.0.1:\(sluice.port)\(small.path)"
      let kept = try Outcome.curl([
        "--fail", "--output", "/dev/null", "--output", "/dev/null", "--output", "/dev/null",
        "--write-out", "%{num_connects} ", smallURL, smallURL, url,
      ])
      #expect(kept.text == "1 0 0 ")
      let refused = try Outcome.curl(["--fail", "--request", "POST", "--data", "x", url])
      #expect(refused.ending == .exited(22))
    }

    /// A body that breaks off is an error for curl too.
    @Test func brokenBodiesAreErrors() throws {
      let content = try TestContent.opaque(noise(300_000, seed: 202))
      let upstream = try ScriptedUpstream { _, reply in
        try reply.head(200, Reply.fields(of: content) + [("Content-Length", "300000")])
        try reply.send(content.body[..<100_000])
        reply.pause(milliseconds: 100)
        reply.close()
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let outcome = try Outcome.curl(["--fail", "http://127.0.0.1:\(sluice.port)\(content.path)"])
      #expect(outcome.ending == .exited(18) || outcome.ending == .exited(56))
      #expect(outcome.output.count < 300_000)
    }
  }
}
