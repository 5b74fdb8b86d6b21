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
    for (namespace, label) in Self.contents(ofHost: host) {
      var whole = ByteBuffer(capacity: 256)
      whole.append(namespace == .ipfs ? "/ipfs/" as StaticString : "/ipns/")
      whole.append(host.bytes(label))
      whole.append(path)
      if let finding = denial(ofEncoded: whole.readable) { return finding }
    }
    return nil
  }

  /// Hosts of more labels `ipfs` and `ipns` than this are nobody's.
  private static let maximumNamespaces = 32

  private func denial(ofEncoded path: RawSpan) -> DenyFinding? {
    var decoded = ByteBuffer(capacity: 256)
    guard (try? ContentPath.parse(path, decoded: &decoded)) != nil else { return nil }
    return denial(ofPath: decoded.readable)
  }

  /// What stands before each label `ipfs` or `ipns` of a host: which of them is a gateway's depends on whose it is.
  private static func contents(
    ofHost host: RawSpan
  ) -> [(namespace: ContentPath.Namespace, label: ByteRange)] {
    var contents: [(namespace: ContentPath.Namespace, label: ByteRange)] = []
    var start = 0
    while start < host.byteCount, contents.count < maximumNamespaces {
      let end = host.first(UInt8(ascii: "."), from: start, to: host.byteCount)
      let label = host.extracting(start..<end)
      if start > 1, end < host.byteCount {
        let before = ByteRange(start: 0, count: start - 1)
        if label.equalsIgnoringCase("ipfs") { contents.append((.ipfs, before)) }
        if label.equalsIgnoringCase("ipns") { contents.append((.ipns, before)) }
      }
      start = end + 1
    }
    return contents
  }

  /// The denial of what a canonical key names.
  func denial(ofKey key: RawSpan) -> DenyFinding? {
    guard let (root, remainder) = CanonicalKey.content(of: key) else { return nil }
    return denial(of: root, path: key.bytes(remainder))
  }

  /// The denial of what a path leads through: each of its CIDs with what of the path is left there.
  ///
  /// - Parameters:
  ///   - roots: The value of X-Ipfs-Roots, one CID for the root and one for each segment.
  ///   - path: The decoded path below the root. Where it has not as many segments each CID is asked about alone.
  ///   - asksRoot: Whether the root is asked about too: nobody has where a name leads to it.
  func denial(ofRoots roots: RawSpan, path: RawSpan, asksRoot: Bool = false) -> DenyFinding? {
    let comma = UInt8(ascii: ",")
    let segments = Self.segments(path)
    let fits = Self.count(ofRoots: roots) == segments.count + 1
    var start = 0
    var place = 0
    while start <= roots.byteCount {
      let end = roots.first(comma, from: start, to: roots.byteCount)
      if place > 0 || asksRoot,
        let cid = try? CID.parse(roots.bytes(roots.trimmed(from: start, to: end)))
      {
        // What is left of the path at the root, behind its first segment, and so on.
        let left = place < segments.count ? segments[place] : path.byteCount
        let rest = fits ? path.extracting(left..<path.byteCount) : RawSpan()
        if let finding = denial(of: cid, path: rest) { return finding }
      }
      place += 1
      start = end + 1
    }
    return nil
  }

  /// The same for a request of which only the path on its host is known: the root and the path below it may stand in the
  /// path, or the host may name the root.
  ///
  /// - Parameter path: The decoded path. Whichever reading has as many segments as there are roots is the right one.
  func denial(ofRoots roots: RawSpan, hostPath path: RawSpan) -> DenyFinding? {
    var below = path.byteCount
    if path.hasPrefix("/ipfs/") || path.hasPrefix("/ipns/") {
      below = path.first(UInt8(ascii: "/"), from: 6, to: path.byteCount)
    }
    let rest = path.extracting(below..<path.byteCount)
    let isBelow = Self.count(ofRoots: roots) == Self.segments(rest).count + 1
    return denial(ofRoots: roots, path: isBelow ? rest : path, asksRoot: true)
  }

  /// Where each segment's slash stands.
  private static func segments(_ path: RawSpan) -> [Int] {
    let slash = UInt8(ascii: "/")
    return (0..<path.byteCount).filter { offset in
      path.byte(offset) == slash && offset + 1 < path.byteCount && path.byte(offset + 1) != slash
    }
  }

  private static func count(ofRoots roots: RawSpan) -> Int {
    (0..<roots.byteCount).reduce(1) { $0 + (roots.byte($1) == UInt8(ascii: ",") ? 1 : 0) }
  }

  /// The denial of what an Etag names, as gateways write it: a CID, and perhaps a form behind a dot; or a listing's,
  /// `DirIndex-<…>_CID-<cid>`.
  ///
  /// It may be a file that stands for its directory, which is no step of the path. The root is not asked about.
  func denial(ofEtag etag: RawSpan, root: CID?) -> DenyFinding? {
    var start = etag.hasPrefix("W/\"") ? 3 : 1
    guard etag.byteCount > start else { return nil }
    if etag.extracting(start..<etag.byteCount).hasPrefix("DirIndex-") {
      let mark = Array("_CID-".utf8)
      var place = start
      while place + mark.count < etag.byteCount,
        !etag.extracting(place..<place + mark.count).equals(mark.rawBytes)
      { place += 1 }
      start = min(place + mark.count, etag.byteCount)
    }
    let dot = etag.first(UInt8(ascii: "."), from: start, to: etag.byteCount)
    let end = min(dot, etag.byteCount - 1)
    guard start < end, let cid = try? CID.parse(etag.extracting(start..<end)) else { return nil }
    if let root, root.hash == cid.hash, root.digest.equals(cid.digest) { return nil }
    return denial(of: cid, path: RawSpan())
  }
}
