public import Base

/// How many of something in how much time, on average.
public struct Rate: Hashable, Sendable {
  public var count: Int
  public var period: Interval

  public init(_ count: Int, per period: Interval) {
    self.count = count
    self.period = period
  }

  /// Nanoseconds in which one more is earned.
  var nanosecondsPerUnit: Double { Double(period.nanoseconds) / Double(max(1, count)) }
}

/// One limit on what clients may ask for, as an operator states it.
public struct RateLimit: Equatable, Sendable {
  /// Who shares an allowance.
  public enum Key: Hashable, Sendable {
    /// An IPv4 address, or an IPv6 network of 64 bits, which is what one subscriber has at least.
    case client
    /// Networks of so many bits.
    case network(ipv4Bits: Int, ipv6Bits: Int)
    /// All who ask for one host.
    case host
    /// Who shows the same bearer token (RFC 6750, section 2.1); clients without one as by `client`.
    case token
  }

  /// What is counted.
  public enum Measure: Equatable, Sendable {
    /// Requests, each at its price: a hit's, or a miss's, which is not below it.
    ///
    /// At once come as many as `burst` and one more, so that `burst` is what nginx calls so (nodelay).
    case requests(Rate, burst: Int, hit: Int, miss: Int)
    /// Bytes of bodies, noted as they are sent: no request while more than `burst` is owed.
    case bytes(Rate, burst: Int)
    /// Requests under way.
    case concurrent(Int)
  }

  /// What it is called in answers, logs and metrics.
  public var name: String
  public var key: Key
  public var measure: Measure
  /// Whose requests it neither counts nor refuses.
  public var exempt: NetworkSet
  /// How many keys' states it has room for: those forgotten first are worth the least.
  public var keys: Int

  public init(
    name: String, key: Key, measure: Measure, exempt: NetworkSet = NetworkSet(),
    keys: Int = 500_000
  ) {
    self.name = name
    self.key = key
    self.measure = measure
    self.exempt = exempt
    self.keys = keys
  }

  /// The most limits that one request is held against: each costs a look-up.
  public static let most = 16
  /// Nobody owes more than is earned in this time, beyond the burst: one huge answer is no
  /// sentence for a day.
  public static let longestDebt = Interval.seconds(3_600)
}
