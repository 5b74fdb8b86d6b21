import Yams

/// One row of the table of settings: a name, what its value may be, and where the value belongs.
///
/// A row reads a node into its place in `Root` and shows that place again; whoever walks the table
/// needs to know nothing else of it.
struct Setting<Root: Sendable>: Sendable {
  /// The path of keys below `Root`, with dots: `cache.max_size`.
  let name: String
  /// One sentence on what the setting does.
  let help: String
  /// What may be written, to follow "expected".
  let expected: String
  /// Whether an element of a list cannot do without it.
  let isRequired: Bool
  let read: @Sendable (Node, inout Root, inout SettingsReader, _ place: String) -> Void
  let show: @Sendable (Root) -> Shown

  /// A value as it stands in the file.
  enum Shown {
    case scalar(String)
    /// YAML as it stands, on the key's line: an empty list or mapping.
    case plain(String)
    /// Lines of YAML, to be indented below the key.
    case block([String])
  }
}

extension Setting {
  /// A setting with one value.
  init<Content>(
    _ name: String, _ path: any WritableKeyPath<Root, Content> & Sendable, _ kind: Kind<Content>,
    required: Bool = false, _ help: String
  ) {
    self.name = name
    self.help = help
    self.expected = kind.expected
    self.isRequired = required
    self.read = { node, root, reader, place in
      if let value = reader.value(node, kind, at: place) { root[keyPath: path] = value }
    }
    self.show = { .scalar(kind.show($0[keyPath: path])) }
  }

  /// A list of values, which may be empty and in which no two may be equal.
  init<Element: Hashable & Sendable>(
    _ name: String, valuesOf path: any WritableKeyPath<Root, [Element]> & Sendable,
    _ kind: Kind<Element>, atMost: Int, _ help: String
  ) {
    let expected = "a list in brackets, or a line with a hyphen for each: \(kind.expected)"
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      guard let nodes = reader.list(node, atMost: atMost, at: place, expected: expected) else {
        return
      }
      var elements: [Element] = []
      var seen: Set<Element> = []
      for (index, node) in nodes.enumerated() {
        reader.note(node, as: "\(place)[\(index)]")
        guard let element = reader.value(node, kind, at: "\(place)[\(index)]") else { continue }
        if !seen.insert(element).inserted {
          reader.complain("\(place)[\(index)] repeats an earlier entry; expected it once", at: node)
        }
        elements.append(element)
      }
      root[keyPath: path] = elements
    }
    self.show = { root in
      let elements = root[keyPath: path]
      return elements.isEmpty
        ? .plain("[]")
        : .block(elements.map { "- " + SettingsPrinter.quotedIfNeeded(kind.show($0)) })
    }
  }

  /// A list of mappings, each read by a table of its own, in which no two may be equal.
  ///
  /// - Parameters:
  ///   - blank: What an element is before its rows are read; its required rows replace it.
  ///   - mayBeEmpty: Whether `[]` is such a list too.
  init<Element: Hashable & Sendable>(
    _ name: String, listOf path: any WritableKeyPath<Root, [Element]> & Sendable,
    _ table: [Setting<Element>], blank: Element, required: Bool = false, mayBeEmpty: Bool = false,
    atMost: Int = 1_000, _ help: String
  ) {
    let keys = table.map { "\($0.name): …" }.joined(separator: ", ")
    let expected = "a list of \(mayBeEmpty ? "" : "at least one "){ \(keys) }"
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = required
    self.read = { node, root, reader, place in
      guard let nodes = reader.list(node, atMost: atMost, at: place, expected: expected) else {
        return
      }
      guard mayBeEmpty || !nodes.isEmpty else {
        reader.complain("\(place) is not such a list; expected \(expected)", at: node)
        return
      }
      var elements: [Element] = []
      var seen: Set<Element> = []
      for (index, node) in nodes.enumerated() {
        var element = blank
        let before = reader.complaints.count
        reader.mapping(node, into: &element, by: table, at: "\(place)[\(index)]")
        guard reader.complaints.count == before else { continue }
        if !seen.insert(element).inserted {
          reader.complain("\(place)[\(index)] repeats an earlier entry; expected it once", at: node)
        }
        elements.append(element)
      }
      root[keyPath: path] = elements
    }
    self.show = { root in
      let elements = root[keyPath: path]
      guard !elements.isEmpty else { return .plain("[]") }
      return .block(
        elements.flatMap { element in
          SettingsPrinter.lines(of: element, by: table).enumerated().map { index, line in
            (index == 0 ? "- " : "  ") + line
          }
        })
    }
  }
}
