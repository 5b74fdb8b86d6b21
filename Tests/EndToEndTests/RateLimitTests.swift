import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What clients see of limits, and who is limited.
  @Suite struct RateLimits {
    /// A gateway with limits, in front of an origin that has some small files.
    private struct Stage {
      let sluice: SluiceProcess
      let origin: OriginProcess
      let files: [TestContent]

      init(
        _ limits: [String], files count: Int = 3, bytes: Int = 100, limit: [String] = [],
        sections: [String] = []
      ) throws {
        var site = TestSite()
        files = try (0..<count).map { try site.add(noise(bytes, seed: UInt64(700 + $0))) }
        origin = try OriginProcess(car: site.car)
        var settings = SluiceProcess.Settings(upstreams: [origin.port])
        settings.sections =
          ["trusted_proxies: [127.0.0.0/8]", "rate_limits:"] + limits.map { "  - { \($0) }" }
          + sections
        settings.limits = limit
        sluice = try SluiceProcess(settings)
      }

      /// Asks as one whom a trusted proxy names.
      func ask(
        _ file: Int = 0, as client: String, _ fields: [(String, String)] = [],
        on connection: RawClient? = nil
      ) throws -> Response {
        try (connection ?? sluice.connect()).request(
          files[file].path, [("X-Forwarded-For", client)] + fields)
      }

      func url(_ file: Int) -> String { "http://127.0.0.1:\(sluice.port)\(files[file].path)" }

      /// The access log, once it has so many lines.
      func log(_ lines: Int) -> String {
        var text = ""
        _ = eventually {
          text =
            (try? String(contentsOfFile: sluice.folder.file("access.log"), encoding: .utf8)) ?? ""
          return text.split(separator: "\n").count >= lines
        }
        return text
      }
    }

    /// What curl shows of a refusal.
    @Test func aRefusalSaysWhyAndWhenToComeAgain() throws {
      let stage = try Stage(["name: gateway, rate: 2/h, burst: 1"])
      let field = ["--header", "X-Forwarded-For: 192.0.2.1"]
      for _ in 0..<2 {
        #expect(try Outcome.curl(["--fail"] + field + [stage.url(0)]).ending == .exited(0))
      }
      let refused = try Outcome.curl(["--include"] + field + [stage.url(0)])
      #expect(refused.text.hasPrefix("HTTP/1.1 429 Too Many Requests\r\n"), "\(refused.text)")
      #expect(refused.text.contains("RateLimit-Policy: \"gateway\";q=2;w=3600\r\n"))
      #expect(refused.text.contains(/RateLimit: "gateway";r=0;t=(3600|359\d)\r\n/))
      #expect(refused.text.contains(/Retry-After: (1800|179\d)\r\n/))
      #expect(refused.text.contains("Cache-Control: no-store\r\n"))
      #expect(
        refused.text.contains(
          "Access-Control-Expose-Headers: Retry-After, RateLimit, RateLimit-Policy\r\n"))
      #expect(refused.text.contains("Content-Type: text/plain; charset=utf-8\r\n"))
      #expect(
        refused.text.contains(
          /\r\n\r\n429 Too Many Requests: too many requests; try again in 1\d\d\d s\n$/))
      let page = try Outcome.curl(
        ["--include", "--header", "Accept: text/html,*/*"] + field + [stage.url(0)])
      #expect(page.text.contains("Content-Type: text/html; charset=utf-8\r\n"))
      #expect(
        page.text.contains("<h1>429 Too Many Requests</h1><p>too many requests; try again in"))
      let head = try Outcome.curl(["--head"] + field + [stage.url(0)])
      #expect(head.text.hasPrefix("HTTP/1.1 429") && head.text.hasSuffix("\r\n\r\n"))
      let second = try Outcome.curl(
        ["--include", "--http2-prior-knowledge"] + field + [stage.url(0)])
      #expect(second.text.hasPrefix("HTTP/2 429") && second.text.contains("ratelimit: \"gateway\""))
      // Answers that pass are everybody's and say nothing of one client's allowance.
      let passed = try stage.ask(as: "192.0.2.2")
      #expect(passed.status == 200 && passed["RateLimit"] == nil)
      #expect(passed["RateLimit-Policy"] == nil)
      #expect(try stage.sluice.metric(#"sluice_rate_limited_total{limit="gateway"}"#) == 4)
      #expect(try stage.sluice.metric(#"sluice_request_refusals_total{reason="429"}"#) == 4)
      let refusals = stage.log(7).split(separator: "\n").filter { $0.contains("\"status\":429") }
      #expect(refusals.count == 4)
      #expect(refusals.allSatisfy { $0.contains("\"reason\":\"rate_limited\"") }, "\(refusals)")
    }

    /// Clients are who a trusted proxy says they are; an IPv6 client is its /64.
    @Test func clientsBehindAProxyAreToldApart() throws {
      let stage = try Stage(["name: gateway, rate: 1/h"])
      #expect(try stage.ask(as: "192.0.2.1").status == 200)
      #expect(try stage.ask(as: "192.0.2.1").status == 429)
      #expect(try stage.ask(as: "203.0.113.5, 192.0.2.1").status == 429)
      #expect(try stage.ask(as: "192.0.2.2").status == 200)
      #expect(try stage.ask(as: "2001:db8:1:2::1").status == 200)
      #expect(try stage.ask(as: "2001:db8:1:2:ffff::2").status == 429)
      #expect(try stage.ask(as: "2001:db8:1:3::1").status == 200)
      // Who is asked how it does, and where there is no proxy's word.
      for _ in 0..<3 { #expect(try stage.sluice.request("/health").status == 200) }
      #expect(try stage.sluice.request(stage.files[0].path).status == 200)
      #expect(try stage.sluice.request(stage.files[0].path).status == 429)
      #expect(try stage.sluice.request("/nothing").status == 429)
    }

    @Test func exemptNetworksAndOtherKeys() throws {
      let stage = try Stage([
        "name: net, key: network, rate: 2/h, burst: 1, ipv4_prefix: 16, exempt: [10.0.0.0/8]",
        "name: host, key: host, rate: 1/h, burst: 9",
      ])
      #expect(try stage.ask(as: "192.0.2.1").status == 200)
      #expect(try stage.ask(as: "192.0.99.1").status == 200)
      let refused = try stage.ask(as: "192.0.50.1")
      #expect(refused.status == 429 && refused["RateLimit-Policy"]?.hasPrefix("\"net\"") == true)
      for number in 0..<8 { #expect(try stage.ask(as: "10.0.0.\(number)").status == 200) }
      let full = try stage.ask(as: "10.0.0.1")
      #expect(full.status == 429 && full["RateLimit-Policy"]?.hasPrefix("\"host\"") == true)
      let other = try stage.ask(as: "10.0.0.1", [("X-Forwarded-Host", "other.example")])
      #expect(other.status == 200)
    }

    @Test func missesCostMoreThanHits() throws {
      let stage = try Stage(["name: gateway, rate: 1/h, burst: 9, miss_cost: 4"])
      #expect(try stage.ask(0, as: "192.0.2.1").status == 200)
      try stage.sluice.settle()
      #expect(try stage.ask(1, as: "192.0.2.1").status == 200)
      try stage.sluice.settle()
      // Two are left, which is no miss and two hits.
      let refused = try stage.ask(2, as: "192.0.2.1")
      #expect(refused.status == 429 && refused["RateLimit"]?.hasPrefix("\"gateway\";r=2") == true)
      #expect(try stage.ask(0, as: "192.0.2.1").status == 200)
      #expect(try stage.ask(1, as: "192.0.2.1", [("Range", "bytes=0-9")]).status == 206)
      #expect(try stage.ask(0, as: "192.0.2.1").status == 429)
      #expect(try stage.ask(2, as: "192.0.2.2").status == 200)
    }

    /// Where the beginning is here and the rest is not, the answer goes on, and is paid for as a miss.
    @Test func whatIsFetchedOnCostsAsAMiss() throws {
      let stage = try Stage(
        ["name: gateway, rate: 1/h, burst: 9, hit_cost: 0, miss_cost: 6"], bytes: 5 << 20)
      let other = [("Range", "bytes=0-9")]
      for file in 0..<3 {
        #expect(try stage.ask(file, as: "192.0.2.\(10 + file)", other).status == 206)
      }
      try stage.sluice.settle()
      for file in 0..<2 {
        let answer = try stage.ask(file, as: "192.0.2.1")
        #expect(answer.status == 200 && isSame(answer.body, stage.files[file].body))
      }
      #expect(try stage.ask(2, as: "192.0.2.1").status == 429)
      #expect(try stage.ask(2, as: "192.0.2.2", other).status == 206)
    }

    /// The cluster's API keeps nothing: each of its requests is one that a server is asked for.
    @Test func requestsToTheClusterCostAsMisses() throws {
      let server = try EndToEnd.Cluster.reader()
      defer { server.stop() }
      let stage = try Stage(
        ["name: uploads, applies_to: cluster, rate: 1/h, burst: 5, hit_cost: 0, miss_cost: 3"],
        sections: [
          "cluster_api:", "  servers: [{ address: 127.0.0.1:\(server.port) }]",
          "  allow: [10.0.0.0/8]",
        ])
      let client = [("X-Forwarded-For", "10.0.0.1")]
      for _ in 0..<2 {
        #expect(try stage.sluice.connect().request("/cluster/id", client).status == 200)
      }
      let refused = try stage.sluice.connect().request("/cluster/id", client)
      #expect(
        refused.status == 429 && refused["RateLimit-Policy"]?.hasPrefix("\"uploads\"") == true)
    }

    @Test func bytesAreOwed() throws {
      let stage = try Stage(
        ["name: bytes, bytes: 1MB/h, burst: 1MB"], files: 1, bytes: 3 << 20)
      // One answer goes to its end, whatever is owed then.
      #expect(isSame(try stage.ask(as: "192.0.2.1").body, stage.files[0].body))
      let refused = try stage.ask(as: "192.0.2.1")
      #expect(refused.status == 429 && refused["RateLimit"]?.hasPrefix("\"bytes\";r=0") == true)
      // Two hours are owed and one is the most.
      #expect(Int(refused["Retry-After"] ?? "").map { (3_500...3_600).contains($0) } == true)
      #expect(try stage.ask(as: "192.0.2.2").status == 200)
      #expect(stage.log(3).contains("\"reason\":\"bytes_limited\""))
    }

    /// Requests under way, with clients that leave in the middle, on both protocols.
    @Test func countsOfRequestsUnderWayBalance() throws {
      let stage = try Stage(
        ["name: streams, concurrent: 2"], files: 1, bytes: 24 << 20, limit: ["http2_streams: 50"])
      #expect(try stage.ask(as: "192.0.2.9").status == 200)
      let text = RawClient.text(stage.files[0].path, [("X-Forwarded-For", "192.0.2.1")])
      for round in 0..<5 {
        var slow: [RawClient] = []
        for _ in 0..<2 {
          let client = try RawClient(port: stage.sluice.port, receiveBuffer: 4_096)
          try client.send(text)
          #expect(try client.head().status == 200, "round \(round)")
          slow.append(client)
        }
        let refused = try stage.ask(as: "192.0.2.1")
        #expect(refused.status == 429)
        #expect(refused["RateLimit-Policy"] == "\"streams\";q=2;qu=\"concurrent-requests\"")
        #expect(refused["RateLimit"] == "\"streams\";r=0" && refused["Retry-After"] == "1")
        #expect(try stage.ask(as: "192.0.2.2").status == 200)
        for client in slow { if round % 2 == 0 { client.reset() } else { client.close() } }
        #expect(eventually { (try? stage.sluice.metric("sluice_exchanges_active")) == 0 })
      }
      // Ten at once on one connection: two pass, and all of them end.
      let url = stage.url(0)
      let many = try Outcome.curl(
        [
          "--http2-prior-knowledge", "--parallel", "--parallel-immediate", "--write-out",
          "%{http_code} ",
        ]
          + ["--header", "X-Forwarded-For: 192.0.2.3"]
          + (0..<10).flatMap { _ in ["--output", "/dev/null", url] })
      let codes = many.text.split(separator: " ")
      #expect(codes.count == 10 && codes.allSatisfy { $0 == "200" || $0 == "429" }, "\(codes)")
      #expect(codes.contains("200") && codes.contains("429"))
      #expect(try stage.ask(as: "192.0.2.3").status == 200)
      #expect(stage.log(20).contains("\"reason\":\"concurrency_limited\""))
    }

    /// Limits that may take more memory than anybody means to give are told of by both commands.
    @Test func memoryThatLimitsMayTakeIsTold() throws {
      // Nearly a gibibyte each, of which nothing is touched.
      let count = Int(ProcessInfo.processInfo.physicalMemory >> 33) + 2
      let limits = (0..<min(16, count)).map { "name: r\($0), rate: 1000000/s, keys: 16000000" }
      let stage = try Stage(limits, files: 1)
      #expect(try stage.ask(as: "192.0.2.1").status == 200)
      #expect(stage.sluice.errors.contains("rate_limits: their keys may take "))
      let check = try Outcome.of(Program.path, ["check"], in: stage.sluice.folder)
      #expect(check.ending == .exited(0))
      #expect(check.errors.contains("warning: rate_limits: their keys may take "))
      let small = try Stage(["name: small, rate: 1/s"], files: 1)
      #expect(!small.sluice.errors.contains("rate_limits:"))
    }

    /// What is below the cluster's prefix has limits of its own, which count what is sent there, too.
    @Test func uploadsHaveLimitsOfTheirOwn() throws {
      let server = try EndToEnd.Cluster.reader()
      defer { server.stop() }
      let stage = try Stage(
        [
          "name: gateway, rate: 1/h", "name: uploads, applies_to: cluster, rate: 1/h, burst: 3",
          "name: volume, applies_to: cluster, bytes: 1MB/h, burst: 100KB",
        ],
        sections: [
          "cluster_api:", "  servers: [{ address: 127.0.0.1:\(server.port) }]",
          "  allow: [10.0.0.0/8]",
        ])
      func upload(_ bytes: Int, as client: String) throws -> Outcome {
        try stage.sluice.folder.write(noise(bytes, seed: 9), to: "upload")
        return try Outcome.curl(
          [
            "--header", "X-Forwarded-For: \(client)", "--data-binary", "@upload", "--output",
            "/dev/null", "--dump-header", "-", "http://127.0.0.1:\(stage.sluice.port)/cluster/add",
          ], in: stage.sluice.folder)
      }
      for _ in 0..<4 { #expect(try upload(10, as: "10.0.0.1").text.contains(" 200 OK\r\n")) }
      let refused = try upload(10, as: "10.0.0.1")
      #expect(
        refused.text.contains(" 429 ") && refused.text.contains("RateLimit-Policy: \"uploads\""))
      // Content is not their concern, nor theirs content's.
      #expect(try stage.ask(as: "10.0.0.1").status == 200)
      #expect(try stage.ask(as: "10.0.0.1").status == 429)
      #expect(try upload(300 << 10, as: "10.0.0.2").text.contains(" 200 OK\r\n"))
      let heavy = try upload(10, as: "10.0.0.2")
      #expect(heavy.text.contains(" 429 ") && heavy.text.contains("RateLimit-Policy: \"volume\""))
      #expect(try stage.sluice.metric(#"sluice_rate_limited_total{limit="uploads"}"#) == 1)
      #expect(try stage.sluice.metric(#"sluice_rate_limited_total{limit="volume"}"#) == 1)
    }

    /// Two threads, connections on both, and one limit: as many pass as it lets pass in that time.
    @Test func twoWorkersShareOneLimitExactly() throws {
      let rate = 50.0
      let burst = 99.0
      let stage = try Stage(["name: gateway, rate: 50/s, burst: 99"])
      #expect(try stage.ask(as: "192.0.2.9").status == 200)
      let connections = try (0..<8).map { _ in try stage.sluice.connect() }
      let seconds = Soak.pick(4.0, soak: 60)
      let start = Date()
      var lastAsked = start
      var passed = 0
      var asked = 0
      func passes(on connection: RawClient) throws -> Bool {
        asked += 1
        let isPassed = try stage.ask(as: "192.0.2.1", on: connection).status == 200
        if isPassed { passed += 1 }
        return isPassed
      }
      // What a full allowance would earn is lost: until the first refusal pauses cost something.
      while try passes(on: connections[asked % connections.count]) {}
      let drained = Date()
      while lastAsked.timeIntervalSince(start) < seconds {
        lastAsked = Date()
        for connection in connections { _ = try passes(on: connection) }
      }
      // What a pause at the end has left is asked for too.
      repeat { lastAsked = Date() } while try passes(on: connections[0])
      // The allowance can have been earned in no more than all of that time, and in no less than from when nothing
      // was left of the first one to the last question.
      let most = burst + 1 + rate * Date().timeIntervalSince(start)
      let least = burst + 1 + rate * lastAsked.timeIntervalSince(drained)
      #expect(Double(passed) <= most + 1 && Double(passed) >= least - 1, "\(passed) of \(asked)")
      #expect(asked > 2 * passed)
      // Over a minute that is within one in a hundred of what the limit gives in that time.
      let exact = burst + 1 + rate * lastAsked.timeIntervalSince(start)
      Soak.report(
        "one limit over two workers: \(passed) of \(asked) passed in \(seconds) s, \(exact) were due, "
          + "\((Double(passed) / exact - 1) * 100) % off")
      #expect(!Soak.isOn || abs(Double(passed) / exact - 1) < 0.01)
      let refused = try stage.sluice.metric(#"sluice_rate_limited_total{limit="gateway"}"#)
      #expect(Int(refused) == asked - passed)
    }

    /// A greedy client beside 200 polite ones, all behind one address, with tokens.
    @Test func politeClientsAreNotRefusedBesideAGreedyOne() throws {
      let polite = 200
      let stage = try Stage(
        [
          "name: token, key: token, rate: 1/s, burst: 20",
          "name: net, key: network, rate: 10000/s, burst: 20000",
        ])
      #expect(try stage.ask(as: "192.0.2.9").status == 200)
      let greedy = try stage.sluice.connect()
      let connections = try (0..<4).map { _ in try stage.sluice.connect() }
      var shares = [Double](repeating: 0, count: polite + 1)
      var refused = 0
      var asked = 0
      func ask(_ client: Int, _ connection: RawClient) throws -> Bool {
        let passes =
          try stage.ask(
            as: "192.0.2.1", [("Authorization", "Bearer token-\(client)")], on: connection
          ).status == 200
        if passes { shares[client] += 1 }
        return passes
      }
      for round in 0..<8 {
        for client in 1...polite {
          if try !ask(client, connections[(client + round) % connections.count]) { refused += 1 }
          for _ in 0..<2 {
            asked += 1
            _ = try ask(0, greedy)
          }
        }
      }
      let sum = shares.reduce(0, +)
      let jain = sum * sum / (Double(shares.count) * shares.reduce(0) { $0 + $1 * $1 })
      print(
        "a greedy client got \(Int(shares[0])) of \(asked); Jain index \(jain) over 201 clients")
      #expect(refused == 0)
      #expect(shares[0] < 200 && jain > 0.5)
    }

    // MARK: Connections

    @Test func aClientsConnectionsAreCounted() throws {
      let origin = try OriginProcess(car: TestSite().car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.limits = ["connections_per_client: 5"]
      let sluice = try SluiceProcess(settings)
      var clients = try (0..<5).map { _ in try sluice.connect() }
      for client in clients { #expect(try client.request("/health").status == 200) }
      for _ in 0..<3 {
        let more = try sluice.connect()
        let ending = more.ending(within: 10)
        #expect(ending == .closed || ending == .reset)
      }
      #expect(
        try sluice.metric(
          #"sluice_connections_limited_total{limit="connections_per_client"}"#) == 3)
      clients.removeFirst().close()
      // Its place is free as soon as its worker has seen the end.
      let isServed = eventually { (try? sluice.connect().request("/health").status) == 200 }
      #expect(isServed)
      for client in clients { #expect(try client.request("/health").status == 200) }
    }

    /// Who takes nothing for long is cut off by the kernel's own count of what is under way.
    @Test(.enabled(if: Soak.isOn)) func aSlowClientIsCutOff() throws {
      let stage = try Stage(
        ["name: any, rate: 1000/s, burst: 1000"], files: 1, bytes: 24 << 20,
        limit: ["min_send_rate: 100KB/s"])
      let slow = try RawClient(port: stage.sluice.port, seconds: 100, receiveBuffer: 4_096)
      let fast = try RawClient(port: stage.sluice.port, seconds: 100)
      for client in [slow, fast] { try client.send(RawClient.text(stage.files[0].path)) }
      #expect(try slow.head().status == 200)
      #expect(isSame(try fast.response().body, stage.files[0].body))
      for _ in 0..<60 {
        _ = try? slow.bytes(1_000)
        Thread.sleep(forTimeInterval: 1)
        let cut = try stage.sluice.metric(
          #"sluice_connections_limited_total{limit="min_send_rate"}"#)
        if cut > 0 { break }
      }
      #expect(
        try stage.sluice.metric(#"sluice_connections_limited_total{limit="min_send_rate"}"#) == 1)
    }
  }
}
