import Yams

/// From a configuration file's text to its root node, with YAML's own errors as complaints.
enum SettingsText {
  /// The root node; nil where the file has none, or where it cannot be read and was complained of.
  static func root(of text: String, into reader: inout SettingsReader) -> Node? {
    var text = text
    // The names of keys that have been marked, by the marks' numbers.
    var repeated: [String] = []
    while true {
      do {
        let root = try Parser(yaml: text, encoding: .utf8).singleRoot()
        if let root, !repeated.isEmpty { RepeatedKeys.tell(of: repeated, below: root, &reader) }
        return root
      } catch YamlError.duplicatedKeysInMapping(let keys, let context) {
        let name = keys.first ?? ""
        // Yams stops at a repeated key, and tells where it stands first. Marked, it is no longer one, and the walk
        // can go on.
        guard let marked = RepeatedKeys.mark(context.mark, in: text, number: repeated.count) else {
          reader.complain(
            "'\(name)' is given more than once here; expected it once", at: context.mark)
          return nil
        }
        text = marked
        repeated.append(name)
      } catch let error as YamlError {
        complain(error, in: text, to: &reader)
        return nil
      } catch {
        reader.complain("the file cannot be read as YAML: \(error)", at: nil)
        return nil
      }
    }
  }

  private static func complain(
    _ error: YamlError, in text: String, to reader: inout SettingsReader
  ) {
    switch error {
    case .scanner(let context, let problem, let mark, _),
      .parser(let context, let problem, let mark, _),
      .composer(let context, let problem, let mark, _):
      let setting = context.map { " (\($0.text), which begins on line \($0.mark.line))" } ?? ""
      let hint = hint(for: mark, in: text)
      reader.complain("not YAML: \(problem)\(setting)\(hint)", at: mark)
    case .reader(let problem, let offset, _, _):
      let before = text.prefix(offset ?? 0).split(separator: "\n", omittingEmptySubsequences: false)
      let column = (before.last?.unicodeScalars.count ?? 0) + 1
      reader.complain("not YAML: \(problem)", line: max(before.count, 1), column: column)
    case .no, .memory, .writer, .emitter, .representer, .dataCouldNotBeDecoded,
      .duplicatedKeysInMapping:
      reader.complain("the file cannot be read as YAML: \(error)", at: nil)
    }
  }

  /// What trips people in values that YAML reads as something else.
  private static func hint(for mark: Mark, in text: String) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard lines.indices.contains(mark.line - 1) else { return "" }
    let line = lines[mark.line - 1]
    if line.contains("\t") { return "; indent with spaces, not tabs" }
    if line.contains("::") { return "; write an IPv6 address in quotes" }
    if line.contains(": *") || line.contains("- *") { return "; write \"*\" in quotes" }
    if line.contains(": -") { return "; write \"-\" in quotes" }
    return ""
  }
}

/// Keys that stood in the text twice, made different by a first scalar from the private use area.
enum RepeatedKeys {
  /// U+E000 to U+F8FF, which no setting has in its name.
  private static let marks: ClosedRange<UInt32> = 0xE000...0xF8FF

  static func isMarked(_ key: String) -> Bool { number(of: key) != nil }

  private static func number(of key: String) -> Int? {
    key.unicodeScalars.first.flatMap {
      marks.contains($0.value) ? Int($0.value - marks.lowerBound) : nil
    }
  }

  /// Complains of each key whose name stands before it in the same mapping.
  static func tell(of names: [String], below node: Node, _ reader: inout SettingsReader) {
    switch node {
    case .mapping(let pairs):
      var first: [String: Int] = [:]
      for (key, value) in pairs {
        if case .scalar(let scalar) = key {
          let number = number(of: scalar.string)
          let name =
            number.flatMap { names.indices.contains($0) ? names[$0] : nil } ?? scalar.string
          if let line = first[name] {
            reader.complain(
              "'\(name)' is given more than once here, first on line \(line); expected it once",
              at: key)
          } else {
            first[name] = key.mark?.line ?? 1
          }
        }
        tell(of: names, below: value, &reader)
      }
    case .sequence(let nodes): for node in nodes { tell(of: names, below: node, &reader) }
    case .scalar, .alias: return
    }
  }

  /// The text with the first scalar of the key at that place replaced; nil where that cannot be.
  static func mark(_ place: Mark, in text: String, number: Int) -> String? {
    guard marks.count > number, let scalar = Unicode.Scalar(marks.lowerBound + UInt32(number))
    else {
      return nil
    }
    var scalars = Array(text.unicodeScalars)
    var line = 1
    var index = 0
    while line < place.line, index < scalars.count {
      if scalars[index] == "\n" { line += 1 }
      index += 1
    }
    index += place.column - 1
    if scalars.indices.contains(index), scalars[index] == "\"" || scalars[index] == "'" {
      index += 1
    }
    guard scalars.indices.contains(index), scalars[index].properties.isAlphabetic else {
      return nil
    }
    scalars[index] = scalar
    var marked = String.UnicodeScalarView()
    marked.append(contentsOf: scalars)
    return String(marked)
  }
}
