internal import Base
internal import EventLoop
internal import Telemetry

/// How long the server may let a connection wait: one deadline at a time, each with a wait of its own.
extension UpstreamConnection {
  /// Gives what comes before an answer so long, and no longer than all tries may take.
  func setTryDeadline(_ interval: Interval) {
    setDeadline(call?.deadline(after: interval) ?? loop.now + interval)
  }

  /// Begins another wait, that lasts no longer than until then.
  func setDeadline(_ instant: Instant) {
    waitBegan = loop.now
    deadline = instant
    setTimer()
  }

  private func setTimer() {
    // A timer that fires earlier looks again; one that fires later is of no use.
    guard deadline < timerDue else { return }
    timerDue = deadline
    loop.setTimer(handle, tag: Tag.timer, at: deadline)
  }

  func timerFired() {
    timerDue = .never
    if loop.now < deadline {
      setTimer()
    } else {
      timedOut()
    }
  }

  /// Notes bytes of a body; whether so few come that the server is given up.
  ///
  /// Only where content is asked for: an API may tell of a long work's progress now and then.
  func isTooSlow(after count: Int) -> Bool {
    guard !pace.take(count, at: loop.now), call?.request.isSearch ?? false else { return false }
    waitBegan = pace.began
    timedOut()
    return true
  }

  private func timedOut() {
    if state == .waiting, awaitsContinue, !hasFirstByte {
      continueBody()
      return
    }
    switch state {
    case .closed: return
    case .idle:
      pool.drop(self)
      close()
      return
    case .connecting, .handshaking: pool.counters.add(.timeoutUpstreamConnect)
    case .waiting where !hasFirstByte && !isSendingBody:
      pool.counters.add(.timeoutUpstreamFirstByte)
    case .waiting, .body: pool.counters.add(.timeoutUpstreamBetweenBytes)
    }
    fail(Fault(.timeout, .upstream))
  }
}
