import Base
import Synchronization
import System

/// The oldest segment on its way out: its names are taken one batch after the other, what was hit since
/// it was written moves on into the open segment, the rest is forgotten.
struct LeavingSegment {
  let segment: DiskWriter.LiveSegment
  /// In the index's order.
  var names: [SegmentEntry]
  /// How many of them have been dealt with.
  var done = 0
  /// Bytes that may still move on.
  var budget: Int
  /// Records fetched before do not move on, in seconds since 1970.
  var youngest: Int64
  /// Slices whose bytes have still to be copied.
  var moving: [MovingSlice] = []

  var rest: ArraySlice<SegmentEntry> { names[done...] }

  /// Names that have still to be dealt with, those of slices on their way included.
  var unsettled: [SegmentEntry] { SegmentEntry.distinct(rest + moving.flatMap(\.names)) }

  /// Has names dealt with once more, whose slices could not move: they stay behind.
  mutating func leaveBehind(_ again: [SegmentEntry]) {
    if again.isEmpty { return }
    names += again
    budget = 0
  }
}

/// What a transaction has taken out of the index on behalf of segments that go.
struct Departure {
  var keys = 0
  /// The leaving segment as it stands afterwards.
  var leaving: LeavingSegment?
  /// An evicted segment of which no key is left.
  var forgotten: UInt32?
}

extension DiskWriter {
  /// Bytes that move on in one transaction at most, so that jobs never wait long behind it.
  static let moveBatchBytes = 8 << 20

  /// One step of letting segments go, where one is to: begin, a batch of names, or the end.
  ///
  /// One must go where no segment's worth of room is free, where the index is full, and where the oldest
  /// has reached `max_age`. The one segment kept free is what lets the hit slices move before their old
  /// place goes; where jobs fill the open segment faster than that, `evictOldest` ends it.
  func letGo(now: Instant, wallSeconds: Int64) throws(Fault) {
    if leaving?.moving.isEmpty == false {
      moveOn(now: now, wallSeconds: wallSeconds)
      return
    }
    if leaving == nil && forgetting.isEmpty {
      sealIfOld(now: now, wallSeconds: wallSeconds)
      guard let oldest = live.first, mustLeave(oldest, now: now, wallSeconds) else { return }
      try beginLeaving(oldest, now: now, wallSeconds: wallSeconds)
    }
    if let leaving, leaving.rest.isEmpty, forgetting.isEmpty {
      try endLeaving(leaving.segment, now: now, wallSeconds: wallSeconds)
    } else if commitBy == nil {
      // With jobs on hand a batch goes along with their commit.
      try departNow()
    }
  }

  /// A batch in a transaction of its own.
  private func departNow() throws(Fault) {
    let (departure, records) = try change { tables throws(Fault) in
      (try depart(in: &tables, limit: Self.forgetBatch), try tables.recordCount)
    }
    counters.entries.store(records, ordering: .relaxed)
    departed(departure)
  }

  /// Takes up to `limit` names of an evicted segment, or of the one that is leaving, out of the index.
  ///
  /// Changes nothing but the index: it may be called in a transaction that fails.
  func depart(
    in tables: inout IndexTransaction, limit: Int
  ) throws(Fault) -> Departure {
    var departure = Departure(leaving: leaving)
    if let segment = forgetting.first {
      var last: UInt32 = 0
      while departure.keys < limit, let chunk = try tables.chunk(of: segment, from: 1) {
        // What was removed and is found again cannot be.
        if chunk.number == last { throw Fault(.corrupt, .disk) }
        last = chunk.number
        for entry in chunk.entries {
          _ = try tables.leave(entry, segment: segment, isGone: isGone) { _, _ in false }
        }
        departure.keys += max(chunk.entries.count, 1)
        try tables.removeChunk(of: segment, chunk.number)
      }
      if try tables.chunk(of: segment, from: 1) == nil {
        try tables.removeRow(segment)
        departure.forgotten = segment
      }
      return departure
    }
    guard var leaving, leaving.moving.isEmpty else { return departure }
    let segment = leaving.segment.number
    var bytes = 0
    while departure.keys < limit, bytes < Self.moveBatchBytes, let name = leaving.rest.first {
      leaving.moving += try tables.leave(
        name, segment: segment, isGone: { [self] in $0 == segment || isGone($0) },
        keeps: { [self] record, slice in
          guard record.created >= leaving.youngest, slice.count <= leaving.budget,
            table.wasHit(segment, at: Int(slice.slice.offset))
          else { return false }
          leaving.budget -= slice.count
          bytes += slice.count
          return true
        })
      leaving.done += 1
      departure.keys += 1
    }
    departure.leaving = leaving
    return departure
  }

  /// A transaction with a departure in it has been committed.
  func departed(_ departure: Departure) {
    if leaving != nil { leaving = departure.leaving }
    if let segment = departure.forgotten { forgetting.removeAll { $0 == segment } }
    counters.forgottenKeys.add(departure.keys, ordering: .relaxed)
    measureIndex()
  }

  private func measureIndex() {
    guard let used = try? index.usedPercent() else { return }
    isIndexFull = used >= Self.fullPercent
    refusesBytes = used >= Self.refusingPercent
  }

  /// Notices an index that is full although all segments have left.
  ///
  /// What it holds then has lost its names, as with a footer that could not be read. Nothing would take it
  /// out, and whatever comes would be evicted at once to make room.
  func giveUpIfFull() {
    guard isIndexFull, live.isEmpty, leaving == nil, forgetting.isEmpty, breakage == nil else {
      return
    }
    measureIndex()
    if isIndexFull { breakage = .full }
  }

  private func mustLeave(_ oldest: LiveSegment, now: Instant, _ wallSeconds: Int64) -> Bool {
    if isShortOfRoom { return true }
    guard oldest.created > wallSeconds else { return isTooOld(oldest.created, wallSeconds) }
    // By a clock that was ahead, or is behind now: it is no younger than any after it, nor than it has been seen so.
    let created = live.reduce(oldest.created) { min($0, $1.created) }
    if created <= wallSeconds { return isTooOld(created, wallSeconds) }
    if seenAhead?.segment != oldest.number { seenAhead = (oldest.number, now) }
    guard let limit = options.maxAgeSeconds, let since = seenAhead?.since else { return false }
    return (now - since).nanoseconds / 1_000_000_000 >= limit
  }

  /// Whether the oldest segment must leave to make room.
  var isShortOfRoom: Bool {
    if isIndexFull { return !live.isEmpty }
    // What readers still hold counts until they let go: evicting more would empty the cache for it.
    let held = retired.reduce(0) { $0 + $1.size }
    let limit = min(options.maxSize, diskLimit?.bytes ?? .max)
    return live.count > 1 && usedBytes - held + options.segmentSize > limit
  }

  private func isTooOld(_ created: Int64, _ wallSeconds: Int64) -> Bool {
    guard let limit = options.maxAgeSeconds else { return false }
    return wallSeconds - created >= limit
  }

  /// With `max_age` a segment is not open for long, else what is young in it would go with what is old.
  private func sealIfOld(now: Instant, wallSeconds: Int64) {
    guard let limit = options.maxAgeSeconds, let open, !open.layout.entries.isEmpty,
      wallSeconds - open.begun >= max(limit / 8, 1) || open.begun > wallSeconds
    else { return }
    attempt(now) { () throws(Fault) in try seal(now: now, wallSeconds: wallSeconds) }
  }

  private func beginLeaving(
    _ oldest: LiveSegment, now: Instant, wallSeconds: Int64
  ) throws(Fault) {
    // What waits may lie in it: its names must be in the index first.
    commit(now: now, wallSeconds: wallSeconds)
    if open?.layout.number == oldest.number { abandonOpenSegment(wallSeconds) }
    // A full index does not get emptier by what moves on. Old records would not stay long enough.
    let youngest = options.maxAgeSeconds.map { wallSeconds - $0 / 4 }
    leaving = LeavingSegment(
      segment: oldest, names: SegmentEntry.distinct(try names(in: oldest)),
      budget: isIndexFull ? 0 : oldest.size / 2, youngest: youngest ?? .min)
  }

  private func moveOn(now: Instant, wallSeconds: Int64) {
    // On a disk without room the open segment may fill up, and then the leaving one goes at once, with the names of
    // those that have not moved.
    while let slice = leaving?.moving.last {
      moveOn(slice, now: now, wallSeconds: wallSeconds)
      _ = leaving?.moving.popLast()
    }
  }

  /// Appends a slice's bytes to the open segment; the next commit lets the index name them.
  ///
  /// One that does not fit, cannot be read or is not what was written stays behind: a miss later.
  private func moveOn(_ moving: MovingSlice, now: Instant, wallSeconds: Int64) {
    let old = moving.slice
    do throws(Fault) {
      let bytes = try withFile(old.segment) { file throws(Fault) in
        try Self.bytes(of: file, at: Int(old.offset), moving.count)
      }
      guard Slice.checksum(of: bytes.bytes) == old.checksum else {
        throw Fault(.corrupt, .disk)
      }
      guard hasPlace(for: moving.count) else { throw Self.noSpace }
      let new = try append(
        bytes, named: moving.names, nil, now: now, wallSeconds: wallSeconds)
      // The segment is as old as the oldest in it.
      if let last = live.indices.last, live[last].number == new.segment {
        live[last].created = min(live[last].created, moving.created)
        open?.row.created = live[last].created
      }
      group.add(
        .move(from: old, to: new, bytes: moving.count), moving.key, stamp: moving.stamp,
        index: moving.index)
      counters.movedSlices.add(1, ordering: .relaxed)
      if commitBy == nil { commitBy = now + Self.groupTime }
    } catch {
      leaving?.leaveBehind(moving.names)
    }
  }

  /// Whether so many bytes fit without evicting anything.
  private func hasPlace(for count: Int) -> Bool {
    if let open, open.layout.hasPlace(for: count) { return true }
    return hasRoomForSegment
  }

  private func endLeaving(
    _ segment: LiveSegment, now: Instant, wallSeconds: Int64
  ) throws(Fault) {
    // What has moved must be found at its new place before the old one goes.
    guard commit(now: now, wallSeconds: wallSeconds) else { throw Fault(.unavailable, .disk) }
    // Some could not be written after all, and have still to be forgotten.
    if leaving?.rest.isEmpty == false { return }
    try change { tables throws(Fault) in
      try tables.removeChunks(of: segment.number)
      try tables.removeRow(segment.number)
    }
    leaving = nil
    defer { tellErased() }
    try unlink(segment)
    sweep()
  }
}
