import Base

/// Reads the fields of a protobuf message in place (protobuf encoding, wire types 0, 1, 2 and 5).
struct ProtobufReader {
  enum Value {
    case varint(UInt64)
    case fixed64(UInt64)
    case bytes(ByteRange)
    case fixed32(UInt32)
  }

  private var offset: Int
  private let end: Int

  /// Reads the message that lies in a range; all ranges given later count from the span's start.
  init(_ bytes: RawSpan, in range: ByteRange) throws(DAGError) {
    guard range.end <= bytes.byteCount else { throw .truncated }
    offset = Int(range.start)
    end = range.end
  }

  /// The next field; nil at the message's end.
  mutating func next(_ bytes: RawSpan) throws(DAGError) -> (field: UInt64, value: Value)? {
    guard offset < end else { return nil }
    let tag = try varint(bytes)
    let field = tag >> 3
    guard field > 0, field < 1 << 29 else { throw .malformed }
    switch tag & 7 {
    case 0: return (field, .varint(try varint(bytes)))
    case 1: return (field, .fixed64(try fixed(bytes, count: 8)))
    case 2:
      let claimed = try varint(bytes)
      guard let count = Int(exactly: claimed), count <= end - offset else { throw .truncated }
      defer { offset += count }
      return (field, .bytes(ByteRange(start: offset, count: count)))
    case 5: return (field, .fixed32(UInt32(truncatingIfNeeded: try fixed(bytes, count: 4))))
    default: throw .malformed
    }
  }

  var isAtEnd: Bool { offset == end }

  /// Reads a bare number: up to 10 bytes, 64 bits, longer forms than needed allowed.
  mutating func varint(_ bytes: RawSpan) throws(DAGError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard offset < end else { throw .truncated }
      let byte = bytes.byte(offset)
      offset += 1
      if index == 9 && byte > 1 { throw .malformed }
      value |= UInt64(byte & 0x7f) << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    throw .malformed
  }

  private mutating func fixed(_ bytes: RawSpan, count: Int) throws(DAGError) -> UInt64 {
    guard end - offset >= count else { throw .truncated }
    var value: UInt64 = 0
    for index in 0..<count { value |= UInt64(bytes.byte(offset + index)) << UInt64(8 * index) }
    offset += count
    return value
  }
}
