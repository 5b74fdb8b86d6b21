internal import Base

/// What is remembered of content that could not be had.
///
/// Either a row of failures, of which each is answered from memory for longer than the one before; or
/// the proof that nothing is at its path, which is answered for as long as the operator wants.
struct Absence: Equatable, Sendable {
  enum Standing: Equatable, Sendable {
    /// Nothing speaks against asking for it.
    case open
    /// It is proven that there is nothing.
    case absent
    /// It failed with this status a moment ago, and is asked for again after so long.
    case failing(status: Int, wait: Interval)
  }

  /// How long the first failure is answered from memory; each further one in a row twice as long.
  static let firstPause = Interval.seconds(1)
  /// The longest that content which is back may still be said to fail.
  static let longestPause = Interval.seconds(60)
  /// A failure so long after the last one's pause is the first of another row.
  static let rowTime = Interval.seconds(600)
  /// From this many failures on the pause is the longest one.
  private static let countedFailures = 7

  private var provenUntil: Instant?
  private var status = 0
  private var failures = 0
  private var pauseEnds: Instant?
  /// Whether the upstream has been asked to prove it, in this row.
  private var isProofAsked = false

  /// Whether the status says that content cannot be had now, rather than what is wrong with the request
  /// or with the server (gateway digest A6).
  static func isFailure(_ status: Int) -> Bool {
    status == 404 || status == 500 || status == 502 || status == 504
  }

  /// What is known at a time.
  func standing(at now: Instant) -> Standing {
    if let provenUntil, now < provenUntil { return .absent }
    if let pauseEnds, now < pauseEnds { return .failing(status: status, wait: pauseEnds - now) }
    return .open
  }

  /// Notes a failure.
  ///
  /// One that comes while another is remembered was under way with it, and is none of its own.
  mutating func fail(_ status: Int, at now: Instant) {
    guard standing(at: now) == .open else { return }
    if let pauseEnds, provenUntil == nil, now - pauseEnds < Self.rowTime {
      failures = min(failures + 1, Self.countedFailures)
    } else {
      self = Absence()
      failures = 1
    }
    self.status = status
    pauseEnds = now + Self.pause(after: failures)
  }

  /// Whether it has failed in a row that goes on.
  func hasFailed(at now: Instant) -> Bool {
    pauseEnds.map { now - $0 < Self.rowTime } ?? false
  }

  private static func pause(after failures: Int) -> Interval {
    let doubled = firstPause.nanoseconds << Int64(min(max(failures, 1), countedFailures) - 1)
    return min(Interval(nanoseconds: doubled), longestPause)
  }

  /// Whether the upstream should be asked for a proof now: once in a row.
  mutating func takeProof() -> Bool {
    defer { isProofAsked = true }
    return !isProofAsked
  }

  /// Notes that it is proven.
  mutating func prove(at now: Instant, for time: Interval) { provenUntil = now + time }
}
