internal import Base
internal import HTTP
internal import IPFS
internal import Router

/// What a gateway answers for a CID of the identity hash, which carries its own bytes: nobody has to be
/// asked for them (gateway digest A1).
struct InlineContent {
  var body: [UInt8]
  var etag: String
  var type: String
  /// The name to save it under, of what is saved rather than shown; empty for none.
  var name = ""
  /// Whether a browser may show it all the same.
  var isShown = false

  /// What gateways say of an empty file, whatever it is called, and of no other.
  static let typeOfNothing: StaticString = "text/plain"

  /// The answer for the CID itself; nil where one depends on more than its bytes: directories, pages, what is
  /// to be converted, files with parts elsewhere or with a time of their own.
  ///
  /// - Parameter path: the content path as asked, decoded.
  static func of(
    _ cid: CID, form: ContentForm, selection: CARSelection = CARSelection(), path: [UInt8] = []
  ) -> InlineContent? {
    let block = cid.digest.array
    switch form {
    case .raw:
      return InlineContent(
        body: block, etag: "\"\(cid).raw\"", type: "\(form.mediaType)", name: "\(cid).bin")
    case .car:
      return selection.isRefused ? nil : car(cid, block, selection.parameters, path)
    case .tar, .ipnsRecord: return nil
    case .file, .json, .cbor, .dagJSON, .dagCBOR:
      if cid.codec == .raw || cid.codec == .dagPB { return file(cid, block, form) }
      return document(cid, block, form)
    }
  }

  private static func file(_ cid: CID, _ block: [UInt8], _ form: ContentForm) -> InlineContent? {
    guard form != .dagJSON, form != .dagCBOR else { return nil }
    var body = block
    if cid.codec == .dagPB {
      guard let (node, unixFS) = try? UnixFSNode.read(block.rawBytes, of: cid),
        node.links.isEmpty, unixFS.modified == nil,
        let file = try? UnixFSFile.read(block.rawBytes, of: cid)
      else { return nil }
      body = block.rawBytes.bytes(file.payload).array
    }
    let type = body.isEmpty ? "\(typeOfNothing)" : MediaType.sniff(body)
    return InlineContent(body: body, etag: "\"\(cid)\"", type: type)
  }

  /// A block that is data by itself, in its own form.
  private static func document(
    _ cid: CID, _ block: [UInt8], _ form: ContentForm
  ) -> InlineContent? {
    let native: ContentForm
    switch cid.codec {
    case .json: native = .json
    case .cbor: native = .cbor
    case .dagJSON: native = .dagJSON
    case .dagCBOR: native = .dagCBOR
    default: return nil
    }
    let shown = form == .file ? native : form
    // The plain forms take their DAG kin.
    guard
      shown == native || shown == .json && native == .dagJSON
        || shown == .cbor && native == .dagCBOR
    else { return nil }
    let isText = native == .json || native == .dagJSON
    return InlineContent(
      body: block, etag: "\"\(cid).\(shown.name)\"", type: "\(shown.mediaType)",
      name: "\(cid).\(isText ? "json" : "cbor")", isShown: isText)
  }

  /// A CAR of nothing but its head: blocks that are in their CIDs do not stand in it.
  private static func car(
    _ cid: CID, _ block: [UInt8], _ parameters: CARParameters, _ path: [UInt8]
  ) -> InlineContent? {
    var hasLinks = false
    do throws(DAGError) {
      try DAGLinks.visit(block.rawBytes, of: cid.codec) { _ in hasLinks = true }
    } catch {
      return nil
    }
    if hasLinks { return nil }
    var body = ByteBuffer(capacity: 256)
    CARWriter.appendHeader(roots: [cid], to: &body)
    var type = ByteBuffer(capacity: 64)
    parameters.appendMediaType(to: &type)
    return InlineContent(
      body: body.readable.array, etag: parameters.etag(root: cid, path: path),
      type: type.readable.text, name: "\(cid).car")
  }
}
