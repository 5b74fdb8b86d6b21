internal import Base
internal import IPFS

/// Hosts: path gateway, subdomain gateway or DNSLink site, in the order in which boxo looks.
extension OriginRules {
  func route(_ request: OriginRequest) throws(Rejection) -> HostRoute {
    let host = String(decoding: request.forwardedHost ?? request.host, as: UTF8.self)
    if hosts.isKnown(host) {
      if Self.isContent(request.path) {
        try rejectURI(request)
        throw try subdomainRedirect(request, host: host, request.path)
      }
      // A host may be a name itself, beside being the one below which others are.
      guard let route = dnsLink(host) else {
        throw Rejection(404, "this host has nothing but /ipfs and /ipns")
      }
      return route
    }
    if let subdomain = hosts.subdomain(host) { return try route(request, subdomain) }
    return dnsLink(host) ?? HostRoute()
  }

  private static func isContent(_ path: [UInt8]) -> Bool {
    ["/ipfs", "/ipns"].contains {
      path.starts(with: $0.utf8) && (path.count == 5 || path[5] == 0x2f)
    }
  }

  private func dnsLink(_ host: String) -> HostRoute? {
    let name = HostTable.withoutPort(host)
    guard isDNSLink(name) else { return nil }
    return HostRoute(isolation: .dnsLink(host: host), prefix: Array("/ipns/\(name)".utf8))
  }

  private func isDNSLink(_ name: String) -> Bool { names.hasDNSLink(Array(name.utf8)) }

  private func route(
    _ request: OriginRequest, _ subdomain: HostTable.Subdomain
  ) throws(Rejection) -> HostRoute {
    var root = subdomain.root
    let namespace = subdomain.namespace
    if let cid = try? CID.parse(Array(root.utf8).rawBytes) {
      let label = try Self.label(root, cid)
      let prefix = "/\(namespace.rawValue)/\(label)"
      if label != root || (namespace == .ipns && cid.codec != .libp2pKey) {
        // The same root has the same origin in browsers, whatever it was spelled like.
        throw try subdomainRedirect(
          request, host: subdomain.host, Array(prefix.utf8) + request.path)
      }
    } else if root.split(separator: ".").contains(where: { $0.utf8.count > HostTable.labelBytes }) {
      throw Rejection(400, "a label of a DNS name has at most 63 bytes")
    } else if namespace == .ipns, !root.contains("."), !isDNSLink(root) {
      let name = HostTable.name(inlined: root)
      if isDNSLink(name) { root = name }
    }
    return HostRoute(
      isolation: .subdomain(host: subdomain.host),
      prefix: Array("/\(namespace.rawValue)/\(root)".utf8))
  }

  /// The redirect from a path on a known host to the root's own host.
  private func subdomainRedirect(
    _ request: OriginRequest, host: String, _ path: [UInt8]
  ) throws(Rejection) -> Rejection {
    let parsed: RequestedPath
    do throws(ContentPathError) {
      parsed = try RequestedPath(path)
    } catch {
      if case .repeatedNamespace = error { return try namespaceRedirect(request, path) }
      throw Self.rejection(error, path)
    }
    let label: String
    let namespace: HostTable.Namespace
    switch parsed.root {
    case .content(let cid):
      namespace = .ipfs
      label = try Self.label(cid.version1)
    case .name(let name):
      namespace = .ipns
      label = try self.label(name: name, isHTTPS: request.isHTTPS)
    }
    // What follows the root goes on as it was sent.
    var slashes = 0
    let rest = path.drop { byte in
      if byte == UInt8(ascii: "/") { slashes += 1 }
      return slashes < 3
    }
    let scheme = request.isHTTPS ? "https" : "http"
    let below = request.target(path: rest.isEmpty ? [UInt8(ascii: "/")] : Array(rest))
    return .redirect(301, to: "\(scheme)://\(label).\(namespace.rawValue).\(host)\(below)")
  }

  private func label(name: [UInt8], isHTTPS: Bool) throws(Rejection) -> String {
    let text = String(decoding: name, as: UTF8.self)
    if let key = PeerKey.parse(name) ?? Self.misnamedKey(name) { return PeerKey.text(key) }
    // A certificate for *.ipns.HOST covers one label only.
    guard isHTTPS, text.contains("."), isDNSLink(text) else { return text }
    let label = HostTable.inlined(text)
    guard label.utf8.count <= HostTable.labelBytes else {
      throw Rejection(
        400, "DNSLink representation incompatible with DNS label length limit of 63: \(label)")
    }
    return label
  }

  /// A key's CID with another codec than libp2p-key, as old software wrote it.
  private static func misnamedKey(_ name: [UInt8]) -> CID? {
    guard let cid = try? CID.parse(name.rawBytes) else { return nil }
    return try? CID(codec: .libp2pKey, hash: cid.hash, digest: cid.digest)
  }

  /// A CID as a label: base32, or base36 where that is too long.
  private static func label(_ cid: CID) throws(Rejection) -> String {
    try label("\(cid)", cid)
  }

  private static func label(_ text: String, _ cid: CID) throws(Rejection) -> String {
    if text.utf8.count <= HostTable.labelBytes { return text }
    var output = ByteBuffer(capacity: 256)
    cid.appendText(in: .base36, to: &output)
    guard output.count <= HostTable.labelBytes else {
      throw Rejection(
        400,
        "CID incompatible with DNS label length limit of 63: \(output.readable.text)")
    }
    return output.readable.text
  }
}
