import Base
import Testing

@testable import Cache

@Suite struct SliceBufferTests {
  @discardableResult
  private func write(_ text: String, to buffer: SliceBuffer) -> Int {
    let bytes = Array(text.utf8)
    return buffer.write { tail in
      let count = min(tail.count, bytes.count)
      for index in 0..<count { tail[index] = bytes[index] }
      return count
    }
  }

  private func text(_ buffer: SliceBuffer) -> String { buffer.bytes.text }
  private func last(_ bytes: Int, of buffer: SliceBuffer) -> String { buffer.lastBytes(bytes).text }

  @Test func whatIsWrittenReachesNobodyBeforeItIsPublished() {
    let buffer = SliceBuffer(capacity: 10)
    #expect(write("abcde", to: buffer) == 5)
    #expect(buffer.count == 0 && buffer.unpublished == 5 && buffer.free == 5)
    #expect(text(buffer) == "")
    #expect(buffer.publish(allBut: 2) == 3)
    #expect(buffer.count == 3 && buffer.unpublished == 2 && buffer.free == 5)
    #expect(text(buffer) == "abc")
    // What is held back already is not held back again.
    #expect(buffer.publish(allBut: 2) == 0 && buffer.publish(allBut: 100) == 0)
    #expect(text(buffer) == "abc" && buffer.unpublished == 2)
    #expect(write("fghijkl", to: buffer) == 5)
    #expect(buffer.free == 0 && buffer.unpublished == 7)
    #expect(write("x", to: buffer) == 0)
    #expect(buffer.publish(allBut: 1) == 6 && text(buffer) == "abcdefghi")
    #expect(buffer.publish() == 1 && text(buffer) == "abcdefghij")
    #expect(buffer.publish() == 0 && buffer.unpublished == 0 && buffer.count == buffer.capacity)
  }

  @Test func theLastBytesAreThoseWrittenLast() {
    let buffer = SliceBuffer(capacity: 10)
    #expect(last(5, of: buffer) == "")
    write("abc", to: buffer)
    #expect(last(2, of: buffer) == "bc" && last(3, of: buffer) == "abc")
    #expect(last(9, of: buffer) == "abc" && last(0, of: buffer) == "")
    #expect(buffer.publish(allBut: 1) == 2)
    #expect(last(2, of: buffer) == "bc", "published or not")
    write("de", to: buffer)
    #expect(last(4, of: buffer) == "bcde" && text(buffer) == "ab")
  }

  @Test func fillingPublishesAllThatIsWritten() {
    let buffer = SliceBuffer(capacity: 10)
    write("ab", to: buffer)
    let count = buffer.fill { tail in
      #expect(tail.count == 8)
      tail[0] = UInt8(ascii: "c")
      return 1
    }
    #expect(count == 1 && text(buffer) == "abc" && buffer.unpublished == 0 && buffer.free == 7)
    #expect(buffer.fill { _ in 0 } == 0)
    #expect(text(buffer) == "abc")
  }

  @Test func appendingGoesBehindWhatIsWritten() {
    let buffer = SliceBuffer(capacity: 5)
    write("ab", to: buffer)
    let more = Array("cdef".utf8)
    let taken = buffer.append(more.rawBytes)
    #expect(taken == 3 && text(buffer) == "abcde")
    #expect(buffer.unpublished == 0 && buffer.free == 0)
    let none = buffer.append(more.rawBytes)
    #expect(none == 0 && text(buffer) == "abcde")
  }

  @Test func whatFailsWritesNothing() {
    let buffer = SliceBuffer(capacity: 5)
    write("ab", to: buffer)
    #expect(throws: Fault(.closed, .upstream)) {
      try buffer.write { tail throws(Fault) -> Int in
        tail[0] = 0
        throw Fault(.closed, .upstream)
      }
    }
    #expect(throws: Fault(.closed, .upstream)) {
      try buffer.fill { _ throws(Fault) -> Int in throw Fault(.closed, .upstream) }
    }
    #expect(buffer.unpublished == 2 && buffer.free == 3 && text(buffer) == "")
    #expect(buffer.publish() == 2 && text(buffer) == "ab")
  }

  @Test func aBufferOfBytesIsFull() {
    for bytes in [[], [7], Array("abc".utf8)] as [[UInt8]] {
      let buffer = SliceBuffer(bytes)
      #expect(buffer.count == bytes.count && buffer.bytes.array == bytes)
      #expect(buffer.capacity == max(1, bytes.count) && buffer.unpublished == 0)
    }
  }

  /// Held against two arrays, one for what is published and one for the rest.
  @Test(arguments: 0..<10 as Range<UInt64>) func anyOrderOfSteps(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let capacity = random.number(in: 1...300)
    let buffer = SliceBuffer(capacity: capacity)
    var published: [UInt8] = []
    var written: [UInt8] = []
    for _ in 0..<60 {
      let bytes = randomBytes(random.number(in: 0...20), &random)
      let free = capacity - published.count - written.count
      let part = Array(bytes.prefix(free))
      func put(_ tail: UnsafeMutableRawBufferPointer) -> Int {
        #expect(tail.count == free)
        tail.copyBytes(from: part)
        return part.count
      }
      switch random.number(in: 0...3) {
      case 0:
        #expect(buffer.write(put) == part.count)
        written += part
      case 1:
        #expect(buffer.fill(put) == part.count)
        published += written + part
        written = []
      case 2:
        let taken = buffer.append(bytes.rawBytes)
        #expect(taken == part.count)
        published += written + part
        written = []
      default:
        let held = random.number(in: 0...30)
        let count = max(0, written.count - held)
        #expect(buffer.publish(allBut: held) == count)
        published += written.prefix(count)
        written.removeFirst(count)
      }
      #expect(buffer.bytes.array == published && buffer.count == published.count)
      #expect(buffer.unpublished == written.count)
      #expect(buffer.free == capacity - published.count - written.count)
      let last = random.number(in: 0...40)
      #expect(buffer.lastBytes(last).array == Array((published + written).suffix(last)))
    }
  }

  /// However its bytes come, and whether its sum is made on the way or in the end.
  @Test(arguments: [1, 100, 64 << 10, (64 << 10) + 1, 300_000])
  func theChecksumIsThatOfAllBytes(capacity: Int) throws {
    var random = SeededRandom(seed: UInt64(capacity))
    for use in [SliceBudget.Use.kept, .passed] {
      for isFull in [true, false] where isFull || capacity > 1 {
        let bytes = (0..<(isFull ? capacity : capacity / 2)).map { _ in
          UInt8(truncatingIfNeeded: random.next())
        }
        let buffer = SliceBuffer(capacity: capacity, of: SliceBudget(limit: 1 << 20), use)
        var offset = 0
        while offset < bytes.count {
          let piece = Array(
            bytes[offset..<min(bytes.count, offset + random.number(in: 1...40_000))])
          _ = buffer.write { tail in
            for index in 0..<piece.count { tail[index] = piece[index] }
            return piece.count
          }
          // What is dropped was never summed up.
          if random.chance(0.3) {
            let published = buffer.publish(allBut: piece.count / 2)
            buffer.dropUnpublished()
            offset += published
          } else {
            offset += piece.count
            _ = buffer.publish()
          }
        }
        #expect(buffer.count == bytes.count)
        #expect(buffer.checksum == Slice.checksum(of: bytes.rawBytes))
      }
    }
  }
}
