import Base
import Cache
import Testing

@testable import Gateway

@Suite struct SliceTroubleTests {
  func slice(_ number: Int) -> Slice {
    Slice(segment: 1, offset: UInt32(number), checksum: 7)
  }

  func note(_ bad: BadSlices, _ number: Int, isNamed: Bool) -> [Bool] {
    let said = bad.note(slice(number), isNamed: isNamed)
    return [said.isNew, said.drops]
  }

  @Test func aBadSliceIsToldOnceAndDroppedOnceTheIndexNamesIt() {
    let bad = BadSlices()
    #expect(!bad.contains(slice(1)))
    #expect(note(bad, 1, isNamed: false) == [true, false])
    #expect(bad.contains(slice(1)) && !bad.contains(slice(2)))
    #expect(note(bad, 1, isNamed: false) == [false, false])
    #expect(note(bad, 1, isNamed: true) == [false, true])
    #expect(note(bad, 1, isNamed: true) == [false, false])
    #expect(note(bad, 1, isNamed: false) == [false, false])
    #expect(note(bad, 2, isNamed: true) == [true, true])
    #expect(note(bad, 2, isNamed: true) == [false, false])
  }

  @Test func theOldestAreForgotten() {
    let bad = BadSlices()
    for number in 0..<BadSlices.limit + 10 { _ = bad.note(slice(number), isNamed: true) }
    for number in 0..<BadSlices.limit + 10 {
      #expect(bad.contains(slice(number)) == (number >= 10))
    }
    #expect(note(bad, 3, isNamed: true) == [true, true])
  }

  @Test func oneLineInTenSecondsSaysForHowMany() {
    let pace = LogPace()
    let start = Instant(nanoseconds: 5)
    var lines: [Int?] = []
    for seconds in [0, 10, 10, 10, 10, 11, 12] {
      lines.append(pace.due(at: start + .seconds(seconds)))
    }
    #expect(lines == [1, nil, nil, nil, nil, 5, nil])
  }
}
