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
    let whole = text.withReadable { $0.bytes(self.target).array }
    var target = Self.pathOnly(whole)
    guard let asked else { return target }
    if asked.mode == .path, let content = contentRoot {
      target = Self.path(of: content, asked) + rest(of: target, asked)
    }
    addForm(asked, to: &target)
    return target
  }

  /// The same for somebody who does not know the client's host, where that stands for content: by its path; nil
  /// where all know the host, or its content is not known.
  var strangerTarget: [UInt8]? {
    guard keepsHost, let asked, let content = contentRoot else { return nil }
    var rest = ByteBuffer(capacity: 256)
    path.withReadable { PercentCoding.append(path: $0.bytes(asked.remainder), to: &rest) }
    var target = Self.path(of: content, asked) + rest.readable.array
    addForm(asked, to: &target)
    return target
  }

  private static func path(of content: CID, _ asked: ContentRequest) -> [UInt8] {
    let root = asked.form == .car ? content : content.version1
    return Array("/ipfs/\(root)".utf8)
  }

  /// The query that chooses the form.
  private func addForm(_ asked: ContentRequest, to target: inout [UInt8]) {
    var mark = "?"
    if asked.form != .file {
      target += Array("?format=\(asked.form.name)".utf8)
      mark = "&"
    }
    if asked.hasForeignExtension {
      // Any name of this extension has its type.
      let given = text.withReadable { asked.foreignExtension(in: $0) }
      let name = given.count > 1 ? given : []
      var escaped = ByteBuffer(capacity: 128)
      PercentCoding.append(path: (Array("file".utf8) + name).rawBytes, to: &escaped)
      target += Array("\(mark)filename=".utf8) + escaped.readable.array
    }
    if asked.form == .car { asked.selection.appendQuery(to: &target) }
  }

  /// A target's path; `/` where it has none, as an absolute-form may (RFC 9112, 3.2.2).
  static func pathOnly(_ target: [UInt8]) -> [UInt8] {
    let path = Array(target.prefix { $0 != UInt8(ascii: "?") })
    return path.isEmpty ? [UInt8(ascii: "/")] : path
  }

  /// The path below the root, as it was sent, or escaped anew where the root itself was escaped.
  private func rest(of target: [UInt8], _ asked: ContentRequest) -> [UInt8] {
    let written = path.withReadable { $0.extracting(0..<asked.root.end).array }
    if target.starts(with: written) { return Array(target[written.count...]) }
    var rest = ByteBuffer(capacity: 256)
    path.withReadable { PercentCoding.append(path: $0.bytes(asked.remainder), to: &rest) }
    return rest.readable.array
  }

  /// The root of what is asked for: the CID in the path, or what the name there leads to.
  var contentRoot: CID? { naming?.root ?? requestedCID }
}
