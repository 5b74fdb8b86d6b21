internal import Base
public import IPFS

/// Why a path leads to nothing that can be served.
public enum ResolveFailure: Error, Sendable {
  /// What was found last has no link of this name.
  case noLink(name: [UInt8], ResolvedPath)
  case block(BlockFailure)
  /// A sharded directory, which is not looked into.
  case sharded(CID)
  /// A block that is there and right, but not what the path takes it for.
  case malformed(CID, DAGError)
}

/// Where a path led.
public struct ResolvedPath: Sendable {
  /// A CID for the root and for each segment; the last one is the target.
  public private(set) var cids: [CID]
  /// The blocks above the target that prove the path, in order.
  public private(set) var proof: [CID] = []
  /// Segments that lie within the target's block, which is a document.
  public private(set) var remainder: [[UInt8]] = []

  init(root: CID) {
    cids = [root]
  }

  public var target: CID { cids[cids.count - 1] }

  /// The value of X-Ipfs-Roots.
  var roots: String { cids.map { "\($0)" }.joined(separator: ",") }

  /// Goes one segment further; `blocks` are those that were read for it, the old target first.
  mutating func follow(to cid: CID, through blocks: [CID]) {
    proof += blocks
    cids.append(cid)
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
  case directory([DirectoryEntry])
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

/// Walks paths through UnixFS directories.
public struct Resolver {
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
      guard let next = try link(name, below: found.target) else {
        throw .noLink(name: name, found)
      }
      found.follow(to: next, through: [found.target])
    }
    return found
  }

  /// What a CID names.
  public func entity(_ cid: CID) throws(ResolveFailure) -> Entity {
    let block = try block(cid)
    if cid.codec == .raw { return .file(size: Int64(block.count)) }
    do throws(DAGError) {
      let (node, unixFS) = try UnixFSNode.read(block.rawBytes, of: cid)
      switch unixFS.kind {
      case .raw, .file:
        return .file(size: try UnixFSFile.read(block.rawBytes, of: cid).totalSize)
      case .symlink: return .symlink(block.rawBytes.bytes(unixFS.data).array)
      case .directory: return .directory(try entries(node, block.rawBytes))
      case .hamtShard: throw .hamtNotSupported
      case .metadata: throw .notAFile(unixFS.kind)
      }
    } catch {
      throw failure(error, cid)
    }
  }

  /// What a node says of itself beside its content; nothing where it is no UnixFS.
  func attributes(_ cid: CID) -> EntityAttributes {
    guard cid.codec == .dagPB, let block = try? reader.block(cid),
      let (_, unixFS) = try? UnixFSNode.read(block.rawBytes, of: cid)
    else { return EntityAttributes() }
    return EntityAttributes(mode: unixFS.mode, modified: unixFS.modified?.seconds)
  }

  private func entries(
    _ node: PBNode, _ block: RawSpan
  ) throws(DAGError) -> [DirectoryEntry] {
    var entries: [DirectoryEntry] = []
    entries.reserveCapacity(node.links.count)
    for link in node.links {
      entries.append(
        DirectoryEntry(
          name: block.bytes(link.name).array, cid: try link.cid(in: block),
          totalSize: link.totalSize))
    }
    return entries
  }

  private func link(_ name: [UInt8], below cid: CID) throws(ResolveFailure) -> CID? {
    guard cid.codec == .dagPB else { return nil }
    let block = try block(cid)
    do throws(DAGError) {
      return try UnixFSDirectory.find(name.rawBytes, in: block.rawBytes, of: cid)?
        .cid(in: block.rawBytes)
    } catch {
      // A file or a symbolic link has no names below it.
      if case .notADirectory = error { return nil }
      throw failure(error, cid)
    }
  }

  private func block(_ cid: CID) throws(ResolveFailure) -> [UInt8] {
    do throws(BlockFailure) {
      return try reader.block(cid)
    } catch {
      throw .block(error)
    }
  }

  private func failure(_ error: DAGError, _ cid: CID) -> ResolveFailure {
    error == .hamtNotSupported ? .sharded(cid) : .malformed(cid, error)
  }
}
