internal import Base
internal import HTTP
internal import IPFS

/// A request for content, as far as it is understood.
struct Inquiry {
  let request: OriginRequest
  let route: HostRoute
  /// What was asked for.
  let path: RequestedPath
  let format: ContentFormat
  /// What that stands for.
  var content: ImmutablePath
  let lifetime: Lifetime
  /// Seconds since 1970.
  let now: Int64

  /// Whether If-None-Match names one of the tags.
  func matchesNone(_ etags: [String]) -> Bool {
    guard let list = request.ifNoneMatch else { return false }
    return etags.contains { etag in
      Etag.weakMatch(list: list.rawBytes, etag: Array(etag.utf8).rawBytes)
    }
  }

  /// The tag that boxo makes of a CID and the format that was asked for.
  func etag(_ cid: CID) -> String {
    switch format.kind {
    case .tar: "W/\"\(cid).x-tar\""
    case .file: Self.etag(cid, ContentFormat.Kind(codec: cid.codec) ?? .file)
    default: Self.etag(cid, format.kind)
    }
  }

  static func etag(_ cid: CID, _ kind: ContentFormat.Kind) -> String {
    kind == .file ? "\"\(cid)\"" : "\"\(cid).\(kind.rawValue)\""
  }

  /// 304, with the fields of the 200 that caches need.
  func notModified(_ etag: String, _ cacheControl: String?, _ found: ResolvedPath?) -> OriginAnswer
  {
    var answer = OriginAnswer(304, .absent)
    answer.add(.etag, etag)
    if let cacheControl { answer.add(.cacheControl, cacheControl) }
    if let found { answer.add(.xIpfsRoots, found.roots) }
    return answer
  }
}

extension ContentCodec {
  /// Whether a block is data by itself, and no part of UnixFS.
  var isDocument: Bool { ContentFormat.Kind(codec: self) != nil }
}
