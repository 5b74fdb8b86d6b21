internal import Base
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
    let parameters = try parameters(inquiry)
    let content = inquiry.content
    let etag = parameters.etag(root: content.root, path: content.text)
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
      guard case .noLink(_, _, let proof) = error else { throw Self.rejection(error) }
      walk = CARWalk(reader, absentBelow: proof, parameters)
      roots = "\(content.root)"
    }
    var answer = OriginAnswer(200, .car(walk))
    var type = ByteBuffer(capacity: 64)
    parameters.appendMediaType(to: &type)
    answer.add(.contentType, type.readable.text)
    answer.add(.etag, etag)
    if let kept = inquiry.lifetime.content { answer.add(.cacheControl, kept) }
    answer.add(.acceptRanges, "none")
    answer.add(.xIpfsRoots, roots)
    let last = content.segments.last.map { "_" + String(decoding: $0, as: UTF8.self) } ?? ""
    attach(inquiry, "\(content.root)\(last).car", to: &answer)
    return answer
  }

  /// The parameters of the URL, and those of Accept that the URL does not name.
  private func parameters(_ inquiry: Inquiry) throws(Rejection) -> CARParameters {
    var parameters = CARParameters()
    do throws(CARParameterError) {
      for (name, value) in inquiry.format.parameters {
        guard let parameter = CARParameters.Parameter(inAccept: Array(name.utf8).rawBytes),
          inquiry.request.text(Self.inURL(parameter)) == nil
        else { continue }
        try parameters.take(parameter, Array(value.utf8).rawBytes)
      }
      for parameter in [CARParameters.Parameter.scope, .entityBytes, .version, .order, .duplicates]
      {
        guard let value = inquiry.request.parameter(Self.inURL(parameter)) else { continue }
        try parameters.take(parameter, value.rawBytes)
      }
    } catch {
      throw Rejection(400, error.sentence)
    }
    return parameters
  }

  private static func inURL(_ parameter: CARParameters.Parameter) -> StaticString {
    switch parameter {
    case .scope: "dag-scope"
    case .entityBytes: "entity-bytes"
    case .version: "car-version"
    case .order: "car-order"
    case .duplicates: "car-dups"
    }
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
    guard let wanted = parameters.entityBytes, target.codec == .raw || target.codec == .dagPB,
      case .file(let size)? = try? resolver.entity(target)
    else { return nil }
    return wanted.resolve(size: size)
  }
}
