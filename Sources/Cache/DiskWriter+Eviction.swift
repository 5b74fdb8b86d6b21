import Base
import Synchronization
import System

extension DiskWriter {
  /// Evicts the oldest segment: no new reader finds it, its file is unlinked, its keys go later.
  func evictOldest(_ wallSeconds: Int64) throws(Fault) {
    guard let oldest = live.first else { return }
    if open?.layout.number == oldest.number { abandonOpenSegment(wallSeconds) }
    let entries = try names(in: oldest)
    let sorted = Set(entries).sorted()
    try index.write { tables throws(Fault) in
      var row = try tables.row(oldest.number) ?? SegmentRow(size: oldest.size, created: 0)
      row.state = .evicted
      try tables.put(row, oldest.number)
      try tables.removeChunks(of: oldest.number)
      var chunk: UInt32 = 0
      for start in stride(from: 0, to: sorted.count, by: Self.forgetBatch) {
        chunk += 1
        let end = min(start + Self.forgetBatch, sorted.count)
        try tables.putChunk(sorted[start..<end], of: oldest.number, chunk)
      }
    }
    table.retire(oldest.number)
    live.removeFirst()
    retired.append(oldest)
    rows[oldest.number] = nil
    sealed.removeAll { $0 == oldest.number }
    forgetting.append(oldest.number)
    counters.evictions.add(1, ordering: .relaxed)
    try Folder.remove(file: table.path(oldest.number))
  }

  /// Who names bytes of a segment: its footer says, or the chunks of one that has none.
  private func names(in segment: LiveSegment) throws(Fault) -> [SegmentEntry] {
    let chunks = try index.write { tables throws(Fault) in
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
        trailer: trailer.rawBytes, number: segment.number, size: segment.size)
    else { return [] }
    let entries = try bytes(of: file, at: trailerStart - count, count)
    return SegmentLayout.footerEntries(entries.rawBytes, trailer: trailer.rawBytes) ?? []
  }

  private static func bytes(
    of file: FileReference, at offset: Int, _ count: Int
  ) throws(Fault) -> [UInt8] {
    let buffer = SliceBuffer(capacity: count)
    let got = try unsafe buffer.fill { tail throws(Fault) in
      try unsafe file.read(at: offset, into: .init(rebasing: tail[..<count]))
    }
    guard got == count else { throw Fault(.corrupt, .disk) }
    return buffer.bytes.array
  }

  /// Deletes one batch of an evicted segment's keys from the index.
  func forgetBatch() throws(Fault) {
    guard let segment = forgetting.first else { return }
    let (isLast, count, sequence) = try index.write { tables throws(Fault) in
      if let chunk = try tables.chunk(of: segment, from: 1) {
        for entry in chunk.entries { try tables.forget(entry, segment: segment) }
        try tables.removeChunk(of: segment, chunk.number)
      }
      let isLast = try tables.chunk(of: segment, from: 1) == nil
      if isLast { try tables.removeRow(segment) }
      return (isLast, try tables.recordCount, try tables.advanceSequence())
    }
    if isLast { forgetting.removeFirst() }
    counters.entries.store(count, ordering: .relaxed)
    counters.sequence.store(sequence, ordering: .releasing)
    isIndexFull = try index.isFuller(than: Self.fullPercent)
  }

  /// Closes evicted segments whose last pin has gone; only then is their space free.
  func sweep() {
    retired.removeAll { segment in
      guard table.close(segment.number) else { return false }
      segmentBytes -= segment.size
      return true
    }
  }
}
