import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// The access log's forms, what is left out of it, and the line about slow requests.
  @Suite struct Logs {
    private static func objects(_ text: String) throws -> [[String: Any]] {
      try text.split(separator: "\n").map { line in
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        guard let object else { throw TestFailure("no object: \(line)") }
        return object
      }
    }

    /// The lines once the gateway has written all of them and ended.
    private static func lines(of sluice: SluiceProcess) throws -> [[String: Any]] {
      #expect(try sluice.stop() == .exited(0))
      return try objects(sluice.accessLog)
    }

    @Test func aLineTellsWhatBecameOfARequest() throws {
      let content = try TestContent.opaque(noise(3_000, seed: 710))
      let upstream = try ScriptedUpstream { _, reply in
        reply.pause(milliseconds: 40)
        try reply.serve(content)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      for _ in 0..<2 { #expect(try sluice.request(content.path).status == 200) }
      // What is refused after it has nothing of another request's.
      let other = try Outcome.curl([
        "--http2-prior-knowledge", "http://127.0.0.1:\(sluice.port)/ipfs/bafkqaaa",
      ])
      #expect(other.ending == .exited(0))
      let client = try sluice.connect()
      try client.send("nonsense\r\n\r\n")
      #expect(try client.response(to: "GET").status == 400)
      let found = try sluice.metrics()
      #expect(found[#"sluice_protocol_requests_total{protocol="HTTP/1.1",tls="no"}"#] == 3)
      #expect(found[#"sluice_protocol_requests_total{protocol="HTTP/2",tls="no"}"#] == 1)
      let lines = try Self.lines(of: sluice)
      #expect(lines.count == 4)
      let miss = try #require(lines.first { $0["cache"] as? String == "miss" })
      #expect(miss["host"] as? String == "127.0.0.1" && miss["region"] as? String == "test")
      #expect(miss["request_bytes"] as? Int == RawClient.text(content.path).utf8.count)
      let times = ["duration", "first_byte", "upstream_time"].map { miss[$0] as? Double ?? 0 }
      #expect(times.allSatisfy { $0 >= 0.035 } && times[0] >= times[1])
      let hit = try #require(lines.first { $0["cache"] as? String == "hit" })
      #expect(miss["upstream"] as? String == "test/127.0.0.1:\(upstream.port)")
      #expect(
        hit["upstream"] == nil && hit["region"] == nil && hit["upstream_time"] == nil
          && hit["sample"] == nil)
      #expect(hit["bytes"] as? Int == 3_000)
      let refused = try #require(lines.first { $0["status"] as? Int == 400 })
      #expect(refused["method"] == nil && refused["target"] == nil)
      #expect(refused["version"] as? String == "HTTP/1.1")
    }

    @Test func aLineNamesTheServerThatWasAsked() throws {
      let dead = try DeadPort()
      let content = try TestContent.opaque(noise(3 << 20, seed: 716))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings()
      settings.regions = [
        "one: { servers: [{ address: \"127.0.0.1:\(upstream.port)\" }], next: [] }",
        "none: { servers: [{ address: \"127.0.0.1:\(dead.port)\" }], next: [] }",
      ]
      settings.sections = ["trusted_proxies: [127.0.0.0/8]", "geo: { header: X-Place }"]
      let sluice = try SluiceProcess(settings)
      // The first slice alone is here, and the rest is fetched behind it.
      let first = try sluice.request(content.path, [("Range", "bytes=0-99")])
      #expect(first.status == 206)
      try sluice.settle()
      #expect(isSame(try sluice.request(content.path).body, content.body))
      let other = try TestContent.raw(noise(200, seed: 717))
      let refused = try sluice.request(other.path, [("X-Place", "none")])
      #expect(refused.status == 502 && refused["Retry-After"] == "10")
      #expect(refused["X-IPFS-Gateway"] == nil)
      #expect(try sluice.request(other.path, [("X-Place", "none")]).status == 502)
      #expect(
        eventually { sluice.errors.contains("a server is down") }
          && sluice.errors.contains("why=\"connection refused\""), "\(sluice.errors)")
      let lines = try Self.lines(of: sluice)
      let partial = try #require(lines.first { $0["cache"] as? String == "partial" }, "\(lines)")
      #expect(partial["upstream"] as? String == "one/127.0.0.1:\(upstream.port)")
      let error = try #require(lines.first { $0["status"] as? Int == 502 })
      #expect(error["upstream"] as? String == "none/127.0.0.1:\(dead.port)")
    }

    @Test func reopeningUnderLoadLosesNoLine() throws {
      let content = try TestContent.opaque(noise(500, seed: 711))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(try sluice.request(content.path).status == 200)
      try sluice.settle()
      let folder = sluice.folder
      let rotations = 8
      let port = sluice.port
      let pid = sluice.pid
      let counts = Collected<Int>()
      let isOver = Collected<Bool>()
      try onThreads(4) { number in
        if number == 3 {
          for rotation in 0..<rotations {
            guard eventually({ !folder.text(of: "access.log").isEmpty }) else {
              throw TestFailure("no lines")
            }
            try FileManager.default.moveItem(
              atPath: folder.file("access.log"), toPath: folder.file("access.log.\(rotation)"))
            kill(pid, SIGUSR1)
            guard eventually({ FileManager.default.fileExists(atPath: folder.file("access.log")) })
            else { throw TestFailure("no new file") }
          }
          isOver.add(true)
          return
        }
        let client = try RawClient(port: port)
        var asked = 0
        while isOver.all.isEmpty {
          guard try client.request(content.path + "?\(number)-\(asked)").status == 200 else {
            throw TestFailure("no answer")
          }
          asked += 1
        }
        counts.add(asked)
      }
      #expect(try sluice.stop() == .exited(0))
      let names = (0..<rotations).map { "access.log.\($0)" } + ["access.log"]
      let lines = try names.flatMap { try Self.objects(folder.text(of: $0)) }
      let targets = Set(lines.compactMap { $0["target"] as? String })
      #expect(lines.count == counts.all.reduce(1, +))
      #expect(targets.count == lines.count)
      #expect(names.dropLast().allSatisfy { !folder.text(of: $0).isEmpty })
    }

    @Test func onlyHitsThatWentWellAreSampled() throws {
      let content = try TestContent.opaque(noise(500, seed: 712))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.accessLog = ["sample: 1/50"]
      let sluice = try SluiceProcess(settings)
      let client = try sluice.connect()
      for _ in 0..<2_001 { #expect(try client.request(content.path).status == 200) }
      for number in 0..<20 {
        #expect(try client.request("/nothing/\(number)").status == 404)
        // A hit, and none that went well.
        let failed = try client.request(content.path, [("If-Match", "\"x\"")])
        #expect(failed.status == 412)
      }
      let lines = try Self.lines(of: sluice)
      #expect(lines.filter { $0["status"] as? Int == 404 }.count == 20)
      #expect(lines.filter { $0["status"] as? Int == 412 }.count == 20)
      #expect(lines.filter { $0["cache"] as? String == "miss" }.count == 1)
      let hits = lines.filter { $0["status"] as? Int == 200 && $0["cache"] as? String == "hit" }
      #expect((5...120).contains(hits.count), "\(hits.count)")
      #expect(hits.allSatisfy { $0["sample"] as? Int == 50 })
      #expect(lines.filter { $0["sample"] != nil }.count == hits.count)
    }

    @Test func addressesLoseTheirLastPart() throws {
      let upstream = try ScriptedUpstream { _, reply in
        reply.pause(milliseconds: 30)
        try reply.answer(500, [], [])
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sections = ["trusted_proxies: [127.0.0.0/8]"]
      settings.accessLog = ["shorten_addresses: true"]
      settings.logs = ["slow: 1ms", "level: debug"]
      let sluice = try SluiceProcess(settings)
      let said = ["203.0.113.77", "2001:db8:1:2:3::4", "::ffff:198.51.100.9", ""]
      for client in said {
        let fields = client.isEmpty ? [] : [("X-Forwarded-For", client)]
        #expect(try sluice.request("/ipfs/bafkqaaa", fields).status == 200)
        _ = try sluice.request(
          "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", fields)
      }
      let lines = try Self.lines(of: sluice)
      let clients = Set(lines.compactMap { $0["client"] as? String })
      #expect(clients == ["203.0.113.0", "2001:db8:1::", "198.51.100.0", "127.0.0.0"])
      #expect(sluice.errors.contains("a request was slow"))
      for whole in said.dropLast() { #expect(!sluice.errors.contains(whole)) }
    }

    @Test func combinedIsNginxs() throws {
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.workers = 1
      settings.accessLog = ["format: combined"]
      let sluice = try SluiceProcess(settings)
      let fields = [("User-Agent", "a\"b\\c é"), ("Referer", "https://r.example/?\t\"")]
      #expect(try sluice.request("/ipfs/bafkqaaa?a=%22\"", fields).status == 200)
      #expect(try sluice.request("/ipfs/bafkqaaa").status == 200)
      #expect(try sluice.stop() == .exited(0))
      let lines = sluice.accessLog.split(separator: "\n").map(String.init)
      try #require(lines.count == 2)
      let form =
        /127\.0\.0\.1 - - \[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d \+0000\] "(.*)" 200 0 "(.*)" "(.*)"/
      let first = try #require(lines[0].wholeMatch(of: form)?.output)
      #expect(first.1 == #"GET /ipfs/bafkqaaa?a=%22\x22 HTTP/1.1"#)
      #expect(first.2 == #"https://r.example/?\x09\x22"#)
      #expect(first.3 == #"a\x22b\x5Cc \xC3\xA9"#)
      let second = try #require(lines[1].wholeMatch(of: form)?.output)
      #expect(second.2 == "-" && second.3 == "-")
    }

    @Test func tlsAndHTTP2AreTold() throws {
      let authority = try TestAuthority()
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.tls = ["certificates: [\(try authority.issue(["gw.test"], as: "gw").setting)]"]
      let sluice = try SluiceProcess(settings)
      for version in ["--http1.1", "--http2"] {
        let outcome = try Outcome.curl([
          "--cacert", authority.file, version, "--resolve", "*:\(sluice.securePort):127.0.0.1",
          "https://gw.test:\(sluice.securePort)/ipfs/bafkqaaa",
        ])
        #expect(outcome.ending == .exited(0), "\(outcome.errors)")
      }
      let numbers = try sluice.metrics()
      #expect(numbers[#"sluice_tls_sessions_total{version="1.3"}"#] == 2)
      #expect(numbers[#"sluice_protocol_requests_total{protocol="HTTP/1.1",tls="yes"}"#] == 1)
      #expect(numbers[#"sluice_protocol_requests_total{protocol="HTTP/2",tls="yes"}"#] == 1)
      let lines = try Self.lines(of: sluice)
      #expect(Set(lines.compactMap { $0["version"] as? String }) == ["HTTP/1.1", "HTTP/2.0"])
      for line in lines {
        #expect(line["tls"] as? String == "TLSv1.3")
        #expect((line["cipher"] as? String)?.hasPrefix("TLS_") == true)
        #expect(line["host"] as? String == "gw.test:\(sluice.securePort)")
      }
    }

    /// Its time is not Sluice's, and it is left out of the log like any other hit.
    @Test func aClientThatTakesItsTimeIsNotSlow() throws {
      let content = try TestContent.opaque(noise(24 << 20, seed: 714))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.accessLog = ["sample: 1/1000000"]
      settings.logs = ["slow: 2s"]
      let sluice = try SluiceProcess(settings)
      #expect(try sluice.request(content.path).isComplete)
      try sluice.settle()
      let slow = try sluice.metric("sluice_slow_requests_total")
      let client = try RawClient(port: sluice.port, receiveBuffer: 8 << 10)
      try client.send(RawClient.text(content.path))
      usleep(2_500_000)
      let answer = try client.response()
      #expect(answer.cacheStatus == "HIT" && isSame(answer.body, content.body))
      let hits = #"{cache="hit"}"#
      #expect(
        try eventually { try sluice.metric("sluice_request_duration_seconds_sum" + hits) > 2.4 })
      #expect(try sluice.metric("sluice_slow_requests_total") == slow)
      // Begun within a turn, it took some part of one to its first byte.
      let firstByte = try sluice.metric("sluice_first_byte_seconds_sum" + hits)
      #expect(firstByte > 0 && firstByte < 2)
      #expect(try sluice.metric("sluice_first_byte_seconds_count" + hits) == 1)
      #expect(try Self.lines(of: sluice).allSatisfy { $0["cache"] as? String != "hit" })
    }

    @Test func slowRequestsSayWhereTheTimeWent() throws {
      let content = try TestContent.opaque(noise(20_000, seed: 713))
      let goesOn = Gate()
      let upstream = try ScriptedUpstream { _, reply in
        reply.pause(milliseconds: 300)
        try reply.head(
          200, Reply.fields(of: content) + [("Content-Length", "\(content.body.count)")])
        try reply.send(content.body[..<10_000])
        goesOn.wait()
        try reply.send(content.body[10_000...])
      }
      defer { upstream.stop() }
      defer { goesOn.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.logs = ["slow: 250ms"]
      let sluice = try SluiceProcess(settings)
      let client = try sluice.connect()
      try client.send(RawClient.text(content.path))
      #expect(try client.head().status == 200)
      #expect(try client.bytes(9_000).count == 9_000)
      // It waits for the rest of the body by now.
      usleep(200_000)
      goesOn.open()
      #expect(try client.bytes(11_000).count == 11_000)
      #expect(try sluice.request("/ipfs/bafkqaaa").status == 200)
      try sluice.settle()
      #expect(try sluice.metric("sluice_slow_requests_total") == 1)
      let lines = sluice.errors.split(separator: "\n").filter { $0.contains("a request was slow") }
      try #require(lines.count == 1)
      let line = String(lines[0])
      func number(_ name: String) -> Double {
        guard let place = line.range(of: " \(name)=") else { return -1 }
        return Double(line[place.upperBound...].prefix { "0123456789.".contains($0) }) ?? -1
      }
      #expect(line.contains("Z warning "))
      #expect(line.contains(" cid=\(content.cid) ") && line.contains(" cache=miss "))
      #expect(line.contains(" server=test/127.0.0.1:\(upstream.port) "))
      #expect(line.contains(" target=\(content.path) ") && line.contains(" method=GET "))
      #expect(number("wait_server") >= 0.29 && number("wait_body") >= 0.19)
      #expect(number("first_byte") >= 0.29 && number("seconds") >= 0.49)
      #expect(number("wait_disk") == -1 && number("wait_name") == -1)
    }

    /// Servers that are gone cost the log a line, not one for each request.
    @Test func whatIsGoneIsToldOfOnce() throws {
      let dead = try DeadPort()
      let sluice = try SluiceProcess(upstream: dead.port)
      for number in 0..<60 {
        #expect(try sluice.request(TestContent.opaque([UInt8(number)]).path).status >= 502)
      }
      let lines = sluice.errors.split(separator: "\n").filter { $0.contains("no upstream") }
      // One for the refused connections, one for a server that is taken for down, and a few if it takes long.
      #expect((1...6).contains(lines.count), "\(lines)")
      let line = String(try #require(lines.first))
      #expect(line.contains("no upstream server could be reached"))
      #expect(line.contains(" region=test ") && line.contains(#" error="connection refused""#))
    }
  }
}
