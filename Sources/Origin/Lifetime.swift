internal import HTTP

/// How long an answer may be kept: for good below `/ipfs`, as long as the name says below `/ipns`.
enum Lifetime: Equatable, Sendable {
  case immutable
  /// Seconds: the name's time to live, and what is left of its record.
  case name(ttl: Int64?, left: Int64?)

  /// Content under a CID never changes (boxo's number of seconds).
  static let forever = "public, max-age=29030400, immutable"
  /// For how long a generated page may be shown while a new one is fetched.
  private static let stale: Int64 = 2_678_400

  /// Cache-Control of content; nil where nothing is known.
  var content: String? {
    switch self {
    case .immutable: Self.forever
    case .name: seconds.map { "public, max-age=\($0)" }
    }
  }

  /// Cache-Control of a generated listing, which changes with the program that makes it.
  ///
  /// What is left of a record bounds the stale time too.
  var listing: String? {
    switch self {
    case .immutable: return "public, max-age=604800, stale-while-revalidate=\(Self.stale)"
    case .name(_, let left):
      guard let seconds else { return nil }
      let stale = min(Self.stale, (left ?? .max) - seconds)
      let fresh = "public, max-age=\(seconds)"
      return stale > 0 ? fresh + ", stale-while-revalidate=\(stale)" : fresh
    }
  }

  /// Whether only Last-Modified can say how fresh an answer is.
  var isUnknown: Bool { content == nil }

  private var seconds: Int64? {
    guard case .name(let ttl?, let left) = self, ttl > 0 else { return nil }
    return min(ttl, left ?? .max)
  }
}
