internal import Admission
internal import Base

/// A worker's own hold on the denylist, and what it remembers of it.
///
/// A hit costs one look at a place of the memory: content that was found to be allowed by this very list need not be
/// asked about again. What is remembered of other lists counts for nothing.
final class WorkerDenials {
  /// 16 bytes each; what shares a place is asked about anew.
  private static let places = 1 << 16
  /// Content of which only its answer's head told that it is denied; the memory is for crowds, and forgotten whole.
  private static let maximumDenied = 4_096

  private struct Place {
    var tag: UInt64 = 0
    /// The list by which the content is allowed; 0 for none.
    var generation: UInt64 = 0
  }

  private(set) var list: Denylist
  private var generation: UInt64
  private var memory = [Place](repeating: Place(), count: WorkerDenials.places)
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
  func isCleared(_ key: Digest128) -> Bool {
    // The digests are keyed: 64 bits of them decide.
    let place = memory[Int(truncatingIfNeeded: key.first & UInt64(Self.places - 1))]
    return place.tag == key.second && place.generation == generation
  }

  /// Remembers that a key's content is allowed, and all that its path leads through as far as that is known.
  func clear(_ key: Digest128) {
    memory[Int(truncatingIfNeeded: key.first & UInt64(Self.places - 1))] = Place(
      tag: key.second, generation: generation)
  }

  /// How a key was found to be denied by what its path leads through.
  func denial(of key: Digest128) -> DenyFinding? { denied.isEmpty ? nil : denied[key] }

  func note(_ finding: DenyFinding, of key: Digest128) {
    if denied.count >= Self.maximumDenied { denied = [:] }
    denied[key] = finding
  }
}
