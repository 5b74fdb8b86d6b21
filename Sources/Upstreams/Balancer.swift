public import Base

/// The choice of the server for a try.
///
/// Servers without a recent failure go first, then those with the fewest active requests, then in
/// turn. A server that has failed ranks last and not out: if all have failed, one is still asked.
public struct Balancer: Sendable {
  /// What is known of a server at the moment of choice.
  public struct Standing: Equatable, Sendable {
    public var active: Int
    public var lastFailure: Instant?

    public init(active: Int, lastFailure: Instant? = nil) {
      self.active = active
      self.lastFailure = lastFailure
    }

    func hasFailed(within timeout: Interval, of now: Instant) -> Bool {
      guard let lastFailure else { return false }
      return now - lastFailure < timeout
    }
  }

  /// Where the turn among equals goes on.
  private var turn = 0

  public init() {}

  /// The index of the server to ask, out of `count`; nil where all have been tried.
  public mutating func choose(
    among count: Int, tried: [Int], now: Instant, failTimeout: Interval,
    standing: (Int) -> Standing
  ) -> Int? {
    var best: (index: Int, failed: Bool, active: Int)?
    for step in 0..<max(count, 0) {
      let index = (turn + step) % count
      if tried.contains(index) { continue }
      let candidate = standing(index)
      let failed = candidate.hasFailed(within: failTimeout, of: now)
      if let best {
        let isBetter =
          failed == best.failed ? candidate.active < best.active : best.failed
        if !isBetter { continue }
      }
      best = (index, failed, candidate.active)
    }
    guard let best else { return nil }
    turn = (best.index + 1) % count
    return best.index
  }
}
