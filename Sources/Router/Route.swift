public import Base
public import HTTP
public import IPFS

/// Where a request belongs.
public enum Route: Sendable {
  /// The gateway's own state.
  case health
  /// CORS preflight and other OPTIONS.
  case options
  /// A file or directory page, kept under the key that was written. The root is a place in the path.
  case content(root: ByteRange)
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

  public var sentence: String {
    switch self {
    case .method: "this gateway answers GET, HEAD and OPTIONS only"
    case .noSuchPath:
      "nothing is served at this path; content is found below /ipfs/{cid} and /ipns/{name}"
    case .path(let error): error.sentence
    }
  }
}

/// Decides where a request belongs, and under which key its answer is kept.
public enum Router {
  /// The first byte of a canonical key: the form of the answer.
  ///
  /// Others come with their formats.
  static let fileForm: UInt8 = 0x66  // f

  /// - Parameters:
  ///   - request: the head; its ranges refer to `text`.
  ///   - path: cleared, then given the decoded path that a `.content` route refers to.
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
    if !request.query.isEmpty, let name = selectingParameter(in: text.bytes(request.query)) {
      if name == .uri || isContent(target) { return .passThrough(keepsHost: false) }
    }
    let content: ContentPath
    do throws(ContentPathError) {
      content = try ContentPath.parse(target, decoded: &path)
    } catch {
      return refusal(error)
    }
    // `/ipns` moves with its record, and a path that gateways redirect is theirs to redirect.
    if content.namespace == .ipns || !content.wasClean || selectsForm(request, text) {
      return .passThrough(keepsHost: false)
    }
    key.append(fileForm)
    path.withReadable { content.appendKey(decoded: $0, to: &key) }
    return .content(root: content.root)
  }

  /// What follows the form in the canonical keys of all content under a root.
  public static func place(of root: CID) -> [UInt8] {
    var place = ByteBuffer(capacity: 64)
    place.append(ContentPath.Namespace.ipfs.rawValue)
    root.appendKey(to: &place)
    return place.withReadable { $0.array }
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
    path.byteCount > 6
      && (path.extracting(0..<6).equals("/ipfs/") || path.extracting(0..<6).equals("/ipns/"))
  }

  private enum Selecting { case uri, other }

  /// The query's parameters that choose another answer than the path alone does.
  private static func selectingParameter(in query: RawSpan) -> Selecting? {
    var found: Selecting?
    var parameters = QueryParameters(query)
    while let parameter = parameters.next() {
      let name = query.bytes(parameter.name)
      if name.equals("uri") { return .uri }
      if name.equals("format") || name.equals("filename") || name.equals("download")
        || name.equals("go-get") || name.equals("dag-scope") || name.equals("entity-bytes")
        || name.equals("car-version") || name.equals("car-order") || name.equals("car-dups")
        // An escaped name may be any of these.
        || (0..<name.byteCount).contains(where: { name.byte($0) == UInt8(ascii: "%") })
      {
        found = .other
      }
    }
    return found
  }

  /// Whether fields ask for another form than the file itself (boxo's choice by Accept), or for what
  /// only the upstream can answer.
  private static func selectsForm(_ request: RequestHead, _ text: RawSpan) -> Bool {
    for field in request.fields {
      switch field.token {
      case .serviceWorker: return true
      case .accept: if selectsForm(accept: text.bytes(field.value)) { return true }
      default: continue
      }
    }
    return false
  }

  /// Whether an Accept value names a type that a gateway answers in its own form.
  static func selectsForm(accept: RawSpan) -> Bool {
    var start = 0
    while start < accept.byteCount {
      while start < accept.byteCount,
        accept.byte(start) == UInt8(ascii: " ") || accept.byte(start) == UInt8(ascii: ",")
          || accept.byte(start) == 0x09
      {
        start += 1
      }
      let entry = accept.extracting(start..<accept.byteCount)
      if entry.hasPrefixIgnoringCase("application/vnd.ipld")
        || entry.hasPrefixIgnoringCase("application/vnd.ipfs")
        || entry.hasPrefixIgnoringCase("application/x-tar")
        || entry.hasPrefixIgnoringCase("application/json")
        || entry.hasPrefixIgnoringCase("application/cbor")
      {
        return true
      }
      while start < accept.byteCount, accept.byte(start) != UInt8(ascii: ",") { start += 1 }
    }
    return false
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
