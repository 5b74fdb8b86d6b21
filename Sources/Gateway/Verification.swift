internal import Cache
internal import IPFS

/// The check of a whole body against its CID, as its bytes arrive in order.
struct Verification: ~Copyable {
  private var hasher: ContentHasher
  /// Slices that wait for the outcome.
  var slices: [(index: Int, buffer: SliceBuffer)] = []

  /// Nil where the CID's hash is not one that can be computed here.
  init?(_ subject: CID) {
    guard let hasher = ContentHasher(for: subject) else { return nil }
    self.hasher = hasher
  }

  mutating func update(_ bytes: RawSpan) { hasher.update(bytes) }

  mutating func matches() -> Bool { hasher.matches() }
}
