import Base
import Testing

@testable import Telemetry

@Suite struct HistogramTests {
  /// The bucket by a plain walk through the bounds.
  private func bucket(_ nanoseconds: Int64) -> Int {
    HistogramBounds.table.firstIndex { nanoseconds <= $0.nanoseconds }
      ?? HistogramBounds.table.count
  }

  private func expectBucket(_ nanoseconds: Int64) {
    let page = CounterPage()
    page.observe(.firstByteMiss, Interval(nanoseconds: nanoseconds))
    let snapshot = page.value(.firstByteMiss)
    #expect(snapshot.count == 1)
    #expect(snapshot.buckets[bucket(nanoseconds)] == 1, "\(nanoseconds) ns")
    #expect(snapshot.sumNanoseconds == Int(max(nanoseconds, 0)))
  }

  @Test func everyEdgeFallsWhereAWalkPutsIt() {
    for bound in HistogramBounds.table.map(\.nanoseconds) {
      for nanoseconds in [bound - 1, bound, bound + 1] { expectBucket(nanoseconds) }
    }
    for shift in 0..<63 {
      let power = Int64(1) << Int64(shift)
      for nanoseconds in [power - 1, power, power + 1] { expectBucket(nanoseconds) }
    }
    for nanoseconds: Int64 in [.min, -1, 0, .max] { expectBucket(nanoseconds) }
  }

  @Test func randomLatenciesFallWhereAWalkPutsThem() {
    var random = SeededRandom(seed: 7)
    for _ in 0..<2_000 {
      expectBucket(Int64(bitPattern: random.next() >> UInt64(random.number(in: 1...63))))
    }
  }

  @Test func boundsRiseByAtLeastTwo() {
    let bounds = HistogramBounds.table.map(\.nanoseconds)
    for (lower, upper) in zip(bounds, bounds.dropFirst()) { #expect(upper >= 2 * lower) }
    for (nanoseconds, text) in HistogramBounds.table {
      #expect(Double(text.description) == Double(nanoseconds) / 1e9)
    }
  }

  @Test func histogramsDoNotTouchEachOther() {
    let page = CounterPage()
    for name in HistogramName.allCases {
      for _ in 0...name.index { page.observe(name, .seconds(3_600)) }
    }
    for name in HistogramName.allCases {
      #expect(page.value(name).buckets.last == name.index + 1)
      #expect(page.value(name).count == name.index + 1)
    }
    #expect(Counter.allCases.allSatisfy { page.value($0) == 0 })
  }
}
