import Base
import Testing

@testable import Server

@Suite struct TurnShareTests {
  private let start = Instant(nanoseconds: 5_000_000_000)

  @Test func largeAnswersAmongThemselvesHaveLargeTurns() {
    var share = TurnShare()
    #expect(share.bytes(at: start) == TurnShare.amongLarge)
    share.ended(bodyBytes: Int64(TurnShare.smallBytes) + 1, at: start)
    #expect(share.bytes(at: start) == TurnShare.amongLarge)
  }

  @Test func besideSmallAnswersTheyHaveSmallOnes() {
    var share = TurnShare()
    share.ended(bodyBytes: 0, at: start)
    #expect(share.bytes(at: start) == TurnShare.besideSmall)
    share.ended(bodyBytes: Int64(TurnShare.smallBytes), at: start + .milliseconds(600))
    share.ended(bodyBytes: 1 << 30, at: start + .milliseconds(900))
    #expect(share.bytes(at: start + .milliseconds(1_500)) == TurnShare.besideSmall)
    #expect(share.bytes(at: start + .milliseconds(1_600)) == TurnShare.amongLarge)
  }
}
