internal import Admission
internal import Base
internal import HTTP
internal import IPFS
internal import Router

/// What a denylist says of things as the gateway has them.
extension Denylist {
  /// The denial of a decoded path, `/ipfs/<cid>/…` or `/ipns/<name>/…`; nil for any other.
  func denial(ofPath path: RawSpan) -> DenyFinding? {
    let start = 6  // "/ipfs/"
    let isName = path.hasPrefix("/ipns/")
    guard isName || path.hasPrefix("/ipfs/") else { return nil }
    let end = path.first(UInt8(ascii: "/"), from: start, to: path.byteCount)
    let root = path.extracting(start..<end)
    let rest = path.extracting(end..<path.byteCount)
    if isName { return denial(of: DenyName(root), path: rest) }
    guard let cid = try? CID.parse(root) else { return nil }
    return denial(of: cid, path: rest)
  }

  /// The denial of a request's target and host, of which nothing else has been made.
  func denial(ofTarget target: RawSpan, host: RawSpan) -> DenyFinding? {
    let end = target.first(UInt8(ascii: "?"), from: 0, to: target.byteCount)
    let path = target.extracting(0..<end)
    if let finding = denial(ofEncoded: path) { return finding }
    guard let (namespace, label) = Self.content(ofHost: host) else { return nil }
    var whole = ByteBuffer(capacity: 256)
    whole.append(namespace == .ipfs ? "/ipfs/" as StaticString : "/ipns/")
    whole.append(host.bytes(label))
    whole.append(path)
    return denial(ofEncoded: whole.readable)
  }

  private func denial(ofEncoded path: RawSpan) -> DenyFinding? {
    var decoded = ByteBuffer(capacity: 256)
    guard (try? ContentPath.parse(path, decoded: &decoded)) != nil else { return nil }
    return denial(ofPath: decoded.readable)
  }

  /// What stands before the first label `ipfs` or `ipns` of a host, whoever's it is.
  private static func content(
    ofHost host: RawSpan
  ) -> (namespace: ContentPath.Namespace, label: ByteRange)? {
    var start = 0
    while start < host.byteCount {
      let end = host.first(UInt8(ascii: "."), from: start, to: host.byteCount)
      let label = host.extracting(start..<end)
      if start > 1, end < host.byteCount {
        let before = ByteRange(start: 0, count: start - 1)
        if label.equalsIgnoringCase("ipfs") { return (.ipfs, before) }
        if label.equalsIgnoringCase("ipns") { return (.ipns, before) }
      }
      start = end + 1
    }
    return nil
  }

  /// The denial of what a canonical key names.
  func denial(ofKey key: RawSpan) -> DenyFinding? {
    guard let (root, remainder) = CanonicalKey.content(of: key) else { return nil }
    return denial(of: root, path: key.bytes(remainder))
  }

  /// The denial of what a path leads through: each of its CIDs with what of the path is left there.
  ///
  /// - Parameters:
  ///   - roots: The value of X-Ipfs-Roots, one CID for the root and one for each segment. The root is not asked about.
  ///   - path: The decoded path below the root.
  func denial(ofRoots roots: RawSpan, path: RawSpan) -> DenyFinding? {
    let comma = UInt8(ascii: ",")
    var rests = [path.byteCount]
    for offset in 0..<path.byteCount
    where path.byte(offset) == UInt8(ascii: "/") && offset + 1 < path.byteCount {
      // What is left behind a segment begins with the next one's slash.
      if offset > 0 { rests.insert(offset, at: rests.count - 1) }
    }
    let count = (0..<roots.byteCount).reduce(1) { $0 + (roots.byte($1) == comma ? 1 : 0) }
    let fits = count == rests.count + 1
    var start = 0
    var place = 0
    while start <= roots.byteCount {
      let end = roots.first(comma, from: start, to: roots.byteCount)
      if place > 0, let cid = try? CID.parse(roots.bytes(roots.trimmed(from: start, to: end))) {
        let rest = fits ? path.extracting(rests[place - 1]..<path.byteCount) : RawSpan()
        if let finding = denial(of: cid, path: rest) { return finding }
      }
      place += 1
      start = end + 1
    }
    return nil
  }

  /// The denial of what an Etag names, as gateways write it: a CID, and perhaps a form behind a dot.
  ///
  /// It may be a file that stands for its directory, which is no step of the path. The root is not asked about.
  func denial(ofEtag etag: RawSpan, root: CID?) -> DenyFinding? {
    let start = etag.hasPrefix("W/\"") ? 3 : 1
    guard etag.byteCount > start else { return nil }
    let dot = etag.first(UInt8(ascii: "."), from: start, to: etag.byteCount)
    let end = min(dot, etag.byteCount - 1)
    guard start < end, let cid = try? CID.parse(etag.extracting(start..<end)) else { return nil }
    if let root, root.hash == cid.hash, root.digest.equals(cid.digest) { return nil }
    return denial(of: cid, path: RawSpan())
  }
}
