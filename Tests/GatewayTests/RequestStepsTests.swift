import Base
import Testing

@testable import Gateway

@Suite struct RequestStepsTests {
  private func at(_ milliseconds: Int64) -> Instant {
    Instant(nanoseconds: milliseconds * 1_000_000)
  }

  @Test func waitsAddUpByWhatTheyAreFor() {
    var steps = RequestSteps()
    #expect(!steps.isUsed && steps.current == nil)
    steps.begin(.name, at: at(10))
    steps.begin(.server, at: at(15))
    // Told again, it goes on.
    steps.begin(.server, at: at(20))
    #expect(steps.end(at: at(40)) == .milliseconds(25))
    steps.begin(.disk, at: at(50))
    steps.begin(.client, at: at(57))
    steps.begin(.disk, at: at(60))
    #expect(steps.end(at: at(61)) == .milliseconds(1))
    #expect(steps.end(at: at(90)) == .zero)
    let times = RequestSteps.Step.allCases.map { steps.time($0, at: at(100)) }
    #expect(times == [5, 25, 0, 8, 3].map { Interval.milliseconds($0) })
    #expect(steps.upstreamTime(at: at(100)) == .milliseconds(30))
    #expect(steps.isUsed)
  }

  @Test func aWaitThatGoesOnCounts() {
    var steps = RequestSteps()
    steps.begin(.body, at: at(10))
    #expect(steps.time(.body, at: at(25)) == .milliseconds(15))
    #expect(steps.upstreamTime(at: at(25)) == .milliseconds(15))
    #expect(steps.time(.disk, at: at(25)) == .zero)
    // Time never runs backwards.
    #expect(steps.time(.body, at: at(5)) == .zero)
    #expect(steps.end(at: at(5)) == .zero)
  }
}
