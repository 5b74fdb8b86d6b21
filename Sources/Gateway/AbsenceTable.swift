internal import Base
internal import Synchronization

/// What is remembered of content that could not be had, for all workers, by canonical key (or `key`).
///
/// In memory alone: a new process may ask once for what the last one knew. Not looked into on the way of
/// a hit.
final class AbsenceTable: Sendable {
  /// With keys of the usual length some 15 MB; who asks for more different things that do not exist
  /// makes others be asked for again.
  static let maximumCount = 65_536
  /// Longer keys are not remembered: together they could fill the memory, and links have short names.
  static let longestKey = 512

  /// Two generations: when the younger one has half of all, the older one goes, in no time and with
  /// nothing to search for.
  private struct State {
    var young: [[UInt8]: Absence] = [:]
    var old: [[UInt8]: Absence] = [:]

    func find(_ key: [UInt8]) -> Absence? { young[key] ?? old[key] }

    /// Sets an entry; gives what has to go for it.
    mutating func set(_ key: [UInt8], _ entry: Absence) -> [[UInt8]: Absence] {
      old[key] = nil
      var dropped: [[UInt8]: Absence] = [:]
      if young[key] == nil, young.count >= AbsenceTable.maximumCount / 2 {
        swap(&dropped, &old)
        swap(&old, &young)
      }
      young[key] = entry
      return dropped
    }
  }

  private let state = Mutex(State())

  /// The key of content on the own host of a name that led to it: after the canonical key, so that what is removed by
  /// that goes too.
  static func key(_ canonicalKey: [UInt8], under name: [UInt8]) -> [UInt8] {
    // No other key goes on so behind its path.
    canonicalKey + [0, 0xff] + name
  }

  /// What is known of a key's content now.
  func standing(of key: [UInt8], at now: Instant) -> Absence.Standing {
    state.withLock { $0.find(key) }?.standing(at: now) ?? .open
  }

  /// Whether a key's content has failed in the last time.
  func hasFailed(_ key: [UInt8], at now: Instant) -> Bool {
    state.withLock { $0.find(key) }?.hasFailed(at: now) ?? false
  }

  /// Notes that a key's content failed with a status.
  ///
  /// - Parameter mayProve: whether the caller could have it proven now.
  /// - Returns: whether it is to do that.
  func fail(_ key: [UInt8], _ status: Int, at now: Instant, mayProve: Bool) -> Bool {
    guard !key.isEmpty, key.count <= Self.longestKey else { return false }
    let (proves, dropped) = state.withLock { state in
      var entry = state.find(key) ?? Absence()
      entry.fail(status, at: now)
      let proves = mayProve && entry.standing(at: now) != .absent && entry.takeProof()
      return (proves, state.set(key, entry))
    }
    // Freed here, out of the lock.
    _ = consume dropped
    return proves
  }

  /// Notes that nothing is at a key's path, unless its failure has been forgotten meanwhile.
  func prove(_ key: [UInt8], at now: Instant, for time: Interval) {
    state.withLock { state in
      guard var entry = state.find(key) else { return }
      entry.prove(at: now, for: time)
      _ = state.set(key, entry)
    }
  }

  /// Forgets a key, whose content could be had.
  func forget(_ key: [UInt8]) {
    state.withLock { state in
      state.young[key] = nil
      state.old[key] = nil
    }
  }

  /// Forgets what is being removed.
  func forget(_ subject: RemovalSubject) {
    if let key = subject.key { return forget(key) }
    // To read all keys takes some ten milliseconds: on a copy, for which no miss has to wait.
    let (young, old) = state.withLock { ($0.young, $0.old) }
    let found = [young, old].flatMap { $0.keys.filter { subject.matches($0.rawBytes) } }
    if found.isEmpty { return }
    state.withLock { state in
      for key in found {
        state.young[key] = nil
        state.old[key] = nil
      }
    }
  }

  var count: Int { state.withLock { $0.young.count + $0.old.count } }
}
