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
    /// When it was begun, in seconds since 1970; its row has when its oldest bytes were fetched.
    var begun: Int64
    /// How many of the layout's entries are in chunks of the index, and the last chunk's number.
    var committedEntries = 0
    var chunks: UInt32 = 0
    /// Whether bytes were written that are not synced.
    var isDirty = false
    var direct = Direct.untried

    /// What writes past the page cache, if anything does.
    enum Direct {
      case untried
      case open(DirectFile)
      case refused
    }
  }

  struct LiveSegment: Equatable {
    var number: UInt32
    var size: Int
    /// When its oldest bytes were fetched at the earliest, in seconds since 1970.
    var created: Int64
  }

  /// What a writer leaves to the next one in the same process.
  struct Legacy {
    var live: [LiveSegment] = []
    var retired: [LiveSegment] = []
    var nextSegment: UInt32 = 1
    /// What it was told to erase and could not.
    var unerased: [StoredBytes] = []

    /// Whether there has been no other writer in this process.
    var isBeginning: Bool { live.isEmpty && retired.isEmpty }
  }

  /// Why a writer can go on no more.
  enum Breakage: Equatable {
    /// The index refuses everything until it is opened again.
    case index(Fault)
    /// The index holds what cannot be.
    case damaged
    /// The index is full of what nothing will ever take out of it.
    case full
    /// The folder is another one, or none.
    case vanished
  }

  let options: CacheOptions
  let index: Index
  let table: SegmentTable
  let counters: StorageCounters
  /// What the disk's operations meet, in tests.
  let faults: DiskFaults?

  /// Segments that can be read, oldest first; the open one is the last.
  var live: [LiveSegment] = []
  var open: OpenSegment?
  /// The oldest segment on its way out.
  var leaving: LeavingSegment?
  /// Who hears that bytes have been erased once a segment has gone that is leaving.
  var erased: [(segment: UInt32, completion: WriteJob.Completion)] = []
  /// What has still to be erased.
  var backlog = ErasureBacklog()
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
  /// Bytes of an index that was set aside.
  let asideBytes: Int
  /// Whether the index is so full that the oldest segment has to make room in it.
  var isIndexFull = false
  /// Whether the index has no room for more than deletions.
  var refusesBytes = false
  /// Set once it can go on no more.
  var breakage: Breakage?

  var group = WriteGroup()
  /// What groups have written that could not be committed: the next one notes it as orphans.
  var strays: [(key: Digest128, bytes: StoredBytes)] = []
  var gathered = GatheredBytes()
  /// When the group must be committed at the latest; nil where there is nothing to commit.
  var commitBy: Instant?
  /// No work before this: the disk failed.
  private(set) var pausedUntil = Instant.zero
  /// The oldest segment, where it is younger than the clock says that anything is, and since when it has been.
  var seenAhead: (segment: UInt32, since: Instant)?
  /// Until then nothing is written, after a fault that another try at once would only meet again.
  private(set) var failingUntil = Instant.zero
  /// No new segment before this: there was no room for one.
  var noRoomUntil = Instant.zero
  var noRoomTries = 0
  /// What is told where others fill the disk.
  var fullness = DiskFullness() {
    didSet { counters.isDiskFull.store(fullness.isFull, ordering: .relaxed) }
  }
  /// What the disk was found to hold of `max_size`, and for how long that is believed.
  var diskLimit: (bytes: Int, until: Instant)?
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
  /// The part of the map's pages from which on the oldest segment makes room.
  static let fullPercent = 85
  /// The part from which on the index takes no more: deletions need pages too.
  static let refusingPercent = 95
  /// How long no segment is begun after the first time that there was no room; twice as long each time.
  static let noRoomPause = Interval.milliseconds(40)
  /// Tries that jobs wait for, and tries between two evictions on behalf of a disk that others fill.
  static let noRoomPatience = 4
  /// How long a disk that was too small is taken for as small as it was.
  static let diskLimitTime = Interval.seconds(60)
  /// ENOSPC.
  static let noSpace = Fault(.exhausted, .disk, errno: SystemError.noSpace)

  init(
    options: CacheOptions, index: Index, table: SegmentTable, counters: StorageCounters,
    legacy: Legacy, wallSeconds: Int64, faults: DiskFaults?
  ) throws(Fault) {
    self.options = options
    self.faults = faults
    self.index = index
    self.table = table
    self.counters = counters
    asideBytes = Index.asideBytes(in: options.path)
    let folder = options.path + "/segments"
    try Folder.create(folder)
    let found = try Self.settle(
      index, folder: folder, wallSeconds: wallSeconds, faults: faults)
    nextSegment = max(found.nextSegment, legacy.nextSegment)
    forgetting = found.evicted
    open = found.open
    inherit(legacy, found.live)
    let known = Set(live.map(\.number))
    // The newest first: where places collide, since numbers lie far apart, the older one goes.
    for segment in found.live.reversed() where !known.contains(segment.number) {
      guard table.isLive(segment.number) || table.add(segment.number) else {
        forgetting.append(segment.number)
        if open?.layout.number == segment.number { open = nil }
        try? Folder.remove(file: table.path(segment.number))
        continue
      }
      live.append(segment)
      segmentBytes += segment.size
    }
    live.sort { $0.number < $1.number }
    counters.sequence.store(found.sequence, ordering: .releasing)
    counters.entries.store(found.entries, ordering: .relaxed)
    publish()
    counters.isDiskFull.store(false, ordering: .relaxed)
    // What is written on is opened to be written, while the disk lets it.
    if let open { try? withFile(open.layout.number) { _ in } }
    eraseLeftovers(legacy)
  }

  /// Takes the last writer's segments over: those that this index knows too stay open, others end.
  private func inherit(_ legacy: Legacy, _ known: [LiveSegment]) {
    retired = legacy.retired
    for segment in legacy.live {
      if known.contains(where: { $0.number == segment.number }), table.isLive(segment.number) {
        live.append(segment)
      } else {
        table.retire(segment.number)
        retired.append(segment)
      }
    }
    segmentBytes = (live + retired).reduce(0) { $0 + $1.size }
  }

  /// Bytes that count against `max_size`.
  var usedBytes: Int { segmentBytes + index.mapBytes + asideBytes }

  /// When `turn` has something to do without a new job; `never` where it has not.
  var nextTurn: Instant {
    if isLettingGo || !backlog.due.isEmpty { return pausedUntil }
    return min(commitBy ?? .never, backlog.again)
  }

  /// Whether there is a step of letting go to do now, and not along with the next commit.
  private var isLettingGo: Bool {
    if let leaving, !leaving.moving.isEmpty || leaving.rest.isEmpty && forgetting.isEmpty {
      return true
    }
    if leaving != nil || !forgetting.isEmpty { return commitBy == nil }
    return isShortOfRoom
  }

  /// Does one job; its completion hears `written` and `failed` from here, `committed` later.
  func perform(_ job: WriteJob, now: Instant, wallSeconds: Int64) {
    do throws(Fault) {
      if refusesBytes, job.addsBytes { throw Self.noSpace }
      switch job {
      case .put(let key, var record, let completion):
        guard record.isEncodable else { throw Fault(.malformed, .own) }
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
      case .unlist(let keys, let lost, let completion):
        let (objects, bytes) = try unlist(keys, lost, now: now, wallSeconds: wallSeconds)
        completion(.unlisted(objects: objects, bytes))
        return
      case .erase(let bytes, let completion):
        erase(bytes, completion, now: now)
        return
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

  /// Commits when it is time, lets segments go by one step, closes what nobody reads any more.
  func turn(now: Instant, wallSeconds: Int64) {
    started = started ?? now
    if let due = commitBy, due <= now { commit(now: now, wallSeconds: wallSeconds) }
    if !isProven, let started, now - started >= Self.provenTime {
      isProven = true
      attempt(now) { () throws(Fault) in
        try change { tables throws(Fault) in try tables.set(.uncleanExits, 0) }
      }
    }
    if now - (lastReaderCheck ?? .zero) >= .seconds(60) {
      lastReaderCheck = now
      index.clearDeadReaders()
    }
    sweep()
    if let diskLimit, diskLimit.until <= now { self.diskLimit = nil }
    if pausedUntil <= now {
      if !backlog.due.isEmpty || backlog.again <= now { eraseNext(now: now) }
      attempt(now) { () throws(Fault) in try letGo(now: now, wallSeconds: wallSeconds) }
      giveUpIfFull()
    }
    publish()
  }

  /// Ends this writer without its index: what has not been committed fails.
  func retire() -> Legacy {
    let fault = Fault(.unavailable, .disk)
    // Who waits for gathered bytes waits for the group as well.
    for (completion, _) in group.waiting { completion(.failed(fault)) }
    counters.refusals.add(group.count, ordering: .relaxed)
    group = WriteGroup()
    gathered.clear()
    failErasures(fault)
    return Legacy(
      live: live, retired: retired, nextSegment: nextSegment, unerased: backlog.all)
  }

  /// Runs `body` in a write transaction of the index, and notes where that cannot be used any more.
  func change<Result>(
    _ body: (inout IndexTransaction) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    do throws(Fault) {
      return try index.write(body)
    } catch {
      if error.kind == .corrupt {
        breakage = error.errno == Index.panic ? .index(error) : .damaged
      }
      throw error
    }
  }

  /// Tells those who wait for bytes to be erased that this writer does not come to it.
  private func failErasures(_ fault: Fault) {
    for completion in erased.map({ $0.completion }) + backlog.waiting { completion(.failed(fault)) }
    erased = []
    backlog.waiting = []
  }

  /// Makes everything so far durable and readable by the next life as it is.
  func close(now: Instant, wallSeconds: Int64) {
    let isWhole = commit(now: now, wallSeconds: wallSeconds)
    failErasures(Fault(.unavailable, .disk))
    attempt(now) { () throws(Fault) in
      try change { tables throws(Fault) in
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
      failingUntil = .zero
      counters.sequence.store(sequence, ordering: .releasing)
      for (completion, _) in finished.waiting { completion(.committed(sequence: sequence)) }
      publish()
      return true
    } catch {
      lose(finished, error, now: now)
      publish()
      return false
    }
  }

  /// Gives the group up: what it has written is nobody's.
  func lose(_ fault: Fault, now: Instant) {
    let lost = group
    group = WriteGroup()
    lose(lost, fault, now: now)
  }

  private func lose(_ lost: WriteGroup, _ fault: Fault, now: Instant) {
    refuse(fault, now: now)
    counters.refusals.add(lost.count, ordering: .relaxed)
    strays += lost.written
    leaving?.leaveBehind(lost.movingNames)
    // Full of what the departures would take out: these go by themselves first.
    if fault.errno == Index.mapFull { (isIndexFull, refusesBytes) = (true, true) }
    for (completion, _) in lost.waiting { completion(.failed(fault)) }
  }

  private func syncOpenSegment(_ wallSeconds: Int64) throws(Fault) {
    guard let segment = open, segment.isDirty else { return }
    do throws(Fault) {
      try faults?.before(.sync(segment: segment.layout.number))
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
    let (rows, sealed, next, open, strays) = (rows, sealed, nextSegment, open, strays)
    let isProven = isProven
    let result = try change { tables throws(Fault) in
      try finished.apply(to: &tables)
      for stray in strays { try tables.noteOrphan(stray.bytes, of: stray.key) }
      for (number, row) in rows { try tables.put(row, number) }
      for number in sealed { try tables.removeChunks(of: number) }
      if let open, open.committedEntries < open.layout.entries.count {
        try tables.putChunk(
          open.layout.entries[open.committedEntries...], of: open.layout.number, open.chunks + 1)
      }
      try tables.set(.nextSegment, UInt64(next))
      // A life that has got so far did not die of opening its index.
      if !isProven { try tables.set(.uncleanExits, 0) }
      let limit = max(Self.forgetBatch, 2 * finished.count)
      let departure = try depart(in: &tables, limit: limit)
      return (try tables.advanceSequence(), try tables.recordCount, departure)
    }
    self.rows = [:]
    self.sealed = []
    self.strays = []
    self.isProven = true
    if let open, open.committedEntries < open.layout.entries.count {
      self.open?.committedEntries = open.layout.entries.count
      self.open?.chunks = open.chunks + 1
    }
    counters.entries.store(result.1, ordering: .relaxed)
    departed(result.2)
    return result.0
  }

  /// Counts a fault, and pauses where another try at once would only meet it again.
  func refuse(_ fault: Fault, now: Instant) {
    counters.refusals.add(1, ordering: .relaxed)
    guard fault.kind == .io || fault.kind == .corrupt else { return }
    counters.writeFaults.add(1, ordering: .relaxed)
    rest(now)
    failingUntil = pausedUntil
  }

  func rest(until moment: Instant) { pausedUntil = max(pausedUntil, moment) }

  /// Pauses, for twice as long each time until a commit goes well.
  private func rest(_ now: Instant) {
    pausedUntil = now + pause
    pause = min(Interval(nanoseconds: pause.nanoseconds * 2), Self.longestPause)
  }

  func publish() {
    counters.bytesUsed.store(usedBytes, ordering: .relaxed)
    counters.segments.store(live.count, ordering: .relaxed)
    counters.oldestSegment.store(Int(live.first?.created ?? 0), ordering: .relaxed)
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
    case .drop, .remove, .flush, .unlist, .erase: false
    }
  }
}
