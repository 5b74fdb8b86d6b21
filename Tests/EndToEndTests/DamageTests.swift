import TestKit
import Testing

extension EndToEnd {
  /// Bytes on the disk that are not those that were written.
  @Suite struct Damage {
    struct Case: Sendable, CustomTestStringConvertible {
      var damage: SegmentDamage
      /// Whether the gateway is up, and has read nothing yet, when it happens.
      var isRunning: Bool
      var startsWithRange: Bool

      var testDescription: String {
        "\(damage)\(isRunning ? ", running" : "")\(startsWithRange ? ", parts first" : "")"
      }
    }

    static let cases = SegmentDamage.allCases.flatMap { damage in
      [(false, false), (false, true), (true, true)].map {
        Case(damage: damage, isRunning: $0.0, startsWithRange: $0.1)
      }
    }

    static let sliceSize = 1 << 20
    /// Small ones share pages, large ones have slices in blocks; raw ones can be checked as a whole alone.
    static let contents: [TestContent] = {
      let raw = [1024, (16 << 10) - 1, 16 << 10, 1 << 20, (3 << 20) + 1000]
      let opaque = [700, 100_000, 20 << 20]
      return raw.enumerated().compactMap { number, size in
        try? TestContent.raw(noise(size, seed: UInt64(400 + number)))
      }
        + opaque.enumerated().compactMap { number, size in
          try? TestContent.opaque(noise(size, seed: UInt64(450 + number)))
        }
    }()

    static func upstream() throws -> ScriptedUpstream {
      try ScriptedUpstream { request, reply in
        guard let content = contents.first(where: { $0.path == request.target }) else {
          return try reply.answer(404, [], [])
        }
        try reply.serve(content)
      }
    }

    /// A gateway that has everything, and has not read it since it was started.
    static func full(_ upstream: ScriptedUpstream) throws -> SluiceProcess {
      let sluice = try SluiceProcess(upstream: upstream.port)
      for content in contents {
        let answer = try sluice.request(content.path)
        #expect(answer.isComplete && isSame(answer.body, content.body))
      }
      try sluice.settle()
      try sluice.stop()
      return sluice
    }

    static func strike(_ sluice: SluiceProcess, _ damage: SegmentDamage, isRunning: Bool) throws {
      if isRunning { try sluice.startAgain() }
      try damage.strike(contents, in: sluice.folder.file("cache"), sliceSize: sliceSize)
      if !isRunning { try sluice.startAgain() }
    }

    static func bad(_ sluice: SluiceProcess) throws -> Double {
      try sluice.metric("sluice_cache_slices_bad_total")
    }

    @Test(arguments: cases) func clientsNeverSeeIt(_ given: Case) throws {
      #expect(Self.contents.count == 8)
      let upstream = try Self.upstream()
      defer { upstream.stop() }
      let sluice = try Self.full(upstream)
      try Self.strike(sluice, given.damage, isRunning: given.isRunning)
      for content in Self.contents {
        let count = content.body.count
        let before = try Self.bad(sluice)
        for part in [count / 2..<count / 2 + 10, count - 1..<count, count / 5..<count * 4 / 5]
        where given.startsWithRange {
          let range = "bytes=\(part.lowerBound)-\(part.upperBound - 1)"
          let answer = try sluice.request(content.path, [("Range", range)])
          #expect(answer.status == 206 && answer.isComplete)
          #expect(isSame(answer.body, content.body, part), "\(part) of \(count)")
        }
        let answer = try sluice.request(content.path)
        #expect(answer.status == 200 && answer.isComplete)
        #expect(isSame(answer.body, content.body), "\(count)")
        let found = try Self.bad(sluice) - before
        #expect(found > 0, "\(count)")
        if given.damage == .oneBit { #expect(found == 1, "\(count)") }
      }
      #expect(try sluice.metric("sluice_cache_slice_checks_total") > 0)
      try sluice.settle()
      // What was fetched again is kept, and good, in this life and the next.
      let asked = upstream.requests.count
      for isLater in [false, true] {
        if isLater {
          try sluice.stop()
          try sluice.startAgain()
        }
        let before = try Self.bad(sluice)
        for content in Self.contents {
          let answer = try sluice.request(content.path)
          #expect(answer.cacheStatus == "HIT" && isSame(answer.body, content.body))
        }
        #expect(try Self.bad(sluice) == before)
      }
      #expect(upstream.requests.count == asked)
    }

    /// With nobody to ask again an answer may fail; it is never wrong.
    @Test(arguments: SegmentDamage.allCases) func withoutUpstreamsNothingIsWrong(
      _ damage: SegmentDamage
    ) throws {
      let upstream = try Self.upstream()
      let sluice = try Self.full(upstream)
      upstream.stop()
      try Self.strike(sluice, damage, isRunning: false)
      for _ in 0..<2 {
        for content in Self.contents {
          let count = content.body.count
          let whole = try? sluice.request(content.path)
          Self.expectCut(whole, content, 0..<count)
          let part = count / 5..<count
          let range = "bytes=\(part.lowerBound)-\(part.upperBound - 1)"
          Self.expectCut(try? sluice.request(content.path, [("Range", range)]), content, part)
        }
      }
      #expect(try Self.bad(sluice) >= Double(Self.contents.count))
      #expect(sluice.isRunning)
    }

    static func expectCut(_ answer: Response?, _ content: TestContent, _ part: Range<Int>) {
      guard let answer, answer.status < 400 else { return }
      #expect(!answer.isComplete && answer.body.count < part.count)
      let start = part.lowerBound
      #expect(isSame(answer.body, content.body, start..<start + answer.body.count))
    }

    /// However many clients come, a slice is read for its check once on each worker.
    @Test(arguments: [false, true]) func oneCheckForMany(isDamaged: Bool) throws {
      let content = Self.contents[3]
      let upstream = try Self.upstream()
      defer { upstream.stop() }
      let sluice = try Self.full(upstream)
      let asked = upstream.requests.count
      if isDamaged {
        try Self.strike(sluice, .oneBit, isRunning: false)
      } else {
        try sluice.startAgain()
      }
      let crowd = Crowd(of: content.body)
      for _ in 0..<300 {
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path), part: 0..<content.body.count)
      }
      #expect(crowd.run { $0.doneCount == 300 })
      #expect(crowd.clients.allSatisfy { $0.isDone && $0.status == 200 })
      try sluice.settle()
      let checks = try sluice.metric("sluice_cache_slice_checks_total")
      if isDamaged {
        #expect(try Self.bad(sluice) == 1)
        // The head, then the whole, once; what that wrote is checked as well where it is read.
        #expect(upstream.requests.count <= asked + 2)
        #expect((1...4).contains(checks))
      } else {
        #expect((1...2).contains(checks))
        #expect(upstream.requests.count == asked)
      }
    }

    /// Who is slower than the disk's writer reads back from it what has only just been fetched.
    @Test func aFillsOwnReadersNeverSeeIt() throws {
      let content = Self.contents[7]
      let upstream = try Self.upstream()
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let crowd = Crowd(of: content.body)
      for _ in 0..<3 {
        // With a pace they have little room: sockets could take all of it before it is struck.
        try crowd.add(
          port: sluice.port, request: RawClient.text(content.path), part: 0..<content.body.count,
          pace: 8 << 20)
      }
      #expect(crowd.run { $0.clients.allSatisfy { $0.received > 0 } })
      let isWritten = try eventually {
        let numbers = try sluice.metrics()
        return numbers["sluice_fill_bytes_total"] == Double(content.body.count)
          && numbers["sluice_cache_queued_bytes"] == 0
      }
      #expect(isWritten && crowd.doneCount == 0)
      try SegmentDamage.twoSlices.strike(
        [content], in: sluice.folder.file("cache"), sliceSize: Self.sliceSize)
      #expect(crowd.run { $0.doneCount == 3 })
      #expect(try (1...2).contains(Self.bad(sluice)))
      try sluice.settle()
      let asked = upstream.requests.count
      #expect((2...3).contains(asked))
      let again = try sluice.request(content.path)
      #expect(again.cacheStatus == "HIT" && isSame(again.body, content.body))
      #expect(upstream.requests.count == asked)
    }
  }
}
