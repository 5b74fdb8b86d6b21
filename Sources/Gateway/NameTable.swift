internal import Base
internal import IPFS
internal import Synchronization

/// What a name below `/ipns` leads to, and for how long that is known.
struct NameEntry: Sendable {
  /// The content's root.
  var root: CID
  var resolved: Instant
  /// How long it counts, by the upstream's word.
  var ttl: Interval
  /// How much longer it may stand in where no upstream answers; zero where the name's own record may
  /// end before.
  var grace: Interval

  /// Whole seconds since it was resolved.
  func age(at now: Instant) -> Int64 { max(0, (now - resolved).nanoseconds / 1_000_000_000) }
}

/// Names and what they lead to, for all workers: what makes content by name as quick as by CID, and keeps
/// it there while a resolver is away.
///
/// Content itself is kept under its CID; here are only the names.
final class NameTable: Sendable {
  enum Standing {
    case unknown
    case fresh(NameEntry)
    /// Past its time, but to be given while it is looked up again.
    case due(NameEntry)
    /// To be given only where it cannot be looked up.
    case past(NameEntry)
  }

  /// Some 200 bytes each; a gateway of more names resolves some of them again.
  static let maximumCount = 65_536
  /// How long past its time an entry is still given at once, so that no client waits for the look-up that
  /// it causes.
  static let dueTime = Interval.seconds(60)
  /// No name is trusted for longer, whatever an upstream says.
  static let longestTTL = Interval.seconds(7 * 86_400)

  private let entries = Mutex<[[UInt8]: NameEntry]>([:])

  /// What is known of a name now.
  func find(_ name: [UInt8], now: Instant) -> Standing {
    guard let entry = entries.withLock({ $0[name] }) else { return .unknown }
    let ends = entry.resolved + entry.ttl
    if now < ends { return .fresh(entry) }
    let over = now - ends
    if over >= entry.grace { return .unknown }
    return over < min(Self.dueTime, entry.ttl) ? .due(entry) : .past(entry)
  }

  /// Notes what a name leads to.
  func set(_ name: [UInt8], _ entry: NameEntry) {
    entries.withLock { entries in
      if entries[name] == nil, entries.count >= Self.maximumCount {
        // Any will do: the next request for it costs one look-up.
        if let other = entries.keys.first { entries[other] = nil }
      }
      entries[name] = entry
    }
  }

  /// Notes when a name's record ends: it counts no longer than that, and stands in no longer.
  func bound(_ name: [UInt8], resolved: Instant, ends: Instant, grace: Interval) {
    entries.withLock { entries in
      guard var entry = entries[name], entry.resolved == resolved else { return }
      let life = max(.zero, ends - resolved)
      entry.ttl = min(entry.ttl, life)
      let rest = max(.zero, ends - (resolved + entry.ttl))
      entry.grace = min(grace, rest)
      entries[name] = entry
    }
  }

  /// Forgets a name that was found to lead elsewhere by now.
  func forget(_ name: [UInt8]) { entries.withLock { $0[name] = nil } }

  var count: Int { entries.withLock(\.count) }
}
