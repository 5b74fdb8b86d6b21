internal import Base
public import IPFS

/// One worker's view of the blocks: reads them, and keeps the nodes it read last.
///
/// What a large file's every request begins with, its root and inner nodes, is then read once and not each
/// time. It reads on the worker's thread and may wait for the disk there; the gateway must not do that,
/// an origin may.
public final class BlockReader {
  /// Nodes kept; with `keptBytes` 8 MiB at most.
  static let keptNodes = 64
  /// The largest node kept: some 2,000 links, but no leaf of 256 KiB.
  static let keptBytes = 128 * 1024

  public let store: CARStore
  /// Most recently used last.
  private var nodes: [(place: Int, block: [UInt8])] = []
  /// The last leaf: files that repeat one block read it once in a row.
  private var leaf: (place: Int, block: [UInt8])?

  public init(_ store: CARStore) {
    self.store = store
  }

  /// The bytes of a block, compared with its CID.
  public func block(_ cid: CID) throws(BlockFailure) -> [UInt8] {
    if cid.hash == .identity { return cid.digest.array }
    guard let place = store.place(cid) else { throw .absent(cid) }
    if let leaf, leaf.place == place { return leaf.block }
    if let index = nodes.lastIndex(where: { $0.place == place }) {
      let kept = nodes.remove(at: index)
      nodes.append(kept)
      return kept.block
    }
    let block = try store.read(cid, at: place)
    if cid.codec == .dagPB && block.count <= Self.keptBytes {
      if nodes.count == Self.keptNodes { nodes.removeFirst() }
      nodes.append((place, block))
    } else {
      leaf = (place, block)
    }
    return block
  }
}
