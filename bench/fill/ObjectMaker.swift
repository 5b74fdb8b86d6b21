import Base
import Cache
import HTTP
import HTTP1
import IPFS
import Router

/// Makes the bench's objects: bytes that follow from a number, their CID, and what the index keeps.
struct ObjectMaker {
  private let seed: UInt64
  private let sizes: ClosedRange<Int>

  struct Object {
    var body: [UInt8]
    /// What a client asks for.
    var path: [UInt8]
    /// What the gateway looks up for that path.
    var key: [UInt8]
    /// The answer of a node to it, as far as it is kept.
    var head: AnswerHead
  }

  init(seed: UInt64, sizes: ClosedRange<Int>) {
    self.seed = seed
    self.sizes = sizes
  }

  /// The object of a number; nil where it cannot be named or the gateway would not keep it.
  func object(_ number: Int, created: Int64) -> Object? {
    var random = SeededRandom(seed: seed &* 0x1_0000_0000 &+ UInt64(number))
    let size = random.number(in: sizes)
    var body: [UInt8] = []
    body.reserveCapacity(size + 8)
    while body.count < size { unsafe withUnsafeBytes(of: random.next()) { unsafe body += $0 } }
    body.removeLast(body.count - size)
    guard let cid = CID(sha256Of: body.rawBytes, codec: .raw) else { return nil }
    let text = Array(cid.description.utf8)
    let path = Array("/ipfs/".utf8) + text
    guard let key = Self.key(of: path) else { return nil }
    var head = AnswerHead(status: 200, totalBytes: Int64(size), created: created)
    let quote = UInt8(ascii: "\"")
    head.etag = [quote] + text + [quote]
    head.contentType = Array("application/octet-stream".utf8)
    head.fields = [Record.Field(name: Array("X-Ipfs-Roots".utf8), value: text)]
    return Object(body: body, path: path, key: key, head: head)
  }

  /// The canonical key of a path: the gateway's own, by its own way from a request.
  private static func key(of path: [UInt8]) -> [UInt8]? {
    let request = Array("GET ".utf8) + path + Array(" HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
    var parser = RequestParser(limits: HTTP1Limits())
    var head = RequestHead()
    guard case .complete(let count) = parser.parse(request.rawBytes, into: &head) else {
      return nil
    }
    var decoded = ByteBuffer(capacity: 128)
    var key = ByteBuffer(capacity: 128)
    let text = request.rawBytes.extracting(0..<count)
    guard case .content = Router.route(head, text: text, path: &decoded, key: &key) else {
      return nil
    }
    return key.readable.array
  }
}
