internal import Synchronization

/// Whom a fill's fetches have asked, for the log.
extension Fill {
  /// The name of the server that was asked last and has answered or failed; empty where there is none yet.
  public var asked: String { state.withLock { $0.asked } }

  /// Notes whom a fetch has asked, for the log.
  public func wasAsked(of server: String) { state.withLock { $0.asked = server } }
}
