import Base
import HTTP
import Testing

@testable import Upstreams

@Suite struct RetryPolicyTests {
  private let closed = Fault(.closed, .upstream, retry: .ifReused)
  private let timeout = Fault(.timeout, .upstream)

  @Test func decisions() {
    typealias Row = (Fault, RetryPolicy.Stage, HTTP.Method, RetryPolicy.Decision)
    let rows: [Row] = [
      (Fault(.connect, .upstream), .connecting, .get, .otherServer),
      (Fault(.connect, .upstream), .connecting, .post, .otherServer),
      (closed, .waiting(reused: true), .get, .sameServer),
      (closed, .waiting(reused: false), .get, .otherServer),
      (closed, .waiting(reused: true), .post, .giveUp),
      (timeout, .waiting(reused: true), .head, .otherServer),
      (timeout, .waiting(reused: false), .get, .otherServer),
      (closed, .answering, .get, .otherServer),
      (closed, .answering, .post, .giveUp),
      (Fault(.malformed, .upstream), .answering, .get, .giveUp),
      (closed, .handedOver, .get, .giveUp),
      (Fault(.exhausted, .own), .connecting, .get, .giveUp),
    ]
    for (fault, stage, method, decision) in rows {
      #expect(RetryPolicy.decide(fault, at: stage, method: method) == decision)
    }
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
    typealias Row = (status: Int, saysWhen: Bool, seconds: Int, isWell: Bool, RetryPolicy.Verdict)
    let rows: [Row] = [
      (200, false, 0, true, .answer), (404, false, 30, false, .answer),
      (500, false, 0, true, .answer), (301, true, 0, true, .answer),
      (502, false, 0, true, .trouble(Fault(.closed, .upstream))),
      (503, true, 0, true, .trouble(Fault(.unavailable, .upstream))),
      (429, true, 0, true, .busy), (429, false, 0, true, .answer),
      (504, false, 5, true, .miss), (504, false, 5, false, .trouble(timeout)),
      (504, false, 4, true, .trouble(timeout)),
    ]
    for (status, saysWhen, seconds, isWell, verdict) in rows {
      #expect(
        RetryPolicy.judge(
          status: status, saysWhen: saysWhen, after: .seconds(seconds), isWell: isWell) == verdict)
    }
  }
}
