import Base
import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Large downloads whose server is lost on the way, and the crowds that read along.
  @Suite struct FailoverLoad {
    static let downloads = Soak.pick(6, soak: 100)

    /// How the server that a download comes from is lost.
    enum Loss: String, CaseIterable, Sendable { case kill, halt }

    /// Three origins with a file, and what ends one of them.
    struct Origins {
      let content: TestContent
      let all: [OriginProcess]

      /// - Parameter megabytes: More than is fetched ahead of a client, so that the server is still at work.
      init(megabytes: Int) throws {
        var site = TestSite()
        content = try site.add(FillStress.large(megabytes << 20, seed: 420))
        let car = site.car
        all = try (0..<3).map { _ in try OriginProcess(car: car) }
      }

      /// The one that has a request under way.
      func active(_ sluice: SluiceProcess) throws -> OriginProcess {
        let numbers = try sluice.metrics()
        let busy = all.filter { origin in
          let labels = "{region=\"test\",server=\"127.0.0.1:\(origin.port)\"}"
          return numbers["sluice_upstream_server_active\(labels)"] ?? 0 > 0
        }
        guard busy.count == 1 else { throw TestFailure("\(busy.count) origins are at work") }
        return busy[0]
      }
    }

    /// Reads so many bytes, compares them, and gives the longest time that nothing came.
    static func read(
      _ client: RawClient, _ range: Range<Int>, of body: [UInt8]
    ) throws -> Duration {
      var longest = Duration.zero
      var offset = range.lowerBound
      var last = ContinuousClock.now
      while offset < range.upperBound {
        let bytes = try client.bytes(min(256 << 10, range.upperBound - offset))
        let now = ContinuousClock.now
        longest = max(longest, now - last)
        last = now
        guard !bytes.isEmpty, isSame(bytes, body, offset..<offset + bytes.count) else {
          throw TestFailure("wrong bytes at \(offset), or none: \(bytes.count)")
        }
        offset += bytes.count
      }
      return longest
    }

    static func report(_ what: String, _ stalls: [Duration]) {
      let sorted = stalls.sorted()
      guard let most = sorted.last else { return }
      Soak.report(
        "\(what): longest wait of a client, median \(sorted[sorted.count / 2]), at most \(most)")
    }

    /// However the server is lost, and wherever, every byte comes, and what is kept is whole.
    @Test(arguments: Loss.allCases) func anotherOriginGoesOn(loss: Loss) throws {
      let origins = try Origins(megabytes: Soak.pick(88, soak: 120))
      let content = origins.content
      let total = content.body.count
      var random = SeededRandom(seed: loss == .kill ? 421 : 422)
      var stalls: [Duration] = []
      var settings = SluiceProcess.Settings(upstreams: origins.all.map(\.port))
      settings.timeouts = ["between_bytes: \(loss == .halt ? "1s" : "60s")"]
      for number in 0..<Self.downloads {
        let sluice = try SluiceProcess(settings)
        let client = try RawClient(port: sluice.port, receiveBuffer: 256 << 10)
        try client.send(RawClient.text(content.path))
        let head = try client.head()
        #expect(head.status == 200 && head["Content-Length"] == "\(total)")
        // The server is some 32 MiB further on by then, and what the sockets on both sides hold: up to 32 MiB where
        // the gateway receives, and 4 MiB where each side sends.
        let place = random.number(in: 0...total - (80 << 20))
        _ = try Self.read(client, 0..<place, of: content.body)
        let origin = try origins.active(sluice)
        if loss == .kill { origin.stop() } else { origin.halt() }
        stalls.append(try Self.read(client, place..<total, of: content.body))
        let resumed = try sluice.metric("sluice_upstream_resumed_total")
        #expect(resumed >= 1, "download \(number)")
        if loss == .kill { try origin.startAgain() } else { origin.wake() }
        try sluice.settle()
        if number % 10 == 0 {
          let hit = try sluice.request(content.path)
          #expect(hit.cacheStatus == "HIT" && isSame(hit.body, content.body))
        }
      }
      Self.report("\(loss)", stalls)
    }

    /// The same with a gateway's own words of giving up, at any place.
    @Test func theMarkerIsCutOff() throws {
      let content = try TestContent.opaque(
        FillStress.large(Soak.pick(24, soak: 100) << 20, seed: 423))
      let places = Collected<Int>()
      let servers = try (0..<2).map { _ in
        try ScriptedUpstream(remembers: false) { request, reply in
          guard request["Range"] == nil, request.method == "GET" else {
            return try reply.serve(content)
          }
          var random = SeededRandom(seed: 424 &+ UInt64(places.all.count))
          let place = random.number(in: 0...content.body.count - 1000)
          places.add(place)
          let breach: Failover.Breach = random.chance(0.5) ? .marker : .partOfMarker
          try Failover.breakOff(request, reply, content, after: place, breach, over: Gate())
        }
      }
      defer { for server in servers { server.stop() } }
      var stalls: [Duration] = []
      for _ in 0..<Self.downloads {
        let sluice = try SluiceProcess(Failover.settings(servers, slices: "1MB"))
        let client = try sluice.connect()
        try client.send(RawClient.text(content.path))
        #expect(try client.head().status == 200)
        stalls.append(try Self.read(client, 0..<content.body.count, of: content.body))
        #expect(try sluice.metric("sluice_upstream_resumed_total") == 1)
      }
      #expect(places.all.count == Self.downloads)
      Self.report("marker", stalls)
    }

    /// One fetch for readers on all workers, at whatever offset and speed, whichever server it ends on.
    @Test(arguments: [false, true]) func aCrowdReadsOneFetch(isLeaf: Bool) throws {
      // A leaf is checked as a whole, so that nobody gets a part of it by itself.
      let body = FillStress.large(isLeaf ? 7 << 20 : 12 << 20, seed: 425)
      let content = try isLeaf ? TestContent.raw(body) : .opaque(body)
      let gate = Gate()
      let parts = Collected<Int>()
      let servers = try (0..<3).map { number in
        try ScriptedUpstream { request, reply in
          if request["Range"] == nil {
            try reply.head(
              200, Reply.fields(of: content) + [("Content-Length", "\(body.count)")])
            try reply.send(body[..<1_000_000])
            gate.wait()
            try reply.send(body[1_000_000..<3_100_000])
            reply.pause(milliseconds: 50)
            try reply.reset()
          }
          // The next one brings a piece and breaks off too.
          guard let part = request["Range"].flatMap({ Reply.part($0, of: body.count) }) else {
            return
          }
          parts.add(part.lowerBound)
          if parts.all.count == 1 {
            return try Failover.breakOff(
              request, reply, content, after: 2_000_000, .end, over: gate)
          }
          try reply.serve(content)
        }
      }
      defer { for server in servers { server.stop() } }
      defer { gate.open() }
      let sluice = try SluiceProcess(Failover.settings(servers))
      let crowd = Crowd(of: body)
      let request = RawClient.text(content.path)
      for number in 0..<100 {
        let pace = number % 10 == 9 ? 8 << 20 : nil
        try crowd.add(port: sluice.port, request: request, part: 0..<body.count, pace: pace)
      }
      #expect(crowd.run { $0.clients.allSatisfy { $0.received > 1000 } })
      // Parts of what the fetch is at join it as well.
      for number in 0..<50 {
        let part = 900_000 + number..<1_200_000 + number * 10
        let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path, [range]), part: part)
      }
      gate.open()
      for number in 0..<50 {
        try crowd.add(port: sluice.port, request: request, part: 0..<body.count)
        if number % 10 == 0 { crowd.leave(number, reset: true) }
      }
      #expect(crowd.run { $0.doneCount >= 195 })
      #expect(crowd.clients.count { $0.isDone } >= 195 && crowd.clients.allSatisfy { !$0.isWrong })
      let numbers = try sluice.metrics()
      #expect(numbers["sluice_fills_total"] == 1)
      #expect(numbers["sluice_upstream_resumed_total"] == 2)
      #expect(numbers["sluice_fill_bytes_total"] == Double(body.count))
      #expect(servers.flatMap(\.requests).count == 3)
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }
  }
}
