import Base
import IPFS
import Testing

@Suite struct UnixFSTests {
  private static func decode(_ hex: String) throws(DAGError) -> UnixFSNode {
    let block = [UInt8](hex: hex)
    return try UnixFSNode.decode(block, in: ByteRange(start: 0, count: block.count))
  }

  @Test func readsEveryField() throws {
    let node = try Self.decode(
      "0802" + "1203616263" + "1808" + "2002" + "2003" + "2822" + "308002" + "38a403"
        + "420b08ffffffffffffffffff01" + "4a0199")
    #expect(node.kind == .file)
    #expect(node.data == ByteRange(start: 4, count: 3))
    #expect(node.fileSize == 8)
    #expect(node.blockSizes == [2, 3])
    #expect(node.contentSize == 8)
    #expect(node.hashType == 0x22)
    #expect(node.fanout == 256)
    #expect(node.mode == 0o644)
    #expect(node.modified?.seconds == -1)
  }

  @Test func readsTimesAndPackedSizes() throws {
    let node = try Self.decode("22030102031802" + "0802" + "42070801150a000000")
    #expect(node.blockSizes == [1, 2, 3])
    #expect(node.modified?.seconds == 1)
    #expect(node.modified?.nanoseconds == 10)
  }

  @Test func recognisesEveryKind() throws {
    for kind in UnixFSNode.Kind.allCases {
      #expect(try Self.decode("080\(kind.rawValue)").kind == kind)
      #expect(!kind.description.isEmpty)
    }
  }

  static let malformed: [(String, DAGError)] = [
    ("", .notUnixFS),
    ("1800", .notUnixFS),
    ("0806", .unknownType(6)),
    ("08ff07", .unknownType(1023)),
    ("080218ffffffffffffffffff01", .sizeOverflow),
    ("080220ffffffffffffffff7f20ffffffffffffffff7f", .sizeOverflow),
    ("08021a00", .malformed),
    ("080212", .truncated),
    ("0802420515ffffffff", .malformed),
    ("080220ffffffffffffffffff02", .malformed),
  ]

  @Test(arguments: malformed) func refusesMalformed(_ hex: String, _ expected: DAGError) {
    #expect(throws: expected) { try Self.decode(hex) }
    #expect(!expected.sentence.isEmpty)
  }

  @Test func findsNames() throws {
    var builder = FileBuilder()
    let file = builder.leaf(bytes("hello"))
    let other = builder.leaf(bytes("other"))
    let root = builder.directory([("a.txt", file), ("b", other), ("ä", file)])
    let block = try #require(builder.blocks[root])
    for (name, target) in [("a.txt", file), ("b", other), ("ä", file)] {
      let link = try UnixFSDirectory.find(bytes(name), in: block, of: root)
      #expect(try link?.cid(in: block) == target)
    }
    for name in ["A.txt", "a", "", "a.txt/", "a\u{308}"] {
      #expect(try UnixFSDirectory.find(bytes(name), in: block, of: root) == nil)
    }
    #expect(try UnixFSDirectory.entries(of: block, cid: root).count == 3)
  }

  @Test func saysWhatIsNoDirectory() throws {
    var builder = FileBuilder()
    let name = bytes("a")
    let raw = builder.leaf(bytes("x"))
    #expect(throws: DAGError.unsupportedCodec(.raw)) {
      try UnixFSDirectory.find(name, in: bytes("x"), of: raw)
    }
    let file = builder.node(own: [1], children: [])
    let block = try #require(builder.blocks[file])
    #expect(throws: DAGError.notADirectory(.file)) {
      try UnixFSDirectory.find(name, in: block, of: file)
    }
    let shard = [UInt8](hex: "0a020805")
    #expect(throws: DAGError.hamtNotSupported) {
      try UnixFSDirectory.find(name, in: shard, of: file)
    }
    #expect(throws: DAGError.notUnixFS) {
      try UnixFSDirectory.find(name, in: [], of: file)
    }
  }
}
