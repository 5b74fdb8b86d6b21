public import Synchronization

/// What storage counts; written by its writer, read by anybody.
public final class StorageCounters: Sendable {
  /// Whether the cache is open; without it nothing is found and nothing kept.
  public let isOpen = Atomic<Bool>(false)
  /// Whether others have filled the disk: `StorageEvent.full` has told of it, and `roomy` has not yet.
  public let isDiskFull = Atomic<Bool>(false)
  /// Bytes that segments and the index's map take, evicted ones until their last pin goes included.
  public let bytesUsed = Atomic<Int>(0)
  /// Records in the index.
  public let entries = Atomic<Int>(0)
  /// Segments that can be read.
  public let segments = Atomic<Int>(0)
  /// Segments evicted since the start.
  public let evictions = Atomic<Int>(0)
  /// The last commit's number; grows with every commit of the index's whole life.
  public let sequence = Atomic<UInt64>(0)
  /// Writes, syncs and commits that failed since the start.
  public let writeFaults = Atomic<Int>(0)
  /// Slices and records that were refused because of such a failure, or for want of room.
  public let refusals = Atomic<Int>(0)
  /// Slices that moved on when their segment was evicted, since they had been hit.
  public let movedSlices = Atomic<Int>(0)
  /// Keys that evictions have taken out of the index since the start.
  public let forgottenKeys = Atomic<Int>(0)
  /// How often the cache was closed and opened again since its index broke or its folder went.
  public let reopenings = Atomic<Int>(0)
  /// Bytes that were taken off the disk since somebody asked for that.
  public let erasedBytes = Atomic<Int>(0)
  /// When the oldest segment was begun, in seconds since 1970; 0 where there is none.
  public let oldestSegment = Atomic<Int>(0)
  /// Bytes that wait for the writer.
  public let queuedBytes = Atomic<Int>(0)

  init() {}

  /// All of them at about one moment.
  public struct Snapshot: Equatable, Sendable {
    public var isOpen: Bool
    public var bytesUsed: Int
    public var entries: Int
    public var segments: Int
    public var evictions: Int
    public var sequence: UInt64
    public var writeFaults: Int
    public var refusals: Int
    public var movedSlices: Int
    public var forgottenKeys: Int
    public var reopenings: Int
    public var erasedBytes: Int
    public var oldestSegment: Int
    public var queuedBytes: Int
  }

  public var snapshot: Snapshot {
    Snapshot(
      isOpen: isOpen.load(ordering: .relaxed),
      bytesUsed: bytesUsed.load(ordering: .relaxed),
      entries: entries.load(ordering: .relaxed),
      segments: segments.load(ordering: .relaxed),
      evictions: evictions.load(ordering: .relaxed),
      sequence: sequence.load(ordering: .acquiring),
      writeFaults: writeFaults.load(ordering: .relaxed),
      refusals: refusals.load(ordering: .relaxed),
      movedSlices: movedSlices.load(ordering: .relaxed),
      forgottenKeys: forgottenKeys.load(ordering: .relaxed),
      reopenings: reopenings.load(ordering: .relaxed),
      erasedBytes: erasedBytes.load(ordering: .relaxed),
      oldestSegment: oldestSegment.load(ordering: .relaxed),
      queuedBytes: queuedBytes.load(ordering: .relaxed))
  }
}
