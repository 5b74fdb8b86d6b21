import TestKit
import Testing

extension EndToEnd {
  /// HTTP/1.1 over the socket: what is understood, what is refused, and when a connection ends.
  @Suite struct Wire {
    static let host = "Host: a\r\n"

    /// Requests that must be refused, and how.
    static let refused: [(text: String, status: Int)] = [
      ("GET / HTTP/1.1\r\n\(host)Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)Content-Length: 5, 6\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)Content-Length: -1\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)Content-Length: 99999999999999999999\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)Transfer-Encoding: xchunked\r\n\r\n", 501),
      ("GET / HTTP/1.1\r\n\(host)Transfer-Encoding: chunked, identity\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)X: a\r\n b\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)X : a\r\n\r\n", 400),
      ("GET / HTTP/1.1\nHost: a\n\n", 400),
      ("GET / HTTP/1.1\r\n\(host)X: a\nY: b\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)X: a\rY: b\r\n\r\n", 400),
      ("GET / HTTP/1.1\r\n\(host)X: \u{0}\r\n\r\n", 400),
      ("GET /\u{0} HTTP/1.1\r\n\(host)\r\n", 400),
      ("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\n\(host)\(host)\r\n", 400),
      ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400), ("GET  / HTTP/1.1\r\n\(host)\r\n", 400),
      ("GET http://b/ HTTP/1.1\r\n\(host)\r\n", 400), ("GET / HTTP/1.1 \r\n\(host)\r\n", 400),
      ("GET / HTTP/2.0\r\n\(host)\r\n", 505), ("GET / HTTP/0.9\r\n\(host)\r\n", 505),
      // Not quite the preface of HTTP/2.
      ("PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505), ("\u{16}\u{3}\u{1}\u{2}\u{0}", 400),
      ("GET /\(String(repeating: "a", count: 20_000)) HTTP/1.1\r\n\(host)\r\n", 414),
      ("GET / HTTP/1.1\r\n\(host)X: \(String(repeating: "a", count: 40_000))\r\n\r\n", 431),
      (
        "GET / HTTP/1.1\r\n\(host)"
          + String(repeating: "X: \(String(repeating: "a", count: 500))\r\n", count: 80) + "\r\n",
        431
      ),
      // Understood, but not done here; their bodies are never read, whatever they hold.
      ("POST /ipfs/x HTTP/1.1\r\n\(host)Transfer-Encoding: chunked\r\n\r\nZZ\r\n", 405),
      ("PUT /ipfs/x HTTP/1.1\r\n\(host)Content-Length: 5000000000\r\n\r\n", 405),
      ("POST / HTTP/1.1\r\n\(host)Content-Length: 0\r\nConnection: close\r\n\r\n", 405),
      ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nConnection: close\r\n\r\n", 405),
    ]

    @Test func refusalsCloseTheConnection() throws {
      let dead = try DeadPort()
      let sluice = try SluiceProcess(upstream: dead.port)
      for (text, status) in Self.refused {
        let client = try sluice.connect()
        try client.send(text)
        let answer = try client.response()
        let start = text.prefix(60).debugDescription
        #expect(answer.status == status, "\(start)")
        #expect(answer["Connection"] == "close", "\(start)")
        #expect(answer.isComplete, "\(start)")
        #expect(client.ending(within: 10) == .closed, "\(start)")
      }
      #expect(try sluice.request("/health").text == "ok\n")
    }

    /// A body that hides a request: only the first request may have an answer.
    @Test func hiddenRequestsAreNotAnswered() throws {
      let dead = try DeadPort()
      let sluice = try SluiceProcess(upstream: dead.port)
      let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
      for framing in ["Content-Length: \(hidden.utf8.count)", "Transfer-Encoding: chunked"] {
        let client = try sluice.connect()
        let body = framing.hasPrefix("C") ? hidden : "0\r\n\r\n" + hidden
        try client.send("GET /health HTTP/1.1\r\nHost: a\r\n\(framing)\r\n\r\n" + body)
        #expect(try client.response().status == 200)
        #expect(client.ending(within: 10) == .closed)
      }
    }

    @Test func timeoutsEndIdlersAndDawdlers() throws {
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.timeouts = ["client_header: 2s", "client_idle: 300ms"]
      let sluice = try SluiceProcess(settings)
      // A head that comes byte by byte does not live longer for it.
      let dawdler = try sluice.connect()
      for byte in String(repeating: "GET / HTTP/1.1\r\nX: ", count: 20).utf8 {
        do { try dawdler.send([byte]) } catch { break }
        if dawdler.ending(within: 0.05) != .open { break }
      }
      #expect(try dawdler.response().status == 408)
      #expect(dawdler.ending(within: 10) == .closed)
      // Between requests there is nothing to say.
      let idler = try sluice.connect()
      #expect(try idler.request("/health").status == 200)
      #expect(idler.ending(within: 10) == .closed)
      let mute = try sluice.connect()
      #expect(mute.ending(within: 10) == .closed)
    }

    @Test func aClientThatTakesNothingIsCutOff() throws {
      let content = try TestContent.opaque(noise(24 << 20, seed: 120))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.timeouts = ["send: 300ms"]
      let sluice = try SluiceProcess(settings)
      let client = try RawClient(port: sluice.port, receiveBuffer: 4096)
      try client.send(RawClient.text(content.path))
      let head = try client.head()
      let counter = #"sluice_timeouts_total{side="client_send"}"#
      #expect(try eventually { try sluice.metric(counter) == 1 })
      #expect(head.status == 200)
      #expect(try client.bytes(24 << 20).count < 24 << 20)
    }

    @Test func twentyRequestsInOneWrite() throws {
      let contents = try (0..<20).map {
        try TestContent.opaque(noise(3000 + $0, seed: 130 + UInt64($0)))
      }
      let upstream = try ScriptedUpstream { request, reply in
        reply.pause(milliseconds: request.number % 2 == 0 ? 20 : 0)
        try reply.serve(contents.first { $0.path == request.target } ?? contents[0])
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for expected in ["MISS", "HIT"] {
        let client = try sluice.connect()
        try client.send(contents.map { RawClient.text($0.path) }.joined())
        for content in contents {
          let answer = try client.response()
          #expect(answer.status == 200 && isSame(answer.body, content.body))
          #expect(answer.cacheStatus == expected)
        }
        #expect(try client.request("/health").status == 200)
      }
    }

    @Test func connectionsLastAndEndAsAsked() throws {
      let content = try TestContent.opaque(noise(200_000, seed: 121))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(isSame(try sluice.request(content.path).body, content.body))
      let client = try sluice.connect()
      for _ in 0..<100 { #expect(isSame(try client.request(content.path).body, content.body)) }
      #expect(try client.request(content.path, [("Connection", "close")])["Connection"] == "close")
      #expect(client.ending(within: 10) == .closed)

      let old = try sluice.connect()
      try old.send("GET \(content.path) HTTP/1.0\r\n\r\n")
      #expect(isSame(try old.response().body, content.body))
      #expect(old.ending(within: 10) == .closed)

      let absolute = try sluice.connect()
      try absolute.send("GET http://a:80\(content.path) HTTP/1.1\r\nHost: A\r\n\r\n")
      #expect(isSame(try absolute.response().body, content.body))

      // Who has said all it will say still gets its answer.
      let half = try sluice.connect()
      try half.send(RawClient.text(content.path))
      half.endSending()
      #expect(isSame(try half.response().body, content.body))
      #expect(half.ending(within: 10) == .closed)
    }

    /// HTTP/1.0 knows no chunks: the end of the connection is the end of the body.
    @Test func chunksForAnOldClient() throws {
      let upstream = try ScriptedUpstream { request, reply in
        try reply.head(200, [("Transfer-Encoding", "chunked")])
        if request.method != "HEAD" { try reply.send("5\r\nhello\r\n0\r\n\r\n".utf8) }
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let client = try sluice.connect()
      try client.send("GET /ipns/example.com HTTP/1.0\r\nHost: a\r\n\r\n")
      let answer = try client.response()
      #expect(answer.text == "hello" && answer["Transfer-Encoding"] == nil)
    }

    @Test func headAndOptions() throws {
      let content = try TestContent.opaque(noise(70_000, seed: 122))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let client = try sluice.connect()
      for _ in 0..<2 {
        let head = try client.request(content.path, method: "HEAD")
        #expect(head.status == 200 && head["Content-Length"] == "70000")
        #expect(head["Etag"] == content.etag)
        #expect(isSame(try client.request(content.path).body, content.body))
      }
      #expect(upstream.requests.map(\.method) == ["HEAD", "GET"])
      let options = try client.request(content.path, method: "OPTIONS")
      #expect(options.status == 200 && options["Allow"] == "GET, HEAD, OPTIONS")
      #expect(options["Access-Control-Allow-Origin"] == "*")
      let delete = try client.request(content.path, method: "DELETE")
      #expect(delete.status == 405 && delete["Allow"] == "GET, HEAD, OPTIONS")
      #expect(try client.request("/elsewhere").status == 404)
      #expect(try client.request("/ipfs/nonsense").status == 400)
    }

    /// More connections than are allowed wait their turn.
    @Test func tooManyConnectionsWait() throws {
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.workers = 1
      settings.limits = ["connections: 16"]
      let sluice = try SluiceProcess(settings)
      var clients = try (0..<16).map { _ in try sluice.connect() }
      for client in clients { #expect(try client.request("/health").status == 200) }
      let late = try sluice.connect()
      try late.send(RawClient.text("/health"))
      #expect(late.ending(within: 0.3) == .open)
      clients.removeLast().close()
      #expect(try late.response().status == 200)
    }
  }
}
