import Base
import Testing

@testable import Cache

@Suite struct SliceBudgetTests {
  @Test func keptSlicesShareOneBound() {
    let budget = SliceBudget(limit: 3 << 12)
    let worlds = (0..<4).map { _ in FillWorld(budget: budget) }
    for world in worlds {
      _ = world.reader()
      world.open(100_000)
    }
    for world in worlds[..<3] {
      #expect(world.fill.buffer(slice: 0) != nil && world.fill.lackingBytes == 0)
    }
    #expect(budget.bytes(.kept) == 3 << 12 && budget.freeBytes() == 0)
    #expect(worlds[3].fill.buffer(slice: 0) == nil)
    #expect(worlds[3].fill.lackingBytes == 4_096)
    #expect(worlds[2].fill.buffer(slice: 0) != nil, "what has begun goes on")
    // The disk gives memory back, and so does what is given up.
    worlds[0].fill.written(slice: 0, .written(Slice(segment: 1, offset: 0, checksum: 0)))
    #expect(budget.freeBytes() == 4_096)
    #expect(worlds[3].fill.buffer(slice: 0) != nil && worlds[3].fill.lackingBytes == 0)
    worlds[1].fill.discard(slice: 0)
    #expect(budget.bytes(.kept) == 2 << 12)
  }

  @Test func aFullWindowIsNoLackOfMemory() {
    let budget = SliceBudget(limit: 1 << 20)
    let world = FillWorld(budget: budget)
    let reader = world.reader()
    world.open(1 << 40, shift: 20)
    #expect(world.fill.buffer(slice: 0) != nil)
    #expect(world.fill.buffer(slice: 1) == nil && world.fill.lackingBytes == 1 << 20)
    #expect(world.fill.buffer(slice: 33) == nil && world.fill.lackingBytes == 0)
    world.fill.detach(reader)
    #expect(world.fill.buffer(slice: 33) == nil && world.fill.lackingBytes == 1 << 20)
  }

  /// Otherwise several bodies under check could each hold half of what they need, for ever.
  @Test func aBodyUnderCheckTakesForTheWholeAtOnce() {
    let budget = SliceBudget(limit: 6 << 12)
    let (one, two) = (FillWorld(budget: budget), FillWorld(budget: budget))
    for world in [one, two] {
      _ = world.reader()
      world.open(4 << 12, visibleEnd: 4 << 12 - 1)
    }
    #expect(one.fill.buffer(slice: 0) != nil)
    #expect(budget.bytes(.kept) == 4 << 12)
    #expect(two.fill.buffer(slice: 0) == nil && two.fill.lackingBytes == 4 << 12)
    for slice in 1..<4 {
      #expect(one.fill.hasReserve && one.fill.buffer(slice: slice) != nil)
    }
    #expect(!one.fill.hasReserve)
    #expect(budget.bytes(.kept) == 4 << 12)
    one.fill.fail(Fault(.closed, .upstream))
    for slice in 0..<4 { one.fill.discard(slice: slice) }
    #expect(budget.bytes(.kept) == 0)
    #expect(two.fill.buffer(slice: 0) != nil)
    two.fill.fail(Fault(.closed, .upstream))
    #expect(budget.bytes(.kept) == 1 << 12, "what was reserved is given back at once")
  }

  @Test func oneLargerThanTheBoundPassesAlone() {
    let budget = SliceBudget(limit: 1_000)
    let (one, two) = (FillWorld(budget: budget), FillWorld(budget: budget))
    for world in [one, two] {
      _ = world.reader()
      world.open(100_000)
    }
    #expect(one.fill.buffer(slice: 0) != nil)
    #expect(two.fill.buffer(slice: 0) == nil)
    one.fill.discard(slice: 0)
    #expect(two.fill.buffer(slice: 0) != nil)
  }

  /// A large one waits until enough is free at once, which small ones must not prevent for ever.
  @Test func aClaimHoldsBackOthers() {
    let budget = SliceBudget(limit: 10)
    #expect(budget.take(6) && budget.claim(8) && !budget.claim(1))
    #expect(!budget.take(1))
    budget.give(6, .kept)
    #expect(budget.freeBytes(claiming: 8) == .max && budget.freeBytes() == 2)
    #expect(!budget.take(3) && budget.take(2))
    budget.unclaim(8)
    #expect(budget.take(8) && !budget.take(1))
    #expect(budget.bytes(.kept) == 10 && budget.freeBytes() == 0)
    // Beyond the bound, too: everybody else waits until it is alone.
    #expect(budget.claim(100) && !budget.take(1))
    budget.give(10, .kept)
    #expect(!budget.take(1))
    budget.unclaim(100)
    #expect(budget.take(100))
  }

  @Test func whatIsPassedOnHasAlwaysOnePiece() {
    let budget = SliceBudget(limit: 4 << 16)
    let worlds = (0..<3).map { _ in FillWorld(listed: false, budget: budget) }
    let readers = worlds.map { world in
      let reader = world.alone()
      world.open(nil, kept: false)
      return reader
    }
    for world in worlds { #expect(world.land(0, 1 << 16)) }
    #expect(budget.bytes(.passed) == 3 << 16 && budget.bytes(.kept) == 0)
    #expect(!worlds[0].land(1, 1 << 16))
    #expect(worlds[0].fill.lackingBytes == 0, "it waits for its reader")
    // The reader that has passed the piece makes room for the next one.
    #expect(readers[0].step(at: 1 << 16) == "absent 1")
    worlds[0].settle()
    #expect(worlds[0].source.heard == ["room"])
    #expect(worlds[0].land(1, 1 << 16))
    #expect(budget.bytes(.passed) == 3 << 16)
  }

  /// What is gathered comes free by its clients' speed, and must not keep from the disk what comes by its own.
  @Test func whatIsGatheredTakesAQuarterAtMost() {
    let budget = SliceBudget(limit: 400)
    #expect(!budget.takeCollected(101) && budget.takeCollected(60) && !budget.takeCollected(41))
    #expect(budget.takeCollected(40) && !budget.takeCollected(1) && budget.bytes(.kept) == 100)
    budget.giveCollected(30)
    #expect(budget.bytes(.kept) == 70 && budget.takeCollected(30))
    // What is kept now is counted on, but leaves room for more to be gathered.
    budget.keepCollected(100)
    #expect(budget.bytes(.kept) == 100 && budget.takeCollected(100) && !budget.takeCollected(1))
    #expect(budget.take(200) && !budget.take(1))
    budget.giveCollected(100)
    budget.give(300, .kept)
    #expect(budget.bytes(.kept) == 0)
  }

  @Test func aBufferOfGatheredBytesGivesThemBack() {
    let budget = SliceBudget(limit: 400)
    #expect(budget.takeCollected(50))
    var buffer: SliceBuffer? = budget.collected([UInt8](repeating: 7, count: 50))
    budget.keepCollected(50)
    #expect(buffer?.count == 50 && buffer?.free == 0 && budget.bytes(.kept) == 50)
    buffer = nil
    #expect(budget.bytes(.kept) == 0 && budget.takeCollected(100))
  }
}
