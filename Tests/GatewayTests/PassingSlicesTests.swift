import Base
import Cache
import Testing

@testable import Gateway

@Suite struct PassingSlicesTests {
  let size = 1 << 20

  func slice(_ number: Int) -> Slice {
    Slice(segment: UInt32(1 + number / 256), offset: UInt32(number % 256 * size), checksum: 7)
  }

  /// A memory of so many slices, half of which has been read already.
  func full(_ slices: Int) -> PassingSlices {
    let passing = PassingSlices(memory: slices * size)
    for number in 0..<slices / 2 {
      let goes = passing.noteReading(of: slice(100_000 + number), count: size)
      #expect(!goes)
    }
    return passing
  }

  @Test func whatIsReadOnceGoes() {
    let passing = full(64)
    for number in 0..<1000 {
      #expect(passing.noteReading(of: slice(number), count: size))
      #expect(passing.isPassing(slice(number)))
    }
  }

  @Test func whatIsReadAgainSoonStays() {
    let passing = full(64)
    #expect(passing.noteReading(of: slice(0), count: size))
    for number in 1..<20 { _ = passing.noteReading(of: slice(number), count: size) }
    #expect(!passing.noteReading(of: slice(0), count: size))
    #expect(!passing.isPassing(slice(0)))
    // Longer ago than memory could have kept it.
    for number in 20..<60 { _ = passing.noteReading(of: slice(number), count: size) }
    #expect(passing.noteReading(of: slice(0), count: size))
    #expect(passing.isPassing(slice(0)))
  }

  @Test func whatOthersFindStays() {
    let passing = full(64)
    #expect(passing.noteReading(of: slice(0), count: size))
    #expect(passing.noteReading(of: slice(1), count: size))
    passing.noteUse(of: slice(1))
    passing.noteUse(of: slice(2))
    #expect(passing.isPassing(slice(0)) && !passing.isPassing(slice(1)))
    #expect(passing.isPassing(slice(2)))
  }
}
