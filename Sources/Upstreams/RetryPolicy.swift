internal import Base
internal import HTTP

/// What follows on a try that failed.
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

  static func decide(_ fault: Fault, at stage: Stage, method: Method) -> Decision {
    // What cannot be sent, or a worker without descriptors, fails with every server.
    if fault.side == .own { return .giveUp }
    switch stage {
    case .connecting: return .otherServer
    case .answering, .handedOver: return .giveUp
    case .waiting(let reused):
      // The server may have acted on it (RFC 9110, 9.2.2).
      guard method == .get || method == .head || method == .options else { return .giveUp }
      return reused && fault.retry == .ifReused ? .sameServer : .otherServer
    }
  }

  /// Whether the server is to rank last for a while.
  ///
  /// A slow first byte is no failure of the server: it may be looking for content that nobody has.
  static func blamesServer(_ fault: Fault, at stage: Stage) -> Bool {
    if fault.side == .own { return false }
    switch stage {
    case .connecting: return true
    case .waiting(let reused): return !reused && fault.kind != .timeout
    case .answering, .handedOver: return false
    }
  }
}
