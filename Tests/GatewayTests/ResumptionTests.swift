import Base
import Testing

@testable import Gateway

@Suite struct ResumptionTests {
  @Test func othersAreAskedFirstAndTheBringerLast() {
    var resumption = Resumption(from: 0)
    #expect(
      resumption.next(after: [1], at: 1000, broughtBytes: true, of: 3, open: [0, 1, 2]) == [1])
    #expect(
      resumption.next(after: [1, 0], at: 1000, broughtBytes: false, of: 3, open: [0, 1, 2]) == [
        1, 0,
      ])
    #expect(
      resumption.next(after: [1, 0, 2], at: 1000, broughtBytes: false, of: 3, open: [0, 1, 2]) == [
        0, 2,
      ])
    #expect(
      resumption.next(after: [0, 2, 1], at: 1000, broughtBytes: false, of: 3, open: [0, 1, 2])
        == nil)
  }

  @Test func theOnlyServerIsAskedOnceMore() {
    var resumption = Resumption(from: 0)
    #expect(resumption.next(after: [0], at: 1, broughtBytes: true, of: 1, open: [0]) == [])
    #expect(resumption.next(after: [0], at: 1, broughtBytes: false, of: 1, open: [0]) == nil)
  }

  /// Nobody would be asked where only drained ones are left: the one that has it is.
  @Test func whoTakesNothingIsNotWaitedFor() {
    var resumption = Resumption(from: 0)
    #expect(resumption.next(after: [0], at: 1, broughtBytes: true, of: 2, open: [0]) == [])
    #expect(resumption.next(after: [0], at: 1, broughtBytes: false, of: 2, open: [0]) == nil)
    // With others beside it those come first, and one that was drained meanwhile is not asked again.
    var three = Resumption(from: 0)
    #expect(three.next(after: [0], at: 1, broughtBytes: true, of: 3, open: [0, 2]) == [0])
    #expect(three.next(after: [0, 2], at: 1, broughtBytes: false, of: 3, open: [0, 2]) == [2])
    // Nor are those that have no place.
    var busy = Resumption(from: 0)
    #expect(busy.next(after: [0], at: 1, broughtBytes: true, of: 2, open: [0, 1]) == [0])
    #expect(busy.next(after: [0], at: 1, broughtBytes: false, of: 2, open: [0, 1]) == [])
    #expect(busy.next(after: [0], at: 1, broughtBytes: false, of: 2, open: [0, 1]) == nil)
    var gone = Resumption(from: 0)
    #expect(gone.next(after: [0], at: 1, broughtBytes: true, of: 2, open: []) == nil)
  }

  @Test func aServerThatNeverBroughtAnythingIsNotAskedAgain() {
    var resumption = Resumption(from: 65_536)
    #expect(
      resumption.next(after: [0], at: 65_536, broughtBytes: false, of: 2, open: [0, 1]) == [0])
    #expect(
      resumption.next(after: [0, 1], at: 65_536, broughtBytes: false, of: 2, open: [0, 1]) == nil)
    var alone = Resumption(from: 0)
    #expect(alone.next(after: [0], at: 0, broughtBytes: false, of: 1, open: [0]) == nil)
  }

  /// What brings enough each time comes to its end, however often it breaks.
  @Test func progressBeginsAnotherRow() {
    var resumption = Resumption(from: 0)
    for count in 1...100 {
      let position = Int64(count) * Resumption.progressBytes
      let avoided = resumption.next(
        after: [count % 2], at: position, broughtBytes: true, of: 2, open: [0, 1])
      #expect(avoided == [count % 2])
    }
  }

  /// Whatever happens, tries without enough progress end.
  @Test(arguments: 1...8) func drippingIsBounded(servers: Int) {
    var random = SeededRandom(seed: UInt64(servers))
    for _ in 0..<200 {
      var resumption = Resumption(from: 0)
      var avoided: [Int] = []
      var position: Int64 = 0
      var tries = 0
      while true {
        let left = (0..<servers).filter { !avoided.contains($0) }
        let brings = random.number(in: 0...2) > 0
        if brings { position += Int64(random.number(in: 1...1000)) }
        let asked = avoided + left.prefix(1)
        guard
          let next = resumption.next(
            after: asked, at: position, broughtBytes: brings && !left.isEmpty, of: servers,
            open: Array(0..<servers))
        else { break }
        avoided = next
        tries += 1
      }
      #expect(tries <= min(servers, Resumption.triesInARow))
    }
  }
}
