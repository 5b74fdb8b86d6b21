import Base
import HTTP2
import Testing

@Suite struct FloodGuardTests {
  @Test(arguments: CostlyFrame.allCases.filter { $0 != .continuation })
  func upToItsLimitAKindIsAllowed(_ frame: CostlyFrame) {
    var guardian = FloodGuard()
    let limit = FloodGuard.limit(frame)
    for _ in 0..<limit where !guardian.allows(frame, at: .zero) { Issue.record("too early") }
    let answer1 = guardian.allows(frame, at: .zero + .seconds(9))
    #expect(!answer1)
  }

  @Test func kindsCountByThemselves() {
    var guardian = FloodGuard()
    while guardian.allows(.ping, at: .zero) {}
    let answer2 = guardian.allows(.settings, at: .zero)
    #expect(answer2)
    let answer3 = guardian.allows(.ping, at: .zero)
    #expect(!answer3)
  }

  @Test func afterTenSecondsTheyCountAnew() {
    var guardian = FloodGuard()
    while guardian.allows(.reset, at: .zero) {}
    let answer4 = guardian.allows(.reset, at: .zero + .milliseconds(9_999))
    #expect(!answer4)
    let answer5 = guardian.allows(.reset, at: .zero + .seconds(10))
    #expect(answer5)
  }

  @Test func whoTakesManyFramesMayOpenItsWindowsOften() {
    var guardian = FloodGuard()
    for _ in 0..<10_000 {
      guardian.sentData()
      // One for the stream, one for the connection.
      for _ in 0..<2 where !guardian.allows(.windowUpdate, at: .zero) { Issue.record("refused") }
    }
    var extra = 0
    while guardian.allows(.windowUpdate, at: .zero) { extra += 1 }
    #expect(extra <= 10_000 * 8)
  }

  @Test func oneHeadHasFewContinuations() {
    var guardian = FloodGuard()
    var allowed = 0
    while guardian.allows(.continuation, at: .zero) { allowed += 1 }
    #expect(allowed == 8)
  }
}
