internal import Base
internal import Cache
internal import HTTP
internal import HTTP1
internal import IPFS
internal import Router
internal import Server
internal import System
internal import Telemetry

extension Exchange {
  /// Finds out what the request is for.
  func route(_ request: RequestHead, _ text: RawSpan) {
    let site = askedSite(request, text)
    if worker.hasDiversions, divert(request, text, site) { return }
    if worker.hasCluster, passToCluster(request, text, site) { return }
    let route = Router.route(
      request, text: text, site: site, path: &path, key: &canonicalKey)
    if let limits = worker.limits, !route.isHealth, !admit(limits, request, text) { return }
    switch route {
    case .content(let request):
      note(request)
      if worker.denials != nil {
        key = canonicalKey.withReadable { worker.gateway.storage.hash($0) }
        if refuseIfDenied() { return }
      }
      if isPlain && !request.isIdentity || !answerWithoutContent(request) {
        if worker.denials == nil {
          key = canonicalKey.withReadable { worker.gateway.storage.hash($0) }
        }
        lookUp()
      }
    case .named(let request):
      note(request)
      if refuseIfPathIsDenied() { return }
      resolve()
    case .passThrough(let keepsHost):
      if refuseIfPathIsDenied() { return }
      notePassedPath(text.bytes(request.path))
      path.clear()
      self.keepsHost = keepsHost
      hostClass = Self.hostClass(Router.kind(of: text.bytes(host), in: worker.hosts))
      bypass()
    case .redirect(let location):
      hostClass = .path
      if !refuseIfPathIsDenied() { redirect(to: location) }
    case .health: answerHealth()
    case .options: answerOptions()
    case .refuse(let status, let reason):
      if !path.isEmpty, refuseIfPathIsDenied() { return }
      if case .serviceWorker = reason { path.clear() }
      refuse(status: status, reason.sentence)
    }
  }

  private func note(_ request: ContentRequest) {
    asked = request
    isPlain =
      request.namespace == .ipfs && request.form == .file && request.filename.isEmpty
      && !request.isFromAccept && !request.isDownload && !request.isVersion0
    root = request.root
    keepsHost = request.mode != .path
    hostClass =
      switch request.mode {
      case .path: .path
      case .subdomain: .subdomain
      case .dnslink: .dnslink
      }
  }

  private static func hostClass(_ kind: HostKind) -> HostClass {
    switch kind {
    case .path, .subdomains: .path
    case .subdomain, .foreignSubdomain: .subdomain
    case .dnslink: .dnslink
    case .invalidLabel, .unknown: .none
    }
  }

  /// The host that was asked: the client's own, or what a trusted proxy says it was.
  private func askedSite(_ request: RequestHead, _ text: RawSpan) -> AskedSite {
    host = request.authority
    isSecure = stream?.isSecure ?? false
    if worker.hasTrustedProxies, let stream, !stream.isPeerUnnamed,
      let peer = stream.peer.networkAddress
    {
      let trusted = worker.gateway.options.trustedProxies
      let told = Forwarded.read(request.fields, text: text, peer: peer) { trusted.contains($0) }
      if told.peerIsTrusted {
        client = told.client
        if let scheme = told.scheme { isSecure = scheme == .https }
        if !told.host.isEmpty { host = told.host }
        noteRegionMark(request, text)
      }
    }
    return AskedSite(hosts: worker.hosts, host: host, isSecure: isSecure)
  }

  /// Gives the request on as it is, since its answer is of a kind that is not kept.
  private func bypass() {
    reason = NotStored.bypass.name
    passThrough()
  }

  /// Answers a head that could not be understood.
  func refuse(_ refusal: Refusal, on stream: ClientStream) {
    begin(on: stream)
    refuse(status: refusal.status, "\(refusal.sentence)")
  }
}
