internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import System
internal import TLS
internal import Telemetry

/// A client's connection, speaking HTTP/1.1: requests in, one answer at a time out.
///
/// It reads a head, hands it to the handler, and reads no further until that request is answered.
/// One deadline is kept at a time; the timer behind it is set again only when it fires.
final class ClientConnection: ServerConnection {
  enum State {
    /// Between requests, or within a head.
    case head
    /// A request is being answered.
    case answering
    /// The last answer has been given; what still arrives is dropped until the client closes.
    case lingering
    case closed
  }

  private enum Tag {
    static let timer: UInt32 = 0
    static let resume: UInt32 = 1
    static let writable: UInt32 = 2
    static let body: UInt32 = 3
  }

  let stream: ClientStream
  let loop: Loop
  var transport: ClientTransport
  private var handle = Handle.none
  var state = State.head
  private var parser: RequestParser
  var head = RequestHead()
  var input = ByteBuffer(capacity: ServerOptions.inputBytes)
  /// The socket took less than it was offered; it will tell when it takes more.
  private(set) var isBlocked = false
  var peerEnded = false
  private(set) var endIsNear = false
  /// The socket was left before it was drained: it will not tell again.
  var hasUnread = false
  private var isProcessing = false
  /// The handler looks at a head within the input.
  var isHandling = false
  var body = RequestBody()
  private var bodyPromised = false
  /// Whether the client itself has said that it sends nothing behind the request at hand.
  private var isLastOfClient = false
  /// Whether the handshake's outcome has been counted; from the start without TLS.
  private(set) var isGreeted: Bool
  private var resumePromised = false
  private var writablePromised = false
  private var deadline = Instant.never
  /// When a client that takes no byte is given up.
  private(set) var sendDue = Instant.never
  /// Whether those who take some are fast enough.
  var pace = SendRateWatch()
  /// Bytes of answers that have been sent.
  var sent = 0
  private var timerDue = Instant.never
  private var lingered = 0
  /// When the first bytes of a head came that was not there as a whole.
  private var headBegan = Instant.never

  init(_ worker: ServerWorker, socket: Int32, peer: SocketAddress, tls: TLSStream?) {
    loop = worker.loop
    transport = ClientTransport(worker.loop, socket: socket, tls: tls)
    stream = ClientStream(loop: worker.loop, peer: peer, isSecure: tls != nil)
    parser = RequestParser(limits: worker.options.limits)
    isGreeted = tls == nil
    super.init(worker)
    stream.connection = self
  }

  /// Begins to serve.
  ///
  /// Throws where the loop cannot watch the socket.
  func open() throws(Fault) -> Handle {
    handle = try loop.watch(transport.socket, self)
    setDeadline(loop.now + worker.options.headerTimeout)
    return handle
  }

  /// Lets go of what a connection that could not be opened holds; its socket is the caller's still.
  func giveUp() {
    clientPlace = nil
    stream.connection = nil
  }

  var isIdle: Bool { state == .head && input.isEmpty && isFlushed }
  var isClosed: Bool { state == .closed }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.writable) && (isBlocked || transport.holdsOutput) {
      isBlocked = false
      pace.ended(at: loop.now)
      becameWritable()
    }
    // With the end behind them, bytes must be read up to it: it will not be told again.
    if readiness.contains(.ended) { endIsNear = true }
    if readiness.contains(.readable) && state != .closed { becameReadable() }
    if readiness.contains(.hungUp) && state != .closed { close() }
  }

  override func deadline(_ tag: UInt32) {
    switch tag {
    case Tag.resume:
      resumePromised = false
      process()
    case Tag.writable:
      writablePromised = false
      if !isBlocked { becameWritable() }
    case Tag.body:
      bodyPromised = false
      if hasBodyDue { bodyBecameReadable() } else { readBehindBody() }
    default:
      timerDue = .never
      if loop.now < deadline {
        setDeadline(deadline)
      } else if state != .closed {
        timedOut()
      }
    }
  }

  func setDeadline(_ instant: Instant) {
    deadline = instant
    // A timer that fires earlier will look again; one that fires later is of no use.
    if instant < timerDue {
      timerDue = instant
      loop.setTimer(handle, tag: Tag.timer, at: instant)
    }
  }

  // MARK: Reading

  func becameReadable() {
    switch state {
    case .closed: return
    case .lingering: dropInput()
    case .answering where hasBodyDue:
      // It waits in the socket until it is pulled.
      hasUnread = true
      if body.isMissed { bodyBecameReadable() }
    case .answering where !input.isEmpty && input.freeTail == 0:
      // Enough has been read ahead; the rest waits in the socket.
      hasUnread = true
    case .head, .answering:
      receive()
      if state == .closed { return }
      if state == .head {
        process()
      } else if peerEnded && stream.isUntouched && isFlushed {
        // Nobody waits for the answer any more.
        close()
      }
    }
  }

  /// Reads until the socket is drained or the buffer holds all that a head may take.
  func receive() {
    while true {
      // A buffer that once grew has more room than may be filled.
      let most = worker.options.limits.headBytes + ServerOptions.inputBytes
      let room = min(max(input.freeTail, ServerOptions.inputBytes / 2), most - input.count)
      if room <= 0 {
        hasUnread = true
        return
      }
      var result = IOResult.wouldBlock
      var offered = 0
      _ = unsafe input.fill(atLeast: room) { tail in
        offered = room
        result = unsafe transport.receive(
          into: UnsafeMutableRawBufferPointer(rebasing: tail[..<room]))
        if case .bytes(let count) = result { return count }
        return 0
      }
      if !isGreeted { noteHandshake() }
      // What a transport answers by itself may wait for the socket; a deadline that is running stays.
      if transport.holdsOutput && !transport.awaitsMore && !isBlocked { blockByAnswers() }
      switch result {
      case .bytes(let count):
        worker.counters.add(.requestBytes, count)
        if count < offered && !endIsNear { return }
      case .wouldBlock: return
      case .end:
        peerEnded = true
        // An answer that still waits to be sent has a reader: only the sending side has ended.
        if isIdle && !isProcessing { close() }
        return
      case .broken:
        close()
        return
      }
    }
  }

  /// Counts a handshake that has come to its end.
  private func noteHandshake() {
    guard let session = transport.session else { return }
    if session.isEstablished {
      isGreeted = true
      worker.counters.add(session.isResumed ? .tlsHandshakeResumed : .tlsHandshakeFull)
      worker.counters.add(session.isVersion13 ? .tlsVersion13 : .tlsVersion12)
      stream.tls = TLSFacts(session)
    } else if session.state == .failed {
      isGreeted = true
      worker.counters.add(.tlsHandshakeFailed)
    }
  }

  /// Answers what the input holds, request by request.
  private func process() {
    guard !isProcessing else { return }
    isProcessing = true
    defer { isProcessing = false }
    if state == .head && input.isEmpty && hasUnread {
      hasUnread = false
      receive()
    }
    var answered = 0
    let before = sent
    while state == .head && !input.isEmpty {
      if answered == ServerOptions.requestsPerTurn
        || stream.output.count > ServerOptions.gatheredBytes
        || sent &- before > TurnShare.besideSmall
      {
        flush()
        if state != .closed && !isBlocked { resumeSoon() }
        return
      }
      if takeRequest() {
        answered += 1
      } else if state == .head && hasUnread && !isAtEnd {
        hasUnread = false
        receive()
      } else {
        break
      }
    }
    if state == .head && hasUnread && !isBlocked { resumeSoon() }
    guard state == .head || state == .answering else { return }
    flush()
    if state == .head { afterAnswers(answered) }
  }

  /// Whether nothing that may still come is a request: the last answer has been made.
  private var isAtEnd: Bool { !keepAlive && (stream.phase == .finished || stream.phase == .idle) }

  private func afterAnswers(_ answered: Int) {
    // Behind the end no head will become whole.
    if peerEnded { keepAlive = false }
    if !keepAlive {
      if isGiven { linger() }
    } else if answered > 0 {
      awaitRequest()
    }
  }

  /// Sets the deadline of the next request; while an answer still waits to be sent, its own counts.
  private func awaitRequest() {
    if isBlocked {
      if deadline == .never { block() }
      return
    }
    if stream.output.isEmpty && stream.output.capacity > ServerOptions.gatheredBytes {
      stream.output = ByteBuffer(capacity: ServerOptions.outputBytes)
    }
    // A head may have begun to arrive behind the one that was answered.
    let options = worker.options
    setDeadline(loop.now + (input.isEmpty ? options.idleTimeout : options.headerTimeout))
  }

  /// Parses one head and hands it over; false where there is nothing more to do now.
  private func takeRequest() -> Bool {
    if isAtEnd {
      // As while lingering, which begins once the last answer has been sent.
      lingered += input.count
      input.clear()
      isLastOfClient = false
      if lingered > ServerOptions.lingerBytes { close() }
      return false
    }
    let outcome = parser.parse(input.readable, into: &head)
    switch outcome {
    case .needMore:
      if headBegan == .never { headBegan = loop.now }
      if deadline > loop.now + worker.options.headerTimeout {
        setDeadline(loop.now + worker.options.headerTimeout)
      }
      return false
    case .refused(let refusal):
      if !handOver() { refuse(refusal) }
      return false
    case .complete(let count):
      parser.reset()
      state = .answering
      if !head.keepAlive || worker.isDraining || peerEnded && input.count == count {
        keepAlive = false
      }
      isLastOfClient = !head.keepAlive
      stream.begin(head, at: loop.now)
      if headBegan != .never {
        stream.headTime = loop.now - headBegan
        headBegan = .never
      }
      if head.isChunked || (head.contentLength ?? 0) > 0 { beginBody() }
      // Before the handler: an answer that blocks at once sets the deadline of sending. One that is running already,
      // for the answer before this, is not the next request's to end.
      if !isBlocked { setDeadline(.never) }
      isHandling = true
      worker.handler.handle(head, text: input.readable.extracting(0..<count), on: stream)
      isHandling = false
      if state == .closed { return false }
      input.consume(count)
      if stream.phase == .finished {
        state = .head
        return true
      }
      if body.isTaken { bodySoon() }
      return false
    }
  }

  /// Gives the connection on where what begins it is HTTP/2's preface (RFC 9113, section 3.3).
  ///
  /// False where it is not: the first line has been refused as a request's.
  private func handOver() -> Bool {
    guard stream.started == .zero else { return false }
    switch input.withReadable({ HTTP2Connection.preface($0) }) {
    case .no: return false
    case .partly:
      // Looked at again with what comes, until the head's time is over.
      parser.reset()
    case .yes:
      state = .closed
      stream.connection = nil
      let connection = HTTP2Connection(
        worker, transport, handle, peer: stream.peer, isPeerUnnamed: stream.isPeerUnnamed,
        tls: stream.tls)
      input.withReadable { connection.takeOver($0, peerEnded: peerEnded || endIsNear) }
    }
    return true
  }

  func refuse(_ refusal: Refusal) {
    keepAlive = false
    isLastOfClient = false
    state = .answering
    head.reset()
    stream.begin(head, at: loop.now)
    worker.counters.add(.refusal(status: refusal.status))
    worker.handler.refuse(refusal, on: stream)
    input.clear()
    if state == .answering && stream.phase == .finished {
      state = .head
      flush()
      if state == .head {
        if isGiven { linger() } else { block() }
      }
    }
  }

  private func resumeSoon() {
    if resumePromised { return }
    resumePromised = true
    loop.soon(self, tag: Tag.resume)
  }

  func bodySoon() {
    if bodyPromised { return }
    bodyPromised = true
    loop.soon(self, tag: Tag.body)
  }

  // MARK: Writing

  private func becameWritable() {
    switch state {
    case .closed: return
    case .lingering: if case .broken? = transport.push() { close() }
    case .head:
      flush()
      if state == .head && isGiven {
        if keepAlive {
          awaitRequest()
          process()
        } else {
          linger()
        }
      }
    case .answering:
      flush()
      if state == .answering && !isBlocked { stream.responder?.writable() }
    }
  }

  /// The client takes no more for now; it is given so long until it does.
  func block() {
    isBlocked = true
    sendDue = loop.now + worker.options.sendTimeout
    setDeadline(worker.options.minSendRate == nil ? sendDue : min(sendDue, paceDue))
  }

  /// When the client's pace is to be judged, bytes waiting for it from now on.
  var paceDue: Instant {
    pace.began(at: loop.now, taken: takenBytes)
    return pace.due(at: loop.now)
  }

  /// The transport's own words wait for the socket: with nothing else due, they have as long as an answer.
  private func blockByAnswers() {
    if deadline == .never { block() } else { isBlocked = true }
  }

  func yield() {
    if writablePromised { return }
    writablePromised = true
    loop.soon(self, tag: Tag.writable)
  }

  // MARK: The end of an answer

  func streamFinished() {
    if stream.isChunked && !stream.isHead { stream.endChunks() }
    worker.counters.addResponse(status: stream.status)
    body.isTaken = false
    if isProcessing { return }
    state = .head
    flush()
    if state == .closed { return }
    if !keepAlive {
      if isGiven { linger() } else { block() }
    } else {
      awaitRequest()
      // Not at once: the caller stands within the answer that has just ended.
      if !input.isEmpty || peerEnded || hasUnread { resumeSoon() }
    }
  }

  /// Ends the connection so that the client sees that its answer is cut off.
  func breakOff() {
    // Where only the connection's end tells the length, an orderly end would look complete.
    if stream.endsWithConnection { transport.abort() }
    close()
  }

  override func drain() {
    keepAlive = false
    if isIdle { close() }
  }

  /// Ends the connection behind its last answer, which a reset could take from the client: what it may
  /// still send has to be read (RFC 9112, section 9.6).
  private func linger() {
    transport.sayEnd()
    if transport.holdsOutput { return block() }
    if peerEnded || isLastOfClient && body.hasEnded && input.isEmpty && !hasUnread {
      return close()
    }
    state = .lingering
    transport.shutdownWrite()
    setDeadline(loop.now + ServerOptions.lingerTimeout)
    dropInput()
  }

  private func dropInput() {
    input.clear()
    while state == .lingering {
      var result = IOResult.wouldBlock
      _ = unsafe input.fill(atLeast: ServerOptions.inputBytes) { tail in
        result = unsafe transport.receive(into: tail)
        return 0
      }
      switch result {
      case .bytes(let count):
        lingered += count
        if lingered > ServerOptions.lingerBytes { close() }
      case .wouldBlock: return
      case .end, .broken: close()
      }
    }
  }

  override func close() {
    guard state != .closed else { return }
    // An answer that is cut off must not look like one that is complete.
    if state == .head && isFlushed { transport.sayEnd() }
    let isWhole = stream.phase == .finished && isFlushed
    if stream.endsWithConnection && !isWhole && state != .lingering { transport.abort() }
    if !isGreeted { worker.counters.add(.tlsHandshakeFailed) }
    state = .closed
    transport.close(handle)
    worker.connectionClosed(handle)
    let responder = stream.responder
    stream.responder = nil
    stream.phase = .finished
    stream.connection = nil
    responder?.aborted()
  }
}
