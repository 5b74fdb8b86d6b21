import Base
import Testing

@testable import Gateway

@Suite struct ResidencyMemoryTests {
  let start = Instant(nanoseconds: 1_000_000_000)

  @Test func remembersForItsTerm() {
    var memory = ResidencyMemory()
    #expect(!memory.covers(1, 4096, 100, start))
    memory.note(1, 4096, 100, start)
    #expect(memory.covers(1, 4096, 100, start))
    #expect(memory.covers(1, 4096, 1, start + .milliseconds(499)))
    #expect(!memory.covers(1, 4096, 101, start))
    #expect(!memory.covers(1, 4096, 100, start + ResidencyMemory.term))
    #expect(!memory.covers(2, 4096, 100, start))
    #expect(!memory.covers(1, 8192, 100, start))
    #expect(!memory.covers(1, 4097, 1, start))
  }

  @Test func forgets() {
    var memory = ResidencyMemory()
    memory.note(1, 4096, 100, start)
    memory.forget(1, 8192)
    #expect(memory.covers(1, 4096, 100, start))
    memory.forget(1, 4096)
    #expect(!memory.covers(1, 4096, 100, start))
  }

  @Test func aPlaceNeverUsedCoversNothing() {
    let memory = ResidencyMemory()
    // By name: a failing expectation would print the whole table.
    let atZero = memory.covers(0, 0, 0, .zero)
    let later = memory.covers(0, 0, 0, start)
    #expect(!atZero && !later)
  }

  /// It may forget, but what it says was noted, just so and not long ago.
  @Test func neverSaysWhatWasNotNoted() {
    struct Key: Hashable {
      var segment: UInt32
      var offset: Int
    }
    var random = SeededRandom(seed: 1)
    var memory = ResidencyMemory()
    var noted: [Key: (count: Int, time: Instant)] = [:]
    var now = start
    var covered = 0
    for _ in 0..<20_000 {
      let key = Key(
        segment: UInt32(random.number(in: 1...40)), offset: random.number(in: 0...200) * 4096)
      let count = random.number(in: 1...4) * 1000
      now = now + .microseconds(random.number(in: 0...300))
      if random.chance(0.5) {
        memory.note(key.segment, key.offset, count, now)
        noted[key] = (count, now)
      } else if memory.covers(key.segment, key.offset, count, now) {
        covered += 1
        let last = noted[key]
        #expect(last.map { $0.count >= count && now - $0.time < ResidencyMemory.term } == true)
      }
    }
    #expect(covered > 100)
  }
}
