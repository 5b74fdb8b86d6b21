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
  /// Not for this gateway, with the status and what to say.
  case refuse(status: Int, RefusalReason)
}

/// Why a request is refused, as a sentence for the client.
public enum RefusalReason: Sendable {
  case method
  case noSuchPath
  case path(ContentPathError)
  case unknownType
  case serviceWorker

  public var sentence: String {
    switch self {
    case .method: "this gateway answers GET, HEAD and OPTIONS only"
    case .noSuchPath:
      "nothing is served at this path; content is found below /ipfs/{cid} and /ipns/{name}"
    case .path(let error): error.sentence
    case .unknownType:
      "Accept names a type that gateways do not have; ask with ?format=raw, car, tar, json, cbor, "
        + "dag-json, dag-cbor or ipns-record"
    case .serviceWorker:
      "a service worker cannot be registered for all content at once; use a subdomain gateway"
    }
  }
}

/// Decides where a request belongs, and under which key its answer is kept.
public enum Router {
  /// - Parameters:
  ///   - request: the head; its ranges refer to `text`.
  ///   - path: cleared, then given the decoded path that `.content` and `.named` refer to.
  ///   - key: cleared, then given the canonical key of a `.content` route.
  public static func route(
    _ request: RequestHead, text: RawSpan, path: inout ByteBuffer, key: inout ByteBuffer
  ) -> Route {
    path.clear()
    key.clear()
    switch request.method {
    case .get, .head: break
    case .options: return .options
    default: return .refuse(status: 405, .method)
    }
    if namesContent(host: text.bytes(request.authority)) { return .passThrough(keepsHost: true) }
    let target = text.bytes(request.path)
    if target.equals("/health") { return .health }
    if !request.query.isEmpty,
      QueryParameters.value(named: "uri", in: text.bytes(request.query)) != nil
    {
      return .passThrough(keepsHost: false)
    }
    let content: ContentPath
    do throws(ContentPathError) {
      content = try ContentPath.parse(target, decoded: &path)
    } catch {
      return refusal(error)
    }
    // Gateways redirect such a path to the clean one.
    if !content.wasClean { return .passThrough(keepsHost: false) }
    if asksForServiceWorker(request, text), !content.hasPath, !content.trailingSlash {
      return .refuse(status: 400, .serviceWorker)
    }
    let choice: FormChoice
    do throws(FormChoice.Failure) {
      choice = try FormChoice.choose(request, text)
    } catch {
      return error == .unusual
        ? .passThrough(keepsHost: false) : .refuse(status: 400, .unknownType)
    }
    return place(content, choice, mode: .path, path: path.readable, key: &key)
  }

  private static func place(
    _ content: ContentPath, _ choice: FormChoice, mode: OriginMode, path: RawSpan,
    key: inout ByteBuffer
  ) -> Route {
    let request = ContentRequest(
      namespace: content.namespace, form: choice.form, mode: mode, root: content.root,
      remainder: content.remainder, lastSegment: content.lastSegment,
      isFromAccept: choice.isFromAccept, filename: choice.filename,
      isDownload: choice.isDownload, selection: choice.selection)
    guard request.form.mayBeKept else { return .passThrough(keepsHost: mode != .path) }
    guard let root = content.cid else { return .named(request) }
    CanonicalKey.append(request, root: root, remainder: path.bytes(content.remainder), to: &key)
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

  /// Whether a host is that of a subdomain gateway: `<cid>.ipfs.<name>` or `<key>.ipns.<name>`.
  static func namesContent(host: RawSpan) -> Bool {
    var start = 0
    var label = 0
    for offset in 0..<host.byteCount where host.byte(offset) == UInt8(ascii: ".") {
      if label > 0 {
        let name = host.extracting(start..<offset)
        if name.equalsIgnoringCase("ipfs") || name.equalsIgnoringCase("ipns") { return true }
      }
      label += 1
      start = offset + 1
    }
    return false
  }
}
