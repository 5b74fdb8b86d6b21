import Base
import Synchronization
import System

extension DiskWriter {
  /// What a life starts with.
  struct Found {
    var live: [LiveSegment] = []
    var evicted: [UInt32] = []
    var open: OpenSegment?
    var nextSegment: UInt32 = 1
    var sequence: UInt64 = 0
    var entries = 0
  }

  /// Holds the index's segments against the folder's files, and looks into neither.
  ///
  /// Files that the index does not know are deleted; segments without a file are evicted. The open
  /// segment is appended to only after a life that was closed in order: else bytes beyond its last
  /// commit may still be on their way to a client. Those are nobody's, and noted for erasing.
  static func settle(
    _ index: Index, folder: String, wallSeconds: Int64, faults: DiskFaults? = nil
  ) throws(Fault) -> Found {
    try faults?.before(.list)
    let names = Set(try Folder.names(in: folder))
    var found = Found()
    var known: Set<String> = []
    try index.write { tables throws(Fault) in
      let wasClosed = try tables.number(.closed) == 1
      try tables.set(.closed, 0)
      found.nextSegment = UInt32(clamping: try tables.number(.nextSegment) ?? 1)
      var next: UInt32 = 0
      while let number = try tables.segment(from: next) {
        let name = SegmentTable.name(number)
        let row = try tables.row(number)
        if let row, row.state != .evicted, names.contains(name) {
          known.insert(name)
          found.live.append(
            LiveSegment(number: number, size: row.size, created: row.created))
          if row.state == .open {
            found.open = try reopen(number, row, wasClosed, wallSeconds, tables)
            if !wasClosed && row.used < row.size {
              try tables.noteErasure(
                StoredBytes(
                  segment: number, offset: UInt32(clamping: row.used), count: row.size - row.used))
            }
          }
        } else {
          if var row {
            row.state = .evicted
            try tables.put(row, number)
          }
          found.evicted.append(number)
        }
        // No writer of ours has come so far.
        guard number < .max else { throw Fault(.corrupt, .disk) }
        found.nextSegment = max(found.nextSegment, number + 1)
        next = number + 1
      }
      found.sequence = try tables.advanceSequence()
      found.entries = try tables.recordCount
    }
    for name in names where !known.contains(name) {
      // A folder among them is nobody's business here.
      try? Folder.remove(file: folder + "/" + name)
    }
    return found
  }

  private static func reopen(
    _ number: UInt32, _ row: SegmentRow, _ wasClosed: Bool, _ wallSeconds: Int64,
    _ tables: IndexTransaction
  ) throws(Fault) -> OpenSegment? {
    guard wasClosed else {
      var row = row
      row.state = .sealed
      row.sealed = wallSeconds
      try tables.put(row, number)
      return nil
    }
    let (entries, last) = try tables.chunks(of: number)
    return OpenSegment(
      layout: SegmentLayout(number: number, size: row.size, used: row.used, entries: entries),
      row: row, begun: row.created, committedEntries: entries.count, chunks: last)
  }
}

extension DiskWriter {
  /// Has bytes taken off the disk that were not before: by an earlier life, which was asked for it or wrote
  /// them and never committed, or by the last writer of this one.
  ///
  /// At the start of a process nobody can be sending any of it; later that is known of what the last writer
  /// was told to erase. A batch goes at once, the rest by and by, with jobs in between.
  func eraseLeftovers(_ legacy: Legacy) {
    if !legacy.isBeginning && legacy.unerased.isEmpty { return }
    do throws(Fault) {
      let noted = try change { tables throws(Fault) in try tables.erasures() }
      let known = Set(legacy.unerased)
      backlog.add(legacy.isBeginning ? noted : noted.filter(known.contains))
    } catch {
      counters.writeFaults.add(1, ordering: .relaxed)
    }
    eraseNext(now: .zero)
  }
}
