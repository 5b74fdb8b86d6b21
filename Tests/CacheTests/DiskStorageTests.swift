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
    let storage = Storage.disk(disk)
    let record = storage.newRecord(text, body.count)
    let key = storage.text(text)
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
    let storage = Storage.disk(disk)
    for (text, body) in [("a", small), ("b", large)] {
      let record = try #require(try disk.record(storage.text(text)))
      #expect(record.key == Array(text.utf8))
      let stored = try #require(try storage.bytes(of: record.slices[0], body.count))
      #expect(stored == body)
      #expect(stored.checksum == record.slices[0].checksum)
    }
    // Its open segment was sealed: what comes goes to another.
    store(disk, "c", small)
    disk.settle()
    #expect(try disk.record(storage.text("c"))?.slices[0].segment == 2)
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
      let slice = try disk.record(Storage.disk(disk).text("\(life)"))?.slices[0]
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
    let key = Storage.disk(disk).text("a")
    let slice = try #require(try disk.record(key)?.slices[0])
    #expect(try Storage.disk(disk).pin(slice.segment) == nil)
    disk.settle()
    #expect(try disk.record(key) == nil)
    #expect(disk.counters.snapshot.entries == 0)
  }

  @Test func usageNeverExceedsTheBoundAndOldKeysGo() throws {
    var random = SeededRandom(seed: 11)
    let disk = try open(segments: 3)
    let storage = Storage.disk(disk)
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
    #expect(try disk.record(storage.text("0")) == nil)
    #expect(try disk.record(storage.text(last)) != nil)
    // What the index still has can be read.
    var found = 0
    for number in 0..<60 {
      guard let record = try disk.record(storage.text("\(number)")) else { continue }
      let body = try #require(try storage.bytes(of: record.slices[0], record.totalBytes))
      #expect(body.checksum == record.slices[0].checksum)
      found += 1
    }
    #expect(found == counts.entries)
  }

  @Test func aPinnedSegmentCountsUntilItIsReleased() throws {
    let disk = try open(segments: 2)
    let storage = Storage.disk(disk)
    let body = [UInt8](repeating: 9, count: 1_000_000)
    store(disk, "a", body)
    disk.settle()
    let slice = try #require(try disk.record(storage.text("a"))?.slices[0])
    let pin = try #require(try storage.pin(slice.segment))
    let heard = Heard()
    // With one of two segments pinned, the other alone has to turn over.
    for number in 0..<20 { store(disk, "\(number)", body, heard) }
    disk.settle()
    #expect(disk.counters.snapshot.bytesUsed <= disk.options.maxSize)
    #expect(try storage.pin(slice.segment) == nil)
    var read = [UInt8](repeating: 0, count: body.count)
    let got = read.withUnsafeMutableBytes {
      storage.readNow(pin, at: Int(slice.offset), into: $0)
    }
    #expect(got == .bytes(body.count) && read == body)
    storage.unpin(pin)
    store(disk, "last", body)
    disk.settle(now: .zero + .seconds(30))
    #expect(try disk.record(storage.text("last"))?.slices[0].isAbsent == false)
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
    #expect(try disk.record(Storage.disk(disk).text("a")) == nil)
    #expect(try disk.record(Storage.disk(disk).text("b")) != nil)
  }

  @Test func largeObjectsKeepTheirSlicesInBlocks() throws {
    let disk = try DiskStorage(
      folder.options(segments: 8, sliceSize: 64 << 10), wallSeconds: wall)
    let storage = Storage.disk(disk)
    let key = storage.text("video")
    let record = storage.newRecord("video", 200 * (64 << 10))
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
      let bytes = try storage.bytes(of: try slice(index, stamp: record.stamp), 64 << 10)
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
    #expect(disk.submit(.put(key: key, record: storage.newRecord("video", 5), nil)))
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
}
