public import Base

/// One block of a sharded directory: a node of a hash array mapped trie (specs.ipfs.tech/unixfs).
///
/// Each level takes the next bits of the hash of a name, the highest first, as the number of a slot; the
/// bit field says which slots are in use, and they have one link each, in their order. A link's name
/// begins with the slot in hexadecimal digits; an entry's name follows, or nothing where a shard of the
/// next level is linked. Read as boxo does: the digits themselves are not held against the slot.
public struct UnixFSShard: Sendable {
  /// `murmur3-x64-64` of the multihash table, the only function that shards use.
  public static let hashType: UInt64 = 0x22
  /// Boxo's bound; Kubo makes shards of 256 slots.
  public static let maximumFanout: UInt64 = 1024

  /// What the shard says of a name.
  public enum Step: Sendable {
    case absent
    case entry(PBLink)
    /// The name is in the shard of the next level, if anywhere.
    case shard(PBLink)
  }

  /// The links of all slots in use, in the slots' order.
  public let links: [PBLink]
  private let bitField: ByteRange
  /// How many bits of the hash a level takes.
  private let levelBits: Int
  /// How many digits the slot takes in a link's name.
  private let prefixCount: Int

  /// Reads a dag-pb block that must hold a shard.
  public static func read(_ block: RawSpan, of cid: CID) throws(DAGError) -> UnixFSShard {
    let (node, unixFS) = try UnixFSNode.read(block, of: cid)
    return try UnixFSShard(node, unixFS, block)
  }

  init(_ node: PBNode, _ unixFS: UnixFSNode, _ block: RawSpan) throws(DAGError) {
    guard unixFS.kind == .hamtShard else { throw .notADirectory(unixFS.kind) }
    guard unixFS.hashType == Self.hashType, let fanout = unixFS.fanout,
      8...Self.maximumFanout ~= fanout, fanout.nonzeroBitCount == 1,
      UInt64(unixFS.data.count) <= fanout / 8
    else { throw .malformedShard }
    levelBits = fanout.trailingZeroBitCount
    prefixCount = (levelBits + 3) / 4
    bitField = unixFS.data
    var used = 0
    let field = block.bytes(bitField)
    for offset in 0..<field.byteCount { used += field.byte(offset).nonzeroBitCount }
    guard used == node.links.count,
      node.links.allSatisfy({ [prefixCount] in Int($0.name.count) >= prefixCount })
    else { throw .malformedShard }
    links = node.links
  }

  /// Whether a link leads to a shard of the next level; otherwise it is an entry's.
  public func isShard(_ link: PBLink) -> Bool { Int(link.name.count) == prefixCount }

  /// Where an entry's own name lies in the block.
  public func entryName(_ link: PBLink) -> ByteRange {
    ByteRange(
      start: Int(link.name.start) + prefixCount, count: max(0, Int(link.name.count) - prefixCount))
  }

  /// Looks for a name; `level` is how many shards were passed on the way from the root shard.
  public func step(
    _ name: RawSpan, level: Int, in block: RawSpan
  ) throws(DAGError) -> Step {
    guard 0..<(64 / levelBits) ~= level else { throw .tooDeep }
    let skipped = level * levelBits
    let hash = Murmur3.hash64(name)
    let slot = Int((hash << UInt64(skipped)) >> UInt64(64 - levelBits))
    guard let index = index(of: slot, in: block) else { return .absent }
    let link = links[index]
    if isShard(link) { return .shard(link) }
    return block.bytes(entryName(link)).equals(name) ? .entry(link) : .absent
  }

  /// Which link a slot has; nil where the slot is not in use.
  private func index(of slot: Int, in block: RawSpan) -> Int? {
    // The field is one large number: slot 0 is the lowest bit of its last byte.
    let field = block.bytes(bitField)
    let byte = field.byteCount - 1 - slot / 8
    guard byte >= 0, field.byte(byte) >> UInt8(slot % 8) & 1 == 1 else { return nil }
    var index = (field.byte(byte) & (1 << UInt8(slot % 8) - 1)).nonzeroBitCount
    for offset in byte + 1..<field.byteCount { index += field.byte(offset).nonzeroBitCount }
    return index
  }
}
