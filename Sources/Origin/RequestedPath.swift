internal import Base
internal import IPFS

/// A path below `/ipfs` or `/ipns`, decoded.
struct RequestedPath: Sendable {
  enum Root: Sendable {
    case content(CID)
    /// A key or a DNS name, as it was written.
    case name([UInt8])
  }

  let root: Root
  let segments: [[UInt8]]
  let trailingSlash: Bool
  /// The whole path, decoded and cleaned, with the root in the client's own spelling.
  let text: [UInt8]

  /// What the content would be saved as: the last segment; empty for a bare root.
  var name: [UInt8] { segments.last ?? [] }

  init(_ path: [UInt8]) throws(ContentPathError) {
    var decoded = ByteBuffer(capacity: path.count + 16)
    let parsed = try ContentPath.parse(path.rawBytes, decoded: &decoded)
    if let cid = parsed.cid {
      root = .content(cid)
    } else {
      root = .name(decoded.readable.bytes(parsed.root).array)
    }
    trailingSlash = parsed.trailingSlash
    text = decoded.readable.array
    var segments: [[UInt8]] = []
    var offset = Int(parsed.remainder.start)
    while let segment = parsed.segment(at: offset, decoded: decoded.readable) {
      segments.append(decoded.readable.bytes(segment).array)
      offset = segment.end
    }
    self.segments = segments
  }
}
