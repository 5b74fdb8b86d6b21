import Base
import Testing

@Suite struct SeededRandomTests {
  /// The first numbers of SplitMix64 for the seed 1234567, as its author's program gives them.
  @Test func agreesWithTheReferenceNumbers() {
    var random = SeededRandom(seed: 1_234_567)
    #expect(
      (0..<5).map { _ in random.next() } == [
        6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
        4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
      ])
  }

  @Test func theSameSeedHasTheSameFuture() {
    var one = SeededRandom(seed: 9)
    var same = one
    var other = SeededRandom(seed: 10)
    let numbers = (0..<50).map { _ in one.number(in: 0...1_000_000) }
    #expect(numbers == (0..<50).map { _ in same.number(in: 0...1_000_000) })
    #expect(numbers != (0..<50).map { _ in other.number(in: 0...1_000_000) })
  }

  @Test func chancesAreWhatTheySay() {
    var random = SeededRandom(seed: 3)
    #expect(!(0..<1_000).contains { _ in random.chance(0) })
    #expect((0..<1_000).allSatisfy { _ in random.chance(1) })
    let hits = (0..<10_000).count { _ in random.chance(0.3) }
    #expect(2_800...3_200 ~= hits)
  }

  @Test func numbersStayInTheirRange() {
    var random = SeededRandom(seed: 4)
    let numbers = (0..<1_000).map { _ in random.number(in: -2...2) }
    #expect(Set(numbers) == [-2, -1, 0, 1, 2])
  }
}
