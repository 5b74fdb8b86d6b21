import Base
import System
import Testing

@testable import Cache

@Suite struct MemoryStorageTests {
  /// The same random jobs leave the same records and bytes in both kinds of storage.
  @Test(arguments: [UInt64](1...3)) func agreesWithTheDisk(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    let options = folder.options(segments: 2, sliceSize: 64 << 10)
    let disk = try DiskStorage(options, wallSeconds: wall)
    let memory = MemoryStorage(options, seed: seed)
    var random = SeededRandom(seed: seed)
    var stamps: [String: (disk: UInt64, memory: UInt64, total: Int)] = [:]
    let keys = (0..<12).map { "key \($0)" }
    for _ in 0..<300 {
      let text = keys[random.number(in: 0...11)]
      let draw = random.number(in: 0...99)
      let (forDisk, forMemory) = jobs(draw, text, &stamps, disk, memory, &random)
      #expect(disk.submit(forDisk) && memory.submit(forMemory))
      if random.chance(0.1) {
        disk.settle()
        while memory.step() {}
        try compare(keys, disk, memory)
      }
    }
    disk.settle()
    while memory.step() {}
    try compare(keys, disk, memory)
    #expect(memory.counters.snapshot.evictions > 0)
    #expect(memory.counters.snapshot.bytesUsed <= options.maxSize)
  }

  private func jobs(
    _ draw: Int, _ text: String,
    _ stamps: inout [String: (disk: UInt64, memory: UInt64, total: Int)],
    _ disk: DiskStorage, _ memory: MemoryStorage, _ random: inout SeededRandom
  ) -> (WriteJob, WriteJob) {
    let (onDisk, inMemory) = (Storage.disk(disk), Storage.memory(memory))
    let (first, second) = (onDisk.text(text), inMemory.text(text))
    guard let known = stamps[text], draw >= 10 else {
      let total = random.chance(0.4) ? random.number(in: 0...60_000) : (64 << 10) << (draw % 7)
      let (one, two) = (onDisk.newRecord(text, total), inMemory.newRecord(text, total))
      stamps[text] = (one.stamp, two.stamp, total)
      return (.put(key: first, record: one, nil), .put(key: second, record: two, nil))
    }
    if draw < 13 {
      stamps[text] = nil
      return (.remove(key: first, nil), .remove(key: second, nil))
    }
    if draw < 20 { return (.flush(nil), .flush(nil)) }
    let slices = Record.sliceCount(totalBytes: known.total, shift: 16)
    let index = random.number(in: 0...slices)
    let body = randomBytes(max(1, min(64 << 10, known.total - (index << 16))), &random)
    return (
      .slice(key: first, stamp: known.disk, index: index, SliceBuffer(body), nil),
      .slice(key: second, stamp: known.memory, index: index, SliceBuffer(body), nil)
    )
  }

  private func compare(_ keys: [String], _ disk: DiskStorage, _ memory: MemoryStorage) throws {
    let (onDisk, inMemory) = (Storage.disk(disk), Storage.memory(memory))
    let one = try onDisk.reader()
    let two = try inMemory.reader()
    for text in keys {
      let (first, second) = (onDisk.text(text), inMemory.text(text))
      let left = try one.lookUp(first) { Record($0) } ?? nil
      let right = try two.lookUp(second) { Record($0) } ?? nil
      #expect(left?.totalBytes == right?.totalBytes)
      #expect(left?.slices == right?.slices)
      guard let left, left.isLarge else { continue }
      for block in 0..<UInt32((left.sliceCount + 63) / 64) {
        let blocks = (
          try one.slices(first, block: block) { SliceBlock($0)?.slices } ?? nil,
          try two.slices(second, block: block) { SliceBlock($0)?.slices } ?? nil
        )
        #expect(blocks.0 == blocks.1)
        for slice in blocks.0 ?? [] where !slice.isAbsent {
          #expect(try onDisk.bytes(of: slice, 100) == inMemory.bytes(of: slice, 100))
        }
      }
    }
    #expect(disk.counters.snapshot.entries == memory.counters.snapshot.entries)
    one.endTurn()
    two.endTurn()
  }

  @Test func troubleIsReportedAsTheDiskWould() throws {
    let memory = MemoryStorage(
      CacheOptions(path: "", maxSize: 100 << 20), seed: 1)
    memory.failNextWrites = 1
    let heard = Heard()
    let storage = Storage.memory(memory)
    let key = storage.text("a")
    let record = storage.newRecord("a", 3)
    #expect(storage.submit(.put(key: key, record: record, heard.note("put"))))
    #expect(storage.submit(.put(key: key, record: record, heard.note("again"))))
    #expect(
      storage.submit(
        .slice(key: key, stamp: record.stamp, index: 0, SliceBuffer([1, 2, 3]), heard.note("s"))))
    while memory.step() {}
    #expect(heard.all == ["put disk_exhausted", "s written", "again committed", "s committed"])
    let slice = try #require(heard.written.first)
    #expect(try storage.bytes(of: slice, 3) == [1, 2, 3])
    #expect(try storage.pin(99) == nil)
  }
}
