public import Base
internal import HTTP

/// The hosts that one entry of the table of hosts is for.
public enum HostPattern: Hashable, Sendable {
  /// `*`: every host.
  case all
  /// `gateway.example.com`: this one, in lower case.
  case name([UInt8])
  /// `*.example.com`: one label in front of this name, as in certificates and Kubo's table; not the
  /// name itself.
  case oneBelow([UInt8])
  /// `127.0.0.1` or `[::1]`: a host that is an address. It has no names below it.
  case address(NetworkAddress)

  /// The longest name that DNS can hold, as text (RFC 1035, 2.3.4).
  public static let maximumBytes = 253

  /// Reads a pattern; a name may end in a dot, and in any case of letters.
  public init(_ text: some StringProtocol) throws(HostPatternError) {
    let bytes = Array(text.utf8)
    if bytes == [UInt8(ascii: "*")] {
      self = .all
      return
    }
    if let address = NetworkAddress(Self.withoutBrackets(bytes).rawBytes) {
      self = .address(address)
      return
    }
    let isWildcard = bytes.starts(with: [UInt8(ascii: "*"), UInt8(ascii: ".")])
    var name = bytes.dropFirst(isWildcard ? 2 : 0).map(\.asciiLowercased)
    if name.last == UInt8(ascii: ".") { name.removeLast() }
    guard !name.contains(UInt8(ascii: "*")) else { throw .wildcard }
    guard !name.contains(UInt8(ascii: ":")) else { throw .port }
    guard Self.isName(name.rawBytes) else { throw .name }
    self = isWildcard ? .oneBelow(name) : .name(name)
  }

  private static func withoutBrackets(_ bytes: [UInt8]) -> [UInt8] {
    guard bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]"),
      bytes.contains(UInt8(ascii: ":"))
    else { return bytes }
    return Array(bytes.dropFirst().dropLast())
  }

  /// Labels of 1 to 63 letters, digits, hyphens and underscores, with dots between them.
  static func isName(_ text: RawSpan) -> Bool {
    guard text.byteCount <= maximumBytes else { return false }
    var start = 0
    while start <= text.byteCount {
      let end = text.first(UInt8(ascii: "."), from: start, to: text.byteCount)
      guard HostLabel.isLabel(text.extracting(start..<end)) else { return false }
      start = end + 1
    }
    return true
  }
}

extension HostPattern: CustomStringConvertible {
  public var description: String {
    switch self {
    case .all: "*"
    case .name(let name): String(decoding: name, as: UTF8.self)
    case .oneBelow(let name): "*." + String(decoding: name, as: UTF8.self)
    case .address(let address): address.isIPv4 ? "\(address)" : "[\(address)]"
    }
  }
}

/// Why a text is no pattern of hosts.
public enum HostPatternError: Error, Equatable, Sendable {
  case wildcard, port, name

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .wildcard: "an asterisk stands alone, or once, for the first label: *.example.com"
    case .port: "a host is named without its port"
    case .name: "that is no host name"
    }
  }
}
