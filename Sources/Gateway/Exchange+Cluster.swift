public import Base
internal import HTTP
internal import HTTP1
internal import Router
internal import Server
internal import System
internal import Telemetry
internal import Upstreams

/// Who may use the cluster's API through this gateway, and below which path.
public struct ClusterAccess: Sendable {
  /// The path that its servers' own root stands for, with a slash at both ends.
  public var prefix: [UInt8]
  /// Networks of clients who may; all others are strangers.
  public var allow: NetworkSet
  /// The place of its servers among the map's regions.
  public var region: Int

  public init(prefix: [UInt8], allow: NetworkSet, region: Int) {
    self.prefix = prefix
    self.allow = allow
    self.region = region
  }
}

extension Exchange {
  /// Takes a request for the cluster's API on; false where it is none.
  ///
  /// Strangers are refused before anything else of their request is looked at, and its body is not read.
  func passToCluster(_ request: RequestHead, _ text: RawSpan, _ site: AskedSite) -> Bool {
    guard let access = worker.gateway.options.cluster,
      ClusterPath.isBelow(access.prefix, request, text: text),
      ClusterPath.isServed(on: site, text: text)
    else { return false }
    hostClass = .cluster
    guard let client = knownClient, access.allow.contains(client) else {
      refuseCluster(403, "the cluster's API is for the operator's own networks")
      return true
    }
    guard !isFromPage(request, text) else {
      refuseCluster(403, "the cluster's API is for programs: pages of the web may not use it")
      return true
    }
    switch request.method {
    case .get, .head, .options, .post, .put, .delete, .patch: break
    case .connect, .trace, .other:
      refuseCluster(501, "the cluster's API does not know this method")
      return true
    }
    guard let target = ClusterPath.target(below: access.prefix, request, text: text) else {
      refuseCluster(400, "the path has empty or dot segments, which servers read in several ways")
      return true
    }
    if let limits = worker.clusterLimits, !admit(limits, request, text) || !paysForMiss() {
      return true
    }
    var asked = UpstreamRequest(method: request.method, target: target)
    asked.region = access.region
    asked.isSearch = false
    asked.lines = clusterLines(request, text)
    ClusterExchange(self, access).start(asked, expectsContinue: request.expectsContinue)
    return true
  }

  private func refuseCluster(_ status: Int, _ sentence: String) {
    worker.counters.add(.refusal(status: status))
    refuse(status: status, sentence)
  }

  /// Whether a browser sends it for a page.
  ///
  /// All that a path gateway shows has one origin, and so has the API below it: whoever publishes a page could
  /// use it from the browser of an operator who looks at that page. Requests that change something always have
  /// an Origin then (the Fetch standard, 3.1), others a Referer or Sec-Fetch-Site unless the page sees to it and
  /// the gateway is spoken to in cleartext.
  func isFromPage(_ request: RequestHead, _ text: RawSpan) -> Bool {
    request.fields.contains { field in
      switch field.token {
      case .origin, .referer: true
      case .other:
        text.bytes(field.name).equalsIgnoringCase("sec-fetch-site")
          // An address that somebody has typed.
          && !text.bytes(field.value).equalsIgnoringCase("none")
      default: false
      }
    }
  }

  /// The fields that the cluster gets: the client's own, its credentials among them, but for those of its
  /// connection and what only a proxy may say of it.
  private func clusterLines(_ request: RequestHead, _ text: RawSpan) -> [UInt8] {
    let connection = ConnectionFields(request.fields, text: text)
    var lines = ByteBuffer(capacity: 1024)
    for field in request.fields where !connection.contains(field, text: text) {
      switch field.token {
      case .host, .expect, .contentLength, .forwarded, .xForwardedFor, .xForwardedHost,
        .xForwardedProto, .xRealIp:
        continue
      // Said anew, since what the server does is done for this gateway.
      case .traceparent, .tracestate: continue
      default:
        HeadWriter.field(
          name: text.bytes(field.name), value: text.bytes(field.value), to: &lines)
      }
    }
    if let stream {
      let address = clientAddress(stream)
      HeadWriter.field(.xForwardedFor, address.rawBytes, to: &lines)
    }
    if !host.isEmpty { HeadWriter.field(.xForwardedHost, text.bytes(host), to: &lines) }
    HeadWriter.field(.xForwardedProto, isSecure ? "https" : "http", to: &lines)
    for field in traceFields {
      HeadWriter.field(
        name: Array("\(field.name)".utf8).rawBytes, value: field.value.rawBytes, to: &lines)
    }
    return lines.readable.array
  }
}
