import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What /metrics says, and whether Prometheus' own tools can read it.
  @Suite struct MetricsPage {
    /// Whether a program of Debian's package `prometheus` is here.
    private static func has(_ program: String) -> Bool {
      FileManager.default.isExecutableFile(atPath: "/usr/bin/\(program)")
    }

    @Test func requestsCountByHostProtocolStatusAndRegion() throws {
      var site = TestSite()
      let file = try site.add(noise(9_000, seed: 700))
      let label = "\(file.cid)"
      let origin = try OriginProcess(car: site.car, subdomainHosts: ["dweb.test"])
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.hosts = ["{ name: \"*\" }", "{ name: dweb.test, subdomains: true }"]
      let sluice = try SluiceProcess(settings)
      for _ in 0..<3 { #expect(try sluice.request(file.path).status == 200) }
      #expect(try sluice.request("/nothing").status == 404)
      func status(_ line: String, host: String) throws -> Int {
        let client = try sluice.connect()
        try client.send("GET \(line)\r\nHost: \(host)\r\n\r\n")
        return try client.response(to: "GET").status
      }
      #expect(try status("/ipfs/\(label) HTTP/1.1", host: "dweb.test") == 301)
      #expect(try status("/ HTTP/1.1", host: "\(label).ipfs.dweb.test") == 200)
      #expect(try status("\(file.path) HTTP/1.0", host: "a.test") == 200)
      // Hits that took one turn are there as soon as it has ended.
      let hits = #"sluice_request_duration_seconds_count{cache="hit"}"#
      #expect(try eventually { try sluice.metrics()[hits] == 3 })
      let found = try sluice.metrics()
      func expect(_ series: String, _ value: Double) {
        #expect(found[series] == value, "\(series): \(found[series] ?? -1)")
      }
      expect(#"sluice_responses_total{code="200"}"#, 5)
      expect(#"sluice_responses_total{code="301"}"#, 1)
      expect(#"sluice_responses_total{code="404"}"#, 1)
      expect(#"sluice_host_requests_total{kind="path"}"#, 5)
      expect(#"sluice_host_requests_total{kind="subdomain"}"#, 1)
      expect(#"sluice_host_requests_total{kind="none"}"#, 1)
      expect(#"sluice_protocol_requests_total{protocol="HTTP/1.1",tls="no"}"#, 6)
      expect(#"sluice_protocol_requests_total{protocol="HTTP/1.0",tls="no"}"#, 1)
      expect(#"sluice_region_requests_total{region="test",cache="miss"}"#, 2)
      expect(#"sluice_first_byte_seconds_bucket{cache="hit",le="+Inf"}"#, 3)
      #expect(found["sluice_upstream_first_byte_seconds_count"] ?? 0 >= 2)
      #expect(found["sluice_request_bytes_total"] ?? 0 > 200)
      let server = #"{region="test",server="127.0.0.1:\#(origin.port)"}"#
      expect("sluice_upstream_server_retries_total" + server, 0)
      expect("sluice_upstream_server_resumed_total" + server, 0)
      for worker in 0..<2 {
        #expect(found[#"sluice_worker_busy_seconds_total{worker="\#(worker)"}"#] ?? -1 >= 0)
      }
      #expect(found["process_resident_memory_bytes"] ?? 0 > 1_000_000)
      let start = try #require(found["process_start_time_seconds"])
      #expect(abs(Date().timeIntervalSince1970 - start) < 300)
      #expect(found["process_open_fds"] ?? 0 > 10 && found["process_max_fds"] ?? 0 > 100)
    }

    @Test(.enabled(if: has("promtool"), "promtool is not installed"))
    func promtoolHasNothingToSay() throws {
      let dead = try DeadPort()
      let sluice = try SluiceProcess(upstream: dead.port)
      _ = try sluice.request("/ipfs/bafkqaaa")
      let page = try RawClient(port: sluice.adminPort).request("/metrics")
      let folder = try TemporaryFolder()
      try folder.write(page.body, to: "page")
      let outcome = try Outcome.of("sh", ["-c", "promtool check metrics < page"], in: folder)
      #expect(outcome.ending == .exited(0), "\(outcome.text)\(outcome.errors)")
      #expect(outcome.output.isEmpty && outcome.errors.isEmpty)
      // The series are as many as README says, before regions, servers and workers have theirs.
      let series = Metrics.parse(page.text).keys.filter {
        !$0.contains("region=") && !$0.contains("worker=")
      }
      #expect((330...480).contains(series.count), "\(series.count) series")
    }

    @Test(.enabled(if: has("promtool"), "promtool is not installed"))
    func theRulesForAlertsAreRight() throws {
      let rules = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "deploy/prometheus/alerts.yml").path
      let outcome = try Outcome.of("promtool", ["check", "rules", rules])
      #expect(outcome.ending == .exited(0), "\(outcome.text)\(outcome.errors)")
      // Each alert has a case in which it fires.
      let cases = rules.replacing("alerts.yml", with: "alerts.test.yml")
      let tested = try Outcome.of("promtool", ["test", "rules", cases])
      #expect(tested.ending == .exited(0), "\(tested.text)\(tested.errors)")
      let casesText = try String(contentsOfFile: cases, encoding: .utf8)
      let alerts = try String(contentsOfFile: rules, encoding: .utf8)
        .matches(of: /- alert: ([A-Za-z]+)/).map(\.output.1)
      #expect(alerts.count >= 14)
      for alert in alerts {
        #expect(casesText.contains("alertname: \(alert)\n        exp_alerts:"), "\(alert)")
      }
      // Every family that a rule names is one that there is.
      let authority = try TestAuthority()
      var settings = SluiceProcess.Settings(upstreams: [try freePort()])
      settings.tls = ["certificates: [\(try authority.issue(["gw.test"], as: "gw").setting)]"]
      let sluice = try SluiceProcess(settings)
      let page = try RawClient(port: sluice.adminPort).request("/metrics").text
      let text = try String(contentsOfFile: rules, encoding: .utf8)
      for name in text.matches(of: /(sluice|process)_[a-z0-9_]+/).map(\.output.0) {
        let family = name.hasSuffix("_bucket") ? name.dropLast(7) : name
        #expect(page.contains("# TYPE \(family) "), "\(name)")
      }
    }

    /// Asks Prometheus for an expression; the value of its one sample.
    private static func query(_ expression: String, port: UInt16) throws -> Double? {
      let words = CharacterSet.alphanumerics
      let escaped = expression.addingPercentEncoding(withAllowedCharacters: words) ?? ""
      let answer = try RawClient(port: port).request("/api/v1/query?query=\(escaped)")
      guard answer.status == 200,
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any],
        let data = object["data"] as? [String: Any], let found = data["result"] as? [[String: Any]],
        let value = found.first?["value"] as? [Any], let text = value.last as? String
      else { return nil }
      return Double(text)
    }

    @Test(.enabled(if: has("prometheus"), "prometheus is not installed"))
    func prometheusScrapesIt() throws {
      var site = TestSite()
      let file = try site.add(noise(5_000, seed: 701))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      for _ in 0..<5 { #expect(try sluice.request(file.path).status == 200) }
      let folder = try TemporaryFolder()
      try folder.write(
        """
        global: { scrape_interval: 1s, scrape_timeout: 1s }
        scrape_configs:
          - job_name: sluice
            static_configs: [{ targets: ["127.0.0.1:\(sluice.adminPort)"] }]
        """, to: "prometheus.yml")
      let port = try freePort()
      let prometheus = try ChildProcess(
        "prometheus",
        [
          "--config.file=prometheus.yml", "--storage.tsdb.path=data",
          "--web.listen-address=127.0.0.1:\(port)",
        ], in: folder.path, output: folder.file("output"), errors: folder.file("errors"))
      defer { prometheus.kill() }
      let isThere = eventually {
        let hits = try? Self.query(#"sluice_requests_total{cache="hit"}"#, port: port)
        return hits == 4
      }
      #expect(isThere, "\(folder.text(of: "errors").suffix(2_000))")
      #expect(try Self.query(#"up{job="sluice"}"#, port: port) == 1)
      #expect(try Self.query("scrape_samples_scraped", port: port) ?? 0 > 300)
      let ninth = "histogram_quantile(0.9, sluice_first_byte_seconds_bucket{cache=\"hit\"})"
      #expect(try Self.query(ninth, port: port) ?? -1 > 0)
      #expect(try Self.query("sum(sluice_responses_total)", port: port) == 5)
      #expect(try Self.query("process_cpu_seconds_total", port: port) ?? -1 >= 0)
    }
  }
}
