import Base
import Foundation
import System
import Testing

@testable import Cache

/// Storage whose index breaks or whose folder goes opens itself again.
@Suite(.serialized) struct StorageKeeperTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  final class Told: Sendable {
    private let events = Monitor([StorageEvent]())
    var all: [StorageEvent] { events.with { $0 } }
    func note(_ event: StorageEvent) { events.with { $0.append(event) } }
  }

  /// A disk whose index refuses transactions while it is told to.
  final class BrokenIndex: DiskFaults {
    var fault: Fault?
    /// What opening meets.
    var openingFault: Fault?

    /// How often the index's file cannot be read.
    var badReads = 0

    override func beforeIndexRead(offset: Int) throws(Fault) {
      guard badReads > 0 else { return }
      badReads -= 1
      throw Fault(.io, .disk, errno: EIO)
    }

    /// What reading the folder of the segments meets.
    var listingFault: Fault?

    override func before(_ operation: DiskOperation) throws(Fault) {
      if operation == .commit, let fault { throw fault }
      if operation == .open, let openingFault { throw openingFault }
      if operation == .list, let listingFault { throw listingFault }
    }
  }

  func open(_ faults: DiskFaults? = nil, _ told: Told) throws -> DiskStorage {
    let disk = try DiskStorage(
      folder.options(segments: 6), wallSeconds: wall, secret: nil, faults: faults)
    disk.onEvent { told.note($0) }
    return disk
  }

  func store(_ disk: DiskStorage, _ text: String, _ body: [UInt8], _ heard: Heard? = nil) {
    let record = disk.newRecord(text, body.count)
    let key = disk.text(text)
    #expect(disk.submit(.put(key: key, record: record, heard?.note(text))))
    let buffer = SliceBuffer(body)
    #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: 0, buffer, nil)))
  }

  func isWhole(_ disk: DiskStorage, _ text: String, _ body: [UInt8]) throws -> Bool {
    guard let slice = try disk.record(disk.text(text))?.slices[0] else { return false }
    return try disk.bytes(of: slice, body.count) == body
  }

  func pass(_ disk: DiskStorage, from second: Int, seconds: Int) {
    for tick in 0..<seconds * 10 {
      let now = Instant.zero + .milliseconds(second * 1000 + tick * 100)
      disk.upkeep(now: now, wallSeconds: wall)
      while disk.step(now: now, wallSeconds: wall) {}
    }
  }

  @Test func aBrokenEnvironmentIsOpenedAgainWithAllThatItHad() throws {
    let (faults, told, heard) = (BrokenIndex(), Told(), Heard())
    let disk = try open(faults, told)
    let body = [UInt8](repeating: 3, count: 50_000)
    let reader = try disk.reader()
    store(disk, "a", body)
    disk.settle()
    #expect(try reader.lookUp(disk.text("a")) { _ in true } == true)
    faults.fault = Fault(.corrupt, .disk, errno: Index.panic)
    store(disk, "b", body, heard)
    pass(disk, from: 1, seconds: 1)
    #expect(heard.all == ["b disk_corrupt"])
    #expect(told.all == [.closed(Fault(.corrupt, .disk, errno: Index.panic))])
    // Somebody still reads from the old one: two at once would break LMDB's locks.
    faults.fault = nil
    pass(disk, from: 2, seconds: 1)
    #expect(told.all.count == 1)
    #expect(throws: Fault(.unavailable, .disk)) {
      let another = try disk.reader()
      _ = try another.lookUp(disk.text("a")) { _ in true }
    }
    store(disk, "c", body, heard)
    pass(disk, from: 3, seconds: 1)
    #expect(heard.all.last == "c unavailable_disk" || heard.all.last == "c disk_unavailable")
    reader.endTurn()
    pass(disk, from: 4, seconds: 1)
    #expect(told.all.last == .reopened && told.all.count == 2)
    reader.endTurn()
    #expect(try reader.lookUp(disk.text("a")) { _ in true } == true)
    #expect(try isWhole(disk, "a", body))
    store(disk, "d", body)
    pass(disk, from: 5, seconds: 1)
    #expect(try isWhole(disk, "d", body))
    #expect(disk.counters.snapshot.reopenings == 1)
  }

  /// A worker may meet what a failed commit has left before the writer does, or both at once.
  @Test(arguments: [false, true])
  func aBrokenEnvironmentThatAReaderMeetsKeepsWhatItHad(writerMeetsIt: Bool) throws {
    let (faults, told) = (BrokenIndex(), Told())
    let panic = Fault(.corrupt, .disk, errno: Index.panic)
    let disk = try open(faults, told)
    let body = [UInt8](repeating: 3, count: 50_000)
    store(disk, "a", body)
    disk.settle()
    disk.shelf.suspect(panic)
    disk.shelf.suspect(Fault(.io, .disk, errno: 5))
    if writerMeetsIt {
      faults.fault = panic
      store(disk, "b", body)
    }
    pass(disk, from: 5, seconds: 1)
    faults.fault = nil
    pass(disk, from: 6, seconds: 3)
    #expect(told.all.first == .closed(panic) && told.all.last == .reopened)
    #expect(try isWhole(disk, "a", body))
    // Damage is another matter, also where both are met.
    disk.shelf.suspect(Fault(.corrupt, .disk, errno: -30796))
    disk.shelf.suspect(panic)
    pass(disk, from: 20, seconds: 3)
    #expect(try disk.record(disk.text("a")) == nil)
    #expect(told.all.contains(.setAside(.init(name: "index.aside-\(wall)", why: .damaged))))
  }

  /// A bad sector under the index is met when it is read through, and not by each life's look-ups.
  @Test func anIndexThatItsDiskCannotGiveIsSetAside() throws {
    let (faults, told) = (BrokenIndex(), Told())
    let disk = try open(faults, told)
    store(disk, "a", [1])
    disk.settle()
    faults.badReads = 1
    try disk.warmIndex()
    pass(disk, from: 5, seconds: 3)
    #expect(told.all == [])
    #expect(try isWhole(disk, "a", [1]))
    faults.badReads = 2
    #expect(throws: Fault(.io, .disk, errno: EIO)) { try disk.warmIndex() }
    pass(disk, from: 10, seconds: 3)
    #expect(told.all.contains(.setAside(.init(name: "index.aside-\(wall)", why: .damaged))))
    #expect(told.all.last == .reopened)
    store(disk, "b", [1, 2])
    pass(disk, from: 20, seconds: 1)
    #expect(try isWhole(disk, "b", [1, 2]))
  }

  @Test func whatAVanishedFolderTakesWithItIsToldOnce() throws {
    let (told, heard) = (Told(), Heard())
    let disk = try open(nil, told)
    let record = disk.newRecord("a", 50_000)
    let key = disk.text("a")
    // Small enough to be gathered with others.
    let buffer = SliceBuffer([UInt8](repeating: 3, count: 50_000))
    #expect(disk.submit(.put(key: key, record: record, nil)))
    #expect(
      disk.submit(
        .slice(key: key, stamp: record.stamp, index: 0, buffer, heard.note("slice"))))
    let now = Instant.zero + .seconds(10)
    for _ in 0..<2 { #expect(disk.step(now: now, wallSeconds: wall)) }
    try FileManager.default.removeItem(atPath: folder.path + "/cache")
    disk.upkeep(now: now, wallSeconds: wall)
    #expect(told.all == [.vanished])
    #expect(heard.all.count == 1)
  }

  @Test func aDamagedIndexIsSetAsideAndTheCacheBeginsAnew() throws {
    let (faults, told) = (BrokenIndex(), Told())
    let disk = try open(faults, told)
    let body = [UInt8](repeating: 3, count: 50_000)
    store(disk, "a", body)
    disk.settle()
    let key = disk.text("a")
    faults.fault = Fault(.corrupt, .disk, errno: -30796)
    store(disk, "b", body)
    pass(disk, from: 1, seconds: 1)
    faults.fault = nil
    pass(disk, from: 2, seconds: 1)
    #expect(
      told.all.suffix(2) == [
        .setAside(.init(name: "index.aside-\(wall)", why: .damaged)), .reopened,
      ])
    #expect(disk.text("a") == key)
    #expect(try disk.record(key) == nil)
    store(disk, "c", body)
    pass(disk, from: 4, seconds: 1)
    #expect(try isWhole(disk, "c", body))
    // The old files are gone, and numbers are not used twice.
    #expect(folder.segmentFiles == ["00000002.seg"])
    let counts = disk.counters.snapshot
    #expect(counts.bytesUsed >= disk.options.indexSize + disk.options.segmentSize)
    #expect(counts.bytesUsed <= disk.options.maxSize)
  }

  @Test func aFolderThatGoesIsMadeAnew() throws {
    let told = Told()
    let disk = try open(nil, told)
    let body = [UInt8](repeating: 3, count: 50_000)
    store(disk, "a", body)
    disk.settle()
    let slice = try #require(try disk.record(disk.text("a"))?.slices[0])
    let pin = try #require(try disk.pin(slice.segment))
    try FileManager.default.removeItem(atPath: folder.path + "/cache")
    pass(disk, from: 10, seconds: 3)
    #expect(told.all == [.vanished, .reopened])
    // What a transfer holds stays readable.
    var bytes = [UInt8](repeating: 0, count: body.count)
    let got = bytes.withUnsafeMutableBytes { disk.readNow(pin, at: Int(slice.offset), into: $0) }
    #expect(got == .bytes(body.count) && bytes == body)
    disk.unpin(pin)
    #expect(try disk.record(disk.text("a")) == nil)
    store(disk, "b", body)
    pass(disk, from: 20, seconds: 2)
    #expect(try isWhole(disk, "b", body))
    // Another process is kept out of the new folder too.
    #expect(throws: Fault(.io, .disk, errno: EAGAIN)) { _ = try open(nil, told) }
  }

  @Test func aFolderThatCannotBeMadeIsTriedAgain() throws {
    let told = Told()
    let disk = try open(nil, told)
    let path = folder.path + "/cache"
    try FileManager.default.removeItem(atPath: path)
    try Data("in the way".utf8).write(to: URL(filePath: path))
    pass(disk, from: 10, seconds: 8)
    #expect(told.all == [.vanished, .unopened(Fault(.io, .disk, errno: ENOTDIR))])
    try FileManager.default.removeItem(atPath: path)
    pass(disk, from: 18, seconds: 6)
    #expect(told.all.last == .reopened)
    store(disk, "b", [1, 2, 3])
    pass(disk, from: 25, seconds: 1)
    #expect(try isWhole(disk, "b", [1, 2, 3]))
  }

  @Test(arguments: [5, 28, 30] as [Int32])
  func aDiskThatTakesNothingAtTheStartIsUsedWhenItDoes(errno: Int32) throws {
    let (faults, told, heard) = (BrokenIndex(), Told(), Heard())
    let refusal = Fault(.io, .disk, errno: errno)
    faults.openingFault = refusal
    let disk = try open(faults, told)
    #expect(told.all == [.unopened(refusal)])
    #expect(!disk.counters.snapshot.isOpen)
    let reader = try disk.reader()
    #expect(throws: Fault(.unavailable, .disk)) {
      _ = try reader.lookUp(disk.text("a")) { _ in true }
    }
    store(disk, "a", [1], heard)
    pass(disk, from: 0, seconds: 10)
    #expect(heard.all.count == 1 && told.all.count == 1)
    faults.openingFault = nil
    pass(disk, from: 10, seconds: 6)
    #expect(told.all.last == .reopened && told.all.count == 2)
    reader.endTurn()
    store(disk, "a", [1, 2])
    pass(disk, from: 20, seconds: 1)
    #expect(try isWhole(disk, "a", [1, 2]) && disk.counters.snapshot.isOpen)
    #expect(try reader.lookUp(disk.text("a")) { _ in true } == true)
  }

  @Test func whatWasKeptBeforeSuchAStartIsFoundAfterIt() throws {
    var stamps: Set<UInt64> = []
    for life in 0..<3 {
      let disk = try open(nil, Told())
      stamps.insert(disk.newStamp())
      store(disk, "\(life)", [UInt8(life)])
      disk.settle()
      disk.stop()
    }
    let (faults, told) = (BrokenIndex(), Told())
    faults.openingFault = DiskWriter.noSpace
    do {
      let disk = try open(faults, told)
      stamps.insert(disk.newStamp())
      faults.openingFault = nil
      pass(disk, from: 0, seconds: 1)
      #expect(told.all == [.unopened(DiskWriter.noSpace), .reopened])
      for life in 0..<3 { #expect(try isWhole(disk, "\(life)", [UInt8(life)])) }
      disk.stop()
    }
    stamps.insert(try open(nil, Told()).newStamp())
    #expect(stamps.count == 5)
  }

  /// Which segments are gone nobody can say then, and none is given up.
  @Test func aFolderThatCannotBeReadLosesNothing() throws {
    do {
      let disk = try open(nil, Told())
      store(disk, "a", [1])
      disk.settle()
      disk.stop()
    }
    let (faults, told) = (BrokenIndex(), Told())
    let refusal = Fault(.io, .disk, errno: EIO)
    faults.listingFault = refusal
    let disk = try open(faults, told)
    #expect(told.all == [.unopened(refusal)])
    faults.listingFault = nil
    pass(disk, from: 0, seconds: 6)
    #expect(told.all.last == .reopened)
    #expect(try isWhole(disk, "a", [1]))
  }

  /// A folder that cannot be used for another reason is a mistake, and an index that nobody can read too.
  @Test func otherFaultsEndTheStart() throws {
    let faults = BrokenIndex()
    faults.openingFault = Fault(.io, .disk, errno: EACCES)
    #expect(throws: Fault(.io, .disk, errno: EACCES)) { _ = try open(faults, Told()) }
    try open(nil, Told()).stop()
    let file = folder.path + "/cache/index/data.mdb"
    try Data(repeating: 7, count: 100_000).write(to: URL(filePath: file))
    faults.openingFault = DiskWriter.noSpace
    #expect(throws: DiskWriter.noSpace) { _ = try open(faults, Told()) }
  }

  @Test func anIndexThatComesWithItsDiskIsNotSetAside() throws {
    let (faults, told) = (BrokenIndex(), Told())
    let (path, away) = (folder.path + "/cache", folder.path + "/away")
    do {
      let first = try open(nil, Told())
      store(first, "a", [1])
      first.settle()
      first.stop()
    }
    try FileManager.default.moveItem(atPath: path, toPath: away)
    faults.openingFault = DiskWriter.noSpace
    let disk = try open(faults, told)
    try FileManager.default.moveItem(atPath: away, toPath: path)
    faults.openingFault = nil
    pass(disk, from: 0, seconds: 8)
    #expect(told.all == [.unopened(DiskWriter.noSpace), .unopened(Fault(.unavailable, .disk))])
    #expect(try Folder.names(in: path).allSatisfy { !$0.contains("aside") })
    disk.stop()
  }

  @Test func numbersThatCannotBeSetTheIndexAsideAtTheStart() throws {
    try #require(open(nil, Told()).setAside == nil)
    do {
      let cache = folder.path + "/cache"
      let index = try Index.open(folder: cache, mapBytes: 64 << 20, wallSeconds: wall).index
      try index.write { tables throws(Fault) in
        try tables.put(tables.databases.meta, Array("nextSegment".utf8), [1, 2, 3])
      }
    }
    let disk = try open(nil, Told())
    #expect(disk.setAside?.why == .damaged)
    store(disk, "a", [1])
    disk.settle()
    #expect(try isWhole(disk, "a", [1]))
  }

  /// LMDB meets such a root as soon as the database is named, and says of the next call only that the
  /// transaction is no good.
  @Test(arguments: ["segments", "objects", "erasures", "meta"])
  func aDatabaseWhoseRootIsNoPageSetsTheIndexAside(name: String) throws {
    do {
      let disk = try open(nil, Told())
      store(disk, "a", [1])
      disk.settle()
    }
    let place = folder.path + "/cache/index/data.mdb"
    var bytes = [UInt8](try Data(contentsOf: URL(filePath: place)))
    let name = Array(name.utf8)
    var found = 0
    for start in 0..<bytes.count - name.count - 48
    where bytes[start..<start + name.count].elementsEqual(name) {
      // Behind a name of any length, made even: 40 bytes of the database's numbers, then its root.
      let root = start + (name.count + 1) / 2 * 2 + 40
      bytes[root + 5] = 1
      found += 1
    }
    #expect(found > 0)
    try Data(bytes).write(to: URL(filePath: place))
    let disk = try open(nil, Told())
    #expect([.damaged, .unreadable].contains(disk.setAside?.why))
    store(disk, "b", [2])
    disk.settle()
    #expect(try isWhole(disk, "b", [2]))
  }

  @Test func threeCrashesSetTheIndexAside() throws {
    let marks = folder.path + "/cache/crashes"
    func crash() throws {
      let count = CrashMarks.count(at: marks)
      try Data(repeating: 120, count: count + 1).write(to: URL(filePath: marks))
    }
    func live(_ name: String) throws -> DiskStorage {
      let disk = try open(nil, Told())
      store(disk, name, [1])
      disk.settle()
      return disk
    }
    for life in 0..<3 {
      #expect(try live("\(life)").setAside == nil)
      try crash()
    }
    #expect(try live("3").setAside?.why == .crashes)
    #expect(!Folder.exists(marks))
    // A life that lasts, and one that ends in order, lets those before it be forgotten.
    for _ in 0..<2 { try crash() }
    do {
      let disk = try live("4")
      pass(disk, from: 0, seconds: 59)
      #expect(CrashMarks.count(at: marks) == 2)
      pass(disk, from: 59, seconds: 4)
      #expect(!Folder.exists(marks))
    }
    for _ in 0..<2 { try crash() }
    try live("5").stop()
    #expect(!Folder.exists(marks))
    #expect(try open(nil, Told()).setAside == nil)
  }

  @Test func deathsAfterACommitAreNotTheIndexsFault() throws {
    for life in 0..<6 {
      let disk = try open(nil, Told())
      #expect(disk.setAside == nil)
      store(disk, "\(life)", [1])
      disk.settle()
    }
    for _ in 0..<3 { #expect(try open(nil, Told()).setAside == nil) }
    #expect(try open(nil, Told()).setAside?.why == .uncleanExits)
  }

  @Test func aSmallerBoundIsKeptWithWhatAlreadyIsThere() throws {
    var random = SeededRandom(seed: 41)
    let body = randomBytes(900_000, &random)
    do {
      let disk = try DiskStorage(folder.options(segments: 12), wallSeconds: wall)
      for number in 0..<40 { store(disk, "\(number)", body) }
      disk.settle()
      #expect(disk.counters.snapshot.segments > 8)
      disk.stop()
    }
    let disk = try DiskStorage(folder.options(segments: 3), wallSeconds: wall)
    #expect(disk.setAside == nil)
    pass(disk, from: 1, seconds: 5)
    let counts = disk.counters.snapshot
    #expect(counts.bytesUsed <= disk.options.maxSize && counts.segments >= 1)
    #expect(try isWhole(disk, "39", body))
    store(disk, "new", body)
    pass(disk, from: 10, seconds: 1)
    #expect(try isWhole(disk, "new", body))
  }
}
