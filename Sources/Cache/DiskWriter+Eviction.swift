import Base
import Synchronization
import System

extension DiskWriter {
  /// Evicts the oldest segment at once: no new reader finds it, its file is unlinked, its keys go later.
  func evictOldest(_ wallSeconds: Int64) throws(Fault) {
    guard let oldest = live.first else { return }
    if open?.layout.number == oldest.number { abandonOpenSegment(wallSeconds) }
    // Of a segment that is leaving already some names have gone.
    let known = leaving?.segment == oldest ? leaving?.unsettled : nil
    let sorted = if let known { known } else { SegmentEntry.distinct(try names(in: oldest)) }
    leaving = nil
    defer { tellErased() }
    try change { tables throws(Fault) in
      var row = try tables.row(oldest.number) ?? SegmentRow(size: oldest.size, created: 0)
      row.state = .evicted
      try tables.put(row, oldest.number)
      try tables.removeChunks(of: oldest.number)
      var chunk: UInt32 = 0
      for start in stride(from: sorted.startIndex, to: sorted.endIndex, by: Self.forgetBatch) {
        chunk += 1
        let end = min(start + Self.forgetBatch, sorted.endIndex)
        try tables.putChunk(sorted[start..<end], of: oldest.number, chunk)
      }
    }
    forgetting.append(oldest.number)
    try unlink(oldest)
  }

  /// Takes the oldest segment out of use, whose names are no business of its any more.
  func unlink(_ oldest: LiveSegment) throws(Fault) {
    table.retire(oldest.number)
    live.removeAll { $0.number == oldest.number }
    retired.append(oldest)
    rows[oldest.number] = nil
    sealed.removeAll { $0 == oldest.number }
    counters.evictions.add(1, ordering: .relaxed)
    try faults?.before(.remove(segment: oldest.number))
    try Folder.remove(file: table.path(oldest.number))
  }

  /// Who names bytes of a segment: its footer says, or the chunks of one that has none.
  func names(in segment: LiveSegment) throws(Fault) -> [SegmentEntry] {
    let chunks = try change { tables throws(Fault) in
      try tables.chunks(of: segment.number).entries
    }
    // A segment whose file cannot be read any more is evicted all the same; a name that is lost
    // with its footer leaves a record behind that is a miss until it is put again.
    let footer = try? withFile(segment.number) { file throws(Fault) in
      try Self.footer(of: file, segment)
    }
    return chunks + (footer ?? [])
  }

  static func footer(
    of file: FileReference, _ segment: LiveSegment
  ) throws(Fault) -> [SegmentEntry] {
    let trailerStart = segment.size - SegmentLayout.trailerBytes
    let trailer = try bytes(of: file, at: trailerStart, SegmentLayout.trailerBytes)
    guard
      let count = SegmentLayout.footerEntryBytes(
        trailer: trailer.bytes, number: segment.number, size: segment.size)
    else { return [] }
    let entries = try bytes(of: file, at: trailerStart - count, count)
    return SegmentLayout.footerEntries(entries.bytes, trailer: trailer.bytes) ?? []
  }

  /// Bytes of a file, all of them or a fault; may wait for the disk.
  static func bytes(
    of file: FileReference, at offset: Int, _ count: Int
  ) throws(Fault) -> SliceBuffer {
    let buffer = SliceBuffer(capacity: count)
    let got = try unsafe buffer.fill { tail throws(Fault) in
      try unsafe file.read(at: offset, into: .init(rebasing: tail[..<count]))
    }
    guard got == count else { throw Fault(.corrupt, .disk) }
    return buffer
  }

  /// Whether a segment cannot be read any more: what a record has there it has lost.
  func isGone(_ segment: UInt32) -> Bool { !table.isLive(segment) }

  /// Closes evicted segments whose last pin has gone; only then is their space free.
  func sweep() {
    retired.removeAll { segment in
      // As long as its name is there its space is taken.
      guard table.close(segment.number),
        (try? Folder.remove(file: table.path(segment.number))) != nil
      else { return false }
      segmentBytes -= segment.size
      return true
    }
  }
}
