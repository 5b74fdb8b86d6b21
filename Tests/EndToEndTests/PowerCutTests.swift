import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// A machine that loses its power: what the file system had given to its disk by then is all there
  /// is.
  @Suite(.enabled(if: LoopDisk.isAvailable, "\(LoopDisk.whyNot ?? "")")) struct PowerCuts {
    @Test func whatWasCommittedOneCommitAgoIsThere() throws {
      let rounds = Soak.pick(1, soak: 20)
      let catalogue = try Catalogue(bytes: 150 << 20, sizes: 1 << 10...3 << 20, seed: 501)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      for round in 0..<rounds {
        // The file system's own commits would save what the cache forgot to.
        try LoopDisk.with(bytes: 700 << 20, options: "commit=300") { disk in
          var settings = SluiceProcess.Settings(upstreams: [upstream.port])
          settings.cachePath = disk.path + "/cache"
          settings.maxSize = "512MB"
          settings.sliceSize = "256KB"
          let sluice = try SluiceProcess(settings)
          let traffic = Traffic(catalogue)
          var ledger = CommitLedger()
          traffic.start(clients: 6, port: sluice.port, seed: UInt64(round))
          defer {
            traffic.expectTheEnd()
            sluice.kill()
            try? traffic.stop()
          }
          let time = Deadline(seconds: Double.random(in: 1...3))
          let limit = Deadline(seconds: 20)
          while !time.hasPassed || ledger.committed(before: 1).count < 20 && !limit.hasPassed {
            try ledger.look(sluice, traffic)
          }
          #expect(try sluice.metric("sluice_cache_refused_jobs_total") == 0)
          traffic.expectTheEnd()
          try sluice.halt()
          // The last commit itself may be lost, as long as the one before it is there.
          let committed = ledger.committed(before: 1)
          try disk.withCopy { copy in
            settings.cachePath = copy.path + "/cache"
            try expectKept(settings, catalogue, committed)
          }
          #expect(traffic.tally.broken == [] && traffic.tally.wrong == [])
          Soak.report("power cut \(round + 1) of \(rounds): \(committed.count) objects checked")
        }
      }
    }

    /// A gateway on what the power cut left has all that was promised, and serves everything.
    func expectKept(
      _ settings: SluiceProcess.Settings, _ catalogue: Catalogue, _ committed: Set<Int>
    ) throws {
      #expect(committed.count > 5)
      let sluice = try SluiceProcess(settings)
      #expect(!sluice.errors.contains("set aside"))
      _ = try Kills().expectHits(sluice, catalogue, committed.sorted())
      try Kills().expectRight(sluice, catalogue, 0..<catalogue.items.count)
      // What it fetched again is kept like anything else.
      try sluice.settle()
      _ = try Kills().expectHits(sluice, catalogue, Array(catalogue.items.indices))
      #expect(try sluice.stop() == .exited(0))
    }
  }
}
