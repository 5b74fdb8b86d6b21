internal import Base
internal import HTTP
internal import IPFS
internal import Router

/// What a fill fetches: content by its path, for everybody, or one client's request as it is.
struct FillRequest {
  /// The request target for the upstream.
  var target: [UInt8]
  /// What the answer must belong to; nil for an answer that is passed through.
  var content: FillContent?
  /// For an answer that is passed through: the block that all of it must be; nil where its address does not say so.
  var block: CID?
  /// For an answer that is passed through: what the client may choose.
  var method = Method.get
  /// What Host says where the host names the content.
  var host: [UInt8]?
  /// What a stranger is asked for then; nil where none is.
  var strangerTarget: [UInt8]?
  var fields: [(name: StaticString, value: [UInt8])] = []
  /// Under which key it is remembered if the content cannot be had; nil where it is not.
  var absence: AbsenceSubject?
  /// The region of whoever asked first.
  var region = 0
}

/// What an answer that is to be kept must be an answer for.
struct FillContent {
  var root: CID
  var form: ContentForm
  /// The decoded segments below the root, for a form whose bytes are walked along them.
  var segments: [[UInt8]] = []
  var selection: CARSelection
  /// Whether nothing below the root is asked for.
  var isBare = false

  /// Whether the address alone says what the body must hash to, whatever an upstream's head says of it.
  var isBlock: Bool {
    guard isBare else { return false }
    switch form {
    case .raw: return true
    case .file, .json, .cbor: return root.codec == .raw
    default: return false
    }
  }

  /// The block that the body must be, where the address alone says so.
  var block: CID? { isBlock ? root : nil }

  /// Upstreams are asked for the root as version 1, and name it so; for a CAR, whose header names it too,
  /// as the client wrote it.
  init(
    root: CID, form: ContentForm = .file, segments: [[UInt8]] = [],
    selection: CARSelection = CARSelection()
  ) {
    self.root = form == .car ? root : root.version1
    self.form = form
    self.segments = segments
    self.selection = selection
  }

  init(_ asked: ContentRequest, root: CID, segments: [[UInt8]] = []) {
    self.init(root: root, form: asked.form, segments: segments, selection: asked.selection)
    isBare = asked.remainder.isEmpty
  }
}

extension Exchange {
  /// What the upstream is asked for: the root in one spelling, so that all answers under a key name it
  /// alike, the rest as the client wrote it, and of the query only what chooses the form.
  ///
  /// A name is asked for as what it leads to now, but on a host of its own, which only its own path
  /// makes.
  var contentTarget: [UInt8] {
    var target = ByteBuffer(capacity: 256)
    text.withReadable { appendPath(of: $0.bytes(self.target), to: &target) }
    guard let asked else { return target.readable.array }
    return withForm(of: asked, &target)
  }

  /// The same for somebody who does not know the client's host, where that stands for content: by its path; nil
  /// where all know the host, or its content is not known.
  var strangerTarget: [UInt8]? {
    guard keepsHost, let asked, let content = contentRoot else { return nil }
    var target = ByteBuffer(capacity: 256)
    target.append("/ipfs/")
    (asked.form == .car ? content : content.version1).appendText(to: &target)
    path.withReadable { PercentCoding.append(path: $0.bytes(asked.remainder), to: &target) }
    return withForm(of: asked, &target)
  }

  /// The target with the query that chooses the form.
  private func withForm(of asked: ContentRequest, _ target: inout ByteBuffer) -> [UInt8] {
    var mark: StaticString = "?"
    if asked.form != .file {
      target.append("?format=")
      target.append(asked.form.name)
      mark = "&"
    }
    if asked.hasForeignExtension {
      // Any name of this extension has its type.
      let given = text.withReadable { asked.foreignExtension(in: $0) }
      let name = given.count > 1 ? given : []
      target.append(mark)
      target.append("filename=")
      PercentCoding.append(path: (Array("file".utf8) + name).rawBytes, to: &target)
    }
    var text = target.readable.array
    if asked.form == .car { asked.selection.appendQuery(to: &text) }
    return text
  }

  /// The path of what a client sent; `/` where it has none, as an absolute-form may (RFC 9112, 3.2.2).
  private func appendPath(of whole: RawSpan, to target: inout ByteBuffer) {
    let sent = Self.pathOnly(whole)
    guard let asked, asked.mode == .path, let content = contentRoot else {
      target.append(sent)
      if sent.isEmpty { target.append(UInt8(ascii: "/")) }
      return
    }
    target.append("/ipfs/")
    (asked.form == .car ? content : content.version1).appendText(to: &target)
    // What is below the root goes on as it was sent, or escaped anew where the root itself was escaped.
    path.withReadable { path in
      let written = path.extracting(0..<asked.root.end)
      if sent.byteCount >= written.byteCount,
        sent.extracting(0..<written.byteCount).equals(written)
      {
        target.append(sent.extracting(written.byteCount..<sent.byteCount))
      } else {
        PercentCoding.append(path: path.bytes(asked.remainder), to: &target)
      }
    }
  }

  /// A target without its query.
  @_lifetime(copy target)
  static func pathOnly(_ target: RawSpan) -> RawSpan {
    target.extracting(0..<target.first(UInt8(ascii: "?"), from: 0, to: target.byteCount))
  }

  /// The root of what is asked for: the CID in the path, or what the name there leads to.
  var contentRoot: CID? { naming?.root ?? requestedCID }
}
