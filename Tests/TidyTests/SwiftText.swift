/// Swift source reduced to its code: comments and the insides of string literals become spaces.
///
/// Line breaks stay, so that line numbers hold. Code inside interpolations is blanked with the
/// string around it.
struct SwiftText {
  private let input: [UInt8]
  private var output: [UInt8]
  private var index = 0

  private static let openers = Array("/\"#".utf8)
  private static let lineComment = Array("//".utf8)
  private static let commentStart = Array("/*".utf8)
  private static let commentEnd = Array("*/".utf8)
  private static let quote = Array("\"".utf8)
  private static let fence = Array("\"\"\"\n".utf8)

  static func code(of source: String) -> String {
    var text = SwiftText(input: Array(source.utf8))
    text.run()
    return String(decoding: text.output, as: UTF8.self)
  }

  private init(input: [UInt8]) {
    self.input = input
    self.output = input
  }

  private mutating func run() {
    while index < input.count {
      if !Self.openers.contains(input[index]) {
        index += 1
      } else if starts(Self.lineComment) {
        blankLine()
      } else if starts(Self.commentStart) {
        blankComment()
      } else if let opening = stringOpening() {
        blankString(hashes: opening.hashes, multiline: opening.multiline)
      } else {
        index += 1
      }
    }
  }

  private func starts(_ text: [UInt8], at offset: Int = 0) -> Bool {
    input[min(index + offset, input.count)...].starts(with: text)
  }

  private mutating func blank(_ count: Int = 1) {
    for position in index..<min(index + count, input.count) where input[position] != 0x0A {
      output[position] = 0x20
    }
    index = min(index + count, input.count)
  }

  private mutating func blankLine() {
    while index < input.count, input[index] != 0x0A { blank() }
  }

  private mutating func blankComment() {
    var depth = 0
    repeat {
      if starts(Self.commentStart) {
        depth += 1
        blank(2)
      } else if starts(Self.commentEnd) {
        depth -= 1
        blank(2)
      } else {
        blank()
      }
    } while depth > 0 && index < input.count
  }

  private func stringOpening() -> (hashes: Int, multiline: Bool)? {
    let hashes = input[index...].prefix { $0 == UInt8(ascii: "#") }.count
    guard starts(Self.quote, at: hashes) else { return nil }
    // Without a line break after them, three quotes begin a raw string that holds quotes.
    return (hashes, starts(Self.fence, at: hashes))
  }

  private mutating func blankString(hashes: Int, multiline: Bool) {
    let fence = [UInt8](repeating: UInt8(ascii: "#"), count: hashes)
    let closing = [UInt8](repeating: UInt8(ascii: "\""), count: multiline ? 3 : 1) + fence
    let escape = [UInt8(ascii: "\\")] + fence
    blank(hashes + (multiline ? 3 : 1))
    while index < input.count {
      if input[index...].starts(with: closing) {
        blank(closing.count)
        return
      }
      if input[index...].starts(with: escape + [UInt8(ascii: "(")]) {
        blank(escape.count + 1)
        blankInterpolation()
      } else if input[index...].starts(with: escape) {
        blank(escape.count + 1)
      } else {
        blank()
      }
    }
  }

  private mutating func blankInterpolation() {
    var depth = 1
    while index < input.count, depth > 0 {
      if let opening = stringOpening() {
        blankString(hashes: opening.hashes, multiline: opening.multiline)
        continue
      }
      if input[index] == UInt8(ascii: "(") { depth += 1 }
      if input[index] == UInt8(ascii: ")") { depth -= 1 }
      blank()
    }
  }
}
