internal import Base

/// What one request holds of the limits, from its admission to its end.
///
/// Kept with the request and used again; nothing in it is of use to another limiter than the one that filled it.
public struct RateLimitHold: Sendable {
  // Bits by the limits' numbers.
  /// Limits whose key is known: those from which the request is not exempt.
  var keyed: UInt16 = 0
  /// Limits of requests that have been charged.
  var charged: UInt16 = 0
  /// Limits of requests under way that it is counted in.
  var counted: UInt16 = 0
  /// Whether it has paid as a miss, or need not.
  var hasPaidForMiss = false
  /// Keys by the limits' numbers, and slots: where it is counted, or of bytes where its key was found.
  var keys = InlineArray<16, Digest128>(repeating: Digest128(first: 0, second: 0))
  var slots = InlineArray<16, Int32>(repeating: -1)

  public init() {}

  /// Whether a limit's key is known.
  @inline(__always)
  func isKeyed(_ limit: Int) -> Bool { keyed & 1 &<< UInt16(truncatingIfNeeded: limit) != 0 }

  /// Whether it is counted anywhere.
  public var isCounted: Bool { counted != 0 }
}

/// Why a request is not admitted.
public struct RateLimitRefusal: Equatable, Sendable {
  /// The limit's place among the limiter's.
  public var limit: Int
  /// Whole seconds until the same request would pass, at least one.
  public var retryAfter: Int64
  /// What is left of the allowance, in the limit's unit.
  public var remaining: Int64
  /// Whole seconds until the allowance is whole again; nil where that is others' to say.
  public var resetAfter: Int64?
}
