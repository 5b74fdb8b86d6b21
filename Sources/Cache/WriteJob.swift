public import Base

/// What became of a job of the cache writer; called on the writer's thread.
public enum WriteEvent: Equatable, Sendable {
  /// The slice is in its segment file and can be read from there; not yet safe against a crash.
  case written(Slice)
  /// Everything up to this commit is on the disk and in the index.
  ///
  /// A slice whose record was replaced or removed meanwhile is dropped without further word.
  case committed(sequence: UInt64)
  /// The keys are in the index no more: so many were there, and these bytes of them are on the disk
  /// until they are erased.
  case unlisted(objects: Int, [StoredBytes])
  /// The job was not done. Nothing else is reported of it.
  case failed(Fault)
}

/// Bytes in a segment file.
public struct StoredBytes: Equatable, Hashable, Sendable {
  public var segment: UInt32
  public var offset: UInt32
  public var count: Int

  public init(segment: UInt32, offset: UInt32, count: Int) {
    self.segment = segment
    self.offset = offset
    self.count = count
  }
}

/// Something for the cache writer to do.
public enum WriteJob: Sendable {
  public typealias Completion = @Sendable (WriteEvent) -> Void

  /// Puts a record in the place of whatever its key had.
  case put(key: Digest128, record: Record, Completion?)
  /// Stores a slice's bytes and enters them in the record of that stamp.
  case slice(key: Digest128, stamp: UInt64, index: Int, SliceBuffer, Completion?)
  /// Forgets a slice that did not read back as written, if it still is that one.
  case drop(key: Digest128, stamp: UInt64, index: Int, Slice)
  /// Forgets a key.
  case remove(key: Digest128, Completion?)
  /// Forgets keys at once, and tells which bytes they have on the disk.
  ///
  /// They are noted for erasing: the next life does it, if this one ends before. `lost` are keys that had
  /// no record: their bytes count too, unless they have one now.
  case unlist(keys: [Digest128], lost: [Digest128] = [], Completion)
  /// Takes bytes off the disk that `unlist` told of, once nobody sends them any more.
  ///
  /// Where a segment is leaving it is done only when that has gone: what it holds may have lost its names.
  case erase([StoredBytes], Completion?)
  /// Commits what is there now, without waiting for more.
  case flush(Completion?)

  /// Memory that the job holds, for the queue's bound.
  var bytes: Int {
    switch self {
    case .slice(_, _, _, let buffer, _): buffer.capacity
    case .put(_, let record, _):
      512 + record.key.count + record.etag.count + record.contentType.count
        + record.fields.reduce(0) { $0 + $1.name.count + $1.value.count }
    case .drop, .remove, .flush, .unlist, .erase: 128
    }
  }

  var completion: Completion? {
    switch self {
    case .put(_, _, let completion), .slice(_, _, _, _, let completion),
      .remove(_, let completion), .flush(let completion), .erase(_, let completion):
      completion
    case .unlist(_, _, let completion): completion
    case .drop: nil
    }
  }
}
