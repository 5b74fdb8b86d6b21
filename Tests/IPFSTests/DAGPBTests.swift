import Base
import IPFS
import Testing

@Suite struct DAGPBTests {
  @Test func readsTheEmptyDirectory() throws {
    let block = [UInt8](hex: "0a020801")
    let cid = try parse(CIDTests.spellings[0])
    #expect(cid.verify(block) == .match)
    let (node, unixFS) = try UnixFSNode.read(block, of: cid)
    #expect(node.links.isEmpty)
    #expect(unixFS.kind == .directory)
    let written = appended { output in
      PBEncoder.appendData(appended { UnixFSEncoder.appendDirectory(to: &$0) }, to: &output)
    }
    #expect(written == block)
  }

  @Test func linksComeBackInAnyFieldOrder() throws {
    let target = try parse("bafkqaaa")
    let link = appended {
      PBEncoder.appendLink(target, name: bytes("name"), totalSize: 300, to: &$0)
    }
    let data = appended { PBEncoder.appendData([8, 1], to: &$0) }
    for block in [link + data, data + link] {
      let node = try PBNode.decode(block)
      #expect(node.links.count == 1)
      #expect(try node.links[0].cid(in: block) == target)
      #expect(block.text(node.links[0].name) == "name")
      #expect(node.links[0].totalSize == 300)
      let data = try #require(node.data)
      #expect(block.part(data) == [8, 1])
    }
    #expect(try PBNode.decode([]).data == nil)
  }

  static let malformed: [(String, DAGError)] = [
    ("0a", .truncated),
    ("0a05", .truncated),
    ("0affffffffffffffffff01", .truncated),
    ("0affffffffffffffffffff01", .malformed),
    ("0801", .malformed),
    ("1a00", .malformed),
    ("0b", .malformed),
    ("00", .malformed),
    ("0a000a00", .duplicateField),
    ("1200", .missingHash),
    ("12021200", .missingHash),
    ("12020a00", .cid(.truncated)),
    ("12050a030155", .truncated),
    ("12070a050155000000", .cid(.trailingBytes)),
    ("120c0a04015500000a0401550000", .duplicateField),
    ("12021a00", .malformed),
  ]

  @Test(arguments: malformed) func refusesMalformed(_ hex: String, _ expected: DAGError) {
    #expect(throws: expected) { try PBNode.decode([UInt8](hex: hex)) }
    #expect(!expected.sentence.isEmpty)
  }

  @Test func boundsBlocks() {
    let large = [UInt8](repeating: 0, count: PBNode.maximumBlock + 1)
    #expect(throws: DAGError.blockTooLarge(large.count)) { try PBNode.decode(large) }
    // Links of 6 bytes with empty identity CIDs fill a block with more than may be followed.
    let link = appended { output in
      output.append([UInt8](hex: "12060a0401550000"))
    }
    let many = (0...PBNode.maximumLinks).flatMap { _ in link }
    #expect(throws: DAGError.tooManyLinks) { try PBNode.decode(many) }
  }

  @Test func mutationsNeverTrap() throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 15)
    _ = builder.file(random.bytes(200), chunk: 20)
    builder.rawLeaves = false
    _ = builder.file(random.bytes(200), chunk: 20)
    let nodes = builder.blocks.filter { $0.key.codec == .dagPB }
      .sorted { "\($0.key)" < "\($1.key)" }
    for round in 0..<20_000 {
      let (cid, block) = nodes[round % nodes.count]
      let changed = random.mutated(block)
      guard let file = try? UnixFSFile.read(changed, of: cid) else { continue }
      #expect(file.payload.end <= changed.count)
      #expect(file.children.allSatisfy { $0.hash.end <= changed.count })
      #expect(file.children.last?.bytes.upperBound ?? file.totalSize == file.totalSize)
    }
  }
}
