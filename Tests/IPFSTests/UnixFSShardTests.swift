import Base
import IPFS
import Testing

@Suite struct UnixFSShardTests {
  /// Vectors of the reference's first half (spaolacci/murmur3's tests); the tests' own copy is held to them,
  /// and the shards that it builds hold the library's.
  @Test func murmur3IsTheReferences() {
    #expect(murmur3([]) == 0)
    #expect(murmur3(bytes("hello")) == 0xcbd8_a7b3_41bd_9b02)
    #expect(murmur3(bytes("hello, world")) == 0x342f_ac62_3a5e_bc8e)
    #expect(murmur3(bytes("19 Jan 2038 at 3:14:07 AM")) == 0xb89e_5988_b737_affc)
    #expect(
      murmur3(bytes("The quick brown fox jumps over the lazy dog.")) == 0xcd99_481f_9ee9_02c9)
  }

  /// What a name leads to through the shards of a directory.
  static func find(
    _ name: [UInt8], in root: CID, _ builder: FileBuilder
  ) throws -> CID? {
    var walk = PathWalk(root: root, segments: [name])
    while let wanted = walk.wanted {
      let block = try #require(builder.blocks[wanted])
      try walk.supply(block.rawBytes)
    }
    guard case .found(let cid, 0) = walk.outcome else { return nil }
    return cid
  }

  @Test(arguments: [8, 16, 32, 64, 256]) func findsEveryName(_ fanout: Int) throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: UInt64(fanout))
    // Names of all lengths: whole runs of the hash and every rest.
    var entries: [(name: String, cid: CID)] = []
    for number in 0..<300 {
      let name = "\(number)" + String(repeating: "é", count: random.number(in: 0...20))
      entries.append((name, builder.leaf(bytes(name))))
    }
    let root = builder.sharded(entries, fanout: fanout)
    for entry in entries {
      #expect(try Self.find(bytes(entry.name), in: root, builder) == entry.cid)
      #expect(try Self.find(bytes(entry.name + "x"), in: root, builder) == nil)
    }
    #expect(try Self.find([], in: root, builder) == nil)
    // Enumerated, they are all there, each once.
    var names: [String] = []
    var pending = [root]
    while let cid = pending.popLast() {
      let block = try #require(builder.blocks[cid])
      let shard = try UnixFSShard.read(block.rawBytes, of: cid)
      for link in shard.links {
        if shard.isShard(link) {
          pending.append(try link.cid(in: block))
        } else {
          names.append(block.text(shard.entryName(link)))
        }
      }
    }
    #expect(names.sorted() == entries.map(\.name).sorted())
  }

  @Test func refusesWhatIsNoShard() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("a"))
    let root = builder.sharded([("a", leaf)], fanout: 8)
    let block = try #require(builder.blocks[root])
    func read(_ change: (inout [UInt8]) -> Void) throws(DAGError) {
      var changed = block
      change(&changed)
      _ = try UnixFSShard.read(changed.rawBytes, of: root)
    }
    try read { _ in }
    // The message ends the block: 12 01 <field> 28 22 30 08.
    #expect(throws: DAGError.malformedShard) { try read { $0[$0.count - 1] = 7 } }
    #expect(throws: DAGError.malformedShard) { try read { $0[$0.count - 1] = 4 } }
    #expect(throws: DAGError.malformedShard) { try read { $0[$0.count - 3] = 0x12 } }
    #expect(throws: DAGError.malformedShard) { try read { $0[$0.count - 5] = 0 } }
    #expect(throws: DAGError.malformedShard) { try read { $0[$0.count - 5] = 0xff } }
    let directory = builder.directory([])
    let plain = try #require(builder.blocks[directory])
    #expect(throws: DAGError.notADirectory(.directory)) {
      try UnixFSShard.read(plain.rawBytes, of: directory)
    }
  }

  @Test func levelsEndWithTheHash() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("a"))
    let root = builder.sharded([("a", leaf)], fanout: 256)
    let block = try #require(builder.blocks[root])
    let shard = try UnixFSShard.read(block.rawBytes, of: root)
    let name = bytes("a")
    _ = try shard.step(name.rawBytes, level: 7, in: block.rawBytes)
    #expect(throws: DAGError.tooDeep) {
      try shard.step(name.rawBytes, level: 8, in: block.rawBytes)
    }
    #expect(throws: DAGError.tooDeep) {
      try shard.step(name.rawBytes, level: -1, in: block.rawBytes)
    }
  }
}
