public import Base

/// The least that a client must take, on average.
public struct SendRate: Equatable, Sendable {
  public var bytes: Int
  public var period: Interval

  public init(bytes: Int, per period: Interval) {
    self.bytes = bytes
    self.period = period
  }

  /// Time in which bytes have to wait for a client before its pace is judged.
  ///
  /// Longer than a train's tunnel, and than a full socket of a slow but honest client moves in one go.
  static let window = Interval.seconds(30)

  /// Whether so many bytes in so much time are fewer.
  func isAbove(_ taken: Int, in time: Interval) -> Bool {
    Double(taken) * Double(period.nanoseconds) < Double(bytes) * Double(time.nanoseconds)
  }
}

/// How fast a client takes what waits for it; the time in which nothing waits does not count.
///
/// So a server that is slow to bring an answer is nothing against its client. The bytes that are taken meanwhile
/// do count: whatever a client takes speaks for it.
struct SendRateWatch {
  /// Since when something waits; nil while nothing does.
  private var since: Instant?
  /// How long something has waited in this window, up to `since`.
  private var waited = Interval.zero
  /// What the client had taken when the window began.
  private var before = 0

  /// Whether something waits.
  var isWaiting: Bool { since != nil }

  /// Bytes wait for the client.
  mutating func began(at now: Instant, taken: @autoclosure () -> Int) {
    if waited == .zero && since == nil { before = taken() }
    if since == nil { since = now }
  }

  /// The client has taken bytes, and others may be sent.
  mutating func ended(at now: Instant) {
    guard let since else { return }
    waited = waited + (now - since)
    self.since = nil
  }

  /// When the window will be full if nothing changes.
  func due(at now: Instant) -> Instant {
    guard let since else { return .never }
    return since + Interval(nanoseconds: SendRate.window.nanoseconds - waited.nanoseconds)
  }

  /// Whether the window is full and the client took too little in it; a full one begins anew.
  mutating func isTooSlow(for rate: SendRate, at now: Instant, taken: Int) -> Bool {
    ended(at: now)
    guard waited >= SendRate.window else {
      since = now
      return false
    }
    let isTooSlow = rate.isAbove(taken - before, in: waited)
    (since, waited, before) = (now, .zero, taken)
    return isTooSlow
  }
}
