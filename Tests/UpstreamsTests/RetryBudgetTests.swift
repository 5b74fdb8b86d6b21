import Base
import Testing

@testable import Upstreams

@Suite struct RetryBudgetTests {
  private func at(_ milliseconds: Int) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000) + .milliseconds(milliseconds)
  }

  @Test func aHundredWithoutRequests() {
    var budget = RetryBudget()
    let taken = (0..<500).filter { budget.take(at: at($0)) }
    #expect(taken.count == 100)
    // Ten seconds on they count no more.
    #expect(budget.take(at: at(11_000)) == true)
  }

  @Test func aFifthOfTheRequestsBeside() {
    var budget = RetryBudget()
    for number in 0..<5_000 { budget.note(at: at(number)) }
    var count = 0
    while budget.take(at: at(5_000)) { count += 1 }
    #expect(count == 1_100)
  }

  @Test func aLongPauseEmptiesIt() {
    var budget = RetryBudget()
    for _ in 0..<5_000 { budget.note(at: at(0)) }
    var count = 0
    while budget.take(at: at(3_600_000)) { count += 1 }
    #expect(count == 100)
  }

  /// In the ten seconds before each further try, at random loads.
  @Test(arguments: 0..<20) func neverMoreThanTheRule(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var budget = RetryBudget()
    var events: [(second: Int, isRetry: Bool)] = []
    var now = 0
    for _ in 0..<5_000 {
      now += random.chance(0.02) ? random.number(in: 0...5_000) : random.number(in: 0...20)
      if random.chance(0.5) {
        budget.note(at: at(now))
        events.append((now / 1000, false))
      } else if budget.take(at: at(now)) {
        events.append((now / 1000, true))
      }
    }
    for (place, event) in events.enumerated() where event.isRetry {
      let window = events[...place].reversed().prefix { $0.second > event.second - 10 }
      let retries = window.count { $0.isRetry }
      #expect(retries <= (window.count - retries) / 5 + 100)
    }
  }
}
