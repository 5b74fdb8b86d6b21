public import Base
public import System

/// A segment that stays readable until it is unpinned.
public struct SegmentPin: Equatable, Sendable {
  public var segment: UInt32
  /// The file for sendfile and reads.
  public var descriptor: Int32
}

extension DiskStorage {
  /// Keeps a segment readable for one transfer; nil where it is gone, which makes its slices a miss.
  public func pin(_ segment: UInt32) throws(Fault) -> SegmentPin? {
    guard let file = try segments.pin(segment) else { return nil }
    return SegmentPin(segment: segment, descriptor: file.descriptor)
  }

  /// Whether a segment can still be read: slices elsewhere are as good as absent.
  public func isLive(_ segment: UInt32) -> Bool { segments.isLive(segment) }

  /// Ends a pin; exactly once for each.
  public func unpin(_ pin: SegmentPin) { segments.unpin(pin.segment) }

  /// Reads what is in memory of a pinned segment, and never waits for the disk.
  public func readNow(
    _ pin: SegmentPin, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    let file = FileReference(descriptor: pin.descriptor)
    guard let faults else { return unsafe file.readNow(at: offset, into: buffer) }
    do throws(Fault) {
      try faults.beforeRead(pin.segment, offset: offset, count: buffer.count)
      let resident = faults.resident(pin.segment, offset: offset, count: buffer.count)
      guard let resident else { return unsafe file.readNow(at: offset, into: buffer) }
      if resident < buffer.count { return .wouldBlock }
      return .bytes(try unsafe file.read(at: offset, into: buffer))
    } catch {
      return .fault(error)
    }
  }

  /// Reads from a pinned segment and may wait for the disk; fewer bytes only at the segment's end.
  public func read(
    _ pin: SegmentPin, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    try faults?.beforeRead(pin.segment, offset: offset, count: buffer.count)
    return try unsafe FileReference(descriptor: pin.descriptor).read(at: offset, into: buffer)
  }

  /// Waits until bytes of a pinned segment are in memory, ahead of their use.
  ///
  /// False where that is not known to have gone well: a read then tells.
  public func bringIn(_ pin: SegmentPin, at offset: Int, count: Int) -> Bool {
    // A disk that fails when it is told to is read from, where it is told.
    guard faults == nil else { return false }
    return FileReference(descriptor: pin.descriptor).bringIn(offset: offset, count: count)
  }

  /// Has bytes of a pinned segment read into memory, and does not wait for them.
  public func willNeed(_ pin: SegmentPin, at offset: Int, count: Int) {
    guard faults == nil else { return }
    FileReference(descriptor: pin.descriptor).willNeed(offset: offset, count: count)
  }

  /// Whether bytes of a pinned segment are all in memory; true where nobody can tell.
  public func isResident(_ pin: SegmentPin, at offset: Int, count: Int) -> Bool {
    if let told = faults?.resident(pin.segment, offset: offset, count: count) {
      return told >= count
    }
    return FileReference(descriptor: pin.descriptor).isResident(offset: offset, count: count)
      ?? true
  }

  /// Drops bytes of a pinned segment from memory, so that they take no room from what is used often.
  ///
  /// May wait, but not for the disk.
  public func letGo(_ pin: SegmentPin, at offset: Int, count: Int) {
    guard faults == nil else { return }
    FileReference(descriptor: pin.descriptor).letGo(offset: offset, count: count)
  }

  /// How many bytes from `offset` on can be sent without waiting for the disk, at most `count`.
  public func residentPrefix(_ pin: SegmentPin, offset: Int, count: Int) -> Int {
    if let told = faults?.resident(pin.segment, offset: offset, count: count) { return told }
    return FileReference(descriptor: pin.descriptor).residentPrefix(offset: offset, count: count)
  }
}
