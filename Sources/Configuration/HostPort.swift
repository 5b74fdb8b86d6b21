/// A host and a port as gateway.conf writes them: checked for their form, not looked up.
///
/// The host is an IPv4 address (`127.0.0.1`), an IPv6 address (kept without its brackets) or a host
/// name (RFC 1123, section 2.1; underscores are let through, since container names have them).
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Sendable {
    case ipv4, ipv6, name
  }

  /// The address or name; an IPv6 address has no brackets here.
  public let host: String
  public let port: UInt16
  public let kind: Kind

  /// Whether the host is an IPv6 address.
  public var isIPv6: Bool { kind == .ipv6 }

  /// Whether the host is an address, so that nothing needs to be looked up.
  public var isAddress: Bool { kind != .name }

  /// Reads `host:port` or `[address]:port`; nil where the text is neither.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"),
      let port = UInt16(decimal: text[text.index(after: colon)...])
    else { return nil }
    var host = text[..<colon]
    if host.first == "[" {
      guard host.last == "]", host.count > 2 else { return nil }
      host = host.dropFirst().dropLast()
      guard Self.isIPv6Address(host) else { return nil }
      self.kind = .ipv6
    } else if Self.isIPv4Address(host) {
      self.kind = .ipv4
    } else if Self.isName(host) {
      self.kind = .name
    } else {
      return nil
    }
    self.host = host.lowercased()
    self.port = port
  }

  init(loopback port: UInt16) {
    self.host = "127.0.0.1"
    self.port = port
    self.kind = .ipv4
  }

  /// As gateway.conf writes it, with brackets around an IPv6 address.
  public var description: String { isIPv6 ? "[\(host)]:\(port)" : "\(host):\(port)" }

  static func isIPv4Address(_ text: Substring) -> Bool {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { part in
        guard let number = UInt16(decimal: part) else { return false }
        return number <= 255 && (part.count == 1 || part.first != "0")
      }
  }

  /// Whether the text is an address in one of the forms of RFC 4291, section 2.2.
  ///
  /// Zones (`%eth0`) are refused: they mean nothing on another machine.
  static func isIPv6Address(_ text: Substring) -> Bool {
    guard let gap = firstGap(in: text) else { return groups(text, mayEndInIPv4: true) == 8 }
    let after = text[text.index(gap, offsetBy: 2)...]
    guard let left = groups(text[..<gap], mayEndInIPv4: false),
      let right = groups(after, mayEndInIPv4: true)
    else { return false }
    return left + right <= 7
  }

  private static func firstGap(in text: Substring) -> Substring.Index? {
    text.indices.first { index in
      let next = text.index(after: index)
      return text[index] == ":" && next < text.endIndex && text[next] == ":"
    }
  }

  /// The number of 16-bit groups in text without `::`; nil where it has another form.
  private static func groups(_ text: Substring, mayEndInIPv4: Bool) -> Int? {
    guard !text.isEmpty else { return 0 }
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    var count = 0
    for (index, part) in parts.enumerated() {
      if mayEndInIPv4, index == parts.count - 1, isIPv4Address(part) {
        count += 2
      } else if (1...4).contains(part.utf8.count), part.utf8.allSatisfy({ $0.isHexDigit }) {
        count += 1
      } else {
        return nil
      }
    }
    return count
  }

  static func isName(_ text: Substring) -> Bool {
    let labels = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 253, let last = labels.last else { return false }
    let wellFormed = labels.allSatisfy { label in
      (1...63).contains(label.utf8.count) && label.first != "-" && label.last != "-"
        && label.utf8.allSatisfy { $0.isNameByte }
    }
    // A last label of digits is a mistyped IPv4 address (RFC 1123, section 2.1).
    return wellFormed && !last.utf8.allSatisfy { $0.isDigit }
  }
}

extension UInt16 {
  /// Reads digits only: no sign, no spaces, no more than five.
  fileprivate init?(decimal text: Substring) {
    guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ $0.isDigit }) else {
      return nil
    }
    self.init(text)
  }
}

extension UInt8 {
  fileprivate var isDigit: Bool { (0x30...0x39).contains(self) }
  fileprivate var isHexDigit: Bool { isDigit || (0x61...0x66).contains(self | 0x20) }
  fileprivate var isNameByte: Bool {
    isDigit || (0x61...0x7A).contains(self | 0x20) || self == 0x2D || self == 0x5F
  }
}
