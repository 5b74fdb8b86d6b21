import Base

/// The header of a CARv1 file: DAG-CBOR of `{roots: [CID…], version: 1}` (ipld.io/specs/transport/car).
enum CARHeader {
  /// DAG-CBOR's tag for a CID; its bytes begin with a zero for "multibase identity".
  private static let cidTag: UInt64 = 42

  static func decode(_ bytes: RawSpan) throws(CARError) -> [CID] {
    var reader = CBORReader()
    var roots: [CID]?
    var version: UInt64?
    for _ in 0..<(try reader.head(bytes, .map)) {
      let key = bytes.bytes(try reader.run(bytes, .text))
      if key.equals("version"), version == nil {
        version = try reader.head(bytes, .unsigned)
      } else if key.equals("roots"), roots == nil {
        roots = try self.roots(bytes, &reader)
      } else {
        throw .malformedHeader
      }
    }
    guard reader.offset == bytes.byteCount, let version else { throw .malformedHeader }
    if version == 2 { throw .version2 }
    guard version == 1 else { throw .unknownVersion(version) }
    guard let roots else { throw .malformedHeader }
    return roots
  }

  private static func roots(
    _ bytes: RawSpan, _ reader: inout CBORReader
  ) throws(CARError) -> [CID] {
    var roots: [CID] = []
    // The count is only a claim: each root needs bytes of the header, and the first that lacks them ends it.
    for _ in 0..<(try reader.head(bytes, .array)) {
      guard try reader.head(bytes, .tag) == cidTag else { throw .malformedHeader }
      let link = bytes.bytes(try reader.run(bytes, .bytes))
      guard link.byteCount > 1, link.byte(0) == 0 else { throw .malformedHeader }
      let binary = link.extracting(1..<link.byteCount)
      do throws(CIDError) {
        let (cid, count) = try CID.parse(binary: binary)
        guard count == binary.byteCount else { throw .trailingBytes }
        roots.append(cid)
      } catch {
        throw .cid(error)
      }
    }
    return roots
  }

  static func append(roots: [CID], to output: inout ByteBuffer) {
    appendHead(.map, 2, to: &output)
    appendHead(.text, 5, to: &output)
    output.append("roots")
    appendHead(.array, UInt64(roots.count), to: &output)
    for root in roots {
      appendHead(.tag, cidTag, to: &output)
      appendHead(.bytes, UInt64(root.binaryCount + 1), to: &output)
      output.append(0)
      root.appendBinary(to: &output)
    }
    appendHead(.text, 7, to: &output)
    output.append("version")
    appendHead(.unsigned, 1, to: &output)
  }

  private static func appendHead(
    _ type: CBORReader.MajorType, _ argument: UInt64, to output: inout ByteBuffer
  ) {
    CBORHead.append(type.rawValue, argument, to: &output)
  }
}

/// The first bytes of a CBOR item in their shortest form (RFC 8949).
enum CBORHead {
  static func append(_ type: UInt8, _ argument: UInt64, to output: inout ByteBuffer) {
    let top = type << 5
    switch argument {
    case 0..<24: output.append(top | UInt8(argument))
    case 24...0xff:
      output.append(top | 24)
      output.append(UInt8(argument))
    default:
      let wide = argument > 0xffff ? (argument > 0xffff_ffff ? 8 : 4) : 2
      output.append(top | (wide == 8 ? 27 : wide == 4 ? 26 : 25))
      for index in (0..<wide).reversed() {
        output.append(UInt8(truncatingIfNeeded: argument >> UInt64(8 * index)))
      }
    }
  }
}

/// The header of a CARv2 file, which follows a CARv1 header that says "version 2".
enum CARVersion2 {
  static let headerBytes = 40
  /// The CARv1 header before it.
  private static let pragmaBytes: UInt64 = 11

  /// Where the CARv1 lies in the file: 16 bytes of flags that only indexes use, then offset and size, then the
  /// index's offset, all little-endian.
  static func decode(_ bytes: RawSpan) throws(CARError) -> Range<UInt64> {
    func number(_ start: Int) -> UInt64 {
      (0..<8).reduce(0) { $0 | UInt64(bytes.byte(start + $1)) << UInt64(8 * $1) }
    }
    let start = number(16)
    let (end, overflow) = start.addingReportingOverflow(number(24))
    // A size of 0 is that of a file whose writer has not finished.
    guard start >= pragmaBytes + UInt64(headerBytes), !overflow, end > start, end < 1 << 63 else {
      throw .malformedHeader
    }
    return start..<end
  }
}

/// Reads the few forms of DAG-CBOR that a CAR header has (RFC 8949, shortest heads only).
struct CBORReader {
  enum MajorType: UInt8 {
    case unsigned = 0
    case bytes = 2
    case text = 3
    case array = 4
    case map = 5
    case tag = 6
  }

  private(set) var offset = 0

  /// The argument of the next item, which must be of a type: its value, length, count or tag.
  mutating func head(_ bytes: RawSpan, _ type: MajorType) throws(CARError) -> UInt64 {
    guard offset < bytes.byteCount else { throw .malformedHeader }
    let first = bytes.byte(offset)
    guard first >> 5 == type.rawValue else { throw .malformedHeader }
    offset += 1
    let short = first & 0x1f
    if short < 24 { return UInt64(short) }
    guard short <= 27 else { throw .malformedHeader }
    let count = 1 << Int(short - 24)
    guard bytes.byteCount - offset >= count else { throw .malformedHeader }
    var value: UInt64 = 0
    for index in 0..<count { value = value << 8 | UInt64(bytes.byte(offset + index)) }
    offset += count
    let smallest: UInt64 = count == 1 ? 24 : 1 << UInt64(4 * count)
    guard value >= smallest else { throw .malformedHeader }
    return value
  }

  /// Where the bytes or the text of the next item lie.
  mutating func run(_ bytes: RawSpan, _ type: MajorType) throws(CARError) -> ByteRange {
    let claimed = try head(bytes, type)
    guard let count = Int(exactly: claimed), count <= bytes.byteCount - offset else {
      throw .malformedHeader
    }
    defer { offset += count }
    return ByteRange(start: offset, count: count)
  }
}
