import Base
import Synchronization
import System
import Testing

@Suite struct ThreadTests {
  @Test func runsTheBodyAndJoins() throws {
    let counter = Monitor(0)
    var threads = 0
    for _ in 0..<4 {
      let thread = try Thread(name: "a name longer than fifteen bytes") {
        for _ in 0..<1000 { counter.with { $0 += 1 } }
      }
      thread.join()
      threads += 1
    }
    #expect(counter.with { $0 } == threads * 1000)
  }

  @Test func aCoreThatDoesNotExistIsAFault() {
    #expect(throws: Fault.self) { _ = try Thread(name: "x", core: 1_000_000) {} }
  }

  @Test func aWaiterWakesWhenTheValueIsThere() throws {
    let monitor = Monitor([Int]())
    let thread = try Thread(name: "giver", core: 0) {
      for number in 0..<100 {
        monitor.with { $0.append(number) }
        monitor.signal()
      }
    }
    var taken: [Int] = []
    while taken.count < 100 {
      taken +=
        monitor.wait { (value: inout [Int]) -> [Int]? in
          defer { value = [] }
          return value.isEmpty ? nil : value
        } ?? []
    }
    thread.join()
    #expect(taken == Array(0..<100))
  }

  @Test func aWaitEndsAtItsDeadline() {
    let monitor = Monitor(0)
    let start = Clock.now
    let found: Int? = monitor.wait(until: start + .milliseconds(2)) { _ in nil }
    #expect(found == nil)
    #expect(Clock.now - start >= .milliseconds(2))
    #expect(monitor.wait(until: .zero) { $0 } == 0)
  }

  @Test func clocksGoForward() throws {
    let first = Clock.now
    #expect(Clock.now >= first)
    #expect(first - Clock.coarseNow < .seconds(1))
    #expect(Clock.wallSeconds > 1_700_000_000)
    #expect(try SystemRandom.bytes(32) != SystemRandom.bytes(32))
  }
}
