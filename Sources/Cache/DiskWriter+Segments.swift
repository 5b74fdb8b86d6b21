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
  /// Stores one slice's bytes and enters it in the group.
  func write(
    _ buffer: SliceBuffer, key: Digest128, stamp: UInt64, index: Int,
    _ completion: WriteJob.Completion?, now: Instant, wallSeconds: Int64
  ) throws(Fault) {
    guard buffer.count > 0, index >= 0,
      let block = UInt32(exactly: index / SliceBlock.slices)
    else { throw Fault(.malformed, .own) }
    // Whether the record is large is not known here; a name too many costs eviction one look-up.
    var names = [SegmentEntry(key: key, block: SegmentEntry.inRecord)]
    if group.isLarge(key) ?? true { names.append(SegmentEntry(key: key, block: block)) }
    let slice = try append(
      buffer, named: names, completion,
      isDirect: Self.isDirect(index: index, count: buffer.count), now: now,
      wallSeconds: wallSeconds)
    group.add(.set(slice, bytes: buffer.count), key, stamp: stamp, index: index)
    group.wait(completion, for: slice)
    if gathered.isFull { flushGathered(now: now) }
  }

  /// Puts bytes at the end of the open segment: at once, or with others of their size.
  func append(
    _ buffer: SliceBuffer, named names: [SegmentEntry], _ completion: WriteJob.Completion?,
    isDirect: Bool = false, now: Instant, wallSeconds: Int64
  ) throws(Fault) -> Slice {
    let count = buffer.count
    let (segment, offset) = try place(count, for: names, now: now, wallSeconds: wallSeconds)
    let slice = Slice(segment: segment, offset: UInt32(offset), checksum: buffer.checksum)
    if count < GatheredBytes.limit {
      gathered.add(buffer.bytes, slice, completion)
      return slice
    }
    flushGathered(now: now)
    try faults?.before(.write(segment: segment, offset: offset, count: count))
    try withFile(segment) { file throws(Fault) in
      if isDirect {
        try writeDirect(buffer.bytes, to: file, at: offset)
      } else {
        try file.write(at: offset, buffer.bytes)
      }
    }
    open?.isDirty = true
    completion?(.written(slice))
    return slice
  }

  /// Writes the small bodies that wait, and tells their owners.
  func flushGathered(now: Instant) {
    guard !gathered.isEmpty else { return }
    defer { gathered.clear() }
    do throws(Fault) {
      try faults?.before(
        .write(segment: gathered.segment, offset: gathered.start, count: gathered.bytes.count))
      try withFile(gathered.segment) { file throws(Fault) in
        try gathered.write(to: file)
      }
      if open?.layout.number == gathered.segment { open?.isDirty = true }
      for (slice, completion) in gathered.waiting { completion?(.written(slice)) }
    } catch {
      refuse(error, now: now)
      // Their places in the group go too: those slices would hold nothing.
      for (slice, completion) in gathered.waiting {
        let staying = group.forget(slice)
        leaving?.leaveBehind(staying)
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
    // A slice of a record from before a smaller slice_size may be larger than segments are now.
    guard SegmentLayout(number: 0, size: options.segmentSize).hasPlace(for: count) else {
      throw Fault(.exhausted, .own)
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
      try faults?.before(.write(segment: number, offset: offset, count: bytes.count))
      try withFile(number) { file throws(Fault) in try file.write(at: offset, bytes.rawBytes) }
    } catch {
      commit(now: now, wallSeconds: wallSeconds)
      abandonOpenSegment(wallSeconds)
      throw error
    }
    do throws(Fault) {
      try faults?.before(.sync(segment: number))
      try withFile(number) { file throws(Fault) in try file.sync() }
    } catch {
      // The kernel tells of lost bytes once: another sync would say that all is well.
      abandonOpenSegment(wallSeconds)
      lose(error, now: now)
      throw error
    }
    abandonOpenSegment(wallSeconds)
    sealed.append(number)
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
      if error == Self.noSpace { findNoRoom(now) }
      throw error
    }
  }

  /// Waits before the next try, longer each time.
  ///
  /// What readers hold, and what the file system has still to free of an unlinked file, comes by itself
  /// within moments: jobs wait in their queue for that long. After that they are refused.
  private func findNoRoom(_ now: Instant) {
    let pause = Interval(nanoseconds: Self.noRoomPause.nanoseconds << min(noRoomTries, 7))
    noRoomUntil = now + pause
    noRoomTries += 1
    if noRoomTries < Self.noRoomPatience { rest(until: noRoomUntil) }
  }

  /// Whether a segment may go on behalf of a disk that others fill.
  ///
  /// At the first try, and at the last one that jobs wait for: what went first may still be held by a reader.
  private var mayEvictForDisk: Bool {
    noRoomTries == 0 || noRoomTries % Self.noRoomPatience == Self.noRoomPatience - 1
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
      if diskLimit == nil { fullness.foundSome(now) }
    } catch {
      if error == Self.noSpace {
        fullness.foundNone(now, hasContent: !live.isEmpty, path: options.path)
      }
      // The disk holds less than max_size promises: the oldest segment makes room, now and then.
      guard error == Self.noSpace, !live.isEmpty, mayEvictForDisk else { throw error }
      commit(now: now, wallSeconds: wallSeconds)
      try evictOldest(wallSeconds)
      sweep()
      descriptor = try create(number, size)
      // So much it does hold. From now on the next segment leaves before its room is needed.
      diskLimit = (usedBytes + size, now + Self.diskLimitTime)
    }
    guard table.add(number, descriptor: descriptor) else {
      _ = File(owning: descriptor)
      throw Fault(.exhausted, .own)
    }
    noRoomTries = 0
    live.append(LiveSegment(number: number, size: size, created: wallSeconds))
    segmentBytes += size
    let row = SegmentRow(size: size, created: wallSeconds)
    rows[number] = row
    open = OpenSegment(
      layout: SegmentLayout(number: number, size: size), row: row, begun: wallSeconds)
    publish()
  }

  /// A fault of a new file: no room for its bytes, for its name or number, or within a quota is all the same.
  private static func roomFault(_ fault: Fault) -> Fault {
    fault.errno == SystemError.noSpace || fault.errno == SystemError.quotaExceeded ? noSpace : fault
  }

  private func create(_ number: UInt32, _ size: Int) throws(Fault) -> Int32 {
    let path = table.path(number)
    let file: File
    do throws(Fault) {
      try faults?.before(.create(segment: number))
      file = try File(path: path, .createNew)
    } catch {
      // ENOENT: the folder has gone.
      if error.errno == SystemError.notFound { breakage = .vanished }
      throw Self.roomFault(error)
    }
    do throws(Fault) {
      try file.allocate(bytes: size)
      try Folder.sync(options.path + "/segments")
    } catch {
      try Folder.remove(file: path)
      throw Self.roomFault(error)
    }
    return file.release()
  }

  /// Whether a segment more keeps to the bound.
  var hasRoomForSegment: Bool { usedBytes + options.segmentSize <= options.maxSize }

  /// Evicts until one segment more keeps to the bound.
  ///
  /// As a rule there is room: `letGo` keeps a segment's worth free. Only where writes are faster
  /// than that does the oldest segment go at once, with what was hit in it.
  private func makeRoom(_ bytes: Int, now: Instant, wallSeconds: Int64) throws(Fault) {
    if hasRoomForSegment { return }
    // What waits may lie in the segment that goes: its names must be in the index first.
    commit(now: now, wallSeconds: wallSeconds)
    sweep()
    while !hasRoomForSegment {
      // What readers still hold counts until they let go: evicting more would empty the cache for it.
      let missing = usedBytes + bytes - options.maxSize
      let held = retired.reduce(0) { $0 + $1.size }
      guard !live.isEmpty, held < missing else { throw Self.noSpace }
      try evictOldest(wallSeconds)
      sweep()
    }
  }
}
