internal import Base
public import IPFS

/// Why a path leads to nothing that can be served.
public enum ResolveFailure: Error, Sendable {
  /// The last of the CIDs, one for each segment that was resolved, has no link of this name.
  case noLink(name: [UInt8], resolved: [CID])
  case block(BlockFailure)
  /// A sharded directory, which is not looked into.
  case sharded(CID)
  /// A block that is there and right, but not what the path takes it for.
  case malformed(CID, DAGError)
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

/// Walks paths through UnixFS directories.
public struct Resolver {
  private let reader: BlockReader

  public init(_ reader: BlockReader) {
    self.reader = reader
  }

  /// The CIDs of a root and of each segment below it.
  public func resolve(
    _ root: CID, _ segments: [[UInt8]]
  ) throws(ResolveFailure) -> [CID] {
    var resolved = [root]
    var cid = root
    for name in segments {
      guard let next = try link(name, below: cid) else {
        throw .noLink(name: name, resolved: resolved)
      }
      resolved.append(next)
      cid = next
    }
    return resolved
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
