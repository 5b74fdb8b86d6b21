import Base

/// What stands where a varint should be.
enum VarintRead {
  case value(UInt64, next: Int)
  /// The bytes end inside it.
  case incomplete
  /// Longer than 9 bytes, or not in its shortest form.
  case malformed
}

extension RawSpan {
  /// Reads an unsigned varint (multiformats/unsigned-varint: 63 bits, shortest form only).
  @inline(__always)
  func varint(at start: Int) -> VarintRead {
    var value: UInt64 = 0
    var offset = start
    var shift: UInt64 = 0
    while offset < byteCount {
      let byte = byte(offset)
      value |= UInt64(byte & 0x7f) << shift
      offset += 1
      if byte < 0x80 {
        return byte == 0 && shift > 0 ? .malformed : .value(value, next: offset)
      }
      shift += 7
      if shift == 63 { return .malformed }
    }
    return .incomplete
  }
}

extension UInt64 {
  /// How many bytes the number takes as a varint.
  var varintCount: Int { Swift.max(1, (70 - leadingZeroBitCount) / 7) }
}

extension ByteBuffer {
  mutating func append(varint value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }
}
