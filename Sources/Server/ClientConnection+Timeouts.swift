internal import Base
internal import EventLoop
internal import HTTP1
internal import Telemetry

/// What becomes of a connection whose client lets a deadline pass.
extension ClientConnection {
  func timedOut() {
    switch state {
    case .head:
      if !isGreeted {
        worker.counters.add(.timeoutClientHeader)
        worker.counters.add(.tlsHandshakeFailed)
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
