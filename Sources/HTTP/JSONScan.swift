internal import Base

/// Finds out whether bytes are JSON (RFC 8259), without making anything of it.
struct JSONScan {
  enum Outcome: Equatable {
    case whole
    /// Nothing speaks against it, but it ends in the midst of a value.
    case cutOff
    case malformed
  }

  /// Deeper ones are not looked into.
  private static let maximumDepth = 128

  private let text: [UInt8]
  private var offset = 0

  private init(_ text: [UInt8]) { self.text = text }

  static func outcome(_ text: [UInt8]) -> Outcome {
    var scan = JSONScan(text)
    do throws(Stop) {
      try scan.value(depth: 0)
      scan.skipBlanks()
      return scan.offset == text.count ? .whole : .malformed
    } catch {
      return error == .end ? .cutOff : .malformed
    }
  }

  private enum Stop: Error { case end, malformed }

  private func peek() throws(Stop) -> UInt8 {
    guard offset < text.count else { throw .end }
    return text[offset]
  }

  private mutating func skipBlanks() {
    while offset < text.count, [0x20, 0x09, 0x0a, 0x0d].contains(text[offset]) { offset += 1 }
  }

  /// Takes one byte if it is the next.
  private mutating func take(_ byte: Unicode.Scalar) throws(Stop) -> Bool {
    skipBlanks()
    guard try peek() == UInt8(ascii: byte) else { return false }
    offset += 1
    return true
  }

  private mutating func value(depth: Int) throws(Stop) {
    guard depth < Self.maximumDepth else { throw .malformed }
    skipBlanks()
    switch try peek() {
    case UInt8(ascii: "{"):
      try items(closedBy: "}") { (scan) throws(Stop) in
        scan.skipBlanks()
        try scan.string()
        guard try scan.take(":") else { throw .malformed }
        try scan.value(depth: depth + 1)
      }
    case UInt8(ascii: "["):
      try items(closedBy: "]") { (scan) throws(Stop) in try scan.value(depth: depth + 1) }
    case UInt8(ascii: "\""): try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    default: try number()
    }
  }

  private mutating func items(
    closedBy end: Unicode.Scalar, _ item: (inout JSONScan) throws(Stop) -> Void
  ) throws(Stop) {
    offset += 1
    if try take(end) { return }
    repeat { try item(&self) } while try take(",")
    guard try take(end) else { throw .malformed }
  }

  private mutating func string() throws(Stop) {
    guard try peek() == UInt8(ascii: "\"") else { throw .malformed }
    offset += 1
    while true {
      let byte = try peek()
      offset += 1
      if byte == UInt8(ascii: "\"") { return }
      guard byte >= 0x20 else { throw .malformed }
      if byte != UInt8(ascii: "\\") { continue }
      let letter = try peek()
      offset += 1
      if letter == UInt8(ascii: "u") {
        for _ in 0..<4 {
          guard try peek().hexValue != nil else { throw .malformed }
          offset += 1
        }
      } else if !Array("\"\\/bfnrt".utf8).contains(letter) {
        throw .malformed
      }
    }
  }

  private mutating func word(_ word: String) throws(Stop) {
    for byte in word.utf8 {
      guard try peek() == byte else { throw .malformed }
      offset += 1
    }
  }

  private mutating func number() throws(Stop) {
    if try peek() == UInt8(ascii: "-") { offset += 1 }
    if try peek() == UInt8(ascii: "0") { offset += 1 } else { try digits() }
    if offset < text.count, text[offset] == UInt8(ascii: ".") {
      offset += 1
      try digits()
    }
    if offset < text.count, text[offset].asciiLowercased == UInt8(ascii: "e") {
      offset += 1
      let sign = try peek()
      if sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { offset += 1 }
      try digits()
    }
  }

  private mutating func digits() throws(Stop) {
    guard try peek().isASCIIDigit else { throw .malformed }
    while offset < text.count, text[offset].isASCIIDigit { offset += 1 }
  }
}
