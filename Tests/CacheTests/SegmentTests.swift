import Base
import System
import Testing

@testable import Cache

@Suite struct SegmentLayoutTests {
  func entry(_ number: Int) -> SegmentEntry {
    SegmentEntry(key: Digest128(first: UInt64(number), second: 1), block: SegmentEntry.inRecord)
  }

  @Test func bodiesNeverOverlapAndLargeOnesHaveTheirPages() {
    var random = SeededRandom(seed: 5)
    var layout = SegmentLayout(number: 1, size: 4 << 20)
    var end = 0
    var wasPaged = false
    var number = 0
    while true {
      let count = random.chance(0.5) ? random.number(in: 0...5000) : random.number(in: 1...100_000)
      number += 1
      guard let offset = layout.place(count, for: entry(number)) else { break }
      #expect(offset >= end)
      if count >= 16 << 10 {
        #expect(offset % 4096 == 0)
        #expect(layout.used % 4096 == 0)
        wasPaged = true
      } else if !wasPaged {
        // Packed: nothing lies between.
        #expect(offset == end)
      }
      end = offset + count
      #expect(layout.footer.offset >= layout.used)
    }
    #expect(wasPaged && number > 20)
    #expect(layout.entries.count == number - 1)
  }

  @Test func theFooterGivesTheEntriesBack() throws {
    var layout = SegmentLayout(number: 9, size: 1 << 20)
    for number in 0..<500 { _ = layout.place(10, for: entry(number / 2)) }
    #expect(layout.entries.count == 250)
    let (offset, bytes) = layout.footer
    #expect(offset + bytes.count == 1 << 20)
    let trailer = Array(bytes.suffix(SegmentLayout.trailerBytes))
    let count = try #require(
      trailer.entryBytes(number: 9, size: 1 << 20))
    var coded = Array(bytes.dropLast(SegmentLayout.trailerBytes))
    #expect(coded.count == count)
    #expect(
      coded.entries(trailer: trailer) == layout.entries)
    coded[3] ^= 1
    #expect(coded.entries(trailer: trailer) == nil)
    #expect(
      trailer.entryBytes(number: 8, size: 1 << 20) == nil)
  }

  @Test func entriesSortAsTheIndexDoes() {
    var random = SeededRandom(seed: 6)
    let entries = (0..<200).map { _ in
      SegmentEntry(key: Digest128(first: random.next(), second: random.next()), block: 3)
    }
    let coded = entries.sorted().map { IndexTransaction.coded($0.key) }
    for index in 1..<coded.count {
      #expect(coded[index - 1].lexicographicallyPrecedes(coded[index]))
    }
  }
}

@Suite struct SegmentTableTests {
  /// As after a smaller slice_size, whose segments are smaller too.
  @Test func whatNoSegmentHoldsCostsNone() throws {
    let folder = try TemporaryFolder()
    let disk = try DiskStorage(folder.options(segments: 4), wallSeconds: wall)
    let heard = Heard()
    let record = disk.newRecord("small", 5_000)
    let key = disk.text("small")
    let body = SliceBuffer([UInt8](repeating: 1, count: 5_000))
    #expect(disk.submit(.put(key: key, record: record, nil)))
    #expect(disk.submit(.slice(key: key, stamp: record.stamp, index: 0, body, nil)))
    disk.settle()
    for number in 0..<8 {
      let body = SliceBuffer([UInt8](repeating: 2, count: 4 << 20))
      let key = disk.text("large")
      #expect(
        disk.submit(.slice(key: key, stamp: 1, index: number, body, heard.note("\(number)"))))
      disk.settle()
    }
    #expect(heard.all == (0..<8).map { "\($0) own_exhausted" })
    #expect(folder.segmentFiles == ["00000001.seg"])
    #expect(disk.counters.snapshot.segments == 1 && disk.counters.snapshot.evictions == 0)
    let slice = try #require(try disk.record(key)?.slices[0])
    #expect(try disk.bytes(of: slice, 5_000) == [UInt8](repeating: 1, count: 5_000))
  }

  @Test func aPinOutlivesEviction() throws {
    let folder = try TemporaryFolder()
    let table = SegmentTable(folder: folder.path, limit: 4)
    #expect(try table.pin(7) == nil)
    #expect(table.add(7))
    #expect(throws: Fault.self) { _ = try table.pin(7) }
    _ = try File(path: table.path(7), .createNew)
    let first = try #require(try table.pin(7))
    #expect(try table.pin(7) == first)
    table.retire(7)
    #expect(try table.pin(7) == nil)
    #expect(!table.close(7))
    table.unpin(7)
    #expect(!table.close(7))
    #expect(first.residentPrefix(offset: 0, count: 1) == 0)
    table.unpin(7)
    #expect(table.close(7))
    #expect(!table.isTaken(7))
    // A number that shares the place finds it free, and the old one finds nothing.
    #expect(table.add(7 + 64))
    #expect(!table.add(7))
    #expect(try table.pin(7) == nil)
  }

  @Test func namesAreEightDigits() {
    #expect(SegmentTable.name(0xab) == "000000AB.seg")
    #expect(SegmentTable.name(.max) == "FFFFFFFF.seg")
  }
}
