internal import Base

/// What was read of a denylist's file, in short, whatever pieces it came in.
///
/// Tells whether a file that has grown still begins as it did. Nobody is to be kept from finding two files alike: who can
/// write to the file can say what he likes.
struct DenylistDigest: ~Copyable {
  private static let blockBytes = 4_096

  private var chain = SipKey(first: 0, second: 0)
  private var pending = ByteBuffer(capacity: DenylistDigest.blockBytes)
  /// Bytes taken so far.
  private(set) var count = 0

  mutating func update(_ bytes: RawSpan) {
    count += bytes.byteCount
    var start = 0
    while start < bytes.byteCount {
      let end = min(bytes.byteCount, start + Self.blockBytes - pending.count)
      pending.append(bytes.extracting(start..<end))
      start = end
      guard pending.count == Self.blockBytes else { continue }
      let digest = SipHash.hash128(pending.readable, key: chain)
      chain = SipKey(first: digest.first, second: digest.second)
      pending.clear()
    }
  }

  /// The digest of all bytes so far.
  var value: Digest128 { SipHash.hash128(pending.readable, key: chain) }
}
