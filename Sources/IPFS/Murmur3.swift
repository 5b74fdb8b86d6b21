import Base

/// MurmurHash3 for x64 (Austin Appleby, 2011), the half of it that sharded directories use.
enum Murmur3 {
  /// The first 64 bits of the 128-bit form, seed 0: `murmur3-x64-64` of the multihash table.
  static func hash64(_ bytes: RawSpan) -> UInt64 {
    let count = bytes.byteCount
    var first: UInt64 = 0
    var second: UInt64 = 0
    var offset = 0
    while count - offset >= 16 {
      first ^= scrambleFirst(word(bytes, at: offset, count: 8))
      first = (rotate(first, 27) &+ second) &* 5 &+ 0x52dc_e729
      second ^= scrambleSecond(word(bytes, at: offset + 8, count: 8))
      second = (rotate(second, 31) &+ first) &* 5 &+ 0x3849_5ab5
      offset += 16
    }
    let rest = count - offset
    if rest > 8 { second ^= scrambleSecond(word(bytes, at: offset + 8, count: rest - 8)) }
    if rest > 0 { first ^= scrambleFirst(word(bytes, at: offset, count: min(rest, 8))) }
    first ^= UInt64(count)
    second ^= UInt64(count)
    first = first &+ second
    second = second &+ first
    return finish(first) &+ finish(second)
  }

  private static func scrambleFirst(_ word: UInt64) -> UInt64 {
    rotate(word &* 0x87c3_7b91_1142_53d5, 31) &* 0x4cf5_ad43_2745_937f
  }

  private static func scrambleSecond(_ word: UInt64) -> UInt64 {
    rotate(word &* 0x4cf5_ad43_2745_937f, 33) &* 0x87c3_7b91_1142_53d5
  }

  private static func finish(_ word: UInt64) -> UInt64 {
    var word = word
    word ^= word >> 33
    word = word &* 0xff51_afd7_ed55_8ccd
    word ^= word >> 33
    word = word &* 0xc4ce_b9fe_1a85_ec53
    return word ^ (word >> 33)
  }

  private static func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 {
    word << bits | word >> (64 - bits)
  }

  /// Up to 8 bytes, the first one lowest.
  private static func word(_ bytes: RawSpan, at offset: Int, count: Int) -> UInt64 {
    var word: UInt64 = 0
    for index in 0..<count { word |= UInt64(bytes.byte(offset + index)) << UInt64(8 * index) }
    return word
  }
}
