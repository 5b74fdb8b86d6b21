import Base
import Testing

@Suite struct ByteRangeTests {
  @Test func equalityLooksAtEveryByte() {
    for count in 0...40 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      let same = bytes.rawBytes.equals(Array(bytes).rawBytes)
      #expect(same)
      let longer = bytes + [0]
      let isLonger = bytes.rawBytes.equals(longer.rawBytes)
      #expect(!isLonger)
      for place in 0..<count {
        var other = bytes
        other[place] ^= 0x80
        let found = bytes.rawBytes.equals(other.rawBytes)
        #expect(!found, "byte \(place) of \(count)")
      }
    }
  }

  @Test(arguments: [
    ("", false), ("only-if-cache", false), ("only-if-cached", true), ("Only-if-cached", false),
  ])
  func equalityWithTexts(_ text: String, _ expected: Bool) {
    let bytes = Array(text.utf8)
    let found = bytes.rawBytes.equals("only-if-cached")
    #expect(found == expected)
  }
}
