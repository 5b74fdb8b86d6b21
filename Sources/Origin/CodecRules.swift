internal import Base
internal import HTTP
internal import IPFS

/// Blocks that are documents by themselves: dag-json, dag-cbor, json, cbor.
extension OriginRules {
  func codec(_ inquiry: Inquiry, _ found: ResolvedPath) throws(Rejection) -> OriginAnswer {
    let cid = found.target
    let kind = inquiry.format.kind
    let native = ContentFormat.Kind(codec: cid.codec)
    let shown = kind == .file ? native ?? .file : kind
    let etag = Inquiry.etag(cid, shown)
    let isPage = kind == .file && isShownAsPage(inquiry.request, cid.codec)
    if inquiry.matchesNone([etag, DirectoryPage.etag(cid), DAGPage.etag(cid)]) {
      return isPage
        ? inquiry.notModified(DAGPage.etag(cid), nil, found)
        : inquiry.notModified(etag, inquiry.lifetime.content, found)
    }
    let block = try block(cid)
    guard found.remainder.isEmpty else {
      let rest = found.remainder.map { String(decoding: $0, as: UTF8.self) }
      throw Rejection(
        501,
        "\(rest.joined(separator: "/")) of /ipfs/\(cid) could not be returned: reading IPLD Kinds other "
          + "than Links (CBOR Tag 42) is not implemented: try reading /ipfs/\(cid) instead")
    }
    if isPage {
      try rejectMissingSlash(inquiry)
      return page(inquiry, block, found)
    }
    let body: [UInt8]
    if let native, Self.isServed(native, as: shown) {
      body = block
    } else if convertsCodecs, let converted = try converted(block, cid, to: shown) {
      body = converted
    } else {
      throw Rejection(
        406,
        "the block \(cid) cannot be had as \(shown.mediaType): ask for ?format=raw and convert it")
    }
    try checkRange(inquiry)
    var answer = try answer(
      inquiry,
      Representation(
        source: .bytes(body), size: Int64(body.count), etag: etag, type: shown.mediaType,
        isBlock: true), found)
    attach(inquiry, shown, to: &answer, cid)
    return answer
  }

  private func attach(
    _ inquiry: Inquiry, _ shown: ContentFormat.Kind, to answer: inout OriginAnswer, _ cid: CID
  ) {
    // Browsers can show JSON.
    let isText = shown == .json || shown == .dagJSON
    attach(inquiry, "\(cid).\(isText ? "json" : "cbor")", inline: isText, to: &answer)
  }

  /// Whether a block is what a format asks for, without conversion; the plain forms take their DAG kin.
  private static func isServed(
    _ native: ContentFormat.Kind, as shown: ContentFormat.Kind
  ) -> Bool {
    native == shown || (native == .dagJSON && shown == .json)
      || (native == .dagCBOR && shown == .cbor)
  }

  /// A block in another codec of the IPLD data model; nil where that is no pair to convert.
  private func converted(
    _ block: [UInt8], _ cid: CID, to kind: ContentFormat.Kind
  ) throws(Rejection) -> [UInt8]? {
    let target: ContentCodec
    switch kind {
    case .dagJSON, .json: target = .dagJSON
    case .dagCBOR, .cbor: target = .dagCBOR
    case .file, .raw, .car, .tar, .ipnsRecord: return nil
    }
    var output = ByteBuffer(capacity: 2 * block.count + 64)
    do throws(DAGError) {
      try DAGConversion.append(block.rawBytes, from: cid.codec, to: target, to: &output)
    } catch {
      if case .unsupportedCodec = error { return nil }
      throw Rejection(500, "the block \(cid) cannot be converted: \(error.sentence)")
    }
    return output.readable.array
  }

  private func isShownAsPage(_ request: OriginRequest, _ codec: ContentCodec) -> Bool {
    (codec == .dagCBOR || codec == .dagJSON) && request.acceptsHTML && !request.isDownload
  }

  private func page(
    _ inquiry: Inquiry, _ block: [UInt8], _ found: ResolvedPath
  ) -> OriginAnswer {
    let page = DAGPage.html(path: inquiry.path.text, found.target, block)
    var answer = OriginAnswer(200, .bytes(page))
    answer.add(.contentType, "text/html")
    answer.add(.xContentTypeOptions, "nosniff")
    answer.add(.etag, DAGPage.etag(found.target))
    answer.add(.xIpfsRoots, found.roots)
    return answer
  }
}
