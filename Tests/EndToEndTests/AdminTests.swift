import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// The admin API, and the commands over it.
  @Suite struct Admin {
    private static func world(_ content: TestContent) throws -> (AdminWorld, ScriptedUpstream) {
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      return (try AdminWorld(SluiceProcess.Settings(upstreams: [upstream.port])), upstream)
    }

    private static func number(_ object: [String: Any], _ path: String...) -> Double? {
      var value: Any? = object
      for name in path { value = (value as? [String: Any])?[name] }
      return (value as? NSNumber)?.doubleValue
    }

    @Test func statisticsAreThoseOfTheTraffic() throws {
      let content = try TestContent.opaque(noise(100_000, seed: 600))
      let (world, upstream) = try Self.world(content)
      defer { upstream.stop() }
      let before = try world.json("stats")
      #expect((before["hit_ratio"] as? [String: Any])?["requests"] is NSNull)
      for _ in 0..<4 { #expect(try world.sluice.request(content.path).status == 200) }
      try world.sluice.settle()
      #expect(try world.sluice.request(content.path).status == 200)
      let stats = try world.json("stats")
      #expect(Self.number(stats, "requests", "hit") == 4)
      #expect(Self.number(stats, "requests", "total") == 5)
      #expect(Self.number(stats, "hit_ratio", "requests") == 0.8)
      #expect(Self.number(stats, "hit_ratio", "bytes") == 0.8)
      #expect(Self.number(stats, "bytes", "fetched") == 100_000)
      #expect(Self.number(stats, "cache", "entries") == 1)
      #expect(Self.number(stats, "cache", "max_bytes") == Double(1 << 30))
      #expect(Self.number(stats, "fills", "in_flight") == 0)
      let regions = stats["regions"] as? [[String: Any]] ?? []
      let server = (regions.first?["servers"] as? [[String: Any]])?.first ?? [:]
      #expect(server["name"] as? String == "test/127.0.0.1:\(upstream.port)")
      #expect(server["state"] as? String == "up" && server["drained"] as? Bool == false)
      #expect(Self.number(server, "requests") == 1 && Self.number(server, "errors") == 0)
      let text = try world.run("stats")
      #expect(text.ending == .exited(0))
      for words in ["hit ratio   80.0 % of requests", "1 object in ", "test/127.0.0.1"] {
        #expect(text.text.contains(words), "\(text.text)")
      }
      // By HTTP it is the same page, whose head is asked for too.
      let page = try world.get("/api/v1/stats")
      #expect(page["Content-Type"] == "application/json" && page["Cache-Control"] == "no-store")
      let head = try RawClient(port: world.sluice.adminPort).request(
        "/api/v1/stats", method: "HEAD")
      #expect(head.status == 200 && head.body.isEmpty)
    }

    @Test func watchingShowsDifferences() throws {
      let content = try TestContent.opaque(noise(1_000, seed: 601))
      let (world, upstream) = try Self.world(content)
      defer { upstream.stop() }
      for _ in 0..<3 { #expect(try world.sluice.request(content.path).status == 200) }
      let outcome = try world.run("stats", "--watch", "--interval", "1", "--lines", "1")
      #expect(outcome.ending == .exited(0))
      let lines = outcome.text.split(separator: "\n")
      #expect(lines.count == 2 && lines[0].contains("requests/s"))
      // Nothing was asked for meanwhile.
      #expect(lines[1].split(separator: " ").first == "0.0", "\(lines)")
    }

    @Test func whyExplainsAnObject() throws {
      let content = try TestContent.opaque(noise(3_000_000, seed: 602))
      let (world, upstream) = try Self.world(content)
      defer { upstream.stop() }
      let before = try world.json("why", content.path)
      #expect(before["route"] as? String == "content")
      #expect((before["kept"] as? [Any])?.isEmpty == true)
      let client = before["client"] as? [String: Any]
      let servers = client?["servers"] as? [[String: Any]] ?? []
      #expect(servers.map { $0["name"] as? String } == ["test/127.0.0.1:\(upstream.port)"])
      // One slice of three.
      let part = try world.sluice.request(content.path, [("Range", "bytes=1048576-1048600")])
      #expect(part.status == 206)
      try world.sluice.settle()
      let url = "http://127.0.0.1:\(world.sluice.port)\(content.path)"
      func kept() throws -> [String: Any] {
        let why = try world.json("why", url, "--client", "192.0.2.7")
        return (why["kept"] as? [[String: Any]])?.first ?? [:]
      }
      let object = try kept()
      #expect(object["form"] as? String == "file" && object["asked"] as? Bool == true)
      #expect(Self.number(object, "bytes") == 3_000_000)
      #expect(object["server"] as? String == "test/127.0.0.1:\(upstream.port)")
      #expect(Self.number(object, "slices", "total") == 3)
      #expect(Self.number(object, "slices", "present") == 1)
      #expect(object["hit_since_written"] as? Bool == false)
      #expect(
        try world.sluice.request(content.path, [("Range", "bytes=1048576-1048600")]).cacheStatus
          == "HIT")
      #expect(try kept()["hit_since_written"] as? Bool == true)
      let text = try world.run("why", content.path)
      #expect(text.ending == .exited(0) && text.text.contains("1/3"), "\(text.text)")
    }

    @Test func whyKnowsWhatFailed() throws {
      let content = try TestContent.raw(noise(100, seed: 603))
      let upstream = try ScriptedUpstream { _, reply in try reply.answer(500, [], []) }
      defer { upstream.stop() }
      let world = try AdminWorld(SluiceProcess.Settings(upstreams: [upstream.port]))
      // A few in a row, so that it is remembered for longer than this takes.
      for _ in 0..<4 {
        #expect(try world.sluice.request(content.path).status >= 500)
        usleep(1_100_000)
      }
      #expect(try world.sluice.request(content.path).status >= 500)
      let why = try world.json("why", "\(content.cid)")
      let absence = why["absence"] as? [String: Any]
      #expect(absence?["state"] as? String == "failing", "\(why)")
      #expect(Self.number(absence ?? [:], "status") == 500)
      #expect(try world.run("why", "/nowhere").text.contains("refused with 404"))
      #expect(try world.run("why", "bafkqaaa").text.contains("its own CID carries"))
    }

    @Test func whyNamesTheHostOfAURL() throws {
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.hosts = ["{ name: gw.example, subdomains: true }", "{ name: d.example }"]
      let world = try AdminWorld(settings)
      let text = try world.run("why", "http://d.example/ipfs/bafkqaaa").text
      #expect(
        text.hasPrefix("asked       http://d.example/ipfs/bafkqaaa at d.example (path)"), "\(text)")
      #expect(try world.json("why", "/ipfs/bafkqaaa")["host"] as? String == "d.example")
    }

    @Test func whySaysWhatIsDenied() throws {
      let content = try TestContent.raw(noise(100, seed: 604))
      let other = try TestContent.raw(noise(100, seed: 605))
      let dead = try DeadPort()
      let folder = try TemporaryFolder()
      try folder.write("# first\n/ipfs/\(content.cid)\n", to: "a.deny")
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
      let world = try AdminWorld(settings)
      for object in [content.path, "\(content.cid)/below", "http://127.0.0.1\(content.path)"] {
        let denied = try world.json("why", object)["denied"] as? [String: Any]
        #expect(denied?["at"] as? String == "\(folder.file("a.deny")):2", "\(object)")
        #expect(denied?["status"] as? Int == 410)
        #expect(denied?["rule"] as? String == "/ipfs/\(content.cid)")
      }
      let text = try world.run("why", content.path).text
      #expect(text.contains("denied      with 410 by \(folder.file("a.deny")):2"), "\(text)")
      #expect(try world.json("why", other.path)["denied"] == nil)
    }

    @Test func aDrainedServerGetsNoRequests() throws {
      let contents = try (0..<12).map { try TestContent.raw(noise(500, seed: 610 + UInt64($0))) }
      let upstreams = try (0..<2).map { _ in
        try ScriptedUpstream { request, reply in
          guard let content = contents.first(where: { $0.path == request.target }) else { return }
          try reply.serve(content)
        }
      }
      defer { for upstream in upstreams { upstream.stop() } }
      let world = try AdminWorld(SluiceProcess.Settings(upstreams: upstreams.map(\.port)))
      let server = "test/127.0.0.1:\(upstreams[0].port)"
      let drained = try world.run("drain", server, "--reason", "new disk")
      #expect(drained.ending == .exited(0) && drained.text.hasPrefix("\(server) is drained"))
      #expect(try world.audit().map { $0["state"] as? String } == ["begun", "done"])
      for content in contents.prefix(6) {
        #expect(try world.sluice.request(content.path).status == 200)
      }
      #expect(upstreams[0].requests.isEmpty && upstreams[1].requests.count == 6)
      let label = "region=\"test\",server=\"127.0.0.1:\(upstreams[0].port)\""
      #expect(try world.sluice.metric("sluice_upstream_server_drained{\(label)}") == 1)
      #expect(try world.run("stats").text.contains("drained"))
      // With all of them drained nobody is asked.
      let other = "test/127.0.0.1:\(upstreams[1].port)"
      #expect(try world.run("drain", other).ending == .exited(0))
      #expect(try world.sluice.request(contents[6].path).status == 503)
      #expect(try world.run("undrain", server).ending == .exited(0))
      for content in contents.suffix(5) {
        #expect(try world.sluice.request(content.path).status == 200)
      }
      #expect(upstreams[0].requests.count == 5 && upstreams[1].requests.count == 6)
      let unknown = try world.run("drain", "test/10.0.0.1:80")
      #expect(unknown.ending == .exited(1) && unknown.errors.contains(server))
      let actions = try world.audit().map { $0["action"] as? String }
      #expect(actions == ["drain", "drain", "drain", "drain", "undrain", "undrain"])
      // Not over a restart.
      #expect(try world.run("drain", server).ending == .exited(0))
      try world.sluice.stop()
      try world.sluice.startAgain()
      #expect(try world.sluice.metric("sluice_upstream_server_drained{\(label)}") == 0)
    }

    /// A command whose wait is broken off again and again, as by a job that is stopped and goes on, has its answer
    /// all the same; so has one whose answer comes in pieces.
    @Test(arguments: [["stats"], ["purge", "bafkqaaa"]])
    func signalsBreakNoCommandOff(command: [String]) throws {
      let body = Array("{\"a\":\"\(String(repeating: "x", count: 200_000))\"}".utf8)
      let isAsked = Gate()
      let isTroubled = Gate()
      let admin = try ScriptedUpstream { request, reply in
        isAsked.open()
        try reply.head(
          200, [("Content-Type", "application/json"), ("Content-Length", "\(body.count)")])
        for start in stride(from: 0, to: body.count, by: 20_000) {
          if start == 180_000 { isTroubled.wait() }
          reply.pause(milliseconds: 60)
          try reply.send(body[start..<min(body.count, start + 20_000)])
        }
      }
      defer { admin.stop() }
      defer { isTroubled.open() }
      let folder = try TemporaryFolder()
      try folder.write("correct-horse-battery-staple\n", to: "token")
      chmod(folder.file("token"), 0o600)
      let arguments = [
        "--json", "--admin", "127.0.0.1:\(admin.port)", "--token-file", folder.file("token"),
      ]
      let child = try ChildProcess(
        Program.path, command + arguments, in: folder.path, output: folder.file("out"),
        errors: folder.file("err"))
      isAsked.wait()
      var signals = 0
      while child.isRunning, signals < 2_000 {
        // What waits in epoll_wait is woken with EINTR by SIGCONT, whatever is done about it (signal(7)).
        child.send(SIGSTOP)
        usleep(2_000)
        child.send(SIGCONT)
        signals += 1
        if signals == 25 { isTroubled.open() }
        usleep(5_000)
      }
      #expect(try child.wait() == .exited(0), "\(folder.text(of: "err"))")
      #expect(signals > 20)
      let answer = try AdminWorld.object(Array(folder.text(of: "out").utf8))
      #expect((answer["a"] as? String)?.count == 200_000)
    }

    // MARK: Who may

    @Test func strangersAndPagesAreRefused() throws {
      let content = try TestContent.raw(noise(100, seed: 630))
      let (world, upstream) = try Self.world(content)
      defer { upstream.stop() }
      let body = "{\"cids\":[\"\(content.cid)\"]}"
      let token = ("Authorization", "Bearer \(AdminWorld.token)")
      let json = ("Content-Type", "application/json")
      #expect(try world.post("/api/v1/purge", body).status == 200)
      #expect(try world.post("/api/v1/purge", body, [json]).status == 401)
      #expect(
        try world.post("/api/v1/purge", body, [json])["WWW-Authenticate"]
          == "Bearer realm=\"sluice\"")
      #expect(try world.post("/api/v1/purge", body, [token]).status == 415)
      #expect(
        try world.post("/api/v1/purge", body, [token, json, ("Origin", "http://x.example")]).status
          == 403)
      #expect(
        try world.post("/api/v1/purge", body, [token, json, ("Sec-Fetch-Site", "cross-site")])
          .status == 403)
      #expect(try world.get("/api/v1/stats", [("Origin", "null")]).status == 403)
      let client = try RawClient(port: world.sluice.adminPort)
      try client.send("GET /api/v1/stats HTTP/1.1\r\nHost: rebound.example\r\n\r\n")
      #expect(try client.response().status == 421)
      #expect(try world.sluice.metric("sluice_admin_refusals_total") == 7)
      #expect(try world.sluice.metric("sluice_admin_changes_total") == 1)
      // What there is, and how it is asked for.
      let method = try world.get("/api/v1/purge")
      #expect(method.status == 405 && method["Allow"] == "POST, OPTIONS")
      let options = try RawClient(port: world.sluice.adminPort)
        .request("/api/v1/stats", method: "OPTIONS")
      #expect(options.status == 204 && options["Allow"] == "GET, HEAD, OPTIONS")
      #expect(options["Access-Control-Allow-Origin"] == nil)
      let unknown = try world.get("/api/v1/nothing")
      #expect(unknown.status == 404 && unknown.text.contains("/api/v1/stats"))
      #expect(try world.post("/api/v1/purge", "{").status == 400)
      #expect(try world.get("/").text.contains("/api/v1/why"))
      // A body that never ends is left.
      let endless = try RawClient(port: world.sluice.adminPort)
      try endless.send(
        RawClient.text(
          "/api/v1/purge", method: "POST", [token, json, ("Transfer-Encoding", "chunked")]))
      let chunk = "10000\r\n" + String(repeating: " ", count: 0x10000) + "\r\n"
      for _ in 0..<17 { try? endless.send(chunk) }
      #expect(try endless.head().status == 413)
    }

    @Test func readingGoesByNetwork() throws {
      let dead = try DeadPort()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.admin = ["allow: [10.0.0.0/8]"]
      // Which is found out by metrics, so this one is asked by hand.
      let world = try AdminWorld(settings)
      for target in ["/", "/metrics", "/api/v1/stats", "/api/v1/why?url=/ipfs/bafkqaaa", "/x"] {
        #expect(try world.get(target).status == 403, "\(target)")
      }
      #expect(try world.get("/health").text == "ok\n")
      // Nor are they told what there is.
      let options = try RawClient(port: world.sluice.adminPort)
        .request("/api/v1/stats", method: "OPTIONS")
      #expect(options.status == 403 && options["Allow"] == nil)
      #expect(try world.get("/api/v1/purge").status == 403)
      let outcome = try world.run("stats")
      #expect(outcome.ending == .exited(77) && outcome.errors.contains("admin.allow"))
      #expect(try world.run("purge", "bafkqaaa").ending == .exited(77))
    }

    @Test func tokensAreLookedAfter() throws {
      let dead = try DeadPort()
      let world = try AdminWorld(SluiceProcess.Settings(upstreams: [dead.port]))
      let other = try TemporaryFolder()
      try other.write("another-token-altogether\n", to: "token")
      func purge(_ arguments: String...) throws -> Outcome {
        try Outcome.of(
          Program.path, ["purge", "bafkqaaa", "--admin", world.address] + arguments, in: other)
      }
      // Written with the modes of this machine, which let everybody read.
      chmod(other.file("token"), 0o644)
      let open = try purge("--token-file", "token")
      #expect(open.ending == .exited(77) && open.errors.contains("chmod o-rw"), "\(open.errors)")
      chmod(other.file("token"), 0o600)
      let wrong = try purge("--token-file", "token")
      #expect(wrong.ending == .exited(77) && wrong.errors.contains("this is not the token"))
      let none = try purge()
      #expect(none.ending == .exited(77) && none.errors.contains("--token-file"))
      #expect(try world.run("purge", "bafkqaaa").ending == .exited(0))
      // A gateway does not start with one that everybody can read.
      let path = other.file("token")
      chmod(path, 0o604)
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.admin = ["token_file: \(path)"]
      try other.write(settings.text, to: "gateway.conf")
      let start = try Outcome.of(Program.path, ["serve"], in: other)
      #expect(start.ending == .exited(1))
      #expect(start.errors.contains("admin.token_file: \(path) is open to everybody"))
      let check = try Outcome.of(Program.path, ["check"], in: other)
      #expect(check.ending == .exited(1) && check.errors.contains("is open to everybody"))
      // Without one changes are off, and the answer says how they are not.
      settings.admin = ["token_file: off"]
      let closed = try AdminWorld(settings)
      let refused = try closed.run("purge", "bafkqaaa")
      #expect(refused.ending == .exited(77) && refused.errors.contains("admin.token_file"))
      // A new one counts at once.
      try world.folder.write("a-new-token-of-today\n", to: "token")
      #expect(try world.post("/api/v1/purge", "{\"cids\":[\"bafkqaaa\"]}").status == 401)
      #expect(try world.run("purge", "bafkqaaa").ending == .exited(0))
    }

    @Test func commandsFindTheGatewayByItsSettings() throws {
      let dead = try DeadPort()
      let world = try AdminWorld(SluiceProcess.Settings(upstreams: [dead.port]))
      let folder = try TemporaryFolder()
      try folder.write(
        "admin:\n  address: 0.0.0.0:\(world.sluice.adminPort)\n  token_file: "
          + "\(world.folder.file("token"))\n", to: "gateway.conf")
      func run(_ arguments: String...) throws -> Outcome {
        try Outcome.of(Program.path, arguments, in: folder)
      }
      #expect(try run("stats").ending == .exited(0))
      #expect(try run("purge", "bafkqaaa").ending == .exited(0))
      // The settings' token is for their own gateway.
      let stranger = try run("purge", "bafkqaaa", "--admin", "127.0.0.1:\(world.sluice.adminPort)")
      #expect(stranger.ending == .exited(77) && stranger.errors.contains("--token-file"))
      #expect(
        try run("stats", "--admin", "localhost:\(world.sluice.adminPort)").ending == .exited(0))
      let gone = try run("stats", "--admin", "127.0.0.1:\(dead.port)")
      #expect(gone.ending == .exited(69))
      #expect(
        gone.errors.contains("nothing listens on 127.0.0.1:\(dead.port): is sluice running?"))
      #expect(try run("stats", "--admin", "nonsense").ending == .exited(64))
      #expect(try run("purge").ending == .exited(64))
      #expect(try run("why").ending == .exited(64))
      let absent = try run("stats", "--config", "absent.conf")
      #expect(absent.ending == .exited(1) && absent.errors.contains("absent.conf"))
      // Something else than a gateway's admin address.
      let other = try run("stats", "--admin", "127.0.0.1:\(world.sluice.port)")
      #expect(other.ending == .exited(69) && other.errors.contains("is not the admin address"))
    }

    // MARK: On the listeners for clients

    @Test func cacheStatsAreForSomeNetworks() throws {
      let content = try TestContent.raw(noise(4_000, seed: 640))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sections = ["cache_stats: { allow: [127.0.0.0/8] }"]
      let allowed = try SluiceProcess(settings)
      for _ in 0..<2 { #expect(try allowed.request(content.path).status == 200) }
      let page = try allowed.request("/cache-stats")
      #expect(page.status == 200 && page["Content-Type"] == "application/json")
      // A request counts once it is over, which is after its answer has come.
      #expect(
        try eventually {
          let stats = try AdminWorld.object(allowed.request("/cache-stats").body)
          return Self.number(stats, "requests", "hit") == 1
        })
      #expect(!page.text.contains("127.0.0.1"))
      // A page that content brings is nobody's network.
      let fromPage = try allowed.request("/cache-stats", [("Referer", "http://127.0.0.1/ipfs/x/")])
      #expect(fromPage.status == 404)
      settings.sections = ["cache_stats: { allow: [10.0.0.0/8] }"]
      let closed = try SluiceProcess(settings)
      let (hidden, unknown) = try (closed.request("/cache-stats"), closed.request("/other-thing"))
      #expect(hidden.status == 404 && hidden.body == unknown.body)
      #expect(hidden.fields.map(\.name) == unknown.fields.map(\.name))
    }
  }
}
