internal import Base
internal import IPFS

/// Addresses that are not the content's own: each leads to the right one.
extension OriginRules {
  /// Refuses a request with `?uri=ipfs://…`, as browsers send it from a registered protocol handler.
  func rejectURI(_ request: OriginRequest) throws(Rejection) {
    guard let uri = request.parameter("uri"), !uri.isEmpty else { return }
    for scheme in ["ipfs", "ipns"] where uri.starts(with: "\(scheme)://".utf8) {
      let rest = uri.dropFirst(scheme.utf8.count + 3)
      let path = rest.prefix { $0 != UInt8(ascii: "?") }
      let query = rest.dropFirst(path.count + 1)
      let segments = Self.clean(path).map { PercentText.encode(path: $0) }
      var location = "/" + ([scheme] + segments).joined(separator: "/")
      if !query.isEmpty { location += "?" + PercentText.encode(segment: query) }
      throw .redirect(301, to: location)
    }
    throw Rejection(400, "uri query parameter scheme must be ipfs or ipns")
  }

  /// A path's segments without empty ones, `.` and `..`.
  private static func clean(_ path: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
    var segments: [ArraySlice<UInt8>] = []
    for segment in path.split(separator: UInt8(ascii: "/")) {
      if segment.elementsEqual("..".utf8) {
        segments = segments.dropLast()
      } else if !segment.elementsEqual(".".utf8) {
        segments.append(segment)
      }
    }
    return segments
  }

  /// The script of a service worker for a root without its slash: its scope would be the whole gateway.
  static func isTooWideForWorker(_ path: [UInt8]) -> Bool {
    guard path.starts(with: "/ipfs/".utf8) || path.starts(with: "/ipns/".utf8) else { return false }
    return path.count > 6 && !path[6...].contains(UInt8(ascii: "/"))
  }

  /// Sends a key below `/ipns` to its spelling in base36, the one that fits into a host.
  func rejectForeignKey(_ request: OriginRequest, _ path: [UInt8]) throws(Rejection) {
    guard path.starts(with: "/ipns/".utf8) else { return }
    let name = path[6...].prefix { $0 != UInt8(ascii: "/") }
    guard let key = PeerKey.parse(Array(name)) else { return }
    let text = PeerKey.text(key)
    guard !name.elementsEqual(text.utf8) else { return }
    let moved = Array("/ipns/\(text)".utf8) + path[name.endIndex...]
    throw .redirect(302, to: request.target(path: moved))
  }

  /// `/ipfs/ipfs/…` and `/ipfs/ipns/…`: the path without its first segment, where that is one.
  func namespaceRedirect(
    _ request: OriginRequest, _ path: [UInt8]
  ) throws(Rejection) -> Rejection {
    let intended = Array(path.dropFirst(5))
    guard path.starts(with: "/ipfs/ip".utf8) else {
      throw Rejection(400, ContentPathError.repeatedNamespace.sentence)
    }
    do throws(ContentPathError) {
      _ = try RequestedPath(intended)
    } catch {
      throw Rejection(400, "invalid ipfs path: \(error.sentence)")
    }
    return .redirect(301, to: request.target(path: intended))
  }

  static func rejection(_ error: ContentPathError, _ path: [UInt8]) -> Rejection {
    let text = String(decoding: path, as: UTF8.self)
    if case .notContent = error { return Rejection(404, error.sentence) }
    return Rejection(400, "invalid path \"\(text)\": \(error.sentence)")
  }
}
