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
      (closed, .answering, .get, .giveUp),
      (closed, .handedOver, .get, .giveUp),
      (Fault(.exhausted, .own), .connecting, .get, .giveUp),
    ]
    for (fault, stage, method, decision) in rows {
      #expect(RetryPolicy.decide(fault, at: stage, method: method) == decision)
    }
  }

  @Test func blame() {
    #expect(RetryPolicy.blamesServer(timeout, at: .connecting))
    #expect(RetryPolicy.blamesServer(closed, at: .waiting(reused: false)))
    #expect(!RetryPolicy.blamesServer(closed, at: .waiting(reused: true)))
    #expect(!RetryPolicy.blamesServer(timeout, at: .waiting(reused: false)))
    #expect(!RetryPolicy.blamesServer(closed, at: .handedOver))
    #expect(!RetryPolicy.blamesServer(Fault(.exhausted, .own), at: .connecting))
  }
}
