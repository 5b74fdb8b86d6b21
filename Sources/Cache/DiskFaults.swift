import Base

/// Something that the cache writer is about to do to the disk.
enum DiskOperation: Equatable, Sendable {
  /// The cache's folder and its index.
  case open
  /// The names of the segment files.
  case list
  /// A new segment file of its full size.
  case create(segment: UInt32)
  /// Bytes into a segment.
  case write(segment: UInt32, offset: Int, count: Int)
  /// Waits until a segment's bytes are on the disk.
  case sync(segment: UInt32)
  /// Unlinks a segment's file.
  case remove(segment: UInt32)
  /// Takes bytes out of a segment for good: punched, or overwritten with zeros.
  case erase(segment: UInt32, offset: Int, count: Int)
  /// A write transaction of the index.
  case commit
}

/// A disk that fails or waits when a test says so: asked before each operation on it.
///
/// Storage without one does what it is told. One that throws from some operation on is a machine that
/// lost its power there.
class DiskFaults {
  init() {}

  /// Throws the fault that the operation shall meet.
  ///
  /// Called on the writer's thread.
  func before(_ operation: DiskOperation) throws(Fault) {}

  /// Throws the fault that a read of a segment shall meet.
  ///
  /// Called on workers' and disk threads.
  func beforeRead(_ segment: UInt32, offset: Int, count: Int) throws(Fault) {}

  /// Throws the fault that a read of the index's file, ahead of its use, shall meet.
  func beforeIndexRead(offset: Int) throws(Fault) {}

  /// How many bytes from an offset of a segment can be read without waiting, at most `count`.
  ///
  /// Nil leaves it to the kernel, which answers differently from run to run.
  func resident(_ segment: UInt32, offset: Int, count: Int) -> Int? { nil }

  /// What the queue is given in the place of a job: a test may listen to what its submitter hears.
  func taking(_ job: WriteJob) -> WriteJob { job }
}
