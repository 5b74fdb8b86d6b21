import Base
import System
import Testing

@testable import Cache

@Suite struct IndexTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func open() throws -> Index.Opening {
    try Index.open(folder: folder.path, mapBytes: 64 << 20, wallSeconds: 1000)
  }

  func record(_ text: String) -> Record {
    Record(
      key: Array(text.utf8), stamp: 1, status: 200, totalBytes: 10, sliceShift: 20, created: 5)
  }

  @Test func keepsRecordsSecretAndSequenceOverLives() throws {
    let key: Digest128
    let secret: SipKey
    do {
      let index = try open().index
      secret = index.secret
      key = index.hash([1, 2, 3].rawBytes)
      try index.write { tables throws(Fault) in
        try tables.put(record("a"), key)
        try tables.put(SliceBlock(stamp: 4), key, 2)
        #expect(try tables.advanceSequence() == 1)
      }
      let reader = try index.reader()
      #expect(try reader.lookUp(key) { Record($0) } == record("a"))
    }
    let opening = try open()
    #expect(opening.setAside == nil)
    #expect(opening.index.secret == secret)
    #expect(opening.index.life == 2)
    let reader = try opening.index.reader()
    #expect(try reader.lookUp(key) { Record($0) } == record("a"))
    #expect(try reader.slices(key, block: 2) { SliceBlock($0, number: 2) } == SliceBlock(stamp: 4))
    #expect(try reader.slices(key, block: 3) { _ in true } == nil)
    #expect(try reader.lookUp(Digest128(first: 1, second: 1)) { _ in true } == nil)
    try opening.index.write { tables throws(Fault) in
      #expect(try tables.anyBlock(of: key) == 2)
      #expect(try tables.advanceSequence() == 2)
    }
  }

  @Test func aReaderSeesOneStateForATurn() throws {
    let index = try open().index
    let key = index.hash([1].rawBytes)
    let reader = try index.reader()
    #expect(try reader.lookUp(key) { _ in true } == nil)
    try index.write { tables throws(Fault) in try tables.put(record("a"), key) }
    #expect(try reader.lookUp(key) { _ in true } == nil)
    reader.endTurn()
    #expect(try reader.lookUp(key) { _ in true } == true)
  }

  @Test func aFaultLeavesTheIndexAsItWas() throws {
    let index = try open().index
    let key = index.hash([1].rawBytes)
    #expect(throws: Fault(.cancelled, .own)) {
      try index.write { tables throws(Fault) in
        try tables.put(record("a"), key)
        throw Fault(.cancelled, .own)
      }
    }
    let reader = try index.reader()
    #expect(try reader.lookUp(key) { _ in true } == nil)
  }

  @Test func garbageIsSetAside() throws {
    try Folder.create(folder.path + "/index")
    do {
      let file = try File(path: folder.path + "/index/data.mdb", .createNew)
      try file.write(at: 0, [UInt8](repeating: 0x5a, count: 100_000).rawBytes)
    }
    let opening = try open()
    #expect(opening.setAside == .init(name: "index.aside-1000", why: .unreadable))
    #expect(opening.index.life == 1)
    #expect(Folder.exists(folder.path + "/index.aside-1000/data.mdb"))
  }

  @Test func aFileOfItsNameAndATornFileAreSetAside() throws {
    do { _ = try File(path: folder.path + "/index", .createNew) }
    do {
      let opening = try open()
      #expect(opening.setAside?.why == .unreadable)
      try opening.index.write { tables throws(Fault) in
        for number in 0..<2000 {
          try tables.put(record("x"), Digest128(first: UInt64(number), second: 0))
        }
      }
    }
    let bytes = [UInt8](repeating: 0, count: 20_000)
    var head = bytes
    do {
      let file = try File(path: folder.path + "/index/data.mdb", .read)
      _ = try head.withUnsafeMutableBytes { buffer throws in
        try file.read(at: 0, into: buffer)
      }
    }
    try Folder.remove(file: folder.path + "/index/data.mdb")
    do {
      let file = try File(path: folder.path + "/index/data.mdb", .createNew)
      try file.write(at: 0, head.rawBytes)
    }
    #expect(try open().setAside == .init(name: "index.aside-1000", why: .unreadable))
    // Kept for one life: an opening that finds nothing wrong removes it.
    #expect(Folder.exists(folder.path + "/index.aside-1000"))
    #expect(try open().setAside == nil)
    #expect(!Folder.exists(folder.path + "/index.aside-1000"))
  }

  @Test func whateverWasSetAsideIsClearedAway() throws {
    do { _ = try open() }
    try Folder.remove(file: folder.path + "/index/data.mdb")
    try Folder.create(folder.path + "/index/data.mdb/deep/er")
    do { _ = try File(path: folder.path + "/index/data.mdb/deep/file", .createNew) }
    #expect(try open().setAside?.why == .unreadable)
    #expect(Folder.exists(folder.path + "/index.aside-1000/data.mdb/deep/er"))
    #expect(try open().setAside == nil)
    #expect(!Folder.exists(folder.path + "/index.aside-1000"))
  }

  /// LMDB maps as many pages as a head page says are in use, and no machine has room for these.
  @Test func moreInUseThanAnyMachineCanMapIsSetAside() throws {
    do { _ = try open() }
    for head in 0..<2 { try put(1 << 50, at: head * 4096 + 136) }
    #expect(try open().setAside?.why == .unreadable)
    #expect(try open().setAside == nil)
  }

  @Test func noPageLeftForTheOpeningItselfIsSetAside() throws {
    do { _ = try open() }
    let pages = try Folder.usedBytes(folder.path + "/index/data.mdb") / 4096
    for head in 0..<2 {
      try put(UInt64(pages - 1), at: head * 4096 + 136)
      // And no list of free ones.
      try put(.max, at: head * 4096 + 80)
    }
    try put(0, at: pages * 4096 - 8)
    #expect(try open().setAside?.why == .tooLarge)
    #expect(try open().setAside == nil)
  }

  /// A write to such a page fails as on a disk in trouble, and would for ever.
  @Test(arguments: [1 << 48, 1 << 52] as [UInt64])
  func freePagesThatNoFileHasAreDamage(page: UInt64) throws {
    do { try fillAndFree(try open().index) }
    // The list of free pages is a database of its own, whose root stands in the newer head page.
    let heads = try [0, 4096].map { head in
      (life: try number(at: head + 144), root: try number(at: head + 80))
    }
    let root = try #require(heads.max { $0.life < $1.life }).root
    let leaf = Int(root) * 4096
    let nodes = (Int(try number(at: leaf + 8) >> 32 & 0xFFFF) - 16) / 2
    #expect(nodes > 0)
    for node in 0..<nodes {
      let place = leaf + Int(try number(at: leaf + 16 + 2 * node) & 0xFFFF)
      // Eight bytes of node, eight of key; then how many pages, and their numbers.
      // The highest first, as LMDB has them.
      let count = Int(try number(at: place + 16))
      for free in 0..<count { try put(page - UInt64(free), at: place + 24 + 8 * free) }
    }
    #expect(try open().setAside?.why == .unreadable)
    #expect(try open().setAside == nil)
  }

  /// Puts another number of pages in each entry of the list of free ones.
  private func setFreeCounts(_ count: UInt64) throws {
    let heads = try [0, 4096].map { head in
      (life: try number(at: head + 144), root: try number(at: head + 80))
    }
    let leaf = Int(try #require(heads.max { $0.life < $1.life }).root) * 4096
    let nodes = (Int(try number(at: leaf + 8) >> 32 & 0xFFFF) - 16) / 2
    #expect(nodes > 0)
    for node in 0..<nodes {
      let place = leaf + Int(try number(at: leaf + 16 + 2 * node) & 0xFFFF)
      try put(count, at: place + 16)
    }
  }

  /// LMDB finds no memory for such a list, and would not at any later start.
  @Test func aListOfFreePagesWithoutEndIsDamage() throws {
    do { try fillAndFree(try open().index) }
    try setFreeCounts(1 << 31)
    #expect(try open().setAside?.why == .unreadable)
    #expect(try open().setAside == nil)
  }

  @Test(arguments: [1 << 31, 1 << 60, .max] as [UInt64])
  func moreFreePagesThanAreListedAreDamage(count: UInt64) throws {
    let index = try open().index
    try fillAndFree(index)
    #expect(try index.freePages() > 0)
    try setFreeCounts(count)
    #expect(throws: Fault(.corrupt, .disk)) { try index.freePages() }
  }

  private func fillAndFree(_ index: Index) throws {
    for round in 0..<4 as Range<UInt64> {
      try index.write { tables throws(Fault) in
        for number in 0..<200 as Range<UInt64> {
          try tables.put(record("x"), Digest128(first: number, second: round))
        }
      }
    }
  }

  private func number(at offset: Int) throws -> UInt64 {
    let file = try File(path: folder.path + "/index/data.mdb", .read)
    var number: UInt64 = 0
    _ = try withUnsafeMutableBytes(of: &number) { buffer throws(Fault) in
      try file.read(at: offset, into: buffer)
    }
    return number
  }

  private func put(_ number: UInt64, at offset: Int) throws {
    let file = try File(path: folder.path + "/index/data.mdb", .readWrite)
    try file.write(at: offset, [number].span.bytes)
  }

  @Test func anotherFormatIsSetAside() throws {
    do {
      let index = try open().index
      try index.write { tables throws(Fault) in try tables.set(.format, 99) }
    }
    #expect(try open().setAside?.why == .foreign)
    #expect(try open().setAside == nil)
  }

  @Test func threeUncleanExitsAreEnough() throws {
    for _ in 0..<3 { #expect(try open().setAside == nil) }
    #expect(try open().setAside?.why == .uncleanExits)
    #expect(try open().setAside == nil)
  }

  @Test func numbersThatWereNotWrittenSoAreDamage() throws {
    let index = try open().index
    let name = Array("nextSegment".utf8)
    try index.write { tables throws(Fault) in
      #expect(try tables.number(.nextSegment) == 1)
      // Another name's number, and a bit of its own.
      try tables.put(tables.databases.meta, name, SealedNumber.encoded(1, Array("life".utf8)))
      #expect(throws: Fault(.corrupt, .disk)) { try tables.number(.nextSegment) }
      var bytes = SealedNumber.encoded(1, name)
      bytes[7] ^= 1
      try tables.put(tables.databases.meta, name, bytes)
      #expect(throws: Fault(.corrupt, .disk)) { try tables.number(.nextSegment) }
    }
  }

  @Test func whatIsNoBlockIsNotGivenToReaders() throws {
    let index = try open().index
    let key = index.hash([1].rawBytes)
    try index.write { tables throws(Fault) in
      let block = SliceBlock(stamp: 4).encoded(number: 3)
      for number in [UInt32(2), 3] {
        try tables.put(
          tables.databases.slices, IndexTransaction.coded(key, number), block)
      }
      #expect(try tables.block(key, 2) == nil)
      #expect(try tables.block(key, 3) != nil)
    }
    let reader = try index.reader()
    #expect(try reader.slices(key, block: 2) { _ in true } == nil)
    #expect(try reader.slices(key, block: 3) { _ in true } == true)
  }

  @Test func segmentsHaveRowsAndChunks() throws {
    let index = try open().index
    try index.write { tables throws(Fault) in
      var row = SegmentRow(size: 4 << 20, created: 7)
      try tables.put(row, 3)
      row.state = .evicted
      row.used = 99
      try tables.put(row, 300)
      let entries = (0..<10).map {
        SegmentEntry(key: Digest128(first: $0, second: 2), block: UInt32($0))
      }
      try tables.putChunk(entries[..<4], of: 3, 1)
      try tables.putChunk(entries[4...], of: 3, 2)
      #expect(try tables.row(300) == row)
      #expect(SegmentRow(row.encoded(of: 3).rawBytes, of: 2) == nil)
      #expect(try tables.segment(from: 0) == 3)
      #expect(try tables.segment(from: 4) == 300)
      #expect(try tables.segment(from: 301) == nil)
      let found = try tables.chunks(of: 3)
      #expect(found.entries == entries && found.last == 2)
      #expect(try tables.chunks(of: 300).entries.isEmpty)
      try tables.removeChunks(of: 3)
      #expect(try tables.chunk(of: 3, from: 1) == nil)
    }
    #expect(try index.usedPercent() == 0)
    var random = SeededRandom(seed: 8)
    for _ in 0..<2000 { _ = SegmentRow(randomBytes(40, &random).rawBytes, of: 1) }
  }
}
