import Base
import Testing

@testable import Gateway

@Suite struct DoubtfulKeysTests {
  private func key(_ number: Int) -> Digest128 {
    Digest128(first: UInt64(bitPattern: Int64(number)), second: ~UInt64(bitPattern: Int64(number)))
  }

  @Test func aKeyIsInDoubtUntilItsRecordHasGone() {
    let doubtful = DoubtfulKeys()
    #expect(!doubtful.contains(key(1)))
    doubtful.remove(key(1))
    doubtful.insert(key(1))
    doubtful.insert(key(1))
    #expect(doubtful.contains(key(1)) && !doubtful.contains(key(2)))
    // Both halves count.
    #expect(!doubtful.contains(Digest128(first: 1, second: 1)))
    doubtful.insert(key(2))
    doubtful.remove(key(1))
    #expect(!doubtful.contains(key(1)) && doubtful.contains(key(2)))
    doubtful.remove(key(3))
    doubtful.remove(key(2))
    #expect(!doubtful.contains(key(2)))
  }

  @Test func keysHaveABound() {
    let doubtful = DoubtfulKeys()
    for number in 0..<DoubtfulKeys.limit + 10 { doubtful.insert(key(number)) }
    for number in [0, 1, DoubtfulKeys.limit - 1] { #expect(doubtful.contains(key(number))) }
    for number in 0..<10 { #expect(!doubtful.contains(key(DoubtfulKeys.limit + number))) }
    // One that goes makes room for one.
    doubtful.remove(key(5))
    doubtful.insert(key(-1))
    doubtful.insert(key(-2))
    #expect(doubtful.contains(key(-1)) && !doubtful.contains(key(-2)) && !doubtful.contains(key(5)))
  }
}
