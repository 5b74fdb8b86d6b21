internal import Base

/// How many bytes one large answer gives in a turn of the loop before others have theirs.
///
/// A worker does one thing at a time: what it gives to one client all others wait for, some 15 µs for each 64 KiB
/// by `sendfile`. Small answers notice; large ones among themselves do not, and larger turns cost less. Bodies that
/// go by TLS or HTTP/2 always have the smaller share.
struct TurnShare {
  /// An answer with no more body than this is a small one.
  static let smallBytes = 64 << 10
  /// A turn's bytes beside small answers.
  static let besideSmall = 256 << 10
  /// A turn's bytes with none of them: nearly a quarter less CPU for a hit of 1 MiB.
  static let amongLarge = 1 << 20
  /// For how long a small answer counts.
  static let term = Interval.seconds(1)

  private var lastSmall: Instant?

  mutating func ended(bodyBytes: Int64, at now: Instant) {
    if bodyBytes <= Int64(Self.smallBytes) { lastSmall = now }
  }

  func bytes(at now: Instant) -> Int {
    guard let lastSmall, now - lastSmall < Self.term else { return Self.amongLarge }
    return Self.besideSmall
  }
}
