import Base
import Testing

@testable import Upstreams

@Suite struct BalancerTests {
  typealias Standing = Balancer.Standing

  private func choose(_ balancer: inout Balancer, _ standings: [Standing]) -> Int? {
    balancer.choose(standings.enumerated().map { ($0.offset, $0.element) })
  }

  @Test func fewestActiveFirst() {
    var balancer = Balancer()
    #expect(choose(&balancer, [3, 1, 2].map { Standing(active: $0) }) == 1)
    #expect(choose(&balancer, []) == nil)
    #expect(choose(&balancer, [Standing(active: 7)]) == 0)
  }

  @Test func equalsInTurn() {
    var balancer = Balancer()
    let standings = Array(repeating: Standing(active: 5), count: 3)
    let chosen = (0..<7).map { _ in choose(&balancer, standings) }
    #expect(chosen == [0, 1, 2, 0, 1, 2, 0])
  }

  @Test func equalsAsOftenAsTheyWeigh() {
    var balancer = Balancer()
    let standings = [5000, 1000, 1000].map { Standing(active: 0, weight: $0) }
    let chosen = (0..<7).compactMap { _ in choose(&balancer, standings) }
    // The heavy one's turns lie between those of the others, not in a row.
    #expect(chosen == [0, 0, 1, 0, 2, 0, 0])
  }

  @Test func activeForItsWeight() {
    var balancer = Balancer()
    func one(_ active: Int, _ weight: Int) -> Standing { Standing(active: active, weight: weight) }
    #expect(choose(&balancer, [one(3, 3000), one(2, 1000)]) == 0)
    #expect(choose(&balancer, [one(7, 3000), one(2, 1000)]) == 1)
  }

  @Test func backupsAndFailuresComeLater() {
    var balancer = Balancer()
    let busy = Standing(active: 99)
    let backup = Standing(active: 0, isBackup: true)
    let suspect = Standing(active: 0, rank: .suspect)
    let down = Standing(active: 0, rank: .down)
    #expect(choose(&balancer, [backup, busy]) == 1)
    #expect(choose(&balancer, [suspect, busy]) == 1)
    #expect(choose(&balancer, [suspect, backup]) == 1)
    #expect(choose(&balancer, [down, suspect]) == 1)
    #expect(choose(&balancer, [down]) == 0)
  }

  /// Against the definition: nothing is better than what was chosen.
  @Test(arguments: 0..<50) func nothingBetterIsPassedOver(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var balancer = Balancer()
    for _ in 0..<50 {
      let standings = (0..<random.number(in: 1...6)).map { _ in
        Standing(
          active: random.number(in: 0...3), weight: 1000 * random.number(in: 1...3),
          rank: [.good, .suspect, .down].randomElement(using: &random) ?? .good,
          isBackup: random.chance(0.3))
      }
      func cost(_ standing: Standing) -> Double {
        Double(standing.rank.rawValue) * 1e6 + (standing.isBackup ? 1e5 : 0)
          + Double(standing.active) / Double(standing.weight)
      }
      let chosen = choose(&balancer, standings).map { cost(standings[$0]) }
      #expect(chosen == standings.map(cost).min())
    }
  }

  /// Over many requests of the same length each server gets the part that it weighs.
  @Test func partsByWeight() {
    var balancer = Balancer()
    let weights = [1000, 2000, 5000]
    var active = [0, 0, 0]
    var counts = [0, 0, 0]
    var running: [Int] = []
    for _ in 0..<8000 {
      let standings = weights.indices.map { Standing(active: active[$0], weight: weights[$0]) }
      guard let chosen = choose(&balancer, standings) else { return }
      active[chosen] += 1
      counts[chosen] += 1
      running.append(chosen)
      if running.count > 16 { active[running.removeFirst()] -= 1 }
    }
    for (count, weight) in zip(counts, weights) { #expect(abs(count - weight) < 100) }
  }

  /// Of servers with the same weight each gets the part that its speed allows, with nothing said of speed.
  @Test(arguments: [2, 8, 64]) func partsBySpeed(clients: Int) {
    var random = SeededRandom(seed: 5)
    var balancer = Balancer()
    // Each server works on so many requests at once, each of which takes it about so long.
    let times = [100, 200, 400]
    var queues: [[Int]] = [[], [], []]
    var ends = [Int.max, .max, .max]
    var counts = [0, 0, 0]
    var now = 0
    func work(_ server: Int) {
      ends[server] =
        queues[server].isEmpty
        ? .max : now + random.number(in: times[server] / 2...times[server] * 3 / 2)
    }
    // A client asks anew as soon as it is answered.
    func ask() {
      guard let chosen = choose(&balancer, queues.map { Standing(active: $0.count) }) else {
        return
      }
      queues[chosen].append(now)
      if queues[chosen].count == 1 { work(chosen) }
    }
    for _ in 0..<clients { ask() }
    for _ in 0..<7000 {
      let server = ends.indices.min { ends[$0] < ends[$1] } ?? 0
      now = ends[server]
      counts[server] += 1
      queues[server].removeFirst()
      work(server)
      ask()
    }
    // 4 : 2 : 1, unless so few ask that the slow ones are needed only now and then.
    if clients > 2 {
      for (count, part) in zip(counts, [4000, 2000, 1000]) {
        #expect(abs(count - part) < part / 20)
      }
    } else {
      #expect(counts[0] > counts[1] && counts[1] > counts[2], "\(counts)")
    }
  }
}
