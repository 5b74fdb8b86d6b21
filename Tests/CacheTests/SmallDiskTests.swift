import Base
import Foundation
import Synchronization
import System
import Testing

@testable import Cache

/// A disk that holds less than `max_size` promises.
@Suite(.serialized) struct SmallDiskTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// Room for so many segments, and no more.
  final class SmallDisk: DiskFaults {
    var room: Int
    var segments: Set<UInt32> = []
    /// Segments that readers have in hand: unlinking them frees nothing yet.
    var held: Set<UInt32> = []
    var failures = 0
    /// What a segment that has no room meets.
    let fault: Fault

    init(room: Int, fault: Fault = DiskWriter.noSpace) { (self.room, self.fault) = (room, fault) }

    override func before(_ operation: DiskOperation) throws(Fault) {
      switch operation {
      case .create(let segment):
        guard segments.count < room else {
          failures += 1
          throw fault
        }
        segments.insert(segment)
      case .remove(let segment) where !held.contains(segment): segments.remove(segment)
      default: break
      }
    }
  }

  func open(_ faults: SmallDisk) throws -> DiskStorage {
    try DiskStorage(folder.options(segments: 12), wallSeconds: wall, secret: nil, faults: faults)
  }

  func store(_ disk: DiskStorage, _ text: String, _ byte: UInt8, count: Int = 800_000) {
    let body = [UInt8](repeating: byte, count: count)
    let record = disk.newRecord(text, body.count)
    let key = disk.text(text)
    #expect(disk.submit(.put(key: key, record: record, nil)))
    let buffer = SliceBuffer(body)
    #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: 0, buffer, nil)))
  }

  /// So much time in steps of ten milliseconds; as with the writer's thread, jobs wait for its pauses.
  func pass(_ disk: DiskStorage, from start: Instant, milliseconds: Int) {
    for tick in 0..<milliseconds / 10 {
      let now = start + .milliseconds(10 * tick)
      while disk.keeper.pausedUntil <= now, disk.step(now: now, wallSeconds: wall) {}
    }
  }

  func pin(_ disk: DiskStorage, _ text: String) throws -> (Slice, SegmentPin) {
    let slice = try #require(try disk.record(disk.text(text))?.slices[0], "\(text)")
    return (slice, try #require(try disk.pin(slice.segment), "\(text)"))
  }

  /// A full disk may refuse a file's name already, and a quota is a disk of its own.
  @Test(arguments: [
    DiskWriter.noSpace, Fault(.io, .disk, errno: SystemError.noSpace),
    Fault(.io, .disk, errno: SystemError.quotaExceeded),
  ])
  func whatItHoldsIsLearnedAtTheFirstFailure(fault: Fault) throws {
    let small = SmallDisk(room: 5, fault: fault)
    let disk = try open(small)
    func fill(_ numbers: Range<Int>, hitting hot: String? = nil) throws {
      for number in numbers {
        store(disk, "filler \(number)", UInt8(number))
        pass(disk, from: .zero + .seconds(number), milliseconds: 400)
        guard let hot else { continue }
        let (slice, pin) = try pin(disk, hot)
        disk.noteHit(slice, pin)
        disk.unpin(pin)
      }
    }
    try fill(0..<30)
    #expect(small.failures == 1)
    // What is hit moves on as on a disk that holds all of max_size.
    store(disk, "hot", 255)
    try fill(30..<58, hitting: "hot")
    let counts = disk.counters.snapshot
    #expect(counts.evictions > 5 && counts.movedSlices >= 1 && counts.refusals == 0)
    #expect(small.failures == 1)
    // Later it is tried again: others may have made room.
    try fill(85..<120)
    #expect(small.failures == 2 && disk.counters.snapshot.refusals == 0)
  }

  /// A disk that refuses everything.
  final class DeadDisk: DiskFaults {
    let tries = Atomic<Int>(0)

    override func before(_ operation: DiskOperation) throws(Fault) {
      guard case .create = operation else { return }
      tries.add(1, ordering: .relaxed)
      throw Fault(.io, .disk, errno: SystemError.inputOutput)
    }
  }

  /// What is to be kept fails together, and what takes content away does not wait for it.
  @Test func aRemovalDoesNotWaitForEachJobThatFails() throws {
    let dead = DeadDisk()
    let disk = try DiskStorage(
      folder.options(segments: 12), wallSeconds: wall, secret: nil, faults: dead)
    for number in 0..<500 { store(disk, "\(number)", 1, count: 1000) }
    let heard = Heard()
    let isTaken = disk.submit(.unlist(keys: [disk.text("0")], heard.note("removal")))
    #expect(isTaken)
    try disk.start()
    defer { disk.stop() }
    for _ in 0..<2_000 where heard.all.isEmpty { usleep(10_000) }
    #expect(heard.all == ["removal unlisted 0"])
    // Those before it have not been tried one after the other, with a pause for each.
    #expect(dead.tries.load(ordering: .relaxed) < 5)
  }

  @Test func isToldOfOnceAndWhenItIsOver() throws {
    let (small, told) = (SmallDisk(room: 4), Monitor<[String]>([]))
    let disk = try open(small)
    disk.onEvent { event in
      switch event {
      case .full(let free, let isKeeping):
        told.with { $0.append(isKeeping ? "making room" : "keeping nothing") }
        #expect(free != nil)
      case .roomy: told.with { $0.append("room") }
      default: break
      }
    }
    func fill(_ seconds: Range<Int>) {
      for second in seconds {
        store(disk, "\(second)", UInt8(second & 0xff))
        pass(disk, from: .zero + .seconds(second), milliseconds: 400)
      }
    }
    // The second failure, when the disk is tried again after a minute, is the same episode.
    fill(0..<100)
    let isFull = disk.counters.isDiskFull.load(ordering: .relaxed)
    #expect(small.failures == 2 && isFull)
    #expect(told.with { $0 } == ["making room"])
    small.room = 100
    fill(100..<240)
    #expect(told.with { $0 } == ["making room", "room"])
    let isStillFull = disk.counters.isDiskFull.load(ordering: .relaxed)
    #expect(!isStillFull)
  }

  @Test func nothingIsKeptWhereThereIsNoRoomAtAll() throws {
    let (small, told, heard) = (SmallDisk(room: 0), Monitor<[StorageEvent]>([]), Heard())
    let disk = try open(small)
    disk.onEvent { event in told.with { $0.append(event) } }
    for second in 0..<10 {
      #expect(
        disk.submit(
          .put(key: disk.text("a"), record: disk.newRecord("a", 1), heard.note("\(second)"))))
      pass(disk, from: .zero + .seconds(second), milliseconds: 900)
    }
    #expect(heard.all.allSatisfy { $0.hasSuffix("disk_exhausted") } && heard.all.count > 3)
    #expect(told.with { $0.count } == 1)
    small.room = 4
    store(disk, "b", 1)
    pass(disk, from: .zero + .seconds(30), milliseconds: 900)
    #expect(try disk.record(disk.text("b")) != nil)
    #expect(told.with { $0.last } == .roomy && told.with { $0.count } == 2)
  }

  /// What goes first may be in a reader's hand: another one goes before jobs are refused.
  @Test func aHeldSegmentRefusesLittle() throws {
    let small = SmallDisk(room: 3)
    let disk = try open(small)
    store(disk, "read", 1)
    pass(disk, from: .zero, milliseconds: 400)
    let (slice, pin) = try pin(disk, "read")
    small.held = [slice.segment]
    for number in 0..<100 {
      store(disk, "filler \(number)", UInt8(number))
      pass(disk, from: .zero + .seconds(1) + .milliseconds(10 * number), milliseconds: 10)
    }
    pass(disk, from: .zero + .seconds(2), milliseconds: 400)
    // A try that finds no room costs the job that made it; all others have waited.
    #expect(small.failures > 0 && disk.counters.snapshot.refusals < 10)
    disk.unpin(pin)
  }
}
