internal import Base
internal import System

/// TLS between the connect and the first request.
extension UpstreamConnection {
  func beginHandshake() {
    if case .broken(let error) = transport.start() {
      fail(Fault(.connect, .upstream, retry: .yes, errno: error))
    }
  }

  /// Goes on with the handshake; sends the request at its end.
  func shakeHands() {
    let result = receive()
    if transport.isReady {
      pool.noteHandshake(with: server, failure: nil)
      // A server has nothing to say before it was asked.
      if input.isEmpty { send() } else { fail(Fault(.malformed, .upstream)) }
      return
    }
    isReadable = false
    switch result {
    case .bytes, .wouldBlock: break
    case .end, .broken:
      pool.noteHandshake(
        with: server, failure: transport.failure ?? "it ended the connection in the handshake")
      let error: Int32 = if case .broken(let error) = result { error } else { 0 }
      fail(Fault(.connect, .upstream, retry: .yes, errno: error))
    }
  }

  /// Sends what the transport holds; whether nothing is held any more.
  func push() -> Bool {
    guard transport.holdsOutput else { return true }
    switch transport.push() {
    case nil, .bytes: return true
    case .wouldBlock: break
    case .end: fail(Fault(.closed, .upstream, retry: .ifReused))
    case .broken(let error): fail(Fault(.reset, .upstream, retry: .ifReused, errno: error))
    }
    return false
  }
}
