import Base
import Foundation
import System
import Testing

@testable import Cache

@Suite(.serialized) struct DiskStorageTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func open(segments: Int = 4) throws -> DiskStorage {
    try DiskStorage(folder.options(segments: segments), wallSeconds: wall)
  }

  /// Stores a body of one slice under a text key.
  func store(_ disk: DiskStorage, _ text: String, _ body: [UInt8], _ heard: Heard? = nil) {
    let record = disk.newRecord(text, body.count)
    let key = disk.text(text)
    #expect(disk.submit(.put(key: key, record: record, heard?.note(text))))
    let buffer = SliceBuffer(body)
    #expect(
      disk.submit(
        .slice(key: key, stamp: record.stamp, index: 0, buffer, heard?.note(text + " slice"))))
  }

  @Test func storesCommitsAndServesTheNextLife() throws {
    var random = SeededRandom(seed: 10)
    let small = randomBytes(1000, &random)
    let large = randomBytes(300_000, &random)
    let heard = Heard()
    do {
      let disk = try open()
      store(disk, "a", small, heard)
      store(disk, "b", large, heard)
      while disk.counters.snapshot.queuedBytes > 0 { _ = disk.step(now: .zero, wallSeconds: wall) }
      // The small body was gathered, and written with or before the large one.
      #expect(heard.all == ["a slice written", "b slice written"])
      #expect(!disk.step(now: Instant.zero + .milliseconds(199), wallSeconds: wall))
      #expect(disk.step(now: Instant.zero + .milliseconds(200), wallSeconds: wall))
      #expect(
        heard.all.suffix(4) == [
          "a committed", "a slice committed", "b committed", "b slice committed",
        ])
      #expect(disk.counters.snapshot.entries == 2)
    }
    // Without a close: as after kill -9.
    let disk = try open()
    for (text, body) in [("a", small), ("b", large)] {
      let record = try #require(try disk.record(disk.text(text)))
      #expect(record.key == Array(text.utf8))
      let stored = try #require(try disk.bytes(of: record.slices[0], body.count))
      #expect(stored == body)
      #expect(stored.checksum == record.slices[0].checksum)
    }
    // Its open segment was sealed: what comes goes to another.
    store(disk, "c", small)
    disk.settle()
    #expect(try disk.record(disk.text("c"))?.slices[0].segment == 2)
  }

  @Test func anOrderlyEndLetsTheSegmentGoOn() throws {
    for life in 0..<3 {
      let disk = try open()
      store(disk, "\(life)", [1, 2, 3])
      disk.stop()
      #expect(!disk.submit(.flush(nil)))
      #expect(disk.setAside == nil)
    }
    let disk = try open()
    for life in 0..<3 {
      let slice = try disk.record(disk.text("\(life)"))?.slices[0]
      #expect(slice?.segment == 1 && slice?.offset == UInt32(3 * life))
    }
  }

  @Test func strangersAreDeletedAndLostFilesDropped() throws {
    do {
      let disk = try open()
      store(disk, "a", [1])
      disk.settle()
    }
    try Folder.remove(file: folder.path + "/cache/segments/00000001.seg")
    _ = try File(path: folder.path + "/cache/segments/000000AA.seg", .createNew)
    let disk = try open()
    #expect(folder.segmentFiles.isEmpty)
    let key = disk.text("a")
    let slice = try #require(try disk.record(key)?.slices[0])
    #expect(try disk.pin(slice.segment) == nil)
    disk.settle()
    #expect(try disk.record(key) == nil)
    #expect(disk.counters.snapshot.entries == 0)
  }

  @Test func usageNeverExceedsTheBoundAndOldKeysGo() throws {
    var random = SeededRandom(seed: 11)
    let disk = try open(segments: 3)
    var last = ""
    for number in 0..<60 {
      last = "\(number)"
      store(disk, last, randomBytes(random.number(in: 1...600_000), &random))
      disk.settle(now: .zero + .seconds(number))
      let counts = disk.counters.snapshot
      #expect(counts.bytesUsed <= disk.options.maxSize)
      #expect(folder.segmentFiles.count <= 3)
    }
    let counts = disk.counters.snapshot
    #expect(counts.evictions > 1 && counts.refusals == 0)
    #expect(counts.entries < 60)
    #expect(try disk.record(disk.text("0")) == nil)
    #expect(try disk.record(disk.text(last)) != nil)
    // What the index still has can be read.
    var found = 0
    for number in 0..<60 {
      guard let record = try disk.record(disk.text("\(number)")) else { continue }
      let body = try #require(try disk.bytes(of: record.slices[0], record.totalBytes))
      #expect(body.checksum == record.slices[0].checksum)
      found += 1
    }
    #expect(found == counts.entries)
  }

  @Test func aPinnedSegmentCountsUntilItIsReleased() throws {
    let disk = try open(segments: 2)
    let body = [UInt8](repeating: 9, count: 1_000_000)
    store(disk, "a", body)
    disk.settle()
    let slice = try #require(try disk.record(disk.text("a"))?.slices[0])
    let pin = try #require(try disk.pin(slice.segment))
    let heard = Heard()
    // With one of two segments pinned, the other alone has to turn over.
    for number in 0..<20 { store(disk, "\(number)", body, heard) }
    disk.settle()
    #expect(disk.counters.snapshot.bytesUsed <= disk.options.maxSize)
    #expect(try disk.pin(slice.segment) == nil)
    var read = [UInt8](repeating: 0, count: body.count)
    let got = read.withUnsafeMutableBytes {
      disk.readNow(pin, at: Int(slice.offset), into: $0)
    }
    #expect(got == .bytes(body.count) && read == body)
    disk.unpin(pin)
    store(disk, "last", body)
    disk.settle(now: .zero + .seconds(30))
    #expect(try disk.record(disk.text("last"))?.slices[0].isAbsent == false)
  }

  @Test func anUnusableFolderIsAFault() throws {
    _ = try File(path: folder.path + "/cache", .createNew)
    #expect(throws: Fault(.io, .disk, errno: ENOTDIR)) { _ = try open() }
    #expect(throws: Fault(.malformed, .own)) { _ = try open(segments: 1) }
  }

  @Test func aFailingDiskFailsTheJobsAndTheWriterGoesOn() throws {
    let disk = try open()
    let heard = Heard()
    // The next segment's name is taken, by a folder: a new file cannot be made.
    try Folder.create(folder.path + "/cache/segments/00000001.seg")
    store(disk, "a", [1], heard)
    disk.settle()
    #expect(heard.all == ["a disk_io"] + ["a slice written", "a slice committed"])
    #expect(disk.counters.snapshot.writeFaults == 1)
    store(disk, "b", [1, 2], heard)
    disk.settle(now: .zero + .seconds(9))
    #expect(heard.all.last == "b slice committed")
    #expect(try disk.record(disk.text("a")) == nil)
    #expect(try disk.record(disk.text("b")) != nil)
  }

  @Test func largeObjectsKeepTheirSlicesInBlocks() throws {
    let disk = try DiskStorage(
      folder.options(segments: 8, sliceSize: 64 << 10), wallSeconds: wall)
    let key = disk.text("video")
    let record = disk.newRecord("video", 200 * (64 << 10))
    #expect(disk.submit(.put(key: key, record: record, nil)))
    for index in [0, 63, 64, 199, 200] {
      let buffer = SliceBuffer([UInt8](repeating: UInt8(index), count: 64 << 10))
      #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: index, buffer, nil)))
    }
    disk.settle()
    let reader = try disk.reader()
    func slice(_ index: Int, stamp: UInt64) throws -> Slice {
      try reader.slices(key, block: UInt32(index / 64)) {
        SliceBlock.slice(index % 64, stamp: stamp, in: $0)
      } ?? .absent
    }
    for index in [0, 63, 64, 199] {
      let bytes = try disk.bytes(of: try slice(index, stamp: record.stamp), 64 << 10)
      #expect(bytes == [UInt8](repeating: UInt8(index), count: 64 << 10))
    }
    #expect(try slice(1, stamp: record.stamp).isAbsent)
    #expect(try slice(200, stamp: record.stamp).isAbsent)
    let bad = try slice(63, stamp: record.stamp)
    #expect(disk.submit(.drop(key: key, stamp: record.stamp, index: 63, bad)))
    #expect(disk.submit(.drop(key: key, stamp: record.stamp, index: 64, bad)))
    disk.settle()
    reader.endTurn()
    #expect(try slice(63, stamp: record.stamp).isAbsent)
    #expect(try !slice(64, stamp: record.stamp).isAbsent)
    // Another record takes the blocks away.
    #expect(disk.submit(.put(key: key, record: disk.newRecord("video", 5), nil)))
    disk.settle()
    reader.endTurn()
    #expect(try reader.slices(key, block: 0) { _ in true } == nil)
  }

  @Test func theThreadDoesWhatStepsDo() throws {
    let disk = try open()
    try disk.start()
    let heard = Heard()
    for number in 0..<50 { store(disk, "\(number)", [UInt8](repeating: 1, count: 9000), heard) }
    let isDone = Monitor(false)
    #expect(
      disk.submit(
        .flush { _ in
          isDone.with { $0 = true }
          isDone.signal()
        }))
    #expect(isDone.wait(until: Clock.now + .seconds(20)) { $0 ? true : nil } == true)
    #expect(heard.all.filter { $0.hasSuffix("slice committed") }.count == 50)
    disk.stop()
    disk.stop()
    #expect(disk.counters.snapshot.entries == 50)
    #expect(disk.counters.snapshot.queuedBytes == 0)
  }

  @Test func theQueueHasABound() throws {
    var options = folder.options(segments: 4)
    options.queueBytes = 3 << 20
    let disk = try DiskStorage(options, wallSeconds: wall)
    func job() -> WriteJob {
      .slice(
        key: Digest128(first: 1, second: 1), stamp: 1, index: 0, SliceBuffer(capacity: 1 << 20),
        nil)
    }
    #expect(disk.submit(job()) && disk.submit(job()) && disk.submit(job()))
    #expect(!disk.submit(job()))
    #expect(disk.step(now: .zero, wallSeconds: wall))
    #expect(disk.submit(job()))
  }

  @Test func whatTakesContentAwayPassesAFullQueue() throws {
    var options = folder.options(segments: 4)
    options.queueBytes = 1 << 20
    let disk = try DiskStorage(options, wallSeconds: wall)
    let key = Digest128(first: 1, second: 1)
    let slice = SliceBuffer(capacity: 1 << 20)
    #expect(disk.submit(.slice(key: key, stamp: 1, index: 0, slice, nil)))
    #expect(!disk.submit(.put(key: key, record: disk.newRecord("a", 1), nil)))
    #expect(disk.submit(.flush(nil)) && disk.submit(.erase([], nil)))
    #expect(disk.submit(.remove(key: key, nil)) && disk.submit(.unlist(keys: [key]) { _ in }))
    // It has a bound of its own.
    var taken = 4
    while taken < 100_000, disk.submit(.flush(nil)) { taken += 1 }
    #expect(taken == WriteQueue.smallLimit)
    #expect(disk.step(now: .zero, wallSeconds: wall) && disk.step(now: .zero, wallSeconds: wall))
    #expect(disk.submit(.flush(nil)) && !disk.submit(.flush(nil)))
    disk.settle()
    #expect(disk.counters.snapshot.queuedBytes == 0)
  }

  /// Two jobs and one wake-up, long before the writer looks by itself.
  ///
  /// A wake-up that is lost is lost each time, while a disk that is slow for once is not slow three times.
  @Test func announcedJobsReachAWriterThatSleeps() throws {
    let disk = try open()
    try disk.start()
    defer { disk.stop() }
    let heard = Heard()
    func flush(isAnnounced: Bool) -> Monitor<Bool> {
      let done = Monitor(false)
      let job = WriteJob.flush { _ in
        done.with { $0 = true }
        done.signal()
      }
      #expect(disk.submit(job, isAnnounced: isAnnounced))
      return done
    }
    func isDone(_ done: Monitor<Bool>, within interval: Interval) -> Bool {
      done.wait(until: Clock.now + interval) { $0 ? true : nil } == true
    }
    let isPrompt = (0..<3).contains { _ in
      // Once it has nothing to do it goes to sleep, for a second.
      #expect(isDone(flush(isAnnounced: false), within: .seconds(60)))
      usleep(50_000)
      let record = disk.newRecord("quiet", 5)
      let put = WriteJob.put(key: disk.text("quiet"), record: record, heard.note("put"))
      #expect(disk.submit(put, isAnnounced: true))
      let done = flush(isAnnounced: true)
      disk.announce()
      return isDone(done, within: .milliseconds(800))
    }
    #expect(isPrompt)
  }
}
