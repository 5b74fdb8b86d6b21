/// The latencies that are kept as histograms, as series (like `Counter`).
public enum HistogramName: String, CaseIterable, Sendable {
  case requestHit = #"sluice_request_duration_seconds{cache="hit"}"#
  case requestMiss = #"sluice_request_duration_seconds{cache="miss"}"#
  case firstByteHit = #"sluice_first_byte_seconds{cache="hit"}"#
  case firstByteMiss = #"sluice_first_byte_seconds{cache="miss"}"#
  case loopLag = "sluice_loop_lag_seconds"
  case upstreamConnect = "sluice_upstream_connect_seconds"
  case upstreamFirstByte = "sluice_upstream_first_byte_seconds"
  case diskWait = "sluice_disk_wait_seconds"

  /// The place in a page: the order of the cases above.
  @inlinable
  public var index: Int {
    // As in `Counter.index`.
    unsafe Int(unsafeBitCast(self, to: UInt8.self))
  }
}

/// The bucket bounds that all histograms share: 50 µs to 60 s, two or three a decade.
public enum HistogramBounds {
  /// Upper bounds (inclusive) in nanoseconds, beside their text in seconds as Prometheus' `le`.
  static let table: [(nanoseconds: Int64, text: StaticString)] = [
    (50_000, "0.00005"), (100_000, "0.0001"), (250_000, "0.00025"), (500_000, "0.0005"),
    (1_000_000, "0.001"), (2_500_000, "0.0025"), (5_000_000, "0.005"),
    (10_000_000, "0.01"), (25_000_000, "0.025"), (50_000_000, "0.05"),
    (100_000_000, "0.1"), (250_000_000, "0.25"), (500_000_000, "0.5"),
    (1_000_000_000, "1"), (2_500_000_000, "2.5"), (5_000_000_000, "5"),
    (10_000_000_000, "10"), (30_000_000_000, "30"), (60_000_000_000, "60"),
  ]

  /// Buckets of one histogram: one for each bound and one for all above.
  static var buckets: Int { table.count + 1 }

  /// For each count of significant bits, the first bound that a number so long may lie under.
  ///
  /// Neighbouring bounds are at least a factor of 2 apart, so at most one lies within the numbers of
  /// a length, and one comparison after this look-up finds the bucket.
  static func first(significantBits: Int) -> Int {
    let smallest = significantBits == 0 ? 0 : Int64(1) << Int64(min(significantBits, 63) - 1)
    return table.firstIndex { smallest <= $0.nanoseconds } ?? table.count
  }
}

/// The buckets of one histogram at one moment, summed over pages.
public struct HistogramSnapshot: Equatable, Sendable {
  /// Observations in each bucket (not cumulative), the last one being above all bounds.
  public var buckets: [Int]
  public var sumNanoseconds: Int

  public var count: Int { buckets.reduce(0, &+) }
}
