internal import Base
public import HTTP

/// The paths below a prefix that are the cluster's, and what its servers are asked for in their place.
public enum ClusterPath {
  /// Whether a request's path lies below the prefix, as it was sent: no other spelling of it does.
  @inline(__always)
  public static func isBelow(_ prefix: [UInt8], _ request: RequestHead, text: RawSpan) -> Bool {
    let path = text.bytes(request.path)
    guard path.byteCount >= prefix.count else { return false }
    for offset in prefix.indices where path.byte(offset) != prefix[offset] { return false }
    return true
  }

  /// Whether a host's paths are the gateway's own.
  ///
  /// What stands below a site or a subdomain is somebody's content: its pages could ask for the cluster as
  /// their own host.
  public static func isServed(on site: AskedSite, text: RawSpan) -> Bool {
    switch Router.kind(of: text.bytes(site.host), in: site.hosts) {
    case .path, .subdomains(_, isSite: false): true
    case .subdomains, .subdomain, .foreignSubdomain, .dnslink, .invalidLabel, .unknown: false
    }
  }

  /// The target for the servers: what follows the prefix, from its last slash on, with the query.
  ///
  /// Nil for what servers may read as another path than it seems: dot segments and empty ones, in any
  /// spelling, and backslashes.
  public static func target(
    below prefix: [UInt8], _ request: RequestHead, text: RawSpan
  ) -> [UInt8]? {
    let path = text.bytes(request.path)
    let rest = path.extracting((prefix.count - 1)..<path.byteCount)
    guard hasPlainSegments(rest) else { return nil }
    var target = rest.array
    if !request.query.isEmpty { target += [UInt8(ascii: "?")] + text.bytes(request.query).array }
    return target
  }

  private static func hasPlainSegments(_ path: RawSpan) -> Bool {
    var length = 0
    var dots = 0
    var offset = 1
    while offset <= path.byteCount {
      guard offset < path.byteCount else { return !isDots(length, dots) }
      var byte = path.byte(offset)
      offset += 1
      if byte == UInt8(ascii: "%") {
        guard offset + 1 < path.byteCount, let high = path.byte(offset).hexValue,
          let low = path.byte(offset + 1).hexValue
        else { return false }
        byte = high << 4 | low
        offset += 2
      }
      switch byte {
      case UInt8(ascii: "/"):
        if length == 0 || isDots(length, dots) { return false }
        (length, dots) = (0, 0)
      case UInt8(ascii: "\\"), 0: return false
      default:
        length += 1
        if byte == UInt8(ascii: ".") { dots += 1 }
      }
    }
    return true
  }

  private static func isDots(_ length: Int, _ dots: Int) -> Bool {
    (1...2).contains(length) && dots == length
  }
}
