import Base

@testable import Cache

/// Records and blocks by key, in the coded form that readers are given.
struct MemoryTables: RecordTables {
  var records: [Digest128: [UInt8]] = [:]
  var blocks: [Digest128: [UInt32: [UInt8]]] = [:]
  /// Whether blocks stay when they are removed, as where a damaged index has them in the wrong place.
  var keepsBlocks = false

  func record(_ key: Digest128) throws(Fault) -> Record? {
    guard let bytes = records[key] else { return nil }
    return Record(bytes.rawBytes)
  }

  func summary(_ key: Digest128) throws(Fault) -> RecordSummary? {
    guard let bytes = records[key] else { return nil }
    return RecordSummary(bytes.rawBytes)
  }

  mutating func put(_ record: Record, _ key: Digest128) throws(Fault) {
    guard let bytes = record.encoded() else { throw Fault(.malformed, .own) }
    records[key] = bytes
  }

  mutating func removeRecord(_ key: Digest128) throws(Fault) {
    records[key] = nil
  }

  func block(_ key: Digest128, _ number: UInt32) throws(Fault) -> SliceBlock? {
    guard let bytes = blocks[key]?[number] else { return nil }
    return SliceBlock(bytes.rawBytes, number: number)
  }

  mutating func put(_ block: SliceBlock, _ key: Digest128, _ number: UInt32) throws(Fault) {
    blocks[key, default: [:]][number] = block.encoded(number: number)
  }

  mutating func removeBlock(_ key: Digest128, _ number: UInt32) throws(Fault) {
    if keepsBlocks { return }
    blocks[key]?[number] = nil
    if blocks[key]?.isEmpty ?? false { blocks[key] = nil }
  }

  func noteOrphan(_ bytes: StoredBytes, of key: Digest128) throws(Fault) {}

  func takeOrphans(of key: Digest128, in segment: UInt32?) throws(Fault) -> [StoredBytes] { [] }

  func anyBlock(of key: Digest128) throws(Fault) -> UInt32? {
    blocks[key]?.keys.min()
  }
}
