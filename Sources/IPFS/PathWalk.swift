import Base

/// Follows a path from its root through directories, sharded directories, dag-cbor and dag-json.
///
/// The caller looks blocks up: while `wanted` names one, it hands that block to `supply`. What lies at the
/// path's end is not read. As gateways do, a segment below something that has no names counts as absent.
public struct PathWalk: Sendable {
  public enum Outcome: Sendable {
    /// The path ends in this block, or names something inside it: then that many of the last segments.
    case found(CID, inside: Int)
    /// The segment of this index names nothing.
    case absent(segment: Int)
  }

  /// What the path came to; nil while a block is wanted.
  public private(set) var outcome: Outcome?
  private let segments: [[UInt8]]
  private var current: CID
  /// The index of the segment to look up next.
  private var position = 0
  /// How many shards of the directory were passed.
  private var level = 0

  public init(root: CID, segments: [[UInt8]]) {
    self.segments = segments
    current = root
    if segments.isEmpty { outcome = .found(root, inside: 0) }
  }

  /// The block that `supply` takes next; nil at the end.
  public var wanted: CID? { outcome == nil ? current : nil }

  /// Takes the wanted block, whose bytes the caller has verified.
  public mutating func supply(_ block: RawSpan) throws(DAGError) {
    guard outcome == nil else { throw .nothingWanted }
    switch current.codec {
    case .raw: outcome = .absent(segment: position)
    case .dagPB: try supplyNode(block)
    default:
      switch try DAGLinks.resolve(segments[position...], in: block, of: current.codec) {
      case .link(let cid, let consumed): advance(to: cid, by: consumed)
      case .inside: outcome = .found(current, inside: segments.count - position)
      case .absent(let index): outcome = .absent(segment: position + index)
      }
    }
  }

  private mutating func supplyNode(_ block: RawSpan) throws(DAGError) {
    let node = try PBNode.decode(block)
    let name = segments[position]
    let unixFS: UnixFSNode
    do throws(DAGError) {
      guard let readable = try UnixFSNode.readable(node, block) else {
        return try follow(node, name, block)
      }
      unixFS = readable
    } catch {
      // A link of the name is one, whatever the data say; that there is none proves nothing.
      try follow(node, name, block)
      guard case .absent = outcome else { return }
      outcome = nil
      throw error
    }
    if unixFS.kind == .hamtShard {
      let shard = try UnixFSShard(node, unixFS, block)
      switch try shard.step(name.rawBytes, level: level, in: block) {
      case .absent: outcome = .absent(segment: position)
      case .entry(let link): advance(to: try link.cid(in: block), by: 1)
      case .shard(let link):
        current = try link.cid(in: block)
        level += 1
      }
    } else if level > 0 {
      throw .malformedShard
    } else if unixFS.kind == .file {
      outcome = .absent(segment: position)
    } else {
      try follow(node, name, block)
    }
  }

  /// Follows the first link of a name.
  private mutating func follow(
    _ node: PBNode, _ name: [UInt8], _ block: RawSpan
  ) throws(DAGError) {
    guard level == 0 else { throw .malformedShard }
    for link in node.links where block.bytes(link.name).equals(name.rawBytes) {
      return advance(to: try link.cid(in: block), by: 1)
    }
    outcome = .absent(segment: position)
  }

  private mutating func advance(to cid: CID, by count: Int) {
    current = cid
    position += count
    level = 0
    if position == segments.count { outcome = .found(cid, inside: 0) }
  }
}
