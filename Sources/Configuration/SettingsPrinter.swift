/// Writes values as the YAML that reads back as them.
enum SettingsPrinter {
  /// All settings, each under its one-sentence help, with what is expected and the default.
  static func annotated(_ settings: Settings, by table: [Setting<Settings>]) -> [String] {
    let defaults = Settings()
    return lines(table) { row, indent in
      var comments = ["# \(row.help)", "# Expected: \(row.expected)."]
      switch row.show(defaults) {
      case .scalar(let text): comments.append("# Default: \(quotedIfNeeded(text))")
      case .plain(let text): comments.append("# Default: \(text)")
      case .block: break
      }
      return comments.map { indent + $0 } + entry(row, of: settings, indent: indent)
    }
  }

  /// The rows' values without comments.
  static func lines<Root>(of root: Root, by table: [Setting<Root>]) -> [String] {
    lines(table) { row, indent in entry(row, of: root, indent: indent) }
  }

  /// Puts the rows under the keys of their sections.
  private static func lines<Root>(
    _ table: [Setting<Root>], _ entry: (Setting<Root>, _ indent: String) -> [String]
  ) -> [String] {
    var lines: [String] = []
    var open: [Substring] = []
    for row in table {
      let sections = row.name.split(separator: ".").dropLast()
      let shared = zip(open, sections).prefix { $0 == $1 }.count
      for depth in shared..<sections.count {
        lines.append(String(repeating: "  ", count: depth) + sections[depth] + ":")
      }
      open = Array(sections)
      lines += entry(row, String(repeating: "  ", count: sections.count))
    }
    return lines
  }

  private static func entry<Root>(
    _ row: Setting<Root>, of root: Root, indent: String
  ) -> [String] {
    let key = indent + (row.name.split(separator: ".").last.map(String.init) ?? row.name) + ":"
    switch row.show(root) {
    case .scalar(let text): return ["\(key) \(quotedIfNeeded(text))"]
    case .plain(let text): return ["\(key) \(text)"]
    case .block(let lines): return [key] + lines.map { "\(indent)  \($0)" }
    }
  }

  /// The text as a YAML scalar: plain where that is safe, else in double quotes.
  static func quotedIfNeeded(_ text: String) -> String {
    let plain = text.utf8.allSatisfy { byte in
      (0x2D...0x3A).contains(byte) || (0x41...0x5A).contains(byte) || byte == 0x5F
        || (0x61...0x7A).contains(byte)
    }
    let edges = [text.utf8.first, text.utf8.last]
    let word = text.lowercased()
    if plain, word != "null", !text.isEmpty, !edges.contains(0x2D), !edges.contains(0x3A) {
      return text
    }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\\(scalar)"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        quoted += "\\x" + String(repeating: "0", count: 2 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
