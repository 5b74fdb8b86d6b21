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

  /// Each of them once, in the index's order.
  static func distinct(_ entries: [SegmentEntry]) -> [SegmentEntry] {
    let sorted = entries.sorted()
    var distinct: [SegmentEntry] = []
    distinct.reserveCapacity(sorted.count)
    for entry in sorted where entry != distinct.last { distinct.append(entry) }
    return distinct
  }

  static func encode(_ entries: some Sequence<SegmentEntry>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(entries.underestimatedCount * codedBytes)
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
  /// A record without its strings.
  func summary(_ key: Digest128) throws(Fault) -> RecordSummary?
  mutating func put(_ record: Record, _ key: Digest128) throws(Fault)
  mutating func removeRecord(_ key: Digest128) throws(Fault)
  func block(_ key: Digest128, _ number: UInt32) throws(Fault) -> SliceBlock?
  mutating func put(_ block: SliceBlock, _ key: Digest128, _ number: UInt32) throws(Fault)
  mutating func removeBlock(_ key: Digest128, _ number: UInt32) throws(Fault)
  /// The number of any block of the key.
  func anyBlock(of key: Digest128) throws(Fault) -> UInt32?
  /// Notes bytes of a key that its record does not name any more.
  mutating func noteOrphan(_ bytes: StoredBytes, of key: Digest128) throws(Fault)
  /// Forgets a key's orphans, in one segment or in all, and tells which there were.
  mutating func takeOrphans(
    of key: Digest128, in segment: UInt32?
  ) throws(Fault) -> [StoredBytes]
}

/// A slice that is to move on from the segment it lies in.
struct MovingSlice {
  var key: Digest128
  var stamp: UInt64
  var index: Int
  var slice: Slice
  /// Bytes of the slice.
  var count: Int
  /// When its record was fetched, in seconds since 1970.
  var created: Int64
  /// Who names it.
  var names: [SegmentEntry]
}

/// What a group of jobs makes of one key.
struct ObjectChange {
  enum Step {
    case set(Slice, bytes: Int)
    /// Forgets a slice, if it still is that one.
    case clear(Slice)
    /// Puts another place in that of a slice, if it still is that one.
    case move(from: Slice, to: Slice, bytes: Int)
  }

  /// The key is forgotten, before `record` and the slices after it.
  var isRemoved = false
  var record: Record?
  var slices: [(stamp: UInt64, index: Int, step: Step)] = []
}

extension RecordTables {
  /// Makes one key's change.
  ///
  /// Bytes that lose their place in a record are noted as the key's orphans: so that whoever wants
  /// the key's bytes off the disk finds all of them.
  mutating func apply(_ change: ObjectChange, to key: Digest128) throws(Fault) {
    let stored = try record(key)
    let isReplaced = change.record.map { $0.stamp != stored?.stamp } ?? false
    if change.isRemoved || isReplaced {
      if change.isRemoved && change.record == nil {
        try removeObject(key)
      } else if let stored {
        try removeSlices(of: stored, key)
      }
    }
    guard var record = change.record ?? (change.isRemoved ? nil : stored) else {
      for (_, _, step) in change.slices { try leaveBehind(step, key) }
      return
    }
    var isChanged = change.record != nil
    var blocks: [UInt32: SliceBlock] = [:]
    for (stamp, index, step) in change.slices {
      guard stamp == record.stamp, index >= 0, index < record.sliceCount,
        let number = UInt32(exactly: index / SliceBlock.slices)
      else {
        try leaveBehind(step, key)
        continue
      }
      if !record.isLarge {
        if try make(step, &record.slices[index], record.bytes(ofSlice: index), key) {
          isChanged = true
          if case .move(_, let new, _) = step { record.home = max(record.home, new.segment) }
        }
        continue
      }
      var known = blocks[number]
      if known == nil { known = try block(key, number) }
      var block = known?.stamp == stamp ? known : nil
      _ = try make(
        step, &block[orNew: stamp].slices[index % SliceBlock.slices],
        record.bytes(ofSlice: index), key)
      blocks[number] = block
    }
    if isChanged { try put(record, key) }
    for number in blocks.keys.sorted() {
      if let block = blocks[number] { try put(block, key, number) }
    }
  }

  /// Makes a step; whether the slice is another one now.
  private mutating func make(
    _ step: ObjectChange.Step, _ slice: inout Slice, _ bytes: Int, _ key: Digest128
  ) throws(Fault) -> Bool {
    switch step {
    case .set(let new, _):
      // The same slice twice: the older bytes are nobody's.
      if !slice.isAbsent && slice != new {
        try noteOrphan(StoredBytes(slice, bytes), of: key)
      }
      slice = new
      return true
    case .clear(let old):
      guard slice == old else { return false }
      try noteOrphan(StoredBytes(old, bytes), of: key)
      slice = .absent
      return true
    case .move(let old, let new, _):
      guard slice == old else {
        try noteOrphan(StoredBytes(new, bytes), of: key)
        return false
      }
      slice = new
      return true
    }
  }

  /// What a step has written for a record that is not there any more belongs to nobody.
  private mutating func leaveBehind(
    _ step: ObjectChange.Step, _ key: Digest128
  ) throws(Fault) {
    if let bytes = step.written { try noteOrphan(bytes, of: key) }
  }

  /// Forgets a key; its slices become orphans.
  mutating func removeObject(_ key: Digest128) throws(Fault) {
    guard let stored = try record(key) else {
      var removed: UInt32?
      while let number = try anyBlock(of: key, but: removed) {
        try removeBlock(key, number)
        removed = number
      }
      // What is there may be no record.
      try removeRecord(key)
      return
    }
    try removeSlices(of: stored, key)
    try removeRecord(key)
  }

  private mutating func removeSlices(of record: Record, _ key: Digest128) throws(Fault) {
    for (index, slice) in record.slices.enumerated() where !slice.isAbsent {
      try noteOrphan(StoredBytes(slice, record.bytes(ofSlice: index)), of: key)
    }
    var removed: UInt32?
    while let number = try anyBlock(of: key, but: removed) {
      if let block = try block(key, number), block.stamp == record.stamp {
        let first = Int(number) * SliceBlock.slices
        for (place, slice) in block.slices.enumerated() where !slice.isAbsent {
          try noteOrphan(StoredBytes(slice, record.bytes(ofSlice: first + place)), of: key)
        }
      }
      try removeBlock(key, number)
      removed = number
    }
  }

  /// Any block of the key; throws where it is the one that was just removed, which only a damaged index has still.
  private func anyBlock(of key: Digest128, but removed: UInt32?) throws(Fault) -> UInt32? {
    let number = try anyBlock(of: key)
    if let number, number == removed { throw Fault(.corrupt, .disk) }
    return number
  }

  /// Forgets what an entry of a leaving segment names, as far as it lies in that segment or in one that
  /// is gone; what `keeps` says yes to stays for now, and is given back to be moved.
  ///
  /// A record without slices goes with its home. One that was put again meanwhile has another home
  /// and stays. What is no record or block, in a damaged index, goes.
  mutating func leave(
    _ entry: SegmentEntry, segment: UInt32, isGone: (UInt32) -> Bool,
    keeps: (RecordSummary, MovingSlice) -> Bool
  ) throws(Fault) -> [MovingSlice] {
    _ = try takeOrphans(of: entry.key, in: segment)
    if entry.block == SegmentEntry.inRecord {
      guard var record = try summary(entry.key) else {
        try removeRecord(entry.key)
        return []
      }
      if record.isLarge {
        guard isGone(record.home), try anyBlock(of: entry.key) == nil else { return [] }
        try removeRecord(entry.key)
        return []
      }
      let (moving, isChanged) = Self.split(
        &record.slices, of: record, entry, first: 0, isGone, segment, keeps)
      if moving.isEmpty && isGone(record.home) && record.slices.allSatisfy(\.isAbsent) {
        try removeRecord(entry.key)
      } else if isChanged, var whole = try self.record(entry.key) {
        whole.slices = record.slices
        try put(whole, entry.key)
      }
      return moving
    }
    guard var block = try block(entry.key, entry.block) else {
      try removeBlock(entry.key, entry.block)
      return []
    }
    let record = try summary(entry.key)
    let owner = record.flatMap { $0.stamp == block.stamp ? $0 : nil }
    let (moving, isChanged) = Self.split(
      &block.slices, of: owner, entry, first: Int(entry.block) * SliceBlock.slices, isGone,
      segment, keeps)
    if !block.slices.allSatisfy(\.isAbsent) {
      if isChanged { try put(block, entry.key, entry.block) }
      return moving
    }
    try removeBlock(entry.key, entry.block)
    if let record, record.isLarge, isGone(record.home), try anyBlock(of: entry.key) == nil {
      try removeRecord(entry.key)
    }
    return []
  }

  /// Clears what is gone, but for what is to move.
  private static func split(
    _ slices: inout [Slice], of record: RecordSummary?, _ entry: SegmentEntry, first: Int,
    _ isGone: (UInt32) -> Bool, _ segment: UInt32, _ keeps: (RecordSummary, MovingSlice) -> Bool
  ) -> (moving: [MovingSlice], isChanged: Bool) {
    var moving: [MovingSlice] = []
    var isChanged = false
    for place in slices.indices where !slices[place].isAbsent {
      let slice = slices[place]
      if let record, slice.segment == segment {
        let index = first + place
        var names = [SegmentEntry(key: entry.key, block: SegmentEntry.inRecord)]
        if entry.block != SegmentEntry.inRecord { names.append(entry) }
        let one = MovingSlice(
          key: entry.key, stamp: record.stamp, index: index, slice: slice,
          count: record.bytes(ofSlice: index), created: record.created, names: names)
        if keeps(record, one) {
          moving.append(one)
          continue
        }
      }
      if slice.segment == segment || isGone(slice.segment) {
        slices[place] = .absent
        isChanged = true
      }
    }
    return (moving, isChanged)
  }
}

extension ObjectChange.Step {
  /// The bytes that a step has put into a segment.
  var written: StoredBytes? {
    switch self {
    case .set(let slice, let bytes), .move(_, let slice, let bytes): StoredBytes(slice, bytes)
    case .clear: nil
    }
  }
}

extension SegmentEntry {
  /// Who may name a slice: its record, and the block that it has in a large object.
  static func names(of key: Digest128, slice index: Int) -> [SegmentEntry] {
    let block = UInt32(clamping: index / SliceBlock.slices)
    return [SegmentEntry(key: key, block: inRecord), SegmentEntry(key: key, block: block)]
  }
}

extension StoredBytes {
  init(_ slice: Slice, _ count: Int) {
    self.init(segment: slice.segment, offset: slice.offset, count: count)
  }
}

extension Optional where Wrapped == SliceBlock {
  fileprivate subscript(orNew stamp: UInt64) -> SliceBlock {
    get { self ?? SliceBlock(stamp: stamp) }
    set { self = newValue }
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
  }

  mutating func add(
    _ step: ObjectChange.Step, _ key: Digest128, stamp: UInt64, index: Int
  ) {
    count += 1
    changes[key, default: ObjectChange()].slices.append((stamp, index, step))
  }

  mutating func remove(_ key: Digest128) {
    count += 1
    // What was written for it in this group lies on the disk, and is nobody's.
    let slices = changes[key]?.slices ?? []
    changes[key] = ObjectChange(isRemoved: true, slices: slices)
  }

  /// Whether the key's record in this group keeps its slices in blocks; nil where it has none.
  func isLarge(_ key: Digest128) -> Bool? {
    changes[key]?.record?.isLarge
  }

  /// Takes a slice back whose bytes could not be written, with who waits for it.
  ///
  /// - Returns: who names a slice that was to move there, and stays where it is.
  mutating func forget(_ slice: Slice) -> [SegmentEntry] {
    waiting.removeAll { $0.slice == slice }
    var staying: [SegmentEntry] = []
    for (key, change) in changes {
      var kept = change.slices
      kept.removeAll { entry in
        switch entry.step {
        case .set(slice, _): return true
        case .move(_, slice, _):
          staying += SegmentEntry.names(of: key, slice: entry.index)
          return true
        default: return false
        }
      }
      if kept.count != change.slices.count { changes[key]?.slices = kept }
    }
    return staying
  }

  /// Who names the slices that were to move, of a group that could not be committed.
  var movingNames: [SegmentEntry] {
    changes.flatMap { key, change in
      change.slices.flatMap { entry in
        if case .move = entry.step { return SegmentEntry.names(of: key, slice: entry.index) }
        return []
      }
    }.sorted()
  }

  /// What such a group has written, which nobody names.
  var written: [(key: Digest128, bytes: StoredBytes)] {
    changes.flatMap { key, change in
      change.slices.compactMap { entry in
        entry.step.written.map { (key, $0) }
      }
    }
  }

  /// Makes all changes in the index's key order.
  func apply(to tables: inout some RecordTables) throws(Fault) {
    for key in changes.keys.sorted(by: { $0.isBefore($1) }) {
      if let change = changes[key] { try tables.apply(change, to: key) }
    }
  }
}
