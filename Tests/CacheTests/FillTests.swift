import Base
import EventLoop
import Testing

@testable import Cache

@Suite struct FillTests {
  let place = Slice(segment: 1, offset: 4096, checksum: 0)

  // MARK: Joining

  @Test func whoAsksForTheSameJoins() {
    let world = FillWorld()
    let made = { [world] (fill: Fill) in TestReader(fill, on: world.ports[0], from: 0, to: .max) }
    let first = world.table.join(
      world.key, canonicalKey: world.name, create: { world.fill }, reader: made)
    #expect(first?.isNew == true)
    let second = world.table.join(
      world.key, canonicalKey: world.name,
      create: {
        Issue.record("made twice")
        return world.fill
      }, reader: made)
    #expect(second?.isNew == false && second?.reader.fill === world.fill)
    #expect(world.table.count == 1)
    // Another object whose key has the same digest.
    let foreign = world.table.join(
      world.key, canonicalKey: [1], create: { world.fill }, reader: made)
    #expect(foreign == nil)
  }

  // MARK: Steps

  @Test func aReaderGetsWhatHasLanded() {
    let world = FillWorld()
    let reader = world.reader()
    #expect(reader.step(at: 0) == "wait")
    world.fill.setFetch(0, 0..<3)
    world.open(10_000)
    world.settle()
    #expect(reader.changes == 1)
    #expect(reader.step(at: 0) == "wait")
    world.land(0, 100)
    world.land(0, 300)
    world.settle()
    #expect(reader.changes == 2, "one call for all that came in a turn")
    #expect(reader.step(at: 0) == "bytes 0 300")
    #expect(reader.step(at: 120) == "bytes 120 180")
    #expect(reader.step(at: 300) == "wait")
    world.fill.written(slice: 0, .written(place))
    #expect(reader.step(at: 300) == "stored 0 300 3796")
    world.land(2, 1_808)
    #expect(reader.step(at: 8_200) == "bytes 8 1800")
    #expect(reader.step(at: 10_000) == "end")
  }

  @Test func aRangeEndsWhereItEnds() {
    let world = FillWorld()
    let reader = world.reader(from: 4_000, to: 5_000)
    world.fill.setFetch(0, 0..<3)
    world.open(10_000)
    world.land(0, 4_096)
    world.land(1, 4_096)
    #expect(reader.step(at: 4_000) == "bytes 4000 96")
    #expect(reader.step(at: 4_096) == "bytes 0 904")
    #expect(reader.step(at: 5_000) == "end")
    world.fill.aim(reader, at: 100..<200)
    #expect(reader.step(at: 100) == "bytes 100 100")
    #expect(reader.step(at: 200) == "end")
  }

  @Test func whatNobodyBringsIsAbsentAndCanBeWanted() {
    let world = FillWorld()
    let reader = world.reader(from: 0, to: 60_000)
    world.open(100_000)
    #expect(reader.step(at: 8_192) == "absent 2")
    world.fill.want(reader, slice: 2)
    world.settle()
    #expect(world.source.heard == ["wanted 2"])
    world.fill.setFetch(1, 2..<20)
    #expect(reader.step(at: 8_192) == "wait")
    // Four slices ahead of a fetch one waits, five ahead not; nor behind it.
    #expect(reader.step(at: 6 << 12) == "wait")
    #expect(reader.step(at: 7 << 12) == "absent 7")
    #expect(reader.step(at: 1 << 12) == "absent 1")
    #expect(world.fill.isUnderWay(slice: 6) && !world.fill.isUnderWay(slice: 7))
    world.fill.setFetch(1, 2..<20, inOrder: true)
    #expect(reader.step(at: 13 << 12) == "wait")
    let changes = reader.changes
    world.fill.removeFetch(1)
    world.settle()
    #expect(reader.changes == changes + 1)
    #expect(reader.step(at: 13 << 12) == "absent 13")
  }

  @Test func severalFetchesLeaveEachOtherTheirSlices() {
    let world = FillWorld()
    _ = world.reader()
    world.open(100_000)
    // The first brings everything, but for what one that began further on is at.
    world.fill.setFetch(1, 0..<Int.max)
    world.fill.setFetch(2, 5..<9)
    #expect(!world.fill.isTaken(slice: 3, from: 0, by: 0))
    #expect(world.fill.isTaken(slice: 5, from: 0, by: 0))
    #expect(!world.fill.isTaken(slice: 9, from: 0, by: 0))
    #expect(
      !world.fill.isTaken(slice: 6, from: 5, by: 0), "the first is far behind and will stop at 5")
    world.land(3, 10)
    #expect(world.fill.isTaken(slice: 3, from: 0, by: 0))
    world.fill.discard(slice: 3)
    #expect(!world.fill.isTaken(slice: 3, from: 0, by: 0))
    // What is on the disk is not discarded, only lost, and only as the one it was.
    world.fill.written(slice: 4, .written(place))
    world.fill.discard(slice: 4)
    #expect(world.fill.isTaken(slice: 4, from: 0, by: 0))
    world.fill.lost(slice: 4, at: Slice(segment: 9, offset: 0, checksum: 0))
    #expect(world.fill.isTaken(slice: 4, from: 0, by: 0))
    world.fill.lost(slice: 4, at: place)
    #expect(!world.fill.isTaken(slice: 4, from: 0, by: 0))
  }

  /// A fetch that waits for room stands at the slice that it has brought.
  @Test func whatIsLostAgainIsNotWaitedFor() {
    let world = FillWorld()
    let place = Slice(segment: 1, offset: 0, checksum: 7)
    let reader = world.reader()
    world.open(100_000)
    world.fill.setFetch(1, 4..<9)
    world.fill.written(slice: 4, .written(place))
    #expect(reader.step(at: 4 << 12) == "stored 4 0 4096")
    world.fill.lost(slice: 4, at: place)
    #expect(reader.step(at: 4 << 12) == "absent 4")
    #expect(reader.step(at: 5 << 12) == "wait")
    // Nor does that fetch take itself for another one further on, and end.
    #expect(!world.fill.isTaken(slice: 5, from: 4, by: 1))
    #expect(world.fill.isTaken(slice: 5, from: 4, by: 2))
  }

  @Test func heldBackBytesReachNobodyUntilTheyAreReleased() {
    let world = FillWorld()
    let reader = world.reader()
    world.fill.setFetch(0, 0..<1)
    world.open(1_000, visibleEnd: 0)
    world.land(0, 1_000)
    #expect(world.fill.isHeldBack)
    #expect(reader.step(at: 0) == "wait")
    world.fill.releaseAll()
    world.settle()
    #expect(reader.changes > 0 && !world.fill.isHeldBack)
    #expect(reader.step(at: 0) == "bytes 0 1000")
  }

  @Test func theEndOfAnUnknownLengthIsToldLate() {
    let world = FillWorld(listed: false)
    let reader = world.alone()
    world.fill.setFetch(0, 0..<Int.max)
    world.open(nil, kept: false)
    world.land(0, 500)
    #expect(reader.step(at: 0) == "bytes 0 500")
    #expect(reader.step(at: 500) == "wait")
    world.fill.ended(at: 500)
    world.settle()
    #expect(reader.changes == 1)
    #expect(reader.step(at: 500) == "end")
  }

  // MARK: The window

  @Test func whatIsKeptRunsAheadOfTheFurthestReader() {
    let world = FillWorld()
    let (near, far) = (world.reader(), world.reader())
    world.open(1 << 40, shift: 20)
    world.fill.setFetch(0, 0..<1_000)
    #expect(world.fill.buffer(slice: 32) != nil)
    #expect(world.fill.buffer(slice: 34) == nil)
    #expect(world.fill.buffer(slice: 33) == nil)
    #expect(world.fill.buffer(slice: 35) == nil)
    _ = near.step(at: 1 << 20 - 1)
    world.settle()
    #expect(world.source.heard == [])
    // The fetch that is furthest behind decides.
    _ = far.step(at: 1 << 20)
    world.settle()
    #expect(world.source.heard == ["room"])
    #expect(world.fill.buffer(slice: 33) != nil)
    #expect(world.fill.buffer(slice: 34) == nil)
    // One that leaves may have been the one that was waited for.
    world.fill.detach(near)
    world.settle()
    #expect(world.source.heard == ["room", "room"])
  }

  @Test func whatIsPassedRunsAheadOfTheSlowestReaderAndIsFreed() {
    let world = FillWorld(listed: false)
    let (slow, fast) = (world.alone(), world.alone())
    world.open(nil, kept: false)
    world.fill.setFetch(0, 0..<1_000)
    for slice in 0...4 { #expect(world.land(slice, 1 << 16)) }
    #expect(!world.land(5, 1 << 16))
    _ = fast.step(at: 5 << 16)
    world.settle()
    #expect(world.source.heard == [])
    #expect(world.fill.isUnderWay(slice: 0))
    _ = slow.step(at: 1 << 16)
    world.settle()
    #expect(world.source.heard == ["room"])
    #expect(world.land(5, 1 << 16))
    world.fill.removeFetch(0)
    #expect(!world.fill.isUnderWay(slice: 0) && world.fill.isUnderWay(slice: 1))
    world.fill.detach(slow)
    #expect(!world.fill.isUnderWay(slice: 4) && world.fill.isUnderWay(slice: 5))
  }

  @Test func theSlowestReaderOfWhatIsPassedDoesNotWaitForItsOwnMemory() {
    let budget = SliceBudget(limit: 4 << 16)
    let world = FillWorld(listed: false, budget: budget)
    let (slow, fast) = (world.alone(), world.alone())
    world.open(nil, kept: false)
    _ = fast.step(at: 2 << 16)
    #expect(world.land(2, 1 << 16) && world.land(3, 1 << 16))
    #expect(!world.land(4, 1 << 16), "no more than half of the budget")
    // What lies there comes free only when the slow one has passed it.
    #expect(world.land(0, 1 << 16))
    #expect(!world.land(1, 1 << 16))
    _ = slow.step(at: 1 << 16)
    #expect(world.land(1, 1 << 16))
    world.fill.detach(slow)
    world.fill.detach(fast)
  }

  /// The last byte of a piece may be held back until the next one has begun.
  @Test func whoWaitsForWhatIsHeldBackGetsTheNextPiece() {
    let budget = SliceBudget(limit: 4 << 16)
    let world = FillWorld(budget: budget)
    let reader = world.reader(to: 3 << 16)
    world.open(3 << 16, kept: false)
    #expect(world.land(0, (1 << 16) - 1))
    _ = reader.step(at: 0)
    #expect(reader.step(at: (1 << 16) - 1) == "wait")
    // All memory for what is passed on is used up by others.
    _ = budget.takePassed(budget.passedLimit, isFirst: true)
    #expect(world.land(1, 1))
  }

  @Test(arguments: [true, false])
  func whatIsCheckedGoesOnWithoutMemory(hasReaderOfAll: Bool) {
    let budget = SliceBudget(limit: 4 << 16)
    let world = FillWorld(budget: budget)
    let total = 40 << 16
    let part = world.reader(to: 100)
    let whole = hasReaderOfAll ? world.reader(on: 1, to: Int64(total)) : nil
    world.fill.setFetch(0, 0..<Int.max, inOrder: true)
    world.open(Int64(total), shift: 20, visibleEnd: Int64(total - 1))
    #expect(budget.take(budget.limit))
    #expect(!world.land(0, 1) && world.fill.lackingBytes > 0)
    world.fill.passOn()
    #expect(world.table.count == 0)
    #expect(world.land(0, 1 << 16))
    #expect(part.step(at: 0) == "bytes 0 99")
    // Who has a part but for its last byte waits for the check, and holds up neither others nor the check.
    #expect(part.step(at: 99) == "wait")
    for slice in 1..<40 {
      _ = whole?.step(at: Int64(slice << 16))
      #expect(world.land(slice, 1 << 16), "slice \(slice)")
      #expect(budget.bytes(.passed) <= 3 << 16)
    }
    _ = whole?.step(at: Int64(total - 1))
    world.fill.removeFetch(0)
    #expect(part.step(at: 99) == "wait")
    world.fill.releaseAll()
    #expect(part.step(at: 99) == "bytes 99 1" && part.step(at: 100) == "end")
    if let whole { #expect(whole.step(at: Int64(total - 1)) == "bytes 65535 1") }
  }

  /// Who waits for the end of a body that was held back has still to begin: nothing of it goes away.
  @Test func whatIsHeldBackWaitsForItsReadersWithoutMemory() {
    let budget = SliceBudget(limit: 4 << 16)
    let world = FillWorld(budget: budget)
    let total = 20 << 16
    let reader = world.reader(on: 1)
    world.fill.setFetch(0, 0..<Int.max, inOrder: true)
    world.open(Int64(total), shift: 20, visibleEnd: 0)
    #expect(reader.step(at: Int64(total - 1)) == "wait")
    #expect(budget.take(budget.limit))
    #expect(!world.land(0, 1) && world.fill.lackingBytes > 0)
    world.fill.passOn()
    for slice in 0..<20 { #expect(world.land(slice, 1 << 16), "slice \(slice)") }
    world.fill.releaseAll()
    world.fill.removeFetch(0)
    world.fill.aim(reader, at: 0..<Int64(total))
    for slice in 0..<20 {
      #expect(reader.step(at: Int64(slice << 16)) == "bytes 0 65536", "slice \(slice)")
    }
    #expect(reader.step(at: Int64(total)) == "end")
  }

  /// A fetch whose reader has gone is told of, wherever others are; one that others are near is not.
  @Test func whatNobodyIsNearIsForsaken() {
    let world = FillWorld()
    let (slow, seeker) = (world.reader(), world.reader())
    world.open(1 << 40, shift: 20)
    world.fill.aim(slow, at: 100 << 20..<1 << 40)
    world.fill.aim(seeker, at: 50 << 20..<1 << 40)
    world.fill.setFetch(0, 100..<200)
    world.fill.setFetch(1, 50..<80)
    world.settle()
    #expect(world.source.heard == [])
    #expect(!world.fill.isForsaken(0) && !world.fill.isForsaken(1))
    world.fill.detach(seeker)
    world.settle()
    #expect(world.source.heard == ["left"])
    #expect(world.fill.isForsaken(1) && !world.fill.isForsaken(0))
    #expect(world.fill.buffer(slice: 51) == nil && world.fill.buffer(slice: 101) != nil)
    world.fill.removeFetch(1)
    // Four slices behind a reader, or its window ahead of it, is near enough.
    for (first, isForsaken) in [(96, false), (95, true), (132, false), (133, true)] {
      world.fill.setFetch(2, first..<1_000)
      #expect(world.fill.isForsaken(2) == isForsaken, "\(first)")
    }
    // What comes in order comes for its check.
    world.fill.setFetch(2, 10..<1_000, inOrder: true)
    #expect(!world.fill.isForsaken(2))
  }

  /// Who has all it wants is no reader of what comes behind that.
  @Test func whoNeedsNoMoreKeepsNoFetch() {
    let world = FillWorld()
    let (part, whole) = (world.reader(), world.reader())
    world.open(1 << 40, shift: 20)
    world.fill.aim(whole, at: 0..<1 << 40)
    world.fill.aim(part, at: 0..<1 << 20)
    world.fill.setFetch(0, 3..<1_000)
    world.fill.detach(whole)
    #expect(world.fill.isForsaken(0))
    // A fetch of whose bytes somebody may still want the last, held back until more shows what they are.
    world.fill.setFetch(0, 1..<1_000)
    #expect(!world.fill.isForsaken(0))
  }

  @Test func theFurthestReaderIsKnownWhoeverMovesOrLeaves() {
    let world = FillWorld()
    let (near, far) = (world.reader(), world.reader())
    world.open(1 << 40, shift: 20)
    world.fill.setFetch(0, 0..<1_000)
    _ = near.step(at: 3 << 20)
    _ = far.step(at: 10 << 20)
    #expect(world.fill.buffer(slice: 42) != nil)
    #expect(world.fill.buffer(slice: 43) == nil)
    // One that joins further on, one that turns out to want another part.
    let third = world.reader(from: 20 << 20)
    #expect(world.fill.buffer(slice: 52) != nil)
    world.fill.aim(third, at: 0..<1 << 20)
    #expect(world.fill.buffer(slice: 43) == nil)
    #expect(world.fill.buffer(slice: 41) != nil)
    world.fill.detach(far)
    #expect(world.fill.buffer(slice: 36) == nil)
    #expect(world.fill.buffer(slice: 35) != nil)
    world.fill.detach(near)
    world.fill.detach(third)
    #expect(world.fill.buffer(slice: 500) != nil, "what nobody waits for has no window")
  }

  // MARK: Failing

  @Test func onlyThoseWhoWaitForASliceAreToldOfItsFailure() {
    let world = FillWorld()
    let (waiting, elsewhere, busy) = (world.reader(), world.reader(), world.reader())
    let (served, beyond) = (world.reader(), world.reader())
    world.open(100_000)
    world.fill.setFetch(1, 2..<20)
    world.fill.setFetch(2, 4..<10)
    #expect(waiting.step(at: 2 << 12) == "wait")
    #expect(served.step(at: 5 << 12) == "wait")
    #expect(elsewhere.step(at: 8 << 12) == "wait")
    #expect(beyond.step(at: 15 << 12) == "absent 15")
    world.fill.want(beyond, slice: 15)
    world.fill.failFetch(1, Fault(.timeout, .upstream))
    world.settle()
    #expect(waiting.step(at: 2 << 12) == "failed timeout")
    #expect(served.step(at: 5 << 12) == "wait", "another fetch brings it")
    #expect(elsewhere.step(at: 8 << 12) == "wait")
    #expect(beyond.step(at: 15 << 12) == "absent 15", "it was to have a fetch of its own")
    #expect(busy.step(at: 2 << 12) == "absent 2", "who had not waited may try anew")
    #expect(waiting.step(at: 2 << 12) == "absent 2", "told once")
    #expect(!world.fill.hasFailed && world.table.count == 1)
  }

  @Test func theFirstFailureCountsAndWhatIsHereStays() {
    let world = FillWorld()
    let reader = world.reader()
    world.open(100_000)
    world.fill.setFetch(0, 0..<20)
    world.land(0, 50)
    #expect(reader.step(at: 50) == "wait")
    world.fill.fail(Fault(.closed, .upstream))
    world.fill.fail(Fault(.timeout, .upstream))
    #expect(world.table.count == 0, "who begins anew must not find it")
    world.settle()
    #expect(reader.changes == 1)
    #expect(reader.step(at: 0) == "bytes 0 50")
    #expect(reader.step(at: 50) == "failed closed")
    #expect(world.fill.hasFailed && !world.fill.isWhole)
  }

  @Test func aFailureBeforeTheHeadIsTold() {
    let world = FillWorld()
    let reader = world.reader(on: 1)
    #expect(reader.step(at: 0) == "wait")
    world.fill.fail(Fault(.connect, .upstream))
    world.settle()
    #expect(reader.changes == 1)
    #expect(reader.step(at: 0) == "failed connect")
  }

  // MARK: Leaving

  @Test func theLastReaderThatLeavesIsTold() {
    let world = FillWorld()
    let (one, two) = (world.reader(), world.reader(on: 1))
    world.open(100_000)
    world.fill.detach(one)
    world.fill.detach(one)
    world.settle()
    #expect(world.source.heard == [] && world.fill.hasReaders)
    world.fill.detach(two)
    world.settle()
    #expect(world.source.heard == ["abandoned"] && !world.fill.hasReaders)
    #expect(world.table.count == 1)
  }

  @Test func aFillLeavesTheTableAfterItsLastCommit() {
    let world = FillWorld()
    let reader = world.reader()
    world.open(8_192)
    for slice in 0...1 {
      world.fill.writeBegan()
      world.land(slice, 4_096)
    }
    world.fill.setFetching(false)
    #expect(!world.fill.isWhole)
    world.fill.setWhole()
    #expect(world.fill.isWhole)
    world.fill.detach(reader)
    world.fill.written(slice: 0, .written(place))
    world.fill.written(slice: 0, .committed(sequence: 1))
    world.fill.written(slice: 1, .written(place))
    world.settle()
    #expect(world.table.count == 1 && world.fill.source != nil)
    world.fill.written(slice: 1, .committed(sequence: 2))
    world.settle()
    #expect(world.table.count == 0 && world.fill.source == nil)
    // The source was not asked to stop: there was nothing left to fetch.
    #expect(world.source.heard == [])
  }

  @Test func aReaderKeepsACommittedFillInItsPlace() {
    let world = FillWorld()
    let reader = world.reader()
    world.open(4_096)
    world.fill.writeBegan()
    world.fill.setFetching(false)
    world.fill.writeEnded()
    world.settle()
    #expect(world.table.count == 1)
    world.fill.detach(reader)
    world.settle()
    #expect(world.table.count == 0 && world.fill.source == nil)
  }

  @Test func aDiskThatTakesNothingEndsTheKeepingOnly() {
    let world = FillWorld()
    let reader = world.reader()
    world.open(8_192)
    world.fill.setFetch(0, 0..<2)
    world.land(0, 4_096)
    world.fill.writeBegan()
    world.fill.written(slice: 0, .failed(Fault(.exhausted, .disk)))
    #expect(!world.fill.isKept && world.table.count == 0)
    #expect(reader.step(at: 0) == "bytes 0 4096")
    world.land(1, 4_096)
    #expect(reader.step(at: 4_096) == "bytes 0 4096")
    #expect(reader.step(at: 8_192) == "end")
    world.fill.setFetching(false)
    world.fill.detach(reader)
    world.settle()
    #expect(world.fill.source == nil)
  }

  @Test func whatIsNotKeptIsNotJoined() {
    let world = FillWorld()
    _ = world.reader()
    #expect(world.table.count == 1)
    world.open(100, kept: false)
    #expect(world.table.count == 0 && !world.fill.isKept)
    #expect(world.fill.sliceShift == Fill.passedShift)
  }

  // MARK: Other workers

  @Test func readersOfAnotherWorkerAreWokenByOneMessage() {
    let world = FillWorld()
    let readers = (0..<3).map { _ in world.reader(on: 1) }
    world.open(100_000)
    world.fill.setFetch(0, 0..<20)
    for reader in readers { #expect(reader.step(at: 0) == "wait") }
    for count in 1...10 { world.land(0, count) }
    // Their loop runs them, not the owner's.
    world.loops[0].turn(limit: .zero)
    #expect(readers.allSatisfy { $0.changes == 0 })
    world.loops[1].turn(limit: .zero)
    #expect(readers.allSatisfy { $0.changes == 1 })
    world.settle()
    #expect(readers.allSatisfy { $0.changes == 1 })
    // Who has left meanwhile is not called.
    for reader in readers { #expect(reader.step(at: 10) == "wait") }
    world.land(0, 20)
    world.fill.detach(readers[1])
    world.settle()
    #expect(readers.map(\.changes) == [2, 1, 2])
  }

  @Test func onlyThoseWhoWaitAreWoken() {
    let world = FillWorld()
    let readers = (0..<6).map { world.reader(on: $0 % 2) }
    world.open(100_000)
    world.fill.setFetch(0, 0..<20)
    world.land(0, 10)
    for reader in readers { #expect(reader.step(at: 0) == "bytes 0 10") }
    for reader in readers[..<2] { #expect(reader.step(at: 10) == "wait") }
    world.land(0, 20)
    world.settle()
    #expect(readers.map(\.changes) == [1, 1, 0, 0, 0, 0])
    // One that waits twice is called once; one that another wakes out of its wait, not at all.
    for _ in 0..<2 { for reader in readers[..<4] { #expect(reader.step(at: 20) == "wait") } }
    readers[1].onChange = { world.fill.detach(readers[3]) }
    world.land(0, 30)
    world.settle()
    #expect(readers.map(\.changes) == [2, 2, 1, 0, 0, 0])
  }
}
