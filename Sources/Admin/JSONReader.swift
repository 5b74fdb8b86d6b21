internal import Base

extension JSONValue {
  /// Why bytes are no JSON value, and where.
  public struct Malformed: Error, Equatable, Sendable {
    /// Bytes before the place.
    public var offset: Int
    public var sentence: String
  }

  /// Reads one value, with nothing but blanks around it (RFC 8259).
  ///
  /// Strict: no comments, no trailing commas, no name twice in an object, text in well-formed UTF-8.
  public init(parsing bytes: RawSpan) throws(Malformed) {
    var reader = JSONReader(bytes.array)
    self = try reader.whole()
  }
}

/// Reads a value byte by byte, within bounds.
private struct JSONReader {
  /// Deeper values are refused: each level is a call.
  private static let maximumDepth = 32

  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func whole() throws(JSONValue.Malformed) -> JSONValue {
    let value = try value(depth: 0)
    skipBlanks()
    guard offset == bytes.count else { throw malformed("nothing may follow the value") }
    return value
  }

  private func malformed(_ sentence: String) -> JSONValue.Malformed {
    JSONValue.Malformed(offset: offset, sentence: sentence)
  }

  private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

  private mutating func skipBlanks() {
    while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0a || byte == 0x0d {
      offset += 1
    }
  }

  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard next == UInt8(ascii: byte) else { return false }
    offset += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONValue.Malformed) -> JSONValue {
    guard depth < Self.maximumDepth else { throw malformed("values are nested too deeply") }
    skipBlanks()
    switch next {
    case UInt8(ascii: "{"): return try object(depth: depth)
    case UInt8(ascii: "["): return try array(depth: depth)
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    case nil: throw malformed("the text ends where a value should be")
    default: return try number()
    }
  }

  private mutating func word(
    _ word: String, _ value: JSONValue
  ) throws(JSONValue.Malformed) -> JSONValue {
    guard bytes[offset...].starts(with: word.utf8) else { throw malformed("no value begins so") }
    offset += word.utf8.count
    return value
  }

  private mutating func array(depth: Int) throws(JSONValue.Malformed) -> JSONValue {
    offset += 1
    var elements: [JSONValue] = []
    if take("]") { return .array([]) }
    repeat { elements.append(try value(depth: depth + 1)) } while take(",")
    guard take("]") else { throw malformed("a comma or ] is missing") }
    return .array(elements)
  }

  private mutating func object(depth: Int) throws(JSONValue.Malformed) -> JSONValue {
    offset += 1
    var members: [JSONValue.Member] = []
    var names: Set<String> = []
    if take("}") { return .object([]) }
    repeat {
      skipBlanks()
      guard next == UInt8(ascii: "\"") else { throw malformed("a name in quotes is missing") }
      let name = try string()
      guard names.insert(name).inserted else { throw malformed("a name is there twice") }
      guard take(":") else { throw malformed("a colon is missing") }
      members.append(JSONValue.Member(name, try value(depth: depth + 1)))
    } while take(",")
    guard take("}") else { throw malformed("a comma or } is missing") }
    return .object(members)
  }

  private mutating func string() throws(JSONValue.Malformed) -> String {
    offset += 1
    var text: [UInt8] = []
    while let byte = next {
      offset += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw malformed("the text is no UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try escape(&text)
      case 0..<0x20: throw malformed("a control character stands in a text")
      default: text.append(byte)
      }
    }
    throw malformed("a text does not end")
  }

  private mutating func escape(_ text: inout [UInt8]) throws(JSONValue.Malformed) {
    guard let letter = next else { throw malformed("a text does not end") }
    offset += 1
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(letter)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var unit = try unit()
      if 0xd800..<0xdc00 ~= unit {
        guard next == UInt8(ascii: "\\"), offset + 1 < bytes.count,
          bytes[offset + 1] == UInt8(ascii: "u")
        else { throw malformed("half a surrogate pair has no meaning") }
        offset += 2
        let low = try self.unit()
        guard 0xdc00..<0xe000 ~= low else {
          throw malformed("half a surrogate pair has no meaning")
        }
        unit = 0x1_0000 + (unit - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(unit) else {
        throw malformed("half a surrogate pair has no meaning")
      }
      text += Array(String(Character(scalar)).utf8)
    default: throw malformed("no escape has this letter")
    }
  }

  private mutating func unit() throws(JSONValue.Malformed) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = next?.hexValue else { throw malformed("\\u needs four digits") }
      value = value << 4 | UInt32(digit)
      offset += 1
    }
    return value
  }

  private mutating func number() throws(JSONValue.Malformed) -> JSONValue {
    let start = offset
    if next == UInt8(ascii: "-") { offset += 1 }
    if next == UInt8(ascii: "0") { offset += 1 } else { try digits() }
    var isWhole = true
    if next == UInt8(ascii: ".") {
      isWhole = false
      offset += 1
      try digits()
    }
    if next?.asciiLowercased == UInt8(ascii: "e") {
      isWhole = false
      offset += 1
      if next == UInt8(ascii: "+") || next == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if isWhole, let number = Int(text) { return .integer(number) }
    guard let number = Double(text), number.isFinite else {
      throw malformed("the number is too large")
    }
    return .real(number)
  }

  private mutating func digits() throws(JSONValue.Malformed) {
    guard next?.isASCIIDigit ?? false else { throw malformed("no value begins so") }
    while next?.isASCIIDigit ?? false { offset += 1 }
  }
}
