import HTTP
import Yams

extension Setting {
  /// A mapping of field names to their values, null for fields that are removed.
  init(
    _ name: String, headers path: any WritableKeyPath<Root, [Settings.Header]> & Sendable,
    _ help: String
  ) {
    let expected = "field names, each with a value or with null to remove it"
    self.name = name
    self.help = help
    self.expected = expected
    self.isRequired = false
    self.read = { node, root, reader, place in
      guard let pairs = reader.mapping(node, at: place, expected: expected) else { return }
      root[keyPath: path] = reader.headers(pairs, at: place)
      let bytes = root[keyPath: path].reduce(0) { $0 + $1.bytes }
      if bytes > Settings.Header.maximumBytes {
        let bound = Quantity.size.show(Settings.Header.maximumBytes)
        reader.complain("\(place) has \(bytes) bytes; expected at most \(bound)", at: node)
      }
    }
    self.show = { root in
      let headers = root[keyPath: path]
      return headers.isEmpty
        ? .plain("{}")
        : .block(
          headers.map { header in
            let name = SettingsPrinter.quotedIfNeeded(header.name)
            return "\(name): \(header.value.map(SettingsPrinter.quotedIfNeeded) ?? "null")"
          })
    }
  }
}

extension SettingsReader {
  fileprivate mutating func headers(
    _ pairs: Node.Mapping, at place: String
  ) -> [Settings.Header] {
    var headers: [Settings.Header] = []
    var spellings: [String: String] = [:]
    for (key, node) in pairs {
      guard let name = self.key(key) else { continue }
      if let why = Settings.Header.refusal(ofName: name) {
        complain("\(place): \(why)", at: key)
      } else if let earlier = spellings.updateValue(name, forKey: name.lowercased()) {
        complain("\(place): '\(name)' is there already as '\(earlier)'; expected it once", at: key)
      }
      if case .scalar(let scalar) = node, scalar.isNull {
        headers.append(Settings.Header(name: name, value: nil))
        continue
      }
      let expected = "printable ASCII, or null to remove the field"
      guard let value = scalar(node, at: "\(place).\(name)", expected: expected) else { continue }
      if !Settings.Header.isValue(value) {
        complain("\(place).\(name): '\(value)' does not fit; expected \(expected)", at: node)
      }
      headers.append(Settings.Header(name: name, value: value))
    }
    return headers
  }
}

extension Settings.Header {
  /// All of them as lines: more would leave no room for the answer's own, since many clients and
  /// proxies refuse heads above 16 or 32 KB.
  static let maximumBytes = 8 << 10

  /// What the line takes.
  fileprivate var bytes: Int { name.utf8.count + (value?.utf8.count ?? 0) + 4 }

  /// Why a name cannot be an operator's; nil where it can.
  static func refusal(ofName name: String) -> String? {
    guard !name.isEmpty, name.utf8.allSatisfy(\.isTokenByte) else {
      return "'\(name)' is no field name; expected letters, digits and hyphens"
    }
    return own(name.lowercased()).map { "\(name) is Sluice's own: \($0); expected another field" }
  }

  /// What a field is for that no operator's word can replace.
  private static func own(_ name: String) -> String? {
    switch name {
    case "connection", "content-length", "keep-alive", "proxy-connection", "te", "trailer",
      "transfer-encoding", "upgrade":
      "connections live by it"
    case "accept-ranges", "content-encoding", "content-location", "content-range",
      "content-type", "etag", "last-modified", "x-ipfs-hash", "x-ipfs-path", "x-ipfs-roots":
      "it says what the body of each answer is"
    case "age", "cache-control", "date", "expires", "pragma", "set-cookie", "vary":
      "caches go by it, for each answer"
    case "allow", "location", "retry-after":
      "it belongs to single answers"
    default: nil
    }
  }

  /// Whether a text can stand as a value: printable ASCII, with no blank at its ends.
  static func isValue(_ text: String) -> Bool {
    let bytes = text.utf8
    return !bytes.isEmpty && bytes.allSatisfy { (0x20...0x7e).contains($0) }
      && bytes.first != 0x20 && bytes.last != 0x20
  }
}
