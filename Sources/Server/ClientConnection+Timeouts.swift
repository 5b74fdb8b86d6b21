internal import Base
internal import EventLoop
internal import HTTP1
internal import Telemetry

/// What becomes of a connection whose client lets a deadline pass.
extension ClientConnection {
  func timedOut() {
    if isBlocked, let rate = worker.options.minSendRate, loop.now < sendDue,
      pace.due(at: loop.now) <= loop.now
    {
      return judge(by: rate)
    }
    switch state {
    case .head:
      if !isGreeted {
        worker.counters.add(.timeoutClientHeader)
        close()
      } else if input.isEmpty || isBlocked {
        worker.counters.add(input.isEmpty ? .timeoutClientIdle : .timeoutClientSend)
        close()
      } else {
        worker.counters.add(.timeoutClientHeader)
        refuse(Refusal(408, "the request's head did not arrive in time"))
      }
    case .answering:
      if isBlocked {
        worker.counters.add(.timeoutClientSend)
        close()
      } else {
        checkBodyDeadline()
      }
    case .lingering: close()
    case .closed: break
    }
  }

  /// What the client has taken of all that was sent to it.
  var takenBytes: Int { sent - loop.unacknowledged(transport.socket) }

  /// Ends the connection of a client that has taken too little while bytes waited for it.
  private func judge(by rate: SendRate) {
    guard pace.isTooSlow(for: rate, at: loop.now, taken: takenBytes) else {
      setDeadline(min(sendDue, pace.due(at: loop.now)))
      return
    }
    worker.counters.add(.connectionTooSlow)
    // What lies in the socket would be waited for as long again.
    transport.abort()
    close()
  }

  /// The deadline has passed while a request is answered: a body that is awaited has its own.
  func checkBodyDeadline() {
    guard hasBodyDue, body.isMissed else {
      setDeadline(.never)
      return
    }
    guard loop.now >= body.due else {
      setDeadline(body.due)
      return
    }
    worker.counters.add(.timeoutClientBody)
    body.fault = Fault(.timeout, .client)
    setDeadline(.never)
    bodyBecameReadable()
  }
}
