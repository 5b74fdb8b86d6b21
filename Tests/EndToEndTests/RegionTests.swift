import Base
import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Which region answers, and how that is seen.
  @Suite struct RegionChoice {
    private static func upstream(_ contents: [TestContent]) throws -> ScriptedUpstream {
      try ScriptedUpstream { request, reply in
        guard let content = contents.first(where: { $0.path == request.target }) else {
          return try reply.answer(404, [], [])
        }
        try reply.serve(content, extra: [("X-IPFS-Gateway", "none/of-ours")])
      }
    }

    @Test func clientsGoToTheirRegion() throws {
      let contents = try (0..<12).map { try TestContent.raw(noise(1000, seed: 700 + $0)) }
      let us = try Self.upstream(contents)
      let eu = try Self.upstream(contents)
      let asia = try Self.upstream(contents)
      defer { for upstream in [us, eu, asia] { upstream.stop() } }
      var settings = SluiceProcess.Settings()
      settings.regions = [("us", us), ("eu", eu), ("asia", asia)].map {
        "\($0): { servers: [{ address: 127.0.0.1:\($1.port) }] }"
      }
      settings.sections = [
        "trusted_proxies: [127.0.0.1]",
        "geo:", "  default: us", "  header: CF-IPCountry",
        "  networks: { eu: [2.0.0.0/8, \"2a00::/12\"], asia: [2.5.0.0/16] }",
        "  maxmind: { database: places.mmdb, countries: { CH: asia }, continents: { EU: eu } }",
      ]
      let sluice = try SluiceProcess(settings)
      var rest = contents[...]
      func region(_ fields: [(String, String)]) throws -> String {
        guard let content = rest.popFirst() else { throw TestFailure("no content is left") }
        let answer = try sluice.request(content.path, fields)
        #expect(answer.status == 200 && isSame(answer.body, content.body))
        let named = answer.fields.filter { $0.name.lowercased() == "x-ipfs-gateway" }
        #expect(named.count == 1)
        let again = try sluice.request(content.path, fields)
        #expect(again.cacheStatus == "HIT" && again["X-IPFS-Gateway"] == nil)
        return String(named.first?.value.prefix { $0 != "/" } ?? "")
      }
      #expect(try region([]) == "us")
      #expect(try region([("X-Forwarded-For", "2.1.1.1")]) == "eu")
      #expect(try region([("X-Forwarded-For", "2.5.1.1")]) == "asia")
      #expect(try region([("X-Forwarded-For", "2a00:1::5")]) == "eu")
      #expect(try region([("X-Forwarded-For", "3.1.1.1")]) == "us")
      #expect(try region([("CF-IPCountry", "DE")]) == "eu")
      #expect(try region([("cf-ipcountry", "ch")]) == "asia")
      #expect(try region([("CF-IPCountry", "asia"), ("X-Forwarded-For", "2.1.1.1")]) == "asia")
      #expect(try region([("CF-IPCountry", "XX")]) == "us")
      // There is no database yet, which is told and is no reason not to start.
      #expect(sluice.errors.contains("the database of places cannot be used"))
      var database = PlaceDatabaseWriter()
      try database.add("3.0.0.0/8", country: "CH", continent: "EU")
      try sluice.folder.write(database.bytes(), to: "places.mmdb")
      #expect(eventually { sluice.errors.contains("the database of places is in use") })
      #expect(try region([("X-Forwarded-For", "3.1.1.1")]) == "asia")
      #expect(sluice.accessLog.contains("\"upstream\":\"us/127.0.0.1:\(us.port)\""))
    }

    @Test func nobodysWordCountsWithoutTrust() throws {
      let content = try TestContent.raw(noise(1000, seed: 720))
      let us = try Self.upstream([content])
      let eu = try Self.upstream([content])
      defer { for upstream in [us, eu] { upstream.stop() } }
      var settings = SluiceProcess.Settings()
      settings.regions = [("us", us), ("eu", eu)].map {
        "\($0): { servers: [{ address: 127.0.0.1:\($1.port) }] }"
      }
      settings.sections = [
        "trusted_proxies: [10.0.0.0/8]", "geo: { header: X-Region }",
        "headers: { X-IPFS-Gateway: null }",
      ]
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path, [("X-Region", "eu")])
      #expect(answer.status == 200 && us.requests.count == 1 && eu.requests.isEmpty)
      // An operator may keep it to himself.
      #expect(answer["X-IPFS-Gateway"] == nil)
    }

    @Test func theLastResortIsTheLast() throws {
      let content = try TestContent.raw(noise(1000, seed: 721))
      let last = try Self.upstream([content])
      defer { last.stop() }
      let dead = try [DeadPort(), DeadPort()]
      var settings = SluiceProcess.Settings()
      settings.regions = dead.enumerated().map {
        "r\($0): { servers: [{ address: 127.0.0.1:\($1.port) }] }"
      }
      settings.sections = ["last_resort: http://127.0.0.1:\(last.port)"]
      let sluice = try SluiceProcess(settings)
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200 && isSame(answer.body, content.body))
      #expect(answer["X-IPFS-Gateway"] == "last_resort/127.0.0.1:\(last.port)")
      #expect(try sluice.metric("sluice_upstream_other_region_total") == 2)
    }

    /// Content with a host of its own is asked for by its path there: a stranger knows no host of ours.
    ///
    /// It is told of no client either.
    @Test func theLastResortKnowsNoHostOfOurs() throws {
      let content = try TestContent.raw(noise(1000, seed: 722))
      let last = try ScriptedUpstream { request, reply in
        guard request.target.hasPrefix(content.path) else { return try reply.answer(421, [], []) }
        try reply.serve(content)
      }
      let dead = try DeadPort()
      defer { last.stop() }
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      settings.hosts = [
        "{ name: dweb.test, subdomains: true }", "{ name: site.test, dnslink: true }",
      ]
      settings.sections = ["last_resort: http://127.0.0.1:\(last.port)"]
      let sluice = try SluiceProcess(settings)
      let asker = Asker(port: sluice.port)
      var question = Question("/?a=b")
      question.host = "\(content.cid.text(in: .base32)).ipfs.dweb.test"
      let answer = try asker.ask(question)
      #expect(answer.status == 200 && isSame(answer.body, content.body))
      try sluice.settle()
      #expect(try asker.ask(question)["X-Cache-Status"] == "HIT")
      let asked = last.requests
      #expect(asked.count == 1 && asked.first?.target == content.path + "/")
      #expect(asked.first?["Host"] == "127.0.0.1:\(last.port)")
      let forwarded = asked.flatMap(\.fields).filter { $0.name.hasPrefix("X-Forwarded") }
      #expect(forwarded.isEmpty)
      // A site's name is nothing that it could be asked for.
      question.host = "site.test"
      #expect(try asker.ask(question).status >= 500)
      #expect(last.requests.count == 1)
    }

    /// No place at a server is lost, however its requests end, and none is given twice.
    @Test func busyCountsAreExact() throws {
      var made: [TestContent] = []
      for seed in 800..<820 as Range<UInt64> {
        made.append(try .raw(noise(2_000, seed: seed)))
        made.append(try .opaque(noise(60_000, seed: seed)))
      }
      let contents = Dictionary(uniqueKeysWithValues: made.map { ($0.path, $0) })
      let paths = contents.keys.sorted()
      let script: ScriptedUpstream.Script = { request, reply in
        guard let content = contents[request.target] else {
          return try reply.answer(404, [], [])
        }
        if request.number % 7 == 0 { reply.pause(milliseconds: 5) }
        if request.number % 29 == 3 { try reply.reset() }
        if request.number % 31 == 5 { return try reply.answer(503, [], []) }
        if request.number % 37 == 9 {
          try reply.head(200, Reply.fields(of: content) + [("Content-Length", "\(1 << 20)")])
          return reply.close()
        }
        // Not to be kept, so that everybody is asked each time.
        try reply.serve(content, extra: [("Set-Cookie", "a=b")])
      }
      let upstreams = try (0..<3).map { _ in try ScriptedUpstream(remembers: false, script) }
      defer { for upstream in upstreams { upstream.stop() } }
      var settings = SluiceProcess.Settings()
      settings.regions = [
        "test:", "  servers:",
        "    - { address: 127.0.0.1:\(upstreams[0].port), max_connections: 6, max_waiting: 3 }",
        "    - { address: 127.0.0.1:\(upstreams[1].port), weight: 3 }",
        "    - { address: 127.0.0.1:\(upstreams[2].port), max_connections: 4 }",
      ]
      settings.sections = ["health: { max_fails: 100, fail_timeout: 1s }"]
      let sluice = try SluiceProcess(settings)
      let port = sluice.port
      let total = Soak.pick(8_000, soak: 1_000_000)
      let clients = 16
      let group = DispatchGroup()
      for number in 0..<clients {
        group.enter()
        Foundation.Thread.detachNewThread {
          defer { group.leave() }
          var random = SeededRandom(seed: UInt64(number))
          var client: RawClient?
          for _ in 0..<total / clients {
            let path = paths[random.number(in: 0...paths.count - 1)]
            do {
              let open = try client ?? RawClient(port: port)
              client = nil
              try open.send(RawClient.text(path))
              switch random.number(in: 0...3) {
              case 0: open.reset()
              case 1:
                let length = Int(try open.head()["Content-Length"] ?? "") ?? 0
                _ = try open.bytes(random.number(in: 0...min(1_000, length)))
                open.reset()
              default: if try open.response().isComplete { client = open }
              }
            } catch {
              client = nil
            }
          }
        }
      }
      let deadline = Soak.pick(90.0, soak: 1_400.0)
      #expect(group.wait(timeout: .now() + deadline) == .success)
      try sluice.settle()
      let isQuiet = try eventually {
        let metrics = try sluice.metrics()
        return metrics.allSatisfy { name, value in
          !name.hasPrefix("sluice_upstream_server_active")
            && !name.hasPrefix("sluice_upstream_server_waiting") || value == 0
        }
      }
      #expect(isQuiet)
      let metrics = try sluice.metrics()
      #expect(metrics["sluice_upstream_connections{state=\"busy\"}"] == 0)
      let requests = metrics.filter { $0.key.hasPrefix("sluice_upstream_server_requests_total") }
      #expect(requests.count == 3 && requests.values.allSatisfy { $0 > 100 })
      Soak.report(
        "busy counts: \(requests.values.reduce(0, +)) requests to servers, none under way")
    }
  }
}
