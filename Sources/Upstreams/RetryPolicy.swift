internal import Base
internal import HTTP

/// What follows on a try that failed, or that was answered with trouble.
enum RetryPolicy {
  /// How far a try had come.
  enum Stage: Equatable, Sendable {
    case connecting
    /// The request is on its way; no byte of an answer has come.
    case waiting(reused: Bool)
    /// A part of the answer's head has come.
    case answering
    /// The consumer has the head.
    case handedOver
  }

  enum Decision: Equatable, Sendable {
    /// Once again on a new connection to the same server.
    case sameServer
    /// On a server not tried yet, if one is left.
    case otherServer
    case giveUp
  }

  /// What the head of an answer says of its server.
  enum Verdict: Equatable, Sendable {
    /// It is the answer.
    case answer
    /// The server, or what it needs, is broken; with the fault that stands for it.
    case trouble(Fault)
    /// The server has no room, and says for how long.
    case busy
    /// The server has looked for the content in vain.
    case miss
  }

  static func decide(_ fault: Fault, at stage: Stage, isRepeatable: Bool) -> Decision {
    // What cannot be sent, or a worker without descriptors, fails with every server.
    if fault.side == .own { return .giveUp }
    switch stage {
    case .connecting: return .otherServer
    case .handedOver: return .giveUp
    case .answering:
      // Who speaks something else than HTTP would be asked by mistake only.
      return isRepeatable && fault.kind != .malformed ? .otherServer : .giveUp
    case .waiting(let reused):
      guard isRepeatable else { return .giveUp }
      return reused && fault.retry == .ifReused ? .sameServer : .otherServer
    }
  }

  /// Whether a request that the server may have acted on can be sent again (RFC 9110, 9.2.2).
  static func isRepeatable(_ method: Method) -> Bool {
    switch method {
    case .get, .head, .options, .put, .delete, .trace: true
    case .post, .patch, .connect, .other: false
    }
  }

  /// Whether it counts as the server's failure.
  ///
  /// A server that lets the time pass may be looking for content that nobody has: if it answers others
  /// meanwhile, it is not to blame.
  static func blamesServer(_ fault: Fault, at stage: Stage, answersOthers: Bool) -> Bool {
    if fault.side == .own { return false }
    switch stage {
    case .connecting: return true
    case .waiting(let reused):
      return fault.kind == .timeout ? !answersOthers : !(reused && fault.retry == .ifReused)
    case .answering, .handedOver: return fault.kind != .timeout || !answersOthers
    }
  }

  /// - Parameters:
  ///   - saysWhen: whether the answer has a Retry-After.
  ///   - elapsed: the time from the request to the head.
  ///   - isSearched: whether content was looked for by a server that answers others, as far as is known.
  static func judge(
    status: Int, saysWhen: Bool, after elapsed: Interval, isSearched: Bool
  ) -> Verdict {
    switch status {
    case 502: .trouble(Fault(.closed, .upstream))
    case 503: .trouble(Fault(.unavailable, .upstream))
    case 429 where saysWhen: .busy
    case 504:
      elapsed >= UpstreamOptions.searchTime && isSearched
        ? .miss : .trouble(Fault(.timeout, .upstream))
    default: .answer
    }
  }
}
