import Base
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
  /// commit may still be on their way to a client.
  static func settle(
    _ index: Index, folder: String, wallSeconds: Int64
  ) throws(Fault) -> Found {
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
          found.live.append(LiveSegment(number: number, size: row.size))
          if row.state == .open {
            let open = try reopen(number, row, wasClosed, wallSeconds, tables)
            found.open = open
          }
        } else {
          if var row {
            row.state = .evicted
            try tables.put(row, number)
          }
          found.evicted.append(number)
        }
        found.nextSegment = max(found.nextSegment, number == .max ? number : number + 1)
        if number == .max { break }
        next = number + 1
      }
      found.sequence = try tables.advanceSequence()
      found.entries = try tables.recordCount
    }
    for name in names where !known.contains(name) {
      try Folder.remove(file: folder + "/" + name)
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
      row: row, committedEntries: entries.count, chunks: last)
  }
}
