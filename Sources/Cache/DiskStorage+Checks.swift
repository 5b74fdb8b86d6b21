public import Base
import System

/// Slices held against their checksums, and what is remembered of it.
///
/// Slices of at least `SegmentLayout.pagedBytes` are checked once in a life, and marked; smaller ones
/// share pages with others and are checked each time they are copied.
extension DiskStorage {
  /// Whether a slice of so many bytes is small enough to share its pages with others.
  public static func isPacked(_ count: Int) -> Bool { count < SegmentLayout.pagedBytes }

  /// Whether a large slice of a pinned segment was held against its checksum in this life.
  public func isVerified(_ slice: Slice, _ pin: SegmentPin) -> Bool {
    segments.isVerified(pin.segment, at: Int(slice.offset))
  }

  /// Notes that a slice of a pinned segment was hit, for the eviction of what was not.
  public func noteHit(_ slice: Slice, _ pin: SegmentPin) {
    segments.noteHit(pin.segment, at: Int(slice.offset))
  }

  /// Reads a large slice of `count` bytes from a pinned segment and marks it where it is what was written.
  ///
  /// May wait for the disk. Throws `corrupt` where the bytes are others or too few, and what the
  /// disk's reads throw.
  public func verify(_ slice: Slice, _ pin: SegmentPin, count: Int) throws(Fault) {
    var checksum = try SliceChecksum()
    var done = 0
    // All of it at once: the disk is kept busy while its first bytes are summed.
    _ = bringIn(pin, at: Int(slice.offset), count: count)
    var piece = ByteBuffer(capacity: min(count, Self.checkedBytes))
    while done < count {
      let offset = Int(slice.offset) + done
      let wanted = min(count - done, Self.checkedBytes)
      piece.clear()
      let got = try unsafe piece.fill(atLeast: wanted) { room throws(Fault) in
        try unsafe read(pin, at: offset, into: .init(rebasing: room[..<wanted]))
      }
      guard got == wanted else { throw Fault(.corrupt, .disk) }
      piece.withReadable { checksum.update($0) }
      done += got
      Thread.offerCore()
    }
    guard checksum.value == slice.checksum else { throw Fault(.corrupt, .disk) }
    segments.setVerified(pin.segment, at: Int(slice.offset))
  }

  /// Bytes of a slice that are read at once for a check: still near when they are summed, and soon over.
  private static let checkedBytes = 64 << 10
}
