internal import Yams

extension Settings {
  /// What may not be given.
  public struct Denylist: Equatable, Sendable {
    /// Paths as `Cache.path` is; none twice.
    public var files: [String] = []
  }
}

/// The header of a denylist's file: YAML, of which a few fields have a meaning (IPIP-383).
public struct DenylistFields: Equatable, Sendable {
  /// What is wrong with a header, for people.
  public struct Unusable: Error, Equatable, Sendable {
    public var sentence: String
  }

  public var name: String?
  /// Hints for all rules that do not say otherwise; only those whose value is a scalar.
  public var hints: [String: String] = [:]

  public init() {}

  /// Reads a header without the line that ends it; fields of other names mean nothing.
  public static func read(_ text: String) throws(Unusable) -> DenylistFields {
    let node: Node?
    do {
      node = try Yams.compose(yaml: text)
    } catch {
      throw Unusable(sentence: "its header is no YAML")
    }
    var fields = DenylistFields()
    guard let node, node.scalar?.string != "" else { return fields }
    guard let mapping = node.mapping else {
      throw Unusable(sentence: "its header is no mapping of fields to values")
    }
    for (key, value) in mapping {
      switch key.scalar?.string {
      case "version":
        guard value.scalar?.string == "1" else {
          throw Unusable(sentence: "its version is not 1, the only one that is known here")
        }
      case "name": fields.name = value.scalar?.string
      case "hints":
        for (hint, content) in value.mapping ?? [:] {
          if let hint = hint.scalar?.string { fields.hints[hint] = content.scalar?.string }
        }
      default: continue
      }
    }
    return fields
  }
}
