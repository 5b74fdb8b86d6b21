/// The 128-bit key that all keys of an index are hashed with.
public struct SipKey: Equatable, Sendable {
  public var first: UInt64
  public var second: UInt64

  public init(first: UInt64, second: UInt64) {
    self.first = first
    self.second = second
  }
}

/// 128 bits of a keyed hash.
public struct Digest128: Hashable, Sendable {
  public var first: UInt64
  public var second: UInt64

  public init(first: UInt64, second: UInt64) {
    self.first = first
    self.second = second
  }
}

/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, 2012; the reference's `outlen = 16`).
public enum SipHash {
  public static func hash128(_ bytes: RawSpan, key: SipKey) -> Digest128 {
    var v0 = 0x736f_6d65_7073_6575 ^ key.first
    var v1 = 0x646f_7261_6e64_6f6d ^ key.second ^ 0xee
    var v2 = 0x6c79_6765_6e65_7261 ^ key.first
    var v3 = 0x7465_6462_7974_6573 ^ key.second

    func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
      word &<< bits | word &>> (64 &- bits)
    }
    func rounds(_ count: Int) {
      for _ in 0..<count {
        v0 = v0 &+ v1
        v1 = rotate(v1, 13) ^ v0
        v0 = rotate(v0, 32)
        v2 = v2 &+ v3
        v3 = rotate(v3, 16) ^ v2
        v0 = v0 &+ v3
        v3 = rotate(v3, 21) ^ v0
        v2 = v2 &+ v1
        v1 = rotate(v1, 17) ^ v2
        v2 = rotate(v2, 32)
      }
    }

    let count = bytes.byteCount
    var offset = 0
    while offset + 8 <= count {
      let word = UInt64(
        littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self))
      v3 ^= word
      rounds(2)
      v0 ^= word
      offset += 8
    }
    var last = UInt64(truncatingIfNeeded: count & 0xff) << 56
    var shift: UInt64 = 0
    while offset < count {
      last |= UInt64(bytes.byte(offset)) << shift
      shift += 8
      offset += 1
    }
    v3 ^= last
    rounds(2)
    v0 ^= last
    v2 ^= 0xee
    rounds(4)
    let first = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xdd
    rounds(4)
    return Digest128(first: first, second: v0 ^ v1 ^ v2 ^ v3)
  }
}
