import Base

/// A place in the index that a segment's bytes are named from: an object's record, or a block of it.
struct SegmentEntry: Equatable, Hashable, Comparable, Sendable {
  var key: Digest128
  /// The block's number, or `inRecord`.
  var block: UInt32

  static let inRecord = UInt32.max
  static let codedBytes = 20

  /// The index's order.
  static func < (left: SegmentEntry, right: SegmentEntry) -> Bool {
    if left.key != right.key { return left.key.isBefore(right.key) }
    return left.block < right.block
  }

  static func encode(_ entries: some Sequence<SegmentEntry>) -> [UInt8] {
    var bytes: [UInt8] = []
    for entry in entries {
      bytes.append(littleEndian: entry.key.first)
      bytes.append(littleEndian: entry.key.second)
      bytes.append(littleEndian: entry.block)
    }
    return bytes
  }

  /// The whole entries in these bytes.
  static func decode(_ bytes: RawSpan) -> [SegmentEntry] {
    (0..<bytes.byteCount / codedBytes).map { index in
      let offset = index * codedBytes
      return SegmentEntry(
        key: Digest128(
          first: bytes.integer(at: offset), second: bytes.integer(at: offset + 8)),
        block: bytes.integer(at: offset + 16))
    }
  }
}

extension Digest128 {
  /// Whether the coded key (little endian, compared byte by byte) sorts before another.
  func isBefore(_ other: Digest128) -> Bool {
    (first.byteSwapped, second.byteSwapped) < (other.first.byteSwapped, other.second.byteSwapped)
  }
}

/// What the changes of a group are made to: the index in a write transaction, or its twin in memory.
protocol RecordTables {
  func record(_ key: Digest128) throws(Fault) -> Record?
  mutating func put(_ record: Record, _ key: Digest128) throws(Fault)
  mutating func removeRecord(_ key: Digest128) throws(Fault)
  func block(_ key: Digest128, _ number: UInt32) throws(Fault) -> SliceBlock?
  mutating func put(_ block: SliceBlock, _ key: Digest128, _ number: UInt32) throws(Fault)
  mutating func removeBlock(_ key: Digest128, _ number: UInt32) throws(Fault)
  /// The number of any block of the key.
  func anyBlock(of key: Digest128) throws(Fault) -> UInt32?
}

/// What a group of jobs makes of one key.
struct ObjectChange {
  enum Step {
    case set(Slice)
    case clear(Slice)
  }

  /// The key is forgotten, before `record` and the slices after it.
  var isRemoved = false
  var record: Record?
  var slices: [(stamp: UInt64, index: Int, step: Step)] = []
}

extension RecordTables {
  /// Makes one key's change.
  mutating func apply(_ change: ObjectChange, to key: Digest128) throws(Fault) {
    let stored = try record(key)
    if change.isRemoved || (change.record.map { $0.stamp != stored?.stamp } ?? false) {
      if stored?.isLarge ?? true { try removeBlocks(key) }
      if change.isRemoved && change.record == nil && stored != nil { try removeRecord(key) }
    }
    let base = change.record ?? (change.isRemoved ? nil : stored)
    guard var record = base else { return }
    var isChanged = change.record != nil
    var blocks: [UInt32: SliceBlock] = [:]
    for (stamp, index, step) in change.slices
    where stamp == record.stamp && index >= 0 && index < record.sliceCount {
      if !record.isLarge {
        isChanged = step.make(&record.slices[index]) || isChanged
        continue
      }
      guard let number = UInt32(exactly: index / SliceBlock.slices) else { continue }
      var known = blocks[number]
      if known == nil { known = try block(key, number) }
      var block = known?.stamp == stamp ? known : nil
      _ = step.make(&block[orNew: stamp].slices[index % SliceBlock.slices])
      blocks[number] = block
    }
    if isChanged { try put(record, key) }
    for number in blocks.keys.sorted() {
      if let block = blocks[number] { try put(block, key, number) }
    }
  }

  /// Forgets what an entry of an evicted segment names, as far as it lay in that segment.
  ///
  /// A record without slices goes with its home. One that was put again meanwhile has a later home
  /// and stays: numbers grow, and the oldest segment is evicted first.
  mutating func forget(_ entry: SegmentEntry, segment: UInt32) throws(Fault) {
    if entry.block == SegmentEntry.inRecord {
      guard var record = try record(entry.key) else { return }
      if record.isLarge {
        guard record.home <= segment, try anyBlock(of: entry.key) == nil else { return }
        try removeRecord(entry.key)
        return
      }
      let isChanged = record.slices.clear(segment: segment)
      if record.home <= segment && record.slices.allSatisfy(\.isAbsent) {
        try removeRecord(entry.key)
      } else if isChanged {
        try put(record, entry.key)
      }
      return
    }
    guard var block = try block(entry.key, entry.block) else { return }
    guard block.slices.clear(segment: segment) else { return }
    if !block.slices.allSatisfy(\.isAbsent) {
      try put(block, entry.key, entry.block)
      return
    }
    try removeBlock(entry.key, entry.block)
    guard try anyBlock(of: entry.key) == nil, let record = try record(entry.key) else { return }
    if record.isLarge && record.home <= segment { try removeRecord(entry.key) }
  }

  private mutating func removeBlocks(_ key: Digest128) throws(Fault) {
    while let number = try anyBlock(of: key) { try removeBlock(key, number) }
  }
}

extension ObjectChange.Step {
  /// Whether the slice is another one now.
  func make(_ slice: inout Slice) -> Bool {
    switch self {
    case .set(let new):
      slice = new
      return true
    case .clear(let old):
      guard slice == old else { return false }
      slice = .absent
      return true
    }
  }
}

extension Optional where Wrapped == SliceBlock {
  fileprivate subscript(orNew stamp: UInt64) -> SliceBlock {
    get { self ?? SliceBlock(stamp: stamp) }
    set { self = newValue }
  }
}

extension Array where Element == Slice {
  fileprivate mutating func clear(segment: UInt32) -> Bool {
    var isChanged = false
    for index in indices where self[index].segment == segment {
      self[index] = .absent
      isChanged = true
    }
    return isChanged
  }
}

/// The jobs since the last commit: what they change, and who waits for it.
struct WriteGroup {
  private(set) var changes: [Digest128: ObjectChange] = [:]
  /// Who hears of the commit; with the slice that they wait for, if it is one.
  private(set) var waiting: [(completion: WriteJob.Completion, slice: Slice?)] = []
  private(set) var count = 0
  var wantsCommit = false

  var isEmpty: Bool { changes.isEmpty && waiting.isEmpty && !wantsCommit }

  mutating func wait(_ completion: WriteJob.Completion?, for slice: Slice? = nil) {
    if let completion { waiting.append((completion, slice)) }
  }

  mutating func put(_ record: Record, _ key: Digest128) {
    count += 1
    changes[key, default: ObjectChange()].record = record
    // Slices of an earlier record under this key have no place any more.
    changes[key]?.slices.removeAll { $0.stamp != record.stamp }
  }

  mutating func add(
    _ step: ObjectChange.Step, _ key: Digest128, stamp: UInt64, index: Int
  ) {
    count += 1
    changes[key, default: ObjectChange()].slices.append((stamp, index, step))
  }

  mutating func remove(_ key: Digest128) {
    count += 1
    changes[key] = ObjectChange(isRemoved: true)
  }

  /// Whether the key's record in this group keeps its slices in blocks; nil where it has none.
  func isLarge(_ key: Digest128) -> Bool? {
    changes[key]?.record?.isLarge
  }

  /// Takes a slice back whose bytes could not be written, with who waits for it.
  mutating func forget(_ slice: Slice) {
    waiting.removeAll { $0.slice == slice }
    for (key, change) in changes {
      let kept = change.slices.filter { entry in
        if case .set(slice) = entry.step { return false }
        return true
      }
      if kept.count != change.slices.count { changes[key]?.slices = kept }
    }
  }

  /// Makes all changes in the index's key order.
  func apply(to tables: inout some RecordTables) throws(Fault) {
    for (key, change) in changes.sorted(by: { $0.key.isBefore($1.key) }) {
      try tables.apply(change, to: key)
    }
  }
}
