import Base
import System

/// Small bodies on their way into a segment, until they are worth a write.
struct GatheredBytes {
  private(set) var segment: UInt32 = 0
  /// Where in the segment the first of them goes.
  private(set) var start = 0
  private(set) var bytes: [UInt8] = []
  private(set) var waiting: [(slice: Slice, completion: WriteJob.Completion?)] = []

  /// Bodies from here on are written by themselves; less is gathered up to as much.
  static let limit = 256 << 10

  var isEmpty: Bool { waiting.isEmpty }
  var isFull: Bool { bytes.count >= Self.limit }

  /// Adds a body at its place, with zeros for what lies between.
  mutating func add(_ body: RawSpan, _ slice: Slice, _ completion: WriteJob.Completion?) {
    if waiting.isEmpty {
      segment = slice.segment
      start = Int(slice.offset)
    }
    let gap = Int(slice.offset) - start - bytes.count
    bytes.append(contentsOf: repeatElement(0, count: max(0, gap)))
    unsafe body.withUnsafeBytes { unsafe bytes.append(contentsOf: $0) }
    waiting.append((slice, completion))
  }

  func write(to file: FileReference) throws(Fault) {
    try file.write(at: start, bytes.rawBytes)
  }

  mutating func clear() {
    bytes.removeAll(keepingCapacity: true)
    waiting.removeAll(keepingCapacity: true)
  }
}

extension DiskWriter {
  /// Bytes of segments and index over the bound, by pins that outlive evictions or smaller options.
  var isOverBudget: Bool {
    segmentBytes + index.mapBytes > options.maxSize && live.count > 1
  }

  /// Stores one slice's bytes and enters it in the group.
  func write(
    _ buffer: SliceBuffer, key: Digest128, stamp: UInt64, index: Int,
    _ completion: WriteJob.Completion?, now: Instant, wallSeconds: Int64
  ) throws(Fault) {
    let count = buffer.count
    guard count > 0, index >= 0, let block = UInt32(exactly: index / SliceBlock.slices) else {
      throw Fault(.malformed, .own)
    }
    // Whether the record is large is not known here; a name too many costs eviction one look-up.
    var names = [SegmentEntry(key: key, block: SegmentEntry.inRecord)]
    if group.isLarge(key) ?? true { names.append(SegmentEntry(key: key, block: block)) }
    let (segment, offset) = try place(count, for: names, now: now, wallSeconds: wallSeconds)
    let slice = Slice(
      segment: segment, offset: UInt32(offset), checksum: Slice.checksum(of: buffer.bytes))
    if count < GatheredBytes.limit {
      gathered.add(buffer.bytes, slice, completion)
      group.add(.set(slice), key, stamp: stamp, index: index)
      group.wait(completion, for: slice)
      if gathered.isFull { flushGathered(now: now) }
      return
    }
    flushGathered(now: now)
    try withFile(segment) { file throws(Fault) in
      try file.write(at: offset, buffer.bytes)
    }
    open?.isDirty = true
    group.add(.set(slice), key, stamp: stamp, index: index)
    group.wait(completion, for: slice)
    completion?(.written(slice))
  }

  /// Writes the small bodies that wait, and tells their owners.
  func flushGathered(now: Instant) {
    guard !gathered.isEmpty else { return }
    defer { gathered.clear() }
    do throws(Fault) {
      try withFile(gathered.segment) { file throws(Fault) in
        try gathered.write(to: file)
      }
      if open?.layout.number == gathered.segment { open?.isDirty = true }
      for (slice, completion) in gathered.waiting { completion?(.written(slice)) }
    } catch {
      refuse(error, now: now)
      // Their places in the group go too: those slices would hold nothing.
      for (slice, completion) in gathered.waiting {
        group.forget(slice)
        completion?(.failed(error))
      }
    }
  }

  /// Takes room in the open segment, or in a new one where that is full.
  func place(
    _ count: Int, for names: [SegmentEntry], now: Instant, wallSeconds: Int64
  ) throws(Fault) -> (segment: UInt32, offset: Int) {
    if let offset = open?.layout.place(count, for: names), let open {
      return (open.layout.number, offset)
    }
    if open != nil { try seal(now: now, wallSeconds: wallSeconds) }
    try begin(now: now, wallSeconds: wallSeconds)
    guard let offset = open?.layout.place(count, for: names), let open else {
      throw Fault(.exhausted, .own)
    }
    return (open.layout.number, offset)
  }

  /// Ends the open segment with its footer.
  func seal(now: Instant, wallSeconds: Int64) throws(Fault) {
    flushGathered(now: now)
    guard let segment = open else { return }
    let number = segment.layout.number
    do throws(Fault) {
      let (offset, bytes) = segment.layout.footer
      try withFile(number) { file throws(Fault) in
        try file.write(at: offset, bytes.rawBytes)
        try file.sync()
      }
      abandonOpenSegment(wallSeconds)
      sealed.append(number)
    } catch {
      commit(now: now, wallSeconds: wallSeconds)
      abandonOpenSegment(wallSeconds)
      throw error
    }
  }

  /// Ends the open segment without a footer: its entries stay in the index's chunks.
  func abandonOpenSegment(_ wallSeconds: Int64) {
    guard var segment = open else { return }
    segment.row.state = .sealed
    segment.row.sealed = wallSeconds
    segment.row.used = segment.layout.used
    rows[segment.layout.number] = segment.row
    open = nil
  }

  /// Begins a segment, after making room for it.
  private func begin(now: Instant, wallSeconds: Int64) throws(Fault) {
    // Others may have filled the disk: evicting a segment for each try would only empty the cache.
    guard now >= noRoomUntil else { throw Self.noSpace }
    do throws(Fault) {
      try beginNow(now: now, wallSeconds: wallSeconds)
    } catch {
      if error == Self.noSpace { noRoomUntil = now + Self.noRoomPause }
      throw error
    }
  }

  private func beginNow(now: Instant, wallSeconds: Int64) throws(Fault) {
    let size = options.segmentSize
    try makeRoom(size, now: now, wallSeconds: wallSeconds)
    var number = nextSegment
    while table.isTaken(number) { number += 1 }
    guard number < .max else { throw Fault(.exhausted, .own) }
    nextSegment = number + 1
    let descriptor: Int32
    do throws(Fault) {
      descriptor = try create(number, size)
    } catch {
      // The disk holds less than max_size promises: the oldest segment makes room, once.
      guard error == Self.noSpace, !live.isEmpty else { throw error }
      commit(now: now, wallSeconds: wallSeconds)
      try evictOldest(wallSeconds)
      sweep()
      descriptor = try create(number, size)
    }
    guard table.add(number, descriptor: descriptor) else { throw Fault(.exhausted, .own) }
    live.append(LiveSegment(number: number, size: size))
    segmentBytes += size
    let row = SegmentRow(size: size, created: wallSeconds)
    rows[number] = row
    open = OpenSegment(layout: SegmentLayout(number: number, size: size), row: row)
    publish()
  }

  private func create(_ number: UInt32, _ size: Int) throws(Fault) -> Int32 {
    let path = table.path(number)
    let file = try File(path: path, .createNew)
    do throws(Fault) {
      try file.allocate(bytes: size)
      try Folder.sync(options.path + "/segments")
    } catch {
      try Folder.remove(file: path)
      throw error.errno == Self.noSpace.errno ? Self.noSpace : error
    }
    return file.release()
  }

  /// Evicts until so many bytes more keep to the bound.
  private func makeRoom(_ bytes: Int, now: Instant, wallSeconds: Int64) throws(Fault) {
    func fits() -> Bool { segmentBytes + bytes + index.mapBytes <= options.maxSize }
    if fits() { return }
    // What waits may lie in the segment that goes: its names must be in the index first.
    commit(now: now, wallSeconds: wallSeconds)
    sweep()
    while !fits() {
      // What readers still hold counts until they let go: evicting more would empty the cache for it.
      let missing = segmentBytes + bytes + index.mapBytes - options.maxSize
      let held = retired.reduce(0) { $0 + $1.size }
      guard !live.isEmpty, held < missing else { throw Self.noSpace }
      try evictOldest(wallSeconds)
      sweep()
    }
  }
}
