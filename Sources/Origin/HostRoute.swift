/// Where a request's host puts its path.
struct HostRoute: Sendable {
  /// Whether a root has an origin of its own in the browser; only then does its `_redirects` count.
  enum Isolation: Equatable, Sendable {
    case none
    /// `<root>.ipfs.HOST`; HOST is the value.
    case subdomain(host: String)
    /// A host that is itself a name.
    case dnsLink(host: String)
  }

  var isolation = Isolation.none
  /// What stands before the request's path: nothing, or `/ipfs/<cid>` or `/ipns/<name>`.
  var prefix: [UInt8] = []
}

/// What a host name says about content (specs.ipfs.tech, subdomain and DNSLink gateways).
struct HostTable: Sendable {
  /// The longest label that DNS has.
  static let labelBytes = 63

  enum Namespace: String, Sendable {
    case ipfs, ipns
  }

  /// Of `<root>.<namespace>.<host>`.
  struct Subdomain: Equatable, Sendable {
    var root: String
    var namespace: Namespace
    var host: String
  }

  private let subdomainHosts: Set<String>

  init(subdomainHosts: [String]) {
    self.subdomainHosts = Set(subdomainHosts)
  }

  /// Whether roots have hosts below this one; what is listed without a port is meant with every port.
  func isKnown(_ host: String) -> Bool {
    subdomainHosts.contains(host) || subdomainHosts.contains(Self.withoutPort(host))
  }

  /// The root that a host below a known one names; a DNS name among roots may have dots.
  func subdomain(_ host: String) -> Subdomain? {
    if subdomainHosts.isEmpty { return nil }
    let labels = host.split(separator: ".", omittingEmptySubsequences: false)
    for start in stride(from: labels.count - 1, through: 2, by: -1) {
      let known = labels[start...].joined(separator: ".")
      guard isKnown(known), let namespace = Namespace(rawValue: String(labels[start - 1])) else {
        continue
      }
      let root = labels[..<(start - 1)].joined(separator: ".")
      return Subdomain(root: root, namespace: namespace, host: known)
    }
    return nil
  }

  static func withoutPort(_ host: String) -> String {
    guard let colon = host.lastIndex(of: ":"), colon != host.startIndex,
      host[host.index(after: colon)...].allSatisfy(\.isNumber)
    else { return host }
    return String(host[..<colon])
  }

  /// A DNS name in one label: `en.wikipedia-on-ipfs.org` is `en-wikipedia--on--ipfs-org`.
  static func inlined(_ name: String) -> String {
    var label = ""
    for scalar in name.unicodeScalars {
      switch scalar {
      case "-": label += "--"
      case ".": label += "-"
      default: label.unicodeScalars.append(scalar)
      }
    }
    return label
  }

  /// The DNS name that `inlined` made a label of.
  static func name(inlined label: String) -> String {
    var name = ""
    var scalars = label.unicodeScalars.makeIterator()
    var isAfterDash = false
    while let scalar = scalars.next() {
      if scalar == "-" {
        if isAfterDash { name += "-" }
        isAfterDash.toggle()
        continue
      }
      if isAfterDash { name += "." }
      isAfterDash = false
      name.unicodeScalars.append(scalar)
    }
    return isAfterDash ? name + "." : name
  }
}
