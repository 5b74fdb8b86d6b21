/// What a request's host stands for, as metrics and the access log name it.
public enum HostClass: UInt8, CaseIterable, Sendable {
  /// Content at paths: `/ipfs/…`, `/ipns/…`.
  case path
  /// Content that has a host of its own, `<cid>.ipfs.<gateway>`.
  case subdomain
  /// A site by its DNSLink record.
  case dnslink
  /// The cluster's API.
  case cluster
  /// Nobody's content: health, refusals, unknown hosts.
  case none

  public var name: StaticString {
    switch self {
    case .path: "path"
    case .subdomain: "subdomain"
    case .dnslink: "dnslink"
    case .cluster: "cluster"
    case .none: "none"
    }
  }
}

/// The protocol of a request.
public enum ProtocolClass: UInt8, CaseIterable, Sendable {
  case http10, http11, http2

  var name: StaticString {
    switch self {
    case .http10: "HTTP/1.0"
    case .http11: "HTTP/1.1"
    case .http2: "HTTP/2"
    }
  }
}

/// One cell for each kind of host, protocol, and whether TLS was spoken: a request is counted by one addition.
///
/// What is published are the sums over rows and columns, so that there are few series.
@usableFromInline
enum RequestCells {
  static let count = HostClass.allCases.count * ProtocolClass.allCases.count * 2

  @inlinable
  @inline(__always)
  static func index(_ host: HostClass, _ version: ProtocolClass, isSecure: Bool) -> Int {
    (Int(host.rawValue) &* 3 &+ Int(version.rawValue)) &* 2 &+ (isSecure ? 1 : 0)
  }
}

/// What became of a request for which a server was needed.
public enum FetchOutcome: UInt8, CaseIterable, Sendable {
  case miss, collapsed, partial, bypass, error

  var name: StaticString {
    switch self {
    case .miss: "miss"
    case .collapsed: "collapsed"
    case .partial: "partial"
    case .bypass: "bypass"
    case .error: "error"
    }
  }
}

/// The statuses that are counted by themselves: those that Sluice gives or IPFS gateways do.
///
/// Servers may give any other one, so these count by their class; one outside 100–599 counts as 5xx.
enum StatusCells {
  static let codes = [
    200, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408, 410, 411, 412,
    413, 414, 416, 417, 421, 429, 431, 451, 500, 501, 502, 503, 504, 505,
  ]
  static let classes = ["1xx", "2xx", "3xx", "4xx", "5xx"]
  static var count: Int { codes.count + classes.count }
  /// Statuses that have a place in the table, 100 to 599.
  static let first = 100
  static let statuses = 500

  /// The cell of a status.
  static func index(_ status: Int) -> Int {
    if let exact = codes.firstIndex(of: status) { return exact }
    let kind = (first..<first + statuses).contains(status) ? status / 100 - 1 : 4
    return codes.count + kind
  }

  /// What the label says of each cell.
  static var names: [String] { codes.map(String.init) + classes }
}
