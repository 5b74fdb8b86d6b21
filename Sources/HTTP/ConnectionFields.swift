internal import Base

/// The fields of a message that belong to its connection and not to who is behind it (RFC 9110, 7.6.1).
///
/// Those that every proxy knows, and those that the message's own Connection field names.
public struct ConnectionFields: Sendable {
  /// Names in lower case.
  private var named: Set<[UInt8]> = []

  /// - Parameter text: What the fields' places refer to.
  public init(_ fields: [Field], text: RawSpan) {
    for field in fields where field.token == .connection {
      let value = text.bytes(field.value)
      var start = 0
      while start < value.byteCount {
        let end = value.first(UInt8(ascii: ","), from: start, to: value.byteCount)
        let name = value.bytes(value.trimmed(from: start, to: end)).array
        if !name.isEmpty { named.insert(name.map(\.asciiLowercased)) }
        start = end + 1
      }
    }
  }

  /// Whether a field ends here.
  public func contains(_ field: Field, text: RawSpan) -> Bool {
    switch field.token {
    case .connection, .keepAlive, .proxyConnection, .proxyAuthorization, .te, .trailer,
      .transferEncoding, .upgrade:
      return true
    default:
      return !named.isEmpty
        && named.contains(text.bytes(field.name).array.map(\.asciiLowercased))
    }
  }
}
