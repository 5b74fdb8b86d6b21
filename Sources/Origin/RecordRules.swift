internal import HTTP

/// IPNS records as they are.
extension OriginRules {
  func record(
    _ request: OriginRequest, _ path: RequestedPath, _ now: Int64
  ) throws(Rejection) -> OriginAnswer {
    guard case .name(let name) = path.root else {
      throw Rejection(400, "an IPNS record exists below /ipns only")
    }
    guard path.segments.isEmpty else { throw Rejection(400, "cannot find ipns key for subpath") }
    guard PeerKey.parse(name) != nil else {
      throw Rejection(400, "an IPNS record exists for a key only")
    }
    throw Rejection(500, "no record")
  }
}
