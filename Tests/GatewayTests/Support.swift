import Base
import Cache
import HTTP
import HTTP1
import IPFS
import Router

@testable import Gateway

let rootText = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"

func cid(_ text: String) throws -> CID { try CID.parse(Array(text.utf8).rawBytes) }

/// What a path gateway is asked for by a target; nil where it is no content.
func contentRequest(_ target: String, accept: String? = nil) throws -> ContentRequest? {
  let field = accept.map { "Accept: \($0)\r\n" } ?? ""
  let wire = Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\(field)\r\n".utf8)
  var parser = RequestParser()
  var head = RequestHead()
  guard case .complete = parser.parse(wire.rawBytes, into: &head) else {
    throw Refusal(400, "unparsed")
  }
  var path = ByteBuffer(capacity: 64)
  var key = ByteBuffer(capacity: 64)
  switch Router.route(head, text: wire.rawBytes, path: &path, key: &key) {
  case .content(let asked), .named(let asked): return asked
  default: return nil
  }
}

/// The raw-codec CID with another one's digest.
func raw(_ other: CID) throws -> CID {
  try CID(codec: .raw, hash: other.hash, digest: other.digest)
}

/// An upstream's answer as it is parsed from the wire.
struct UpstreamAnswer {
  let head: ResponseHead
  let text: [UInt8]

  init(_ fields: [String], status: Int = 200) throws {
    let wire = (["HTTP/1.1 \(status) X"] + fields).map { $0 + "\r\n" }.joined() + "\r\n"
    let bytes = Array(wire.utf8)
    var parser = ResponseParser()
    var parsed = ResponseHead()
    switch parser.parse(bytes.rawBytes, into: &parsed) {
    case .complete: break
    case .needMore: throw Refusal(502, "incomplete")
    case .refused(let refusal): throw refusal
    }
    text = bytes
    head = parsed
  }

  /// What the policy says: `keep`, `keep <cid>` where it can be hashed, or why not.
  func verdict(root: CID, form: ContentForm = .file) -> String {
    let content = FillContent(root: root, form: form)
    return switch AnswerPolicy.judge(head, text: text.rawBytes, content: content) {
    case .collect: "collect"
    case .keep(let subject): subject.map { "keep \($0)" } ?? "keep"
    case .pass(let why): "\(why.name)"
    }
  }

  func answerHead(keeps: Bool) -> AnswerHead {
    AnswerPolicy.answerHead(
      head, text: text.rawBytes, keeps: keeps, created: 7, server: "node")
  }
}

extension AnswerHead {
  var lines: [String] {
    fields.map {
      "\(String(decoding: $0.name, as: UTF8.self)): \(String(decoding: $0.value, as: UTF8.self))"
    }
  }
}
