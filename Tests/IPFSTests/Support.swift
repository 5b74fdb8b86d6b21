import Base
import IPFS

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func parse(_ text: String) throws(CIDError) -> CID {
  try CID.parse(bytes(text))
}

// The functions under test with arrays for spans: a span of a temporary cannot enter a macro's
// expansion.

extension CID {
  init(codec: ContentCodec, hash: HashFunction, digest: [UInt8]) throws(CIDError) {
    try self.init(codec: codec, hash: hash, digest: digest.rawBytes)
  }

  init?(sha256Of content: [UInt8], codec: ContentCodec) {
    self.init(sha256Of: content.rawBytes, codec: codec)
  }

  static func parse(_ text: [UInt8]) throws(CIDError) -> CID { try parse(text.rawBytes) }

  static func parse(binary: [UInt8]) throws(CIDError) -> (cid: CID, count: Int) {
    try parse(binary: binary.rawBytes)
  }

  func verify(_ content: [UInt8]) -> Verdict { verify(content.rawBytes) }
}

extension ContentPath {
  static func parse(
    _ path: [UInt8], decoded: inout ByteBuffer
  ) throws(ContentPathError) -> ContentPath {
    try parse(path.rawBytes, decoded: &decoded)
  }

  func segment(at offset: Int, decoded: [UInt8]) -> ByteRange? {
    segment(at: offset, decoded: decoded.rawBytes)
  }

  func appendKey(decoded: [UInt8], to key: inout ByteBuffer) {
    appendKey(decoded: decoded.rawBytes, to: &key)
  }
}

extension PBNode {
  static func decode(_ block: [UInt8]) throws(DAGError) -> PBNode { try decode(block.rawBytes) }
}

extension PBLink {
  func cid(in block: [UInt8]) throws(DAGError) -> CID { try cid(in: block.rawBytes) }
}

extension PBEncoder {
  static func appendLink(
    _ cid: CID, name: [UInt8], totalSize: UInt64, to output: inout ByteBuffer
  ) {
    appendLink(cid, name: name.rawBytes, totalSize: totalSize, to: &output)
  }

  static func appendData(_ data: [UInt8], to output: inout ByteBuffer) {
    appendData(data.rawBytes, to: &output)
  }
}

extension UnixFSNode {
  static func decode(_ block: [UInt8], in range: ByteRange) throws(DAGError) -> UnixFSNode {
    try decode(block.rawBytes, in: range)
  }

  static func read(
    _ block: [UInt8], of cid: CID
  ) throws(DAGError) -> (node: PBNode, unixFS: UnixFSNode) {
    try read(block.rawBytes, of: cid)
  }
}

extension UnixFSEncoder {
  static func appendFile(data: [UInt8], blockSizes: [Int64], to output: inout ByteBuffer) {
    appendFile(data: data.rawBytes, blockSizes: blockSizes, to: &output)
  }
}

extension UnixFSFile {
  static func read(_ block: [UInt8], of cid: CID) throws(DAGError) -> UnixFSFile {
    try read(block.rawBytes, of: cid)
  }
}

extension UnixFSDirectory {
  static func find(
    _ name: [UInt8], in block: [UInt8], of cid: CID
  ) throws(DAGError) -> PBLink? {
    try find(name.rawBytes, in: block.rawBytes, of: cid)
  }

  static func entries(of block: [UInt8], cid: CID) throws(DAGError) -> [PBLink] {
    try entries(of: block.rawBytes, cid: cid)
  }
}

extension FileWalk {
  mutating func supply(_ block: [UInt8]) throws(DAGError) -> Piece { try supply(block.rawBytes) }
}

extension CARReader {
  mutating func feed(_ bytes: [UInt8]) { feed(bytes.rawBytes) }
}

extension CARWriter {
  static func appendBlock(_ cid: CID, _ payload: [UInt8], to output: inout ByteBuffer) {
    appendBlock(cid, payload.rawBytes, to: &output)
  }
}

/// What a function appends to a fresh buffer.
func appended(_ body: (inout ByteBuffer) -> Void) -> [UInt8] {
  var buffer = ByteBuffer(capacity: 64)
  body(&buffer)
  return buffer.readable.array
}

func key(_ cid: CID) -> [UInt8] { appended { cid.appendKey(to: &$0) } }
func binary(_ cid: CID) -> [UInt8] { appended { cid.appendBinary(to: &$0) } }

extension Array where Element == UInt8 {
  var text: String { rawBytes.text }
  func text(_ range: ByteRange) -> String { rawBytes.bytes(range).text }
  func part(_ range: ByteRange) -> [UInt8] { rawBytes.bytes(range).array }

  init(hex: String) {
    let digits = hex.utf8.compactMap(\.hexValue)
    self = stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }
}

extension SeededRandom {
  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) }
  }

  /// The bytes with one to four changes: a flip, a removal, an insertion, a cut or a doubled run.
  mutating func mutated(_ original: [UInt8]) -> [UInt8] {
    var changed = original
    for _ in 0..<number(in: 1...4) {
      guard !changed.isEmpty else { return [UInt8(truncatingIfNeeded: next())] }
      let place = number(in: 0...changed.count - 1)
      switch number(in: 0...5) {
      case 0: changed[place] ^= 1 << UInt8(number(in: 0...7))
      case 1: changed.remove(at: place)
      case 2: changed.insert(UInt8(truncatingIfNeeded: next()), at: place)
      case 3: changed.removeLast(changed.count - place)
      case 4: changed[place] = [0x00, 0x7f, 0x80, 0xff][number(in: 0...3)]
      default:
        changed.insert(contentsOf: changed[place..<min(place + 9, changed.count)], at: place)
      }
    }
    return changed
  }
}

/// Builds files of small blocks, as a Kubo node would but with tiny chunks and few links a node.
struct FileBuilder {
  var blocks: [CID: [UInt8]] = [:]
  var rawLeaves = true
  var width = 3

  mutating func add(_ content: [UInt8], codec: ContentCodec) -> CID {
    guard let cid = CID(sha256Of: content, codec: codec) else {
      preconditionFailure("SHA-256 is missing")
    }
    blocks[cid] = content
    return cid
  }

  mutating func leaf(_ content: [UInt8]) -> CID {
    rawLeaves ? add(content, codec: .raw) : node(own: content, children: [])
  }

  /// A file node with own bytes, then children of the sizes that are said of them.
  mutating func node(own: [UInt8], children: [(cid: CID, size: Int64)]) -> CID {
    let message = appended {
      UnixFSEncoder.appendFile(data: own, blockSizes: children.map(\.size), to: &$0)
    }
    let block = appended { output in
      for child in children {
        PBEncoder.appendLink(
          child.cid, name: [], totalSize: UInt64(child.size), to: &output)
      }
      PBEncoder.appendData(message, to: &output)
    }
    return add(block, codec: .dagPB)
  }

  mutating func directory(_ entries: [(name: String, cid: CID)]) -> CID {
    let message = appended { UnixFSEncoder.appendDirectory(to: &$0) }
    let block = appended { output in
      for entry in entries {
        PBEncoder.appendLink(
          entry.cid, name: bytes(entry.name), totalSize: 1, to: &output)
      }
      PBEncoder.appendData(message, to: &output)
    }
    return add(block, codec: .dagPB)
  }

  /// A balanced tree; inner nodes may carry some bytes of their own.
  mutating func file(_ content: [UInt8], chunk: Int, own: Int = 0) -> CID {
    var level: [(cid: CID, size: Int64)] = []
    var start = 0
    repeat {
      let end = min(start + chunk, content.count)
      level.append((leaf(Array(content[start..<end])), Int64(end - start)))
      start = end
    } while start < content.count
    while level.count > 1 {
      level = stride(from: 0, to: level.count, by: width).map { first in
        let children = Array(level[first..<min(first + width, level.count)])
        return (node(own: [], children: children), children.reduce(0) { $0 + $1.size })
      }
    }
    return level[0].cid
  }

  func car(roots: [CID]) -> [UInt8] {
    appended { output in
      CARWriter.appendHeader(roots: roots, to: &output)
      for (cid, block) in blocks.sorted(by: { "\($0.key)" < "\($1.key)" }) {
        CARWriter.appendBlock(cid, block, to: &output)
      }
    }
  }
}
