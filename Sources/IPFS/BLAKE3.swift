internal import Base

/// BLAKE3 without a key, 32 bytes long (the BLAKE3 paper, 2021): OpenSSL has none.
///
/// For short inputs, one chunk after the other.
struct BLAKE3 {
  static let digestBytes = 32

  private typealias Words = InlineArray<8, UInt32>
  private typealias Block = InlineArray<16, UInt32>

  private enum Flag {
    static let chunkStart: UInt32 = 1
    static let chunkEnd: UInt32 = 2
    static let parent: UInt32 = 4
    static let root: UInt32 = 8
  }

  private static let blockBytes = 64
  private static let chunkBytes = 1024
  private static let start: Words = [
    0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
    0x5be0_cd19,
  ]
  private static let order: InlineArray<16, Int> = [
    2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8,
  ]

  /// The last compression of a subtree, which may turn out to be the root's.
  private struct Output {
    var chaining: Words
    var block: Block
    var counter: UInt64
    var length: UInt32
    var flags: UInt32

    func words(isRoot: Bool = false) -> Words {
      compress(
        chaining, block, counter: counter, length: length,
        flags: isRoot ? flags | Flag.root : flags)
    }
  }

  /// Appends the digest of some bytes.
  static func append(of bytes: RawSpan, to output: inout ByteBuffer) {
    // Subtrees that are whole, the largest first: one for each bit of the number of chunks.
    var subtrees: [Words] = []
    var chunk = 0
    var last = leaf(bytes, chunk)
    while (chunk + 1) * chunkBytes < bytes.byteCount {
      var words = last.words()
      chunk += 1
      var whole = chunk
      while whole & 1 == 0, let left = subtrees.popLast() {
        words = parent(left, words).words()
        whole >>= 1
      }
      subtrees.append(words)
      last = leaf(bytes, chunk)
    }
    while let left = subtrees.popLast() { last = parent(left, last.words()) }
    let words = last.words(isRoot: true)
    for place in 0..<8 {
      for shift in [0, 8, 16, 24] as [UInt32] {
        output.append(UInt8(truncatingIfNeeded: words[place] >> shift))
      }
    }
  }

  /// A chunk's output: its blocks one after the other.
  private static func leaf(_ bytes: RawSpan, _ chunk: Int) -> Output {
    let begin = chunk * chunkBytes
    let end = min(bytes.byteCount, begin + chunkBytes)
    var chaining = start
    var offset = begin
    while true {
      let length = min(blockBytes, end - offset)
      let isLast = offset + length == end
      let flags =
        (offset == begin ? Flag.chunkStart : 0) | (isLast ? Flag.chunkEnd : 0)
      let next = Output(
        chaining: chaining, block: block(bytes, offset, length), counter: UInt64(chunk),
        length: UInt32(length), flags: flags)
      if isLast { return next }
      chaining = next.words()
      offset += length
    }
  }

  private static func parent(_ left: Words, _ right: Words) -> Output {
    var block = Block(repeating: 0)
    for place in 0..<8 {
      block[place] = left[place]
      block[place + 8] = right[place]
    }
    return Output(
      chaining: start, block: block, counter: 0, length: UInt32(blockBytes), flags: Flag.parent)
  }

  private static func block(_ bytes: RawSpan, _ offset: Int, _ length: Int) -> Block {
    var block = Block(repeating: 0)
    for place in 0..<length {
      block[place / 4] |= UInt32(bytes.byte(offset + place)) << UInt32(8 * (place % 4))
    }
    return block
  }

  private static func compress(
    _ chaining: Words, _ block: Block, counter: UInt64, length: UInt32, flags: UInt32
  ) -> Words {
    var state = Block(repeating: 0)
    for place in 0..<8 { state[place] = chaining[place] }
    for place in 0..<4 { state[place + 8] = start[place] }
    state[12] = UInt32(truncatingIfNeeded: counter)
    state[13] = UInt32(truncatingIfNeeded: counter >> 32)
    state[14] = length
    state[15] = flags
    var message = block

    func rotate(_ word: UInt32, _ bits: UInt32) -> UInt32 {
      word &>> bits | word &<< (32 &- bits)
    }
    func mix(_ a: Int, _ b: Int, _ c: Int, _ d: Int, _ one: UInt32, _ two: UInt32) {
      state[a] = state[a] &+ state[b] &+ one
      state[d] = rotate(state[d] ^ state[a], 16)
      state[c] = state[c] &+ state[d]
      state[b] = rotate(state[b] ^ state[c], 12)
      state[a] = state[a] &+ state[b] &+ two
      state[d] = rotate(state[d] ^ state[a], 8)
      state[c] = state[c] &+ state[d]
      state[b] = rotate(state[b] ^ state[c], 7)
    }

    for round in 0..<7 {
      mix(0, 4, 8, 12, message[0], message[1])
      mix(1, 5, 9, 13, message[2], message[3])
      mix(2, 6, 10, 14, message[4], message[5])
      mix(3, 7, 11, 15, message[6], message[7])
      mix(0, 5, 10, 15, message[8], message[9])
      mix(1, 6, 11, 12, message[10], message[11])
      mix(2, 7, 8, 13, message[12], message[13])
      mix(3, 4, 9, 14, message[14], message[15])
      if round == 6 { break }
      let before = message
      for place in 0..<16 { message[place] = before[order[place]] }
    }
    var words = Words(repeating: 0)
    for place in 0..<8 { words[place] = state[place] ^ state[place + 8] }
    return words
  }
}
