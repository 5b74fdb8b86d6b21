internal import Admission
internal import Base

/// A worker's own hold on the denylist, and what it remembers of it.
///
/// A hit costs one look into the memory: content that was found to be allowed by this very list need not be
/// asked about again. What is remembered of other lists counts for nothing.
final class WorkerDenials {
  /// Content of which only its answer's head told that it is denied; the memory is for crowds, and forgotten whole.
  private static let maximumDenied = 4_096

  private(set) var list: Denylist
  private var generation: UInt64
  private let cleared = ClearedKeys()
  private var denied: [Digest128: DenyFinding] = [:]

  init(_ list: Denylist) {
    self.list = list
    generation = list.generation
  }

  /// Takes another list; what is remembered stays where it has the same rules.
  func take(_ list: Denylist) {
    self.list = list
    guard list.generation != generation else { return }
    generation = list.generation
    denied = [:]
  }

  /// Whether a key's content is known to be allowed.
  func isCleared(_ key: Digest128) -> Bool { cleared.contains(key, by: generation) }

  /// Remembers that a key's content is allowed, and all that its path leads through as far as that is known.
  func clear(_ key: Digest128) { cleared.insert(key, by: generation) }

  /// How a key was found to be denied by what its path leads through.
  func denial(of key: Digest128) -> DenyFinding? { denied.isEmpty ? nil : denied[key] }

  func note(_ finding: DenyFinding, of key: Digest128) {
    if denied.count >= Self.maximumDenied { denied = [:] }
    denied[key] = finding
  }
}
