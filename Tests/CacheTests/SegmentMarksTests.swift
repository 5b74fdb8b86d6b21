import Base
import Synchronization
import System
import Testing

@testable import Cache

@Suite struct SegmentMarksTests {
  /// A table with one segment, number 7, of so many bytes.
  func table(_ folder: TemporaryFolder, bytes: Int) throws -> SegmentTable {
    let table = SegmentTable(folder: folder.path, limit: 4)
    try File(path: table.path(7), .createNew).allocate(bytes: bytes)
    #expect(table.add(7))
    return table
  }

  @Test func aMarkIsOnePages() throws {
    let folder = try TemporaryFolder()
    let size = 300 * 4096 + 1
    let table = try table(folder, bytes: size)
    #expect(try table.pin(7) != nil)
    defer { table.unpin(7) }
    var random = SeededRandom(seed: 1)
    var hit: Set<Int> = []
    var verified: Set<Int> = []
    for _ in 0..<400 {
      let offset = random.number(in: 0...size - 1)
      switch random.number(in: 0...3) {
      case 0:
        table.noteHit(7, at: offset)
        hit.insert(offset / 4096)
      case 1, 2:
        table.setVerified(7, at: offset)
        verified.insert(offset / 4096)
      default:
        let count = random.number(in: 0...20_000)
        table.clearVerified(7, from: offset, count: count)
        verified = verified.filter { page in
          count == 0 || page < offset / 4096 || page > (offset + count - 1) / 4096
        }
      }
    }
    #expect(!hit.isEmpty && !verified.isEmpty)
    for page in 0...300 {
      #expect(table.wasHit(7, at: page * 4096) == hit.contains(page))
      #expect(table.isVerified(7, at: min(page * 4096 + 4095, size - 1)) == verified.contains(page))
    }
  }

  @Test func whatLiesOutsideHasNoMarksAndDoesNotTrap() throws {
    let folder = try TemporaryFolder()
    let table = try table(folder, bytes: 4096)
    // Not opened yet, and not there.
    for segment: UInt32 in [7, 8, 0] {
      table.noteHit(segment, at: 0)
      table.setVerified(segment, at: 0)
      table.clearVerified(segment, from: 0, count: 1)
      #expect(!table.wasHit(segment, at: 0) && !table.isVerified(segment, at: 0))
    }
    #expect(try table.pin(7) != nil)
    for offset in [-1, .min, 64 * 4096, .max] {
      table.noteHit(7, at: offset)
      table.setVerified(7, at: offset)
      table.clearVerified(7, from: offset, count: .max)
      #expect(!table.wasHit(7, at: offset) && !table.isVerified(7, at: offset))
    }
    table.setVerified(7, at: 0)
    table.clearVerified(7, from: 0, count: .max)
    #expect(!table.isVerified(7, at: 0))
  }

  @Test func marksLastAsLongAsTheDescriptor() throws {
    let folder = try TemporaryFolder()
    let table = try table(folder, bytes: 4 << 20)
    #expect(try table.pin(7) != nil)
    table.noteHit(7, at: 8192)
    table.setVerified(7, at: 4096)
    table.retire(7)
    #expect(table.wasHit(7, at: 8192) && table.isVerified(7, at: 4096))
    table.unpin(7)
    #expect(table.close(7))
    #expect(!table.wasHit(7, at: 8192) && !table.isVerified(7, at: 4096))
    // The next one begins without any; a segment that is being written has them at once.
    let file = try File(path: table.path(7), .readWrite)
    #expect(table.add(7, descriptor: file.release()))
    #expect(!table.wasHit(7, at: 8192))
    table.noteHit(7, at: 8192)
    #expect(table.wasHit(7, at: 8192))
  }

  /// Readers mark what they have pinned while the writer evicts it and enters it again.
  @Test func marksAndEvictionsMayRace() throws {
    let folder = try TemporaryFolder()
    let race = Race(try table(folder, bytes: 1 << 20))
    let threads = try (0..<3).map { number in
      Running(try Thread(name: "marker") { race.mark(seed: UInt64(number)) })
    }
    var rounds = 0
    let end = Clock.now + .seconds(120)
    while (rounds < 300 || race.marked.load(ordering: .relaxed) < 2000) && Clock.now < end {
      race.table.retire(7)
      while !race.table.close(7) {}
      #expect(race.table.add(7))
      rounds += 1
    }
    race.isOver.store(true, ordering: .releasing)
    _ = consume threads
    #expect(rounds >= 300)
    #expect(race.marked.load(ordering: .relaxed) >= 2000)
    #expect(race.lost.load(ordering: .relaxed) == 0)
  }

  private final class Race: Sendable {
    let table: SegmentTable
    let isOver = Atomic<Bool>(false)
    let marked = Atomic<Int>(0)
    let lost = Atomic<Int>(0)

    init(_ table: SegmentTable) { self.table = table }

    func mark(seed: UInt64) {
      var random = SeededRandom(seed: seed)
      while !isOver.load(ordering: .acquiring) {
        guard (try? table.pin(7)) != nil else { continue }
        let offset = random.number(in: 0...(1 << 20) - 1)
        table.noteHit(7, at: offset)
        table.setVerified(7, at: offset)
        // Nobody takes the marks of what is pinned.
        if !table.wasHit(7, at: offset) || !table.isVerified(7, at: offset) {
          lost.add(1, ordering: .relaxed)
        }
        table.unpin(7)
        marked.add(1, ordering: .relaxed)
      }
    }
  }

  /// Joined when the last reference goes.
  private final class Running {
    let thread: Thread

    init(_ thread: consuming Thread) { self.thread = thread }
  }
}
