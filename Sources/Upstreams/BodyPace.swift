internal import Base

/// Whether a body comes so slowly that its server is as good as silent.
///
/// Each byte begins another wait for the next one (`timeouts.between_bytes`): one now and then would hold a
/// client, a place at the server and memory for hours.
struct BodyPace: Equatable, Sendable {
  /// How long is looked at.
  ///
  /// Longer than the pause in which a node looks for one more block.
  static let window = Interval.seconds(30)
  /// The least that comes in a window: less than the smallest usual block, so that a node which finds its
  /// blocks one after the other does well.
  static let leastBytes = 16 << 10

  /// When the window began.
  private(set) var began: Instant
  private var bytes = 0

  init(at now: Instant) { began = now }

  /// Notes bytes that have come; false where a window is over that has brought too few.
  mutating func take(_ count: Int, at now: Instant) -> Bool {
    bytes += count
    guard now - began >= Self.window else { return true }
    guard bytes >= Self.leastBytes else { return false }
    self = BodyPace(at: now)
    return true
  }
}
