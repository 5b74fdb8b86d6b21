import TestKit
import Testing

extension EndToEnd {
  /// One fetch for any number of clients.
  @Suite struct Coalescing {
    static let first = 40_000

    /// An upstream that sends the first bytes at once and the rest in pieces after the gate opens.
    static func drip(_ content: TestContent, _ gate: Gate) throws -> ScriptedUpstream {
      try ScriptedUpstream { _, reply in
        try reply.head(
          200, Reply.fields(of: content) + [("Content-Length", "\(content.body.count)")])
        try reply.send(content.body[..<first])
        gate.wait()
        for start in stride(from: first, to: content.body.count, by: 16_384) {
          try reply.send(content.body[start..<min(content.body.count, start + 16_384)])
          reply.pause(milliseconds: 2)
        }
      }
    }

    @Test(arguments: [true, false]) func thousandClientsOneFetch(isRaw: Bool) throws {
      // Above what is held back until it is checked.
      let body = noise(isRaw ? 2_200_000 : 200_000, seed: isRaw ? 71 : 72)
      let content = try isRaw ? TestContent.raw(body) : .opaque(body)
      let gate = Gate()
      let upstream = try Self.drip(content, gate)
      defer { upstream.stop() }
      defer { gate.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let crowd = Crowd(of: body)
      let request = RawClient.text(content.path)
      for _ in 0..<1000 {
        try crowd.add(port: sluice.port, request: request, part: 0..<body.count)
      }
      // Each has got the first part while the upstream has not sent the last one.
      #expect(crowd.run { $0.clients.allSatisfy { $0.received >= Self.first } })
      #expect(crowd.clients.allSatisfy { $0.received == Self.first })
      #expect(upstream.requests.count == 1)
      // Who comes late gets everything as well.
      for _ in 0..<10 {
        try crowd.add(port: sluice.port, request: request, part: 0..<body.count)
      }
      // Who leaves, the first one too, takes nothing from the others.
      for index in 0..<20 { crowd.leave(index, reset: index % 2 == 0) }
      gate.open()
      #expect(crowd.run { $0.doneCount == 990 })
      #expect(crowd.clients[20...].allSatisfy { $0.isDone && $0.status == 200 })
      #expect(upstream.requests.count == 1)
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
      #expect(upstream.requests.count == 1)
      #expect(try sluice.metric("sluice_fills_total") == 1)
      #expect(try sluice.metric("sluice_fill_bytes_total") == Double(body.count))
    }

    @Test func theFirstClientLeaves() throws {
      let content = try TestContent.opaque(noise(300_000, seed: 73))
      let gate = Gate()
      let upstream = try Self.drip(content, gate)
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let starter = try sluice.connect()
      try starter.send(RawClient.text(content.path))
      #expect(try starter.head().status == 200)
      let others = try (0..<4).map { _ in try sluice.connect() }
      for other in others {
        try other.send(RawClient.text(content.path))
        #expect(try other.head().status == 200)
      }
      starter.reset()
      gate.open()
      for other in others { #expect(isSame(try other.bytes(300_000), content.body)) }
      #expect(upstream.requests.count == 1)
    }

    /// A small rest is fetched though nobody waits for it any more.
    @Test func allClientsLeave() throws {
      let content = try TestContent.opaque(noise(300_000, seed: 74))
      let gate = Gate()
      let upstream = try Self.drip(content, gate)
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for _ in 0..<2 {
        let client = try sluice.connect()
        try client.send(RawClient.text(content.path))
        #expect(try client.bytes(20_000).count == 20_000)
        client.reset()
      }
      gate.open()
      #expect(try eventually { try sluice.metric("sluice_fill_bytes_total") == 300_000 })
      try sluice.settle()
      let answer = try sluice.request(content.path)
      #expect(answer.cacheStatus == "HIT" && isSame(answer.body, content.body))
      #expect(upstream.requests.count == 1)
    }

    /// Clients that only want parts share the fetches of these.
    @Test func rangesOfOneSliceShareItsFetch() throws {
      let content = try TestContent.opaque(noise(1 << 20, seed: 75))
      let upstream = try ScriptedUpstream { _, reply in
        reply.pause(milliseconds: 300)
        try reply.serve(content)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let crowd = Crowd(of: content.body)
      for number in 0..<100 {
        let part = 70_000 + number..<70_000 + number + 5_000
        let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path, [range]), part: part)
      }
      #expect(crowd.run { $0.doneCount == 100 })
      // The head, and the one slice.
      #expect(upstream.requests.count <= 3)
      #expect(
        upstream.requests.compactMap { $0["Range"] }.allSatisfy { $0 == "bytes=65536-131071" })
    }

    /// A client that takes nothing holds up nobody else.
    @Test func aSlowClientHoldsUpNobody() throws {
      let content = try TestContent.opaque(noise(24 << 20, seed: 76))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let slow = try RawClient(port: sluice.port, receiveBuffer: 4096)
      try slow.send(RawClient.text(content.path))
      #expect(try slow.head().status == 200)
      let fast = try sluice.request(content.path)
      #expect(isSame(fast.body, content.body))
      #expect(isSame(try slow.bytes(24 << 20), content.body))
      #expect(upstream.requests.count == 1)
    }
  }
}
