public import Base

/// What the index keeps of one answer: its head, its length and where its body lies.
///
/// Layout, little endian: version (1 byte), flags (1), status (2), slice shift (1), inline slices (1),
/// kept fields (2), total bytes (8), created (8), stamp (8), lengths of key, Etag, Content-Type and
/// kept fields (2 each), home (4), `Seal` (4), the inline slices (16 each), then those four byte strings. A kept
/// field is two lengths (2 each), name and value. With the flag for it (2), what is left is the server's name.
public struct Record: Equatable, Sendable {
  public struct Field: Equatable, Sendable {
    public var name: [UInt8]
    public var value: [UInt8]

    public init(name: [UInt8], value: [UInt8]) {
      self.name = name
      self.value = value
    }
  }

  public var status: UInt16
  /// Whether the bytes were checked against their CID.
  public var isVerified: Bool
  /// Bytes of the whole body.
  public var totalBytes: Int
  /// When the answer was fetched, in seconds since 1970.
  public var created: Int64
  /// The slice size as a power of two.
  public var sliceShift: UInt8
  /// Tells this record from others under the same key; slices are written for a stamp.
  public var stamp: UInt64
  /// The canonical key, compared on a hit: two keys may share a hash.
  public var key: [UInt8]
  public var etag: [UInt8] = []
  public var contentType: [UInt8] = []
  /// Other fields of the answer's head that a hit repeats.
  public var fields: [Field] = []
  /// The name of the server that gave it, for those who ask where content came from; may be empty.
  public var server: [UInt8] = []
  /// The segment that was written to when the record was put.
  ///
  /// It names the record, so that its eviction forgets one that has no slices. The writer sets it.
  public internal(set) var home: UInt32 = 0
  /// The slices of an object with up to 16; empty for a larger one, whose slices lie in blocks.
  public var slices: [Slice]

  /// A record without any stored slice.
  public init(
    key: [UInt8], stamp: UInt64, status: UInt16, totalBytes: Int, sliceShift: UInt8, created: Int64,
    isVerified: Bool = false
  ) {
    self.key = key
    self.stamp = stamp
    self.status = status
    self.totalBytes = totalBytes
    self.sliceShift = sliceShift
    self.created = created
    self.isVerified = isVerified
    let count = Self.sliceCount(totalBytes: totalBytes, shift: sliceShift)
    slices = Array(repeating: .absent, count: count <= Self.inlineSlices ? count : 0)
  }

  public static let inlineSlices = 16
  /// Bytes of a coded record at most: heads are bounded long before, and the index's pages are 4 KiB.
  public static let maximumBytes = 64 << 10
  static let version: UInt8 = 1
  static let verifiedFlag: UInt8 = 1
  static let serverFlag: UInt8 = 2
  static let headBytes = 48
  static let sealOffset = 44

  public static func sliceCount(totalBytes: Int, shift: UInt8) -> Int {
    let slice = 1 << Int(min(shift, 40))
    return totalBytes / slice + (totalBytes % slice == 0 ? 0 : 1)
  }

  /// Bytes of one slice; the last is shorter, and beyond it there is none.
  public static func bytes(ofSlice index: Int, totalBytes: Int, shift: UInt8) -> Int {
    guard index >= 0, index < sliceCount(totalBytes: totalBytes, shift: shift) else { return 0 }
    return min(1 << Int(shift), totalBytes - index << Int(shift))
  }

  public func bytes(ofSlice index: Int) -> Int {
    Self.bytes(ofSlice: index, totalBytes: totalBytes, shift: sliceShift)
  }

  public var sliceCount: Int { Self.sliceCount(totalBytes: totalBytes, shift: sliceShift) }
  /// Whether the slices lie in blocks of their own.
  public var isLarge: Bool { sliceCount > Self.inlineSlices }

  private var fieldBytes: Int {
    fields.reduce(0) { $0 + 4 + $1.name.count + $1.value.count }
  }

  private var codedBytes: Int {
    Self.headBytes + slices.count * Slice.codedBytes + key.count + etag.count + contentType.count
      + fieldBytes + server.count
  }

  /// Whether `encoded` has bytes to give.
  var isEncodable: Bool {
    codedBytes <= Self.maximumBytes && slices.count == (isLarge ? 0 : sliceCount)
      && totalBytes >= 0 && sliceShift <= 40
  }

  /// The record's bytes, or nil where a part is longer than the index keeps.
  public func encoded() -> [UInt8]? {
    guard isEncodable else { return nil }
    let (total, fieldBytes) = (codedBytes, fieldBytes)
    let flags = (isVerified ? Self.verifiedFlag : 0) | (server.isEmpty ? 0 : Self.serverFlag)
    var bytes: [UInt8] = [Self.version, flags]
    bytes.reserveCapacity(total)
    bytes.append(littleEndian: status)
    bytes.append(sliceShift)
    bytes.append(UInt8(slices.count))
    bytes.append(littleEndian: UInt16(truncatingIfNeeded: fields.count))
    bytes.append(littleEndian: UInt64(totalBytes))
    bytes.append(littleEndian: created)
    bytes.append(littleEndian: stamp)
    for length in [key.count, etag.count, contentType.count, fieldBytes] {
      // At most `maximumBytes` - 48, which fits.
      bytes.append(littleEndian: UInt16(truncatingIfNeeded: length))
    }
    bytes.append(littleEndian: home)
    bytes.append(littleEndian: UInt32(0))
    for slice in slices { slice.encode(into: &bytes) }
    bytes += key
    bytes += etag
    bytes += contentType
    for field in fields {
      bytes.append(littleEndian: UInt16(truncatingIfNeeded: field.name.count))
      bytes.append(littleEndian: UInt16(truncatingIfNeeded: field.value.count))
      bytes += field.name
      bytes += field.value
    }
    bytes += server
    Seal.put(in: &bytes, at: Self.sealOffset)
    return bytes
  }

  /// The record of these bytes, or nil where they are none.
  public init?(_ bytes: RawSpan) {
    guard let view = RecordView(bytes) else { return nil }
    status = view.status
    isVerified = view.isVerified
    totalBytes = view.totalBytes
    created = view.created
    sliceShift = view.sliceShift
    stamp = view.stamp
    home = bytes.integer(at: 40)
    key = bytes.bytes(view.key).array
    etag = bytes.bytes(view.etag).array
    contentType = bytes.bytes(view.contentType).array
    server = bytes.bytes(view.server).array
    var kept: [Field] = []
    view.forEachField(in: bytes) { name, value in
      kept.append(Field(name: bytes.bytes(name).array, value: bytes.bytes(value).array))
    }
    fields = kept
    slices = (0..<view.inlineSlices).map { view.slice($0, in: bytes) }
  }
}

/// A record read where it lies: numbers, and places in the bytes it was made from.
///
/// Makes no allocation, for the hit path. It means something only beside those bytes.
public struct RecordView: Sendable {
  public let status: UInt16
  public let isVerified: Bool
  public let totalBytes: Int
  public let created: Int64
  public let sliceShift: UInt8
  public let stamp: UInt64
  /// The canonical key, to be compared with the one asked for.
  public let key: ByteRange
  public let etag: ByteRange
  public let contentType: ByteRange
  /// The name of the server that gave it; empty where that is not known.
  public let server: ByteRange
  /// How many slices the record holds itself; 0 where they lie in blocks.
  public let inlineSlices: Int
  private let fields: ByteRange

  /// Nil for bytes that are no record, one of another version, or not what was written.
  public init?(_ bytes: RawSpan) {
    let count = bytes.byteCount
    guard count >= Record.headBytes, count <= Record.maximumBytes,
      bytes.byte(0) == Record.version, bytes.byte(1) <= Record.verifiedFlag | Record.serverFlag,
      bytes.byte(4) <= 40,
      Seal.fits(bytes, at: Record.sealOffset)
    else { return nil }
    isVerified = bytes.byte(1) & Record.verifiedFlag != 0
    status = bytes.integer(at: 2)
    sliceShift = bytes.byte(4)
    inlineSlices = Int(bytes.byte(5))
    let total: UInt64 = bytes.integer(at: 8)
    guard let totalBytes = Int(exactly: total) else { return nil }
    self.totalBytes = totalBytes
    created = bytes.integer(at: 16)
    stamp = bytes.integer(at: 24)
    let slices = Record.sliceCount(totalBytes: totalBytes, shift: sliceShift)
    guard inlineSlices == (slices <= Record.inlineSlices ? slices : 0) else { return nil }
    var start = Record.headBytes + inlineSlices * Slice.codedBytes
    func next(_ place: Int) -> ByteRange {
      let length: UInt16 = bytes.integer(at: place)
      defer { start += Int(length) }
      return ByteRange(start: start, count: Int(length))
    }
    key = next(32)
    etag = next(34)
    contentType = next(36)
    fields = next(38)
    guard bytes.byte(1) & Record.serverFlag == 0 ? start == count : start < count else {
      return nil
    }
    server = ByteRange(start: start, count: count - start)
    guard Self.areFields(bytes.bytes(fields), count: bytes.integer(at: 6)) else { return nil }
  }

  public var sliceCount: Int { Record.sliceCount(totalBytes: totalBytes, shift: sliceShift) }
  public var isLarge: Bool { sliceCount > Record.inlineSlices }

  /// Bytes of one slice; the last is shorter.
  public func bytes(ofSlice index: Int) -> Int {
    Record.bytes(ofSlice: index, totalBytes: totalBytes, shift: sliceShift)
  }

  /// A slice that the record holds itself; absent where it does not.
  public func slice(_ index: Int, in bytes: RawSpan) -> Slice {
    guard index >= 0, index < inlineSlices else { return .absent }
    let offset = Record.headBytes + index * Slice.codedBytes
    return offset + Slice.codedBytes <= bytes.byteCount ? Slice(bytes, at: offset) : .absent
  }

  /// Gives name and value of each kept field.
  public func forEachField(in bytes: RawSpan, _ body: (ByteRange, ByteRange) -> Void) {
    guard fields.end <= bytes.byteCount else { return }
    var start = Int(fields.start)
    while start + 4 <= fields.end {
      let name: UInt16 = bytes.integer(at: start)
      let value: UInt16 = bytes.integer(at: start + 2)
      let place = ByteRange(start: start + 4, count: Int(name))
      let after = ByteRange(start: place.end, count: Int(value))
      guard after.end <= fields.end else { return }
      body(place, after)
      start = after.end
    }
  }

  private static func areFields(_ bytes: RawSpan, count: UInt16) -> Bool {
    var start = 0
    for _ in 0..<count {
      guard start + 4 <= bytes.byteCount else { return false }
      let name: UInt16 = bytes.integer(at: start)
      let value: UInt16 = bytes.integer(at: start + 2)
      start += 4 + Int(name) + Int(value)
    }
    return start == bytes.byteCount
  }
}
