import Cache
import Telemetry
import Testing

@testable import Gateway

@Suite struct CounterTests {
  /// The reason in a metric is the one in the log line.
  @Test(arguments: NotStored.allCases) func everyReasonCountsUnderItsName(reason: NotStored) {
    #expect(
      Counter.notStored(reason).rawValue == #"sluice_not_stored_total{reason="\#(reason.name)"}"#)
  }

  @Test func everyOutcomeCountsUnderItsName() {
    for outcome in [Exchange.Outcome.none, .hit, .miss, .collapsed, .partial, .bypass, .error] {
      #expect(
        outcome.counter.rawValue == #"sluice_requests_total{cache="\#(outcome.name)"}"#)
    }
  }
}
