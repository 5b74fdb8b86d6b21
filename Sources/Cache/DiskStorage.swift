public import Base
import Synchronization
import System

/// Records and bodies on this machine's disk: the index, the segments and their writer.
///
/// Workers read through an `IndexReader` each and pin segments; whatever changes goes to the writer as a
/// job. Sharing is safe because the writer is touched by its thread alone once that is started, and
/// before and after by the owner alone.
public final class DiskStorage: @unchecked Sendable {
  public let options: CacheOptions
  public let index: Index
  public let segments: SegmentTable
  public let counters: StorageCounters
  /// The index that could not be used and was set aside at opening, if any.
  public let setAside: Index.SetAside?

  /// Locked for as long as the cache is open: two writers would delete each other's segments.
  private let lock: File
  private let queue: WriteQueue
  private let writer: DiskWriter
  private let stamps = Atomic<UInt64>(0)
  private let life = Mutex(Life())

  private struct Life: ~Copyable {
    var thread: Thread?
    var isEnded = false
  }

  /// Opens the cache in its folder, or makes it; takes milliseconds at any size.
  ///
  /// Throws where the folder cannot be used, with EAGAIN where another process uses it, or the options
  /// cannot (`malformed`).
  public init(_ options: CacheOptions, wallSeconds: Int64) throws(Fault) {
    guard options.problem == nil else { throw Fault(.malformed, .own) }
    try Folder.create(options.path)
    lock = try File(path: options.path + "/lock", .create)
    try lock.lock()
    let opening = try Index.open(
      folder: options.path, mapBytes: options.indexSize, wallSeconds: wallSeconds)
    self.options = options
    index = opening.index
    setAside = opening.setAside
    writer = try DiskWriter(options: options, index: index, wallSeconds: wallSeconds)
    segments = writer.table
    counters = writer.counters
    queue = WriteQueue(limit: options.queueBytes, counters: counters)
  }

  /// A reader for one thread.
  public func reader() throws(Fault) -> IndexReader {
    try index.reader()
  }

  /// The key of canonical key bytes.
  public func hash(_ canonicalKey: RawSpan) -> Digest128 { index.hash(canonicalKey) }

  /// A number that no other record of this index has had.
  public func newStamp() -> UInt64 {
    let number = stamps.add(1, ordering: .relaxed).newValue
    return index.life << 40 | number & 0xff_ffff_ffff
  }

  /// Hands a job to the writer; false where the queue is full or the writer has ended.
  ///
  /// A job that is not taken is not done, and its completion is never called.
  public func submit(_ job: WriteJob) -> Bool { queue.submit(job) }

  /// Starts the writer's thread; once.
  public func start() throws(Fault) {
    try life.withLock { life throws(Fault) in
      guard life.thread == nil, !life.isEnded else { return }
      life.thread = try Thread(name: "cache-writer") { [self] in run() }
    }
  }

  /// Ends the writer after the jobs that it has, and waits for that; for the owner, once.
  public func stop() {
    queue.stop()
    var wasEnded = false
    let thread = life.withLock { life in
      wasEnded = life.isEnded
      life.isEnded = true
      return life.thread.take()
    }
    if let thread {
      thread.join()
    } else if !wasEnded {
      run()
    }
  }

  /// Does the oldest job, or the upkeep that is due, on the caller's thread; false when there is none.
  ///
  /// Only for storage that was not started.
  public func step(now: Instant, wallSeconds: Int64) -> Bool {
    if let job = queue.takeOne() {
      perform(job, now: now, wallSeconds: wallSeconds)
      return true
    }
    guard writer.nextTurn <= now else { return false }
    writer.turn(now: now, wallSeconds: wallSeconds)
    return true
  }

  /// Reads the index's file through once, so that look-ups find it in memory; takes as long as it takes.
  public func warmIndex() throws(Fault) {
    let file = try File(path: options.path + "/" + Index.folderName + "/data.mdb", .read)
    var buffer = ByteBuffer(capacity: 1 << 20)
    var offset = 0
    while true {
      let got = try unsafe buffer.fill { tail throws(Fault) in
        try unsafe file.read(at: offset, into: tail)
      }
      if got == 0 { return }
      offset += got
      buffer.clear()
    }
  }

  private func perform(_ job: WriteJob, now: Instant, wallSeconds: Int64) {
    writer.perform(job, now: now, wallSeconds: wallSeconds)
    queue.finish(job)
    writer.commitIfFull(now: now, wallSeconds: wallSeconds)
  }

  private func run() {
    var isStopping = false
    while !isStopping {
      let now = Clock.now
      let (jobs, stop) = queue.take(until: min(writer.nextTurn, now + Self.idleTurn))
      isStopping = stop
      for job in jobs {
        let now = Clock.now
        // A disk that failed is given time; jobs pile up to the queue's bound and no further.
        if writer.pausedUntil > now { queue.pause(until: writer.pausedUntil) }
        perform(job, now: Clock.now, wallSeconds: Clock.wallSeconds)
      }
      if writer.pausedUntil > Clock.now { queue.pause(until: writer.pausedUntil) }
      writer.turn(now: Clock.now, wallSeconds: Clock.wallSeconds)
    }
    writer.close(now: Clock.now, wallSeconds: Clock.wallSeconds)
  }

  /// How often the writer looks after pins and dead readers when nothing happens.
  private static let idleTurn = Interval.seconds(1)
}
