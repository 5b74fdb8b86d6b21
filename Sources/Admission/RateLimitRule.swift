internal import Base

/// A limit in the numbers that a check works with.
///
/// Without a reference that counts: requests go through these one after the other.
@safe
struct RateLimitRule: Sendable {
  enum Kind: Sendable { case requests, bytes, concurrent }

  let kind: Kind
  let hasExempt: Bool
  /// The place of an earlier limit with the same keys; -1 for none.
  let twin: Int
  let keying: RateLimitKeying
  /// Nanoseconds in which the allowance earns one more.
  let unit: Double
  /// Nanoseconds that may be owed: when the request is counted in, or, of bytes, before it.
  let capacity: Int
  let hitCost: Int
  /// What a miss costs more than a hit.
  let missExtra: Int
  /// Requests under way.
  let most: Int
  /// Kept by the limiter, which outlives its rules.
  private let table: Unmanaged<RateLimitTable>

  init(_ limit: RateLimit, _ keying: RateLimitKeying, twin: Int, _ table: RateLimitTable) {
    self.twin = twin
    self.keying = keying
    unsafe self.table = Unmanaged.passUnretained(table)
    hasExempt = !limit.exempt.isEmpty
    var numbers = (unit: 0.0, capacity: 0, hit: 0, extra: 0, most: 0)
    switch limit.measure {
    case .requests(let rate, let burst, let hit, let miss):
      kind = .requests
      // Rounded once, so that as many prices as the capacity is meant for are the capacity.
      let unit = Int(max(1, rate.nanosecondsPerUnit.rounded()))
      numbers.unit = Double(unit)
      numbers.capacity = Self.product(burst &+ 1, unit)
      numbers.hit = Self.product(hit, unit)
      numbers.extra = Self.product(miss, unit) - numbers.hit
    case .bytes(let rate, let burst):
      kind = .bytes
      numbers.unit = rate.nanosecondsPerUnit
      numbers.capacity = Self.nanoseconds(burst, numbers.unit)
    case .concurrent(let most):
      kind = .concurrent
      numbers.most = most
    }
    unit = numbers.unit
    capacity = numbers.capacity
    hitCost = numbers.hit
    missExtra = max(0, numbers.extra)
    most = numbers.most
  }

  /// The same of whole nanoseconds.
  private static func product(_ units: Int, _ unit: Int) -> Int {
    let (product, isTooMuch) = max(0, units).multipliedReportingOverflow(by: unit)
    return isTooMuch ? 1 << 61 : min(product, 1 << 61)
  }

  /// The time in which so many units are earned, at most some 70 years.
  static func nanoseconds(_ units: Int, _ unit: Double) -> Int {
    // Cut off after a half is added: the same as rounding where nothing is below zero, without a call.
    Int(min(max(0, Double(units) * unit), 0x1p61) + 0.5)
  }

  // MARK: Its table

  @inline(__always)
  func charge(_ key: Digest128, _ cost: Int, capacity: Int, now: Int) -> RateLimitTable.Charge {
    unsafe table._withUnsafeGuaranteedRef {
      $0.charge(key, cost, capacity: capacity, now: now)
    }
  }

  @inline(__always)
  func owe(_ key: Digest128, _ cost: Int, most: Int, now: Int, hint: Int = -1) {
    unsafe table._withUnsafeGuaranteedRef {
      $0.owe(key, cost, most: most, now: now, hint: hint)
    }
  }

  func forgive(_ key: Digest128, _ cost: Int) {
    unsafe table._withUnsafeGuaranteedRef { $0.forgive(key, cost) }
  }

  @inline(__always)
  func owes(_ key: Digest128, now: Int) -> (until: Int, slot: Int) {
    unsafe table._withUnsafeGuaranteedRef { $0.owes(key, now: now) }
  }

  @inline(__always)
  func take(_ key: Digest128, limit: Int) -> RateLimitTable.Count {
    unsafe table._withUnsafeGuaranteedRef { $0.take(key, limit: limit) }
  }

  @inline(__always)
  func giveBack(_ slot: Int) { unsafe table._withUnsafeGuaranteedRef { $0.giveBack(slot) } }
}
