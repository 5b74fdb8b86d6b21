import Base

/// The inside of JSON's quotes (RFC 8259).
enum JSONText {
  /// What a backslash and one letter stand for; nil where they stand for nothing.
  static func short(_ letter: UInt8) -> UInt8? {
    switch letter {
    case 0x22, 0x5c, 0x2f: letter
    case 0x62: 0x08
    case 0x66: 0x0c
    case 0x6e: 0x0a
    case 0x72: 0x0d
    case 0x74: 0x09
    default: nil
    }
  }

  /// The text that well-formed escapes stand for; half a surrogate pair has no meaning.
  static func unescape(_ bytes: RawSpan) throws(DAGError) -> [UInt8] {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.byteCount)
    var offset = 0
    while offset < bytes.byteCount {
      let byte = bytes.byte(offset)
      guard byte == 0x5c, offset + 1 < bytes.byteCount else {
        text.append(byte)
        offset += 1
        continue
      }
      if let plain = short(bytes.byte(offset + 1)) {
        text.append(plain)
        offset += 2
        continue
      }
      var value = try unit(bytes, at: offset)
      offset += 6
      if 0xd800..<0xdc00 ~= value {
        let low = try unit(bytes, at: offset)
        guard 0xdc00..<0xe000 ~= low else { throw .malformedData }
        value = 0x1_0000 + (value - 0xd800) << 10 + (low - 0xdc00)
        offset += 6
      }
      guard let scalar = UnicodeScalar(value), let encoded = UTF8.encode(scalar) else {
        throw .malformedData
      }
      text.append(contentsOf: encoded)
    }
    return text
  }

  /// The number of a `\u` escape at an offset.
  private static func unit(_ bytes: RawSpan, at offset: Int) throws(DAGError) -> UInt32 {
    guard bytes.byteCount - offset >= 6, bytes.byte(offset) == 0x5c, bytes.byte(offset + 1) == 0x75
    else { throw .malformedData }
    var value: UInt32 = 0
    for index in 2..<6 {
      guard let digit = bytes.byte(offset + index).hexValue else { throw .malformedData }
      value = value << 4 | UInt32(digit)
    }
    return value
  }
}

extension JSONText {
  /// Appends a text in quotes; beside what must be escaped, the two line ends that JavaScript stumbles over.
  static func append(_ text: [UInt8], to output: inout ByteBuffer) {
    output.append(0x22)
    for (offset, byte) in text.enumerated() {
      switch byte {
      case 0x22, 0x5c:
        output.append(0x5c)
        output.append(byte)
      case 0x0a: output.append("\\n")
      case 0x0d: output.append("\\r")
      case 0x09: output.append("\\t")
      case 0..<0x20:
        output.append("\\u00")
        output.append(hexDigit(byte >> 4))
        output.append(hexDigit(byte & 0xf))
      case 0xa8...0xa9 where offset > 1 && text[offset - 1] == 0x80 && text[offset - 2] == 0xe2:
        output.dropLast(2)
        output.append("\\u202")
        output.append(hexDigit(byte & 0xf))
      default: output.append(byte)
      }
    }
    output.append(0x22)
  }

  private static func hexDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? 0x30 + value : 0x61 + value - 10
  }

  /// Appends a finite float in the fewest digits, with an exponent where ECMAScript has one; always with a
  /// point or an exponent, so that it is read as a float again.
  static func append(_ value: Double, to output: inout ByteBuffer) {
    // Swift writes the fewest digits too, but has other rules for the exponent.
    var digits: [UInt8] = []
    var exponent = 0
    let parts = value.magnitude.description.split(separator: "e")
    if let mantissa = parts.first {
      let halves = mantissa.split(separator: ".")
      digits = halves.flatMap { Array($0.utf8) }
      exponent = halves.first?.utf8.count ?? 0
    }
    if parts.count > 1, let shift = Int(parts[1]) { exponent += shift }
    let zeros = digits.prefix { $0 == 0x30 }.count
    digits.removeFirst(zeros)
    exponent -= zeros
    while digits.last == 0x30 { digits.removeLast() }
    if value.sign == .minus { output.append(0x2d) }
    guard !digits.isEmpty else { return output.append("0.0") }
    // The value is 0.digits times ten to the exponent.
    if exponent < -5 || exponent > 21 {
      output.append(digits[0])
      if digits.count > 1 {
        output.append(0x2e)
        output.append(Array(digits[1...]))
      }
      output.append(exponent > 0 ? "e+" : "e")
      output.append(decimal: exponent - 1)
    } else if exponent <= 0 {
      output.append("0.")
      output.append([UInt8](repeating: 0x30, count: -exponent) + digits)
    } else {
      let padding = [UInt8](repeating: 0x30, count: max(0, exponent - digits.count))
      let whole = min(exponent, digits.count)
      output.append(digits[..<whole] + padding)
      output.append(0x2e)
      output.append(whole < digits.count ? Array(digits[whole...]) : [0x30])
    }
  }
}

/// Base64 of any length without padding (RFC 4648).
enum Base64Text {
  static func append(_ bytes: [UInt8], to output: inout ByteBuffer) {
    var bits: UInt32 = 0
    var count: UInt32 = 0
    for byte in bytes {
      bits = bits << 8 | UInt32(byte)
      count += 8
      while count >= 6 {
        count -= 6
        output.append(digit(UInt8(truncatingIfNeeded: bits >> count) & 0x3f))
      }
    }
    if count > 0 { output.append(digit(UInt8(truncatingIfNeeded: bits << (6 - count)) & 0x3f)) }
  }

  private static func digit(_ value: UInt8) -> UInt8 {
    switch value {
    case 0..<26: 0x41 + value
    case 26..<52: 0x61 + value - 26
    case 52..<62: 0x30 + value - 52
    case 62: 0x2b
    default: 0x2f
    }
  }

  /// The bytes; nil for other digits, or bits that are left over.
  ///
  /// Padding is allowed.
  static func decode(_ text: RawSpan) -> [UInt8]? {
    var end = text.byteCount
    while end > 0, text.byteCount - end < 2, text.byte(end - 1) == 0x3d { end -= 1 }
    guard end == text.byteCount || text.byteCount % 4 == 0 else { return nil }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(end * 3 / 4)
    var bits: UInt32 = 0
    var count = 0
    for offset in 0..<end {
      guard let digit = value(text.byte(offset)) else { return nil }
      bits = bits << 6 | UInt32(digit)
      count += 6
      if count >= 8 {
        count -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
      }
    }
    guard count < 6, bits & (1 << UInt32(count) - 1) == 0 else { return nil }
    return bytes
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x41...0x5a: digit - 0x41
    case 0x61...0x7a: digit - 0x61 + 26
    case 0x30...0x39: digit - 0x30 + 52
    case 0x2b: 62
    case 0x2f: 63
    default: nil
    }
  }
}
