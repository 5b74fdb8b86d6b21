internal import Base

/// Keys of content that one denylist was found to allow, as far as they are remembered.
///
/// Set-associative: eight words in one cache line, of which a look compares few. A set that is full forgets what
/// it was told first, so that what shares a place with others is not asked about each time.
@safe
final class ClearedKeys {
  /// Of eight places: a mebibyte, for 131,072 keys.
  static let sets = 1 << 14
  static let ways = 8

  /// A key's word, mixed with its list's generation; 0 for a free place.
  private let words: UnsafeMutablePointer<UInt64>

  init() {
    let count = Self.sets * Self.ways
    let memory = UnsafeMutableRawPointer.allocate(
      byteCount: count * MemoryLayout<UInt64>.stride,
      alignment: Self.ways * MemoryLayout<UInt64>.stride)
    unsafe words = memory.bindMemory(to: UInt64.self, capacity: count)
    unsafe words.initialize(repeating: 0, count: count)
  }

  deinit { unsafe words.deallocate() }

  func contains(_ key: Digest128, by generation: UInt64) -> Bool {
    let word = Self.word(key, generation)
    let start = Self.start(key)
    // Inside: a set's number is masked.
    for way in start..<start &+ Self.ways where unsafe words[way] == word { return true }
    return false
  }

  /// Puts a key first in its set; the last one there is forgotten.
  func insert(_ key: Digest128, by generation: UInt64) {
    let word = Self.word(key, generation)
    let start = Self.start(key)
    if contains(key, by: generation) { return }
    for way in stride(from: start + Self.ways - 1, to: start, by: -1) {
      unsafe words[way] = words[way - 1]
    }
    unsafe words[start] = word
  }

  private static func start(_ key: Digest128) -> Int {
    Int(truncatingIfNeeded: key.first & UInt64(sets - 1)) &* ways
  }

  /// Half of a digest, which is keyed, so that 64 bits decide; other generations' words are others, as if by chance.
  private static func word(_ key: Digest128, _ generation: UInt64) -> UInt64 {
    max(1, key.second ^ generation &* 0x9e37_79b9_7f4a_7c15)
  }
}
