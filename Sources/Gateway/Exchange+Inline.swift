internal import Base
internal import Cache
internal import HTTP
internal import IPFS
internal import Router
internal import Server

/// Answers that follow from the request alone: neither cache nor upstream has a part in them.
extension Exchange {
  /// Answers where the CID itself says everything; false where it does not.
  func answerWithoutContent(_ asked: ContentRequest) -> Bool {
    if asked.form == .raw, asked.remainder.isEmpty, !conditions.ifNoneMatch.isEmpty,
      conditions.ifMatch.isEmpty, answerKnownBlock()
    {
      return true
    }
    guard asked.isIdentity, asked.remainder.isEmpty, let cid = requestedCID else { return false }
    return answerInline(asked, cid)
  }

  /// A block's Etag can be read from its address: a client that names it has what it asks for, and no
  /// store need be looked into (gateway digest A3).
  private func answerKnownBlock() -> Bool {
    guard let stream, let cid = requestedCID else { return false }
    let etag = Array("\"\(cid).raw\"".utf8)
    let known = text.withReadable { text in
      let list = text.bytes(conditions.ifNoneMatch)
      // `*` asks whether there is anything at all, which the address does not tell.
      return !list.equals("*") && Etag.weakMatch(list: list, etag: etag.rawBytes)
    }
    guard known else { return false }
    outcome = .none
    writeKeptHead(
      KeptHead(etag: etag.rawBytes, contentType: [UInt8]().rawBytes, total: 0, age: 0),
      .notModified, on: stream
    ) { $0.field(named: "X-Ipfs-Roots", text: "\(cid)") }
    finish()
    return true
  }

  /// A CID of the identity hash carries its own bytes.
  private func answerInline(_ asked: ContentRequest, _ cid: CID) -> Bool {
    let bytes = cid.digest.array
    var body = bytes
    var etag = "\"\(cid)\""
    var type = Array("application/octet-stream".utf8)
    var disposition = ""
    switch asked.form {
    case .raw:
      etag = "\"\(cid).raw\""
      type = Array("application/vnd.ipld.raw".utf8)
      disposition = "\(cid).bin"
    case .file where cid.codec == .raw && bytes.isEmpty:
      // What there is to look at says nothing of a type; gateways call it text.
      type = Array("text/plain".utf8)
    default:
      // Its type is found in its bytes, or they are to be converted: a gateway knows how.
      return false
    }
    guard let stream else { return true }
    let wish = wish(etag: Array(etag.utf8).rawBytes, total: Int64(body.count))
    if case .part(let part) = wish {
      body = Array(body[Int(part.lowerBound)..<Int(part.upperBound)])
    }
    let etagBytes = Array(etag.utf8)
    writeKeptHead(
      KeptHead(
        etag: etagBytes.rawBytes, contentType: type.rawBytes, total: Int64(bytes.count), age: 0),
      wish, on: stream
    ) { stream in
      stream.field(named: "X-Ipfs-Roots", text: "\(cid)")
      guard !disposition.isEmpty else { return }
      stream.field(.xContentTypeOptions, "nosniff")
      var value = ByteBuffer(capacity: 128)
      ContentDisposition.append(.attachment, name: Array(disposition.utf8), to: &value)
      writeKeptField(Array("Content-Disposition".utf8).rawBytes, value.readable, on: stream)
    }
    switch wish {
    case .whole, .part: if method != .head { stream.fill(body.rawBytes) }
    default: break
    }
    finish()
    return true
  }

  /// Asks for a page about content that is kept as data.
  func askForView() {
    leaveFill()
    reason = NotStored.generated.name
    passThrough()
  }
}
