import Base
import Synchronization
import System

/// Keeps a writer for the storage: closes one whose index broke or whose folder went, and opens the next.
///
/// An index closes only when every reader has let go of it: LMDB must not have a file open twice in
/// one process. Until then, and until an opening goes well, jobs fail; that is tried again for ever,
/// at growing intervals. Only the writer's thread calls it; it reads no clock.
final class StorageKeeper {
  let table: SegmentTable
  private(set) var setAside: Index.SetAside?
  var tell: @Sendable (StorageEvent) -> Void = { _ in }

  private let options: CacheOptions
  private let shelf: IndexShelf
  private let counters: StorageCounters
  private let faults: DiskFaults?
  private var lineage: Index.Lineage?
  private var writer: DiskWriter?
  /// Locked for as long as the cache is open: two writers would delete each other's segments.
  private var lock: File?
  /// What the next writer takes over from the last.
  private var legacy = DiskWriter.Legacy()
  /// The index that is closing: gone when its last reader has let go.
  private weak var closing: Index?
  /// Why the next opening sets the index aside, if it does.
  private var distrust: Index.Suspicion?
  private var nextOpening = Instant.zero
  private var pause = StorageKeeper.firstPause
  private var lastLook: Instant?
  /// The first turn of this life.
  private var began: Instant?
  /// Whether this life has lasted, so that the deaths of those before it were not the index's fault.
  private var isProven = false
  /// Why the cache could not be opened, as it was told last; nil while it is open.
  private(set) var unopened: Fault?
  /// Whether it has been open in this life.
  private var hasBegun = false

  /// Deaths by a fatal signal soon after opening until the index is suspected.
  static let crashLimit = 3
  /// What a disk says that may be better later: EIO, ENOSPC, EROFS and EDQUOT.
  static let passing: Set<Int32> = [
    SystemError.inputOutput, SystemError.noSpace, SystemError.readOnly, SystemError.quotaExceeded,
  ]
  static let firstPause = Interval.milliseconds(100)
  static let longestPause = Interval.seconds(5)
  /// How often it is asked whether the last reader has let go.
  static let closingPause = Interval.milliseconds(10)
  /// How often it is looked whether the folder is still there.
  static let lookPause = Interval.seconds(2)

  /// Opens the cache for the first time, or begins without it where the disk refuses that.
  ///
  /// Throws where the folder cannot be used for another reason.
  init(
    _ options: CacheOptions, _ shelf: IndexShelf, _ counters: StorageCounters,
    _ faults: DiskFaults?, lineage: Index.Lineage?, wallSeconds: Int64
  ) throws(Fault) {
    self.options = options
    self.shelf = shelf
    self.counters = counters
    self.faults = faults
    self.lineage = lineage
    // A smaller max_size than before finds more than it may keep.
    let folder = options.path + "/segments"
    let found = (try? Folder.names(in: folder))?.count ?? 0
    table = SegmentTable(folder: folder, limit: max(options.segmentLimit, found))
    do throws(Fault) {
      try open(wallSeconds)
    } catch {
      try begin(without: error)
    }
  }

  /// What keys are hashed with, and the life that stamps are of.
  var identity: Index.Lineage? { lineage }

  /// When `turn` has something to do without a new job; `never` where it has not.
  var nextTurn: Instant { writer?.nextTurn ?? nextOpening }

  /// No work before this: the disk failed.
  var pausedUntil: Instant { writer?.pausedUntil ?? .zero }

  /// Whether a job would only meet the fault of one before it.
  func isFailing(_ job: WriteJob, at now: Instant) -> Bool {
    job.addsBytes && now < (writer?.failingUntil ?? .zero)
  }

  /// Has a job fail without a try.
  func refuse(_ job: WriteJob) {
    counters.refusals.add(1, ordering: .relaxed)
    job.completion?(.failed(Fault(.unavailable, .disk)))
  }

  func perform(_ job: WriteJob, now: Instant, wallSeconds: Int64) {
    guard let writer else {
      counters.refusals.add(1, ordering: .relaxed)
      // Those keys are in no index any more: nobody would name these bytes again.
      if case .erase(let bytes, _) = job { legacy.unerased += bytes }
      job.completion?(.failed(Fault(.unavailable, .disk)))
      return
    }
    writer.perform(job, now: now, wallSeconds: wallSeconds)
    closeIfBroken(now, wallSeconds)
  }

  func commitIfFull(now: Instant, wallSeconds: Int64) {
    writer?.commitIfFull(now: now, wallSeconds: wallSeconds)
    closeIfBroken(now, wallSeconds)
  }

  /// The upkeep that is due, of the writer or of its absence.
  func turn(now: Instant, wallSeconds: Int64) {
    forgetCrashes(now)
    if let writer {
      writer.turn(now: now, wallSeconds: wallSeconds)
      look(now)
      closeIfBroken(now, wallSeconds)
      return
    }
    guard nextOpening <= now else { return }
    guard closing == nil else {
      nextOpening = now + Self.closingPause
      return
    }
    do throws(Fault) {
      try open(wallSeconds)
      pause = Self.firstPause
      if let setAside { tell(.setAside(setAside)) }
      if let shortage = writer?.index.shortage { tell(.unreserved(shortage)) }
      tell(.reopened)
      unopened = nil
    } catch {
      counters.writeFaults.add(1, ordering: .relaxed)
      if unopened != error { tell(.unopened(error)) }
      unopened = error
      nextOpening = now + pause
      pause = min(Interval(nanoseconds: pause.nanoseconds * 2), Self.longestPause)
    }
  }

  func close(now: Instant, wallSeconds: Int64) {
    writer?.close(now: now, wallSeconds: wallSeconds)
    removeCrashMarks()
  }

  // MARK: Opening and closing

  /// Begins a life without the cache, on a disk that takes nothing now.
  ///
  /// An index that is there can be found later: keys are hashed as it does, and this life counts as one.
  private func begin(without fault: Fault) throws(Fault) {
    guard Self.passing.contains(fault.errno) else { throw fault }
    var known: Index.Lineage?
    do throws(Fault) {
      known = try Index.lineage(in: options.path)
    } catch {
      throw fault
    }
    let secret =
      if let known = known ?? lineage { known.secret } else { try SipKey.random() }
    lineage = Index.Lineage(secret: secret, life: (known?.life ?? 0) + 1)
    distrust = nil
    unopened = fault
  }

  private func open(_ wallSeconds: Int64) throws(Fault) {
    do throws(Fault) {
      try openIndex(wallSeconds)
    } catch {
      // An index that opens may still say of itself or of the segments what cannot be.
      guard error.kind == .corrupt, error.errno != Index.panic else { throw error }
      distrust = distrust ?? .damaged
      try openIndex(wallSeconds)
    }
  }

  private func openIndex(_ wallSeconds: Int64) throws(Fault) {
    try faults?.before(.open)
    try Folder.create(options.path)
    let place = options.path + "/lock"
    // Another folder may have come in the place of the one that was locked.
    if try lock?.reference.isAt(place) != true {
      let file = try File(path: place, .create)
      try file.lock()
      lock = consume file
    }
    if distrust == nil, CrashMarks.count(at: options.crashMarks) >= Self.crashLimit {
      distrust = .crashes
    }
    // A disk that was not mounted at the start may bring an index with keys of its own. It is not this life's to
    // set aside.
    if !hasBegun, let lineage, lineage.life > 0, distrust == nil,
      let there = try? Index.lineage(in: options.path), there.secret != lineage.secret
    {
      throw Fault(.unavailable, .disk)
    }
    let opening = try Index.open(
      folder: options.path, mapBytes: options.indexSize, wallSeconds: wallSeconds,
      lineage: lineage, distrust: distrust)
    let index = opening.index
    // LMDB maps as much as is in use, also where max_size allows less now.
    if distrust == nil, index.mapBytes + 2 * options.segmentSize > options.maxSize {
      distrust = .tooLarge
      throw Fault(.corrupt, .disk)
    }
    index.faults = faults
    // In a small cache there is no room for both and for content.
    let wanted = index.mapBytes + 3 * options.segmentSize
    if wanted + Index.asideBytes(in: options.path) > options.maxSize {
      Index.removeAsides(in: options.path)
    }
    // A reader may have met what it met in the index before this one.
    _ = shelf.takeSuspicion()
    let writer: DiskWriter
    do throws(Fault) {
      writer = try DiskWriter(
        options: options, index: index, table: table, counters: counters, legacy: legacy,
        wallSeconds: wallSeconds, faults: faults)
    } catch {
      // This life has not begun: it shall not count among those that ended badly.
      try? index.write { tables throws(Fault) in
        try tables.set(.uncleanExits, max(try tables.number(.uncleanExits) ?? 0, 1) - 1)
      }
      throw error
    }
    setAside = opening.setAside
    // They were the old index's.
    if setAside != nil { removeCrashMarks() }
    distrust = nil
    lineage = Index.Lineage(secret: index.secret, life: index.life)
    self.writer = writer
    legacy = DiskWriter.Legacy()
    shelf.put(index)
    hasBegun = true
    counters.isOpen.store(true, ordering: .relaxed)
  }

  /// Lets the deaths of earlier lives be forgotten once this one has lasted.
  private func forgetCrashes(_ now: Instant) {
    guard !isProven else { return }
    let began = began ?? now
    self.began = began
    guard now - began >= DiskWriter.provenTime else { return }
    isProven = true
    removeCrashMarks()
  }

  private func removeCrashMarks() {
    do throws(Fault) {
      try Folder.removeAll(options.crashMarks)
    } catch {
      counters.writeFaults.add(1, ordering: .relaxed)
    }
  }

  /// Looks, now and then, whether the folder is still the one that was opened.
  private func look(_ now: Instant) {
    guard let writer, now - (lastLook ?? .zero) >= Self.lookPause else { return }
    lastLook = now
    // What the writer itself has met says more.
    guard writer.breakage == nil else { return }
    switch shelf.takeSuspicion() {
    case .damage: writer.breakage = .damaged
    case .panic: writer.breakage = .index(Fault(.corrupt, .disk, errno: Index.panic))
    case nil: break
    }
    if !writer.index.isInPlace() { writer.breakage = .vanished }
  }

  private func closeIfBroken(_ now: Instant, _ wallSeconds: Int64) {
    guard let writer else { return }
    if !writer.fullness.news.isEmpty {
      for event in writer.fullness.takeNews() { tell(event) }
    }
    guard let why = writer.breakage else { return }
    switch why {
    case .vanished: tell(.vanished)
    case .index(let fault): tell(.closed(fault))
    case .damaged:
      distrust = .damaged
      tell(.closed(Fault(.corrupt, .disk)))
    case .full:
      distrust = .full
      tell(.closed(Fault(.exhausted, .disk)))
    }
    counters.reopenings.add(1, ordering: .relaxed)
    legacy = writer.retire()
    closing = writer.index
    self.writer = nil
    shelf.put(nil)
    counters.isOpen.store(false, ordering: .relaxed)
    nextOpening = now
  }
}
