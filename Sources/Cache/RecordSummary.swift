import Base

/// What of a record says where its bytes lie and how old they are.
///
/// Eviction asks for no more, and a record's strings are an allocation each.
struct RecordSummary: Equatable, Sendable {
  let stamp: UInt64
  let totalBytes: Int
  let sliceShift: UInt8
  /// When the answer was fetched, in seconds since 1970.
  let created: Int64
  /// The segment that was written to when the record was put.
  let home: UInt32
  /// The slices of an object that is not large.
  var slices: [Slice]
  let isLarge: Bool

  /// The summary of a coded record, or nil for bytes that are none.
  init?(_ bytes: RawSpan) {
    guard let view = RecordView(bytes) else { return nil }
    stamp = view.stamp
    totalBytes = view.totalBytes
    sliceShift = view.sliceShift
    created = view.created
    home = view.home(in: bytes)
    slices = (0..<view.inlineSlices).map { view.slice($0, in: bytes) }
    isLarge = view.isLarge
  }

  func bytes(ofSlice index: Int) -> Int {
    Record.bytes(ofSlice: index, totalBytes: totalBytes, shift: sliceShift)
  }
}

extension RecordView {
  /// The segment that was written to when the record was put, from the bytes the view was made from.
  func home(in bytes: RawSpan) -> UInt32 { bytes.integer(at: 40) }
}
