import Base
import Foundation
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// Upstreams that die within a body, and others that go on.
  @Suite struct Failover {
    /// How a server ends before its body does.
    enum Breach: String, CaseIterable, Sendable { case end, reset, stall, marker, partOfMarker }

    /// What is asked for.
    enum Kind: String, CaseIterable, Sendable {
      /// Kept in slices, and not checked.
      case whole
      /// Checked as it comes, its last byte held back.
      case leaf
      /// Held back whole.
      case block
      /// A part of what is kept.
      case part
      /// Passed on, whole or in part.
      case foreign, foreignPart
    }

    static let marker =
      "\n\n[Gateway Error: Response truncated - unable to retrieve remaining data within timeout period]"

    /// Sends what an honest server would, up to a byte of the body, and breaks.
    static func breakOff(
      _ request: ScriptedUpstream.Request, _ reply: Reply, _ content: TestContent,
      after count: Int, _ breach: Breach, over: Gate, fields: [(String, String)]? = nil
    ) throws {
      var part = 0..<content.body.count
      var status = 200
      var fields = fields ?? Reply.fields(of: content)
      if let asked = request["Range"].flatMap({ Reply.part($0, of: content.body.count) }) {
        part = asked
        status = 206
        let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(content.body.count)"
        fields.append(("Content-Range", place))
      }
      try reply.head(status, fields + [("Content-Length", "\(part.count)")])
      try reply.send(content.body[part.lowerBound..<part.lowerBound + min(count, part.count - 1)])
      switch breach {
      case .marker: try reply.send(marker.utf8)
      case .partOfMarker: try reply.send(marker.utf8.prefix(40))
      default: break
      }
      if breach != .stall {
        // A reset takes along what has not been received; what has been the gateway most often reads by then.
        reply.waitUntilReceived()
        reply.pause(milliseconds: 50)
      }
      switch breach {
      case .stall: over.wait()
      case .end: break
      case .reset, .marker, .partOfMarker: try reply.reset()
      }
      reply.close()
    }

    /// - Parameter stall: How long a server may send nothing; short only where one does, since a busy machine can
    ///   hold up those that do not.
    static func settings(
      _ upstreams: [ScriptedUpstream], slices: String = "64KB", stall: String = "60s"
    ) -> SluiceProcess.Settings {
      var settings = SluiceProcess.Settings(upstreams: upstreams.map(\.port))
      settings.timeouts = ["between_bytes: \(stall)"]
      settings.sliceSize = slices
      return settings
    }

    /// What the servers answer GET with, the first of them that is asked breaking off.
    static func servers(
      _ count: Int, _ content: TestContent, fields: [(String, String)]? = nil,
      broken: @escaping @Sendable (ScriptedUpstream.Request, Reply) throws -> Void,
      then: (@Sendable (ScriptedUpstream.Request, Reply) throws -> Void)? = nil
    ) throws -> [ScriptedUpstream] {
      let first = Collected<Int>()
      return try (0..<count).map { number in
        try ScriptedUpstream { request, reply in
          if request.method == "GET", !first.all.contains(number) {
            first.add(number)
            if first.all.first == number { return try broken(request, reply) }
          }
          if let then, request.method == "GET", first.all.first != number {
            return try then(request, reply)
          }
          let given = Dictionary(
            (fields ?? []).map { ($0.0, $0.1) }, uniquingKeysWith: { first, _ in first })
          var changed = content
          changed.spelledEtag = given["Etag"] ?? content.spelledEtag
          try reply.serve(changed)
        }
      }
    }

    static func content(_ kind: Kind, seed: UInt64) throws -> TestContent {
      switch kind {
      case .leaf: try TestContent.raw(noise(3_000_000, seed: seed))
      case .block: try TestContent.raw(noise(400_000, seed: seed))
      default: try TestContent.opaque(noise(3_000_000, seed: seed))
      }
    }

    @Test(arguments: Kind.allCases, Breach.allCases)
    func anotherServerGoesOn(kind: Kind, breach: Breach) throws {
      var content = try Self.content(kind, seed: 400)
      let isForeign = kind == .foreign || kind == .foreignPart
      if isForeign { content.spelledEtag = "\"another gateway's\"" }
      let over = Gate()
      let cut = kind == .block ? 150_000 : 1_234_567
      let answered = content
      let servers = try Self.servers(
        2, content,
        broken: { try Self.breakOff($0, $1, answered, after: cut, breach, over: over) })
      defer { for server in servers { server.stop() } }
      defer { over.open() }
      let sluice = try SluiceProcess(
        Self.settings(servers, stall: breach == .stall ? "1s" : "60s"))
      // From 0 on nothing is asked for beside the head, which would be the first to break off.
      let part = (kind == .foreignPart ? 0 : 100_000)..<2_900_001
      let isPart = kind == .part || kind == .foreignPart
      let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
      let answer = try sluice.request(content.path, isPart ? [range] : [])
      #expect(answer.status == (isPart ? 206 : 200) && answer.isComplete)
      #expect(isSame(answer.body, content.body, isPart ? part : nil))
      #expect(try sluice.metric("sluice_upstream_resumed_total") == 1)
      let asked = servers.flatMap(\.requests).filter { $0.method == "GET" }
      #expect(asked.count == 2)
      try sluice.settle()
      for server in servers { server.stop() }
      let again = try sluice.request(content.path, isPart ? [range] : [])
      if isForeign {
        #expect(again.status >= 500)
      } else {
        #expect(again.cacheStatus == "HIT" && isSame(again.body, content.body, isPart ? part : nil))
      }
    }

    /// Who has a server alone asks it again, once for each piece of progress.
    @Test func theOnlyServerGoesOn() throws {
      let content = try TestContent.opaque(noise(2_000_000, seed: 401))
      let over = Gate()
      let server = try ScriptedUpstream { request, reply in
        try Self.breakOff(request, reply, content, after: 300_000, .reset, over: over)
      }
      defer { server.stop() }
      let sluice = try SluiceProcess(Self.settings([server]))
      // The last byte is never sent: in the end it is given up, visibly.
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200 && !answer.isComplete)
      #expect(answer.body.count == content.body.count - 1)
      #expect(isSame(answer.body, content.body, 0..<answer.body.count))
      #expect(server.requests.count < 12)
    }

    /// A server that an operator has drained is nobody to wait for: the one that broke off goes on itself.
    @Test func besideADrainedServerTheOnlyOneGoesOn() throws {
      let content = try TestContent.opaque(noise(1_000_000, seed: 409))
      let over = Gate()
      let servers = try Self.servers(
        2, content,
        broken: { try Self.breakOff($0, $1, content, after: 500_000, .reset, over: over) })
      defer { for server in servers { server.stop() } }
      let world = try AdminWorld(Self.settings(servers))
      let other = "test/127.0.0.1:\(servers[1].port)"
      #expect(try world.run("drain", other).ending == .exited(0))
      let answer = try world.sluice.request(content.path)
      #expect(answer.status == 200 && answer.isComplete && isSame(answer.body, content.body))
      #expect(servers[0].requests.count == 2 && servers[1].requests.isEmpty)
    }

    /// Bytes that come a few at a time, each on a connection that breaks, are not waited for without end.
    @Test func drippingIsGivenUp() throws {
      let content = try TestContent.opaque(noise(2_000_000, seed: 402))
      let over = Gate()
      let servers = try (0..<3).map { _ in
        try ScriptedUpstream { request, reply in
          try Self.breakOff(request, reply, content, after: 5_000, .end, over: over)
        }
      }
      defer { for server in servers { server.stop() } }
      let sluice = try SluiceProcess(Self.settings(servers))
      let answer = try sluice.request(content.path)
      #expect(answer.status == 200 && !answer.isComplete)
      #expect(isSame(answer.body, content.body, 0..<answer.body.count))
      #expect(servers.flatMap(\.requests).count <= 4)
    }

    enum Answer: String, CaseIterable, Sendable {
      case whole, weakened, onlyRoots
      case otherEtag, otherTotal, otherPlace, chunked, gzip, notFound, badGateway, dies
      /// As a server that has something shorter there.
      case beyondItsEnd
      var isGood: Bool { self == .whole || self == .weakened || self == .onlyRoots }
    }

    /// Only what is the rest stands in its place; with a third server that has it, it comes from there.
    @Test(arguments: Answer.allCases, [2, 3])
    func theRestIsHeldAgainstWhatCame(answer: Answer, count: Int) throws {
      let content = try TestContent.opaque(noise(1_000_000, seed: 403))
      let over = Gate()
      let second = Collected<Int>()
      let servers = try Self.servers(
        count, content,
        broken: { request, reply in
          try Self.breakOff(request, reply, content, after: 500_000, .end, over: over)
        },
        then: { request, reply in
          second.add(request.number)
          if second.all.count > 1 { return try reply.serve(content) }
          try Self.give(answer, request, reply, content)
        })
      defer { for server in servers { server.stop() } }
      var settings = Self.settings(servers)
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      let got = try sluice.request(content.path)
      // The first server has it too, and is asked again in the end.
      #expect(got.status == 200 && got.isComplete && isSame(got.body, content.body))
      let asked = servers.flatMap(\.requests).count
      #expect(asked == (answer.isGood ? 2 : 3))
      #expect(try sluice.metric("sluice_upstream_resumed_total") == 1)
    }

    static func give(
      _ answer: Answer, _ request: ScriptedUpstream.Request, _ reply: Reply, _ content: TestContent
    ) throws {
      let total = content.body.count
      guard let range = request["Range"], let part = Reply.part(range, of: total) else {
        return try reply.serve(content)
      }
      var fields = Reply.fields(of: content)
      var place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"
      var body = Array(content.body[part])
      switch answer {
      case .whole: return try reply.answer(200, fields, content.body)
      case .weakened: fields[0].1 = "W/" + content.etag
      case .onlyRoots: fields.removeFirst()
      case .otherEtag: fields[0].1 = "\"\(Keeping.other)\""
      case .otherTotal: place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total + 1)"
      case .otherPlace:
        place = "bytes \(part.lowerBound + 1)-\(part.upperBound - 1)/\(total)"
        body.removeFirst()
      case .gzip: fields.append(("Content-Encoding", "gzip"))
      case .chunked:
        fields += [("Content-Range", place), ("Transfer-Encoding", "chunked")]
        try reply.head(206, fields)
        try reply.send("\(String(body.count, radix: 16))\r\n".utf8)
        try reply.send(body)
        return try reply.send("\r\n0\r\n\r\n".utf8)
      case .notFound: return try reply.answer(404, [], Array("no link".utf8))
      case .beyondItsEnd: return try reply.answer(416, [("Content-Range", "bytes */5")], [])
      case .badGateway: return try reply.answer(502, [], Array("bad".utf8))
      case .dies: try reply.reset()
      }
      try reply.answer(206, fields + [("Content-Range", place)], body)
    }

    /// Where nobody can go on the client sees it, and what is kept is whole later.
    @Test(arguments: [Answer.otherEtag, .otherTotal, .notFound, .badGateway, .dies])
    func nobodyGoesOn(answer: Answer) throws {
      let content = try TestContent.opaque(noise(1_000_000, seed: 404))
      let heals = Gate()
      let over = Gate()
      let first = Collected<Int>()
      let servers = try (0..<3).map { number in
        try ScriptedUpstream { request, reply in
          if heals.wait(seconds: 0) { return try reply.serve(content) }
          first.add(number)
          if first.all.count == 1 {
            return try Self.breakOff(request, reply, content, after: 500_000, .end, over: over)
          }
          try Self.give(answer, request, reply, content)
        }
      }
      defer { for server in servers { server.stop() } }
      let sluice = try SluiceProcess(Self.settings(servers))
      let broken = try sluice.request(content.path)
      #expect(broken.status == 200 && !broken.isComplete && broken.body.count == 500_000)
      #expect(isSame(broken.body, content.body, 0..<broken.body.count))
      #expect(first.all.count <= 4)
      #expect(try sluice.metric("sluice_upstream_resumed_total") == 0)
      heals.open()
      let whole = try sluice.request(content.path)
      #expect(whole.status == 200 && isSame(whole.body, content.body))
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }

    /// A server's own words at the end of what it sent are seen where the other's bytes are not the same;
    /// then nothing is complete, and nothing kept.
    @Test(arguments: [500_000, 524_288 - 10]) func wordsOfItsOwnAreNotSpliced(cut: Int) throws {
      let content = try TestContent.opaque(noise(1_000_000, seed: 405))
      let servers = try Self.servers(
        2, content,
        broken: { _, reply in
          let length = ("Content-Length", "\(content.body.count)")
          try reply.head(200, Reply.fields(of: content) + [length])
          try reply.send(content.body[..<cut])
          try reply.send("<html><h1>500 Internal Server Error</h1></html>".utf8)
          reply.close()
        })
      defer { for server in servers { server.stop() } }
      let sluice = try SluiceProcess(Self.settings(servers))
      let broken = try sluice.request(content.path)
      #expect(broken.status == 200 && !broken.isComplete)
      #expect(isSame(Array(broken.body.prefix(cut)), content.body, 0..<cut))
      #expect(try sluice.metric(#"sluice_upstream_errors_total{kind="mismatch"}"#) == 1)
      try sluice.settle()
      let whole = try sluice.request(content.path)
      #expect(whole.cacheStatus == "MISS" && isSame(whole.body, content.body))
    }

    /// A part that one server lacks, or has of something else, comes from the next.
    @Test(arguments: [
      Answer.notFound, .badGateway, .otherEtag, .otherPlace, .otherTotal, .beyondItsEnd, .dies,
    ]) func aPartIsLookedForElsewhere(answer: Answer) throws {
      let content = try TestContent.opaque(noise(1_000_000, seed: 407))
      let bad = try ScriptedUpstream { request, reply in
        if request["Range"] == nil { return try reply.serve(content) }
        try Self.give(answer, request, reply, content)
      }
      let good = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { for server in [bad, good] { server.stop() } }
      var settings = Self.settings([bad, good])
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      // Equals are asked in turn: some of the parts come to the bad one first.
      for first in stride(from: 50_000, to: 950_000, by: 150_000) {
        let range = ("Range", "bytes=\(first)-\(first + 9_999)")
        let part = try sluice.request(content.path, [range])
        #expect(part.status == 206 && isSame(part.body, content.body, first..<first + 10_000))
      }
      #expect(bad.requests.contains { $0["Range"] != nil })
      try sluice.settle()
      #expect(isSame(try sluice.request(content.path).body, content.body))
    }

    /// A server that breaks off while its client takes nothing has not sent what nobody could take.
    @Test(arguments: [false, true]) func aSlowClientLosesNothing(isForeign: Bool) throws {
      var content = try TestContent.opaque(noise(24 << 20, seed: 408))
      if isForeign { content.spelledEtag = "\"another gateway's\"" }
      let answered = content
      let isBroken = Gate()
      let servers = try Self.servers(
        2, content,
        broken: { _, reply in
          let length = ("Content-Length", "\(answered.body.count)")
          try reply.head(200, Reply.fields(of: answered) + [length])
          try reply.send(answered.body[..<(1 << 20)])
          reply.pause(milliseconds: 300)
          isBroken.open()
          try reply.reset()
        })
      defer { for server in servers { server.stop() } }
      let sluice = try SluiceProcess(Self.settings(servers))
      let slow = try RawClient(port: sluice.port, receiveBuffer: 4096)
      try slow.send(RawClient.text(content.path))
      #expect(try slow.head().status == 200)
      isBroken.wait()
      #expect(isSame(try slow.bytes(24 << 20), content.body))
      #expect(try sluice.metric("sluice_upstream_resumed_total") == 1)
    }

    // MARK: What is not spliced

    enum Unspliced: String, CaseIterable, Sendable {
      case chunked, weak, listing, tar, car, untilClose
    }

    /// Two servers may write these in two ways: they end visibly, and nobody is asked for a rest.
    @Test(arguments: Unspliced.allCases) func theseBreakOff(kind: Unspliced) throws {
      let content = try TestContent.opaque(noise(300_000, seed: 406))
      let broken: @Sendable (ScriptedUpstream.Request, Reply) throws -> Void = { _, reply in
        var fields = Reply.fields(of: content)
        var length = [("Content-Length", "300000")]
        switch kind {
        case .chunked: length = [("Transfer-Encoding", "chunked")]
        case .untilClose: length = []
        case .weak: fields[0].1 = "W/\"anything\""
        case .listing: fields[0].1 = "\"DirIndex-2b567f6e5884a241_CID-\(content.cid)\""
        case .tar:
          fields[0].1 = "W/\"\(content.cid).x-tar\""
          fields[4].1 = "application/x-tar"
        case .car:
          fields[0].1 = "W/\"\(content.cid).car.2s3j8e4d2f\""
          fields[4].1 = "application/vnd.ipld.car; version=1"
        }
        try reply.head(200, fields + length)
        if kind == .chunked { try reply.send("493e0\r\n".utf8) }
        try reply.send(content.body[..<100_000])
        // The end of a connection is the end of a body that has nothing else: the marker tells.
        if kind == .untilClose { try reply.send(Self.marker.utf8) }
        reply.pause(milliseconds: 50)
        reply.close()
      }
      let servers = try (0..<2).map { _ in try ScriptedUpstream(broken) }
      defer { for server in servers { server.stop() } }
      let sluice = try SluiceProcess(Self.settings(servers))
      let query = kind == .tar ? "?format=tar" : kind == .car ? "?format=car" : ""
      let answer = try sluice.request(content.path + query)
      #expect(answer.status == 200 && !answer.isComplete)
      #expect(servers.flatMap(\.requests).count == 1)
      #expect(try sluice.metric("sluice_upstream_resumed_total") == 0)
    }
  }
}
