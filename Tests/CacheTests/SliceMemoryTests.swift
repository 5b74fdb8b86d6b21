import Base
import Testing

@testable import Cache

@Suite struct SliceMemoryTests {
  /// A buffer full of one byte, and that byte.
  typealias Filled = (buffer: SliceBuffer, byte: UInt8)

  func filled(_ random: inout SeededRandom) -> Filled {
    let sizes = [1, 100, 8 << 10, 8193, 16 << 10, 65_537, 300_000, 1 << 20, (1 << 20) + 1]
    let count = sizes[Int.random(in: 0..<sizes.count, using: &random)]
    let byte = UInt8.random(in: 0...255, using: &random)
    return (SliceBuffer([UInt8](repeating: byte, count: count)), byte)
  }

  func isIntact(_ filled: Filled) -> Bool {
    let bytes = filled.buffer.bytes
    return bytes.byteCount == filled.buffer.capacity
      && (0..<bytes.byteCount).allSatisfy { bytes.byte($0) == filled.byte }
  }

  /// Whoever comes, goes or trims in between: nobody's bytes change.
  @Test func buffersNeverShareMemory() {
    var random = SeededRandom(seed: 41)
    var held: [Filled] = []
    for round in 0..<200 {
      held.append(filled(&random))
      if held.count > 12 {
        let index = Int.random(in: 0..<held.count, using: &random)
        #expect(isIntact(held.remove(at: index)))
      }
      if round % 20 == 19 { SliceMemory.trim() }
    }
    #expect(held.allSatisfy(isIntact))
  }
}
