import Base

/// Where in a segment the next bytes go; decides, and touches no file.
///
/// Bodies of at least 16 KiB start on a page and have its pages for themselves, since sendfile sends
/// them and a purge punches whole pages out; smaller ones are packed. The end is kept for a footer:
/// the entries (16 bytes of key, 4 of block), then 32 bytes: magic (8), version (4), number (4),
/// count (4), zeros (4), XXH3 of the entries (8).
struct SegmentLayout {
  let number: UInt32
  let size: Int
  /// The next free byte.
  private(set) var used: Int
  private(set) var entries: [SegmentEntry]

  static let page = 4096
  static let pagedBytes = 16 << 10
  static let trailerBytes = 32
  static let magic: UInt64 = 0x5345_434c_5549_4c53
  static let version: UInt32 = 1

  init(number: UInt32, size: Int, used: Int = 0, entries: [SegmentEntry] = []) {
    self.number = number
    self.size = size
    self.used = used
    self.entries = entries
  }

  /// Takes room for some bytes and notes who names them; nil when the segment is full.
  mutating func place(_ count: Int, for names: SegmentEntry...) -> Int? {
    place(count, for: names)
  }

  mutating func place(_ count: Int, for names: [SegmentEntry]) -> Int? {
    // Slices of one object often follow each other: its name is not repeated then.
    // By index: a slice of the array would share it, and each append copy it whole.
    let recent = max(0, entries.count - names.count)..<entries.count
    func isNew(_ name: SegmentEntry) -> Bool { !recent.contains { entries[$0] == name } }
    let new = names.reduce(0) { $0 + (isNew($1) ? 1 : 0) }
    guard let (offset, end) = room(for: count, names: new) else { return nil }
    used = end
    for name in names where new > 0 && isNew(name) { entries.append(name) }
    return offset
  }

  /// Whether so many bytes would find room, under two names.
  func hasPlace(for count: Int) -> Bool { room(for: count, names: 2) != nil }

  private func room(for count: Int, names: Int) -> (offset: Int, end: Int)? {
    let isPaged = count >= Self.pagedBytes
    let offset = isPaged ? Self.pageEnd(used) : used
    let end = isPaged ? Self.pageEnd(offset + count) : offset + count
    let footer = (entries.count + names) * SegmentEntry.codedBytes + Self.trailerBytes
    return end + footer <= size ? (offset, end) : nil
  }

  static func pageEnd(_ offset: Int) -> Int { (offset + page - 1) & ~(page - 1) }

  /// The footer's bytes and where they go: up to the file's end.
  var footer: (offset: Int, bytes: [UInt8]) {
    var bytes = SegmentEntry.encode(entries)
    let checksum = Slice.checksum(of: bytes.rawBytes)
    bytes.append(littleEndian: Self.magic)
    bytes.append(littleEndian: Self.version)
    bytes.append(littleEndian: number)
    bytes.append(littleEndian: UInt32(truncatingIfNeeded: entries.count))
    bytes.append(littleEndian: UInt32(0))
    bytes.append(littleEndian: checksum)
    return (size - bytes.count, bytes)
  }

  /// How many bytes before the trailer hold the entries, or nil where there is no trailer.
  static func footerEntryBytes(trailer: RawSpan, number: UInt32, size: Int) -> Int? {
    guard trailer.byteCount == trailerBytes, trailer.integer(at: 0) == magic,
      trailer.integer(at: 8) == version, trailer.integer(at: 12) == number
    else { return nil }
    let count: UInt32 = trailer.integer(at: 16)
    let bytes = Int(count) * SegmentEntry.codedBytes
    return bytes <= size - trailerBytes ? bytes : nil
  }

  /// The entries, or nil where they are not those that were written.
  static func footerEntries(_ bytes: RawSpan, trailer: RawSpan) -> [SegmentEntry]? {
    guard Slice.checksum(of: bytes) == trailer.integer(at: 24) else { return nil }
    return SegmentEntry.decode(bytes)
  }
}
