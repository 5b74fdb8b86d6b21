import Base
import Cache
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct CARCollectorTests {
  /// What became of a CAR, told after all that held it has gone.
  struct Outcome: Equatable {
    var verdict: CARReport.Verdict?
    var error: CARError?
    var notStored: NotStored?
    var sizes: [Int] = []
    var bytes: [UInt8] = []
    var count = 0
  }

  /// Whether nothing is taken of a budget, nor counted as gathered: that may be a quarter.
  private func isUnused(_ budget: SliceBudget) -> Bool {
    guard budget.bytes(.kept) == 0, budget.takeCollected(budget.limit / 4) else { return false }
    budget.giveCollected(budget.limit / 4)
    return budget.bytes(.kept) == 0
  }

  private func content(_ root: CID, _ scope: CARSelection.Scope = .unsaid) -> FillContent {
    var selection = CARSelection()
    selection.scope = scope
    return FillContent(root: root, form: .car, selection: selection)
  }

  private func leaf(_ count: Int, _ random: inout SeededRandom) throws -> (cid: CID, bytes: [UInt8])
  {
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    return (try #require(rawCID(bytes)), bytes)
  }

  private func rawCID(_ bytes: [UInt8], codec: ContentCodec = .raw) -> CID? {
    CID(sha256Of: bytes.rawBytes, codec: codec)
  }

  private func car(_ root: CID, _ blocks: [(cid: CID, bytes: [UInt8])]) -> [UInt8] {
    var output = ByteBuffer(capacity: 1 << 16)
    CARWriter.appendHeader(roots: [root], to: &output)
    for block in blocks { CARWriter.appendBlock(block.cid, block.bytes.rawBytes, to: &output) }
    return output.readable.array
  }

  /// Gives a collector a stream in pieces; `look` sees how many bytes it had after each.
  private func collect(
    _ stream: [UInt8], _ content: FillContent, sliceBytes: Int, _ budget: SliceBudget,
    notStored: NotStored? = nil, pieces: () -> Int, look: (Int) -> Void = { _ in }
  ) -> Outcome {
    var collector = CARCollector(
      content, sliceBytes: sliceBytes, budget: budget, notStored: notStored)
    var outcome = Outcome()
    var offset = 0
    do throws(CARError) {
      while offset < stream.count {
        let end = min(stream.count, offset + pieces())
        try collector.take(stream.rawBytes.extracting(offset..<end))
        offset = end
        look(offset)
      }
    } catch {
      outcome.error = error
      outcome.notStored = collector.notStored
      outcome.count = collector.count
      return outcome
    }
    let (report, slices) = collector.finish()
    outcome.verdict = report.verdict
    outcome.notStored = collector.notStored
    outcome.count = collector.count
    outcome.sizes = slices.map(\.count)
    for slice in slices { outcome.bytes += slice.bytes.array }
    return outcome
  }

  @Test func aWholeCARIsGatheredInSlices() throws {
    var random = SeededRandom(seed: 71)
    for sliceBytes in [1, 100, 4_096, 65_536] {
      for size in [0, 1, 50, 3_000, 60_000, 70_000] where size / sliceBytes < 4_000 {
        let leaf = try leaf(size, &random)
        let stream = car(leaf.cid, [leaf])
        let budget = SliceBudget(limit: 1 << 20)
        var held = 0
        let outcome = collect(
          stream, content(leaf.cid), sliceBytes: sliceBytes, budget,
          pieces: { random.number(in: 1...max(1, size / 3)) },
          look: {
            // As much as there is, and never much more.
            held = budget.bytes(.kept)
            #expect(held >= $0 && held <= 2 * $0 + 16 * 1024)
          })
        #expect(outcome.verdict == .complete && outcome.notStored == nil)
        #expect(outcome.bytes == stream && outcome.count == stream.count)
        #expect(outcome.sizes.dropLast().allSatisfy { $0 == sliceBytes })
        #expect(outcome.sizes.count == (stream.count + sliceBytes - 1) / sliceBytes)
        #expect(held > 0 && isUnused(budget))
      }
    }
  }

  /// The slices hold just what they have, until they go.
  @Test func theBudgetGoesOnWithTheSlices() throws {
    var random = SeededRandom(seed: 72)
    let leaf = try leaf(10_000, &random)
    let stream = car(leaf.cid, [leaf])
    let budget = SliceBudget(limit: 1 << 20)
    var slices: [SliceBuffer] = []
    do {
      var collector = CARCollector(content(leaf.cid), sliceBytes: 1 << 20, budget: budget)
      try collector.take(stream.rawBytes)
      #expect(budget.bytes(.kept) == 16 * 1024)
      slices = collector.finish().slices
      #expect(budget.bytes(.kept) == stream.count)
    }
    #expect(slices.count == 1 && budget.bytes(.kept) == stream.count)
    // They are on their way to the disk: others may gather as much as ever.
    #expect(budget.takeCollected(budget.limit / 4))
    budget.giveCollected(budget.limit / 4)
    slices = []
    #expect(isUnused(budget))
  }

  @Test func whatGoesMidwayGivesItsBudgetBack() throws {
    var random = SeededRandom(seed: 73)
    let leaf = try leaf(10_000, &random)
    let stream = car(leaf.cid, [leaf])
    let budget = SliceBudget(limit: 1 << 20)
    for count in [0, 1, 4_095, 4_096, 4_097, 9_000] {
      var collector = CARCollector(content(leaf.cid), sliceBytes: 4_096, budget: budget)
      try collector.take(stream.rawBytes.extracting(0..<count))
      #expect(budget.bytes(.kept) >= count)
      // Its life ends with the turn of the loop.
      let taken = collector.count
      #expect(taken == count)
    }
    #expect(isUnused(budget))
  }

  @Test func withoutMemoryItIsCheckedAndNotKept() throws {
    var random = SeededRandom(seed: 74)
    let leaf = try leaf(60_000, &random)
    let stream = car(leaf.cid, [leaf])
    for limit in [5_000, 20_000, 32_000, 80_000, 240_000] {
      let budget = SliceBudget(limit: limit)
      // Somebody else has some: who is alone gets what it asks for.
      #expect(budget.takeCollected(1_000))
      let outcome = collect(
        stream, content(leaf.cid), sliceBytes: 4_096, budget,
        pieces: { random.number(in: 1...9_000) },
        look: { _ in #expect(budget.bytes(.kept) <= limit / 4) })
      #expect(outcome.verdict == .complete && outcome.notStored == .memory)
      #expect(outcome.sizes.isEmpty && outcome.count == stream.count)
      #expect(budget.bytes(.kept) == 1_000)
      budget.giveCollected(1_000)
      #expect(isUnused(budget))
    }
  }

  @Test func whatIsTooLargeIsNotKept() throws {
    var random = SeededRandom(seed: 75)
    let block = [UInt8](repeating: 9, count: 2 << 20)
    let cid = try #require(rawCID(block))
    let budget = SliceBudget(limit: 256 << 20)
    for repeats in [15, 17] {
      let stream = car(cid, Array(repeating: (cid, block), count: repeats))
      let isKept = stream.count <= GatewayOptions.collectedBytes
      var most = 0
      let outcome = collect(
        stream, content(cid), sliceBytes: 1 << 20, budget,
        pieces: { random.number(in: 1...3 << 20) },
        look: { if $0 <= GatewayOptions.collectedBytes { most = max(most, budget.bytes(.kept)) } })
      #expect(isKept == (repeats == 15))
      #expect(outcome.notStored == (isKept ? nil : .tooLarge))
      #expect(outcome.sizes.reduce(0, +) == (isKept ? stream.count : 0))
      #expect(most > 16 << 20 && isUnused(budget))
    }
  }

  @Test func whatIsNotToBeKeptTakesNoMemory() throws {
    var random = SeededRandom(seed: 76)
    let leaf = try leaf(10_000, &random)
    let stream = car(leaf.cid, [leaf])
    let budget = SliceBudget(limit: 1 << 20)
    let outcome = collect(
      stream, content(leaf.cid), sliceBytes: 4_096, budget, notStored: .foreignAnswer,
      pieces: { 1_000 }, look: { _ in #expect(budget.bytes(.kept) == 0) })
    #expect(outcome.verdict == .complete && outcome.notStored == .foreignAnswer)
    #expect(outcome.sizes.isEmpty)
  }

  @Test func wrongBlocksAreErrors() throws {
    var random = SeededRandom(seed: 77)
    let leaf = try leaf(10_000, &random)
    var stream = car(leaf.cid, [leaf])
    stream[stream.count - 1] ^= 1
    let budget = SliceBudget(limit: 1 << 20)
    let outcome = collect(
      stream, content(leaf.cid), sliceBytes: 4_096, budget, pieces: { 3_000 })
    #expect(outcome.error == .wrongHash(leaf.cid) && outcome.sizes.isEmpty)
    #expect(isUnused(budget))
  }

  @Test func theReportSaysWhatIsMissing() throws {
    var random = SeededRandom(seed: 78)
    let leaf = try leaf(100, &random)
    // A dag-cbor list of one link.
    var node: [UInt8] = [0x81, 0xd8, 0x2a, 0x58, UInt8(leaf.cid.binaryCount + 1), 0]
    var link = ByteBuffer(capacity: 64)
    leaf.cid.appendBinary(to: &link)
    node += link.readable.array
    let root = try #require(rawCID(node, codec: .dagCBOR))
    let budget = SliceBudget(limit: 1 << 20)
    func verdict(_ stream: [UInt8], _ scope: CARSelection.Scope) -> CARReport.Verdict? {
      collect(stream, content(root, scope), sliceBytes: 100, budget, pieces: { 30 }).verdict
    }
    let part = car(root, [(root, node)])
    let whole = car(root, [(root, node), leaf])
    for scope in [CARSelection.Scope.unsaid, .all] {
      #expect(verdict(part, scope) == .missing(leaf.cid) && verdict(whole, scope) == .complete)
    }
    for scope in [CARSelection.Scope.block, .entity] { #expect(verdict(part, scope) == .complete) }
    #expect(verdict(Array(whole.dropLast()), .all) == .truncated)
    #expect(verdict([], .all) == .truncated)
    #expect(isUnused(budget))
  }

  /// Any bytes are an error or not the answer, and leave nothing behind.
  @Test(arguments: 0..<5 as Range<UInt64>) func anyBytes(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let leaf = try leaf(300, &random)
    let good = car(leaf.cid, [leaf])
    let budget = SliceBudget(limit: 1 << 20)
    for _ in 0..<200 {
      var stream = good
      for _ in 0...random.number(in: 0...2) {
        let at = random.number(in: 0...stream.count - 1)
        switch random.number(in: 0...2) {
        case 0: stream[at] = UInt8(random.number(in: 0...255))
        case 1: stream.removeSubrange(at...)
        default: stream.insert(UInt8(random.number(in: 0...255)), at: at)
        }
        if stream.isEmpty { break }
      }
      let outcome = collect(
        stream, content(leaf.cid), sliceBytes: 64, budget, pieces: { random.number(in: 1...200) })
      if outcome.verdict == .complete { #expect(outcome.bytes == stream) }
      #expect(isUnused(budget))
    }
  }
}
