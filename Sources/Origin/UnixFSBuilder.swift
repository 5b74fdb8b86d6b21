internal import Base
public import IPFS

/// Builds UnixFS as `ipfs add --cid-version=1` does: balanced trees over raw leaves.
///
/// The same bytes give the same CIDs as there. Blocks are kept in memory, each once; `car` writes them
/// children first.
public struct UnixFSBuilder {
  /// A file or directory that was added.
  public struct Node: Sendable {
    public var cid: CID
    /// Bytes of the file; 0 for directories.
    public var size: Int64
    /// Bytes of all blocks from here down, which links tell.
    public var totalSize: UInt64
  }

  public enum BuildError: Error, Sendable {
    /// OpenSSL gave no SHA-256.
    case noHash
    /// A block would be larger than peers pass on.
    case blockTooLarge(Int)
  }

  /// Kubo's default; its profile for CIDv1 has 1 MiB.
  public let chunkBytes: Int
  /// Links of one node, as Kubo has them.
  public let width: Int
  public private(set) var blocks: [(cid: CID, bytes: [UInt8])] = []
  private var known: Set<CID> = []

  public init(chunkBytes: Int = 256 * 1024, width: Int = 174) {
    precondition(chunkBytes > 0 && chunkBytes <= PBNode.maximumBlock && width > 1)
    self.chunkBytes = chunkBytes
    self.width = width
  }

  /// Adds a file's bytes, cut into chunks.
  public mutating func addFile(_ bytes: [UInt8]) throws(BuildError) -> Node {
    var leaves: [Node] = []
    var start = 0
    repeat {
      let end = min(bytes.count, start + chunkBytes)
      leaves.append(try addRaw(Array(bytes[start..<end])))
      start = end
    } while start < bytes.count
    return try addFile(of: leaves)
  }

  /// Adds one raw block.
  public mutating func addRaw(_ bytes: [UInt8]) throws(BuildError) -> Node {
    let cid = try add(bytes, .raw)
    return Node(cid: cid, size: Int64(bytes.count), totalSize: UInt64(bytes.count))
  }

  /// Adds the tree above parts that were added before; a part may stand in it any number of times.
  ///
  /// `parts` is not empty.
  public mutating func addFile(of parts: [Node]) throws(BuildError) -> Node {
    var level = parts
    while level.count > 1 {
      var above: [Node] = []
      var start = 0
      while start < level.count {
        let end = min(level.count, start + width)
        above.append(try addNode(level[start..<end]))
        start = end
      }
      level = above
    }
    return level[0]
  }

  /// Adds a directory; its names are sorted as bytes, and each may stand once.
  public mutating func addDirectory(_ entries: [String: Node]) throws(BuildError) -> Node {
    var block = ByteBuffer(capacity: 64 + entries.count * 64)
    var total: UInt64 = 0
    let sorted = entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    for (name, node) in sorted {
      PBEncoder.appendLink(
        node.cid, name: Array(name.utf8).rawBytes, totalSize: node.totalSize, to: &block)
      total += node.totalSize
    }
    var data = ByteBuffer(capacity: 64)
    UnixFSEncoder.appendDirectory(to: &data)
    PBEncoder.appendData(data.readable, to: &block)
    let bytes = block.readable.array
    return Node(cid: try add(bytes, .dagPB), size: 0, totalSize: total + UInt64(bytes.count))
  }

  /// All blocks as a CAR file.
  public func car(roots: [CID]) -> [UInt8] {
    let payload = blocks.reduce(0) { $0 + $1.bytes.count + 64 }
    var output = ByteBuffer(capacity: payload + 256)
    CARWriter.appendHeader(roots: roots, to: &output)
    for (cid, bytes) in blocks { CARWriter.appendBlock(cid, bytes.rawBytes, to: &output) }
    return output.readable.array
  }

  private mutating func addNode(_ parts: ArraySlice<Node>) throws(BuildError) -> Node {
    var block = ByteBuffer(capacity: 64 + parts.count * 64)
    var total: UInt64 = 0
    for part in parts {
      PBEncoder.appendLink(
        part.cid, name: [UInt8]().rawBytes, totalSize: part.totalSize, to: &block)
      total += part.totalSize
    }
    var data = ByteBuffer(capacity: 64 + parts.count * 8)
    UnixFSEncoder.appendFile(
      data: [UInt8]().rawBytes, blockSizes: parts.map(\.size), to: &data)
    PBEncoder.appendData(data.readable, to: &block)
    let bytes = block.readable.array
    return Node(
      cid: try add(bytes, .dagPB), size: parts.reduce(0) { $0 + $1.size },
      totalSize: total + UInt64(bytes.count))
  }

  private mutating func add(_ bytes: [UInt8], _ codec: ContentCodec) throws(BuildError) -> CID {
    guard bytes.count <= PBNode.maximumBlock else { throw .blockTooLarge(bytes.count) }
    guard let cid = CID(sha256Of: bytes.rawBytes, codec: codec) else { throw .noHash }
    if known.insert(cid).inserted { blocks.append((cid, bytes)) }
    return cid
  }
}
