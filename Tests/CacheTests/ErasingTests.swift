import Base
import Foundation
import System
import Testing

@testable import Cache

/// Bytes that somebody wants off the disk are off the disk.
@Suite(.serialized) struct ErasingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// A disk that erases nothing at some places, and counts how often it has to write down what is.
  final class StubbornDisk: DiskFaults {
    var isBad: (StoredBytes) -> Bool = { _ in false }
    var syncs = 0

    override func before(_ operation: DiskOperation) throws(Fault) {
      switch operation {
      case .sync, .commit: syncs += 1
      case .erase(let segment, let offset, let count):
        let place = StoredBytes(segment: segment, offset: UInt32(offset), count: count)
        if isBad(place) { throw Fault(.io, .disk, errno: EIO) }
      default: break
      }
    }
  }

  func open(_ faults: DiskFaults? = nil) throws -> DiskStorage {
    try DiskStorage(
      folder.options(segments: 6), wallSeconds: wall, secret: nil, faults: faults)
  }

  func store(_ disk: DiskStorage, _ text: String, _ body: [UInt8]) {
    let record = disk.newRecord(text, body.count)
    let key = disk.text(text)
    #expect(disk.submit(.put(key: key, record: record, nil)))
    for (index, start) in stride(from: 0, to: body.count, by: 1 << 20).enumerated() {
      let buffer = SliceBuffer(Array(body[start..<min(start + 1 << 20, body.count)]))
      #expect(
        disk.submit(.slice(key: key, stamp: record.stamp, index: index, buffer, nil)))
    }
  }

  /// Whether any segment file has these bytes.
  func isOnDisk(_ needle: [UInt8]) throws -> Bool {
    try folder.segmentFiles.contains { name in
      let url = URL(filePath: folder.path + "/cache/segments/" + name)
      return try Data(contentsOf: url).range(of: Data(needle)) != nil
    }
  }

  func unlist(_ disk: DiskStorage, _ text: String) throws -> [StoredBytes] {
    let told = Monitor<[StoredBytes]?>(nil)
    #expect(
      disk.submit(
        .unlist(keys: [disk.text(text)]) { event in
          if case .unlisted(_, let bytes) = event { told.with { $0 = bytes } }
        }))
    disk.settle()
    return try #require(told.with { $0 })
  }

  func erase(_ disk: DiskStorage, _ text: String) throws -> Int {
    let bytes = try unlist(disk, text)
    #expect(disk.submit(.erase(bytes, nil)))
    disk.settle()
    return bytes.reduce(0) { $0 + $1.count }
  }

  @Test func recordAndBytesAreGoneAndNeighboursStay() throws {
    var random = SeededRandom(seed: 31)
    let disk = try open()
    let sizes = [700, 16_384, 100_000, 2_500_000]
    let bodies = sizes.map { randomBytes($0, &random) }
    let others = sizes.map { randomBytes($0, &random) }
    for index in sizes.indices {
      store(disk, "\(index)", bodies[index])
      store(disk, "other \(index)", others[index])
    }
    disk.settle()
    for index in sizes.indices {
      #expect(try isOnDisk(Array(bodies[index].suffix(500))))
      #expect(try erase(disk, "\(index)") == sizes[index])
      #expect(try disk.record(disk.text("\(index)")) == nil)
      for start in stride(from: 0, to: sizes[index] - 500, by: 50_000) {
        #expect(try !isOnDisk(Array(bodies[index][start..<start + 500])), "\(sizes[index])")
      }
      #expect(try !isOnDisk(Array(bodies[index].suffix(100))))
    }
    for index in sizes.indices {
      let record = try #require(try disk.record(disk.text("other \(index)")))
      var found: [UInt8] = []
      for (number, slice) in record.slices.enumerated() {
        found += try #require(try disk.bytes(of: slice, record.bytes(ofSlice: number)))
      }
      #expect(found == others[index])
    }
    #expect(disk.counters.snapshot.erasedBytes == sizes.reduce(0, +))
    #expect(try unlist(disk, "never there").isEmpty)
  }

  @Test func bytesThatLostTheirRecordAreFound() throws {
    var random = SeededRandom(seed: 32)
    let disk = try open()
    let (first, second) = (randomBytes(40_000, &random), randomBytes(40_000, &random))
    let bad = randomBytes(30_000, &random)
    store(disk, "a", first)
    disk.settle()
    // Put again under another stamp, and a slice dropped.
    store(disk, "a", second)
    store(disk, "b", bad)
    disk.settle()
    let record = try #require(try disk.record(disk.text("b")))
    #expect(
      disk.submit(
        .drop(key: disk.text("b"), stamp: record.stamp, index: 0, record.slices[0])))
    // A slice that comes too late for its record.
    let late = randomBytes(20_000, &random)
    let buffer = SliceBuffer(late)
    #expect(
      disk.submit(.slice(key: disk.text("a"), stamp: 77, index: 0, buffer, nil)))
    disk.settle()
    #expect(try isOnDisk(Array(first.prefix(200))) && isOnDisk(Array(late.prefix(200))))
    #expect(try erase(disk, "a") == 100_000)
    #expect(try erase(disk, "b") == 30_000)
    for body in [first, second, bad, late] {
      #expect(try !isOnDisk(Array(body.prefix(200))))
    }
  }

  @Test func bytesWhoseRecordHasGoneAreFound() throws {
    var random = SeededRandom(seed: 36)
    let disk = try open()
    let (lost, kept) = (randomBytes(40_000, &random), randomBytes(40_000, &random))
    store(disk, "kept", kept)
    for text in ["lost", "kept"] {
      // Slices of a record that is not there: their keys' names are known to nobody.
      let buffer = SliceBuffer(lost)
      #expect(disk.submit(.slice(key: disk.text(text), stamp: 77, index: 0, buffer, nil)))
    }
    disk.settle()
    let reader = try disk.reader()
    var keys: Set<Digest128> = []
    _ = try reader.scanOrphans(after: nil, limit: 10) { keys.insert($0) }
    reader.endTurn()
    #expect(keys == [disk.text("lost"), disk.text("kept")])
    let told = Monitor<[StoredBytes]>([])
    #expect(
      disk.submit(
        .unlist(keys: [], lost: Array(keys)) { event in
          if case .unlisted(let objects, let bytes) = event, objects == 0 {
            told.with { $0 = bytes }
          }
        }))
    disk.settle()
    // What has a record by now stays.
    #expect(told.with { $0.map(\.count) } == [40_000])
    #expect(try disk.record(disk.text("kept")) != nil)
  }

  @Test func whatLeavesIsErasedOnlyWhenItsSegmentHasGone() throws {
    var random = SeededRandom(seed: 37)
    let disk = try open()
    let body = randomBytes(50_000, &random)
    store(disk, "a", body)
    disk.settle()
    var number = 0
    while try disk.record(disk.text("a")) != nil && number < 40 {
      store(disk, "filler \(number)", randomBytes(900_000, &random))
      number += 1
      let now = Instant.zero + .seconds(number)
      while try disk.record(disk.text("a")) != nil, disk.step(now: now, wallSeconds: wall) {}
    }
    #expect(try disk.record(disk.text("a")) == nil && isOnDisk(Array(body.prefix(200))))
    let heard = Heard()
    #expect(disk.submit(.erase([], heard.note("erase"))))
    while heard.all.isEmpty, disk.step(now: .zero + .seconds(100), wallSeconds: wall) {}
    #expect(heard.all == ["erase committed"])
    #expect(try !isOnDisk(Array(body.prefix(200))))
  }

  @Test func aLifeThatEndsInBetweenLeavesItToTheNext() throws {
    var random = SeededRandom(seed: 33)
    let body = randomBytes(50_000, &random)
    do {
      let disk = try open()
      store(disk, "a", body)
      disk.settle()
      #expect(try unlist(disk, "a").count == 1)
      #expect(try isOnDisk(Array(body.prefix(200))))
    }
    _ = try open()
    #expect(try !isOnDisk(Array(body.prefix(200))))
  }

  /// A removal that fails leaves nothing to chance: neither the next one's word nor the bytes.
  @Test func whatCannotBeErasedIsTriedAgainAndToldOf() throws {
    var random = SeededRandom(seed: 38)
    let (first, second) = (randomBytes(50_000, &random), randomBytes(700, &random))
    let (stubborn, heard) = (StubbornDisk(), Heard())
    let disk = try open(stubborn)
    store(disk, "a", first)
    store(disk, "b", second)
    disk.settle()
    stubborn.isBad = { _ in true }
    let places = try unlist(disk, "a")
    #expect(disk.submit(.erase(places, heard.note("a"))))
    disk.settle()
    // Its repetition finds nothing in the index.
    #expect(try unlist(disk, "a") == [])
    #expect(disk.submit(.erase([], heard.note("again"))))
    disk.settle()
    #expect(heard.all == ["a disk_io", "again disk_io"])
    #expect(try isOnDisk(Array(first.prefix(200))))
    // The next removal of anything takes it along.
    stubborn.isBad = { _ in false }
    #expect(disk.submit(.erase([], heard.note("next"))))
    disk.settle()
    #expect(heard.all.last == "next committed" && heard.all.count == 3)
    #expect(try !isOnDisk(Array(first.prefix(200))))
    // And without one it goes by itself.
    stubborn.isBad = { _ in true }
    let others = try unlist(disk, "b")
    #expect(disk.submit(.erase(others, nil)))
    disk.settle()
    stubborn.isBad = { _ in false }
    disk.settle(now: .zero + .seconds(5))
    #expect(try isOnDisk(Array(second.prefix(200))))
    disk.settle(now: .zero + .seconds(12))
    #expect(try !isOnDisk(Array(second.prefix(200))))
  }

  /// Places of an earlier life go in groups, most of them beside other jobs, and one that fails holds up none.
  @Test(arguments: [false, true]) func manyLeftoversHoldNothingUp(isOneBad: Bool) throws {
    let body = [UInt8](repeating: 0x5a, count: 700)
    let (count, stubborn, heard) = (2_000, StubbornDisk(), Heard())
    var places: [StoredBytes] = []
    do {
      let disk = try open()
      for number in 0..<count { store(disk, "\(number)", body) }
      disk.settle()
      let told = Monitor<[StoredBytes]>([])
      let keys = (0..<count).map { disk.text("\($0)") }
      #expect(
        disk.submit(
          .unlist(keys: keys) { event in
            if case .unlisted(_, let bytes) = event { told.with { $0 = bytes } }
          }))
      disk.settle()
      places = told.with { $0 }
      #expect(places.count == count)
      disk.stop()
    }
    let bad = places[count / 2]
    stubborn.isBad = { isOneBad && $0 == bad }
    let disk = try open(stubborn)
    // Before anybody is served: one batch at most.
    #expect(disk.counters.snapshot.erasedBytes <= ErasureBacklog.batch * body.count)
    disk.settle()
    let erased = isOneBad ? count - 1 : count
    #expect(disk.counters.snapshot.erasedBytes == erased * body.count)
    #expect(stubborn.syncs < 30, "\(stubborn.syncs)")
    #expect(try isOnDisk(Array(body.prefix(500))) == isOneBad)
    #expect(disk.submit(.erase([], heard.note("next"))))
    disk.settle()
    #expect(heard.all == [isOneBad ? "next disk_io" : "next committed"])
  }

  @Test func whatWasNeverCommittedGoesAtTheNextStart() throws {
    var random = SeededRandom(seed: 34)
    let (kept, lost) = (randomBytes(300_000, &random), randomBytes(300_000, &random))
    do {
      let disk = try open()
      store(disk, "kept", kept)
      disk.settle()
      store(disk, "lost", lost)
      while disk.counters.snapshot.queuedBytes > 0 { _ = disk.step(now: .zero, wallSeconds: wall) }
    }
    #expect(try isOnDisk(Array(lost.suffix(200))))
    _ = try open()
    #expect(try !isOnDisk(Array(lost.suffix(200))))
    #expect(try isOnDisk(Array(kept.suffix(200))))
  }

  @Test func aSliceThatWasCheckedIsCheckedAgain() throws {
    var random = SeededRandom(seed: 35)
    let disk = try open()
    let body = randomBytes(50_000, &random)
    store(disk, "a", body)
    disk.settle()
    let slice = try #require(try disk.record(disk.text("a"))?.slices[0])
    let pin = try #require(try disk.pin(slice.segment))
    defer { disk.unpin(pin) }
    try disk.verify(slice, pin, count: body.count)
    #expect(disk.isVerified(slice, pin))
    _ = try erase(disk, "a")
    #expect(!disk.isVerified(slice, pin))
    #expect(throws: Fault(.corrupt, .disk)) { try disk.verify(slice, pin, count: body.count) }
  }
}
