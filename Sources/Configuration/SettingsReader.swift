import Yams

/// Walks the nodes of a configuration file by a table and collects every complaint on the way.
///
/// Whatever is wrong is noted and left out, and the walk goes on: an operator sees all mistakes at
/// once. The values read count only if no complaint was made.
struct SettingsReader {
  let file: String
  private(set) var complaints: [Complaint] = []
  /// Where each setting and section stands that was read.
  private(set) var places = SettingPlaces()

  init(file: String) {
    self.file = file
  }

  mutating func complain(_ message: String, at node: Node) {
    complain(message, at: node.mark)
  }

  mutating func complain(_ message: String, at mark: Mark?) {
    complain(message, line: mark?.line ?? 1, column: mark?.column ?? 1)
  }

  mutating func complain(_ message: String, line: Int, column: Int) {
    complaints.append(Complaint(file: file, line: line, column: column, message: message))
  }

  /// Remembers where a setting stands.
  mutating func note(_ key: Node, as name: String) {
    if let mark = key.mark { places.note(name, line: mark.line, column: mark.column) }
  }

  /// Complains at the first of the named settings that the file has.
  mutating func complain(_ message: String, atSetting names: String...) {
    let place = places.place(of: names)
    complain(message, line: place.line, column: place.column)
  }

  /// The text of a scalar that has a value, or a complaint.
  mutating func scalar(_ node: Node, at place: String, expected: String) -> String? {
    switch node {
    case .scalar(let scalar) where !scalar.isNull:
      return scalar.string
    case .scalar:
      complain("\(place) has no value; expected \(expected)", at: node)
    case .mapping:
      complain("\(place) is a mapping; expected \(expected)", at: node)
    case .sequence, .alias:
      complain("\(place) is a list; expected \(expected)", at: node)
    }
    return nil
  }

  /// The value of a scalar, or a complaint.
  mutating func value<Content>(_ node: Node, _ kind: Kind<Content>, at place: String) -> Content? {
    guard let text = scalar(node, at: place, expected: kind.expected) else { return nil }
    if let value = kind.read(text) { return value }
    let why = kind.why(text).map { ": \($0)" } ?? ""
    complain("\(place): '\(text)' does not fit\(why); expected \(kind.expected)", at: node)
    return nil
  }

  /// The pairs of a mapping, or a complaint.
  mutating func mapping(_ node: Node, at place: String, expected: String) -> Node.Mapping? {
    if case .mapping(let pairs) = node { return pairs }
    complain("\(place) is not a mapping; expected \(expected)", at: node)
    return nil
  }

  /// The nodes of a list, or a complaint.
  mutating func list(
    _ node: Node, atMost bound: Int, at place: String, expected: String
  ) -> [Node]? {
    guard case .sequence(let nodes) = node else {
      complain("\(place) is not such a list; expected \(expected)", at: node)
      return nil
    }
    guard nodes.count <= bound else {
      complain("\(place) has \(nodes.count) entries; expected at most \(bound)", at: node)
      return nil
    }
    return Array(nodes)
  }

  /// The text of a mapping's key, or a complaint; nil for a key that was complained of before.
  mutating func key(_ node: Node) -> String? {
    guard case .scalar(let scalar) = node else {
      complain("a key is a list or a mapping; expected a name", at: node)
      return nil
    }
    return RepeatedKeys.isMarked(scalar.string) ? nil : scalar.string
  }

  /// Reads a mapping into a value by the table's rows.
  ///
  /// - Parameters:
  ///   - prefix: The rows' path of which this mapping is the section, with a dot at the end.
  ///   - place: The mapping's full name for messages; empty for the file itself.
  mutating func mapping<Root>(
    _ node: Node, into root: inout Root, by table: [Setting<Root>], prefix: String = "",
    at place: String
  ) {
    var found: Set<String> = []
    switch node {
    case .scalar(let scalar) where scalar.isNull: break
    case .mapping(let pairs):
      for (key, value) in pairs {
        guard let name = self.key(key) else { continue }
        found.insert(name)
        let path = prefix + name
        let keyPlace = place.isEmpty ? name : "\(place).\(name)"
        note(key, as: keyPlace)
        if let row = table.first(where: { $0.name == path }) {
          row.read(value, &root, &self, keyPlace)
        } else if table.contains(where: { $0.name.hasPrefix(path + ".") }) {
          mapping(value, into: &root, by: table, prefix: path + ".", at: keyPlace)
        } else {
          complain(Self.unknown(name, in: table, prefix: prefix, at: keyPlace), at: key)
        }
      }
    case .scalar, .sequence, .alias:
      let names = Self.names(in: table, below: prefix).joined(separator: ", ")
      let subject = place.isEmpty ? "the file" : place
      let meant = Self.meant(by: node, in: table, prefix: prefix, at: place)
      complain(
        "\(subject) is not a mapping; " + (meant ?? "expected settings: \(names)"), at: node)
      return
    }
    for row in table where row.isRequired && !found.contains(row.name) {
      complain("\(place).\(row.name) is missing; expected \(row.expected)", at: node)
    }
  }

  /// The one setting of a section that can be off, where the section itself is said to be.
  private static func meant<Root>(
    by node: Node, in table: [Setting<Root>], prefix: String, at place: String
  ) -> String? {
    guard case .scalar(let scalar) = node, scalar.string == "off" else { return nil }
    let rows = table.filter { row in
      row.name.hasPrefix(prefix) && !row.name.dropFirst(prefix.count).contains(".")
        && (row.expected.hasPrefix("off ") || row.expected.hasSuffix(" or off"))
    }
    guard rows.count == 1, let row = rows.first else { return nil }
    return "did you mean '\(place).\(row.name.dropFirst(prefix.count)): off'?"
  }

  private static func unknown<Root>(
    _ name: String, in table: [Setting<Root>], prefix: String, at place: String
  ) -> String {
    let here = names(in: table, below: prefix)
    if let near = Suggestion.nearest(to: name, among: here) {
      return "unknown setting '\(place)'; did you mean '\(near)'?"
    }
    if let elsewhere = table.first(where: { $0.name.hasSuffix("." + name) }) {
      return "unknown setting '\(place)'; did you mean '\(elsewhere.name)'?"
    }
    return "unknown setting '\(place)'; expected one of: \(here.joined(separator: ", "))"
  }

  /// The keys that may stand below a prefix, in the table's order.
  private static func names<Root>(in table: [Setting<Root>], below prefix: String) -> [String] {
    var names: [String] = []
    for row in table where row.name.hasPrefix(prefix) {
      let name = String(row.name.dropFirst(prefix.count).prefix { $0 != "." })
      if !names.contains(name) { names.append(name) }
    }
    return names
  }
}

extension Node.Scalar {
  /// Whether nothing is written where a value could be (YAML 1.2, section 10.3.2).
  var isNull: Bool {
    style == .plain && ["", "~", "null", "Null", "NULL"].contains(string)
  }
}
