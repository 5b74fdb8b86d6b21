internal import Base
public import IPFS

/// Why a path leads to nothing that can be served.
public enum ResolveFailure: Error, Sendable {
  /// What was found last has no link of this name; the proof has all blocks that show it.
  case noLink(name: [UInt8], ResolvedPath, proof: ResolvedPath)
  case block(BlockFailure)
  /// A block that is there and right, but not what the path takes it for.
  case malformed(CID, DAGError)
}

/// Where a path led.
public struct ResolvedPath: Sendable {
  /// A CID for the root and for each segment; the last one is the target.
  ///
  /// Segments inside a document have that document's.
  public private(set) var cids: [CID]
  /// The blocks above the target that prove the path, in order; shards of directories are among them.
  public private(set) var proof: [CID] = []
  /// Segments that lie within the target's block, which is a document.
  public private(set) var remainder: [[UInt8]] = []

  init(root: CID) {
    cids = [root]
  }

  public var target: CID { cids[cids.count - 1] }

  /// The value of X-Ipfs-Roots.
  var roots: String { cids.map { "\($0)" }.joined(separator: ",") }

  /// Goes one segment further, to a link; `blocks` are those that were read for it, the old target first.
  mutating func follow(to cid: CID, through blocks: [CID]) {
    proof += blocks
    cids.append(cid)
    remainder = []
  }

  /// Goes one segment further within the target's block.
  mutating func stay(at segment: [UInt8]) {
    cids.append(target)
    remainder.append(segment)
  }

  /// Notes the shards that were read below the target in vain: they prove that it has no such name.
  mutating func fail(through blocks: [CID]) {
    proof += blocks.dropLast()
    if let last = blocks.last { cids[cids.count - 1] = last }
  }
}

/// A name in a directory.
public struct DirectoryEntry: Sendable {
  public var name: [UInt8]
  public var cid: CID
  /// Bytes of everything below, as the directory's maker says.
  public var totalSize: UInt64
}

/// What a CID names in UnixFS.
public enum Entity: Sendable {
  case file(size: Int64)
  /// In one block or in many shards.
  case directory
  /// The text of the target, which is not followed.
  case symlink([UInt8])
}

/// What UnixFS may say of a file's or directory's owner, if it does.
struct EntityAttributes {
  /// POSIX permission bits.
  var mode: UInt32?
  /// Seconds since 1970.
  var modified: Int64?
}

/// Walks paths through directories and documents, and tells what is at their ends.
public struct Resolver {
  /// Entries of one directory that are listed; shards are read until then.
  static let maximumEntries = 1_048_576

  private let reader: BlockReader

  public init(_ reader: BlockReader) {
    self.reader = reader
  }

  /// Where a root and the segments below it lead.
  public func resolve(
    _ root: CID, _ segments: [[UInt8]]
  ) throws(ResolveFailure) -> ResolvedPath {
    var found = ResolvedPath(root: root)
    for name in segments {
      // What lies within a block is looked up from the block's beginning.
      var walk = PathWalk(root: found.target, segments: found.remainder + [name])
      var blocks: [CID] = []
      while let cid = walk.wanted {
        let block = try block(cid)
        do throws(DAGError) {
          try walk.supply(block.rawBytes)
        } catch {
          throw .malformed(cid, error)
        }
        blocks.append(cid)
      }
      switch walk.outcome {
      case .found(let cid, inside: 0): found.follow(to: cid, through: blocks)
      case .found: found.stay(at: name)
      case .absent, nil:
        var proof = found
        proof.fail(through: blocks)
        throw .noLink(name: name, found, proof: proof)
      }
    }
    return found
  }

  /// What a CID names.
  public func entity(_ cid: CID) throws(ResolveFailure) -> Entity {
    let block = try block(cid)
    if cid.codec == .raw { return .file(size: Int64(block.count)) }
    do throws(DAGError) {
      let (_, unixFS) = try UnixFSNode.read(block.rawBytes, of: cid)
      switch unixFS.kind {
      case .raw, .file:
        return .file(size: try UnixFSFile.read(block.rawBytes, of: cid).totalSize)
      case .symlink: return .symlink(block.rawBytes.bytes(unixFS.data).array)
      case .directory, .hamtShard: return .directory
      case .metadata: throw .notAFile(unixFS.kind)
      }
    } catch {
      throw .malformed(cid, error)
    }
  }

  /// What a directory has, in its own order: sorted by name, or by the hashes of names.
  func entries(_ directory: CID) throws(ResolveFailure) -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    var shards = [directory]
    while let cid = shards.popLast() {
      let block = try block(cid)
      var below: [CID] = []
      do throws(DAGError) {
        below = try append(cid, block.rawBytes, to: &entries)
        guard entries.count <= Self.maximumEntries else { throw .tooManyLinks }
      } catch {
        throw .malformed(cid, error)
      }
      shards += below.reversed()
    }
    return entries
  }

  /// Appends the entries in one block; the shards below it, in order.
  private func append(
    _ cid: CID, _ block: RawSpan, to entries: inout [DirectoryEntry]
  ) throws(DAGError) -> [CID] {
    let (node, unixFS) = try UnixFSNode.read(block, of: cid)
    guard unixFS.kind == .hamtShard else {
      for link in node.links {
        entries.append(
          DirectoryEntry(
            name: block.bytes(link.name).array, cid: try link.cid(in: block),
            totalSize: link.totalSize))
      }
      return []
    }
    let shard = try UnixFSShard.read(block, of: cid)
    var below: [CID] = []
    for link in shard.links {
      let target = try link.cid(in: block)
      if shard.isShard(link) {
        below.append(target)
      } else {
        let name = block.bytes(shard.entryName(link)).array
        entries.append(DirectoryEntry(name: name, cid: target, totalSize: link.totalSize))
      }
    }
    return below
  }

  /// What a node says of itself beside its content; nothing where it is no UnixFS.
  func attributes(_ cid: CID) -> EntityAttributes {
    guard cid.codec == .dagPB, let block = try? reader.block(cid),
      let (_, unixFS) = try? UnixFSNode.read(block.rawBytes, of: cid)
    else { return EntityAttributes() }
    return EntityAttributes(mode: unixFS.mode, modified: unixFS.modified?.seconds)
  }

  private func block(_ cid: CID) throws(ResolveFailure) -> [UInt8] {
    do throws(BlockFailure) {
      return try reader.block(cid)
    } catch {
      throw .block(error)
    }
  }
}
