import Base
import Testing

@Suite struct ByteBufferTests {
  /// Appends, fills and consumes at random, beside an array that does the same.
  @Test(arguments: 0..<20 as Range<UInt64>) func holdsWhatAnArrayHolds(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var buffer = ByteBuffer(capacity: 1)
    var model: [UInt8] = []
    for _ in 0..<300 {
      let count = random.number(in: 0...(random.chance(0.05) ? 5_000 : 90))
      let piece = (0..<count).map { _ in UInt8(random.number(in: 0...255)) }
      switch random.number(in: 0...6) {
      case 0, 1:
        buffer.append(piece)
        model += piece
      case 2:
        let written = buffer.fill(atLeast: count) { tail in
          tail.copyBytes(from: piece)
          return count
        }
        #expect(written == count)
        model += piece
      case 3:
        buffer.dropLast(min(count, model.count))
        model.removeLast(min(count, model.count))
      case 4 where random.chance(0.1):
        buffer.clear()
        model = []
      default:
        buffer.consume(min(count, model.count))
        model.removeFirst(min(count, model.count))
      }
      let readable = buffer.readable.array
      #expect(readable == model)
      #expect(buffer.count == model.count)
      #expect(buffer.freeTail >= 0 && buffer.count + buffer.freeTail <= buffer.capacity)
    }
  }

  @Test func writesNumbers() {
    var buffer = ByteBuffer(capacity: 0)
    let numbers: [Int64] = [0, 7, 10, 99, 100, -1, -10, .max, .min]
    for number in numbers {
      buffer.append(decimal: number)
      buffer.append(" ")
    }
    buffer.append(decimal: UInt64.max)
    buffer.append(" ")
    buffer.append(hex: 0)
    buffer.append(hex: 0xdead_beef)
    let text = buffer.readable.text
    #expect(
      text == numbers.map { "\($0) " }.joined() + "18446744073709551615 0deadbeef")
  }

  @Test func consumingAllMakesRoomAtTheStart() {
    var buffer = ByteBuffer(capacity: 64)
    buffer.append([UInt8](repeating: 1, count: 64))
    #expect(buffer.freeTail == 0)
    buffer.consume(63)
    #expect(buffer.freeTail == 0)
    buffer.consume(1)
    #expect(buffer.freeTail == 64)
  }

  @Test func movesInsteadOfGrowing() {
    var buffer = ByteBuffer(capacity: 64)
    buffer.append([UInt8](0..<64))
    buffer.consume(40)
    buffer.reserve(40)
    #expect(buffer.capacity == 64)
    let kept = buffer.readable.array
    #expect(kept == [UInt8](40..<64))
    buffer.reserve(41)
    #expect(buffer.capacity == 128)
    let moved = buffer.readable.array
    #expect(moved == [UInt8](40..<64))
  }
}
