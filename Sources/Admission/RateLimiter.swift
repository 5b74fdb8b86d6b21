public import Base
internal import Synchronization

/// The limits that requests of one kind are held against, shared by all workers.
///
/// Several limits must all agree, and none is charged for a request that another refuses: they are charged one
/// after the other, and those before the one that refuses are paid back. No clock, no lock, no allocation.
public final class RateLimiter: Sendable {
  let rules: [RateLimitRule]
  /// What is not looked at but for a refusal, by the rules' numbers.
  private let details: [Detail]
  private let secret: SipKey

  /// A limit's words, and what it has refused; keeps its table.
  private final class Detail: Sendable {
    let limit: RateLimit
    let table: RateLimitTable
    let policy: [UInt8]
    let refusals = Atomic<Int>(0)

    init(_ limit: RateLimit, _ table: RateLimitTable) {
      self.limit = limit
      self.table = table
      policy = RateLimitFields.policy(limit)
    }
  }

  /// - Parameters:
  ///   - limits: In the order in which they are asked; those above `RateLimit.most` are left out.
  ///   - secret: What keys are hashed with: nobody else's to know.
  ///   - prepare: As for `RateLimitTable`, called with each limit's memory.
  public init(
    _ limits: [RateLimit], secret: SipKey,
    prepare: (UnsafeMutableRawBufferPointer) -> Bool = { _ in false }
  ) {
    details = limits.prefix(RateLimit.most).map {
      Detail($0, unsafe RateLimitTable(keys: $0.keys, prepare: prepare))
    }
    var rules: [RateLimitRule] = []
    for detail in details {
      let keying = RateLimitKeying(detail.limit.key)
      rules.append(
        RateLimitRule(
          detail.limit, keying, twin: rules.firstIndex { $0.keying == keying } ?? -1, detail.table))
    }
    self.rules = rules
    self.secret = secret
    byteRules = rules.indices.reduce(0) { $0 | (rules[$1].kind == .bytes ? 1 << $1 : 0) }
    looksAtTokens = details.contains { $0.limit.key == .token }
    looksAtHosts = details.contains { $0.limit.key == .host }
  }

  /// Whether what is sent has to be noted.
  public var hasByteLimits: Bool { byteRules != 0 }
  /// Limits of bytes: bits by the limits' numbers.
  private let byteRules: UInt16
  /// Whether `Authorization` says who shares an allowance.
  public let looksAtTokens: Bool
  /// Whether the host does.
  public let looksAtHosts: Bool

  // MARK: The way of a request

  /// What a thread remembers for its checks.
  public func keyMemory() -> RateLimitKeyMemory { RateLimitKeyMemory(secret) }

  /// Holds a request against all limits, at the price of a hit; nil where they agree.
  ///
  /// What `hold` then says must come to `conclude` once.
  ///
  /// - Parameter memory: The thread's own, made by this limiter.
  public func admit(
    _ subject: borrowing RateLimitSubject, _ hold: inout RateLimitHold,
    _ memory: RateLimitKeyMemory, now: Instant
  ) -> RateLimitRefusal? {
    hold.keyed = 0
    hold.charged = 0
    hold.counted = 0
    hold.hasPaidForMiss = false
    let time = Int(now.nanoseconds)
    for index in rules.indices {
      if rules[index].hasExempt && details[index].limit.exempt.contains(subject.address) {
        continue
      }
      let bit = UInt16(1) &<< UInt16(truncatingIfNeeded: index)
      let twin = rules[index].twin
      let key: Digest128
      if twin >= 0 && hold.isKeyed(twin) {
        key = hold.keys[twin]
      } else {
        key = rules[index].keying.key(of: subject, memory)
      }
      hold.keys[index] = key
      hold.keyed |= bit
      switch rules[index].kind {
      case .requests:
        let cost = rules[index].hitCost
        if cost == 0 {
          guard rules[index].missExtra > 0 else { break }
          // Hits are free for all who do not owe for answers that turned out to be none.
          let until = rules[index].owes(key, now: time).until
          if until &- time > rules[index].capacity { return refuse(index, &hold, until, 0, time) }
          break
        }
        switch rules[index].charge(key, cost, capacity: rules[index].capacity, now: time) {
        case .passed: hold.charged |= bit
        case .refused(let until): return refuse(index, &hold, until, cost, time)
        }
      case .bytes:
        let (until, slot) = rules[index].owes(key, now: time)
        if until &- time > rules[index].capacity { return refuse(index, &hold, until, 0, time) }
        hold.slots[index] = Int32(truncatingIfNeeded: slot)
      case .concurrent:
        switch rules[index].take(key, limit: rules[index].most) {
        case .taken(let slot):
          hold.slots[index] = Int32(truncatingIfNeeded: slot)
          hold.counted |= bit
        case .uncounted: break
        case .refused: return refuse(index, &hold, time, 0, time)
        }
      }
    }
    return nil
  }

  /// Charges what a miss costs more than a hit, once for a request; nil where all limits agree.
  ///
  /// A request that is refused here has cost nothing.
  public func payForMiss(_ hold: inout RateLimitHold, now: Instant) -> RateLimitRefusal? {
    if hold.hasPaidForMiss { return nil }
    hold.hasPaidForMiss = true
    let time = Int(now.nanoseconds)
    for index in rules.indices where hold.keyed & (1 << UInt16(index)) != 0 {
      let rule = rules[index]
      guard rule.kind == .requests, rule.missExtra > 0 else { continue }
      let key = hold.keys[index]
      switch rule.charge(key, rule.missExtra, capacity: rule.capacity, now: time) {
      case .passed: continue
      case .refused(let until):
        for earlier in 0..<index where hold.keyed & (1 << UInt16(earlier)) != 0 {
          let rule = rules[earlier]
          if rule.missExtra > 0 { rule.forgive(hold.keys[earlier], rule.missExtra) }
        }
        // With what it has paid as a hit it would pass that much sooner.
        return refuse(
          index, &hold, hold.charged & (1 << UInt16(index)) != 0 ? until - rule.hitCost : until,
          rule.hitCost + rule.missExtra, time)
      }
    }
    return nil
  }

  /// Charges what a miss costs more than a hit, once for a request, whatever is owed by then.
  ///
  /// For answers that began as hits, of which the rest had to be fetched.
  public func oweForMiss(_ hold: inout RateLimitHold, now: Instant) {
    if hold.hasPaidForMiss { return }
    hold.hasPaidForMiss = true
    let time = Int(now.nanoseconds)
    for index in rules.indices where hold.keyed & (1 << UInt16(index)) != 0 {
      let rule = rules[index]
      guard rule.kind == .requests, rule.missExtra > 0 else { continue }
      rule.owe(
        hold.keys[index], rule.missExtra,
        most: rule.capacity &+ Int(RateLimit.longestDebt.nanoseconds), now: time)
    }
  }

  /// Notes bytes that have been sent to who made a request, or taken from there.
  public func note(bytes: Int, _ hold: inout RateLimitHold, now: Instant) {
    let time = Int(now.nanoseconds)
    var left = hold.keyed & byteRules
    while left != 0 {
      let index = left.trailingZeroBitCount
      left &= left &- 1
      rules[index].owe(
        hold.keys[index], RateLimitRule.nanoseconds(bytes, rules[index].unit),
        most: rules[index].capacity &+ Int(RateLimit.longestDebt.nanoseconds), now: time,
        hint: Int(hold.slots[index]))
    }
  }

  /// Ends a request: it is no longer under way.
  public func conclude(_ hold: inout RateLimitHold) {
    var left = hold.counted
    while left != 0 {
      let index = left.trailingZeroBitCount
      left &= left &- 1
      rules[index].giveBack(Int(hold.slots[index]))
    }
    hold.counted = 0
  }

  // MARK: Refusals

  /// Takes back what other limits have charged, and counts the refusal.
  private func refuse(
    _ index: Int, _ hold: inout RateLimitHold, _ until: Int, _ cost: Int, _ now: Int
  ) -> RateLimitRefusal {
    for other in rules.indices where hold.charged & (1 << UInt16(other)) != 0 {
      rules[other].forgive(hold.keys[other], rules[other].hitCost)
    }
    hold.charged = 0
    conclude(&hold)
    hold.keyed = 0
    let rule = rules[index]
    details[index].refusals.add(1, ordering: .relaxed)
    var refusal = RateLimitRefusal(limit: index, retryAfter: 1, remaining: 0, resetAfter: nil)
    if rule.kind != .concurrent {
      let owed = max(0, until &- now)
      refusal.retryAfter = max(1, Self.seconds(owed &+ cost &- rule.capacity))
      refusal.resetAfter = Self.seconds(owed)
      refusal.remaining = Int64(Double(max(0, rule.capacity &- owed)) / rule.unit)
    }
    return refusal
  }

  /// Whole seconds, the last one begun.
  private static func seconds(_ nanoseconds: Int) -> Int64 {
    Int64(nanoseconds > 0 ? (nanoseconds - 1) / 1_000_000_000 + 1 : 0)
  }

  /// Requests that are counted somewhere as under way; for tests.
  var underWay: Int {
    details.filter { if case .concurrent = $0.limit.measure { true } else { false } }
      .reduce(0) { $0 + $1.table.total }
  }

  /// The limit that has refused.
  func limit(_ refusal: RateLimitRefusal) -> RateLimit { details[refusal.limit].limit }

  /// The value of `RateLimit-Policy`.
  public func policy(_ refusal: RateLimitRefusal) -> [UInt8] { details[refusal.limit].policy }

  /// What is told of one limit.
  public struct Report: Sendable {
    public var name: String
    /// Requests that it has refused.
    public var refusals: Int
    /// Keys that lost what they owed, or were not counted, since too many were busy.
    public var losses: Int
  }

  public var reports: [Report] {
    details.map {
      Report(
        name: $0.limit.name, refusals: $0.refusals.load(ordering: .relaxed),
        losses: $0.table.losses)
    }
  }
}
