import Base
import Testing

@testable import Upstreams

@Suite struct BalancerTests {
  private let now = Instant(nanoseconds: 100_000_000_000)

  private func choose(
    _ balancer: inout Balancer, _ standings: [Balancer.Standing], tried: [Int] = []
  ) -> Int? {
    balancer.choose(
      among: standings.count, tried: tried, now: now, failTimeout: .seconds(10)
    ) { standings[$0] }
  }

  private func failed(_ seconds: Int, active: Int = 0) -> Balancer.Standing {
    Balancer.Standing(
      active: active,
      lastFailure: Instant(nanoseconds: now.nanoseconds - Int64(seconds) * 1_000_000_000))
  }

  @Test func fewestActiveFirst() {
    var balancer = Balancer()
    let standings = [3, 1, 2].map { Balancer.Standing(active: $0) }
    #expect(choose(&balancer, standings) == 1)
    #expect(choose(&balancer, standings, tried: [1]) == 2)
    #expect(choose(&balancer, standings, tried: [2, 1]) == 0)
    #expect(choose(&balancer, standings, tried: [2, 1, 0]) == nil)
    #expect(choose(&balancer, []) == nil)
  }

  @Test func equalsInTurn() {
    var balancer = Balancer()
    let standings = Array(repeating: Balancer.Standing(active: 5), count: 3)
    let chosen = (0..<7).map { _ in choose(&balancer, standings) }
    #expect(chosen == [0, 1, 2, 0, 1, 2, 0])
  }

  @Test func recentFailureRanksLast() {
    var balancer = Balancer()
    #expect(choose(&balancer, [failed(1), Balancer.Standing(active: 99)]) == 1)
    #expect(choose(&balancer, [failed(1, active: 7), failed(9, active: 3)]) == 1)
    #expect(choose(&balancer, [failed(1), Balancer.Standing(active: 99)], tried: [1]) == 0)
    // Ten seconds on it is as good as any other.
    #expect(choose(&balancer, [failed(10), Balancer.Standing(active: 1)]) == 0)
  }

  /// Against the definition: nothing untried is better than what was chosen.
  @Test(arguments: 0..<50) func nothingBetterIsPassedOver(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var balancer = Balancer()
    for _ in 0..<50 {
      let count = random.number(in: 1...6)
      let standings = (0..<count).map { _ in
        random.chance(0.3)
          ? failed(random.number(in: 0...15), active: random.number(in: 0...3))
          : Balancer.Standing(active: random.number(in: 0...3))
      }
      let tried = (0..<count).filter { _ in random.chance(0.3) }
      guard let chosen = choose(&balancer, standings, tried: tried) else {
        #expect(tried.count == count)
        continue
      }
      func rank(_ index: Int) -> Int {
        let standing = standings[index]
        return (standing.hasFailed(within: .seconds(10), of: now) ? 1000 : 0) + standing.active
      }
      #expect(!tried.contains(chosen))
      #expect(standings.indices.allSatisfy { tried.contains($0) || rank($0) >= rank(chosen) })
    }
  }
}
