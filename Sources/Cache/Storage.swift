public import Base
public import System

/// A segment that stays readable until it is unpinned.
public struct SegmentPin: Equatable, Sendable {
  public var segment: UInt32
  /// The file for sendfile and reads; -1 in memory storage.
  public var descriptor: Int32
}

/// Where records and bodies are kept: the disk, or a simulation's memory.
public enum Storage: Sendable {
  case disk(DiskStorage)
  case memory(MemoryStorage)

  public var options: CacheOptions {
    switch self {
    case .disk(let disk): disk.options
    case .memory(let memory): memory.options
    }
  }

  public var counters: StorageCounters {
    switch self {
    case .disk(let disk): disk.counters
    case .memory(let memory): memory.counters
    }
  }

  /// The key of canonical key bytes.
  public func hash(_ canonicalKey: RawSpan) -> Digest128 {
    switch self {
    case .disk(let disk): disk.hash(canonicalKey)
    case .memory(let memory): memory.hash(canonicalKey)
    }
  }

  /// A number that no other record of this storage has had.
  public func newStamp() -> UInt64 {
    switch self {
    case .disk(let disk): disk.newStamp()
    case .memory(let memory): memory.newStamp()
    }
  }

  /// Hands a job to the writer; false where it is not taken, and then its completion never runs.
  public func submit(_ job: WriteJob) -> Bool {
    switch self {
    case .disk(let disk): disk.submit(job)
    case .memory(let memory): memory.submit(job)
    }
  }

  public func reader() throws(Fault) -> StorageReader {
    switch self {
    case .disk(let disk): .disk(try disk.reader())
    case .memory(let memory): .memory(memory)
    }
  }

  /// Keeps a segment readable for one transfer; nil where it is gone, which makes its slices a miss.
  public func pin(_ segment: UInt32) throws(Fault) -> SegmentPin? {
    switch self {
    case .disk(let disk):
      guard let file = try disk.segments.pin(segment) else { return nil }
      return SegmentPin(segment: segment, descriptor: file.descriptor)
    case .memory(let memory):
      return memory.pin(segment) ? SegmentPin(segment: segment, descriptor: -1) : nil
    }
  }

  /// Whether a segment can still be read: slices elsewhere are as good as absent.
  public func isLive(_ segment: UInt32) -> Bool {
    switch self {
    case .disk(let disk): disk.segments.isLive(segment)
    case .memory(let memory): memory.isLive(segment)
    }
  }

  /// Ends a pin; exactly once for each.
  public func unpin(_ pin: SegmentPin) {
    switch self {
    case .disk(let disk): disk.segments.unpin(pin.segment)
    case .memory(let memory): memory.unpin(pin.segment)
    }
  }

  /// Reads what is in memory of a pinned segment, and never waits for the disk.
  public func readNow(
    _ pin: SegmentPin, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) -> ReadNow {
    switch self {
    case .disk: unsafe FileReference(descriptor: pin.descriptor).readNow(at: offset, into: buffer)
    case .memory(let memory): unsafe memory.read(pin.segment, at: offset, into: buffer)
    }
  }

  /// Reads from a pinned segment and may wait for the disk; fewer bytes only at the segment's end.
  public func read(
    _ pin: SegmentPin, at offset: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Fault) -> Int {
    switch self {
    case .disk:
      return try unsafe FileReference(descriptor: pin.descriptor).read(at: offset, into: buffer)
    case .memory(let memory):
      switch unsafe memory.read(pin.segment, at: offset, into: buffer) {
      case .bytes(let count): return count
      case .wouldBlock: return 0
      case .fault(let fault): throw fault
      }
    }
  }

  /// How many bytes from `offset` on can be sent without waiting for the disk, at most `count`.
  public func residentPrefix(_ pin: SegmentPin, offset: Int, count: Int) -> Int {
    switch self {
    case .disk:
      FileReference(descriptor: pin.descriptor).residentPrefix(offset: offset, count: count)
    case .memory: count
    }
  }
}

/// One worker's way to read records, of either kind of storage.
public enum StorageReader {
  case disk(IndexReader)
  case memory(MemoryStorage)

  /// Gives `body` the bytes of a key's record (see `RecordView`), in place; nil where there is none.
  public func lookUp<Result>(
    _ key: Digest128, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    switch self {
    case .disk(let reader): try reader.lookUp(key, body)
    case .memory(let memory): memory.lookUp(key, body)
    }
  }

  /// Gives `body` the bytes of a large object's block of slices (see `SliceBlock`), in place.
  public func slices<Result>(
    _ key: Digest128, block number: UInt32, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    switch self {
    case .disk(let reader): try reader.slices(key, block: number, body)
    case .memory(let memory): memory.slices(key, block: number, body)
    }
  }

  /// Ends the turn's read transaction; every turn of a loop that looked something up calls it.
  public func endTurn() {
    if case .disk(let reader) = self { reader.endTurn() }
  }
}
