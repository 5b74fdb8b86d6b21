internal import Base
internal import CXXHash
internal import HTTP
internal import IPFS

/// The verifiable formats: single blocks and CARs.
extension OriginRules {
  func raw(_ inquiry: Inquiry, _ found: ResolvedPath) throws(Rejection) -> OriginAnswer {
    let cid = found.target
    let etag = inquiry.etag(cid)
    if inquiry.matchesNone([etag, DirectoryPage.etag(cid), DAGPage.etag(cid)]) {
      return inquiry.notModified(etag, inquiry.lifetime.content, found)
    }
    let block = try block(cid)
    try checkRange(inquiry)
    var answer = try answer(
      inquiry,
      Representation(
        source: .bytes(block), size: Int64(block.count), etag: etag,
        type: ContentFormat.Kind.raw.mediaType, isBlock: true), found)
    attach(inquiry, "\(cid).bin", to: &answer)
    return answer
  }

  func car(_ inquiry: Inquiry) throws(Rejection) -> OriginAnswer {
    let parameters = try CARParameters(inquiry.request, inquiry.format)
    let content = inquiry.content
    let etag = Self.carEtag(content, parameters)
    // The tag says all of it: no block need be there.
    if inquiry.matchesNone([etag]) {
      return inquiry.notModified(etag, inquiry.lifetime.content, nil)
    }
    let walk: CARWalk
    let roots: String
    do throws(ResolveFailure) {
      let found = try resolver.resolve(content.root, content.segments)
      let range = try entityRange(found.target, parameters)
      walk = CARWalk(reader, found, parameters, range: range)
      roots = found.roots
    } catch {
      guard case .noLink(_, let found) = error else { throw Self.rejection(error) }
      walk = CARWalk(reader, absentBelow: found, parameters)
      roots = "\(content.root)"
    }
    var answer = OriginAnswer(200, .car(walk))
    answer.add(.contentType, parameters.contentType)
    answer.add(.etag, etag)
    if let kept = inquiry.lifetime.content { answer.add(.cacheControl, kept) }
    answer.add(.acceptRanges, "none")
    answer.add(.xIpfsRoots, roots)
    let last = content.segments.last.map { "_" + String(decoding: $0, as: UTF8.self) } ?? ""
    attach(inquiry, "\(content.root)\(last).car", to: &answer)
    return answer
  }

  /// The target's first block must be there, or there is nothing to answer with; its part of the file.
  private func entityRange(
    _ target: CID, _ parameters: CARParameters
  ) throws(ResolveFailure) -> Range<Int64>? {
    do throws(BlockFailure) {
      _ = try reader.block(target)
    } catch {
      throw .block(error)
    }
    guard parameters.scope == .entity, target.codec == .raw || target.codec == .dagPB,
      case .file(let size) = try resolver.entity(target)
    else { return nil }
    return parameters.entityBytes?.resolve(size: size)
  }

  /// The hash is boxo's: XXH64 of the path and of what differs from the defaults, in base 32.
  private static func carEtag(_ content: ImmutablePath, _ parameters: CARParameters) -> String {
    let key = content.text + parameters.identity
    let hash = unsafe key.withUnsafeBytes { unsafe XXH64($0.baseAddress, $0.count, 0) }
    return "W/\"\(content.root).car.\(String(hash, radix: 32))\""
  }
}
