internal import Base
internal import HTTP
internal import IPFS

/// A request's path below `/ipfs`, decoded.
struct RequestedPath {
  let root: CID
  let segments: [[UInt8]]
  let trailingSlash: Bool
  /// The whole path, decoded and cleaned, with the root in the client's own spelling.
  let text: [UInt8]

  /// What the content would be saved as: the last segment; empty for a bare CID.
  var name: [UInt8] { segments.last ?? [] }

  init(_ request: OriginRequest) throws(Rejection) {
    var decoded = ByteBuffer(capacity: request.path.count + 16)
    let path: ContentPath
    do throws(ContentPathError) {
      path = try ContentPath.parse(request.path.rawBytes, decoded: &decoded)
    } catch {
      throw Self.rejection(error, request)
    }
    guard path.namespace == .ipfs, let cid = path.cid else {
      throw Rejection(501, "this origin serves /ipfs only")
    }
    root = cid
    trailingSlash = path.trailingSlash
    text = decoded.readable.array
    var segments: [[UInt8]] = []
    var offset = Int(path.remainder.start)
    while let segment = path.segment(at: offset, decoded: decoded.readable) {
      segments.append(decoded.readable.bytes(segment).array)
      offset = segment.end
    }
    self.segments = segments
  }

  private static func rejection(_ error: ContentPathError, _ request: OriginRequest) -> Rejection {
    switch error {
    case .notContent: return Rejection(404, error.sentence)
    case .repeatedNamespace:
      // "/ipfs/ipfs/…" and "/ipfs/ipns/…": the path without its first segment, where that is plain.
      guard request.path.starts(with: "/ipfs/ip".utf8) else {
        return Rejection(400, error.sentence)
      }
      var rejection = Rejection(301, "the path names a namespace twice")
      rejection.fields = [
        (.location, request.target(path: Array(request.path.dropFirst(5))))
      ]
      return rejection
    default: return Rejection(400, error.sentence)
    }
  }
}

extension OriginRequest {
  /// A path with this request's query.
  func target(path: [UInt8]) -> String {
    let bytes = query.isEmpty ? path : path + [UInt8(ascii: "?")] + query
    return String(decoding: bytes, as: UTF8.self)
  }
}
