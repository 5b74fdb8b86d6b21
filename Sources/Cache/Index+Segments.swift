import Base

/// What the index knows of a segment file.
///
/// Layout, little endian: version (1 byte), state (1), 2 zeros, `Seal` (4), size (8), used (8), created (8),
/// sealed (8). The seal counts the segment's number too, which is in the row's key alone.
///
/// Beside its row (chunk 0) a segment may have chunks (1 and up) of entries: those of one that is
/// written, a chunk for each commit, since its footer comes only when it is sealed; and those of an
/// evicted one that still have to be deleted.
struct SegmentRow: Equatable, Sendable {
  enum State: UInt8, Sendable {
    case open, sealed, evicted
  }

  var state: State
  var size: Int
  /// Bytes in use, as of the last commit.
  var used: Int
  /// When it was begun and sealed, in seconds since 1970.
  var created: Int64
  var sealed: Int64 = 0

  static let version: UInt8 = 1
  static let codedBytes = 40
  private static let sealOffset = 4

  init(size: Int, created: Int64) {
    state = .open
    self.size = size
    used = 0
    self.created = created
  }

  /// Nil for what is not the row of this segment, as it was written.
  init?(_ bytes: RawSpan, of segment: UInt32) {
    guard bytes.byteCount == Self.codedBytes, bytes.byte(0) == Self.version,
      Seal.fits(bytes, at: Self.sealOffset, salt: UInt64(segment)),
      let state = State(rawValue: bytes.byte(1)),
      let size = Int(exactly: bytes.integer(at: 8) as UInt64),
      let used = Int(exactly: bytes.integer(at: 16) as UInt64), used <= size
    else { return nil }
    self.state = state
    self.size = size
    self.used = used
    created = bytes.integer(at: 24)
    sealed = bytes.integer(at: 32)
  }

  func encoded(of segment: UInt32) -> [UInt8] {
    var bytes: [UInt8] = [Self.version, state.rawValue, 0, 0, 0, 0, 0, 0]
    bytes.append(littleEndian: UInt64(size))
    bytes.append(littleEndian: UInt64(used))
    bytes.append(littleEndian: created)
    bytes.append(littleEndian: sealed)
    Seal.put(in: &bytes, at: Self.sealOffset, salt: UInt64(segment))
    return bytes
  }
}

extension IndexTransaction {
  func row(_ segment: UInt32) throws(Fault) -> SegmentRow? {
    try value(databases.segments, Self.coded(segment, 0)) { SegmentRow($0, of: segment) } ?? nil
  }

  func put(_ row: SegmentRow, _ segment: UInt32) throws(Fault) {
    try put(databases.segments, Self.coded(segment, 0), row.encoded(of: segment))
  }

  func removeRow(_ segment: UInt32) throws(Fault) {
    try remove(databases.segments, Self.coded(segment, 0))
  }

  /// The first segment numbered `number` or more.
  func segment(from number: UInt32) throws(Fault) -> UInt32? {
    guard let key = try keyAtOrAfter(databases.segments, Self.coded(number, 0)), key.count == 8
    else { return nil }
    return Self.bigEndian(key, at: 0)
  }

  /// The first chunk of a segment numbered `number` or more.
  func chunk(
    of segment: UInt32, from number: UInt32
  ) throws(Fault) -> (number: UInt32, entries: [SegmentEntry])? {
    let key = Self.coded(segment, number)
    guard let found = try keyAtOrAfter(databases.segments, key), found.count == 8,
      Self.bigEndian(found, at: 0) == segment
    else { return nil }
    let entries = try value(databases.segments, found) { SegmentEntry.decode($0) } ?? []
    return (Self.bigEndian(found, at: 4), entries)
  }

  /// All entries in the chunks of a segment.
  func chunks(of segment: UInt32) throws(Fault) -> (entries: [SegmentEntry], last: UInt32) {
    var entries: [SegmentEntry] = []
    var last: UInt32 = 0
    while last < .max, let found = try chunk(of: segment, from: last + 1) {
      entries += found.entries
      last = found.number
    }
    return (entries, last)
  }

  func putChunk(
    _ entries: some Sequence<SegmentEntry>, of segment: UInt32, _ number: UInt32
  ) throws(Fault) {
    try put(databases.segments, Self.coded(segment, number), SegmentEntry.encode(entries))
  }

  func removeChunk(of segment: UInt32, _ number: UInt32) throws(Fault) {
    try remove(databases.segments, Self.coded(segment, number))
  }

  func removeChunks(of segment: UInt32) throws(Fault) {
    var last: UInt32 = 0
    while let found = try chunk(of: segment, from: last + 1) {
      try removeChunk(of: segment, found.number)
      guard found.number < .max else { return }
      last = found.number
    }
  }

  private static func coded(_ segment: UInt32, _ chunk: UInt32) -> [UInt8] {
    bigEndian(segment) + bigEndian(chunk)
  }
}
