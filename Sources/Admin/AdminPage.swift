internal import Base
internal import HTTP

/// What there is on the admin address.
enum AdminPage: String, CaseIterable {
  case index = "/"
  case health = "/health"
  case metrics = "/metrics"
  case stats = "/api/v1/stats"
  case why = "/api/v1/why"
  case purge = "/api/v1/purge"
  case drain = "/api/v1/servers/drain"
  case undrain = "/api/v1/servers/undrain"

  /// The page of a path; nil where there is none.
  init?(path: RawSpan) {
    let found = Self.allCases.first { Array($0.rawValue.utf8).rawBytes.equals(path) }
    guard let found else { return nil }
    self = found
  }

  /// A sentence for people.
  var title: String {
    switch self {
    case .index: "this list"
    case .health: "ok, for as long as this process runs"
    case .metrics: "counters and gauges, in the text format of Prometheus"
    case .stats: "statistics of cache, requests and servers"
    case .why: "one object explained: ?url=… with client=<address>, accept=…"
    case .purge: #"takes content off the disk: {"cids": […], "paths": […], "hosts": […]}"#
    case .drain: #"no new requests for a server: {"server": "region/label"}"#
    case .undrain: "new requests for it again"
    }
  }

  var isChange: Bool { self == .purge || self == .drain || self == .undrain }

  /// The value of Allow.
  var methods: StaticString { isChange ? "POST, OPTIONS" : "GET, HEAD, OPTIONS" }

  func takes(_ method: Method) -> Bool {
    isChange ? method == .post : method == .get || method == .head
  }

  var need: AdminAccess.Need {
    switch self {
    case .health: .nothing
    case .metrics: .network
    case .index, .stats, .why: .reading
    case .purge, .drain, .undrain: .changing
    }
  }
}
