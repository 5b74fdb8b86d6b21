public import Base
import Synchronization
public import System

/// The twin of `DiskStorage` for a simulated loop: the same operations on dictionaries and byte arrays.
///
/// It has no thread and never waits: jobs queue up, and `step` does the oldest when the simulation says.
/// Sharing is safe because a simulation has one thread.
public final class MemoryStorage: @unchecked Sendable {
  public let options: CacheOptions
  public let counters = StorageCounters()

  private var tables = MemoryTables()
  private var jobs: [WriteJob] = []
  private var group = WriteGroup()
  private var segments: [UInt32: Segment] = [:]
  /// Segments that can be found, oldest first; the last may be appended to.
  private var live: [UInt32] = []
  /// Evicted segments whose keys are still in the tables.
  private var forgetting: [(segment: UInt32, entries: [SegmentEntry])] = []
  private var nextSegment: UInt32 = 1
  private var stamps: UInt64 = 0
  private let secret: SipKey
  /// The next jobs that meet a disk without room, for simulations of trouble.
  public var failNextWrites = 0

  private struct Segment {
    var layout: SegmentLayout
    var bytes: [UInt8]
    var pins = 0
    var isEvicted = false
  }

  public init(_ options: CacheOptions, seed: UInt64) {
    self.options = options
    var random = SeededRandom(seed: seed)
    secret = SipKey(first: random.next(), second: random.next())
  }

  public func hash(_ canonicalKey: RawSpan) -> Digest128 {
    SipHash.hash128(canonicalKey, key: secret)
  }

  public func newStamp() -> UInt64 {
    stamps += 1
    return 1 << 40 | stamps
  }

  public func submit(_ job: WriteJob) -> Bool {
    let queued = counters.queuedBytes.load(ordering: .relaxed)
    guard queued == 0 || queued + job.bytes <= options.queueBytes else { return false }
    counters.queuedBytes.add(job.bytes, ordering: .relaxed)
    jobs.append(job)
    return true
  }

  /// Does the oldest job; commits when there is none; false when there is nothing to do.
  public func step() -> Bool {
    if jobs.isEmpty {
      if forgetting.isEmpty && group.isEmpty { return false }
      if forgetting.isEmpty { commit() } else { forgetOldest() }
      return true
    }
    let job = jobs.removeFirst()
    defer { counters.queuedBytes.subtract(job.bytes, ordering: .relaxed) }
    do throws(Fault) {
      if job.addsBytes, failNextWrites > 0 {
        failNextWrites -= 1
        throw DiskWriter.noSpace
      }
      try perform(job)
    } catch {
      counters.refusals.add(1, ordering: .relaxed)
      job.completion?(.failed(error))
    }
    if group.wantsCommit || group.count >= DiskWriter.groupRecords { commit() }
    return true
  }

  public func lookUp<Result>(_ key: Digest128, _ body: (RawSpan) -> Result) -> Result? {
    tables.records[key].map { body($0.rawBytes) }
  }

  public func slices<Result>(
    _ key: Digest128, block number: UInt32, _ body: (RawSpan) -> Result
  ) -> Result? {
    tables.blocks[key]?[number].map { body($0.rawBytes) }
  }

  /// Keeps a segment's bytes until `unpin`; false where it is gone.
  public func pin(_ segment: UInt32) -> Bool {
    guard segments[segment].map({ !$0.isEvicted }) ?? false else { return false }
    segments[segment]?.pins += 1
    return true
  }

  /// Whether a segment can still be read.
  public func isLive(_ segment: UInt32) -> Bool {
    segments[segment].map { !$0.isEvicted } ?? false
  }

  public func unpin(_ segment: UInt32) {
    precondition(segments[segment].map { $0.pins > 0 } ?? false, "not pinned")
    segments[segment]?.pins -= 1
    sweep()
  }

  /// Copies bytes of a pinned segment.
  public func read(
    _ segment: UInt32, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    guard let bytes = segments[segment]?.bytes, offset >= 0, offset <= bytes.count else {
      return .fault(Fault(.io, .disk, errno: 22))
    }
    let count = min(buffer.count, bytes.count - offset)
    unsafe bytes[offset..<offset + count].withUnsafeBytes { source in
      if unsafe !source.isEmpty { unsafe buffer.copyMemory(from: source) }
    }
    return .bytes(count)
  }

  private func perform(_ job: WriteJob) throws(Fault) {
    switch job {
    case .put(let key, var record, let completion):
      guard record.encoded() != nil else { throw Fault(.malformed, .own) }
      let name = SegmentEntry(key: key, block: SegmentEntry.inRecord)
      record.home = try place(0, [name]).segment
      group.put(record, key)
      group.wait(completion)
    case .slice(let key, let stamp, let index, let buffer, let completion):
      let count = buffer.count
      guard count > 0, index >= 0, let block = UInt32(exactly: index / SliceBlock.slices) else {
        throw Fault(.malformed, .own)
      }
      var names = [SegmentEntry(key: key, block: SegmentEntry.inRecord)]
      if group.isLarge(key) ?? true { names.append(SegmentEntry(key: key, block: block)) }
      let (segment, offset) = try place(count, names)
      let end = offset + count
      if let have = segments[segment]?.bytes.count, have < end {
        segments[segment]?.bytes.append(contentsOf: repeatElement(0, count: end - have))
      }
      segments[segment]?.bytes.replaceSubrange(offset..<end, with: buffer.bytes.array)
      let slice = Slice(
        segment: segment, offset: UInt32(offset), checksum: Slice.checksum(of: buffer.bytes))
      group.add(.set(slice), key, stamp: stamp, index: index)
      group.wait(completion, for: slice)
      completion?(.written(slice))
    case .drop(let key, let stamp, let index, let slice):
      group.add(.clear(slice), key, stamp: stamp, index: index)
    case .remove(let key, let completion):
      group.remove(key)
      group.wait(completion)
    case .flush(let completion):
      group.wantsCommit = true
      group.wait(completion)
    }
  }

  private func commit() {
    let finished = group
    group = WriteGroup()
    do throws(Fault) {
      try finished.apply(to: &tables)
      publish()
      let sequence = counters.sequence.add(1, ordering: .releasing).newValue
      for (completion, _) in finished.waiting { completion(.committed(sequence: sequence)) }
    } catch {
      for (completion, _) in finished.waiting { completion(.failed(error)) }
    }
  }

  private func place(
    _ count: Int, _ names: [SegmentEntry]
  ) throws(Fault) -> (segment: UInt32, offset: Int) {
    if let last = live.last, let offset = segments[last]?.layout.place(count, for: names) {
      return (last, offset)
    }
    let size = options.segmentSize
    func fits() -> Bool {
      (segments.count + 1) * size + options.indexSize <= options.maxSize
    }
    if !fits() { commit() }
    while !fits() {
      guard !live.isEmpty else { throw DiskWriter.noSpace }
      evictOldest()
    }
    let number = nextSegment
    nextSegment += 1
    var layout = SegmentLayout(number: number, size: size)
    guard let offset = layout.place(count, for: names) else { throw Fault(.exhausted, .own) }
    segments[number] = Segment(layout: layout, bytes: [])
    live.append(number)
    publish()
    return (number, offset)
  }

  private func evictOldest() {
    let number = live.removeFirst()
    segments[number]?.isEvicted = true
    forgetting.append((number, Set(segments[number]?.layout.entries ?? []).sorted()))
    counters.evictions.add(1, ordering: .relaxed)
    sweep()
  }

  private func forgetOldest() {
    let (segment, entries) = forgetting.removeFirst()
    do throws(Fault) {
      for entry in entries { try tables.forget(entry, segment: segment) }
    } catch {
      counters.writeFaults.add(1, ordering: .relaxed)
    }
    publish()
    counters.sequence.add(1, ordering: .releasing)
  }

  private func sweep() {
    segments = segments.filter { !$0.value.isEvicted || $0.value.pins > 0 }
    publish()
  }

  private func publish() {
    counters.entries.store(tables.records.count, ordering: .relaxed)
    counters.segments.store(live.count, ordering: .relaxed)
    counters.bytesUsed.store(
      segments.count * options.segmentSize + options.indexSize, ordering: .relaxed)
  }
}

/// Records and blocks by key, in the coded form that readers are given.
struct MemoryTables: RecordTables {
  var records: [Digest128: [UInt8]] = [:]
  var blocks: [Digest128: [UInt32: [UInt8]]] = [:]

  func record(_ key: Digest128) throws(Fault) -> Record? {
    guard let bytes = records[key] else { return nil }
    return Record(bytes.rawBytes)
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
    return SliceBlock(bytes.rawBytes)
  }

  mutating func put(_ block: SliceBlock, _ key: Digest128, _ number: UInt32) throws(Fault) {
    blocks[key, default: [:]][number] = block.encoded()
  }

  mutating func removeBlock(_ key: Digest128, _ number: UInt32) throws(Fault) {
    blocks[key]?[number] = nil
    if blocks[key]?.isEmpty ?? false { blocks[key] = nil }
  }

  func anyBlock(of key: Digest128) throws(Fault) -> UInt32? {
    blocks[key]?.keys.min()
  }
}
