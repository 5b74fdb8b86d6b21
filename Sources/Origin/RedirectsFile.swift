internal import Base

/// The `_redirects` file of a site (specs.ipfs.tech, web-redirects-file).
struct RedirectsFile: Equatable, Sendable {
  /// The specification's bound.
  static let maximumBytes = 64 * 1024

  struct Malformed: Error, Equatable {
    var sentence: String
  }

  struct Rule: Equatable, Sendable {
    /// The path's segments; one that begins with a colon takes any.
    let from: [[UInt8]]
    /// Whether `from` ends in an asterisk, which takes the rest of the path.
    let takesRest: Bool
    let to: [UInt8]
    let status: Int

    /// Where a path is sent, with all placeholders filled in; nil where it is not this rule's.
    func destination(of path: [UInt8]) -> [UInt8]? {
      let slash = UInt8(ascii: "/")
      var rest = path[...]
      var parameters: [(name: [UInt8], value: ArraySlice<UInt8>)] = []
      for (index, segment) in from.enumerated() {
        let isLast = index == from.count - 1
        let end = rest.firstIndex(of: slash)
        // There must be more of the path exactly where there is more of the rule.
        guard (end == nil) == (isLast && !takesRest) else { return nil }
        let value = rest[..<(end ?? rest.endIndex)]
        rest = end.map { rest[($0 + 1)...] } ?? []
        if segment.first == UInt8(ascii: ":") {
          parameters.append((segment, value))
        } else if !value.elementsEqual(segment) {
          return nil
        }
      }
      parameters.append((Array(":splat".utf8), takesRest ? rest : []))
      // Longer names first: one may be the beginning of another.
      return parameters.sorted { $0.name.count > $1.name.count }
        .reduce(to) { Self.replace($1.name, in: $0, by: $1.value) }
    }

    private static func replace(
      _ name: [UInt8], in text: [UInt8], by value: ArraySlice<UInt8>
    ) -> [UInt8] {
      var replaced: [UInt8] = []
      var offset = 0
      while offset < text.count {
        if text[offset...].starts(with: name) {
          replaced += value
          offset += name.count
        } else {
          replaced.append(text[offset])
          offset += 1
        }
      }
      return replaced
    }
  }

  let rules: [Rule]

  /// Reads a file; the first line that is wrong makes all of it so.
  init(_ file: [UInt8]) throws(Malformed) {
    guard file.count <= Self.maximumBytes else {
      throw Malformed(sentence: "redirects file size cannot exceed \(Self.maximumBytes) bytes")
    }
    var rules: [Rule] = []
    for line in file.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split { $0 == 0x20 || ($0 >= 0x09 && $0 <= 0x0d) }
      guard let first = fields.first, first.first != UInt8(ascii: "#") else { continue }
      rules.append(try Self.rule(fields))
    }
    self.rules = rules
  }

  /// The first rule for a path, which begins with a slash and does not end in one.
  func rule(for path: [UInt8]) -> (destination: [UInt8], status: Int)? {
    for rule in rules {
      if let destination = rule.destination(of: path) { return (destination, rule.status) }
    }
    return nil
  }

  private static func rule(_ fields: [ArraySlice<UInt8>]) throws(Malformed) -> Rule {
    guard fields.count > 1 else { throw Malformed(sentence: "missing 'to' path") }
    guard fields.count <= 3 else {
      throw Malformed(sentence: "must match format 'from to [status]'")
    }
    let from = Array(fields[0])
    let to = Array(fields[1])
    guard from.first == UInt8(ascii: "/") else {
      throw Malformed(sentence: "parsing 'from': path must begin with '/'")
    }
    let stars = from.count { $0 == UInt8(ascii: "*") }
    guard stars == 0 || from.last == UInt8(ascii: "*") else {
      throw Malformed(sentence: "parsing 'from': path must end with asterisk")
    }
    guard stars <= 1 else {
      throw Malformed(sentence: "parsing 'from': path can have at most one asterisk")
    }
    let schemes = ["http:", "https:", "ipfs:", "ipns:"]
    guard to.first == UInt8(ascii: "/") || schemes.contains(where: { to.starts(with: $0.utf8) })
    else { throw Malformed(sentence: "parsing 'to': invalid URL scheme") }
    let trimmed = from.last == UInt8(ascii: "/") ? from.dropLast() : from[...]
    var segments = trimmed.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
      .map { Array($0) }
    let takesRest = segments.last == [UInt8(ascii: "*")]
    if takesRest { segments.removeLast() }
    let status = try fields.count == 3 ? status(fields[2]) : 301
    return Rule(from: segments, takesRest: takesRest, to: to, status: status)
  }

  private static func status(_ text: ArraySlice<UInt8>) throws(Malformed) -> Int {
    if text.last == UInt8(ascii: "!") {
      throw Malformed(sentence: "forced redirects (or \"shadowing\") are not supported")
    }
    let text = String(decoding: text, as: UTF8.self)
    guard let status = Int(text), [200, 301, 302, 303, 307, 308, 404, 410, 451].contains(status)
    else { throw Malformed(sentence: "parsing status: status code \(text) is not supported") }
    return status
  }
}
