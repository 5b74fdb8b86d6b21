import Base
import Testing

@testable import Upstreams

@Suite struct ServerHealthTests {
  private let options = UpstreamOptions(
    maxFails: 2, failTimeout: .seconds(10), slowStart: .seconds(10))

  private func at(_ seconds: Double) -> Instant {
    Instant(nanoseconds: 1_000_000_000_000 + Int64(seconds * 1e9))
  }

  @Test func oneFailureMakesItTheLastUntilItAnswers() {
    var health = ServerHealth()
    #expect(health.isClean && health.rank(at: at(0), options) == .good)
    #expect(health.failed(at: at(0), options) == nil)
    #expect(health.rank(at: at(1), options) == .suspect)
    #expect(health.answered(at: at(2), options) == nil)
    #expect(health.rank(at: at(2), options) == .good)
    // Without an answer it is forgotten in time.
    var other = ServerHealth()
    _ = other.failed(at: at(0), options)
    #expect(other.rank(at: at(9.9), options) == .suspect)
    #expect(other.rank(at: at(10), options) == .good)
  }

  @Test func failuresWithinTheWindowTakeItDown() {
    var health = ServerHealth()
    #expect(health.failed(at: at(0), options) == nil)
    // Answers in between do not make up for a server that fails every other time.
    _ = health.answered(at: at(1), options)
    #expect(health.failed(at: at(9), options) == .down(.failures))
    #expect(health.rank(at: at(10), options) == .down && health.isDown(at: at(10)))
    var slow = ServerHealth()
    _ = slow.failed(at: at(0), options)
    #expect(slow.failed(at: at(10), options) == nil)
    #expect(slow.rank(at: at(10), options) == .suspect)
    var never = ServerHealth()
    var lenient = options
    lenient.maxFails = 0
    for second in 0..<9 { #expect(never.failed(at: at(Double(second)), lenient) == nil) }
    #expect(never.rank(at: at(9), lenient) == .suspect)
  }

  @Test func oneRequestTriesIt() {
    var health = ServerHealth()
    for second in [0.0, 1] { _ = health.failed(at: at(second), options) }
    #expect(health.begin(at: at(10)) == false)
    #expect(health.rank(at: at(11), options) == .good)
    #expect(health.begin(at: at(11)) == true)
    #expect(health.rank(at: at(11), options) == .down)
    #expect(health.begin(at: at(11)) == false)
    // Who gave up leaves it to the next one.
    health.trialAbandoned()
    #expect(health.begin(at: at(12)) == true)
    #expect(health.failed(at: at(13), options) == nil)
    #expect(health.rank(at: at(22.9), options) == .down)
    #expect(health.begin(at: at(23)) == true)
    #expect(health.answered(at: at(24), options) == .up)
    #expect(health.rank(at: at(24), options) == .good && !health.isDown(at: at(24)))
  }

  @Test func slowStart() {
    var health = ServerHealth()
    for second in [0.0, 1] { _ = health.failed(at: at(second), options) }
    _ = health.answered(at: at(20), options)
    #expect(health.share(at: at(20), options) == ServerHealth.leastShare)
    #expect(health.share(at: at(25), options) == 500)
    #expect(health.share(at: at(30), options) == 1000)
    #expect(!health.isClean)
    _ = health.answered(at: at(31), options)
    #expect(health.isClean)
    var none = options
    none.slowStart = .zero
    #expect(health.share(at: at(20), none) == 1000)
  }

  @Test func probesTakeDownAndUp() {
    var health = ServerHealth()
    func probe(_ isWell: Bool, _ second: Double) -> ServerHealth.Change? {
      health.probed(isWell, at: at(second), rise: 2, fall: 3)
    }
    #expect(probe(false, 0) == nil && probe(false, 1) == nil)
    #expect(probe(true, 2) == nil && probe(false, 3) == nil && probe(false, 4) == nil)
    #expect(health.rank(at: at(4), options) == .good)
    #expect(probe(false, 5) == .down(.probes))
    #expect(health.rank(at: at(5), options) == .down)
    #expect(probe(true, 6) == nil && probe(false, 7) == nil && probe(true, 8) == nil)
    #expect(probe(true, 9) == .up)
    #expect(health.rank(at: at(9), options) == .good)
    #expect(health.share(at: at(9), options) == ServerHealth.leastShare)
  }

  /// A server that lives need not answer: probes do not take up what failures have taken down.
  @Test func probesDoNotCureFailures() {
    var health = ServerHealth()
    for second in [0.0, 1] { _ = health.failed(at: at(second), options) }
    for second in 2..<9 {
      #expect(health.probed(true, at: at(Double(second)), rise: 2, fall: 3) == nil)
    }
    #expect(health.rank(at: at(9), options) == .down)
    // And an answer to a request does away with what probes say.
    for second in 9..<12 { _ = health.probed(false, at: at(Double(second)), rise: 2, fall: 3) }
    #expect(health.answered(at: at(12), options) == .up)
    #expect(health.rank(at: at(12), options) == .good)
  }

  /// Only a row of them is a failure, and whatever is answered ends it.
  @Test func oversightsCountInARow() {
    var health = ServerHealth()
    for second in 0..<20 {
      #expect(health.overlooked(at: at(Double(second)), options) == nil)
      if second % 2 == 1 { _ = health.answered(at: at(Double(second)), options) }
    }
    #expect(health.isClean)
    for second in 20..<25 {
      #expect(health.overlooked(at: at(Double(second)), options) == nil)
    }
    #expect(health.rank(at: at(25), options) == .suspect)
    #expect(health.overlooked(at: at(25), options) == .down(.failures))
  }

  /// So is a body that ends before it is whole, where others give theirs whole meanwhile.
  @Test func shortBodiesCountInARowBesideWholeOnes() {
    func short(_ health: inout ServerHealth, _ second: Double, whole: Double)
      -> ServerHealth.Change?
    {
      _ = health.answered(at: at(second), options)
      return health.fellShort(at: at(second), whole: at(whole), options)
    }
    var health = ServerHealth()
    // Others were well before: that says nothing.
    for second in 1..<9 { #expect(short(&health, Double(second), whole: 0) == nil) }
    #expect(health.rank(at: at(9), options) == .good && !health.isClean)
    #expect(short(&health, 9, whole: 8.5) == nil)
    #expect(health.rank(at: at(9), options) == .suspect)
    // What it answers since does not make up for it, and another row takes it down.
    for second in [10.0, 11] { #expect(short(&health, second, whole: second) == nil) }
    #expect(health.rank(at: at(11), options) == .suspect)
    #expect(short(&health, 12, whole: 12) == .down(.failures))
    // A whole one ends a row.
    var other = ServerHealth()
    for second in 0..<9 {
      #expect(short(&other, Double(second), whole: Double(second)) == nil)
      if second % 2 == 1 { other.endedWhole() }
    }
    #expect(other.rank(at: at(9), options) == .good)
    other.endedWhole()
    #expect(other.isClean)
  }

  @Test func liesAndRests() {
    var health = ServerHealth()
    health.lied(at: at(0))
    _ = health.answered(at: at(1), options)
    #expect(health.rank(at: at(9), options) == .suspect)
    #expect(health.rank(at: at(10), options) == .good)
    health.rests(until: at(20))
    #expect(health.rank(at: at(19), options) == .down && !health.isDown(at: at(19)))
    #expect(health.rank(at: at(20), options) == .good)
  }

  /// Whatever happens, a server comes back: once nothing happens any more and a trial is answered, it is
  /// good, and in the end as good as new.
  @Test(arguments: 0..<100) func itAlwaysComesBack(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var health = ServerHealth()
    var now = 0.0
    var isDown = false
    func hear(_ change: ServerHealth.Change?) {
      // Each change is one: never down twice in a row.
      switch change {
      case .down: #expect(!isDown); isDown = true
      case .up: #expect(isDown); isDown = false
      case nil: break
      }
      #expect(health.isDown(at: at(now)) == isDown)
    }
    for _ in 0..<200 {
      now += Double(random.number(in: 0...3_000)) / 1000
      switch random.number(in: 0...6) {
      case 0, 1: hear(health.failed(at: at(now), options))
      case 2: hear(health.answered(at: at(now), options))
      case 3: hear(health.probed(random.chance(0.5), at: at(now), rise: 2, fall: 2))
      case 4: if health.begin(at: at(now)), random.chance(0.5) { health.trialAbandoned() }
      case 5: health.lied(at: at(now))
      default: health.rests(until: at(now + 3))
      }
    }
    health.trialAbandoned()
    for _ in 0..<2 { hear(health.probed(true, at: at(now), rise: 2, fall: 2)) }
    now += 10
    #expect(health.rank(at: at(now), options) == .good)
    _ = health.begin(at: at(now))
    hear(health.answered(at: at(now), options))
    now += 10
    hear(health.answered(at: at(now), options))
    #expect(health.isClean && !isDown)
  }
}
