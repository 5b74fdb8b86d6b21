internal import Base
internal import EventLoop
internal import HTTP
internal import System

/// How a request goes to its server, and its body behind it.
///
/// The answer may begin before the body's end, and go on beside it: who adds content reports its progress all
/// the while.
extension UpstreamConnection {
  /// Whether there is more of the request's body to be sent.
  var isSendingBody: Bool { sender.map { !$0.hasEnded || !output.isEmpty } ?? false }

  /// Whether the body waits for the server's word that it is wanted (100).
  var awaitsContinue: Bool { sender?.awaitsContinue ?? false }

  /// Sends what of the request is at hand, and of its body what the server takes now.
  func sendMore() {
    var sent = 0
    while flush() {
      guard let sender, state == .waiting || state == .body else { return }
      if sender.hasEnded {
        bodySent()
        return
      }
      if sender.awaitsContinue {
        setDeadline(loop.now + UpstreamOptions.continuePatience)
        return
      }
      if sent >= UpstreamOptions.bytesPerTurn {
        sendSoon()
        return
      }
      switch sender.next(into: &output) {
      case .bytes(let count):
        sent += count
        call?.bodyWasRead()
      case .end: call?.bodyWasRead()
      case .pause:
        // The client has a deadline of its own.
        setDeadline(.never)
        return
      case .broken(let fault):
        call?.bodyBroke(fault)
        return
      }
    }
  }

  /// Sends what is gathered; whether nothing of it is left.
  private func flush() -> Bool {
    // What TLS has made of the piece before goes first: no more than that is held.
    guard push(), !transport.holdsOutput else {
      if state != .closed { blocked() }
      return false
    }
    if output.isEmpty { return true }
    switch transport.send(output.readable) {
    case .bytes(let count):
      output.consume(count)
      if output.isEmpty && !transport.holdsOutput { return true }
      blocked()
    case .wouldBlock: blocked()
    case .end: sendFailed(Fault(.closed, .upstream, retry: .ifReused))
    case .broken(let error): sendFailed(Fault(.reset, .upstream, retry: .ifReused, errno: error))
    }
    return false
  }

  /// A server that takes nothing of a body has as long as one that gives nothing of an answer.
  private func blocked() {
    if sender != nil && !isPaused { setDeadline(loop.now + pool.options.betweenBytesTimeout) }
  }

  /// A server that takes no more may have said why before: its answer counts, if there is one.
  private func sendFailed(_ fault: Fault) {
    guard sender != nil else {
      fail(fault)
      return
    }
    stopSending()
    setDeadline(loop.now + pool.options.betweenBytesTimeout)
    readWhatIsThere()
  }

  /// Sends no more of the body: the connection is of no use after the answer.
  func stopSending() {
    guard sender != nil else { return }
    sender = nil
    output.clear()
    isSpoilt = true
  }

  /// All of the request is sent: now the server's time begins.
  private func bodySent() {
    sender = nil
    call?.bodySent()
    if state == .waiting {
      setTryDeadline(
        hasFirstByte ? pool.options.betweenBytesTimeout : pool.options.firstByteTimeout)
    } else if !isPaused {
      setDeadline(loop.now + pool.options.betweenBytesTimeout)
    }
  }

  private func sendSoon() {
    if isSendPromised { return }
    isSendPromised = true
    loop.soon(self, tag: Tag.body)
  }

  /// The source has bytes again, or its end; it is asked at the end of the turn.
  func bodyReadable() {
    if sender != nil { sendSoon() }
  }

  /// The server wants the body (100), or has let the time pass in which it could say so.
  func continueBody() {
    guard let sender, sender.awaitsContinue else { return }
    sender.awaitsContinue = false
    sendSoon()
  }

  /// Sets the deadline of an answer's next bytes; while the request's body is due, the server may wait for it.
  func awaitBytes() {
    if isSendingBody && !awaitsContinue && output.isEmpty && !transport.holdsOutput {
      setDeadline(.never)
    } else {
      setDeadline(loop.now + pool.options.betweenBytesTimeout)
    }
  }
}
