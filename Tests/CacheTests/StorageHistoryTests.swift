import Base
import System
import Testing

@testable import Cache

/// Storage held against a plain dictionary: random jobs, and what the index says afterwards.
@Suite struct StorageHistoryTests {
  struct Object {
    var stamp: UInt64
    var total: Int
    /// Slices by index: their checksums.
    var slices: [Int: UInt64] = [:]
  }

  /// Nothing but what was put is found, and all of it while nothing has been evicted.
  @Test(arguments: [UInt64](1...4)) func findsWhatWasPut(seed: UInt64) throws {
    let folder = try TemporaryFolder()
    let disk = try DiskStorage(
      folder.options(segments: seed.isMultiple(of: 2) ? 2 : 40, sliceSize: 64 << 10),
      wallSeconds: wall)
    var random = SeededRandom(seed: seed)
    var model: [String: Object] = [:]
    for round in 0..<300 {
      #expect(disk.submit(job("key \(random.number(in: 0...11))", &model, disk, &random)))
      if random.chance(0.1) || round == 299 {
        disk.settle()
        try compare(model, disk)
      }
    }
    #expect((disk.counters.snapshot.evictions > 0) == seed.isMultiple(of: 2))
  }

  private func job(
    _ text: String, _ model: inout [String: Object], _ disk: DiskStorage,
    _ random: inout SeededRandom
  ) -> WriteJob {
    let draw = random.number(in: 0...99)
    let key = disk.text(text)
    guard let known = model[text], draw >= 10 else {
      let total = random.chance(0.4) ? random.number(in: 0...60_000) : (64 << 10) << (draw % 7)
      let record = disk.newRecord(text, total)
      model[text] = Object(stamp: record.stamp, total: total)
      return .put(key: key, record: record, nil)
    }
    if draw < 13 {
      model[text] = nil
      return .remove(key: key, nil)
    }
    if draw < 20 { return .flush(nil) }
    let count = Record.sliceCount(totalBytes: known.total, shift: 16)
    let index = random.number(in: 0...count)
    let body = randomBytes(max(1, min(64 << 10, known.total - (index << 16))), &random)
    // One beyond the object's end is taken and forgotten.
    if index < count { model[text]?.slices[index] = body.checksum }
    return .slice(key: key, stamp: known.stamp, index: index, SliceBuffer(body), nil)
  }

  private func compare(_ model: [String: Object], _ disk: DiskStorage) throws {
    let reader = try disk.reader()
    defer { reader.endTurn() }
    let counts = disk.counters.snapshot
    #expect(counts.bytesUsed <= disk.options.maxSize)
    if counts.evictions == 0 { #expect(counts.entries == model.count) }
    for number in 0...11 {
      let key = disk.text("key \(number)")
      let record = try reader.lookUp(key) { Record($0) } ?? nil
      guard let known = model["key \(number)"] else {
        #expect(record == nil)
        continue
      }
      guard let record else {
        #expect(counts.evictions > 0)
        continue
      }
      #expect(record.stamp == known.stamp && record.totalBytes == known.total)
      for index in 0..<record.sliceCount {
        let slice = try slice(index, of: record, key, reader)
        let size = min(64 << 10, known.total - (index << 16))
        let stored = try disk.bytes(of: slice, size)
        if let stored { #expect(stored.checksum == known.slices[index]) }
        if counts.evictions == 0 { #expect((stored == nil) == (known.slices[index] == nil)) }
      }
    }
  }

  private func slice(
    _ index: Int, of record: Record, _ key: Digest128, _ reader: IndexReader
  ) throws -> Slice {
    if !record.isLarge { return record.slices[index] }
    let (block, place) = index.quotientAndRemainder(dividingBy: SliceBlock.slices)
    return try reader.slices(key, block: UInt32(block)) {
      SliceBlock.slice(place, stamp: record.stamp, in: $0)
    } ?? .absent
  }
}
