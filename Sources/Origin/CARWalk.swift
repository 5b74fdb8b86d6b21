internal import Base
internal import IPFS

/// Writes the CAR of a path: the blocks that prove the path, then those of what it leads to.
///
/// Blocks come depth first, the order in which a client can check each one at once. Identity CIDs carry
/// their bytes themselves and get no section.
struct CARWalk {
  /// Deeper trees are not written (boxo's bound).
  static let maximumDepth = 1024

  private enum Stage {
    case header
    /// The next block of the path.
    case path(Int)
    case file
    case tree
    /// The shards of a directory, without what its entries lead to.
    case shards
    case done
  }

  /// A node of the tree whose links are being followed.
  private struct Frame {
    /// At most what one block holds (`PBNode.maximumLinks`).
    let links: [CID]
    var next = 0
  }

  private let reader: BlockReader
  private let path: [CID]
  private let target: CID?
  private let root: CID
  private let parameters: CARParameters
  private let range: Range<Int64>?
  private var stage = Stage.header
  private var file: FileWalk?
  private var frames: [Frame] = []
  private var written: Set<Digest128> = []

  /// The CAR of a path and of what it led to.
  ///
  /// `range` limits a file to some of its bytes.
  init(
    _ reader: BlockReader, _ found: ResolvedPath, _ parameters: CARParameters,
    range: Range<Int64>? = nil
  ) {
    self.reader = reader
    path = found.proof
    target = found.target
    root = found.target
    self.parameters = parameters
    self.range = range
  }

  /// The CAR that proves that a path leads no further than this.
  init(_ reader: BlockReader, absentBelow found: ResolvedPath, _ parameters: CARParameters) {
    self.reader = reader
    path = found.proof + [found.target]
    target = nil
    root = found.cids[0]
    self.parameters = parameters
    range = nil
  }

  /// Appends the header or the next section; false at the end, where nothing was appended.
  mutating func next(into output: inout ByteBuffer) throws(ResolveFailure) -> Bool {
    let before = output.count
    while output.count == before {
      switch stage {
      case .header:
        CARWriter.appendHeader(roots: [root], to: &output)
        stage = .path(0)
      case .path(let index):
        if index < path.count {
          append(path[index], try block(path[index]), to: &output)
          stage = .path(index + 1)
        } else {
          try enterTarget(&output)
        }
      case .file:
        try stepFile(&output)
      case .tree, .shards: try step(&output)
      case .done: return false
      }
    }
    return true
  }

  private mutating func enterTarget(_ output: inout ByteBuffer) throws(ResolveFailure) {
    guard let target else {
      stage = .done
      return
    }
    switch parameters.scope {
    case .block:
      append(target, try block(target), to: &output)
      stage = .done
    case .all:
      stage = .tree
      try visit(target, &output)
    case .entity: try enterEntity(target, &output)
    }
  }

  private mutating func enterEntity(
    _ target: CID, _ output: inout ByteBuffer
  ) throws(ResolveFailure) {
    let block = try block(target)
    // What is no UnixFS is one block, and so is a directory that is not sharded.
    let isFile = target.codec == .raw || (try? UnixFSFile.read(block.rawBytes, of: target)) != nil
    if isFile {
      file = FileWalk(root: target, range: range)
      stage = .file
    } else if (try? UnixFSShard.read(block.rawBytes, of: target)) != nil {
      stage = .shards
      try visit(target, &output)
    } else {
      append(target, block, to: &output)
      stage = .done
    }
  }

  private mutating func stepFile(_ output: inout ByteBuffer) throws(ResolveFailure) {
    guard let cid = file?.wanted else {
      stage = .done
      return
    }
    let block = try block(cid)
    do throws(DAGError) {
      _ = try file?.supply(block.rawBytes)
    } catch {
      throw .malformed(cid, error)
    }
    append(cid, block, to: &output)
  }

  /// Goes one link further in the tree.
  private mutating func step(_ output: inout ByteBuffer) throws(ResolveFailure) {
    guard var frame = frames.popLast() else {
      stage = .done
      return
    }
    guard frame.next < frame.links.count else { return }
    let link = frame.links[frame.next]
    frame.next += 1
    frames.append(frame)
    try visit(link, &output)
  }

  private mutating func visit(
    _ cid: CID, _ output: inout ByteBuffer
  ) throws(ResolveFailure) {
    if !parameters.duplicates && written.contains(reader.store.key(cid)) { return }
    let block = try block(cid)
    append(cid, block, to: &output)
    guard frames.count < Self.maximumDepth else { throw .malformed(cid, .tooDeep) }
    do throws(DAGError) {
      frames.append(Frame(links: try links(of: cid, block.rawBytes)))
    } catch {
      throw .malformed(cid, error)
    }
  }

  private func links(of cid: CID, _ block: RawSpan) throws(DAGError) -> [CID] {
    var links: [CID] = []
    guard case .shards = stage else {
      try DAGLinks.visit(block, of: cid.codec) { link in links.append(link) }
      return links
    }
    let shard = try UnixFSShard.read(block, of: cid)
    for link in shard.links where shard.isShard(link) { links.append(try link.cid(in: block)) }
    return links
  }

  private mutating func append(_ cid: CID, _ block: [UInt8], to output: inout ByteBuffer) {
    if cid.hash == .identity { return }
    if !parameters.duplicates && !written.insert(reader.store.key(cid)).inserted { return }
    CARWriter.appendBlock(cid, block.rawBytes, to: &output)
  }

  private func block(_ cid: CID) throws(ResolveFailure) -> [UInt8] {
    do throws(BlockFailure) {
      return try reader.block(cid)
    } catch {
      throw .block(error)
    }
  }
}
