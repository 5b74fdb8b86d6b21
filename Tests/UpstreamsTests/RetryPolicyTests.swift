import Base
import HTTP
import Testing

@testable import Upstreams

@Suite struct RetryPolicyTests {
  private let closed = Fault(.closed, .upstream, retry: .ifReused)
  private let timeout = Fault(.timeout, .upstream)

  @Test func decisions() {
    typealias Row = (Fault, RetryPolicy.Stage, isRepeatable: Bool, RetryPolicy.Decision)
    let rows: [Row] = [
      (Fault(.connect, .upstream), .connecting, true, .otherServer),
      (Fault(.connect, .upstream), .connecting, false, .otherServer),
      (closed, .waiting(reused: true), true, .sameServer),
      (closed, .waiting(reused: false), true, .otherServer),
      (closed, .waiting(reused: true), false, .giveUp),
      (timeout, .waiting(reused: true), true, .otherServer),
      (timeout, .waiting(reused: false), true, .otherServer),
      (closed, .answering, true, .otherServer),
      (closed, .answering, false, .giveUp),
      (Fault(.malformed, .upstream), .answering, true, .giveUp),
      (closed, .handedOver, true, .giveUp),
      (Fault(.exhausted, .own), .connecting, true, .giveUp),
    ]
    for (fault, stage, isRepeatable, decision) in rows {
      #expect(RetryPolicy.decide(fault, at: stage, isRepeatable: isRepeatable) == decision)
    }
  }

  /// RFC 9110, 9.2.2.
  @Test func idempotentMethodsMayBeRepeated() {
    let repeatable = HTTP.Method.allCases.filter(RetryPolicy.isRepeatable)
    #expect(repeatable == [.get, .head, .options, .put, .delete, .trace])
  }

  @Test func blame() {
    func blames(
      _ fault: Fault, _ stage: RetryPolicy.Stage, answersOthers: Bool = false
    ) -> Bool {
      RetryPolicy.blamesServer(fault, at: stage, answersOthers: answersOthers)
    }
    #expect(blames(timeout, .connecting))
    #expect(blames(timeout, .connecting, answersOthers: true))
    #expect(blames(closed, .waiting(reused: false)))
    #expect(!blames(closed, .waiting(reused: true)))
    #expect(blames(timeout, .waiting(reused: false)))
    #expect(blames(timeout, .waiting(reused: true)))
    #expect(!blames(timeout, .waiting(reused: false), answersOthers: true))
    #expect(blames(closed, .handedOver, answersOthers: true))
    #expect(!blames(timeout, .handedOver, answersOthers: true))
    #expect(!blames(Fault(.exhausted, .own), .connecting))
  }

  @Test func verdicts() {
    typealias Row = (
      status: Int, saysWhen: Bool, seconds: Int, isSearched: Bool, RetryPolicy.Verdict
    )
    let rows: [Row] = [
      (200, false, 0, true, .answer), (404, false, 30, false, .answer),
      (500, false, 0, true, .answer), (301, true, 0, true, .answer),
      (502, false, 0, true, .trouble(Fault(.closed, .upstream))),
      (503, true, 0, true, .trouble(Fault(.unavailable, .upstream))),
      (429, true, 0, true, .busy), (429, false, 0, true, .answer),
      (504, false, 5, true, .miss), (504, false, 5, false, .trouble(timeout)),
      (504, false, 4, true, .trouble(timeout)),
    ]
    for (status, saysWhen, seconds, isSearched, verdict) in rows {
      #expect(
        RetryPolicy.judge(
          status: status, saysWhen: saysWhen, after: .seconds(seconds), isSearched: isSearched)
          == verdict)
    }
  }
}
