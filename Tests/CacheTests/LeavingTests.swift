import Base
import System
import Testing

@testable import Cache

/// What goes when the cache is full, and what moves on.
@Suite(.serialized) struct LeavingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func open(segments: Int, maxAge: Interval? = nil) throws -> DiskStorage {
    var options = folder.options(segments: segments)
    options.maxAge = maxAge
    return try DiskStorage(options, wallSeconds: wall)
  }

  func store(_ disk: DiskStorage, _ text: String, _ body: [UInt8], created: Int64 = wall) {
    var record = disk.newRecord(text, body.count)
    record.created = created
    let key = disk.text(text)
    #expect(disk.submit(.put(key: key, record: record, nil)))
    let slices = stride(from: 0, to: body.count, by: 1 << 20).enumerated()
    for (index, start) in slices {
      let bytes = Array(body[start..<min(start + 1 << 20, body.count)])
      let buffer = SliceBuffer(bytes)
      #expect(
        disk.submit(.slice(key: key, stamp: record.stamp, index: index, buffer, nil)))
    }
  }

  /// Marks all slices of an object as hit; false where it is not there.
  @discardableResult
  func hit(_ disk: DiskStorage, _ text: String) throws -> Bool {
    guard let record = try disk.record(disk.text(text)) else { return false }
    for slice in record.slices where !slice.isAbsent {
      guard let pin = try disk.pin(slice.segment) else { return false }
      disk.noteHit(slice, pin)
      disk.unpin(pin)
    }
    return true
  }

  func isWhole(_ disk: DiskStorage, _ text: String, _ body: [UInt8]) throws -> Bool {
    guard let record = try disk.record(disk.text(text)) else { return false }
    var found: [UInt8] = []
    for (index, slice) in record.slices.enumerated() {
      guard let part = try disk.bytes(of: slice, record.bytes(ofSlice: index)) else { return false }
      found += part
    }
    return found == body
  }

  @Test func whatIsHitOutlivesItsSegmentAndOthersGo() throws {
    var random = SeededRandom(seed: 21)
    // One large, one packed.
    let hot = randomBytes(700_000, &random)
    let small = randomBytes(900, &random)
    try fillUp(hot: hot, small: small, &random)
    // A life later too.
    let next = try open(segments: 4)
    #expect(try isWhole(next, "hot", hot) && isWhole(next, "small", small))
  }

  private func fillUp(hot: [UInt8], small: [UInt8], _ random: inout SeededRandom) throws {
    let disk = try open(segments: 4)
    store(disk, "hot", hot)
    store(disk, "small", small)
    store(disk, "cold", randomBytes(50_000, &random))
    for number in 0..<60 {
      disk.settle(now: .zero + .seconds(number))
      #expect(try hit(disk, "hot") && hit(disk, "small"), "after \(number)")
      store(disk, "filler \(number)", randomBytes(800_000, &random))
      let counts = disk.counters.snapshot
      #expect(counts.bytesUsed <= disk.options.maxSize)
    }
    disk.settle(now: .zero + .seconds(100))
    let counts = disk.counters.snapshot
    #expect(counts.evictions > 5 && counts.movedSlices > 5 && counts.refusals == 0)
    #expect(try isWhole(disk, "hot", hot) && isWhole(disk, "small", small))
    #expect(try disk.record(disk.text("cold")) == nil)
    #expect(try disk.record(disk.text("filler 0")) == nil)
    disk.stop()
  }

  @Test func noMoreThanHalfASegmentMovesOn() throws {
    var random = SeededRandom(seed: 22)
    let disk = try open(segments: 4)
    for number in 0..<7 { store(disk, "\(number)", randomBytes(500_000, &random)) }
    disk.settle()
    for number in 0..<7 { #expect(try hit(disk, "\(number)")) }
    var before = 0
    for number in 0..<40 where disk.counters.snapshot.evictions == 0 {
      before = disk.counters.snapshot.movedSlices
      store(disk, "filler \(number)", randomBytes(500_000, &random))
      disk.settle(now: .zero + .seconds(number))
    }
    #expect(before == 0)
    // Half of 4 MiB holds four of them.
    #expect(disk.counters.snapshot.movedSlices == 4)
  }

  @Test func aSegmentsWorthOfRoomIsKeptFree() throws {
    var random = SeededRandom(seed: 23)
    let disk = try open(segments: 4)
    for number in 0..<40 {
      store(disk, "\(number)", randomBytes(900_000, &random))
      disk.settle(now: .zero + .seconds(number))
      let counts = disk.counters.snapshot
      #expect(counts.bytesUsed + disk.options.segmentSize <= disk.options.maxSize)
    }
    #expect(disk.counters.snapshot.segments == 3)
  }

  @Test func largeObjectsMoveByTheSlice() throws {
    var random = SeededRandom(seed: 24)
    var options = folder.options(segments: 5, sliceSize: 64 << 10)
    options.maxAge = nil
    let disk = try DiskStorage(options, wallSeconds: wall)
    let key = disk.text("video")
    let record = disk.newRecord("video", 40 * (64 << 10))
    #expect(disk.submit(.put(key: key, record: record, nil)))
    let bodies = (0..<40).map { _ in randomBytes(64 << 10, &random) }
    for index in 0..<40 {
      let buffer = SliceBuffer(bodies[index])
      #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: index, buffer, nil)))
    }
    func slice(_ index: Int) throws -> Slice {
      let reader = try disk.reader()
      return try reader.slices(key, block: 0) {
        SliceBlock.slice(index, stamp: record.stamp, in: $0)
      } ?? .absent
    }
    for number in 0..<80 {
      disk.settle(now: .zero + .seconds(number))
      for index in [3, 17] {
        let place = try slice(index)
        let pin = try #require(try disk.pin(place.segment))
        disk.noteHit(place, pin)
        disk.unpin(pin)
      }
      let filler = disk.newRecord("filler \(number)", 64 << 10)
      let name = disk.text("filler \(number)")
      #expect(disk.submit(.put(key: name, record: filler, nil)))
      for _ in 0..<8 {
        let buffer = SliceBuffer([UInt8](repeating: UInt8(number), count: 64 << 10))
        #expect(disk.submit(.slice(key: name, stamp: filler.stamp, index: 0, buffer, nil)))
      }
    }
    disk.settle(now: .zero + .seconds(100))
    #expect(disk.counters.snapshot.movedSlices >= 4)
    for index in 0..<40 {
      let bytes = try disk.bytes(of: slice(index), 64 << 10)
      #expect(bytes == ([3, 17].contains(index) ? bodies[index] : nil), "slice \(index)")
    }
    #expect(try disk.record(key)?.stamp == record.stamp)
  }

  @Test func nothingStaysLongerThanItsAge() throws {
    var random = SeededRandom(seed: 25)
    let disk = try open(segments: 8, maxAge: .seconds(800))
    let body = randomBytes(100_000, &random)
    func settle(_ second: Int64) {
      let now = Instant.zero + .seconds(Int(second))
      while disk.step(now: now, wallSeconds: wall + second) {}
      disk.upkeep(now: now + .seconds(1), wallSeconds: wall + second)
      while disk.step(now: now + .seconds(1), wallSeconds: wall + second) {}
    }
    for second in stride(from: Int64(0), to: 3000, by: 50) {
      store(disk, "\(second)", body, created: wall + second)
      settle(second)
      // What is always hit goes too.
      try hit(disk, "0")
      for old in stride(from: Int64(0), through: second - 800, by: 50) {
        #expect(try disk.record(disk.text("\(old)")) == nil, "\(old) at \(second)")
      }
      #expect(try isWhole(disk, "\(max(0, second - 150))", body), "at \(second)")
    }
  }

  /// What moves on is old, and the segment that it moves to may be new.
  @Test func whatMovesOnDoesNotEndItsNewSegment() throws {
    var random = SeededRandom(seed: 26)
    let disk = try open(segments: 8, maxAge: .seconds(800))
    // All of it is new after some 150 s, between an eighth and a quarter of the age.
    for step in 0..<200 {
      let second = Int64(step) * 4
      store(disk, "\(step)", randomBytes(800_000, &random), created: wall + second)
      store(disk, "hot \(step)", [1, 2, 3], created: wall + second)
      let now = Instant.zero + .seconds(Int(second))
      for moment in [now, now + .seconds(1), now + .seconds(2)] {
        while disk.step(now: moment, wallSeconds: wall + second) {}
        disk.upkeep(now: moment, wallSeconds: wall + second)
      }
      for old in max(0, step - 45)...step { try hit(disk, "hot \(old)") }
    }
    let counts = disk.counters.snapshot
    // 160 MB in segments of 4 MiB.
    #expect(counts.movedSlices > 20)
    #expect(counts.evictions < 45)
  }

  @Test(arguments: [false, true])
  func aClockThatWasAheadKeepsNothingForLonger(isNextLife: Bool) throws {
    var random = SeededRandom(seed: 27)
    let body = randomBytes(500_000, &random)
    func begin() throws -> DiskStorage {
      let disk = try open(segments: 8, maxAge: .seconds(800))
      store(disk, "ahead", body, created: wall + 1_000_000)
      while disk.step(now: .zero, wallSeconds: wall + 1_000_000) {}
      while disk.step(now: .zero + .seconds(1), wallSeconds: wall + 1_000_000) {}
      for number in 0..<10 { store(disk, "\(number)", body) }
      disk.settle(now: .zero + .seconds(2))
      return disk
    }
    var first: DiskStorage? = try begin()
    if isNextLife {
      first?.stop()
      first = nil
    }
    let disk = try first ?? open(segments: 8, maxAge: .seconds(800))
    disk.upkeep(now: .zero + .seconds(3), wallSeconds: wall)
    for second in stride(from: 200, through: 1_200, by: 200) {
      let now = Instant.zero + .seconds(second)
      for _ in 0..<10 { disk.upkeep(now: now, wallSeconds: wall + Int64(second)) }
    }
    for name in ["ahead"] + (0..<10).map(String.init) {
      #expect(try disk.record(disk.text(name)) == nil, "\(name)")
    }
  }

  /// Nothing else is stored, so that no other segment says how late it is.
  @Test func whatIsAloneByAClockThatWasAheadGoesToo() throws {
    let disk = try open(segments: 8, maxAge: .seconds(800))
    store(disk, "ahead", [1, 2, 3], created: wall + 1_000_000)
    while disk.step(now: .zero, wallSeconds: wall + 1_000_000) {}
    while disk.step(now: .zero + .seconds(1), wallSeconds: wall + 1_000_000) {}
    for second in stride(from: 100, through: 1_000, by: 100) {
      let now = Instant.zero + .seconds(second)
      for _ in 0..<5 { disk.upkeep(now: now, wallSeconds: wall + Int64(second)) }
      let isThere = try disk.record(disk.text("ahead")) != nil
      #expect(isThere == (second < 900), "\(second)")
    }
  }

  /// Records whose segments went with a footer that nobody could read.
  @Test func anIndexFullOfWhatNothingNamesBeginsAnew() throws {
    let told = Monitor<[StorageEvent]>([])
    let disk = try open(segments: 6)
    disk.onEvent { event in told.with { $0.append(event) } }
    do {
      let index = try #require(disk.shelf.index)
      for batch in 0..<14 {
        try index.write { tables throws(Fault) in
          for number in 0..<1_020 {
            var record = disk.newRecord("\(batch) \(number)", 10)
            record.home = 77
            record.fields = [.init(name: [1], value: [UInt8](repeating: 7, count: 3_900))]
            try tables.put(record, disk.text("\(batch) \(number)"))
          }
        }
      }
      let used = try index.usedPercent()
      #expect(used >= DiskWriter.fullPercent && used < DiskWriter.refusingPercent)
    }
    store(disk, "a", [1, 2, 3])
    disk.settle()
    let asides = told.with { events in
      events.compactMap { if case .setAside(let aside) = $0 { aside.why } else { nil } }
    }
    #expect(asides == [.full])
    store(disk, "b", [1, 2, 3])
    disk.settle(now: .zero + .seconds(10))
    #expect(try isWhole(disk, "b", [1, 2, 3]))
  }

  @Test func aFullIndexMakesTheOldestGoAndTakesTheNew() throws {
    var options = folder.options(segments: 40)
    options.sliceSize = 64 << 10
    let disk = try DiskStorage(options, wallSeconds: wall)
    // Records of 4 KB fill the map of 64 MiB long before the segments are full.
    var refused = 0
    for number in 0..<24_000 {
      var record = disk.newRecord("\(number)", 10)
      record.fields = [.init(name: [1], value: [UInt8](repeating: 7, count: 3_900))]
      let heard = Heard()
      #expect(disk.submit(.put(key: disk.text("\(number)"), record: record, heard.note(""))))
      let buffer = SliceBuffer([UInt8](repeating: 1, count: 1_000))
      let key = disk.text("\(number)")
      #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: 0, buffer, nil)))
      for _ in 0..<4 { _ = disk.step(now: .zero, wallSeconds: wall) }
      if heard.all.contains(where: { $0.contains("disk") }) { refused += 1 }
    }
    disk.settle()
    let counts = disk.counters.snapshot
    #expect(counts.evictions > 0 && counts.entries > 5_000)
    #expect(refused == 0 && counts.refusals == 0)
    #expect(try disk.record(disk.text("23999")) != nil)
    #expect(try disk.record(disk.text("0")) == nil)
  }
}
