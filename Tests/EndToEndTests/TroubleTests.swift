import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Disks that break under the running gateway: no answer fails, and what can heal does so by itself.
  @Suite(.enabled(if: LoopDisk.isAvailable, "\(LoopDisk.whyNot ?? "")")) struct Troubles {
    static func catalogue(_ seed: UInt64) throws -> Catalogue {
      try Catalogue(bytes: 60 << 20, sizes: 1 << 10...1 << 20, seed: seed)
    }

    static func run(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ items: Range<Int>, seconds: Double,
      seed: UInt64
    ) throws -> Traffic.Tally {
      let traffic = Traffic(catalogue, items: items)
      try traffic.run(seconds: seconds, clients: 6, port: sluice.port, seed: seed, least: 20)
      #expect(traffic.tally.broken == [] && traffic.tally.wrong == [])
      #expect(traffic.tally.answers > 20)
      return traffic.tally
    }

    /// How often the disk refused something.
    static func refusals(_ sluice: SluiceProcess) throws -> Double {
      try sluice.metric("sluice_cache_refused_jobs_total")
    }

    // MARK: Read-only

    @Test func aDiskThatBecomesReadOnly() throws {
      let catalogue = try Self.catalogue(601)
      let count = catalogue.items.count
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: 400 << 20) { disk in
        let sluice = try SluiceProcess(Bounds.settings(upstream, on: disk))
        _ = try Self.run(sluice, catalogue, 0..<count / 2, seconds: 1, seed: 1)
        try sluice.settle()
        try disk.abort()
        let tally = try Self.run(
          sluice, catalogue, 0..<count, seconds: Soak.pick(3, soak: 30), seed: 2)
        // What was kept can still be read.
        #expect(tally.hits > 0)
        #expect(tally.slowestHead < 10)
        #expect(try Self.refusals(sluice) > 0)
        #expect(sluice.errors.contains(Bounds.takesNothing))
        #expect(try sluice.stop() == .exited(0))
      }
    }

    /// Nothing of the cache has been read in this life, and nobody else has what it holds.
    @Test func whatAReadOnlyDiskHoldsIsGivenWithoutAnyUpstream() throws {
      let catalogue = try Catalogue(bytes: 8 << 20, sizes: 1 << 10...1 << 20, seed: 605)
      let upstream = try catalogue.upstream()
      try LoopDisk.with(bytes: 400 << 20) { disk in
        let sluice = try SluiceProcess(Bounds.settings(upstream, on: disk))
        for index in catalogue.items.indices {
          #expect(try sluice.request(catalogue.items[index].path).status == 200)
        }
        try sluice.settle()
        #expect(try sluice.stop() == .exited(0))
        try sluice.startAgain()
        upstream.stop()
        try disk.abort()
        for index in catalogue.items.indices {
          let answer = try sluice.request(catalogue.items[index].path)
          #expect(answer.cacheStatus == "HIT" && catalogue.isRight(answer.body, index))
        }
        #expect(try sluice.stop() == .exited(0))
      }
    }

    // MARK: Standing still

    @Test func aDiskThatStandsStill() throws {
      let catalogue = try Self.catalogue(602)
      let count = catalogue.items.count
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: 400 << 20) { disk in
        let sluice = try SluiceProcess(Bounds.settings(upstream, on: disk))
        _ = try Self.run(sluice, catalogue, 0..<count / 3, seconds: 1, seed: 1)
        try sluice.settle()
        try disk.freeze()
        do {
          // Old and new objects, while every write waits.
          let tally = try Self.run(
            sluice, catalogue, 0..<count / 3 * 2, seconds: Soak.pick(4, soak: 30), seed: 2)
          #expect(tally.hits > 0)
          // A second's patience with the writer, and what a debug build on a busy machine takes.
          #expect(tally.slowestHead < 10)
        } catch {
          try disk.unfreeze()
          throw error
        }
        try disk.unfreeze()
        #expect(try Bounds.keepsAgain(sluice, catalogue, count / 3 * 2..<count))
        #expect(try sluice.stop() == .exited(0))
      }
    }

    // MARK: Errors of the device

    /// The device below takes no more writes: the file system learns of it when it writes back.
    @Test func aDeviceThatFailsAndHeals() throws {
      let catalogue = try Self.catalogue(603)
      let count = catalogue.items.count
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: 200 << 20) { below in
        try LoopDisk.with(
          bytes: 1 << 30, in: below.path, options: "errors=continue", hasJournal: false
        ) { disk in
          let sluice = try SluiceProcess(Bounds.settings(upstream, on: disk))
          _ = try Self.run(sluice, catalogue, 0..<count / 4, seconds: 1, seed: 1)
          try sluice.settle()
          let ballast = try Ballast(in: below.path)
          ballast.hold()
          _ = try Self.run(
            sluice, catalogue, 0..<count / 2, seconds: Soak.pick(4, soak: 30), seed: 2)
          #expect(try Self.refusals(sluice) > 0)
          #expect(try sluice.metric("sluice_cache_write_faults_total") > 0)
          #expect(sluice.errors.contains(Bounds.takesNothing))
          ballast.clear()
          #expect(try Bounds.keepsAgain(sluice, catalogue, count / 2..<count))
          _ = try Self.run(sluice, catalogue, 0..<count, seconds: 1, seed: 3)
          #expect(try sluice.stop() == .exited(0))
        }
      }
    }

    // MARK: A folder that goes

    @Test func aFolderThatIsRemoved() throws {
      let catalogue = try Self.catalogue(604)
      let count = catalogue.items.count
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      _ = try Self.run(sluice, catalogue, 0..<count / 4, seconds: 1, seed: 1)
      try sluice.settle()
      let folder = sluice.folder.file("cache")
      try FileManager.default.removeItem(atPath: folder)
      _ = try Self.run(
        sluice, catalogue, 0..<count / 2, seconds: Soak.pick(3, soak: 30), seed: 2)
      // Kept in the sense that a restart finds it, not in files that have no name any more.
      let isThere = try eventually {
        _ = try Bounds.keepsAgain(sluice, catalogue, count / 2..<count / 4 * 3)
        return FileManager.default.fileExists(atPath: folder + "/index/data.mdb")
      }
      #expect(isThere)
      #expect(sluice.errors.contains(" warning ") || sluice.errors.contains(" error "))
      #expect(try Bounds.keepsAgain(sluice, catalogue, count / 4 * 3..<count))
      let entries = try sluice.metric("sluice_cache_entries")
      #expect(try sluice.stop() == .exited(0))
      try sluice.startAgain()
      #expect(try sluice.metric("sluice_cache_entries") == entries && entries > 0)
    }
  }
}
