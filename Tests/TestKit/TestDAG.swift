import Base
import Foundation
import IPFS
import Origin

/// Blocks of every kind that a gateway has a rule for, and the CAR file that holds them.
public struct TestDAG {
  /// Something that a directory can name.
  public struct Node: Sendable {
    public var cid: CID
    /// Bytes of all blocks from here down, which links tell.
    public var totalSize: UInt64

    public init(cid: CID, totalSize: UInt64) { (self.cid, self.totalSize) = (cid, totalSize) }
  }

  private var files: UnixFSBuilder
  private var blocks: [(cid: CID, bytes: [UInt8])] = []
  private var known: Set<CID> = []
  /// What the CAR file's header names.
  public var roots: [CID] = []

  /// - Parameter chunkBytes: Files above it are cut, so that a small one can have many blocks.
  public init(chunkBytes: Int = 30_000) { files = UnixFSBuilder(chunkBytes: chunkBytes) }

  /// A file as `ipfs add --cid-version=1` makes it.
  public mutating func file(_ bytes: [UInt8]) throws -> Node {
    let node = try files.addFile(bytes)
    return Node(cid: node.cid, totalSize: node.totalSize)
  }

  /// A block of any codec, by its SHA-256.
  public mutating func block(_ bytes: [UInt8], _ codec: ContentCodec) throws -> Node {
    guard let cid = CID(sha256Of: bytes.rawBytes, codec: codec) else {
      throw TestFailure("no SHA-256")
    }
    if known.insert(cid).inserted { blocks.append((cid, bytes)) }
    return Node(cid: cid, totalSize: UInt64(bytes.count))
  }

  /// The bytes of a block that was added.
  public func bytes(of cid: CID) -> [UInt8]? {
    // Files first: they have just been added where many thousand blocks are made.
    files.blocks.last { $0.cid == cid }?.bytes ?? blocks.last { $0.cid == cid }?.bytes
  }

  /// Adds the blocks of a CAR file, and gives its roots.
  public mutating func add(car: [UInt8]) throws -> (roots: [CID], blocks: [CID]) {
    var reader = CARReader()
    reader.feed(car.rawBytes)
    var roots: [CID] = []
    var found: [CID] = []
    while true {
      switch try reader.next() {
      case .needMore: return (roots, found)
      case .header(let cids): roots = cids
      case .block(let block):
        found.append(block.cid)
        if known.insert(block.cid).inserted { blocks.append((block.cid, reader.payload.array)) }
      }
    }
  }

  /// A directory in one block.
  public mutating func directory(_ entries: [String: Node]) throws -> Node {
    var data = ByteBuffer(capacity: 16)
    UnixFSEncoder.appendDirectory(to: &data)
    let links = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    return try node(links.map { ($0.key, $0.value) }, data: data.readable.array)
  }

  public mutating func symlink(to target: String) throws -> Node {
    var data = ByteBuffer(capacity: 64)
    data.append(0x08)
    data.append(UnixFSNode.Kind.symlink.rawValue)
    data.append(0x12)
    data.append(Self.varint(target.utf8.count))
    data.append(Array(target.utf8))
    return try node([], data: data.readable.array)
  }

  /// A directory in as many blocks as its names' hashes ask for (specs.ipfs.tech/unixfs, HAMT).
  public mutating func shardedDirectory(_ entries: [String: Node]) throws -> Node {
    let entries = entries.map { (hash: Murmur3.hash64($0.key), name: $0.key, node: $0.value) }
    return try shard(entries, depth: 0)
  }

  private mutating func shard(
    _ entries: [(hash: UInt64, name: String, node: Node)], depth: Int
  ) throws -> Node {
    guard depth < 8 else { throw TestFailure("two names with one hash") }
    let shift = 56 - 8 * depth
    let places = Dictionary(grouping: entries) { Int(($0.hash >> shift) & 0xFF) }
    var field = [UInt8](repeating: 0, count: 32)
    var links: [(String, Node)] = []
    for (place, found) in places.sorted(by: { $0.key < $1.key }) {
      field[31 - place / 8] |= 1 << (place % 8)
      let prefix = String(format: "%02X", place)
      if let only = found.first, found.count == 1 {
        links.append((prefix + only.name, only.node))
      } else {
        links.append((prefix, try shard(found, depth: depth + 1)))
      }
    }
    let bits = Array(field.drop { $0 == 0 })
    var data = ByteBuffer(capacity: 64)
    data.append(0x08)
    data.append(UnixFSNode.Kind.hamtShard.rawValue)
    data.append(0x12)
    data.append(Self.varint(bits.count))
    data.append(bits)
    // The hash's code in the multihash table, then the number of places.
    data.append([0x28, 0x22, 0x30, 0x80, 0x02] as [UInt8])
    return try node(links, data: data.readable.array)
  }

  private static func varint(_ number: Int) -> [UInt8] {
    number < 0x80
      ? [UInt8(number)] : [UInt8(number & 0x7F) | 0x80] + varint(number >> 7)
  }

  private mutating func node(_ links: [(String, Node)], data: [UInt8]) throws -> Node {
    var block = ByteBuffer(capacity: 64 + links.count * 64)
    for (name, node) in links {
      PBEncoder.appendLink(
        node.cid, name: Array(name.utf8).rawBytes, totalSize: node.totalSize, to: &block)
    }
    PBEncoder.appendData(data.rawBytes, to: &block)
    var made = try self.block(block.readable.array, .dagPB)
    made.totalSize = links.reduce(made.totalSize) { $0 + $1.1.totalSize }
    return made
  }

  /// All blocks as a CAR file.
  public var car: [UInt8] {
    let all = files.blocks + blocks
    var output = ByteBuffer(capacity: all.reduce(256) { $0 + $1.bytes.count + 64 })
    CARWriter.appendHeader(roots: roots, to: &output)
    for (cid, bytes) in all { CARWriter.appendBlock(cid, bytes.rawBytes, to: &output) }
    return output.readable.array
  }
}

extension CID {
  /// A block that its own CID holds.
  public static func identity(_ bytes: [UInt8], _ codec: ContentCodec = .raw) throws -> CID {
    try CID(codec: codec, hash: .identity, digest: bytes.rawBytes)
  }

  /// The same content as `Qm…`, which there is only for dag-pb blocks by SHA-256.
  public func version0() throws -> CID {
    guard codec == .dagPB, hash == .sha2_256 else { throw TestFailure("\(self) has no version 0") }
    var binary = ByteBuffer(capacity: 64)
    binary.append([0x12, 0x20] as [UInt8])
    binary.append(digest)
    return try CID.parse(binary: binary.readable).cid
  }
}

/// The hash that sharded directories place their names by: the first half of MurmurHash3 x64 128.
enum Murmur3 {
  private static let first: UInt64 = 0x87C3_7B91_1142_53D5
  private static let second: UInt64 = 0x4CF5_AD43_2745_937F

  static func hash64(_ name: String) -> UInt64 {
    let bytes = Array(name.utf8)
    var one: UInt64 = 0
    var two: UInt64 = 0
    var offset = 0
    while bytes.count - offset >= 16 {
      one ^= mixFirst(word(bytes, offset, 8))
      one = (rotated(one, 27) &+ two) &* 5 &+ 0x52DC_E729
      two ^= mixSecond(word(bytes, offset + 8, 8))
      two = (rotated(two, 31) &+ one) &* 5 &+ 0x3849_5AB5
      offset += 16
    }
    let rest = bytes.count - offset
    if rest > 8 { two ^= mixSecond(word(bytes, offset + 8, rest - 8)) }
    if rest > 0 { one ^= mixFirst(word(bytes, offset, min(8, rest))) }
    one ^= UInt64(bytes.count)
    two ^= UInt64(bytes.count)
    one &+= two
    two &+= one
    return finished(one) &+ finished(two)
  }

  private static func mixFirst(_ word: UInt64) -> UInt64 { rotated(word &* first, 31) &* second }
  private static func mixSecond(_ word: UInt64) -> UInt64 { rotated(word &* second, 33) &* first }

  private static func word(_ bytes: [UInt8], _ offset: Int, _ count: Int) -> UInt64 {
    (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << (8 * $1) }
  }

  private static func rotated(_ word: UInt64, _ bits: Int) -> UInt64 {
    word << bits | word >> (64 - bits)
  }

  private static func finished(_ word: UInt64) -> UInt64 {
    var word = word
    word ^= word >> 33
    word = word &* 0xFF51_AFD7_ED55_8CCD
    word ^= word >> 33
    word = word &* 0xC4CE_B9FE_1A85_EC53
    return word ^ (word >> 33)
  }
}
