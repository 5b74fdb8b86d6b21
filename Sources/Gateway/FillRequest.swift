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
  var fields: [(name: StaticString, value: [UInt8])] = []
}

/// What an answer that is to be kept must be an answer for.
struct FillContent {
  var root: CID
  var form: ContentForm
  /// The decoded segments below the root, for a form whose bytes are walked along them.
  var segments: [[UInt8]] = []
  var selection: CARSelection

  /// Upstreams are asked for the root as version 1, and name it so.
  init(
    root: CID, form: ContentForm = .file, segments: [[UInt8]] = [],
    selection: CARSelection = CARSelection()
  ) {
    self.root = root.version1
    self.form = form
    self.segments = segments
    self.selection = selection
  }

  init(_ asked: ContentRequest, root: CID, segments: [[UInt8]] = []) {
    self.init(root: root, form: asked.form, segments: segments, selection: asked.selection)
  }
}

extension Exchange {
  /// What the upstream is asked for: the root in one spelling, so that all answers under a key name it
  /// alike, the rest as the client wrote it, and of the query only what chooses the form.
  var contentTarget: [UInt8] {
    let whole = text.withReadable { $0.bytes(self.target).array }
    var target = Array(whole.prefix { $0 != UInt8(ascii: "?") })
    guard let asked else { return target }
    if asked.mode == .path, let root = requestedCID {
      let written = Array("/ipfs/".utf8) + path.withReadable { $0.bytes(asked.root).array }
      let rest: [UInt8] =
        if target.starts(with: written) {
          Array(target[written.count...])
        } else {
          // The root or the namespace was escaped.
          Self.escaped(path.withReadable { $0.bytes(asked.remainder).array })
        }
      target = Array("/ipfs/\(root.version1)".utf8) + rest
    }
    guard asked.form != .file else { return target }
    target += Array("?format=\(asked.form.name)".utf8)
    if asked.form == .car { asked.selection.appendQuery(to: &target) }
    return target
  }

  /// A decoded path, escaped anew.
  private static func escaped(_ path: [UInt8]) -> [UInt8] {
    var text = ByteBuffer(capacity: path.count * 3)
    for byte in path {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."), UInt8(ascii: "~"), UInt8(ascii: "/"):
        text.append(byte)
      default: PercentCoding.appendEscape(of: byte, to: &text)
      }
    }
    return text.readable.array
  }
}
