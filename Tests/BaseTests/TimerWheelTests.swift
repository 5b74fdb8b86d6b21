import Base
import Testing

@Suite struct TimerWheelTests {
  /// Nothing fires before its time, nothing later than a tick after a look, and all exactly once.
  @Test(arguments: 0..<20 as Range<UInt64>) func firesOnceAndInTime(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var now = Instant(nanoseconds: Int64(random.number(in: 0...5_000_000_000)))
    let slots = random.number(in: 1...64)
    var wheel = TimerWheel<Int>(tick: .milliseconds(10), slots: slots, now: now)
    var deadlines: [Int: Instant] = [:]
    var fired: [Int] = []
    for number in 0..<500 {
      if random.chance(0.6) {
        // Short ones, ones that go round more than once, and some that are over already.
        let deadline = now + .microseconds(random.number(in: -50_000...2_000_000))
        wheel.set(number, at: deadline)
        // What is over already counts from now.
        deadlines[number] = max(deadline, now)
      }
      // Jumps of many rounds now and then.
      now = now + .microseconds(random.number(in: 0...(random.chance(0.02) ? 3_000_000 : 30_000)))
      wheel.advance(to: now, &fired)
      for payload in fired {
        let deadline = deadlines.removeValue(forKey: payload)
        #expect(deadline.map { $0 <= now } == true, "\(payload): too early, or twice")
      }
      fired = []
      // A deadline that is over may lie in the tick that is under way, not in an earlier one.
      #expect(!deadlines.values.contains { $0 + wheel.tick + wheel.tick <= now })
      #expect(wheel.count == deadlines.count)
    }
    wheel.advance(to: now + .seconds(10), &fired)
    #expect(fired.sorted() == deadlines.keys.sorted())
    #expect(wheel.count == 0)
  }

  /// Whoever sleeps until `nextTurn` each time meets every deadline within a tick of it.
  @Test(arguments: 0..<10 as Range<UInt64>) func nextTurnNeverOversleeps(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var now = Instant(nanoseconds: 1_234_567_890)
    var wheel = TimerWheel<Int>(tick: .milliseconds(10), slots: 16, now: now)
    var deadlines: [Int: Instant] = [:]
    for number in 0..<50 {
      let deadline = now + .milliseconds(random.number(in: 1...2_000))
      deadlines[number] = deadline
      wheel.set(number, at: deadline)
    }
    var turns = 0
    var fired: [Int] = []
    while wheel.count > 0 && turns < 5_000 {
      turns += 1
      let next = wheel.nextTurn(now: now, limit: .seconds(60))
      #expect(next >= now)
      now = next == now ? now + .microseconds(100) : next
      wheel.advance(to: now, &fired)
    }
    #expect(wheel.count == 0)
    #expect(turns < 1_000, "a wheel that is slept by must not spin")
    #expect(fired.count == 50)
    var order: [Instant] = []
    for payload in fired { if let deadline = deadlines[payload] { order.append(deadline) } }
    for (one, next) in zip(order, order.dropFirst()) { #expect(one < next + wheel.tick) }
  }

  @Test func neverIsNotKept() {
    var wheel = TimerWheel<Int>(now: .zero)
    wheel.set(1, at: .never)
    #expect(wheel.count == 0)
    #expect(wheel.nextTurn(now: .zero, limit: .seconds(1)) == .zero + .seconds(1))
  }

  @Test func theLimitEndsAWait() {
    var wheel = TimerWheel<Int>(tick: .milliseconds(10), slots: 1024, now: .zero)
    wheel.set(1, at: .zero + .seconds(5))
    #expect(wheel.nextTurn(now: .zero, limit: .seconds(1)) == .zero + .seconds(1))
    #expect(wheel.nextTurn(now: .zero, limit: .seconds(9)) == .zero + .seconds(5))
    // What is due already asks for a turn at once.
    #expect(
      wheel.nextTurn(now: .zero + .seconds(6), limit: .seconds(1)) == .zero + .seconds(6))
  }
}
