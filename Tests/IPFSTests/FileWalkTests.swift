import Base
import IPFS
import Testing

@Suite struct FileWalkTests {
  /// All bytes that a walk emits; every block it wants is looked up and counted.
  private static func read(
    _ builder: FileBuilder, _ root: CID, _ range: Range<Int64>?
  ) throws -> (content: [UInt8], blocks: Int) {
    var walk = FileWalk(root: root, range: range)
    var content: [UInt8] = []
    var blocks = 0
    while let cid = walk.wanted {
      let block = try #require(builder.blocks[cid])
      let piece = try walk.supply(block)
      if !piece.bytes.isEmpty {
        let start = range.map { min(max($0.lowerBound, 0), walk.fileSize ?? 0) } ?? 0
        #expect(piece.fileOffset == start + Int64(content.count))
      }
      content += block.part(piece.bytes)
      blocks += 1
    }
    return (content, blocks)
  }

  @Test func givesAnyRange() throws {
    var random = SeededRandom(seed: 16)
    for round in 0..<60 {
      var builder = FileBuilder()
      builder.rawLeaves = round.isMultiple(of: 2)
      builder.width = random.number(in: 2...5)
      let content = random.bytes(random.number(in: 0...400))
      let root = builder.file(content, chunk: random.number(in: 1...40))
      #expect(try Self.read(builder, root, nil).content == content)
      for _ in 0..<40 {
        let lower = random.number(in: 0...content.count + 5)
        let upper = random.number(in: lower...content.count + 10)
        let expected = Array(content[min(lower, content.count)..<min(upper, content.count)])
        let got = try Self.read(builder, root, Int64(lower)..<Int64(upper)).content
        #expect(got == expected)
      }
      let all = try Self.read(builder, root, Int64.min..<Int64.max).content
      #expect(all == content)
    }
  }

  @Test func ownBytesComeBeforeChildren() throws {
    var builder = FileBuilder()
    let left = builder.leaf(bytes("cd"))
    let right = builder.node(own: bytes("ef"), children: [(left, 2)])
    let root = builder.node(own: bytes("ab"), children: [(left, 2), (right, 4)])
    let expected = bytes("abcdefcd")
    #expect(try Self.read(builder, root, nil).content == expected)
    for lower in 0...8 {
      for upper in lower...8 {
        let got = try Self.read(builder, root, Int64(lower)..<Int64(upper)).content
        #expect(got == Array(expected[lower..<upper]))
      }
    }
  }

  @Test func wantsOnlyBlocksOfTheRange() throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 17)
    let root = builder.file(random.bytes(81), chunk: 1)
    // 81 leaves, 3 links a node: the way down to one leaf is 5 blocks.
    for offset in [Int64(0), 40, 80] {
      #expect(try Self.read(builder, root, offset..<offset + 1).blocks == 5)
    }
    #expect(try Self.read(builder, root, 81..<90).blocks == 1)
    #expect(try Self.read(builder, root, nil).blocks == 121)
  }

  @Test func aRefusedBlockIsStillWanted() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("abc"))
    let root = builder.node(own: [], children: [(leaf, 3)])
    var walk = FileWalk(root: root)
    #expect(throws: DAGError.truncated) { try walk.supply([0x0a]) }
    #expect(walk.wanted == root)
    let block = try #require(builder.blocks[root])
    let rootPiece = try walk.supply(block)
    #expect(rootPiece.bytes.isEmpty)
    #expect(walk.wanted == leaf)
    #expect(walk.fileSize == 3)
    #expect(throws: DAGError.sizeMismatch) { try walk.supply(bytes("ab")) }
    let piece = try walk.supply(bytes("abc"))
    #expect(piece.fileOffset == 0)
    #expect(piece.bytes == ByteRange(start: 0, count: 3))
    #expect(walk.wanted == nil)
    #expect(throws: DAGError.nothingWanted) { try walk.supply(bytes("abc")) }
  }

  @Test func refusesSizesThatLie() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("abc"))
    let root = builder.node(own: [], children: [(leaf, 4)])
    #expect(throws: DAGError.sizeMismatch) { try Self.read(builder, root, nil) }
    // A file size that is not the sum of its parts.
    var walk = FileWalk(root: root)
    #expect(throws: DAGError.sizeMismatch) { try walk.supply([UInt8](hex: "0a0408021805")) }
    // A size without a link.
    #expect(throws: DAGError.linkCountMismatch) {
      try walk.supply([UInt8](hex: "0a06080218052005"))
    }
  }

  @Test func aNodeInsideItselfEnds() throws {
    let cid = try parse(CIDTests.spellings[0])
    let message = appended {
      UnixFSEncoder.appendFile(data: [], blockSizes: [7], to: &$0)
    }
    let block = appended { output in
      PBEncoder.appendLink(cid, name: [], totalSize: 7, to: &output)
      PBEncoder.appendData(message, to: &output)
    }
    var walk = FileWalk(root: cid)
    for _ in 0..<FileWalk.maximumDepth { _ = try walk.supply(block) }
    #expect(throws: DAGError.tooDeep) { try walk.supply(block) }
  }

  @Test func refusesWhatIsNoFile() throws {
    var builder = FileBuilder()
    let directory = builder.directory([])
    var walk = FileWalk(root: directory)
    let block = try #require(builder.blocks[directory])
    #expect(throws: DAGError.notAFile(.directory)) { try walk.supply(block) }
    var other = FileWalk(root: try CID(codec: .dagCBOR, hash: .identity, digest: []))
    #expect(throws: DAGError.unsupportedCodec(.dagCBOR)) { try other.supply([]) }
  }

  @Test func mutatedBlocksNeverTrapAndEnd() throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 18)
    let content = random.bytes(120)
    let root = builder.file(content, chunk: 10)
    for _ in 0..<5_000 {
      var walk = FileWalk(root: root, range: 0..<Int64(random.number(in: 0...200)))
      var steps = 0
      while let cid = walk.wanted, steps < 500 {
        let block = builder.blocks[cid] ?? []
        let given = random.chance(0.2) ? random.mutated(block) : block
        guard let piece = try? walk.supply(given) else { break }
        #expect(piece.bytes.end <= given.count)
        steps += 1
      }
      #expect(steps < 500)
    }
  }
}
