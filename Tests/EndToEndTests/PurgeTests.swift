import Base
import Foundation
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// What is purged is gone from the disk when the receipt says so.
  @Suite struct Purges {
    private static func settings(_ upstream: UInt16) -> SluiceProcess.Settings {
      var settings = SluiceProcess.Settings(upstreams: [upstream])
      settings.maxSize = "128MB"
      settings.sliceSize = "256KB"
      return settings
    }

    private static func found(_ world: AdminWorld, _ content: [UInt8]) throws -> [String] {
      try DiskSearch.files(below: world.sluice.folder.file("cache"), having: content)
    }

    /// A site's own page for what it does not have is content too, by its Etag.
    @Test func aSitesPageGoesWithItsContent() throws {
      var dag = TestDAG()
      let page = try dag.file(Array("<title>Not here</title>".utf8))
      let site = try dag.directory([
        "_redirects": dag.file(Array("/* /404.html 404\n".utf8)), "404.html": page,
      ])
      let origin = try OriginProcess(car: dag.car, subdomainHosts: ["dweb.test"])
      var settings = Self.settings(origin.port)
      settings.hosts = ["{ name: dweb.test, subdomains: true }"]
      let world = try AdminWorld(settings)
      var question = Question("/none")
      question.host = "\(site.cid).ipfs.dweb.test"
      let asker = Asker(port: world.sluice.port)
      #expect(try eventually { try asker.ask(question).cacheStatus == "HIT" })
      let receipt = try world.json("purge", "\(page.cid)")
      #expect(receipt["complete"] as? Bool == true)
      #expect(try asker.ask(question).cacheStatus != "HIT")
    }

    /// All forms, the paths below, and what is reached from a root above; the neighbours stay.
    @Test func nothingOfItIsOnTheDisk() throws {
      var site = TestSite()
      // A large one with pages of its own, a small one that shares its pages with others.
      let bodies = ["large.bin": noise(1_500_000, seed: 501), "small.txt": noise(700, seed: 502)]
      let folder = try site.add(folder: bodies)
      let large = try site.add(bodies["large.bin"] ?? [])
      let small = try site.add(bodies["small.txt"] ?? [])
      let neighbours = try [noise(800, seed: 503), noise(300_000, seed: 504)].map {
        try site.add($0)
      }
      let origin = try OriginProcess(car: site.car)
      let world = try AdminWorld(Self.settings(origin.port))
      let targets = [
        "/ipfs/\(folder)/large.bin", "/ipfs/\(folder)/small.txt", large.path, small.path,
        small.path + "?format=raw", large.path + "?format=car", small.path + "?format=car",
        large.path + "?format=raw", "/ipfs/\(folder)?format=raw",
      ]
      for target in targets + neighbours.map(\.path) {
        #expect(try world.sluice.request(target).status == 200, "\(target)")
      }
      try world.sluice.settle()
      for target in targets { #expect(try world.sluice.request(target).cacheStatus == "HIT") }
      #expect(try !Self.found(world, large.body).isEmpty)
      #expect(try !Self.found(world, small.body).isEmpty)

      let why = try world.json("why", large.path)
      let forms = (why["kept"] as? [[String: Any]] ?? []).compactMap { $0["form"] as? String }
      #expect(Set(forms) == ["file", "raw", "car"])

      // By the file's own CID, of which the folder's path knows only where it leads.
      let receipt = try world.json("purge", "\(large.cid)", "\(small.cid)", "--reason", "a notice")
      #expect(receipt["complete"] as? Bool == true)
      let receipts = receipt["receipts"] as? [[String: Any]] ?? []
      #expect(receipts.map { $0["objects"] as? Int } == [4, 4])
      #expect((receipts.first?["bytes"] as? Int ?? 0) >= 3 * large.body.count)
      #expect(try Self.found(world, large.body) == [])
      #expect(try Self.found(world, small.body) == [])
      for neighbour in neighbours {
        let answer = try world.sluice.request(neighbour.path)
        #expect(answer.cacheStatus == "HIT" && isSame(answer.body, neighbour.body))
        #expect(try !Self.found(world, neighbour.body).isEmpty)
      }
      let after = try world.json("why", large.path)
      #expect((after["kept"] as? [Any])?.isEmpty == true)

      // Who asks for it again has it again.
      let again = try world.sluice.request(large.path)
      #expect(again.cacheStatus == "MISS" && isSame(again.body, large.body))
      let audit = try world.audit()
      #expect(audit.map { $0["state"] as? String } == ["begun", "done"])
      #expect(audit.allSatisfy { $0["reason"] as? String == "a notice" })
      #expect(audit.last?["id"] as? String == receipt["id"] as? String)
    }

    @Test func aPathGoesWithAllBelowItAndNothingElse() throws {
      var dag = TestDAG()
      let bodies = (0..<4).map { noise(20_000, seed: 510 + UInt64($0)) }
      let files = try bodies.map { try dag.file($0) }
      let inner = try dag.directory(["b": files[1], "c": files[2]])
      let root = try dag.directory(["a": files[0], "in": inner, "inside": files[3]])
      dag.roots = [root.cid]
      let origin = try OriginProcess(car: dag.car)
      let world = try AdminWorld(Self.settings(origin.port))
      let paths = ["a", "in/b", "in/c", "inside"].map { "/ipfs/\(root.cid)/\($0)" }
      for path in paths { #expect(try world.sluice.request(path).status == 200) }
      try world.sluice.settle()
      let outcome = try world.run("purge", "/ipfs/\(root.cid)/in/")
      #expect(outcome.ending == .exited(0), "\(outcome.errors)")
      #expect(outcome.text.contains("2 objects"))
      let there = try bodies.map { try !Self.found(world, $0).isEmpty }
      #expect(there == [true, false, false, true])
      let states = try paths.map { try world.sluice.request($0).cacheStatus }
      #expect(states == ["HIT", "MISS", "MISS", "HIT"])
      // All that is left goes by the root, in another spelling.
      let spelling = root.cid.text(in: .base36)
      #expect(try world.json("purge", spelling)["objects"] as? Int == 4)
      for body in bodies { #expect(try Self.found(world, body) == []) }
    }

    @Test func answersUnderWayAreCut() throws {
      var site = TestSite()
      let content = try site.add(noise(6_000_000, seed: 520))
      let origin = try OriginProcess(car: site.car)
      let world = try AdminWorld(Self.settings(origin.port))
      #expect(try world.sluice.request(content.path).status == 200)
      try world.sluice.settle()
      let slow = try RawClient(port: world.sluice.port, receiveBuffer: 4096)
      try slow.send(RawClient.text(content.path))
      #expect(try slow.head().cacheStatus == "HIT")
      #expect(try slow.bytes(1000).count == 1000)
      let receipt = try world.json("purge", "\(content.cid)")
      #expect(receipt["answers"] as? Int == 1 && receipt["objects"] as? Int == 1)
      #expect(try Self.found(world, content.body) == [])
      let rest = try slow.bytes(content.body.count - 1000)
      #expect(rest.count < content.body.count - 1000)
      // What it was given until then is the content's.
      #expect(isSame(rest, content.body, 1000..<1000 + rest.count))
    }

    @Test func fetchesUnderWayAreCut() throws {
      let content = try TestContent.opaque(noise(2_000_000, seed: 530))
      let gate = Gate()
      let upstream = try ScriptedUpstream { _, reply in
        try reply.head(
          200, Reply.fields(of: content) + [("Content-Length", "\(content.body.count)")])
        try reply.send(content.body[..<1_000_000])
        gate.wait()
        try reply.send(content.body[1_000_000...])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      let world = try AdminWorld(Self.settings(upstream.port))
      let client = try world.sluice.connect()
      try client.send(RawClient.text(content.path))
      #expect(try client.bytes(500_000).count == 500_000)
      let receipt = try world.json("purge", content.path)
      #expect(receipt["answers"] as? Int == 1 && receipt["fetches"] as? Int == 1)
      gate.open()
      #expect(try client.bytes(content.body.count).count < content.body.count - 500_000)
      #expect(try Self.found(world, content.body) == [])
    }

    /// What an exchange has given before is nothing to what it gives now.
    @Test func anotherAnswerOfTheSameClientGoesOn() throws {
      let first = try TestContent.opaque(noise(5_000, seed: 570))
      var site = TestSite()
      let second = try site.add(noise(1_000_000, seed: 571))
      let car = site.car
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if request.target.hasPrefix(first.path) { return try reply.serve(first) }
        let fields = Reply.fields(of: second).map { field in
          switch field.0 {
          case "Etag": ("Etag", "W/\"\(second.cid).car.2s3j8e4d2f\"")
          case "Content-Type": ("Content-Type", "application/vnd.ipld.car; version=1")
          default: field
          }
        }
        try reply.head(200, fields + [("Content-Length", "\(car.count)")])
        try reply.send(car[..<600_000])
        gate.wait()
        try reply.send(car[600_000...])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      let world = try AdminWorld(Self.settings(upstream.port))
      let client = try world.sluice.connect()
      #expect(try client.request(first.path).status == 200)
      try client.send(RawClient.text(second.path + "?format=car"))
      #expect(try client.head().status == 200)
      let receipt = try world.json("purge", "\(first.cid)")
      #expect(receipt["answers"] as? Int == 0, "\(receipt)")
      gate.open()
      #expect(try client.bytes(car.count).count >= car.count)
    }

    /// A directory's own path gives its page, which goes with the page's path.
    @Test func anIndexPageIsNotLeftUnderItsFolder() throws {
      var site = TestSite()
      let (page, other) = (noise(9_000, seed: 580), noise(9_000, seed: 581))
      let root = try site.add(folder: ["index.html": page, "other": other])
      let origin = try OriginProcess(car: site.car)
      let world = try AdminWorld(Self.settings(origin.port))
      for path in ["", "index.html", "other"] {
        #expect(try world.sluice.request("/ipfs/\(root)/\(path)").status == 200)
      }
      try world.sluice.settle()
      #expect(try !Self.found(world, page).isEmpty)
      let receipt = try world.json("purge", "/ipfs/\(root)/index.html")
      #expect(receipt["objects"] as? Int == 2, "\(receipt)")
      #expect(try Self.found(world, page) == [])
      #expect(try world.sluice.request("/ipfs/\(root)/other").cacheStatus == "HIT")
    }

    /// From a pipe, with comments and with blanks in names; a mistake anywhere has nothing sent.
    @Test func listsComeByAPipe() throws {
      var dag = TestDAG()
      let bodies = (0..<3).map { noise(3_000, seed: 590 + UInt64($0)) }
      let files = try bodies.map { try dag.file($0) }
      let root = try dag.directory(["two  blanks": files[0], "#1": files[1], "c": files[2]])
      dag.roots = [root.cid]
      let origin = try OriginProcess(car: dag.car)
      let world = try AdminWorld(Self.settings(origin.port))
      let paths = ["two%20%20blanks", "%231", "c"].map { "/ipfs/\(root.cid)/\($0)" }
      for path in paths { #expect(try world.sluice.request(path).status == 200) }
      try world.sluice.settle()
      func purge(_ lines: [String]) throws -> Outcome {
        try world.folder.write(lines.joined(separator: "\n"), to: "list")
        let command =
          "cat '\(world.folder.file("list"))' | '\(Program.path)' purge --from-file - "
          + "--admin \(world.address) --token-file '\(world.folder.file("token"))'"
        return try Outcome.of("sh", ["-c", command])
      }
      let wrong = try purge([paths[2], "/ipfs/\(root.cid)/#1"])
      #expect(wrong.ending == .exited(1) && wrong.errors.contains("%23"), "\(wrong.errors)")
      let lists = try purge([
        "  # a list", "", "/ipfs/\(root.cid)/two  blanks", "\(files[1].cid)\t# by CID", paths[1],
      ])
      #expect(lists.ending == .exited(0), "\(lists.errors)")
      #expect(lists.text.contains("2 objects"), "\(lists.text)")
      #expect(try Self.found(world, bodies[0]) == [] && Self.found(world, bodies[1]) == [])
      #expect(try world.sluice.request(paths[2]).cacheStatus == "HIT")
      #expect(try world.audit().count == 2)
    }

    /// A site's content goes by its host, and its name is looked up anew.
    @Test func aHostGoesWithWhatItsNameLeadsTo() throws {
      var site = TestSite()
      let page = noise(9_000, seed: 540)
      let root = try site.add(folder: ["index.html": page])
      let origin = try OriginProcess(
        car: site.car, names: [("site.example", "/ipfs/\(root)")])
      var settings = Self.settings(origin.port)
      settings.hosts = ["{ name: \"*\" }", "{ name: \"*.example\", dnslink: true }"]
      let world = try AdminWorld(settings)
      func ask() throws -> Response {
        try world.sluice.connect().requestAt("site.example", "/")
      }
      let none = try world.json("purge", "--host", "site.example")
      let note = (none["receipts"] as? [[String: Any]])?.first?["note"] as? String
      #expect(note == "no content is known of this host")
      #expect(try ask().status == 200)
      try world.sluice.settle()
      #expect(try ask().cacheStatus == "HIT")
      let why = try world.json("why", "https://site.example/")
      #expect((why["name"] as? [String: Any])?["root"] as? String == "\(root)")
      let receipt = try world.json("purge", "--host", "site.example")
      #expect(receipt["objects"] as? Int == 1)
      #expect(try Self.found(world, page) == [])
      let after = try world.json("why", "https://site.example/")
      #expect((after["name"] as? [String: Any])?["state"] as? String == "unknown")
    }

    /// Hundreds in one go, from a file.
    @Test func batches() throws {
      let contents = try (0..<40).map { try TestContent.raw(noise(3_000, seed: 550 + UInt64($0))) }
      let upstream = try ScriptedUpstream { request, reply in
        guard let content = contents.first(where: { $0.path == request.target }) else {
          return try reply.answer(404, [], [])
        }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      let world = try AdminWorld(Self.settings(upstream.port))
      for content in contents { #expect(try world.sluice.request(content.path).status == 200) }
      try world.sluice.settle()
      var lines = ["# a list", ""] + contents.dropFirst(2).map { "\($0.cid)  # why" }
      let unknown = try (0..<1_500).map { try TestContent.raw(noise(20, seed: 9_000 + UInt64($0))) }
      lines += unknown.map(\.path)
      try world.folder.write(lines.joined(separator: "\n"), to: "list")
      let outcome = try world.run("purge", "--from-file", world.folder.file("list"))
      #expect(outcome.ending == .exited(0), "\(outcome.errors)")
      #expect(outcome.text.contains("38 objects"))
      for content in contents.dropFirst(2) { #expect(try Self.found(world, content.body) == []) }
      for content in contents.prefix(2) {
        #expect(try world.sluice.request(content.path).cacheStatus == "HIT")
      }
      // Two requests of a thousand at most, each noted before and after.
      #expect(try world.audit().count == 4)
    }

    /// One that the disk does not let end says so: to who sent it, and in the audit log, subject by subject.
    @Test(.enabled(if: LoopDisk.isAvailable, "\(LoopDisk.whyNot ?? "")"))
    func aPurgeThatTheDiskRefusesLeavesItsReceipt() throws {
      let contents = try (0..<3).map { try TestContent.raw(noise(30_000, seed: 562 + UInt64($0))) }
      let upstream = try ScriptedUpstream { request, reply in
        guard let content = contents.first(where: { $0.path == request.target }) else {
          return try reply.answer(404, [], [])
        }
        try reply.serve(content)
      }
      defer { upstream.stop() }
      try LoopDisk.with(bytes: 300 << 20) { disk in
        var settings = Self.settings(upstream.port)
        settings.cachePath = disk.path + "/cache"
        let world = try AdminWorld(settings)
        for content in contents { #expect(try world.sluice.request(content.path).status == 200) }
        try world.sluice.settle()
        try disk.abort()
        let subjects = contents.prefix(2).map { "\($0.cid)" }
        // More often than there may be purges at once: each has given its place back.
        for number in 1...3 {
          let outcome = try world.run(
            "purge", subjects[0], subjects[1], "--reason", "a notice", "--json")
          #expect(outcome.ending == .exited(1))
          #expect(outcome.errors.contains("the purge did not go to its end"), "\(outcome.errors)")
          let answer = try AdminWorld.object(outcome.output)
          #expect(answer["complete"] as? Bool == false && answer["audited"] as? Bool == true)
          let audit = try world.audit()
          #expect(audit.count == 2 * number)
          #expect(audit.suffix(2).map { $0["state"] as? String } == ["begun", "done"])
          let done = audit.last ?? [:]
          #expect(done["id"] as? String == answer["id"] as? String)
          #expect(done["complete"] as? Bool == false && done["reason"] as? String == "a notice")
          #expect((done["fault"] as? String)?.isEmpty == false)
          for whole in [done, answer] {
            let receipts = whole["receipts"] as? [[String: Any]] ?? []
            #expect(receipts.map { $0["subject"] as? String } == subjects)
            // What is counted as gone is what is not found any more.
            for (receipt, content) in zip(receipts, contents) {
              #expect(receipt["note"] == nil && receipt["bytes"] as? Int == 0)
              let kept = try world.json("why", content.path)["kept"] as? [Any] ?? []
              #expect((receipt["objects"] as? Int ?? -1) + kept.count == 1, "\(receipt)")
            }
          }
        }
        let other = try world.sluice.request(contents[2].path)
        #expect(other.cacheStatus == "HIT" && isSame(other.body, contents[2].body))
      }
    }

    /// What cannot be noted is not done.
    @Test func withoutItsAuditLogNothingIsPurged() throws {
      let content = try TestContent.raw(noise(3_000, seed: 560))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      var settings = Self.settings(upstream.port)
      // A folder where the file should be.
      settings.admin = ["audit_log: cache"]
      let world = try AdminWorld(settings)
      #expect(try world.sluice.request(content.path).status == 200)
      try world.sluice.settle()
      for command in [["purge", "\(content.cid)"], ["drain", "test/127.0.0.1:\(upstream.port)"]] {
        let outcome = try world.run(command[0], command[1])
        #expect(outcome.ending == .exited(1))
        #expect(outcome.errors.contains("nothing was changed"), "\(outcome.errors)")
      }
      #expect(try world.sluice.request(content.path).cacheStatus == "HIT")
      let server = "region=\"test\",server=\"127.0.0.1:\(upstream.port)\""
      #expect(try world.sluice.metric("sluice_upstream_server_drained{\(server)}") == 0)
    }
  }
}

extension RawClient {
  /// Asks another host than the usual one.
  fileprivate func requestAt(_ host: String, _ path: String) throws -> Response {
    try send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
    return try response()
  }
}
