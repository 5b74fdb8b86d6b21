public import Base

/// Escapes in URLs (RFC 3986, section 2.1).
public enum PercentCoding {
  /// Appends `%41` for an `A`.
  public static func appendEscape(of byte: UInt8, to output: inout ByteBuffer) {
    output.append(UInt8(ascii: "%"))
    output.append(digit(byte >> 4))
    output.append(digit(byte & 15))
  }

  /// Appends a decoded path with its slashes, all but letters, digits and `-._~` escaped.
  public static func append(path: RawSpan, to output: inout ByteBuffer) {
    for offset in 0..<path.byteCount {
      let byte = path.byte(offset)
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "/"):
        output.append(byte)
      default: appendEscape(of: byte, to: &output)
      }
    }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x41 + value - 10
  }

  /// The bytes of a query's value: `+` is a space, `%41` an `A`; what is no escape stands for itself.
  public static func query(_ text: RawSpan) -> [UInt8] {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(text.byteCount)
    var offset = 0
    while offset < text.byteCount {
      let byte = text.byte(offset)
      if byte == UInt8(ascii: "%"), offset + 2 < text.byteCount,
        let high = text.byte(offset + 1).hexValue, let low = text.byte(offset + 2).hexValue
      {
        decoded.append(high << 4 | low)
        offset += 3
      } else {
        decoded.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
        offset += 1
      }
    }
    return decoded
  }
}
