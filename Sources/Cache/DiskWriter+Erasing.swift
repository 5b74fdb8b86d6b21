import Base
import Synchronization
import System

/// What has become of a batch that was to be erased.
private struct ErasedBatch {
  var done: [StoredBytes] = []
  var bad: [StoredBytes] = []
  var untried: [StoredBytes] = []
  /// Bytes that were erased.
  var bytes = 0
  /// The first that was met.
  var fault: Fault?

  mutating func fail(_ places: [StoredBytes], _ fault: Fault) {
    bad += places
    self.fault = self.fault ?? fault
  }
}

extension DiskWriter {
  /// Takes keys out of the index, with all that the disk has of them noted for erasing.
  ///
  /// The notes are committed with it, so that a life that ends before `erase` leaves them to the next.
  func unlist(
    _ keys: [Digest128], _ lost: [Digest128], now: Instant, wallSeconds: Int64
  ) throws(Fault) -> (objects: Int, bytes: [StoredBytes]) {
    // Jobs before this one may have named more.
    if !commit(now: now, wallSeconds: wallSeconds) { throw Fault(.unavailable, .disk) }
    let (objects, bytes, records, gone) = try change { tables throws(Fault) in
      var all: [StoredBytes] = []
      var gone = Set(keys)
      let before = try tables.recordCount
      for key in keys {
        try tables.removeObject(key)
        all += try tables.takeOrphans(of: key)
      }
      for key in lost where try tables.summary(key) == nil {
        gone.insert(key)
        all += try tables.takeOrphans(of: key)
      }
      for bytes in all { try tables.noteErasure(bytes) }
      let after = try tables.recordCount
      return (before - after, all, after, gone)
    }
    leaving?.moving.removeAll { gone.contains($0.key) }
    counters.entries.store(records, ordering: .relaxed)
    return (objects, bytes)
  }

  /// Takes bytes off the disk, and with them what could not be before: `completion` hears of all of it,
  /// since nobody can tell any more whose that was.
  func erase(_ bytes: [StoredBytes], _ completion: WriteJob.Completion?, now: Instant) {
    backlog.retry()
    backlog.add(bytes)
    if let completion { backlog.waiting.append(completion) }
    eraseNext(now: now)
  }

  /// One batch of what is to be erased.
  ///
  /// A fault makes no pause: the place may be the only one that is bad, and is let be for a while.
  func eraseNext(now: Instant) {
    if backlog.again <= now { backlog.retry() }
    let fault = erase(backlog.takeBatch(), now: now)
    if fault != nil { counters.writeFaults.add(1, ordering: .relaxed) }
    guard backlog.due.isEmpty else { return }
    let waiting = backlog.waiting
    backlog.waiting = []
    for completion in waiting {
      if backlog.failed.isEmpty {
        tellErased(completion)
      } else {
        completion(.failed(fault ?? Fault(.io, .disk)))
      }
    }
  }

  /// Whole pages are given back to the file system, what shares its pages with others is overwritten with
  /// zeros; a sync for each segment, and one commit.
  ///
  /// Nobody may be sending the bytes any more. A small body that is read meanwhile fails its checksum. What
  /// fails is put by; the rest goes all the same, until it fails too often.
  private func erase(_ bytes: [StoredBytes], now: Instant) -> Fault? {
    if bytes.isEmpty { return nil }
    var batch = ErasedBatch()
    for (segment, places) in Dictionary(grouping: bytes, by: \.segment).sorted(by: {
      $0.key < $1.key
    }) {
      if table.isLive(segment) {
        erase(places, of: segment, &batch)
      } else {
        // Evicted meanwhile.
        batch.done += places
      }
    }
    do throws(Fault) {
      try change { tables throws(Fault) in
        for place in batch.done { try tables.removeErasure(place) }
      }
      counters.erasedBytes.add(batch.bytes, ordering: .relaxed)
    } catch {
      batch.fail(batch.done, error)
    }
    backlog.put(batch.bad, untried: batch.untried, now: now)
    return batch.fault
  }

  private func erase(_ places: [StoredBytes], of segment: UInt32, _ batch: inout ErasedBatch) {
    var written: [StoredBytes] = []
    var left = places[...]
    do throws(Fault) {
      try withFile(segment) { reference throws(Fault) in
        // The one that is read from may have been opened while the disk was read-only.
        let file = try File(path: "/proc/self/fd/\(reference.descriptor)", .readWrite)
        while batch.bad.count < Self.patience, let place = left.popFirst() {
          do throws(Fault) {
            try erase(place, in: file.reference)
            written.append(place)
          } catch {
            batch.fail([place], error)
          }
        }
        batch.untried += left
        left = []
        if written.isEmpty { return }
        try faults?.before(.sync(segment: segment))
        try file.sync()
      }
      batch.done += written
      batch.bytes += written.reduce(0) { $0 + $1.count }
    } catch {
      batch.fail(written + left, error)
    }
  }

  /// Places of one batch that may fail until the rest has to wait: each may keep a dying disk busy for long.
  private static let patience = 8

  /// Tells that bytes have been erased; where a segment is leaving, only once it has gone.
  ///
  /// Its names are taken from the index before its file goes, so that nobody can say any more whose
  /// bytes these are.
  func tellErased(_ completion: @escaping WriteJob.Completion) {
    if let leaving {
      erased.append((leaving.segment.number, completion))
    } else {
      completion(.committed(sequence: counters.sequence.load(ordering: .relaxed)))
    }
  }

  /// Tells those who wait for a segment that is not leaving any more; badly, where its file is still there.
  func tellErased() {
    let told = erased.filter { $0.segment != leaving?.segment.number }
    erased.removeAll { $0.segment != leaving?.segment.number }
    for (segment, completion) in told {
      let isThere = Folder.exists(table.path(segment))
      completion(
        isThere
          ? .failed(Fault(.unavailable, .disk))
          : .committed(sequence: counters.sequence.load(ordering: .relaxed)))
    }
  }

  private func erase(_ place: StoredBytes, in file: FileReference) throws(Fault) {
    let offset = Int(place.offset)
    table.clearVerified(place.segment, from: offset, count: place.count)
    try faults?.before(.erase(segment: place.segment, offset: offset, count: place.count))
    let isPaged = place.count >= SegmentLayout.pagedBytes
    if isPaged {
      let end = SegmentLayout.pageEnd(offset + place.count)
      // Not every file system can give pages back: zeros will do.
      if (try? file.punch(offset: offset, count: end - offset)) != nil { return }
    }
    let zeros = [UInt8](repeating: 0, count: min(place.count, 256 << 10))
    var done = 0
    while done < place.count {
      let part = min(zeros.count, place.count - done)
      let span = zeros.rawBytes
      try file.write(at: offset + done, span.extracting(0..<part))
      done += part
    }
  }
}
