internal import Base
internal import IPFS

/// The bytes of a range of a file, block by block; nothing before the range is read.
struct FileSlice {
  /// Bytes that `next` has yet to give.
  private(set) var remaining: Int64
  private let reader: BlockReader
  private var walk: FileWalk

  init(_ reader: BlockReader, file: CID, range: Range<Int64>) {
    self.reader = reader
    walk = FileWalk(root: file, range: range)
    remaining = Int64(range.count)
  }

  /// The next block that has bytes of the range, and which of them; nil at the end.
  mutating func next() throws(ResolveFailure) -> (block: [UInt8], bytes: Range<Int>)? {
    while let cid = walk.wanted {
      let block: [UInt8]
      do throws(BlockFailure) {
        block = try reader.block(cid)
      } catch {
        throw .block(error)
      }
      do throws(DAGError) {
        let piece = try walk.supply(block.rawBytes)
        if piece.bytes.isEmpty { continue }
        remaining -= Int64(piece.bytes.count)
        return (block, piece.bytes.range)
      } catch {
        throw .malformed(cid, error)
      }
    }
    return nil
  }

  /// The file's first bytes, at most `count`: what a type can be guessed from.
  ///
  /// Where a later block is missing, those before it have to do: a range must not fail for what lies
  /// outside of it.
  static func start(
    _ reader: BlockReader, file: CID, count: Int64
  ) throws(ResolveFailure) -> [UInt8] {
    var slice = FileSlice(reader, file: file, range: 0..<count)
    var start: [UInt8] = []
    while true {
      do throws(ResolveFailure) {
        guard let (block, bytes) = try slice.next() else { return start }
        start += block[bytes]
      } catch {
        guard case .block(.absent) = error, !start.isEmpty else { throw error }
        return start
      }
    }
  }
}
