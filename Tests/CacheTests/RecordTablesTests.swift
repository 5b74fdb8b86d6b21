import Base
import Testing

@testable import Cache

@Suite struct ForgettingTests {
  func name(_ key: Digest128, _ block: UInt32 = SegmentEntry.inRecord) -> SegmentEntry {
    SegmentEntry(key: key, block: block)
  }

  func record(_ totalBytes: Int, home: UInt32) -> Record {
    var record = Record(
      key: [1], stamp: 1, status: 200, totalBytes: totalBytes, sliceShift: 16, created: 0)
    record.home = home
    return record
  }

  /// Segments are gone up to the one that leaves, as when the oldest goes first.
  func forget(
    _ entry: SegmentEntry, segment: UInt32, in tables: inout MemoryTables
  ) throws {
    let moving = try tables.leave(entry, segment: segment, isGone: { $0 <= segment }) { _, _ in
      false
    }
    #expect(moving.isEmpty)
  }

  @Test func whatIsNoRecordGoesWithItsName() throws {
    var tables = MemoryTables()
    let key = Digest128(first: 1, second: 2)
    tables.records[key] = [1, 2, 3]
    tables.blocks[key] = [0: [4]]
    try forget(name(key), segment: 1, in: &tables)
    try forget(name(key, 0), segment: 1, in: &tables)
    #expect(tables.records[key] == nil && tables.blocks[key] == nil)
    tables.records[key] = [1, 2, 3]
    tables.blocks[key] = [0: [4]]
    try tables.removeObject(key)
    #expect(tables.records[key] == nil && tables.blocks[key] == nil)
  }

  /// Else the writer would remove it for ever.
  @Test(arguments: [false, true]) func aBlockThatStaysIsDamage(hasRecord: Bool) throws {
    var tables = MemoryTables()
    let key = Digest128(first: 1, second: 2)
    if hasRecord { try tables.put(record(2_000_000, home: 1), key) }
    tables.blocks[key] = [0: [4], 3: [5]]
    tables.keepsBlocks = true
    #expect(throws: Fault(.corrupt, .disk)) { try tables.removeObject(key) }
  }

  @Test func aRecordPutAgainSurvivesItsOldHome() throws {
    var tables = MemoryTables()
    let key = Digest128(first: 1, second: 2)
    try tables.put(record(10, home: 5), key)
    try forget(name(key), segment: 4, in: &tables)
    #expect(try tables.record(key) != nil)
    try forget(name(key), segment: 5, in: &tables)
    #expect(try tables.record(key) == nil)
  }

  @Test func slicesElsewhereKeepTheRecord() throws {
    var tables = MemoryTables()
    let key = Digest128(first: 1, second: 2)
    var two = record(100_000, home: 1)
    two.slices = [
      Slice(segment: 1, offset: 0, checksum: 1), Slice(segment: 2, offset: 0, checksum: 1),
    ]
    try tables.put(two, key)
    try forget(name(key), segment: 1, in: &tables)
    #expect(try tables.record(key)?.slices.map(\.segment) == [0, 2])
    try forget(name(key), segment: 2, in: &tables)
    #expect(try tables.record(key) == nil)
  }

  @Test func aLargeRecordGoesWithItsLastBlock() throws {
    var tables = MemoryTables()
    let key = Digest128(first: 1, second: 2)
    try tables.put(record(100 << 16, home: 1), key)
    for (number, segment) in [(UInt32(0), UInt32(2)), (1, 3)] {
      var block = SliceBlock(stamp: 1)
      block.slices[7] = Slice(segment: segment, offset: 0, checksum: 1)
      try tables.put(block, key, number)
    }
    try forget(name(key), segment: 1, in: &tables)
    try forget(name(key, 0), segment: 2, in: &tables)
    #expect(try tables.block(key, 0) == nil)
    #expect(try tables.record(key) != nil)
    try forget(name(key, 1), segment: 3, in: &tables)
    #expect(try tables.record(key) == nil && tables.anyBlock(of: key) == nil)
  }
}
