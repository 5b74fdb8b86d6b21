import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What the cache takes of the disk, and what it does when others take the rest.
  @Suite(.enabled(if: LoopDisk.isAvailable, "\(LoopDisk.whyNot ?? "")")) struct Bounds {
    static let maxSize = 200 << 20
    /// The least that an index has.
    static let indexSize = 64 << 20
    static let segmentSize = 4 << 20

    static func settings(_ upstream: ScriptedUpstream, on disk: LoopDisk) -> SluiceProcess.Settings
    {
      var settings = SluiceProcess.Settings(upstreams: [upstream.port])
      settings.cachePath = disk.path + "/cache"
      settings.maxSize = "200MB"
      settings.sliceSize = "256KB"
      return settings
    }

    /// What was seen of the bounds.
    struct Watch {
      let disk: LoopDisk
      let base: Int
      var most = 0
      var samples = 0

      init(_ disk: LoopDisk) {
        self.disk = disk
        base = disk.space.used
      }

      /// Holds the cache's own number and the file system's against the bound.
      mutating func look(_ sluice: SluiceProcess) throws {
        let numbers = try sluice.metrics()
        let bytes = try #require(numbers["sluice_cache_bytes"])
        #expect(bytes <= Double(maxSize))
        // The index counts whole, though its file has grown to a part of that yet.
        var file = stat()
        stat(disk.path + "/cache/index/data.mdb", &file)
        let taken = disk.space.used - base - Int(file.st_blocks) * 512 + indexSize
        most = max(most, taken)
        samples += 1
        // Folders and what the index grew by between the two looks.
        #expect(taken <= maxSize + (1 << 20))
      }
    }

    @Test func maxSizeIsHard() throws {
      let catalogue = try Catalogue(
        bytes: 10 * Self.maxSize, sizes: 1 << 10...4 << 20, seed: 401)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      let seconds = Soak.pick(6.0, soak: 300.0)
      try LoopDisk.with(bytes: Self.maxSize + (100 << 20)) { disk in
        var watch = Watch(disk)
        let sluice = try SluiceProcess(Self.settings(upstream, on: disk))
        var tallies: [Traffic.Tally] = []
        let loose = Traffic(catalogue)
        try loose.run(seconds: seconds, clients: 8, port: sluice.port, seed: 1, least: 1_000) {
          try watch.look(sluice)
        }
        tallies.append(loose.tally)
        try sluice.settle()
        // And with no byte to spare beside what was promised.
        let ballast = try Ballast(in: disk.path)
        let used = disk.space.used - watch.base
        ballast.grow(leaving: Self.maxSize - used)
        #expect(disk.space.free < Self.maxSize - used + (64 << 10))
        let tight = Traffic(catalogue)
        try tight.run(seconds: seconds, clients: 8, port: sluice.port, seed: 2, least: 1_000) {
          let bytes = try sluice.metric("sluice_cache_bytes")
          #expect(bytes <= Double(Self.maxSize))
        }
        tallies.append(tight.tally)
        for tally in tallies {
          #expect(tally.broken == [] && tally.wrong == [])
          #expect(tally.answers > 100)
        }
        let numbers = try sluice.metrics()
        #expect(try #require(numbers["sluice_cache_evictions_total"]) > 5)
        // The file system may take a moment to free what was unlinked: a job or two meet that.
        let answers = tallies.reduce(0) { $0 + $1.answers }
        let refused = try #require(numbers["sluice_cache_refused_jobs_total"])
        #expect(refused <= Double(answers / 10), "\(refused) of \(answers)")
        #expect(numbers["sluice_cache_write_faults_total"] == 0)
        #expect(watch.samples > Int(seconds) * 5)
        // It also makes use of what it was given.
        #expect(watch.most > Self.maxSize - 4 * Self.segmentSize)
        Soak.report("bounds: \(tallies.map(\.answers)) answers, at most \(watch.most) bytes")
        #expect(try sluice.stop() == .exited(0))
        withExtendedLifetime(ballast) {}
      }
    }

    /// A bound far above what the disk holds: the start says so, and leaves what room there is.
    @Test func aDiskThatIsTooSmallForTheIndex() throws {
      let catalogue = try Catalogue(bytes: 4 << 20, sizes: 1 << 10...1 << 20, seed: 403)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: 200 << 20) { disk in
        var settings = Self.settings(upstream, on: disk)
        settings.maxSize = "10GB"
        let before = disk.space.free
        let sluice = try SluiceProcess(settings)
        #expect(sluice.errors.contains("cache.max_size: 10.0 GiB, and its disk has room for 1"))
        #expect(sluice.errors.contains("no room set aside for the index"))
        #expect(sluice.errors.contains("needed=\"1.2 GiB\""), "\(sluice.errors)")
        #expect(disk.space.free > before - (1 << 20))
        #expect(try Self.keepsAgain(sluice, catalogue, 0..<catalogue.items.count))
        let check = try Outcome.of(
          Program.path, ["check", "--config", sluice.folder.file("gateway.conf")])
        #expect(check.errors.contains("cache.max_size: 10.0 GiB, and its disk has room for 1"))
        #expect(try sluice.stop() == .exited(0))
      }
    }

    // MARK: A disk that others fill

    /// Nothing is there yet, and there is no room for a beginning either.
    @Test func aStartOnAFullDisk() throws {
      let catalogue = try Catalogue(bytes: 8 << 20, sizes: 1 << 10...1 << 20, seed: 404)
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: Self.maxSize + (100 << 20)) { disk in
        let ballast = try Ballast(in: disk.path)
        ballast.grow()
        let sluice = try SluiceProcess(Self.settings(upstream, on: disk))
        #expect(sluice.errors.contains("the cache cannot be opened"))
        #expect(try sluice.metric("sluice_cache_open") == 0)
        for index in 0..<8 {
          let answer = try sluice.request(catalogue.items[index].path)
          #expect(answer.status == 200 && catalogue.isRight(answer.body, index))
        }
        ballast.clear()
        #expect(try Self.keepsAgain(sluice, catalogue, 8..<catalogue.items.count))
        #expect(try sluice.metric("sluice_cache_open") == 1)
        #expect(sluice.errors.contains("the cache is in use again"))
        #expect(try sluice.stop() == .exited(0))
      }
    }

    /// Asks for items that nobody asked for before, until one of them is kept.
    static func keepsAgain(
      _ sluice: SluiceProcess, _ catalogue: Catalogue, _ items: Range<Int>,
      within seconds: Double = 60
    ) throws -> Bool {
      var next = items.lowerBound
      return try eventually(within: seconds) {
        defer {
          next = min(next + 1, items.upperBound - 1)
          usleep(100_000)
        }
        let path = catalogue.items[next].path
        let first = try sluice.request(path)
        guard first.status == 200, catalogue.isRight(first.body, next) else {
          throw TestFailure("\(path): \(first.status)")
        }
        // A commit ends its fill; until then the fill itself would be the hit.
        let isCommitted = try eventually(within: 2) {
          try sluice.metric("sluice_fills_in_flight") == 0
        }
        guard isCommitted else { return false }
        let second = try sluice.request(path, [("Cache-Control", "only-if-cached")])
        guard second.status == 200 else { return false }
        #expect(second.cacheStatus == "HIT" && catalogue.isRight(second.body, next))
        return true
      }
    }

    static let takesNothing = "takes nothing"
    static let isFull = "the disk is full: "

    /// A disk that is full before the cache has anything, and one that fills up under it.
    @Test(arguments: [false, true]) func aFullDiskFailsNoAnswer(isFilledBefore: Bool) throws {
      let catalogue = try Catalogue(
        bytes: Self.maxSize, sizes: 1 << 10...1 << 20, seed: 402)
      let count = catalogue.items.count
      let upstream = try catalogue.upstream()
      defer { upstream.stop() }
      try LoopDisk.with(bytes: Self.maxSize + (100 << 20)) { disk in
        let sluice = try SluiceProcess(Self.settings(upstream, on: disk))
        if isFilledBefore {
          let before = Traffic(catalogue, items: 0..<count / 2)
          try before.run(seconds: 1.5, clients: 4, port: sluice.port, seed: 3)
          #expect(before.tally.broken == [] && before.tally.wrong == [])
          try sluice.settle()
        }
        let ballast = try Ballast(in: disk.path)
        ballast.hold()
        let during = Traffic(catalogue, items: 0..<count / 2)
        try during.run(
          seconds: Soak.pick(3, soak: 60), clients: 4, port: sluice.port, seed: 4, least: 50)
        #expect(during.tally.broken == [] && during.tally.wrong == [])
        #expect(during.tally.answers > 50)
        #expect(during.tally.slowestHead < 10)
        let whatItDoes = isFilledBefore ? "older content makes room" : "answers are given without"
        #expect(sluice.errors.contains(Self.isFull + whatItDoes))
        #expect(!sluice.errors.contains(Self.takesNothing))
        if !isFilledBefore {
          let refused = try sluice.metric("sluice_cache_refused_jobs_total")
          #expect(refused > 0)
          let stats = try Outcome.of(
            Program.path, ["stats", "--admin", "127.0.0.1:\(sluice.adminPort)"])
          #expect(stats.text.contains("refused"), "\(stats.text) \(stats.errors)")
          ballast.clear()
          #expect(try Self.keepsAgain(sluice, catalogue, count / 2..<count))
          #expect(sluice.errors.contains("the disk has room again"))
        }
        ballast.clear()
        #expect(try Self.keepsAgain(sluice, catalogue, count / 2..<count))
        // Once, and again where it got worse; never for each answer.
        #expect(sluice.errors.components(separatedBy: Self.isFull).count <= 6)
        let after = Traffic(catalogue)
        try after.run(seconds: 1, clients: 4, port: sluice.port, seed: 5)
        #expect(after.tally.broken == [] && after.tally.wrong == [])
        #expect(try sluice.stop() == .exited(0))
      }
    }
  }
}
