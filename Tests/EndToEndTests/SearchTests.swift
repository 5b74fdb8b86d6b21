import Base
import TestKit
import Testing

extension EndToEnd {
  /// Looking for what nobody has: it waits in numbers that are bounded.
  @Suite struct Searches {
    /// Content that nobody has waits in numbers that are bounded, and takes nothing from what is there.
    @Test func searchesInVainAreBounded() throws {
      let live = try (0..<20).map { try TestContent.raw(noise(3000, seed: 300 + $0)) }
      let over = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if let content = live.first(where: { $0.path == request.target }) {
          return try reply.serve(content)
        }
        if request.target.hasSuffix("/known") { return try reply.answer(504, [], []) }
        over.wait()
        try reply.answer(504, [], [])
      }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      let root = try TestContent.opaque([1]).path
      #expect(try sluice.request(root + "/known").status == 504)
      let clients = try (0..<140).map { number in
        let client = try sluice.connect()
        try client.send(RawClient.text("\(root)/\(number)"))
        return client
      }
      #expect(eventually { upstream.requests.count == 141 })
      for content in live[..<10] {
        #expect(isSame(try sluice.request(content.path).body, content.body))
      }
      // Those that have waited longest make room for the others.
      for client in clients[..<12] {
        let answer = try client.response()
        #expect(answer.status == 503 && answer["Retry-After"] == "10")
        #expect(answer.text.contains("too much else is being looked for"))
      }
      #expect(try sluice.metric(#"sluice_searches_given_up_total{when="slow"}"#) == 12)
      // What has failed before is not even begun; what is there comes as ever.
      let known = try sluice.request(root + "/known")
      #expect(known.status == 503 && known["Retry-After"] == "10")
      #expect(try sluice.metric(#"sluice_searches_given_up_total{when="before"}"#) == 1)
      #expect(upstream.requests.count == 151)
      for content in live[10...] {
        #expect(isSame(try sluice.request(content.path).body, content.body))
      }
      over.open()
      for client in clients[12...] { #expect(try client.response().status == 504) }
      #expect(try sluice.request(root + "/known").status == 504)
      #expect(upstream.requests.count == 162)
    }

    /// Where servers have few places, searches take no more than half of them: what is there finds one.
    @Test func searchesLeavePlacesToTheLiving() throws {
      let live = try (0..<10).map { try TestContent.raw(noise(3000, seed: 320 + $0)) }
      let over = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if let content = live.first(where: { $0.path == request.target }) {
          return try reply.serve(content)
        }
        over.wait()
        try reply.answer(504, [], [])
      }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings()
      settings.regions = [
        "test: { servers: [{ address: 127.0.0.1:\(upstream.port), max_connections: 20 }] }"
      ]
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      let root = try TestContent.opaque([1]).path
      let clients = try (0..<18).map { number in
        let client = try sluice.connect()
        try client.send(RawClient.text("\(root)/\(number)"))
        return client
      }
      #expect(eventually { upstream.requests.count == 18 })
      // Ten may go on; the others have had their time.
      for client in clients[..<8] { #expect(try client.response().status == 503) }
      #expect(try sluice.metric(#"sluice_searches_given_up_total{when="slow"}"#) == 8)
      for content in live {
        #expect(isSame(try sluice.request(content.path).body, content.body))
      }
      over.open()
      for client in clients[8...] { #expect(try client.response().status == 504) }
    }

    /// Names that nobody finds take no more than content that nobody has.
    @Test func namesInVainAreBounded() throws {
      let live = try TestContent.raw(noise(3000, seed: 350))
      let over = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        if live.path == request.target { return try reply.serve(live) }
        over.wait()
        try reply.answer(504, [], [])
      }
      defer { upstream.stop() }
      defer { over.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      let clients = try (0..<140).map { number in
        let client = try sluice.connect()
        try client.send(RawClient.text("/ipns/dead-\(number).test/"))
        return client
      }
      #expect(eventually { upstream.requests.count == 140 })
      for client in clients[..<12] {
        let answer = try client.response()
        #expect(answer.status == 503 && answer["Retry-After"] == "10")
      }
      #expect(try sluice.metric(#"sluice_searches_given_up_total{when="slow"}"#) == 12)
      #expect(isSame(try sluice.request(live.path).body, live.body))
      over.open()
      // Nobody could say what they lead to: what the server says is given on.
      for client in clients[12...] { #expect(try client.response().status == 504) }
    }
  }
}
