internal import Base
internal import HTTP
internal import IPFS

/// The verifiable formats: single blocks and CARs.
extension OriginRules {
  /// What a path came to, as far as a CAR can tell it.
  enum PathOutcome {
    case found([CID])
    /// The last one has no link of the name that comes next.
    case absentBelow([CID])
  }

  func raw(_ request: OriginRequest, _ resolved: [CID]) throws(Rejection) -> OriginAnswer {
    let cid = resolved[resolved.count - 1]
    let etag = "\"\(cid).raw\""
    if matchesNone(request, [etag]) { return notModified(etag, Self.immutable, resolved) }
    let block = try block(cid)
    var answer = try answer(
      request,
      Representation(
        source: .bytes(block), size: Int64(block.count), etag: etag, roots: resolved,
        type: "application/vnd.ipld.raw"))
    attach(request, "\(cid).bin", to: &answer)
    return answer
  }

  func car(
    _ request: OriginRequest, _ path: RequestedPath, _ format: ContentFormat,
    _ outcome: PathOutcome
  ) throws(Rejection) -> OriginAnswer {
    let parameters = try CARParameters(request, format)
    let etag = carEtag(path, parameters)
    let walk: CARWalk
    var known: [CID] = []
    switch outcome {
    case .absentBelow(let resolved):
      walk = CARWalk(reader, absentBelow: resolved, parameters)
    case .found(let resolved):
      known = resolved
      if matchesNone(request, [etag]) { return notModified(etag, Self.immutable, resolved) }
      let range = try entityRange(resolved[resolved.count - 1], parameters)
      walk = CARWalk(reader, resolved: resolved, parameters, range: range)
    }
    var answer = OriginAnswer(200, .car(walk))
    answer.add(.contentType, parameters.contentType)
    answer.add(.etag, etag)
    answer.add(.cacheControl, Self.immutable)
    answer.add(.acceptRanges, "none")
    if !known.isEmpty { answer.add(.xIpfsRoots, Self.roots(known)) }
    let last = path.segments.last.map { "_" + String(decoding: $0, as: UTF8.self) } ?? ""
    attach(request, "\(path.root)\(last).car", to: &answer)
    if format.fromAccept {
      answer.add(.contentLocation, location(request, .car, told(request, format)))
    }
    return answer
  }

  /// The parameters of Accept that the URL does not override, by their names in a URL.
  private func told(
    _ request: OriginRequest, _ format: ContentFormat
  ) -> [(name: String, value: String)] {
    let names: [(StaticString, String)] = [
      ("car-version", "version"), ("car-order", "order"), ("car-dups", "dups"),
    ]
    return names.compactMap { inURL, inAccept in
      guard request.parameter(inURL) == nil else { return nil }
      return format.parameters.first { $0.name == inAccept }.map { ("\(inURL)", $0.value) }
    }
  }

  /// The target's first block must be there, or there is nothing to answer with; its part of the file.
  private func entityRange(
    _ target: CID, _ parameters: CARParameters
  ) throws(Rejection) -> Range<Int64>? {
    guard parameters.scope == .entity, target.codec == .raw || target.codec == .dagPB else {
      _ = try block(target)
      if parameters.scope == .all, target.codec != .raw, target.codec != .dagPB {
        throw Rejection(501, "this origin walks dag-pb only; ask for dag-scope=block")
      }
      return nil
    }
    guard case .file(let size) = try entity(target) else { return nil }
    return parameters.entityBytes?.resolve(size: size)
  }

  private func block(_ cid: CID) throws(Rejection) -> [UInt8] {
    do throws(BlockFailure) {
      return try reader.block(cid)
    } catch {
      throw Self.rejection(.block(error))
    }
  }

  private func carEtag(_ path: RequestedPath, _ parameters: CARParameters) -> String {
    var key = ByteBuffer(capacity: 256)
    path.root.appendKey(to: &key)
    for segment in path.segments {
      key.append(UInt8(ascii: "/"))
      key.append(segment)
    }
    key.append(0)
    key.append(parameters.identity)
    let hash = SipHash.hash128(key.readable, key: SipKey(first: 0, second: 0)).first
    return "W/\"\(path.root).car.\(String(hash, radix: 32))\""
  }

  /// The fields of what a browser is to save, and never to show.
  private func attach(_ request: OriginRequest, _ name: String, to answer: inout OriginAnswer) {
    let named = request.parameter("filename").flatMap { $0.isEmpty ? nil : $0 }
    answer.add(.contentDisposition, Self.disposition(attached: true, named ?? Array(name.utf8)))
    answer.add(.xContentTypeOptions, "nosniff")
  }
}
