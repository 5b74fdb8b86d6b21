public import Base
internal import Cache
internal import Synchronization

/// A slice, and where in which object it belongs.
struct StoredSlice {
  var slice: Slice
  var key: Digest128
  var index: Int
  /// Bytes of the slice.
  var count: Int
}

/// The slices that were found bad a moment ago, for all workers.
///
/// From the finding until the writer has taken it out, the index still names a bad slice: who plans a
/// fetch must not count on it, and who meets it need not read it again. Slices are never written to the
/// same place twice, so what was bad stays bad. Not asked on the way of a hit that is in order.
final class BadSlices: Sendable {
  /// More than a commit's time lets through; the oldest goes first, and is merely read again.
  static let limit = 4096

  private struct State {
    /// With whether the writer was told.
    var dropped: [Slice: Bool] = [:]
    var order: [Slice] = []
    var next = 0
  }

  private let state = Mutex(State())

  func contains(_ slice: Slice) -> Bool {
    state.withLock { $0.dropped[slice] != nil }
  }

  /// Notes a slice; whether nobody knew, and whether it is for the caller to have it dropped.
  ///
  /// - Parameter isNamed: whether the index names it now: what it does not cannot be dropped yet.
  func note(_ slice: Slice, isNamed: Bool) -> (isNew: Bool, drops: Bool) {
    state.withLock { state in
      if let wasDropped = state.dropped[slice] {
        state.dropped[slice] = wasDropped || isNamed
        return (false, isNamed && !wasDropped)
      }
      if state.order.count < Self.limit {
        state.order.append(slice)
      } else {
        state.dropped[state.order[state.next]] = nil
        state.order[state.next] = slice
        state.next = (state.next + 1) % Self.limit
      }
      state.dropped[slice] = isNamed
      return (true, isNamed)
    }
  }
}

/// Lets one line of a kind through to the log in a while, from whichever thread.
public struct LogPace: ~Copyable, Sendable {
  private let pause: Interval

  /// When the last line went through, in nanoseconds; 0 before.
  private let last = Atomic<Int64>(0)
  private let held = Atomic<Int>(0)

  /// - Parameter pause: The time between two lines.
  public init(pause: Interval = .seconds(10)) {
    self.pause = pause
  }

  /// For how many events a line is due now, this one and those held back since the last line; nil
  /// where this one is held back.
  public func due(at now: Instant) -> Int? {
    held.add(1, ordering: .relaxed)
    let last = last.load(ordering: .relaxed)
    guard last == 0 || now.nanoseconds - last > pause.nanoseconds,
      self.last.compareExchange(
        expected: last, desired: max(now.nanoseconds, 1), ordering: .relaxed
      ).exchanged
    else { return nil }
    return held.exchange(0, ordering: .relaxed)
  }
}
