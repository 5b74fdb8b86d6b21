import Base
import Foundation
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// What a denylist names is given to nobody, in no spelling, and leaves the disk.
  @Suite struct Denylists {
    /// A directory, its denied child in many blocks, and one that is not denied.
    struct Site {
      let root: CID
      let child: CID
      let other: CID
      let body = noise(150_000, seed: 383)
      let car: [UInt8]

      init() throws {
        var dag = TestDAG()
        let child = try dag.file(body)
        let other = try dag.file(Array("what may be given".utf8))
        let root = try dag.directory(["child": child, "other": other])
        dag.roots = [root.cid]
        (self.root, self.child, self.other) = (root.cid, child.cid, other.cid)
        car = dag.car
      }
    }

    struct Question: Sendable, CustomTestStringConvertible {
      var target: String
      var method = "GET"
      var host = "127.0.0.1"
      var fields: [(String, String)] = []
      var testDescription: String { "\(method) \(host)\(target) \(fields)" }

      func ask(_ port: UInt16) throws -> Response {
        let lines = fields.map { "\($0.0): \($0.1)\r\n" }.joined()
        let client = try RawClient(port: port)
        try client.send("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n\(lines)\r\n")
        return try client.response(to: method)
      }
    }

    /// Whether each worker answers with a status: a change comes to one after the other, and any of them may get a
    /// connection.
    static func gives(_ status: Int, _ question: Question, _ port: UInt16) throws -> Bool {
      try (0..<20).allSatisfy { _ in try question.ask(port).status == status }
    }

    static func spelled(_ cid: CID, _ base: Multibase) -> String {
      var text = ByteBuffer(capacity: 128)
      cid.appendText(in: base, to: &text)
      return text.readable.text
    }

    static func version0(_ cid: CID) -> String {
      var multihash = ByteBuffer(capacity: 64)
      cid.appendMultihash(to: &multihash)
      var text = ByteBuffer(capacity: 64)
      Multibase.base58.encode(multihash.readable, to: &text)
      return String(text.readable.text.dropFirst())
    }

    static func questions(_ site: Site) throws -> [Question] {
      let (root, child) = ("\(site.root)", "\(site.child)")
      let raw = try CID(codec: .raw, hash: site.child.hash, digest: site.child.digest)
      let bases: [Multibase] = [.base16, .base32, .base32Upper, .base36, .base58]
      var all = bases.map { Question(target: "/ipfs/\(spelled(site.child, $0))") }
      all += [
        "/ipfs/\(version0(site.child))", "/ipfs/\(raw)", "/ipfs/%62\(child.dropFirst())",
        "/ipfs/\(child)/", "/ipfs/\(child)/below", "/ipfs/\(child)?format=raw",
        "/ipfs/\(child)?format=car", "/ipfs/\(child)?format=tar", "/ipfs/\(child)?format=json",
        "/ipfs/\(child)?filename=a.xyz&download=true", "/ipfs/\(child)?uri=ipfs://\(child)",
        "/ipfs/\(root)/child", "/ipfs/\(root)/child?format=raw", "/ipfs/\(root)/child?format=car",
        "/ipns/site.example/child",
      ].map { Question(target: $0) }
      all += [
        Question(target: "/ipfs/\(child)", method: "HEAD"),
        Question(target: "/ipfs/\(root)/child", method: "HEAD"),
        Question(target: "/ipfs/\(child)", fields: [("If-None-Match", "\"\(child)\"")]),
        Question(
          target: "/ipfs/\(child)?format=raw", fields: [("If-None-Match", "\"\(child).raw\"")]),
        Question(target: "/ipfs/\(child)", fields: [("Cache-Control", "only-if-cached")]),
        Question(
          target: "/ipfs/\(child)", method: "HEAD", fields: [("Cache-Control", "only-if-cached")]),
        Question(target: "/ipfs/\(child)", fields: [("Range", "bytes=100-200")]),
        Question(target: "/ipfs/\(child)", fields: [("Accept", "application/vnd.ipld.raw")]),
        Question(target: "/ipfs/\(child)", fields: [("Accept", "application/x-tar")]),
        Question(target: "/ipfs/\(child)", fields: [("Service-Worker", "script")]),
        Question(target: "/", host: "\(child).ipfs.dweb.test"),
        Question(target: "/", host: "\(spelled(site.child, .base36)).ipfs.dweb.test"),
        Question(target: "/?uri=ipfs://\(child)", host: "\(child).ipfs.dweb.test"),
        Question(target: "/child", host: "\(root).ipfs.dweb.test"),
        Question(target: "/", host: "\(child).ipfs.unknown.test"),
        Question(target: "/ipfs/\(child)", host: "dweb.test"),
        Question(target: "/child", host: "site.example"),
        Question(target: "/child", host: "site-example.ipns.dweb.test"),
      ]
      return all
    }

    static func allowed(_ site: Site) -> [Question] {
      [
        Question(target: "/ipfs/\(site.other)"), Question(target: "/ipfs/\(site.root)/other"),
        Question(target: "/ipns/site.example/other"),
        Question(target: "/other", host: "\(site.root).ipfs.dweb.test"),
        Question(target: "/ipfs/\(site.root)?format=raw"),
      ]
    }

    static func start(
      _ origin: OriginProcess, files: [String], texts: [String] = []
    ) throws -> (SluiceProcess, TemporaryFolder) {
      let folder = try TemporaryFolder()
      for (place, file) in files.enumerated() {
        try folder.write(place < texts.count ? texts[place] : "", to: file)
      }
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.hosts = TestHosts.entries
      settings.sections = [
        "denylist:", "  files: [\(files.map(folder.file).joined(separator: ", "))]",
      ]
      return (try SluiceProcess(settings), folder)
    }

    static func append(_ text: String, to file: String) throws {
      let handle = try FileHandle(forWritingTo: URL(filePath: file))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    }

    /// Whether any of a body's bytes lie in a cache's segments: of each eighth the first ones.
    static func isOnDisk(_ body: [UInt8], of sluice: SluiceProcess) throws -> Bool {
      let folder = sluice.folder.file("cache") + "/segments/"
      let marks = stride(from: 0, to: body.count - 24, by: body.count / 8).map {
        Data(body[$0..<$0 + 24])
      }
      return try FileManager.default.contentsOfDirectory(atPath: folder).contains { name in
        // One that has just gone has none.
        let bytes = FileManager.default.contents(atPath: folder + name) ?? Data()
        return marks.contains { bytes.range(of: $0) != nil }
      }
    }

    @Test func everySpellingIsRefusedAndTheBytesLeaveTheDisk() throws {
      let site = try Site()
      let origin = try OriginProcess(
        car: site.car, names: [(name: "site.example", target: "/ipfs/\(site.root)")],
        subdomainHosts: [TestHosts.subdomains])
      let (sluice, folder) = try Self.start(origin, files: ["a.deny"])
      let questions = try Self.questions(site)
      for question in questions + Self.allowed(site) {
        let status = try question.ask(sluice.port).status
        #expect(status != 410, "\(question.testDescription)")
      }
      try sluice.settle()
      #expect(try Question(target: "/ipfs/\(site.root)/child").ask(sluice.port).body == site.body)
      #expect(try Self.isOnDisk(site.body, of: sluice))

      try Self.append("/ipfs/\(Self.version0(site.child))\n", to: folder.file("a.deny"))
      let plain = Question(target: "/ipfs/\(site.child)")
      #expect(try eventually { try Self.gives(410, plain, sluice.port) })
      for _ in 0..<2 {
        for question in questions {
          let answer = try question.ask(sluice.port)
          #expect(answer.status == 410, "\(question.testDescription)")
          #expect(answer["Cache-Control"] == "no-store" && answer["Etag"] == nil)
          #expect(answer.body.isEmpty == (question.method == "HEAD"))
        }
      }
      for question in Self.allowed(site) {
        #expect(try question.ask(sluice.port).status == 200, "\(question.testDescription)")
      }
      #expect(try eventually { try !Self.isOnDisk(site.body, of: sluice) })
      try sluice.settle()
      #expect(try !Self.isOnDisk(site.body, of: sluice))

      // The same after a start, whatever the cache has.
      try sluice.stop()
      try sluice.startAgain()
      #expect(try plain.ask(sluice.port).status == 410)
      // A rule that lets it pass, and then no rule at all.
      try Self.append("!/ipfs/\(site.child)\n", to: folder.file("a.deny"))
      #expect(try eventually { try Self.gives(200, plain, sluice.port) })
      try Self.append("/ipfs/\(site.child)/*\n", to: folder.file("a.deny"))
      #expect(try eventually { try Self.gives(410, plain, sluice.port) })
      try folder.write("# nothing\n", to: "a.deny")
      #expect(try eventually { try Self.gives(200, plain, sluice.port) })
      #expect(try Question(target: "/ipfs/\(site.root)/child").ask(sluice.port).body == site.body)
      withExtendedLifetime(origin) {}
    }

    /// A server that finds what a name leads to, and tells it with the answer alone.
    @Test func whatANameLeadsToIsAskedAboutWithTheAnswer() throws {
      let site = try Site()
      let (root, child) = ("\(site.root)", "\(site.child)")
      let upstream = try ScriptedUpstream { request, reply in
        let path = String(request.target.prefix { $0 != "?" })
        var fields = [("X-Ipfs-Path", path), ("Content-Length", "6")]
        if path.contains("/moved/") {
          // A record whose value has a path of its own.
          fields += [("X-Ipfs-Roots", "\(root),\(site.other),\(site.other),\(child)")]
        } else if path.hasSuffix("/list/") {
          fields += [("Etag", "\"DirIndex-2b_CID-\(root)\""), ("Content-Type", "text/html")]
        } else {
          fields += [("X-Ipfs-Roots", "\(root),\(child)"), ("Etag", "W/\"\(child).x-tar\"")]
        }
        try reply.head(200, fields)
        if request.method != "HEAD" { try reply.send(Array("denied".utf8)) }
      }
      defer { upstream.stop() }
      let folder = try TemporaryFolder()
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.hosts = TestHosts.entries
      settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
      try folder.write("/ipns/site.example\n", to: "a.deny")
      let questions = [
        Question(target: "/ipns/n.test/child?format=tar"),
        Question(target: "/ipns/n.test/child?uri=ipfs://\(child)"),
        Question(target: "/child", host: "n-test.ipns.localhost"),
        Question(target: "/ipns/n.test/moved/child"),
        Question(target: "/ipns/n.test/list/?format=tar"),
      ]
      let sluice = try SluiceProcess(settings)
      for question in questions {
        #expect(try question.ask(sluice.port).status == 200, "\(question.testDescription)")
      }
      // A host of a denied name, by an address that servers without it take for its path.
      let denied = Question(target: "/child?uri=ipfs://\(child)", host: "site.example")
      #expect(try denied.ask(sluice.port).status == 410)
      let other = Question(target: "/%zz?uri=ipfs://\(child)", host: "site.example")
      #expect(try other.ask(sluice.port).status == 410)

      try Self.append("/ipfs/\(root)\n", to: folder.file("a.deny"))
      for question in questions {
        #expect(
          try eventually { try question.ask(sluice.port).status == 410 },
          "\(question.testDescription)")
      }
      // One path below what it leads to.
      try folder.write("/ipfs/\(root)/child\n", to: "a.deny")
      for (place, question) in questions.enumerated() {
        let status = place < 3 ? 410 : 200
        #expect(
          try eventually { try question.ask(sluice.port).status == status },
          "\(question.testDescription)")
      }
    }

    /// A part beyond the end is of nothing, and the answer to it names nothing: the head before it does.
    @Test func aPartOfWhatLeadsThroughItIsRefused() throws {
      let site = try Site()
      let upstream = try ScriptedUpstream { request, reply in
        if request["Range"] != nil {
          return try reply.answer(416, [("Content-Range", "bytes */6")], [])
        }
        try reply.head(
          200,
          [
            ("X-Ipfs-Roots", "\(request.target.split(separator: "/")[1]),\(site.child)"),
            ("Etag", "\"\(site.child)\""),
            ("Content-Length", "6"),
          ])
        if request.method != "HEAD" { try reply.send(Array("denied".utf8)) }
      }
      defer { upstream.stop() }
      let folder = try TemporaryFolder()
      try folder.write("/ipfs/\(site.child)\n", to: "a.deny")
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
      let sluice = try SluiceProcess(settings)
      for range in ["bytes=-0", "bytes=9-", "bytes=1-2"] {
        let question = Question(target: "/ipfs/\(site.root)/child", fields: [("Range", range)])
        #expect(try question.ask(sluice.port).status == 410, "\(range)")
      }
      let head = Question(target: "/ipfs/\(site.root)/child", method: "HEAD")
      #expect(try head.ask(sluice.port).status == 410)
      // Who finds out has it leave the disk while others wait for the same answer.
      for round in 0..<20 as Range<UInt64> {
        let root = try TestContent.opaque(noise(100, seed: 900 + round)).cid
        let clients = try (0..<8).map { _ in try sluice.connect() }
        for client in clients {
          try client.send("GET /ipfs/\(root)/child HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n")
        }
        for client in clients { #expect(try client.response().status == 410) }
      }
    }

    @Test func namesPathsAndHashesAreRefused() throws {
      let site = try Site()
      let origin = try OriginProcess(
        car: site.car, names: [(name: "site.example", target: "/ipfs/\(site.root)")])
      let text = Array("\(site.root)/other".utf8)
      let hashed = CID(sha256Of: text.rawBytes, codec: .raw)
      let hash = try #require(hashed)
      let hex = hash.digest.array.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      let (sluice, folder) = try Self.start(
        origin, files: ["a.deny", "b.deny"],
        texts: [
          "name: first\nhints: { gateway_status: 451 }\n---\n//\(hex.joined())\n",
          "/ipfs/\(site.root)/chi*\n/ipns/site.example\n/ipfs/bafkqabtimvwgy3yk\nno rule\n",
        ])
      func status(_ target: String, _ fields: [(String, String)] = []) throws -> Int {
        try Question(target: target, fields: fields).ask(sluice.port).status
      }
      #expect(try status("/ipfs/\(site.root)/other") == 451)
      #expect(try status("/ipfs/\(site.root)/child") == 410)
      #expect(try status("/ipfs/\(site.child)") == 200)
      #expect(try status("/ipns/site.example/") == 410)
      #expect(try status("/ipns/site.example/other") == 410)
      #expect(try status("/ipfs/bafkqabtimvwgy3yk") == 410)
      #expect(try status("/ipfs/bafkqaaa") == 200)
      let page = try Question(
        target: "/ipfs/\(site.root)/other", fields: [("Accept", "text/html")]
      ).ask(sluice.port)
      #expect(page.status == 451 && page["Content-Type"] == "text/html; charset=utf-8")
      #expect(page.text.contains("legal") && page["X-Ipfs-Path"] == nil)
      #expect(page["Cache-Status"] == "sluice; detail=denied")

      let numbers = try sluice.metrics()
      let (first, second) = (folder.file("a.deny"), folder.file("b.deny"))
      #expect(numbers["sluice_denied_requests_total{file=\"\(first)\",status=\"451\"}"] == 2)
      #expect(numbers["sluice_denied_requests_total{file=\"\(second)\",status=\"410\"}"] == 4)
      #expect(numbers["sluice_denylist_rules{file=\"\(second)\"}"] == 3)
      #expect(numbers["sluice_denylist_invalid_lines{file=\"\(second)\"}"] == 1)
      #expect(sluice.errors.contains("at=\(second):4"))
      #expect(
        eventually { sluice.accessLog.contains("\"reason\":\"denied\",\"rule\":\"\(first):4\"") })
      #expect(eventually { sluice.errors.contains("rule=//\(hex.joined())") })

      // What cannot be read keeps its rules.
      try FileManager.default.removeItem(atPath: first)
      #expect(try eventually { try sluice.metric("sluice_denylist_up{file=\"\(first)\"}") == 0 })
      #expect(try status("/ipfs/\(site.root)/other") == 451)
      #expect(sluice.errors.contains("the rules that it had stay"))
      try folder.write("---\n", to: "a.deny")
      #expect(try eventually { try status("/ipfs/\(site.root)/other") == 200 })
      #expect(try sluice.metric("sluice_denylist_up{file=\"\(first)\"}") == 1)
      withExtendedLifetime(origin) {}
    }

    /// What a site is remembered to say of paths that it does not have is asked about by the list of now.
    @Test func rememberedPagesAreDeniedLater() throws {
      var dag = TestDAG()
      let page = try dag.file(Array("<title>Not here</title>".utf8))
      let directory = try dag.directory([
        "_redirects": dag.file(Array("/old/* /new 301\n/* /404.html 404\n".utf8)),
        "404.html": page, "there": dag.file(Array("there".utf8)),
      ])
      dag.roots = [directory.cid]
      let origin = try OriginProcess(
        car: dag.car, names: [(name: "site.example", target: "/ipfs/\(directory.cid)")],
        subdomainHosts: [TestHosts.subdomains])
      let (sluice, folder) = try Self.start(origin, files: ["a.deny"])
      let host = "\(directory.cid).ipfs.dweb.test"
      let missing = [
        Question(target: "/none", host: host),
        Question(target: "/none", method: "HEAD", host: host),
        Question(target: "/none", host: "site-example.ipns.dweb.test"),
      ]
      let moved = Question(target: "/old/a", host: host)
      let there = Question(target: "/there", host: host)
      func isRemembered(_ question: Question, _ status: Int) throws -> Bool {
        let answer = try question.ask(sluice.port)
        return answer.status == status && answer.cacheStatus == "HIT"
      }
      #expect(try moved.ask(sluice.port).status == 301)
      for question in missing + [there] { _ = try question.ask(sluice.port) }
      for question in missing { #expect(try eventually { try isRemembered(question, 404) }) }
      #expect(try eventually { try isRemembered(moved, 301) })
      try sluice.settle()
      // From memory alone.
      origin.stop()
      for question in missing { #expect(try isRemembered(question, 404)) }

      // The page itself, which stands for what is missing; the rest of the site stays.
      let list = folder.file("a.deny")
      try Self.append("/ipfs/\(page.cid)\n", to: list)
      for question in missing {
        #expect(
          try eventually { try Self.gives(410, question, sluice.port) },
          "\(question.testDescription)")
        let answer = try question.ask(sluice.port)
        #expect(answer["Etag"] == nil && answer["Cache-Control"] == "no-store")
        #expect(!answer.text.contains("Not here"))
        #expect(answer["Cache-Status"] == "sluice; detail=denied")
      }
      #expect(try isRemembered(moved, 301))
      #expect(try isRemembered(there, 200))
      // Let pass again, it is what it was: nothing was remembered of the denial.
      try Self.append("!/ipfs/\(page.cid)\n", to: list)
      for question in missing { #expect(try eventually { try isRemembered(question, 404) }) }
      // One path, by which the page is asked for in its place.
      try Self.append("/ipfs/\(directory.cid)/none\n", to: list)
      #expect(try eventually { try missing[0].ask(sluice.port).status == 410 })
      #expect(try isRemembered(moved, 301))
      // All of the site.
      try Self.append("/ipfs/\(directory.cid)/*\n", to: list)
      for question in [moved, there] + missing {
        #expect(try eventually { try question.ask(sluice.port).status == 410 })
      }
    }

    /// A server that once gave something denied for something else has said nothing of that.
    @Test func anotherContentsAnswerIsNoDenial() throws {
      let denied = try TestContent.opaque(noise(5_000, seed: 386))
      let wanted = try TestContent.opaque(noise(6_000, seed: 387))
      let isWrong = Collected<Int>()
      let upstream = try ScriptedUpstream { request, reply in
        let isFirst = isWrong.all.isEmpty
        isWrong.add(request.number)
        try reply.serve(isFirst ? denied : wanted)
      }
      defer { upstream.stop() }
      let folder = try TemporaryFolder()
      try folder.write("/ipfs/\(denied.cid)\n", to: "a.deny")
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.workers = 1
      settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
      let sluice = try SluiceProcess(settings)
      // Its bytes are given to nobody, whatever was asked for.
      #expect(try sluice.request(wanted.path).status == 410)
      for _ in 0..<2 {
        let answer = try sluice.request(wanted.path)
        #expect(answer.status == 200 && isSame(answer.body, wanted.body))
      }
      #expect(try sluice.request(denied.path).status == 410)
      withExtendedLifetime(folder) {}
    }

    @Test func whatIsUnderWayIsCut() throws {
      let stored = try TestContent.opaque(noise(24 << 20, seed: 384))
      let coming = try TestContent.opaque(noise(24 << 20, seed: 385))
      let isCut = Collected<Int>()
      let upstream = try ScriptedUpstream { request, reply in
        guard request.target.hasPrefix(coming.path) else { return try reply.serve(stored) }
        let fields = Reply.fields(of: coming)
        try reply.head(200, fields + [("Content-Length", "\(coming.body.count)")])
        do {
          for start in stride(from: 0, to: coming.body.count, by: 65_536) {
            try reply.send(coming.body[start..<min(coming.body.count, start + 65_536)])
            reply.pause(milliseconds: 40)
          }
        } catch {
          isCut.add(request.number)
          throw error
        }
      }
      defer { upstream.stop() }
      let folder = try TemporaryFolder()
      try folder.write("", to: "a.deny")
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
      let sluice = try SluiceProcess(settings)
      #expect(try sluice.request(stored.path).body.count == stored.body.count)
      try sluice.settle()
      let clients = try [stored, coming].map { content in
        let client = try RawClient(port: sluice.port, receiveBuffer: 65_536)
        try client.send(RawClient.text(content.path))
        #expect(try client.head().status == 200)
        #expect(try client.bytes(200_000).count == 200_000)
        return client
      }
      let began = ContinuousClock.now
      try Self.append("/ipfs/\(stored.cid)\n/ipfs/\(coming.cid)\n", to: folder.file("a.deny"))
      // Both go on slowly; what sockets hold comes still.
      for (place, client) in clients.enumerated() {
        var got = 200_000
        while true {
          let more = try client.bytes(20_000).count
          got += more
          if more < 20_000 { break }
          usleep(5_000)
        }
        #expect(got < 24 << 20)
        let seconds = Double((ContinuousClock.now - began) / .milliseconds(1)) / 1000
        print("denied \(place == 0 ? "hit" : "fill"): last byte after \(seconds) s, \(got) bytes")
      }
      #expect(eventually { !isCut.all.isEmpty })
      #expect(try sluice.request(coming.path).status == 410)
      #expect(try sluice.metric("sluice_denied_answers_cut_total") == 2)
      #expect(
        try eventually {
          try !Self.isOnDisk(stored.body, of: sluice) && !Self.isOnDisk(coming.body, of: sluice)
        })
    }

    @Test func aListThatCannotBeReadIsNoStart() throws {
      let origin = try OriginProcess(car: try Site().car)
      for (text, why) in [(nil, "no such file"), ("version: 9\n---\n", "version is not 1")] {
        let folder = try TemporaryFolder()
        if let text { try folder.write(text, to: "a.deny") }
        var settings = SluiceProcess.Settings(upstreams: [origin.port])
        settings.sections = ["denylist:", "  files: [\(folder.file("a.deny"))]"]
        let failure = #expect(throws: TestFailure.self) { _ = try SluiceProcess(settings) }
        let said = failure.map { "\($0)" } ?? ""
        #expect(said.contains("denylist.files: \(folder.file("a.deny")): ") && said.contains(why))
      }
    }
  }
}
