internal import Base

/// The hashes of the networks that have asked one thread of late: to hash is the dearest part of a check.
///
/// What is remembered follows from the network and the limiter's secret alone, so it never is wrong; what shares a
/// place is hashed anew. Each thread has one for each limiter, made by the limiter itself.
public final class RateLimitKeyMemory {
  /// 32 bytes each: as many clients as a thread serves in the same moment, and little beside a core's own cache.
  static let places = 1 << 10

  private struct Place {
    var high: UInt64
    var low: UInt64
    var key: Digest128
  }

  /// What all that is not remembered is hashed with.
  let secret: SipKey
  private var memory: [Place]

  init(_ secret: SipKey) {
    self.secret = secret
    // What nobody has asked for yet is right, too.
    let none = Place(high: 0, low: 0, key: Self.hash(0, 0, secret))
    memory = Array(repeating: none, count: Self.places)
  }

  /// The key of a network, as its address with nothing but its own bits.
  @inline(__always)
  func key(_ high: UInt64, _ low: UInt64) -> Digest128 {
    // By its highest bits, which all bits of both words have a part in (Knuth's multiplicative hashing).
    let mixed = (high ^ low) &* 0x9e37_79b9_7f4a_7c15
    let index = Int(truncatingIfNeeded: mixed &>> 54)
    let place = memory[index]
    if place.high == high, place.low == low { return place.key }
    return remember(high, low, at: index)
  }

  @inline(never)
  private func remember(_ high: UInt64, _ low: UInt64, at index: Int) -> Digest128 {
    let key = Self.hash(high, low, secret)
    memory[index] = Place(high: high, low: low, key: key)
    return key
  }

  private static func hash(_ high: UInt64, _ low: UInt64, _ secret: SipKey) -> Digest128 {
    var words = (high, low)
    return unsafe withUnsafeBytes(of: &words) {
      SipHash.hash128(unsafe RawSpan(_unsafeBytes: $0), key: secret)
    }
  }
}
