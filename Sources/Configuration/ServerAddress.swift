/// Where a server is, and whether it is spoken to by TLS.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
  public var place: HostPort
  public var isSecure: Bool

  public init(_ place: HostPort, isSecure: Bool = false) {
    self.place = place
    self.isSecure = isSecure
  }

  /// As a server's address in gateway.conf: `kubo.example:8080` or `https://ipfs.example:443`.
  public var description: String { isSecure ? "https://\(place)" : "\(place)" }

  /// Reads a URL of `http` or `https`: a host, a port where it is another than the scheme's, no path.
  init?(url text: String) {
    for (scheme, port, isSecure) in [("http://", 80, false), ("https://", 443, true)]
    where text.lowercased().hasPrefix(scheme) {
      var rest = text.dropFirst(scheme.count)
      if rest.last == "/" { rest = rest.dropLast() }
      guard let place = HostPort(String(rest)) ?? HostPort("\(rest):\(port)"), place.port > 0
      else { return nil }
      self.init(place, isSecure: isSecure)
      return
    }
    return nil
  }
}

extension Kind<ServerAddress> {
  /// An address or name of another server, or its https URL.
  static let peer = Kind(
    expected: """
      a host with a port, such as 10.1.0.11:8080, kubo.example:8080 or "[::1]:8080" in quotes, or \
      https://ipfs.example
      """,
    read: { text in
      if let url = ServerAddress(url: text) { return url.isSecure ? url : nil }
      return HostPort(text).flatMap { $0.port > 0 ? ServerAddress($0) : nil }
    },
    show: { $0.description })
}

extension Kind<ServerAddress?> {
  /// A server by its URL.
  static let lastResort = Kind(
    expected: "off or a server's URL, such as https://ipfs.example or http://gateway.example:8080",
    read: { text in
      text == "off" ? .some(nil) : ServerAddress(url: text).map { .some($0) }
    },
    show: { address in
      guard let address else { return "off" }
      return address.isSecure ? address.description : "http://\(address.place)"
    })
}
