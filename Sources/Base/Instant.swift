/// A point in monotonic time.
///
/// Modules that decide take it as an argument; only a loop reads a clock.
public struct Instant: Comparable, Hashable, Sendable {
  /// Nanoseconds since an arbitrary start (boot, or the start of a simulation).
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  public static let zero = Instant(nanoseconds: 0)
  /// Later than any instant that a process meets.
  public static let never = Instant(nanoseconds: .max)

  public static func < (left: Instant, right: Instant) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  public static func + (start: Instant, interval: Interval) -> Instant {
    Instant(nanoseconds: start.nanoseconds &+ interval.nanoseconds)
  }

  public static func - (end: Instant, start: Instant) -> Interval {
    Interval(nanoseconds: end.nanoseconds &- start.nanoseconds)
  }
}

/// A length of time, in nanoseconds.
///
/// Trivial and 8 bytes, unlike `Duration`.
public struct Interval: Comparable, Hashable, Sendable {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  public static let zero = Interval(nanoseconds: 0)

  public static func seconds(_ count: Int) -> Interval {
    Interval(nanoseconds: Int64(count) &* 1_000_000_000)
  }

  public static func milliseconds(_ count: Int) -> Interval {
    Interval(nanoseconds: Int64(count) &* 1_000_000)
  }

  public static func microseconds(_ count: Int) -> Interval {
    Interval(nanoseconds: Int64(count) &* 1_000)
  }

  public var milliseconds: Int { Int(nanoseconds / 1_000_000) }
  public var seconds: Double { Double(nanoseconds) / 1e9 }

  public static func < (left: Interval, right: Interval) -> Bool {
    left.nanoseconds < right.nanoseconds
  }

  public static func + (left: Interval, right: Interval) -> Interval {
    Interval(nanoseconds: left.nanoseconds &+ right.nanoseconds)
  }
}
