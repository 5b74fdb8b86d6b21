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
    // What a gateway makes of an extension only it knows.
    if asked.hasForeignExtension { return false }
    let path = path.withReadable { $0.array }
    guard
      let content = InlineContent.of(
        cid, form: asked.form, selection: asked.selection, path: path), let stream
    else { return false }
    let etag = Array(content.etag.utf8)
    if acceptsHTML, hasView(etag: etag.rawBytes) { return false }
    let wish = wish(etag: etag.rawBytes, total: Int64(content.body.count))
    let type = Array(content.type.utf8)
    writeKeptHead(
      KeptHead(
        etag: etag.rawBytes, contentType: type.rawBytes, total: Int64(content.body.count), age: 0),
      wish, on: stream
    ) { stream in
      let roots = Array("\(cid)".utf8)
      writeKeptField(Array("X-Ipfs-Roots".utf8).rawBytes, roots.rawBytes, on: stream)
      if !content.name.isEmpty { writeName(of: content, on: stream) }
    }
    if method != .head {
      switch wish {
      case .whole: stream.fill(content.body.rawBytes)
      case .part(let part):
        stream.fill(Array(content.body[Int(part.lowerBound)..<Int(part.upperBound)]).rawBytes)
      default: break
      }
    }
    finish()
    return true
  }

  private func writeName(of content: InlineContent, on stream: ClientStream) {
    var value = ByteBuffer(capacity: 128)
    ContentDisposition.append(
      content.isShown ? .inline : .attachment, name: Array(content.name.utf8), to: &value)
    writeKeptField(Array("Content-Disposition".utf8).rawBytes, value.readable, on: stream)
    writeKeptField(
      Array("X-Content-Type-Options".utf8).rawBytes, Array("nosniff".utf8).rawBytes, on: stream)
  }

  /// Asks for a page about content that is kept as data.
  func askForView() {
    leaveFill()
    reason = NotStored.generated.name
    passThrough()
  }
}
