import Base
import EventLoop
import Testing

@testable import Cache

/// Readers on two workers and several fetches, in random orders: everybody gets the right bytes.
@Suite struct FillHistoryTests {
  @Test(arguments: 0..<60 as Range<UInt64>) func everybodyGetsTheirBytes(seed: UInt64) {
    let history = FillHistory(seed: seed)
    history.run()
    for reader in history.readers {
      #expect(reader.isOver, "a reader of \(reader.range) waits for ever at \(reader.position)")
      #expect(reader.wrongBytes == 0)
      if reader.failure == nil && !reader.hasLeft {
        #expect(reader.position == reader.range.upperBound)
      }
    }
    // Where no fetch fails, who stays gets all.
    #expect(
      history.mayFail || history.readers.first.map { $0.failure == nil && !$0.hasLeft } == true)
    #expect(history.world.table.count == 0)
    #expect(history.world.fill.source == nil, "fill and source hold each other for ever")
  }
}

/// Reads its range step by step, at its own pace.
final class Walker: FillReader, @unchecked Sendable {
  // Unchecked as its superclass: all in one thread here.
  let range: Range<Int64>
  unowned var history: FillHistory!
  private(set) var wrongBytes = 0
  private(set) var failure: Fault?
  private(set) var hasLeft = false
  private(set) var isOver = false
  var patience = 1_000

  init(_ fill: Fill, on port: WorkerPort, _ range: Range<Int64>) {
    self.range = range
    super.init(fill, on: port, from: range.lowerBound, to: range.upperBound)
  }

  override func fillChanged() {
    var steps = history.draw(1...4)
    while !isOver {
      if steps == 0 {
        history.later(port) { [self] in fillChanged() }
        return
      }
      steps -= 1
      patience -= 1
      if patience == 0 { return leave() }
      switch fill.next(self, at: position) {
      case .wait: return
      case .bytes(let buffer, let offset, let count):
        let taken = history.draw(1...count)
        for index in 0..<taken {
          check(buffer.bytes.byte(offset + index), Int(position) + index)
        }
        position += Int64(taken)
      case .stored(let slice, let index, _, let count):
        if history.isEvicted(slice) {
          fill.lost(slice: index, at: slice)
        } else {
          if Int(slice.offset) != index { wrongBytes += 1 }
          position += Int64(history.draw(1...count))
        }
      case .absent(let index):
        fill.want(self, slice: index)
        return
      case .end: end()
      case .failed(let fault):
        failure = fault
        end()
      }
    }
  }

  private func check(_ byte: UInt8, _ place: Int) {
    if byte != content(place) { wrongBytes += 1 }
  }

  private func leave() {
    hasLeft = true
    end()
  }

  private func end() {
    isOver = true
    fill.detach(self)
  }
}

final class FillHistory {
  let world: FillWorld
  private(set) var readers: [Walker] = []
  private var random: SeededRandom
  private var total: Int
  private var fetches: [Int: Range<Int>] = [:]
  private var paused: Set<Int> = []
  private var fetchCount = 0
  private var evicted: Set<UInt32> = []
  private var sliceNumber: UInt32 = 0
  let mayFail: Bool

  init(seed: UInt64) {
    world = FillWorld(seed: seed)
    random = SeededRandom(seed: ~seed)
    total = 4_096 * 3
    mayFail = seed.isMultiple(of: 3)
    total = draw(1...60_000)
    world.source.onWanted = { [unowned self] slice, end in fetch(slice, end) }
    world.source.onRoom = { [unowned self] in resume() }
    world.source.onLeft = { [unowned self] in stopForsaken() }
  }

  func draw(_ range: ClosedRange<Int>) -> Int { random.number(in: range) }

  func isEvicted(_ slice: Slice) -> Bool { evicted.contains(slice.segment) }

  /// In some later turn of a worker.
  func later(_ port: WorkerPort, _ action: @escaping () -> Void) {
    let message = Message(action)
    world.network.after(.microseconds(draw(1...500))) { port.mailbox.post { message.run() } }
  }

  private struct Message: @unchecked Sendable {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
  }

  func run() {
    for number in 0..<draw(1...8) {
      let wait = Interval.microseconds(number == 0 ? 0 : draw(1...4_000))
      world.network.after(wait) { [self] in join() }
    }
    later(world.ports[0]) { [self] in
      world.open(Int64(total))
      settle()
    }
    for _ in 0..<300_000 where !world.network.step() { return }
  }

  private func join() {
    // A fill that has been done with is not begun again here.
    if world.table.count == 0 && !readers.isEmpty { return }
    let first = draw(0...(total - 1))
    let range =
      random.chance(0.5) ? 0..<Int64(total) : Int64(first)..<Int64(draw(first + 1...total))
    let worker = draw(0...1)
    let joined = world.table.join(world.key, canonicalKey: world.name, create: { world.fill }) {
      Walker($0, on: world.ports[worker], range)
    }
    guard let walker = joined?.reader else { return }
    walker.history = self
    if !readers.isEmpty && random.chance(0.15) { walker.patience = draw(1...30) }
    readers.append(walker)
    later(walker.port) { walker.fillChanged() }
  }

  // MARK: The source

  private func fetch(_ slice: Int, _ end: Int64) {
    if world.fill.isUnderWay(slice: slice) {
      // It has come meanwhile: who asked looks again.
      world.fill.landed()
      return
    }
    let last = (min(Int(end), total) - 1) >> 12
    let number = fetchCount
    fetchCount += 1
    world.fill.setFetching(true)
    goOn(number, slice..<max(slice, last) + 1)
  }

  private func goOn(_ number: Int, _ slices: Range<Int>) {
    fetches[number] = slices
    world.fill.setFetch(number, slices)
    later(world.ports[0]) { [self] in deliver(number) }
  }

  private func deliver(_ number: Int) {
    guard let slices = fetches[number] else { return }
    let slice = slices.lowerBound
    if mayFail && random.chance(0.02) {
      world.fill.discard(slice: slice)
      world.fill.failFetch(number, Fault(.closed, .upstream))
      return finish(number)
    }
    guard let buffer = world.fill.buffer(slice: slice) else {
      paused.insert(number)
      return
    }
    let start = slice << 12 + buffer.count
    let bytes = (start..<start + draw(1...max(1, buffer.free))).map(content)
    buffer.append(bytes.rawBytes)
    if buffer.free > 0 {
      world.fill.landed()
      later(world.ports[0]) { [self] in deliver(number) }
      return
    }
    write(slice)
    let next = slice + 1
    // The next may be another's, or here already.
    if next == slices.upperBound || world.fill.isTaken(slice: next, from: slice, by: 0) {
      finish(number)
    } else {
      goOn(number, next..<slices.upperBound)
    }
    world.fill.landed()
  }

  private func write(_ index: Int) {
    world.fill.writeBegan()
    sliceNumber += 1
    let slice = Slice(segment: sliceNumber, offset: UInt32(index), checksum: 0)
    world.network.after(.microseconds(draw(1...2_000))) { [self] in
      world.fill.written(slice: index, .written(slice))
      if random.chance(0.1) { evicted.insert(slice.segment) }
      world.network.after(.microseconds(draw(1...5_000))) { [self] in
        world.fill.written(slice: index, .committed(sequence: 1))
      }
    }
  }

  private func finish(_ number: Int) {
    fetches[number] = nil
    world.fill.removeFetch(number)
    settle()
  }

  private func settle() {
    if fetches.isEmpty { world.fill.setFetching(false) }
  }

  private func stopForsaken() {
    for (number, slices) in fetches.sorted(by: { $0.key < $1.key })
    where world.fill.isForsaken(number) {
      paused.remove(number)
      // What is whole is on its way to the disk.
      if !world.fill.isWhole(slice: slices.lowerBound) {
        world.fill.discard(slice: slices.lowerBound)
      }
      finish(number)
    }
  }

  private func resume() {
    let waiting = paused.sorted()
    paused = []
    for number in waiting { deliver(number) }
  }
}
