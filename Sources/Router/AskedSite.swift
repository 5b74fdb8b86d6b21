public import Base
internal import HTTP
internal import IPFS

/// The host and scheme that a client asked, its own or what a trusted proxy says of them.
public struct AskedSite {
  public var hosts: HostBook
  /// With its port, a place in the request's text.
  public var host: ByteRange
  /// Whether the client came by https.
  public var isSecure: Bool

  public init(hosts: HostBook, host: ByteRange, isSecure: Bool = false) {
    self.hosts = hosts
    self.host = host
    self.isSecure = isSecure
  }
}

/// One thread's copy of the table of hosts, behind one reference: a table's parts are counted by all who
/// copy it.
public final class HostBook {
  let table: HostTable
  /// Whether every host is a path gateway, so that only names of the subdomain form need a look.
  let isStandard: Bool

  public init(_ table: HostTable) {
    self.table = table
    isStandard = table == .standard
  }
}

/// Where the content of a host lies among all content.
enum SitePath {
  /// `/ipfs/<cid>` or `/ipns/<name>` for the label of a subdomain.
  ///
  /// A label below ipns is a key, a name with its dots, or one that was made a single label.
  static func prefix(_ namespace: ContentPath.Namespace, label: RawSpan) -> [UInt8] {
    guard namespace == .ipns, (try? CID.parse(label)) == nil,
      label.first(UInt8(ascii: "."), from: 0, to: label.byteCount) == label.byteCount
    else { return prefix(namespace, name: label) }
    var name = ByteBuffer(capacity: 64)
    guard HostLabel.append(restored: label, to: &name) else {
      return prefix(namespace, name: label)
    }
    return prefix(namespace, name: name.readable)
  }

  static func prefix(_ namespace: ContentPath.Namespace, name: RawSpan) -> [UInt8] {
    Array((namespace == .ipfs ? "/ipfs/" : "/ipns/").utf8) + name.array
  }
}

/// The address that content has on a gateway with subdomains (the subdomain gateway specification).
enum SubdomainAddress {
  /// `https://<label>.ipfs.<gateway>/…` with the rest of the path and the query as they were sent; nil
  /// where the root fits no label.
  ///
  /// By https a DNSLink name becomes one label, since certificates cover one.
  static func of(
    _ content: ContentPath, decoded: RawSpan, target: RawSpan, gateway: RawSpan, isSecure: Bool
  ) -> [UInt8]? {
    var location = ByteBuffer(capacity: 256)
    location.append(isSecure ? "https://" as StaticString : "http://")
    let root = decoded.bytes(content.root)
    if let cid = content.cid ?? (try? CID.parse(root)) {
      guard HostLabel.append(cid, in: content.namespace, to: &location) else { return nil }
    } else if isSecure {
      guard HostLabel.append(inlined: root, to: &location) else { return nil }
    } else {
      guard HostPattern.isName(root) else { return nil }
      location.append(root)
    }
    location.append(content.namespace == .ipfs ? ".ipfs." as StaticString : ".ipns.")
    location.append(gateway)
    if content.remainder.isEmpty {
      location.append(UInt8(ascii: "/"))
    } else if target.byteCount > content.root.end,
      target.byte(content.root.end) == UInt8(ascii: "/"),
      target.extracting(0..<content.root.end).equals(decoded.extracting(0..<content.root.end))
    {
      // As it was sent: what was escaped stays so. But a slash that is escaped would not end the host.
      let end = target.first(UInt8(ascii: "?"), from: 0, to: target.byteCount)
      location.append(target.extracting(content.root.end..<end))
    } else {
      PercentCoding.append(path: decoded.bytes(content.remainder), to: &location)
    }
    let mark = target.first(UInt8(ascii: "?"), from: 0, to: target.byteCount)
    location.append(target.extracting(mark..<target.byteCount))
    return location.readable.array
  }
}
