import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Fills under load: many readers, many fills, little memory.
  @Suite struct FillStress {
    /// The long form, with `SOAK=1`: a large object, and readers by the thousand.
    static let isSoak = ProcessInfo.processInfo.environment["SOAK"] == "1"

    /// Bytes of which no two places a slice apart are alike, quick to make.
    static func large(_ count: Int, seed: UInt64) -> [UInt8] {
      let block = noise(1_000_003, seed: seed)
      var body: [UInt8] = []
      body.reserveCapacity(count)
      while body.count < count { body += block.prefix(count - body.count) }
      return body
    }

    /// Slow readers that go on reading on a thread of their own until they are sent home.
    final class SlowReaders: @unchecked Sendable {
      // Unchecked: the crowd is the thread's between `start` and the end of `stop`.
      private let crowd: Crowd
      private let leave = Gate()
      private let ended = Gate()
      private let served = Gate()

      init(_ crowd: Crowd) { self.crowd = crowd }

      func start() {
        Thread.detachNewThread { [self] in
          _ = crowd.run { $0.clients.allSatisfy { $0.received > 0 } }
          served.open()
          _ = crowd.run(within: 600) { _ in self.leave.isOpenNow }
          ended.open()
        }
      }

      /// Waits until each has got something.
      func areServed() -> Bool { served.wait(seconds: 60) }

      func stop() -> Crowd {
        leave.open()
        ended.wait(seconds: 60)
        return crowd
      }
    }

    /// Fetches a body, compares it as it comes, and says how long that took.
    static func time(_ sluice: SluiceProcess, _ content: TestContent) throws -> Double? {
      let crowd = Crowd(of: content.body)
      let start = ContinuousClock.now
      try crowd.add(
        port: sluice.port, request: RawClient.text(content.path), part: 0..<content.body.count)
      guard crowd.run(within: 300, until: { $0.doneCount == 1 }) else { return nil }
      let (seconds, fraction) = start.duration(to: .now).components
      return Double(seconds) + Double(fraction) / 1e18
    }

    /// A crowd that crawls costs one that runs nothing: neither speed, nor memory, nor a second fetch.
    @Test func slowReadersHoldUpNoFastOne() throws {
      let size = Self.isSoak ? 1 << 30 : 64 << 20
      let readers = Self.isSoak ? 1_000 : 200
      let body = Self.large(size, seed: 81)
      let alone = TestContent(cid: try TestContent.opaque(noise(100, seed: 1)).cid, body: body)
      let beside = TestContent(cid: try TestContent.opaque(noise(100, seed: 2)).cid, body: body)
      let upstream = try ScriptedUpstream { request, reply in
        try reply.serve(request.target == alone.path ? alone : beside)
      }
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.maxSize = Self.isSoak ? "8GB" : "1GB"
      let sluice = try SluiceProcess(settings)
      let quiet = try #require(try Self.time(sluice, alone))
      let crowd = Crowd(of: body)
      for _ in 0..<readers {
        try crowd.add(
          port: sluice.port, request: RawClient.text(beside.path), part: 0..<size, pace: 16 << 10)
      }
      let before = try sluice.workerTimes()
      let slow = SlowReaders(crowd)
      slow.start()
      #expect(slow.areServed())
      let busy = try #require(try Self.time(sluice, beside))
      let clients = slow.stop().clients
      // Each of the two workers had its share of the readers: who is not the fill's owner, too.
      let work = zip(try sluice.workerTimes(), before).map { $0 - $1 }
      #expect(work.count == 2 && work.allSatisfy { $0 > 0 })
      #expect(clients.allSatisfy { $0.received >= 1024 && !$0.isWrong && !$0.hasEnded })
      #expect(upstream.requests.count { $0.target == beside.path } == 1)
      let peak = try sluice.peakMemory()
      print(
        "\(readers) slow readers of \(size >> 20) MiB: alone \(quiet) s, beside them \(busy) s,",
        "peak \(peak >> 20) MiB, workers ran \(work.map { $0 / 1_000_000 }) ms")
      // Held up by readers at 16 KiB/s it would take an hour.
      #expect(busy < 4 * quiet + 20)
      #expect(peak < 512 << 20)
    }

    /// Readers of one object on both workers; the one that does not own the fill is told by messages.
    @Test func aHotObjectIsServedByAllWorkers() throws {
      let content = TestContent(
        cid: try TestContent.opaque(noise(100, seed: 3)).cid,
        body: Self.large(4 << 20, seed: 82))
      let gate = Gate()
      let upstream = try ScriptedUpstream { _, reply in
        try reply.head(
          200, Reply.fields(of: content) + [("Content-Length", "\(content.body.count)")])
        try reply.send(content.body[..<1_000])
        gate.wait()
        try reply.send(content.body[1_000...])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let crowd = Crowd(of: content.body)
      for _ in 0..<100 {
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path), part: 0..<content.body.count)
      }
      // All of them wait at one place of the fill.
      #expect(crowd.run { $0.clients.allSatisfy { $0.received == 1_000 } })
      let before = try sluice.workerTimes()
      gate.open()
      #expect(crowd.run { $0.doneCount == 100 })
      let work = zip(try sluice.workerTimes(), before).map { $0 - $1 }
      #expect(work.count == 2)
      #expect(work.allSatisfy { $0 > work.reduce(0, +) / 10 }, "\(work)")
      #expect(upstream.requests.count == 1)
    }

    /// Hundreds of fetches that have begun a slice and do not end it: what they hold has a bound, and
    /// all of them come to their end.
    @Test func memoryOfManyFillsIsBounded() throws {
      // None waits for memory longer than ten seconds: no more than a busy machine gets done by then.
      let fills = Soak.pick(400, soak: 1_000)
      let body = Self.large(1 << 20, seed: 83)
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        let cid = String(request.target.dropFirst("/ipfs/".count))
        try reply.head(
          200,
          [
            ("Etag", "\"\(cid)\""), ("X-Ipfs-Roots", cid), ("Content-Length", "\(body.count)"),
            ("Content-Type", "application/octet-stream"),
          ])
        let last = body.count - 1000
        for start in stride(from: 0, to: last, by: 32 << 10) {
          try reply.send(body[start..<min(last, start + 32 << 10)])
        }
        gate.wait()
        try reply.send(body[last...])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.maxSize = "4GB"
      let sluice = try SluiceProcess(settings)
      let crowd = Crowd(of: body)
      for number in 0..<fills {
        let cid = try TestContent.opaque(noise(100, seed: UInt64(number))).cid
        try crowd.add(
          port: sluice.port, request: RawClient.text("/ipfs/\(cid)"), part: 0..<body.count)
      }
      // As many as the budget allows for are being fetched, the others wait.
      let limit = 256 << 20
      let kept = #"sluice_slice_memory_bytes{use="kept"}"#
      #expect(crowd.run(within: 8) { _ in (try? sluice.metric(kept)) == Double(limit) })
      #expect(!crowd.run(within: 0.5) { $0.clients.count { $0.received > 0 } > 256 })
      gate.open()
      #expect(crowd.run(within: 60) { $0.doneCount == fills })
      #expect(crowd.clients.allSatisfy { $0.isDone && $0.status == 200 })
      #expect(upstream.requests.count == fills)
      try sluice.settle()
      #expect(try sluice.metric(kept) == 0)
      let peak = try sluice.peakMemory()
      print("\(fills) fills of 1 MiB: peak \(peak >> 20) MiB")
      // The budget, idle buffers, the writer's own, and some 20 KiB for each connection.
      #expect(peak < 512 << 20)
    }

    /// Somebody who reads a large object slowly, and somebody who looks into it here and there: what is fetched for
    /// the one who has gone on ends with it, wherever the other one is.
    @Test(arguments: [0, 9 << 30]) func whatASeekLeavesBehindEnds(place: Int) throws {
      let total = 10 << 30
      let cid = try TestContent.opaque(noise(100, seed: 5)).cid
      let zeros = [UInt8](repeating: 0, count: 64 << 10)
      let upstream = try ScriptedUpstream { request, reply in
        let part = request["Range"].flatMap { Reply.part($0, of: total) } ?? 0..<total
        var fields = [
          ("Etag", "\"\(cid)\""), ("X-Ipfs-Roots", "\(cid)"), ("Content-Length", "\(part.count)"),
          ("Content-Type", "application/octet-stream"),
        ]
        let isPart = request["Range"] != nil
        if isPart {
          fields.append(
            ("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"))
        }
        try reply.head(isPart ? 206 : 200, fields)
        if request.method == "HEAD" { return }
        var left = part.count
        while left > 0 {
          try reply.send(zeros.prefix(left))
          left -= zeros.count
        }
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      func open(_ first: Int) throws -> RawClient {
        let client = try sluice.connect()
        try client.send(RawClient.text("/ipfs/\(cid)", [("Range", "bytes=\(first)-")]))
        #expect(try client.head().status == 206)
        #expect(try client.bytes(1000) == zeros.prefix(1000).map { $0 })
        return client
      }
      let slow = try open(place)
      for number in 1...20 { try open(number * 400 << 20).reset() }
      #expect(
        try eventually {
          try sluice.metric(#"sluice_upstream_connections{state="busy"}"#) == 1
        })
      let bytes = try sluice.metric("sluice_fill_bytes_total")
      // For each of them no more than its window and what its socket holds, and not all of its run.
      #expect(bytes < Double(1 << 30), "\(Int(bytes) >> 20) MiB")
      slow.reset()
    }

    /// Whoever jumps ahead has a fetch of its own to the end, not one for each slice.
    @Test func aJumpAheadIsOneFetch() throws {
      let content = TestContent(
        cid: try TestContent.opaque(noise(100, seed: 4)).cid,
        body: Self.large(8 << 20, seed: 84))
      let gate = Gate()
      let upstream = try ScriptedUpstream { request, reply in
        guard request["Range"] == nil else { return try reply.serve(content) }
        try reply.head(
          200, Reply.fields(of: content) + [("Content-Length", "\(content.body.count)")])
        try reply.send(content.body[..<100_000])
        gate.wait()
        try reply.send(content.body[100_000...])
      }
      defer { upstream.stop() }
      defer { gate.open() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let whole = try sluice.connect()
      try whole.send(RawClient.text(content.path))
      #expect(try whole.head().status == 200)
      let part = try sluice.request(content.path, [("Range", "bytes=4000000-")])
      #expect(part.status == 206 && isSame(part.body, content.body, 4_000_000..<8 << 20))
      gate.open()
      #expect(isSame(try whole.bytes(8 << 20), content.body))
      let ranges = upstream.requests.compactMap { $0["Range"] }
      #expect(ranges == ["bytes=3997696-8388607"], "\(ranges)")
      try sluice.settle()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }
  }
}
