import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What a gateway that is killed has promised, and what the next one keeps of it.
  @Suite struct Kills {
    /// Kills at random moments under load, one cache folder for all lives.
    @Test func whatIsCommittedSurvivesEveryKill() throws {
      let kills = Soak.pick(5, soak: 100)
      // A cache has 56 segments, and a life begins one or two: what the last lives wrote is there.
      let remembered = 20
      let perLife = 120
      let catalogue = try Catalogue(
        bytes: perLife * kills * (400 << 10), sizes: 1 << 10...3 << 20, seed: 301)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.maxSize = "8GB"
      settings.sliceSize = "256KB"
      let sluice = try SluiceProcess(settings)
      var committed: [Int: Int] = [:]
      var checked = 0
      for life in 0..<kills {
        let end = min(catalogue.items.count, (life + 2) * perLife)
        let items = max(0, end - 2 * perLife)..<end
        for index in try killedLife(sluice, catalogue, items, seed: UInt64(life)) {
          committed[index] = life
        }
        try sluice.startAgain()
        #expect(!sluice.errors.contains("set aside"), "life \(life)")
        committed = committed.filter { life - $0.value < remembered }
        checked += try expectHits(sluice, catalogue, committed.keys.sorted())
        Soak.report("kill \(life + 1) of \(kills): \(committed.count) committed objects checked")
      }
      #expect(checked > kills * 10)
      try expectRight(sluice, catalogue, 0..<min(catalogue.items.count, 4 * perLife))
      #expect(try sluice.stop() == .exited(0))
    }

    /// Runs clients until a random moment, then kills; which objects were committed by then.
    func killedLife(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ items: Range<Int>, seed: UInt64
    ) throws -> Set<Int> {
      var mix = Traffic.Mix()
      mix.pause = 5
      let traffic = Traffic(catalogue, items: items, mix: mix)
      var ledger = CommitLedger()
      let time = Deadline(seconds: Double.random(in: 0.6...1.8))
      // A slow machine has longer, so that there is something to lose.
      let limit = Deadline(seconds: 20)
      traffic.start(clients: 6, port: sluice.port, seed: seed)
      do {
        while !time.hasPassed || ledger.committed().count < 10 && !limit.hasPassed {
          try ledger.look(sluice, traffic)
        }
        #expect(try sluice.metric("sluice_cache_refused_jobs_total") == 0)
      } catch {
        traffic.expectTheEnd()
        sluice.kill()
        try traffic.stop()
        throw error
      }
      traffic.expectTheEnd()
      sluice.kill()
      try traffic.stop()
      let tally = traffic.tally
      #expect(tally.broken == [] && tally.wrong == [], "\(tally)")
      return ledger.committed()
    }

    /// Each of these is served from the cache alone, every byte of it.
    func expectHits(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ items: [Int]
    ) throws -> Int {
      let client = try sluice.connect()
      for index in items {
        let path = catalogue.items[index].path
        let answer = try client.request(path, [("Cache-Control", "only-if-cached")])
        try #require(answer.status == 200, "\(path) is lost")
        #expect(answer["Cache-Status"] == "sluice; hit")
        try #require(answer.isComplete && catalogue.isRight(answer.body, index), "\(path)")
      }
      return items.count
    }

    /// Each of these can be had, wherever it comes from.
    func expectRight(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ items: Range<Int>
    ) throws {
      let client = try sluice.connect()
      for index in items {
        let answer = try client.request(catalogue.items[index].path)
        try #require(answer.status == 200 && answer.isComplete)
        try #require(catalogue.isRight(answer.body, index), "\(catalogue.items[index].path)")
      }
    }

    // MARK: When the index is suspected

    /// A life that has committed something did not die of its index.
    @Test func killsAfterACommitNeverSetTheIndexAside() throws {
      let contents = try (0..<6).map { try TestContent.opaque(noise(30_000, seed: 310 + $0)) }
      let upstream = try ScriptedUpstream { request, reply in
        try reply.serve(contents.first { $0.path == request.target } ?? contents[0])
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for life in contents.indices {
        #expect(try sluice.request(contents[life].path).cacheStatus == "MISS")
        try sluice.settle()
        sluice.kill()
        try sluice.startAgain()
        #expect(!sluice.errors.contains("set aside"), "after kill \(life + 1)")
        for content in contents[...life] {
          #expect(try sluice.request(content.path).cacheStatus == "HIT")
        }
      }
    }

    /// Deaths by a fault of its own count also after a commit; the fourth life begins anew.
    @Test func threeCrashesSetTheIndexAside() throws {
      let content = try TestContent.opaque(noise(30_000, seed: 330))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for signal in [SIGABRT, SIGSEGV, SIGILL] {
        #expect(!sluice.errors.contains("set aside"))
        let status = try sluice.request(content.path).cacheStatus
        #expect(status == (signal == SIGABRT ? "MISS" : "HIT"))
        try sluice.settle()
        #expect(try sluice.crash(by: signal) == .killed(by: signal))
        try sluice.startAgain()
      }
      #expect(sluice.errors.contains("set aside") && sluice.errors.contains("why=crashes"))
      #expect(try sluice.request(content.path).cacheStatus == "MISS")
      try sluice.settle()
      // An orderly end lets them be forgotten.
      for _ in 0..<2 {
        _ = try sluice.crash(by: SIGABRT)
        try sluice.startAgain()
      }
      #expect(try sluice.stop() == .exited(0))
      try sluice.startAgain()
      _ = try sluice.crash(by: SIGABRT)
      try sluice.startAgain()
      #expect(!sluice.errors.contains("set aside"))
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }

    /// Three lives that end without having committed anything may have died of the index.
    @Test func threeLivesWithoutACommitSetTheIndexAside() throws {
      let content = try TestContent.opaque(noise(30_000, seed: 320))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      #expect(try sluice.request(content.path).cacheStatus == "MISS")
      #expect(try sluice.stop() == .exited(0))
      for _ in 0..<2 {
        try sluice.startAgain()
        #expect(!sluice.errors.contains("set aside"))
        #expect(try sluice.request(content.path).cacheStatus == "HIT")
        sluice.kill()
      }
      try sluice.startAgain()
      #expect(!sluice.errors.contains("set aside"))
      sluice.kill()
      try sluice.startAgain()
      #expect(sluice.errors.contains("set aside"))
      #expect(try sluice.request(content.path).cacheStatus == "MISS")
    }
  }
}

/// When whole answers were received, in commits of the gateway's cache.
///
/// A number n that is read from the metrics after an answer's end: the answer's jobs were in the
/// writer's queue by then (of an object that is checked no client has the last byte before; of
/// another one they follow the last byte's arrival within one turn of a loop). Commit n + 1 may
/// have taken its group before that. Before the next commit the writer takes all that is queued, so
/// commit n + 2 has them at the latest: whoever has seen it has a promise.
struct CommitLedger {
  private var marks: [Int: Double] = [:]
  private(set) var last = 0.0

  /// Notes what has been received, and the sequence read after that.
  mutating func look(_ sluice: SluiceProcess, _ traffic: Traffic) throws {
    let received = traffic.takeReceived()
    let numbers = try sluice.metrics()
    guard let sequence = numbers["sluice_cache_commit_sequence"],
      let queued = numbers["sluice_cache_queued_bytes"]
    else { throw TestFailure("no commit sequence") }
    last = sequence
    // Jobs wait outside the queue only while it is full (64 MiB).
    guard queued < Double(32 << 20) else { return }
    for index in received where marks[index] == nil { marks[index] = sequence }
  }

  /// What was committed so many commits ago, 0 for the last one that was seen.
  func committed(before age: Double = 0) -> Set<Int> {
    Set(marks.filter { $0.value + 2 + age <= last }.keys)
  }
}
