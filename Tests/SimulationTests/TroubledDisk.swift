import Base

@testable import Cache

/// The disk of one life of the gateway: fails, waits and dies as its seed says, and listens to what the
/// cache writer promises.
final class TroubledDisk: DiskFaults {
  private let troubles: Troubles
  private let ledger: Ledger
  private var random: SeededRandom
  /// How many of the next operations fail.
  private var failing = 0
  /// Off while storage is opened: what cannot be opened is no life.
  var isTroubled = false
  /// Operations until nothing reaches the disk any more; nil for a machine that lives on.
  var operationsLeft: Int?
  /// Called with each job that the writer is given: its thread would wake.
  var wakesWriter: () -> Void = {}
  private(set) var isDead = false
  /// What was written to each segment since its last sync.
  private(set) var unsynced: [UInt32: [Range<Int>]] = [:]

  init(_ troubles: Troubles, _ ledger: Ledger, seed: UInt64) {
    self.troubles = troubles
    self.ledger = ledger
    random = SeededRandom(seed: seed)
  }

  private static let broken = Fault(.io, .disk, errno: 5)

  func die() { isDead = true }

  override func before(_ operation: DiskOperation) throws(Fault) {
    if case .remove(let segment) = operation { ledger.evicted(segment) }
    if operationsLeft == 0 { isDead = true }
    operationsLeft = operationsLeft.map { $0 - 1 }
    if isDead { throw Self.broken }
    if isTroubled { try meetTrouble(operation) }
    switch operation {
    case .write(let segment, let offset, let count):
      unsynced[segment, default: []].append(offset..<offset + count)
    case .sync(let segment): unsynced[segment] = nil
    case .remove(let segment): unsynced[segment] = nil
    case .open, .list, .create, .erase, .commit: break
    }
  }

  private func meetTrouble(_ operation: DiskOperation) throws(Fault) {
    if random.chance(troubles.disk) { failing = random.number(in: 1...3) }
    guard failing > 0 else { return }
    failing -= 1
    switch operation {
    case .create where random.chance(0.5):
      ledger.foundDiskFull()
      throw DiskWriter.noSpace
    case .write where random.chance(0.5): throw DiskWriter.noSpace
    // LMDB's word for an environment that must be closed and opened again.
    case .commit where random.chance(0.3): throw Fault(.corrupt, .disk, errno: Index.panic)
    default: throw Self.broken
    }
  }

  override func beforeRead(_ segment: UInt32, offset: Int, count: Int) throws(Fault) {
    if random.chance(troubles.readFaults) { throw Self.broken }
  }

  /// Never the kernel's word, which is another one in each run.
  override func resident(_ segment: UInt32, offset: Int, count: Int) -> Int? {
    guard random.chance(troubles.waits) else { return count }
    return random.chance(0.5) ? 0 : random.number(in: 0...count)
  }

  override func taking(_ job: WriteJob) -> WriteJob {
    wakesWriter()
    return ledger.listening(to: job)
  }
}

/// What the cache writer has announced as committed, over all lives of a cache.
///
/// It is one thread's, as everything here; unchecked, since completions must be sendable.
final class Ledger: @unchecked Sendable {
  private struct Object {
    var stamp: UInt64
    /// How many segments had gone when its record was handed in.
    var evictions: Int
    var isAnnounced = false
    var slices: [Int: Slice] = [:]
    /// Slices that somebody asked to be forgotten.
    var dropped: Set<Int> = []
  }

  private struct SliceName: Hashable {
    var key: Digest128
    var stamp: UInt64
    var index: Int
  }

  private var objects: [Digest128: Object] = [:]
  private var written: [SliceName: Slice] = [:]
  private var gone: Set<UInt32> = []
  private var hasFoundDiskFull = false
  /// Not held: its disk holds this ledger.
  private weak var storage: DiskStorage?
  /// What has been announced and must be there, for a look at how much is held.
  private(set) var held = 0

  func evicted(_ segment: UInt32) { gone.insert(segment) }

  /// Notes that the process dies: a segment on its way out may have lost names, though the next process
  /// need not go on with it.
  func died() {
    if let leaving { gone.insert(leaving) }
  }

  /// The same job, whose completion tells the ledger too.
  func listening(to job: WriteJob) -> WriteJob {
    switch job {
    case .put(let key, let record, let completion):
      objects[key] = Object(stamp: record.stamp, evictions: gone.count)
      return .put(key: key, record: record) { [self] event in
        if objects[key]?.stamp == record.stamp {
          switch event {
          case .committed: objects[key]?.isAnnounced = true
          // What the index had before may still be there, or not.
          case .failed: objects[key] = nil
          case .written, .unlisted: break
          }
        }
        completion?(event)
      }
    case .slice(let key, let stamp, let index, let buffer, let completion):
      return .slice(key: key, stamp: stamp, index: index, buffer) { [self] event in
        if case .written(let slice) = event {
          written[SliceName(key: key, stamp: stamp, index: index)] = slice
        }
        if case .committed = event,
          let slice = written[SliceName(key: key, stamp: stamp, index: index)]
        {
          announced(key, stamp, index, slice)
        }
        completion?(event)
      }
    case .drop(let key, _, let index, _):
      objects[key]?.slices[index] = nil
      objects[key]?.dropped.insert(index)
    case .remove(let key, _): objects[key] = nil
    case .unlist(let keys, _, _): for key in keys { objects[key] = nil }
    default: break
    }
    return job
  }

  private func announced(_ key: Digest128, _ stamp: UInt64, _ index: Int, _ slice: Slice) {
    guard let object = objects[key], object.stamp == stamp, !object.dropped.contains(index) else {
      return
    }
    // With an eviction in between, or one that goes on, the record may be gone, and the slice with it.
    if object.evictions == gone.count && leaving == nil || isNamed(key, stamp, index, slice) {
      objects[key]?.slices[index] = slice
    }
  }

  private func isNamed(_ key: Digest128, _ stamp: UInt64, _ index: Int, _ slice: Slice) -> Bool {
    guard let reader = try? storage?.reader() else { return false }
    defer { reader.endTurn() }
    guard let found = try? reader.lookUp(key, { Record($0) }), let record = found else {
      return false
    }
    return record.stamp == stamp && (try? reader.slice(index, of: record, key)) == slice
  }

  /// From now on segments may leave before the cache is full: the disk holds less.
  func foundDiskFull() { hasFoundDiskFull = true }

  /// The segment whose names may be on their way out of the index already: the oldest of a full cache, or of one on a
  /// full disk.
  private var leaving: UInt32? {
    guard let storage,
      hasFoundDiskFull || storage.counters.snapshot.segments >= storage.options.segmentLimit
    else { return nil }
    return (1...UInt32(10_000)).first { storage.isLive($0) }
  }

  /// Complains of what was announced, was not evicted, and is not there.
  func check(_ fail: (String) -> Void) throws {
    guard let storage else { return }
    let leaving = leaving
    let reader = try storage.reader()
    held = 0
    for (key, object) in objects {
      let record = try reader.lookUp(key) { Record($0) } ?? nil
      let isThere = record?.stamp == object.stamp
      if object.isAnnounced, object.evictions == gone.count, leaving == nil {
        held += 1
        if !isThere { fail("an announced record is not in the index") }
      }
      for (index, slice) in object.slices
      where !gone.contains(slice.segment) && slice.segment != leaving {
        held += 1
        let found = try record.map { try reader.slice(index, of: $0, key) } ?? .absent
        if !isThere || found.checksum != slice.checksum || !storage.isLive(found.segment) {
          fail("slice \(index) was announced in segment \(slice.segment), and is not there")
        }
      }
    }
    reader.endTurn()
  }

  /// Goes on with the next life's storage, and checks it; what was never announced is forgotten.
  func begin(_ storage: DiskStorage, _ fail: (String) -> Void) throws {
    self.storage = storage
    try check(fail)
    let reader = try storage.reader()
    for (key, object) in objects {
      let record = try reader.lookUp(key) { Record($0) } ?? nil
      if record?.stamp != object.stamp { objects[key] = nil }
    }
    reader.endTurn()
  }
}

extension IndexReader {
  /// A slice of a record, or of its block.
  func slice(_ index: Int, of record: Record, _ key: Digest128) throws -> Slice {
    if !record.isLarge { return record.slices[index] }
    let (block, place) = index.quotientAndRemainder(dividingBy: SliceBlock.slices)
    return try slices(key, block: UInt32(block)) {
      SliceBlock.slice(place, stamp: record.stamp, in: $0)
    } ?? .absent
  }
}
