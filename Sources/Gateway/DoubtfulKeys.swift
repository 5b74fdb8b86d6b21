internal import Base
internal import Synchronization

/// The keys whose records an upstream contradicted a moment ago, for all workers.
///
/// From then until the writer has taken the record out the index still names it: who asks meanwhile is to find nothing. Asked at each look-up, so that nearly always one atomic
/// says that there is none.
final class DoubtfulKeys: Sendable {
  /// More than a commit's time lets through; beyond it some are merely found once more.
  static let limit = 4096

  private let keys = Mutex<Set<Digest128>>([])
  private let count = Atomic<Int>(0)

  @inline(__always)
  func contains(_ key: Digest128) -> Bool {
    count.load(ordering: .relaxed) > 0 && keys.withLock { $0.contains(key) }
  }

  func insert(_ key: Digest128) {
    keys.withLock { keys in
      guard keys.count < Self.limit else { return }
      keys.insert(key)
      count.store(keys.count, ordering: .relaxed)
    }
  }

  /// The record has gone.
  func remove(_ key: Digest128) {
    guard count.load(ordering: .relaxed) > 0 else { return }
    keys.withLock { keys in
      keys.remove(key)
      count.store(keys.count, ordering: .relaxed)
    }
  }
}
