internal import Base

/// Percent-encoding of URLs (RFC 3986, 2.1).
enum PercentText {
  /// Decodes a query's value: `+` is a space; an escape that is none stays as it is.
  static func decodeQuery(_ text: RawSpan) -> [UInt8] {
    var decoded: [UInt8] = []
    decoded.reserveCapacity(text.byteCount)
    var offset = 0
    while offset < text.byteCount {
      let byte = text.byte(offset)
      offset += 1
      if byte == UInt8(ascii: "+") {
        decoded.append(UInt8(ascii: " "))
      } else if byte == UInt8(ascii: "%"), text.byteCount - offset > 1,
        let high = text.byte(offset).hexValue, let low = text.byte(offset + 1).hexValue
      {
        decoded.append(high << 4 | low)
        offset += 2
      } else {
        decoded.append(byte)
      }
    }
    return decoded
  }

  /// Encodes a path's segment or a file's name: all but letters, digits and `-._~`.
  static func encode(_ bytes: some Sequence<UInt8>) -> String {
    var encoded = ""
    for byte in bytes {
      if isUnreserved(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        let digits = String(byte, radix: 16, uppercase: true)
        encoded += byte < 16 ? "%0" + digits : "%" + digits
      }
    }
    return encoded
  }

  /// Encodes a segment as Go's `url.PathEscape` does, which leaves `$&+=:@` too.
  static func encode(segment bytes: some Sequence<UInt8>) -> String {
    var encoded = ""
    for byte in bytes {
      if isUnreserved(byte) || "$&+=:@".utf8.contains(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        encoded += encode(CollectionOfOne(byte))
      }
    }
    return encoded
  }

  /// Encodes what cannot stand in a path; what is encoded already, and what a path may hold, stays.
  static func encode(path bytes: some Collection<UInt8>) -> String {
    var encoded = ""
    for byte in bytes {
      if isUnreserved(byte) || "!$&'()*+,;=:@%".utf8.contains(byte) {
        encoded.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        encoded += encode(CollectionOfOne(byte))
      }
    }
    return encoded
  }

  /// Encodes a name or a value of a query, as forms are sent.
  static func encodeQuery(_ bytes: [UInt8]) -> String {
    bytes.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
      .map { encode($0) }.joined(separator: "+")
  }

  private static func isUnreserved(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "_"), UInt8(ascii: "~"):
      true
    default: false
    }
  }
}
