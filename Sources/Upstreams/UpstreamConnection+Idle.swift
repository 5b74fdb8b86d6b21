internal import System

extension UpstreamConnection {
  /// Whether the peer has neither ended the connection nor sent anything unasked.
  ///
  /// Such bytes would be taken for the next request's answer.
  func isStillIdle() -> Bool {
    guard state == .idle else { return false }
    let result = receive()
    isReadable = false
    return result == .wouldBlock
  }
}
