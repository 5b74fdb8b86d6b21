import Base
import Synchronization
import System

/// What the cache writer's thread does: bytes into segments, changes into the index, in groups.
///
/// Only that thread calls it (a test without a thread may stand in). It reads no clock. A fault of
/// the disk ends the jobs that it hit, is counted, and makes the writer pause; never more.
final class DiskWriter {
  /// The segment that bytes are appended to.
  struct OpenSegment {
    var layout: SegmentLayout
    var row: SegmentRow
    /// How many of the layout's entries are in chunks of the index, and the last chunk's number.
    var committedEntries = 0
    var chunks: UInt32 = 0
    /// Whether bytes were written that are not synced.
    var isDirty = false
  }

  struct LiveSegment {
    var number: UInt32
    var size: Int
  }

  let options: CacheOptions
  let index: Index
  let table: SegmentTable
  let counters: StorageCounters

  /// Segments that can be read, oldest first; the open one is the last.
  var live: [LiveSegment] = []
  var open: OpenSegment?
  /// Evicted segments that are still pinned.
  var retired: [LiveSegment] = []
  /// Evicted segments whose keys are still in the index.
  var forgetting: [UInt32] = []
  /// Rows of segments that the next commit writes.
  var rows: [UInt32: SegmentRow] = [:]
  /// Segments whose chunks the next commit deletes: their footer is on the disk.
  var sealed: [UInt32] = []
  var nextSegment: UInt32
  /// Bytes of segment files that exist or are still open.
  var segmentBytes = 0
  /// Whether the index has no room for more than deletions.
  var isIndexFull = false

  var group = WriteGroup()
  var gathered = GatheredBytes()
  /// When the group must be committed at the latest; nil where there is nothing to commit.
  private(set) var commitBy: Instant?
  /// No work before this: the disk failed.
  private(set) var pausedUntil = Instant.zero
  /// No new segment before this: there was no room for one.
  var noRoomUntil = Instant.zero
  private var pause = DiskWriter.firstPause
  private var started: Instant?
  private var lastReaderCheck: Instant?
  private var isProven = false

  static let groupTime = Interval.milliseconds(200)
  static let groupRecords = 1000
  /// Keys deleted in one transaction, so that puts never wait long behind an eviction.
  static let forgetBatch = 500
  static let firstPause = Interval.milliseconds(100)
  static let longestPause = Interval.seconds(5)
  /// A life that lasted so long did not die of its index.
  static let provenTime = Interval.seconds(60)
  /// The part of the map's pages from which on the index takes no more: deletions need some.
  static let fullPercent = 85
  /// How long nothing is tried after the disk had no room.
  static let noRoomPause = Interval.seconds(1)
  /// ENOSPC.
  static let noSpace = Fault(.exhausted, .disk, errno: 28)

  init(options: CacheOptions, index: Index, wallSeconds: Int64) throws(Fault) {
    self.options = options
    self.index = index
    counters = StorageCounters()
    let folder = options.path + "/segments"
    try Folder.create(folder)
    let found = try Self.settle(index, folder: folder, wallSeconds: wallSeconds)
    table = SegmentTable(
      folder: folder, limit: max(options.segmentLimit, found.live.count))
    nextSegment = found.nextSegment
    forgetting = found.evicted
    open = found.open
    for segment in found.live {
      // Places collide only where numbers lie far apart; the older one goes.
      guard table.add(segment.number) else {
        forgetting.append(segment.number)
        try Folder.remove(file: table.path(segment.number))
        continue
      }
      live.append(segment)
      segmentBytes += segment.size
    }
    counters.sequence.store(found.sequence, ordering: .releasing)
    counters.entries.store(found.entries, ordering: .relaxed)
    publish()
  }

  /// When `turn` has something to do without a new job; `never` where it has not.
  var nextTurn: Instant {
    if !forgetting.isEmpty || isOverBudget || isIndexFull && !live.isEmpty { return .zero }
    return commitBy ?? .never
  }

  /// Does one job; its completion hears `written` and `failed` from here, `committed` later.
  func perform(_ job: WriteJob, now: Instant, wallSeconds: Int64) {
    do throws(Fault) {
      if isIndexFull, job.addsBytes { throw Self.noSpace }
      switch job {
      case .put(let key, var record, let completion):
        guard record.encoded() != nil else { throw Fault(.malformed, .own) }
        let entry = SegmentEntry(key: key, block: SegmentEntry.inRecord)
        // A record is named in a segment even before its slices are: else nothing ever evicts it.
        record.home = try place(0, for: [entry], now: now, wallSeconds: wallSeconds).segment
        group.put(record, key)
        group.wait(completion)
      case .slice(let key, let stamp, let index, let buffer, let completion):
        try write(
          buffer, key: key, stamp: stamp, index: index, completion, now: now,
          wallSeconds: wallSeconds)
      case .drop(let key, let stamp, let index, let slice):
        group.add(.clear(slice), key, stamp: stamp, index: index)
      case .remove(let key, let completion):
        group.remove(key)
        group.wait(completion)
      case .flush(let completion):
        group.wantsCommit = true
        group.wait(completion)
      }
      if commitBy == nil { commitBy = now + Self.groupTime }
    } catch {
      refuse(error, now: now)
      job.completion?(.failed(error))
    }
  }

  /// Commits when the group is as large as groups get.
  func commitIfFull(now: Instant, wallSeconds: Int64) {
    if group.count >= Self.groupRecords || group.wantsCommit {
      commit(now: now, wallSeconds: wallSeconds)
    }
  }

  /// Commits when it is time, forgets one batch of evicted keys, closes what nobody reads any more.
  func turn(now: Instant, wallSeconds: Int64) {
    started = started ?? now
    if let due = commitBy, due <= now { commit(now: now, wallSeconds: wallSeconds) }
    if !isProven, let started, now - started >= Self.provenTime {
      isProven = true
      attempt(now) { () throws(Fault) in
        try index.write { tables throws(Fault) in try tables.set(.uncleanExits, 0) }
      }
    }
    if now - (lastReaderCheck ?? .zero) >= .seconds(60) {
      lastReaderCheck = now
      index.clearDeadReaders()
    }
    if !forgetting.isEmpty { attempt(now, forgetBatch) }
    sweep()
    if isOverBudget || isIndexFull && forgetting.isEmpty {
      attempt(now) { () throws(Fault) in try evictOldest(wallSeconds) }
    }
    publish()
  }

  /// Makes everything so far durable and readable by the next life as it is.
  func close(now: Instant, wallSeconds: Int64) {
    let isWhole = commit(now: now, wallSeconds: wallSeconds)
    attempt(now) { () throws(Fault) in
      try index.write { tables throws(Fault) in
        try tables.set(.uncleanExits, 0)
        if isWhole { try tables.set(.closed, 1) }
      }
    }
  }

  /// Runs a step of upkeep; a fault is counted and makes a pause.
  func attempt(_ now: Instant, _ step: () throws(Fault) -> Void) {
    do throws(Fault) {
      try step()
    } catch {
      counters.writeFaults.add(1, ordering: .relaxed)
      rest(now)
    }
  }

  /// Commits the group: sync the bytes, then the index, then tell who waits; whether that went well.
  @discardableResult
  func commit(now: Instant, wallSeconds: Int64) -> Bool {
    commitBy = nil
    if group.isEmpty && rows.isEmpty && gathered.isEmpty { return true }
    flushGathered(now: now)
    let finished = group
    group = WriteGroup()
    do throws(Fault) {
      try syncOpenSegment(wallSeconds)
      let sequence = try commit(finished)
      pause = Self.firstPause
      pausedUntil = .zero
      counters.sequence.store(sequence, ordering: .releasing)
      for (completion, _) in finished.waiting { completion(.committed(sequence: sequence)) }
      publish()
      return true
    } catch {
      refuse(error, now: now)
      counters.refusals.add(finished.count, ordering: .relaxed)
      for (completion, _) in finished.waiting { completion(.failed(error)) }
      publish()
      return false
    }
  }

  private func syncOpenSegment(_ wallSeconds: Int64) throws(Fault) {
    guard let segment = open, segment.isDirty else { return }
    do throws(Fault) {
      try withFile(segment.layout.number) { file throws(Fault) in try file.sync() }
      open?.isDirty = false
    } catch {
      // What a failed sync has lost nobody can tell: nothing is appended to that segment again.
      abandonOpenSegment(wallSeconds)
      throw error
    }
  }

  private func commit(_ finished: WriteGroup) throws(Fault) -> UInt64 {
    if var segment = open {
      segment.row.used = segment.layout.used
      rows[segment.layout.number] = segment.row
      open = segment
    }
    let (rows, sealed, next, open) = (rows, sealed, nextSegment, open)
    let result = try index.write { tables throws(Fault) in
      try finished.apply(to: &tables)
      for (number, row) in rows { try tables.put(row, number) }
      for number in sealed { try tables.removeChunks(of: number) }
      if let open, open.committedEntries < open.layout.entries.count {
        try tables.putChunk(
          open.layout.entries[open.committedEntries...], of: open.layout.number, open.chunks + 1)
      }
      try tables.set(.nextSegment, UInt64(next))
      let sequence = try tables.advanceSequence()
      return (sequence, try tables.recordCount)
    }
    self.rows = [:]
    self.sealed = []
    if let open, open.committedEntries < open.layout.entries.count {
      self.open?.committedEntries = open.layout.entries.count
      self.open?.chunks = open.chunks + 1
    }
    counters.entries.store(result.1, ordering: .relaxed)
    isIndexFull = try index.isFuller(than: Self.fullPercent)
    return result.0
  }

  /// Counts a fault, and pauses where another try at once would only meet it again.
  func refuse(_ fault: Fault, now: Instant) {
    counters.refusals.add(1, ordering: .relaxed)
    guard fault.kind == .io || fault.kind == .corrupt else { return }
    counters.writeFaults.add(1, ordering: .relaxed)
    rest(now)
  }

  /// Pauses, for twice as long each time until a commit goes well.
  private func rest(_ now: Instant) {
    pausedUntil = now + pause
    pause = min(Interval(nanoseconds: pause.nanoseconds * 2), Self.longestPause)
  }

  func publish() {
    counters.bytesUsed.store(segmentBytes + index.mapBytes, ordering: .relaxed)
    counters.segments.store(live.count, ordering: .relaxed)
  }

  func withFile<Result>(
    _ segment: UInt32, _ body: (FileReference) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    guard let file = try table.pin(segment) else { throw Fault(.corrupt, .disk) }
    defer { table.unpin(segment) }
    return try body(file)
  }
}

extension WriteJob {
  /// Whether the job makes storage larger.
  var addsBytes: Bool {
    switch self {
    case .put, .slice: true
    case .drop, .remove, .flush: false
    }
  }
}
