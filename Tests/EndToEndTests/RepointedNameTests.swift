import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// A name that upstreams take for something else than Sluice does, as whoever owns it can have it: what they say
  /// then is no word of the content that it led to.
  @Suite struct RepointedNames {
    /// The name's host leads to one site, then to another; all else is of the first one's.
    private final class World {
      let mine, others: OriginProcess
      let relay: ScriptedUpstream
      let sluice: SluiceProcess
      let site: String
      let isMoved = Gate()
      /// What is asked by the name's host waits for it once the name has moved.
      let gate = Gate()

      init() throws {
        var dag = TestDAG()
        let file = try dag.file([1])
        let added = try dag.file(Array("mine".utf8))
        let root = try dag.directory(["a.txt": file, "b.txt": added])
        site = "\(root.cid).ipfs.dweb.test"
        var other = TestDAG()
        let rules = "/login https://elsewhere.test/ 302\n/* /404.html 404\n"
        let moved = try other.directory([
          "a.txt": other.file([2]), "b.txt": other.file(Array("another's".utf8)),
          "404.html": other.file(Array("another's page".utf8)),
          "_redirects": other.file(Array(rules.utf8)),
        ])
        let name = "name.test"
        mine = try OriginProcess(
          car: dag.car, names: [(name, "/ipfs/\(root.cid)")], subdomainHosts: ["dweb.test"])
        others = try OriginProcess(
          car: other.car, names: [(name, "/ipfs/\(moved.cid)")], subdomainHosts: ["dweb.test"])
        let (isMoved, gate, ports) = (isMoved, gate, (mine.port, others.port))
        relay = try ScriptedUpstream { request, reply in
          let isNamed = request["Host"]?.contains(".ipns.") ?? false
          let goesElsewhere = isNamed && isMoved.isOpenNow
          if goesElsewhere { gate.wait() }
          var question = Question(request.target)
          question.method = request.method
          question.host = request["Host"]
          question.fields = request.fields.filter { $0.name != "Host" && $0.name != "Connection" }
          let asker = Asker(port: goesElsewhere ? ports.1 : ports.0)
          let answer = try asker.ask(question)
          var fields = answer.fields.filter {
            $0.name != "Connection" && $0.name != "Transfer-Encoding"
          }
          if answer["Content-Length"] == nil {
            fields.append(("Content-Length", "\(answer.body.count)"))
          }
          try reply.head(answer.status, fields)
          try reply.send(answer.body)
        }
        var settings = SluiceProcess.Settings(upstreams: [relay.port])
        settings.hosts = ["{ name: dweb.test, subdomains: true }"]
        sluice = try SluiceProcess(settings)
        // From now on it is known where the name leads.
        #expect(try ask("/a.txt", of: named).body == [1])
      }

      deinit {
        gate.open()
        relay.stop()
      }

      let named = "name-test.ipns.dweb.test"

      /// A client that has asked.
      func asked(_ target: String, of host: String, _ method: String = "GET") throws -> RawClient {
        var question = Question(target)
        question.host = host
        question.method = method
        let client = try RawClient(port: sluice.port, seconds: 60)
        try client.send(question.text)
        return client
      }

      func ask(_ target: String, of host: String) throws -> Response {
        try asked(target, of: host).response(to: "GET")
      }
    }

    @Test(arguments: ["/login", "/none"]) func whatItsSiteSaysIsNotTheOthers(path: String) throws {
      let world = try World()
      world.gate.open()
      world.isMoved.open()
      let said = try world.ask(path, of: world.named)
      #expect(said.status == (path == "/login" ? 302 : 404))
      // It is proven meanwhile that the first site has nothing there.
      #expect(try eventually { try Absences.proofs(world.sluice, "proven") == 1 })
      #expect(
        try !eventually(within: 1) {
          let mine = try world.ask(path, of: world.site)
          return mine.status != 404 || mine.text == "another's page"
        })
    }

    @Test(arguments: ["GET", "HEAD"]) func whoWaitsForItsAnswerAsksAnew(method: String) throws {
      let world = try World()
      world.isMoved.open()
      let first = try world.asked("/b.txt", of: world.named, method)
      #expect(eventually { world.relay.requests.contains { $0.target.contains("b.txt") } })
      let second = try world.asked("/b.txt", of: world.site, method)
      #expect(
        try eventually { try world.sluice.metric("sluice_fill_readers_joined_total") == 1 })
      world.gate.open()
      let (moved, mine) = try (first.response(to: method), second.response(to: method))
      #expect(moved.status == 200 && mine.status == 200)
      #expect(moved["Etag"] != mine["Etag"])
      if method == "GET" { #expect(moved.text == "another's" && mine.text == "mine") }
    }

    /// A part of a block by itself nobody could check, so that it is no way out for who waited under another host.
    @Test func aPartOfABlockIsCheckedForEveryHost() throws {
      let content = try TestContent.raw(noise(50_000, seed: 36))
      let wrong = try TestContent.raw(noise(50_000, seed: 37))
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if request.number == 0 { gate.wait() }
        let part = request["Range"].flatMap { Reply.part($0, of: wrong.body.count) }
        var fields = Reply.fields(of: content)
        if let part {
          let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(wrong.body.count)"
          fields.append(("Content-Range", place))
        }
        try reply.answer(part == nil ? 200 : 206, fields, Array(wrong.body[part ?? 0..<50_000]))
      }
      defer { upstream.stop() }
      defer { gate.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.hosts = [
        "{ name: dweb.test, subdomains: true }", "{ name: other.test, subdomains: true }",
      ]
      let sluice = try SluiceProcess(settings)
      func asked(_ host: String, _ fields: [(name: String, value: String)]) throws -> RawClient {
        var question = Question("/")
        question.host = "\(content.cid.text(in: .base32)).ipfs.\(host)"
        question.fields = fields
        let client = try RawClient(port: sluice.port, seconds: 60)
        try client.send(question.text)
        return client
      }
      let first = try asked("dweb.test", [])
      #expect(eventually { upstream.requests.count == 1 })
      let second = try asked("other.test", [("Range", "bytes=0-9")])
      #expect(try eventually { try sluice.metric("sluice_fill_readers_joined_total") == 1 })
      gate.open()
      #expect(try first.response().status == 502)
      #expect(try second.response().status == 502)
    }
  }
}
