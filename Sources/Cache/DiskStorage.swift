public import Base
import Synchronization
import System

/// Records and bodies on this machine's disk: the index, the segments and their writer.
///
/// Workers read through an `IndexReader` each and pin segments; whatever changes goes to the writer as a
/// job. Where the index breaks, or the folder goes, storage closes the one and opens another by itself
/// (see `StorageKeeper`); meanwhile every look-up is a miss and every job fails. Sharing is safe
/// because the keeper is touched by its thread alone once that is started, and before and after
/// by the owner alone.
public final class DiskStorage: @unchecked Sendable {
  public let options: CacheOptions
  public let segments: SegmentTable
  public let counters: StorageCounters
  /// The index that could not be used and was set aside at opening, if any.
  public let setAside: Index.SetAside?
  /// The secret that keys are hashed with.
  private let secret: SipKey
  /// Part of every stamp.
  private let stampLife: UInt64
  /// What the disk's operations meet, in tests.
  let faults: DiskFaults?

  let shelf: IndexShelf
  private let queue: WriteQueue
  let keeper: StorageKeeper
  private let stamps = Atomic<UInt64>(0)
  private let life = Mutex(Life())

  private struct Life: ~Copyable {
    var thread: Thread?
    var isEnded = false
  }

  /// Opens the cache in its folder, or makes it; takes milliseconds at any size.
  ///
  /// Where the disk is full, read-only or failing it begins without, and is opened when the disk lets it.
  /// Throws where the folder cannot be used for another reason, with EAGAIN where another process uses it,
  /// or the options cannot (`malformed`).
  public convenience init(_ options: CacheOptions, wallSeconds: Int64) throws(Fault) {
    try self.init(options, wallSeconds: wallSeconds, secret: nil, faults: nil)
  }

  /// The same for tests: with a given secret for a new index, and a disk that fails when it is told to.
  init(
    _ options: CacheOptions, wallSeconds: Int64, secret: SipKey?, faults: DiskFaults?
  ) throws(Fault) {
    guard options.problem == nil else { throw Fault(.malformed, .own) }
    counters = StorageCounters()
    shelf = IndexShelf(nil)
    keeper = try StorageKeeper(
      options, shelf, counters, faults, lineage: secret.map { Index.Lineage(secret: $0) },
      wallSeconds: wallSeconds)
    guard let identity = keeper.identity else { throw Fault(.unavailable, .disk) }
    self.options = options
    self.secret = identity.secret
    stampLife = identity.life
    setAside = keeper.setAside
    segments = keeper.table
    self.faults = faults
    queue = WriteQueue(limit: options.queueBytes, counters: counters)
  }

  /// Has `tell` called at each event, on the writer's thread; before `start`.
  public func onEvent(_ tell: @escaping @Sendable (StorageEvent) -> Void) {
    keeper.tell = tell
    if let fault = keeper.unopened { tell(.unopened(fault)) }
    if let shortage = shelf.index?.shortage { tell(.unreserved(shortage)) }
  }

  /// A reader for one thread, which has `wake` called (on any thread) when its turn should end soon.
  public func reader(wake: (@Sendable () -> Void)? = nil) throws(Fault) -> IndexReader {
    if let wake { shelf.onChange(wake) }
    return try IndexReader(shelf)
  }

  /// The key of canonical key bytes.
  public func hash(_ canonicalKey: RawSpan) -> Digest128 {
    SipHash.hash128(canonicalKey, key: secret)
  }

  /// A number that no other record of this index has had.
  public func newStamp() -> UInt64 {
    let number = stamps.add(1, ordering: .relaxed).newValue
    return stampLife << 40 | number & 0xff_ffff_ffff
  }

  /// Hands a job to the writer; false where the queue is full or the writer has ended.
  ///
  /// A job that is not taken is not done, and its completion is never called.
  ///
  /// With `isAnnounced` the caller calls `announce` soon: one wake-up of the writer for many jobs.
  public func submit(_ job: WriteJob, isAnnounced: Bool = false) -> Bool {
    queue.submit(faults?.taking(job) ?? job, isAnnounced: isAnnounced)
  }

  /// Tells the writer of the jobs that it has not been woken for.
  public func announce() { queue.announce() }

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
    guard keeper.nextTurn <= now else { return false }
    keeper.turn(now: now, wallSeconds: wallSeconds)
    return true
  }

  /// The upkeep that is due by the clock alone, for storage that was not started.
  func upkeep(now: Instant, wallSeconds: Int64) {
    keeper.turn(now: now, wallSeconds: wallSeconds)
  }

  /// Reads the index's file through once, so that look-ups find it in memory; takes as long as it takes.
  ///
  /// From then on an index that fits well stays there like everything else that is in use. One that its disk
  /// cannot give is set aside: a look-up that met the place would end the process, at every start.
  public func warmIndex() throws(Fault) {
    guard shelf.index != nil else { return }
    let file = try File(path: options.path + "/" + Index.folderName + "/data.mdb", .read)
    var buffer = ByteBuffer(capacity: 1 << 20)
    var offset = 0
    while true {
      let got: Int
      do throws(Fault) {
        got = try read(file.reference, at: offset, into: &buffer)
      } catch {
        // EIO: once more, since a bus or a network may have been at fault, and no sector.
        guard error.errno == SystemError.inputOutput else { throw error }
        do throws(Fault) {
          got = try read(file.reference, at: offset, into: &buffer)
        } catch {
          shelf.suspect(Fault(.corrupt, .disk, errno: error.errno))
          throw error
        }
      }
      if got == 0 { break }
      if life.withLock({ $0.isEnded }) { return }
      offset += got
      buffer.clear()
    }
    // Larger ones go on being read page by page: what is read around one page would drive out others.
    if offset <= MemoryLimit.bytes / 4 { try file.keepMapped() }
  }

  private func read(
    _ file: FileReference, at offset: Int, into buffer: inout ByteBuffer
  ) throws(Fault) -> Int {
    try faults?.beforeIndexRead(offset: offset)
    return try unsafe buffer.fill { tail throws(Fault) in
      try unsafe file.read(at: offset, into: tail)
    }
  }

  private func perform(_ job: WriteJob, now: Instant, wallSeconds: Int64) {
    keeper.perform(job, now: now, wallSeconds: wallSeconds)
    queue.finish(job)
    keeper.commitIfFull(now: now, wallSeconds: wallSeconds)
  }

  private func run() {
    var isStopping = false
    var trimmed = Clock.now
    while !isStopping {
      let now = Clock.now
      if now - trimmed >= Self.trimPeriod {
        trimmed = now
        SliceMemory.trim()
      }
      var (jobs, stop) = queue.take(until: min(keeper.nextTurn, now + Self.idleTurn))
      isStopping = stop
      // From the end, so that each is let go when it is done: its memory is wanted.
      jobs.reverse()
      while let job = jobs.popLast() {
        // What came before the fault gives way to what takes content away, and to what comes after the pause.
        if keeper.isFailing(job, at: Clock.now) {
          keeper.refuse(job)
          queue.finish(job)
          continue
        }
        // Room may come by itself within moments.
        if job.addsBytes, keeper.pausedUntil > Clock.now { queue.pause(until: keeper.pausedUntil) }
        perform(job, now: Clock.now, wallSeconds: Clock.wallSeconds)
      }
      // A disk that failed is given time; jobs pile up to the queue's bound and no further.
      if keeper.pausedUntil > Clock.now { queue.pause(until: keeper.pausedUntil) }
      keeper.turn(now: Clock.now, wallSeconds: Clock.wallSeconds)
    }
    keeper.close(now: Clock.now, wallSeconds: Clock.wallSeconds)
  }

  /// How often the writer looks after pins and dead readers when nothing happens.
  private static let idleTurn = Interval.seconds(1)
  /// How long memory lies idle before half of it goes back to the system.
  private static let trimPeriod = Interval.seconds(60)
}
