import Base
import Foundation
import IPFS
import Testing

/// Files that Kubo and go-car made; they lie beside the package and may be missing.
@Suite struct FixtureTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "../shared/fixtures").standardizedFileURL

  static let files: [URL] = {
    let walker = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    return (walker?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "car" }
      .sorted { $0.path < $1.path }
  }()

  @Test(.enabled(if: !files.isEmpty), arguments: files)
  func everyBlockVerifies(_ url: URL) throws {
    let file = [UInt8](try Data(contentsOf: url))
    let contents = try CARTests.read(file)
    let cids = contents.blocks.map(\.cid)
    #expect(try #require(contents.roots).allSatisfy(cids.contains))
    for (block, payload) in zip(contents.blocks, contents.payloads) {
      #expect(block.cid.verify(payload) == .match)
      let copy = block.cid.verify((payload + [0]))
      #expect(copy == .mismatch)
    }
    // What was read is written back byte for byte, up to the order of blocks, which is kept.
    let written = appended { output in
      CARWriter.appendHeader(roots: contents.roots ?? [], to: &output)
      for (cid, payload) in zip(cids, contents.payloads) {
        CARWriter.appendBlock(cid, payload, to: &output)
      }
    }
    #expect(written == file)
  }

  /// All files in a fixture are as long as their nodes say, wherever all their blocks are there.
  @Test(.enabled(if: !files.isEmpty), arguments: files)
  func everyFileCanBeWalked(_ url: URL) throws {
    let contents = try CARTests.read([UInt8](try Data(contentsOf: url)))
    let blocks = Dictionary(
      zip(contents.blocks.map(\.cid), contents.payloads), uniquingKeysWith: { first, _ in first })
    for (cid, payload) in blocks where cid.codec == .dagPB {
      let (node, unixFS) = try UnixFSNode.read(payload, of: cid)
      for link in node.links { _ = try link.cid(in: payload) }
      guard unixFS.kind == .file else { continue }
      var walk = FileWalk(root: cid)
      var total: Int64 = 0
      while let wanted = walk.wanted, let block = blocks[wanted] {
        total += Int64(try walk.supply(block).bytes.count)
      }
      if walk.wanted == nil { #expect(total == walk.fileSize) }
    }
  }

  /// The files are whole answers for their roots, and every name in them leads to a block.
  @Test(.enabled(if: !files.isEmpty), arguments: files)
  func everyRootIsAWholeAnswer(_ url: URL) throws {
    let file = [UInt8](try Data(contentsOf: url))
    let contents = try CARTests.read(file)
    let blocks = Dictionary(
      zip(contents.blocks.map(\.cid), contents.payloads), uniquingKeysWith: { first, _ in first })
    var builder = FileBuilder()
    builder.blocks = blocks
    for root in try #require(contents.roots) {
      #expect(check(file, CARQuestion(root: root)).verdict == .complete)
      let entries = try Self.entries(of: root, blocks)
      for (name, cid) in entries {
        #expect(try UnixFSShardTests.find(name, in: root, builder) == cid)
      }
      for number in stride(from: 0, to: entries.count, by: max(1, entries.count / 5)) {
        let (name, cid) = entries[number]
        for scope in CARParameters.Scope.allCases {
          let parameters = CARParameters(scope: scope)
          let question = CARQuestion(root: root, segments: [name], parameters: parameters)
          let report = check(file, question)
          #expect(report.verdict == .complete)
          #expect(report.terminal == cid)
        }
      }
      let question = CARQuestion(root: root, segments: [bytes("no such name")])
      #expect(check(file, question).verdict == .provenAbsent(segment: 0))
    }
  }

  /// The names in a directory, sharded or not; none in what is no directory.
  private static func entries(
    of root: CID, _ blocks: [CID: [UInt8]]
  ) throws -> [(name: [UInt8], cid: CID)] {
    guard root.codec == .dagPB, let block = blocks[root] else { return [] }
    let (node, unixFS) = try UnixFSNode.read(block, of: root)
    switch unixFS.kind {
    case .directory: return try node.links.map { (block.part($0.name), try $0.cid(in: block)) }
    case .hamtShard:
      let shard = try UnixFSShard.read(block.rawBytes, of: root)
      return try shard.links.flatMap { link in
        let cid = try link.cid(in: block)
        return shard.isShard(link)
          ? try entries(of: cid, blocks) : [(block.part(shard.entryName(link)), cid)]
      }
    default: return []
    }
  }
}
