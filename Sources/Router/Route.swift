public import Base
public import HTTP
public import IPFS

/// Where a request belongs.
public enum Route: Sendable {
  /// The gateway's own state.
  case health
  /// CORS preflight and other OPTIONS.
  case options
  /// Content that never changes, kept under the key that was written.
  case content(ContentRequest)
  /// Content by a name, which may lead elsewhere tomorrow: kept under the key of what it leads to now.
  case named(ContentRequest)
  /// Content in a form or by a name that is passed through unkept. The host is the client's where the
  /// host itself names the content.
  case passThrough(keepsHost: Bool)
  /// At an address of its own, for good.
  case redirect(location: [UInt8])
  /// Not for this gateway, with the status and what to say.
  case refuse(status: Int, RefusalReason)

  /// Whether it is asked how the gateway itself does.
  @inlinable
  public var isHealth: Bool { if case .health = self { true } else { false } }
}

/// Why a request is refused, as a sentence for the client.
public enum RefusalReason: Sendable {
  case method
  case noSuchPath
  case path(ContentPathError)
  case unknownType
  case serviceWorker
  case unknownHost
  case hostLabel

  public var sentence: String {
    switch self {
    case .method: "this gateway answers GET, HEAD and OPTIONS only"
    case .noSuchPath:
      "nothing is served at this path; content is found below /ipfs/{cid} and /ipns/{name}"
    case .path(let error): error.sentence
    case .unknownType:
      "Accept names a type that gateways do not have; ask with ?format=raw, car, tar, json, cbor, "
        + "dag-json, dag-cbor or ipns-record"
    case .unknownHost: "this gateway serves no site of this name; ask for one that it is set up for"
    case .hostLabel:
      "no content can have this host name: its first part must be a CID or name of at most 63 letters, "
        + "digits and hyphens"
    case .serviceWorker:
      "a service worker cannot be registered for all content at once; use a subdomain gateway"
    }
  }
}

/// Decides where a request belongs, and under which key its answer is kept.
public enum Router {
  /// - Parameters:
  ///   - request: the head; its ranges refer to `text`.
  ///   - site: the host that was asked, as far as it is to be believed.
  ///   - path: cleared, then given the decoded path that `.content` and `.named` refer to; of `.passThrough` as well,
  ///     where it is known.
  ///   - key: cleared, then given the canonical key of a `.content` route.
  public static func route(
    _ request: RequestHead, text: RawSpan, site: AskedSite, path: inout ByteBuffer,
    key: inout ByteBuffer
  ) -> Route {
    path.clear()
    key.clear()
    switch request.method {
    case .get, .head: break
    case .options: return .options
    default: return .refuse(status: 405, .method)
    }
    let host = text.bytes(site.host)
    let target = text.bytes(request.path)
    let kind = kind(of: host, in: site.hosts)
    switch kind {
    case .subdomain(let namespace, let label, _):
      return routeSite(
        request, text, SitePath.prefix(namespace, label: host.bytes(label)), .subdomain, &path, &key
      )
    case .dnslink(let name):
      return routeSite(
        request, text, SitePath.prefix(.ipns, name: host.bytes(name)), .dnslink, &path, &key)
    case .foreignSubdomain: return .passThrough(keepsHost: true)
    case .invalidLabel: return .refuse(status: 400, .hostLabel)
    case .path, .subdomains, .unknown: break
    }
    if target.equals("/health") { return .health }
    if kind == .unknown { return .refuse(status: 404, .unknownHost) }
    if leadsElsewhere(request, text) { return .passThrough(keepsHost: false) }
    guard case .subdomains(let gateway, let isSite) = kind else {
      return route(request, text, target, .path, &path, &key)
    }
    if isSite, !isContent(target) {
      let name = host.bytes(gateway)
      let end = Authority.hostEnd(name)
      return route(
        request, text, below: SitePath.prefix(.ipns, name: name.extracting(0..<end)), .dnslink,
        &path, &key)
    }
    return toSubdomain(request, text, gateway: host.bytes(gateway), site, &path)
  }

  /// The same for a client that is believed itself, where every host is a path gateway.
  public static func route(
    _ request: RequestHead, text: RawSpan, path: inout ByteBuffer, key: inout ByteBuffer
  ) -> Route {
    let site = AskedSite(hosts: HostBook(.standard), host: request.authority)
    return route(request, text: text, site: site, path: &path, key: &key)
  }

  /// Whether the query has an `ipfs://` address to go to instead, as browsers' protocol handlers write it.
  private static func leadsElsewhere(_ request: RequestHead, _ text: RawSpan) -> Bool {
    !request.query.isEmpty
      && QueryParameters.value(named: "uri", in: text.bytes(request.query)) != nil
  }

  /// The way to what is asked of a host that names content itself.
  private static func routeSite(
    _ request: RequestHead, _ text: RawSpan, _ prefix: [UInt8], _ mode: OriginMode,
    _ path: inout ByteBuffer, _ key: inout ByteBuffer
  ) -> Route {
    guard leadsElsewhere(request, text) else {
      return route(request, text, below: prefix, mode, &path, &key)
    }
    // Servers that know no such address give what the path names: it is told, and the host's content in any case.
    let whole = prefix + text.bytes(request.path).array
    if (try? ContentPath.parse(whole.rawBytes, decoded: &path)) == nil {
      _ = try? ContentPath.parse(prefix.rawBytes, decoded: &path)
    }
    return .passThrough(keepsHost: true)
  }

  /// What a host stands for.
  public static func kind(of host: RawSpan, in book: HostBook) -> HostKind {
    // No label, no subdomain: the usual host of a gateway of one kind.
    if book.isStandard, !hasInnerLabel(host) { return .path }
    return book.table.classify(host: host)
  }

  /// Whether a label of the host, neither the first nor the last one, is `ipfs` or `ipns` in any case.
  private static func hasInnerLabel(_ host: RawSpan) -> Bool {
    var start = 0
    while start < host.byteCount {
      let end = host.first(UInt8(ascii: "."), from: start, to: host.byteCount)
      guard end < host.byteCount else { return false }
      if start > 0, end - start == 4 {
        let label = host.extracting(start..<end)
        if label.equalsIgnoringCase("ipfs") || label.equalsIgnoringCase("ipns") { return true }
      }
      start = end + 1
    }
    return false
  }

  /// The way to content at a path of its own host.
  private static func route(
    _ request: RequestHead, _ text: RawSpan, below prefix: [UInt8], _ mode: OriginMode,
    _ path: inout ByteBuffer, _ key: inout ByteBuffer
  ) -> Route {
    let whole = prefix + text.bytes(request.path).array
    return route(request, text, whole.rawBytes, mode, &path, &key)
  }

  private static func route(
    _ request: RequestHead, _ text: RawSpan, _ target: RawSpan, _ mode: OriginMode,
    _ path: inout ByteBuffer, _ key: inout ByteBuffer
  ) -> Route {
    let content: ContentPath
    do throws(ContentPathError) {
      content = try ContentPath.parse(target, decoded: &path)
    } catch {
      // On a host of its own there is no path that names a namespace twice.
      if mode != .path, error == .repeatedNamespace { return .refuse(status: 400, .hostLabel) }
      return refusal(error)
    }
    if asksForServiceWorker(request, text), !content.hasPath, !content.trailingSlash {
      return .refuse(status: 400, .serviceWorker)
    }
    let choice: FormChoice
    do throws(FormChoice.Failure) {
      choice = try FormChoice.choose(request, text)
    } catch {
      return error == .unusual
        ? .passThrough(keepsHost: mode != .path) : .refuse(status: 400, .unknownType)
    }
    return place(content, choice, text, mode: mode, path: path.readable, key: &key)
  }

  /// Content at a path of a gateway whose content has hosts of its own.
  private static func toSubdomain(
    _ request: RequestHead, _ text: RawSpan, gateway: RawSpan, _ site: AskedSite,
    _ path: inout ByteBuffer
  ) -> Route {
    let content: ContentPath
    do throws(ContentPathError) {
      content = try ContentPath.parse(text.bytes(request.path), decoded: &path)
    } catch {
      return refusal(error)
    }
    let location = SubdomainAddress.of(
      content, decoded: path.readable, target: text.bytes(request.target), gateway: gateway,
      isSecure: site.isSecure)
    return location.map { .redirect(location: $0) } ?? .refuse(status: 400, .hostLabel)
  }

  private static func place(
    _ content: ContentPath, _ choice: FormChoice, _ text: RawSpan, mode: OriginMode, path: RawSpan,
    key: inout ByteBuffer
  ) -> Route {
    var request = ContentRequest(
      namespace: content.namespace, form: choice.form, mode: mode, root: content.root,
      remainder: content.remainder, lastSegment: content.lastSegment,
      isFromAccept: choice.isFromAccept, filename: choice.filename,
      isDownload: choice.isDownload, selection: choice.selection)
    if !request.filename.isEmpty {
      let name = PercentCoding.query(text.bytes(request.filename))
      guard let foreign = FileName.hasForeignExtension(name, request, path: path) else {
        return .passThrough(keepsHost: mode != .path)
      }
      request.hasForeignExtension = foreign
    }
    guard request.form.mayBeKept else { return .passThrough(keepsHost: mode != .path) }
    guard let root = content.cid else { return .named(request) }
    request.isIdentity = root.hash == .identity
    request.isVersion0 = root.version == 0
    CanonicalKey.append(
      request, text: text, root: root, remainder: path.bytes(content.remainder), to: &key)
    return .content(request)
  }

  /// Whether a browser asks for the script of a service worker.
  private static func asksForServiceWorker(_ request: RequestHead, _ text: RawSpan) -> Bool {
    guard let value = request.value(.serviceWorker) else { return false }
    return text.bytes(value).equals("script")
  }

  private static func refusal(_ error: ContentPathError) -> Route {
    switch error {
    case .notContent: .refuse(status: 404, .noSuchPath)
    case .repeatedNamespace: .passThrough(keepsHost: false)
    case .tooLong: .refuse(status: 414, .path(error))
    default: .refuse(status: 400, .path(error))
    }
  }

  private static func isContent(_ path: RawSpan) -> Bool {
    path.hasPrefix("/ipfs/") || path.hasPrefix("/ipns/")
  }
}
