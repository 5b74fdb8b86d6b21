public import Base

/// Walks the blocks of a file in order and says which of their bytes make up a range of it.
///
/// The caller looks blocks up: while `wanted` names one, it hands that block to `supply`, which says
/// what to emit from it. Blocks outside the range are never wanted. The order is depth first, the one of
/// CAR files with `order=dfs` and `dups=y`. A block that contradicts its parent's sizes is refused, parts
/// without bytes are passed over, and depth and the number of links held are bounded: a walk over hostile
/// blocks ends.
public struct FileWalk: Sendable {
  /// Kubo's balanced trees are 6 deep at most, its trickle trees some 20.
  public static let maximumDepth = 128
  /// Links waiting at one time, over all levels; 1,024 for each of 4 levels is the widest usual tree.
  public static let maximumPending = 65_536

  /// What to emit from a block: the bytes of a range, which stand at an offset of the file.
  public struct Piece: Equatable, Sendable {
    public let fileOffset: Int64
    /// Where the bytes lie in the supplied block; empty for inner nodes.
    public let bytes: ByteRange
  }

  private struct Pending {
    let cid: CID
    let start: Int64
    /// Nil for the root, whose size is not known beforehand.
    let size: Int64?
    let depth: Int
  }

  /// The next one is the last.
  private var pending: [Pending]
  private let requested: Range<Int64>?
  /// Bytes of the whole file, known once the root was supplied.
  public private(set) var fileSize: Int64?

  /// Begins at a file's root; without a range the whole file is wanted.
  public init(root: CID, range: Range<Int64>? = nil) {
    pending = [Pending(cid: root, start: 0, size: nil, depth: 0)]
    requested = range
  }

  /// The block that `supply` takes next; nil at the end.
  public var wanted: CID? { pending.last?.cid }

  /// Where the wanted block's bytes begin in the file.
  public var wantedOffset: Int64? { pending.last?.start }

  /// Takes the wanted block, whose bytes the caller has verified.
  ///
  /// After an error the same block is still wanted, so that another copy may be tried.
  public mutating func supply(_ block: RawSpan) throws(DAGError) -> Piece {
    guard let item = pending.last else { throw .nothingWanted }
    let file = try UnixFSFile.read(block, of: item.cid)
    guard item.size ?? file.totalSize == file.totalSize else { throw .sizeMismatch }
    let window = window(of: item.size == nil ? file.totalSize : fileSize ?? file.totalSize)

    var below: [Pending] = []
    for child in file.children.reversed() {
      // No overflow: an item's end is inside its parent's, and the root's total fits 63 bits.
      let bytes = item.start + child.bytes.lowerBound..<item.start + child.bytes.upperBound
      guard !bytes.isEmpty, bytes.overlaps(window) else { continue }
      guard item.depth < Self.maximumDepth else { throw .tooDeep }
      guard pending.count + below.count < Self.maximumPending else { throw .tooManyLinks }
      let cid = try PBLink(hash: child.hash, name: .empty, totalSize: 0).cid(in: block)
      below.append(
        Pending(
          cid: cid, start: bytes.lowerBound, size: child.bytes.upperBound - child.bytes.lowerBound,
          depth: item.depth + 1))
    }
    pending.removeLast()
    pending.append(contentsOf: below)
    if item.size == nil { fileSize = file.totalSize }

    let own = item.start..<item.start + Int64(file.payload.count)
    let emitted = own.clamped(to: window)
    guard !emitted.isEmpty else { return Piece(fileOffset: item.start, bytes: .empty) }
    let skipped = Int(emitted.lowerBound - own.lowerBound)
    return Piece(
      fileOffset: emitted.lowerBound,
      bytes: ByteRange(start: Int(file.payload.start) + skipped, count: emitted.count))
  }

  private func window(of size: Int64) -> Range<Int64> {
    requested.map { $0.clamped(to: 0..<size) } ?? 0..<size
  }
}
