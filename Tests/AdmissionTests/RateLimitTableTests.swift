import Base
import Foundation
import Synchronization
import Testing

@testable import Admission

@Suite struct RateLimitTableTests {
  static let second = 1_000_000_000

  static func key(_ number: UInt64, set: UInt64 = 0) -> Digest128 {
    Digest128(first: number, second: set)
  }

  /// At 10/s with a burst of 20, 21 come at once, and then one each tenth of a second.
  @Test func burstIsWhatNginxCallsSo() {
    let table = RateLimitTable(keys: 100)
    let unit = Self.second / 10
    func asks(_ now: Int) -> Bool {
      table.charge(Self.key(7), unit, capacity: 21 * unit, now: now) == .passed
    }
    let start = 5 * Self.second
    #expect((0..<30).filter { _ in asks(start) }.count == 21)
    #expect(!asks(start + unit - 1))
    #expect(asks(start + unit))
    #expect(!asks(start + unit))
    #expect((0..<30).filter { _ in asks(start + 11 * unit) }.count == 10)
    // Whole again, and no more than whole, after any time.
    #expect((0..<30).filter { _ in asks(start + 1_000 * unit) }.count == 21)
  }

  @Test func aRefusalTellsUntilWhenTheKeyOwes() {
    let table = RateLimitTable(keys: 100)
    #expect(table.charge(Self.key(1), 30, capacity: 50, now: 1_000) == .passed)
    #expect(table.charge(Self.key(1), 30, capacity: 50, now: 1_005) == .refused(until: 1_030))
    #expect(table.charge(Self.key(1), 60, capacity: 50, now: 2_000) == .refused(until: 2_000))
    #expect(table.charge(Self.key(2), 60, capacity: 50, now: 2_000) == .refused(until: 2_000))
    table.forgive(Self.key(1), 30)
    table.forgive(Self.key(3), 30)
    #expect(table.owes(Self.key(1), now: 1_000).until == 1_000)
    table.owe(Self.key(4), 500, most: 300, now: 1_000)
    #expect(table.owes(Self.key(4), now: 1_000).until == 1_300)
    table.owe(Self.key(4), .max, most: 300, now: 1_100)
    #expect(table.owes(Self.key(4), now: 1_100).until == 1_400)
  }

  /// Of a full set the key goes whose debt ends first; one that owes nothing costs nobody anything.
  @Test func theOldestDebtGoes() {
    let table = RateLimitTable(keys: 4)
    for number in 1...8 {
      #expect(
        table.charge(Self.key(UInt64(number)), 10 * number, capacity: 1_000, now: 100) == .passed)
    }
    #expect(table.losses == 0)
    #expect(table.charge(Self.key(9), 5, capacity: 1_000, now: 100) == .passed)
    #expect(table.losses == 1 && table.owes(Self.key(1), now: 100).until == 100)
    for number in 2...8 {
      #expect(table.owes(Self.key(UInt64(number)), now: 100).until == 100 + 10 * number)
    }
    // By now all debts have ended.
    #expect(table.charge(Self.key(10), 5, capacity: 1_000, now: 500) == .passed)
    #expect(table.losses == 1 && table.owes(Self.key(10), now: 500).until == 505)
  }

  /// A hint that never was the key's, or has become another one's since, charges nobody else.
  @Test func aHintIsNoMoreThanThat() {
    let table = RateLimitTable(keys: 4)
    for number in 1...8 {
      table.owe(Self.key(UInt64(number)), 100 * number, most: .max / 4, now: 0)
    }
    let slot = table.owes(Self.key(1), now: 0).slot
    #expect(slot >= 0 && table.owes(Self.key(9), now: 0).slot == -1)
    table.owe(Self.key(1), 7, most: .max / 4, now: 0, hint: slot)
    #expect(table.owes(Self.key(1), now: 0).until == 107)
    for hint in [-1, 0, slot - 1, slot + 1, slot + 16, 1 << 40, .max, .min] {
      table.owe(Self.key(1), 1, most: .max / 4, now: 0, hint: hint)
    }
    #expect(table.owes(Self.key(1), now: 0).until == 115)
    // The ninth takes the first one's slot.
    table.owe(Self.key(9), 5_000, most: .max / 4, now: 0)
    #expect(table.owes(Self.key(9), now: 0).slot == slot)
    table.owe(Self.key(1), 3_000, most: .max / 4, now: 0, hint: slot)
    #expect(table.owes(Self.key(9), now: 0).until == 5_000)
    #expect(table.owes(Self.key(1), now: 0).until == 3_000)
    for number in 3...8 {
      #expect(table.owes(Self.key(UInt64(number)), now: 0).until == 100 * number)
    }
  }

  @Test func countsAreKeptWhileTheyCount() {
    let table = RateLimitTable(keys: 4)
    var slots: [Int] = []
    for number in 1...8 {
      guard case .taken(let slot) = table.take(Self.key(UInt64(number)), limit: 2) else {
        Issue.record("\(number) is not counted")
        return
      }
      slots.append(slot)
    }
    #expect(Set(slots).count == 8)
    #expect(table.take(Self.key(3), limit: 2) == .taken(slot: slots[2]))
    #expect(table.take(Self.key(3), limit: 2) == .refused)
    // The set is full of live counts: others are let through, and nothing is taken from those.
    #expect(table.take(Self.key(9), limit: 2) == .uncounted && table.losses == 1)
    #expect((1...8).map { table.count(Self.key($0)) } == [1, 1, 2, 1, 1, 1, 1, 1])
    table.giveBack(slots[2])
    #expect(table.take(Self.key(9), limit: 2) == .uncounted)
    table.giveBack(slots[2])
    #expect(table.take(Self.key(9), limit: 2) == .taken(slot: slots[2]))
    #expect(table.count(Self.key(3)) == 0 && table.count(Self.key(9)) == 1)
    // What is no slot is nobody's.
    table.giveBack(-1)
    table.giveBack(1 << 40)
    #expect(table.count(Self.key(9)) == 1)
  }

  @Test(arguments: [1, 5, 1_000, 100_000, 131_072, 1_000_000])
  func memoryIsBounded(keys: Int) {
    let table = RateLimitTable(keys: keys)
    #expect(table.byteCount <= max(128, 64 * keys))
    #expect(table.byteCount >= 32 * keys)
  }

  /// Against a bucket that is written down as one, with arrivals, prices and gaps at random.
  @Test(arguments: 0..<50 as Range<UInt64>)
  func isAnExactBucket(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let table = RateLimitTable(keys: 1_000)
    let unit = random.number(in: 1...2_000_000)
    let capacity = unit * random.number(in: 1...50)
    let keys = (0..<20).map { _ in Digest128(first: random.next(), second: random.next()) }
    var buckets = [(level: Int, at: Int)](repeating: (0, 0), count: keys.count)
    var passed: [[(time: Int, cost: Int)]] = Array(repeating: [], count: keys.count)
    var now = random.number(in: 0...1_000_000)
    for _ in 0..<2_000 {
      now += random.chance(0.3) ? 0 : random.number(in: 0...unit * 2)
      let chosen = random.number(in: 0...keys.count - 1)
      let cost = unit * random.number(in: 1...3)
      let bucket = buckets[chosen]
      let level = max(0, bucket.level - (now - bucket.at))
      let fits = level + cost <= capacity
      let isIn = table.charge(keys[chosen], cost, capacity: capacity, now: now) == .passed
      #expect(isIn == fits, "at \(now)")
      if fits {
        buckets[chosen] = (level + cost, now)
        passed[chosen].append((now, cost))
        if random.chance(0.05) {
          table.forgive(keys[chosen], cost)
          buckets[chosen] = (level, now)
          passed[chosen].removeLast()
        }
      }
    }
    // And what no bucket may let through: more than its size and what ran out, in any span of time.
    for history in passed {
      for first in history.indices {
        var sum = 0
        for event in history[first...] {
          sum += event.cost
          #expect(sum <= capacity + event.time - history[first].time)
        }
      }
    }
    #expect(table.losses == 0)
  }

  /// All threads at one table for a minute of simulated time: together they get what one limit gives.
  @Test(arguments: [1, 20]) func isExactOverThreads(keys: Int) {
    let table = RateLimitTable(keys: 10_000)
    let rate = 1_000
    let burst = 50
    let unit = Self.second / rate
    let ticks = 600_000
    let tick = Atomic(0)
    let passed = (0..<keys).map { _ in Tally() }
    DispatchQueue.concurrentPerform(iterations: 4) { _ in
      while true {
        let mine = tick.add(1, ordering: .relaxed).newValue
        if mine > ticks { return }
        let now = Self.second + mine * (60 * Self.second / ticks)
        // At least one ask for each earned unit of each key.
        for number in passed.indices where keys == 1 || (mine + number) % 5 == 0 {
          let key = Digest128(
            first: UInt64(number) + 1, second: UInt64(number) &* 0x9e37_79b9_7f4a_7c15)
          if table.charge(key, unit, capacity: (burst + 1) * unit, now: now) == .passed {
            passed[number].add()
          }
        }
      }
    }
    let expected = Double(60 * rate + burst + 1)
    for tally in passed {
      let error = (Double(tally.count) - expected) / expected
      #expect(abs(error) < 0.01, "\(tally.count) of \(expected)")
    }
    #expect(table.losses == 0)
  }

  /// Threads come and go under few keys and many, and in the end nothing is counted.
  @Test func countsBalanceOverThreads() {
    let table = RateLimitTable(keys: 64)
    let keys = (0..<200).map {
      Digest128(first: UInt64($0) + 1, second: UInt64($0) &* 0x9e37_79b9_7f4a_7c15)
    }
    let limit = 3
    let now = keys.map { _ in Tally() }
    let most = Tally()
    DispatchQueue.concurrentPerform(iterations: 4) { thread in
      var random = SeededRandom(seed: UInt64(thread))
      var held: [(key: Int, slot: Int)] = []
      for _ in 0..<50_000 {
        if random.chance(0.5) || held.isEmpty {
          let chosen = random.number(in: 0...keys.count - 1)
          if case .taken(let slot) = table.take(keys[chosen], limit: limit) {
            most.raise(to: now[chosen].add())
            held.append((chosen, slot))
          }
        } else {
          let gone = held.remove(at: random.number(in: 0...held.count - 1))
          now[gone.key].subtract()
          table.giveBack(gone.slot)
        }
        if held.count > 20 {
          for gone in held {
            now[gone.key].subtract()
            table.giveBack(gone.slot)
          }
          held = []
        }
      }
      for gone in held {
        now[gone.key].subtract()
        table.giveBack(gone.slot)
      }
    }
    #expect(keys.allSatisfy { table.count($0) == 0 })
    #expect(most.count <= limit && most.count > 1)
    // All slots can be had again.
    let again = keys.prefix(8).map { table.take($0, limit: 1) }
    #expect(!again.contains(.refused))
  }
}

/// A number that threads change.
final class Tally: Sendable {
  private let value = Atomic(0)

  var count: Int { value.load(ordering: .relaxed) }

  @discardableResult
  func add() -> Int { value.add(1, ordering: .relaxed).newValue }
  func subtract() { value.subtract(1, ordering: .relaxed) }
  func raise(to number: Int) { value.max(number, ordering: .relaxed) }

  /// Memory that is zeros already is not written to; what is too small for whole pages is not handed out.
  @Test(arguments: [(100, false), (100_000, true), (100_000, false)])
  func takesZerosFromWhoMakesThem(keys: Int, isMade: Bool) {
    var sizes: [Int] = []
    let table = RateLimitTable(keys: keys) { memory in
      sizes.append(memory.count)
      memory.initializeMemory(as: UInt8.self, repeating: isMade ? 0 : 0xff)
      return isMade
    }
    #expect(sizes == (keys == 100 ? [] : [8 << 20]))
    #expect(table.total == 0)
    let key = Digest128(first: 5, second: .max)
    #expect(table.owes(key, now: 9).until == 9)
    #expect(table.charge(key, 10, capacity: 10, now: 9) == .passed)
    #expect(table.owes(key, now: 9).until == 19)
  }
}
