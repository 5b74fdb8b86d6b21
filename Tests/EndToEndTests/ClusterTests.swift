import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What is given on to the cluster's API, and what is not.
  @Suite struct Cluster {
    static func gateway(
      _ servers: [UInt16], allow: String = "127.0.0.0/8", _ sections: [String] = [],
      timeouts: [String] = []
    ) throws -> SluiceProcess {
      var settings = SluiceProcess.Settings(upstreams: [try freePort()])
      let list = servers.map { "{ address: 127.0.0.1:\($0) }" }.joined(separator: ", ")
      settings.sections =
        ["cluster_api:", "  servers: [\(list)]", "  allow: [\(allow)]"] + sections
      settings.timeouts = timeouts
      return try SluiceProcess(settings)
    }

    /// A server that reads every body and says what came.
    static func reader() throws -> ScriptedUpstream {
      try ScriptedUpstream { request, reply in
        if request["Expect"] != nil { try reply.askForBody() }
        let body = try reply.readBody()
        try reply.answer(
          200, [("Content-Type", "text/plain")],
          Array("\(body.count) \(body.digest) \(body.isComplete)".utf8))
      }
    }

    static func text(of body: ReceivedBody) -> String {
      "\(body.count) \(body.digest) \(body.isComplete)"
    }

    @Test func requestsAndAnswersAreGivenOn() throws {
      let server = try ScriptedUpstream { request, reply in
        try reply.readBody()
        switch request.target {
        case "/id?a=%2F&b":
          try reply.answer(
            200,
            [
              ("X-Own", "1"), ("Connection", "x-hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"),
              ("Server", "ipfs-cluster"), ("WWW-Authenticate", "Basic realm=\"x\""),
            ], Array("id".utf8))
        case "/old":
          try reply.answer(301, [("Location", "/pins?x"), ("Cache-Control", "max-age=9")], [])
        case "/gone": try reply.head(204, [])
        default: try reply.answer(418, [], Array(request.method.utf8))
        }
      }
      defer { server.stop() }
      let sluice = try Self.gateway([server.port])
      let client = try sluice.connect()
      for _ in 0..<2 {
        let answer = try client.request(
          "/cluster/id?a=%2F&b",
          [
            ("Authorization", "Basic YTpi"), ("X-Forwarded-For", "10.9.9.9"), ("X-Mine", "2"),
            ("Connection", "X-Gone"), ("X-Gone", "3"), ("TE", "trailers"), ("User-Agent", "ctl"),
            ("Forwarded", "for=10.9.9.9"), ("Cookie", "a=b"),
          ])
        #expect(answer.status == 200 && answer.text == "id" && answer.isComplete)
        #expect(answer["X-Own"] == "1" && answer["Server"] == "ipfs-cluster")
        #expect(answer["WWW-Authenticate"] == "Basic realm=\"x\"")
        #expect(answer["X-Hop"] == nil && answer["Keep-Alive"] == nil)
        #expect(answer["Cache-Control"] == "no-store" && answer.cacheStatus == "BYPASS")
        #expect(answer["X-IPFS-Gateway"] == "cluster_api/127.0.0.1:\(server.port)")
        #expect(answer["Access-Control-Allow-Origin"] == nil)
      }
      // Never kept: both came through, on one connection.
      #expect(server.requests.count == 2 && server.connectionCount == 1)
      let asked = server.requests[0]
      #expect(asked.method == "GET" && asked.target == "/id?a=%2F&b")
      #expect(asked["Authorization"] == "Basic YTpi" && asked["Cookie"] == "a=b")
      #expect(asked["User-Agent"] == "ctl" && asked["X-Mine"] == "2")
      #expect(asked["Host"] == "127.0.0.1:\(server.port)")
      #expect(asked["X-Forwarded-Host"] == "127.0.0.1" && asked["X-Forwarded-Proto"] == "http")
      #expect(asked.fields.filter { $0.name == "X-Forwarded-For" }.map(\.value) == ["127.0.0.1"])
      for name in ["X-Gone", "TE", "Forwarded", "Connection"] { #expect(asked[name] == nil) }

      let moved = try client.request("/cluster/old")
      #expect(moved.status == 301 && moved["Location"] == "/cluster/pins?x")
      #expect(moved["Cache-Control"] == "max-age=9")
      #expect(try client.request("/cluster/gone").status == 204)
      for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "GET", "HEAD"] {
        let answer = try client.request("/cluster/", method: method)
        #expect(answer.status == 418 && answer.text == (method == "HEAD" ? "" : method))
        #expect(server.requests.last?.target == "/" && server.requests.last?.method == method)
      }
      #expect(try sluice.request("/cluster/", method: "TRACE").status == 501)
      #expect(eventually { sluice.accessLog.contains(#""method":"PATCH""#) })
      #expect(
        try sluice.metric(
          "sluice_upstream_server_requests_total{region=\"cluster_api\",server=\"127.0.0.1:\(server.port)\"}"
        )
          == 11)
    }

    @Test func strangersAreRefused() throws {
      let server = try Self.reader()
      defer { server.stop() }
      let sluice = try Self.gateway([server.port], allow: "10.0.0.0/8, \"fd00::/8\"")
      let answer = try sluice.request("/cluster/id", [("X-Forwarded-For", "10.0.0.1")])
      #expect(answer.status == 403 && answer.text.contains("the operator's own networks"))
      // Before its body, and in the place of a 100.
      let client = try sluice.connect()
      try client.send(
        RawClient.text(
          "/cluster/add", method: "POST",
          [("Content-Length", "8589934592"), ("Expect", "100-continue")]))
      let refused = try client.response()
      #expect(refused.status == 403 && refused["Connection"] == "close")
      let folder = try TemporaryFolder()
      try folder.write(noise(3 << 20, seed: 1), to: "file")
      let curl = try Outcome.curl(
        [
          "-T", "file", "--expect100-timeout", "60", "--write-out", "%{http_code} %{size_upload}",
          Self.url(sluice, "add"),
        ], in: folder)
      #expect(curl.text.hasSuffix("403 0"))
      #expect(server.requests.isEmpty)
      #expect(try sluice.metric(#"sluice_request_refusals_total{reason="403"}"#) == 3)
    }

    static func url(_ sluice: SluiceProcess, _ path: String) -> String {
      "http://127.0.0.1:\(sluice.port)/cluster/\(path)"
    }

    /// Behind a proxy the client is who the proxy says it is.
    @Test func theClientIsWhoIsBehindTheProxy() throws {
      let server = try Self.reader()
      defer { server.stop() }
      let sluice = try Self.gateway(
        [server.port], allow: "10.0.0.0/8", ["trusted_proxies: [127.0.0.1]"])
      #expect(try sluice.request("/cluster/id").status == 403)
      #expect(try sluice.request("/cluster/id", [("X-Forwarded-For", "11.0.0.1")]).status == 403)
      #expect(
        try sluice.request("/cluster/id", [("X-Forwarded-For", "10.0.0.1, 11.0.0.1")]).status == 403
      )
      let answer = try sluice.request("/cluster/id", [("X-Forwarded-For", "11.0.0.1, 10.0.0.1")])
      #expect(answer.status == 200 && server.requests.count == 1)
      #expect(server.requests.first?["X-Forwarded-For"] == "10.0.0.1")
    }

    @Test func pagesAreRefused() throws {
      let server = try Self.reader()
      defer { server.stop() }
      let sluice = try Self.gateway([server.port])
      for field in [
        ("Origin", "http://127.0.0.1"), ("Origin", "null"), ("Referer", "http://a/ipfs/x"),
        ("Sec-Fetch-Site", "same-origin"), ("sec-fetch-site", "cross-site"),
      ] {
        #expect(try sluice.request("/cluster/pins", method: "POST", [field]).status == 403)
      }
      #expect(server.requests.isEmpty)
      #expect(try sluice.request("/cluster/pins", [("Sec-Fetch-Site", "none")]).status == 200)
    }

    /// Nothing but the prefix leads to the cluster, and from below it nothing leads elsewhere.
    @Test func pathsLeadNowhereElse() throws {
      let server = try Self.reader()
      let kubo = try ScriptedUpstream { _, reply in try reply.answer(200, [], Array("kubo".utf8)) }
      defer {
        server.stop()
        kubo.stop()
      }
      var settings = SluiceProcess.Settings(upstreams: [kubo.port])
      settings.sections = [
        "cluster_api:", "  servers: [{ address: 127.0.0.1:\(server.port) }]",
        "  allow: [127.0.0.0/8]",
      ]
      settings.hosts = [
        "{ name: \"*\" }", "{ name: dweb.test, subdomains: true }",
        "{ name: docs.test, dnslink: true }",
        "{ name: both.test, subdomains: true, dnslink: true }",
      ]
      let sluice = try SluiceProcess(settings)
      for path in [
        "/cluster/../ipfs/x", "/cluster/%2e%2e/ipfs/x", "/cluster/a/.%2E/b", "/cluster/..%2fx",
        "/cluster//id", "/cluster/./id", "/cluster/a//b", "/cluster/a/..", "/cluster/..",
        "/cluster/%5c..%5cx", "/cluster/a%00b", "/cluster/%zz",
      ] {
        #expect(try sluice.request(path).status == 400, "\(path)")
      }
      for path in [
        "/cluster", "/CLUSTER/id", "//cluster/id", "/%63luster/id", "/./cluster/id",
        "/ipfs/../cluster/id", "/x/../cluster/id", "/clusterx/id", "/?/cluster/id",
      ] {
        #expect(try sluice.request(path).status >= 400, "\(path)")
      }
      #expect(server.requests.isEmpty)
      func status(host: String) throws -> Int {
        let client = try sluice.connect()
        try client.send("GET /cluster/id HTTP/1.1\r\nHost: \(host)\r\n\r\n")
        return try client.response().status
      }
      // Whose paths are somebody's content.
      _ = try status(host: "docs.test")
      _ = try status(host: "both.test")
      _ = try status(host: "bafkqaaa.ipfs.dweb.test")
      _ = try status(host: "bafkqaaa.ipfs.elsewhere.test")
      #expect(server.requests.isEmpty)
      #expect(try status(host: "dweb.test") == 200 && server.requests.count == 1)
      // What looks like steps and is none.
      for path in ["/cluster/pins/...", "/cluster/a/..b/.c", "/cluster/a?x=../..", "/cluster/a/"] {
        #expect(try sluice.request(path).status == 200, "\(path)")
        #expect(server.requests.last?.target == String(path.dropFirst("/cluster".count)))
      }
    }

    @Test func withoutServersThereIsNoSuchPath() throws {
      let sluice = try SluiceProcess(upstream: try freePort())
      let answer = try sluice.request("/cluster/id")
      #expect(answer.status == 404 && answer.text.contains("nothing is served at this path"))
    }

    // MARK: Servers

    /// Who has fewest to do is asked, and who is gone is passed over, for every method.
    @Test func aServerThatIsGoneIsNoticedByNobody() throws {
      let server = try Self.reader()
      defer { server.stop() }
      let dead = try DeadPort()
      let sluice = try Self.gateway([dead.port, server.port])
      for method in ["POST", "GET", "PUT", "DELETE", "PATCH"] {
        let client = try sluice.connect()
        try client.send(RawClient.text("/cluster/x", method: method, [("Content-Length", "5")]))
        try client.send("hello")
        let answer = try client.response(to: method)
        #expect(answer.status == 200 && answer.text.hasPrefix("5 "), "\(method)")
      }
      #expect(server.requests.count == 5)
    }

    /// Once it has been sent, only what may be repeated is.
    @Test(arguments: [("GET", true), ("PUT", true), ("DELETE", true), ("POST", false)])
    func aServerThatBreaksOff(method: String, goesOn: Bool) throws {
      let breaking = try ScriptedUpstream { _, reply in try reply.reset() }
      let server = try Self.reader()
      defer {
        breaking.stop()
        server.stop()
      }
      let sluice = try Self.gateway([breaking.port, server.port])
      let answer = try sluice.request("/cluster/x", method: method)
      #expect(answer.status == (goesOn ? 200 : 502))
      #expect(breaking.requests.count == 1 && server.requests.count == (goesOn ? 1 : 0))
      if !goesOn { #expect(answer.text.contains("it may have done what was asked")) }
    }

    @Test func nobodyLeft() throws {
      let dead = try DeadPort()
      let sluice = try Self.gateway([dead.port])
      let client = try sluice.connect()
      try client.send(
        RawClient.text(
          "/cluster/add", method: "POST",
          [("Content-Length", "999999999"), ("Expect", "100-continue")]))
      let answer = try client.response()
      #expect(answer.status == 503 && answer.text.contains("no server of the cluster"))
      #expect(answer["Connection"] == "close")
    }
  }
}
