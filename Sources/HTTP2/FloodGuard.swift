public import Base

/// Frames that cost their sender nothing and their receiver something.
public enum CostlyFrame: Int, CaseIterable, Sendable {
  /// RST_STREAM of a client, and what the server resets for its client's mistakes (rapid reset).
  case reset
  /// CONTINUATION.
  case continuation
  case ping
  case settings
  /// DATA without a byte and without the stream's end.
  case emptyData
  /// PRIORITY and PRIORITY_UPDATE.
  case priority
  case windowUpdate
  /// A head whose fields are many times what is allowed.
  case fields
  /// All other kinds: those that a client has no reason to send, and unknown ones.
  case other
}

/// Counts the frames that floods are made of, and says when a client sends too many of a kind.
///
/// Limits hold within ten seconds, so that a page's worth at once is no flood.
public struct FloodGuard: Sendable {
  static let window = Interval.seconds(10)
  /// What a stream of data may cause of WINDOW_UPDATE: a frame's bytes are acknowledged for the stream and
  /// for the connection, perhaps in a few parts.
  static let updatesPerFrame = 8
  /// CONTINUATION frames of one head, at the least: of usual heads one frame holds half already.
  static let continuationsPerHead = 8

  private var start = Instant.zero
  private var counts = [Int](repeating: 0, count: CostlyFrame.allCases.count)
  private var updatesEarned = 0
  private var continuations = 0
  private let mostContinuations: Int

  /// - Parameter headBytes: The longest head that is taken; it may come in frames half as large as they can be.
  public init(headBytes: Int = 0) {
    mostContinuations = max(Self.continuationsPerHead, headBytes / (8 << 10))
  }

  /// How many of a kind a client may send within ten seconds.
  public static func limit(_ frame: CostlyFrame) -> Int {
    switch frame {
    // A browser that leaves a page resets what it has open, at most a hundred streams.
    case .reset: 500
    case .continuation: 200
    // Some libraries ping for each few reads, to learn the round trip's time.
    case .ping: 200
    // One at the beginning, and one for each change of a window's size.
    case .settings: 50
    case .emptyData: 100
    // Each image of a page, when it scrolls into sight.
    case .priority: 1000
    case .windowUpdate: 1000
    case .fields: 0
    case .other: 100
    }
  }

  /// Counts a frame; false where it is one too many.
  public mutating func allows(_ frame: CostlyFrame, at now: Instant) -> Bool {
    if now - start >= Self.window {
      start = now
      for kind in counts.indices { counts[kind] = 0 }
      // What was sent in the window before may be acknowledged in this one.
      updatesEarned = min(updatesEarned, Self.updatesPerFrame * 4096)
    }
    counts[frame.rawValue] += 1
    switch frame {
    case .windowUpdate:
      if counts[frame.rawValue] <= Self.limit(frame) { return true }
      updatesEarned -= 1
      return updatesEarned >= 0
    case .continuation:
      continuations += 1
      if continuations > mostContinuations { return false }
    default: break
    }
    return counts[frame.rawValue] <= Self.limit(frame)
  }

  /// A head begins.
  mutating func headBegins() { continuations = 0 }

  /// A frame of data is sent, which its receiver acknowledges.
  public mutating func sentData() { updatesEarned += Self.updatesPerFrame }
}
