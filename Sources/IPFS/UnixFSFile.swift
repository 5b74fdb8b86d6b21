public import Base

/// One block of a file: the bytes in it and the parts below it.
public struct UnixFSFile: Sendable {
  public struct Child: Sendable {
    /// The binary CID in the block.
    public let hash: ByteRange
    /// Where the child's bytes lie, counted from the start of this block's part of the file.
    public let bytes: Range<Int64>
  }

  /// Bytes of this block's part of the file, everything below included.
  public let totalSize: Int64
  /// The file's bytes in the block itself; they come before those of the children.
  public let payload: ByteRange
  public let children: [Child]

  /// Reads a block as part of a file: all of a raw block, or a dag-pb node with a UnixFS file.
  public static func read(_ block: RawSpan, of cid: CID) throws(DAGError) -> UnixFSFile {
    if cid.codec == .raw {
      guard block.byteCount <= PBNode.maximumBlock else { throw .blockTooLarge(block.byteCount) }
      let payload = ByteRange(start: 0, count: block.byteCount)
      return UnixFSFile(totalSize: Int64(block.byteCount), payload: payload, children: [])
    }
    let (node, unixFS) = try UnixFSNode.read(block, of: cid)
    guard unixFS.kind == .file || unixFS.kind == .raw else { throw .notAFile(unixFS.kind) }
    guard unixFS.blockSizes.count == node.links.count else { throw .linkCountMismatch }
    let total = unixFS.contentSize
    guard unixFS.fileSize ?? total == total else { throw .sizeMismatch }
    var children: [Child] = []
    children.reserveCapacity(node.links.count)
    var start = Int64(unixFS.data.count)
    for (link, size) in zip(node.links, unixFS.blockSizes) {
      children.append(Child(hash: link.hash, bytes: start..<start + size))
      start += size
    }
    return UnixFSFile(totalSize: total, payload: unixFS.data, children: children)
  }
}

/// Looks up names in directories that lie in one block.
public enum UnixFSDirectory {
  /// The link of a name, compared as bytes; nil where the directory has no such name.
  public static func find(
    _ name: RawSpan, in block: RawSpan, of cid: CID
  ) throws(DAGError) -> PBLink? {
    try entries(of: block, cid: cid).first { block.bytes($0.name).equals(name) }
  }

  /// All links of a directory, in its order.
  public static func entries(of block: RawSpan, cid: CID) throws(DAGError) -> [PBLink] {
    let (node, unixFS) = try UnixFSNode.read(block, of: cid)
    switch unixFS.kind {
    case .directory: return node.links
    case .hamtShard: throw .hamtNotSupported
    case .raw, .file, .metadata, .symlink: throw .notADirectory(unixFS.kind)
    }
  }
}

extension UnixFSNode {
  /// Reads a dag-pb block that must hold UnixFS.
  public static func read(
    _ block: RawSpan, of cid: CID
  ) throws(DAGError) -> (node: PBNode, unixFS: UnixFSNode) {
    guard cid.codec == .dagPB else { throw .unsupportedCodec(cid.codec) }
    let node = try PBNode.decode(block)
    guard let data = node.data else { throw .notUnixFS }
    return (node, try decode(block, in: data))
  }

  /// The UnixFS of a node, nil where it has none; the node's links then have names all the same.
  ///
  /// Throws where other readers might find more in it than this one: it has links, and data that is no
  /// UnixFS here.
  static func readable(_ node: PBNode, _ block: RawSpan) throws(DAGError) -> UnixFSNode? {
    guard let data = node.data else { return nil }
    do throws(DAGError) {
      return try decode(block, in: data)
    } catch {
      guard node.links.isEmpty else { throw error }
      return nil
    }
  }
}
