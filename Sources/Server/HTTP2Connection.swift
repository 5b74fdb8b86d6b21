internal import Base
internal import EventLoop
internal import HTTP2
internal import System
internal import Telemetry

/// A client's connection, speaking HTTP/2: many streams, each one request and its answer.
///
/// The session keeps the protocol; this drives it. Answers are pulled: when a frame can be sent, by the
/// client's windows and priorities, its stream's responder is asked for the bytes, which go straight to where
/// they are sent from. What is gathered over all streams goes in one write.
final class HTTP2Connection: ServerConnection {
  enum State {
    case open
    /// All has been said; what still arrives is dropped until the client closes.
    case lingering
    case closed
  }

  private enum Tag {
    /// The same as that of the connection that this was before: its timers may still come.
    static let timer: UInt32 = 0
    static let flush: UInt32 = 3
    static let read: UInt32 = 4
    static let body: UInt32 = 5
  }

  /// A stream that is open.
  struct Place {
    var stream: ClientStream?
    var id: Int32 = 0
    /// When bytes of its answer last went.
    var moved = Instant.zero
    var isRequestEnded = true
    /// The request's body; nil where it has none.
    var body: HTTP2Body?
    /// When a request that has been answered is no longer waited for.
    var lingerDue = Instant.never
    /// Its answer has a body whose last frame has not been made: even an empty one waits for a window.
    var owesEnd = false
    /// The answer broke off while it was asked for bytes.
    var isBroken = false
    /// Among those that are asked for their bytes again.
    var isResumed = false
    /// Since when its client's pace is watched, and what it had taken then; never while it is not.
    var paceSince = Instant.never
    var paceBefore: Int64 = 0
    /// What all of the connection had taken then.
    var takenBefore = 0
    /// There has been nothing to give since then.
    var hadNothing = false
  }

  let loop: Loop
  let peer: SocketAddress
  let isPeerUnnamed: Bool
  let tls: TLSFacts?
  let handle: Handle
  let session: ServerSession
  let supplies: HTTP2Supplies
  var transport: ClientTransport
  var state = State.open
  var places: [Place] = []
  var freePlaces: [Int] = []
  /// Places whose streams have something to give again.
  var resumed: [Int] = []
  /// Streams whose bodies can be pulled, as those who wait for them are to be told.
  var told: [Int32] = []
  var openStreams = 0
  /// The session is at work, and streams are asked for bytes by it alone.
  var isCorked = false
  /// The stream that is asked for bytes, and where they go.
  var filling: FrameRoom?
  /// What a stream has offered while the session was at rest.
  var direct: StreamOffer?
  /// Frames that the socket has not taken; nil where there are none.
  var output: FrameBuffer?
  var isBlocked = false
  private var endIsNear = false
  private var flushPromised = false
  private var readPromised = false
  private var bodyPromised = false
  private(set) var hasTakenLast = false
  private var hasGivenUp = false
  private var lingered = 0
  private var timerDue = Instant.never
  private var sendDue = Instant.never
  /// Whether a client that takes some of what waits for it is fast enough.
  var pace = SendRateWatch()
  private var sent = 0
  private var headDue = Instant.never
  private var idleDue = Instant.never
  private var lastCallDue = Instant.never

  /// Goes on with a connection that has turned out to speak HTTP/2.
  init(
    _ worker: ServerWorker, _ transport: ClientTransport, _ handle: Handle, peer: SocketAddress,
    isPeerUnnamed: Bool, tls: TLSFacts?
  ) {
    loop = worker.loop
    self.transport = transport
    self.handle = handle
    self.peer = peer
    self.isPeerUnnamed = isPeerUnnamed
    self.tls = tls
    supplies = worker.http2
    session = ServerSession(limits: worker.options.http2Limits, memory: supplies.memory)
    super.init(worker)
    session.delegate = self
  }

  /// Whether bytes begin with the preface of HTTP/2 (RFC 9113, section 3.4), as far as they go.
  static func preface(_ bytes: RawSpan) -> Preface {
    let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for offset in 0..<min(bytes.byteCount, preface.utf8CodeUnitCount)
    where unsafe bytes.byte(offset) != preface.utf8Start[offset] {
      return .no
    }
    return bytes.byteCount < preface.utf8CodeUnitCount ? .partly : .yes
  }

  enum Preface: Equatable { case no, partly, yes }

  /// Begins with what the client has sent, its preface first.
  func takeOver(_ bytes: RawSpan, peerEnded: Bool) {
    loop.handOver(handle, to: self)
    worker.connectionChanged(handle, to: self)
    worker.counters.add(.http2Connection)
    endIsNear = peerEnded
    noteIdle()
    read(bytes)
    // What lies behind these bytes may not be told again.
    if state == .open { becameReadable() }
    if worker.isDraining { drain() }
  }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.ended) { endIsNear = true }
    if readiness.contains(.readable) && state != .closed { becameReadable() }
    if readiness.contains(.writable) && (isBlocked || transport.holdsOutput) && state != .closed {
      isBlocked = false
      pace.ended(at: loop.now)
      flush()
    }
    if readiness.contains(.hungUp) && state != .closed { close() }
  }

  override func deadline(_ tag: UInt32) {
    guard state != .closed else { return }
    switch tag {
    case Tag.flush:
      flushPromised = false
      flush()
    case Tag.read:
      readPromised = false
      becameReadable()
    case Tag.body:
      bodyPromised = false
      tellBodies()
    case Tag.timer:
      timerDue = .never
      checkDeadlines()
    // A promise of the connection that this was before.
    default: break
    }
  }

  // MARK: Reading

  private func becameReadable() {
    if state == .lingering { return dropInput() }
    var read = 0
    while state == .open && session.end == nil {
      if read >= ServerOptions.http2BytesPerTurn {
        // Others wait, too.
        readSoon()
        break
      }
      let room = ServerOptions.http2InputBytes
      switch receive(room) {
      case .bytes(let count):
        worker.counters.add(.requestBytes, count)
        read += count
        supplies.input.withReadable { self.read($0) }
        supplies.input.clear()
        if count < room && !endIsNear { return flush() }
      case .wouldBlock: return flush()
      case .end, .broken:
        // Whoever ends its side of a connection with many streams has left.
        close()
      }
    }
    if state == .open { flush() }
  }

  private func receive(_ room: Int) -> IOResult {
    supplies.input.clear()
    var result = IOResult.wouldBlock
    _ = unsafe supplies.input.fill(atLeast: room) { tail in
      result = unsafe transport.receive(
        into: UnsafeMutableRawBufferPointer(rebasing: tail[..<room]))
      if case .bytes(let count) = result { return count }
      return 0
    }
    // What a transport answers by itself may wait for the socket.
    if transport.holdsOutput && !transport.awaitsMore && !isBlocked { block() }
    return result
  }

  private func read(_ bytes: RawSpan) {
    isCorked = true
    session.receive(bytes, at: loop.now)
    isCorked = false
    if let end = session.end {
      gaveUp(end)
    } else if !session.isWithinHead {
      headDue = .never
    } else if headDue == .never {
      headDue = loop.now + worker.options.headerTimeout
      noteDeadline(headDue)
    }
  }

  func tellSoon() {
    if bodyPromised { return }
    bodyPromised = true
    loop.soon(self, tag: Tag.body)
  }

  private func readSoon() {
    if readPromised { return }
    readPromised = true
    loop.soon(self, tag: Tag.read)
  }

  // MARK: Writing

  func flushSoon() {
    // Whoever works with the session flushes at the end.
    if flushPromised || isCorked || state != .open { return }
    flushPromised = true
    loop.soon(self, tag: Tag.flush)
  }

  /// Sends what is gathered and what streams have, as far as the socket takes it.
  func flush() {
    // The transport's last words, and behind them the end.
    if state == .lingering && transport.holdsOutput { _ = transport.push() }
    guard state == .open, !isCorked else { return }
    isCorked = true
    resumeStreams()
    // What waits for the first frames goes with them.
    var sent = transport.awaitsMore ? gather() : 0
    while sendOutput() {
      if sent >= ServerOptions.http2BytesPerTurn { break }
      let count = gather()
      if count == 0 { break }
      sent += count
    }
    isCorked = false
    if state != .open { return }
    if worker.options.minSendRate != nil { watchWindow() }
    // A fast client leaves room for the others.
    if !resumed.isEmpty || sent >= ServerOptions.http2BytesPerTurn && !isBlocked { flushSoon() }
    if let output, output.isEmpty {
      supplies.giveBack(output)
      self.output = nil
    }
    if openStreams == 0 && !keepAlive && !hasTakenLast {
      takeNoMore()
      flushSoon()
    }
    if isFlushed && session.isOver { linger() }
  }

  /// Gathers frames; the number of their bytes.
  func gather() -> Int {
    let buffer = output ?? supplies.takeBuffer()
    output = buffer
    let before = buffer.count
    session.gather(into: buffer)
    if let end = session.end { gaveUp(end) }
    return buffer.count - before
  }

  var isFlushed: Bool { (output?.isEmpty ?? true) && !transport.holdsOutput }

  /// Sends what is gathered; false where the socket does not take all of it.
  func sendOutput() -> Bool {
    if transport.holdsOutput && !isBlocked && (output?.isEmpty ?? true || !transport.awaitsMore) {
      switch transport.push() {
      case nil, .bytes: break
      case .wouldBlock: block()
      case .end, .broken: close()
      }
    }
    while let output, !output.isEmpty, !isBlocked, state != .closed {
      switch transport.send(output.readable) {
      case .bytes(let count):
        worker.counters.add(.responseBytes, count)
        sent &+= count
        output.consume(count)
        if !isFlushed { block() }
      case .wouldBlock: block()
      case .end, .broken: close()
      }
    }
    return !isBlocked && state != .closed
  }

  private func block() {
    isBlocked = true
    // A client that is told to leave is not waited for as long as one that is served.
    sendDue =
      loop.now
      + (session.end == nil ? worker.options.sendTimeout : ServerOptions.lingerTimeout)
    if worker.options.minSendRate != nil { beginPace() }
    noteDeadline(sendDue)
  }

  /// What the client has taken of all that was sent to it.
  var takenBytes: Int { sent - loop.unacknowledged(transport.socket) }

  // MARK: Deadlines

  func noteDeadline(_ instant: Instant) {
    // A timer that fires earlier will look again; one that fires later is of no use.
    if instant < timerDue {
      timerDue = instant
      loop.setTimer(handle, tag: Tag.timer, at: instant)
    }
  }

  /// No stream is open.
  func noteIdle() {
    idleDue = loop.now + worker.options.idleTimeout
    noteDeadline(idleDue)
  }

  /// A stream has bytes to send, for which its client may have no window.
  func noteStreamDue() { noteDeadline(loop.now + streamPause) }

  private func checkDeadlines() {
    let now = loop.now
    if state == .lingering { return now >= sendDue ? close() : noteDeadline(sendDue) }
    var next = Instant.never
    if isBlocked {
      if now >= sendDue {
        if session.end == nil { worker.counters.add(.timeoutClientSend) }
        return close()
      }
      next = sendDue
    }
    if let rate = worker.options.minSendRate, pace.isWaiting {
      if pace.isTooSlow(for: rate, at: now, taken: takenBytes) {
        worker.counters.add(.connectionTooSlow)
        transport.abort()
        return close()
      }
      next = min(next, pace.due(at: now))
    }
    if now >= headDue {
      worker.counters.add(.timeoutClientHeader)
      session.calmDown(.slow)
      gaveUp(.slow)
      return flush()
    }
    if now >= lastCallDue { takeNoMore() }
    if openStreams == 0 {
      if now >= idleDue {
        worker.counters.add(.timeoutClientIdle)
        takeNoMore()
        idleDue = .never
      }
      next = min(next, idleDue)
    } else {
      next = min(next, resetStalled(now), checkBodies(now))
    }
    noteDeadline(min(next, headDue, lastCallDue))
    flush()
  }

  // MARK: The end

  override func drain() {
    guard state == .open else { return }
    keepAlive = false
    if openStreams == 0 {
      takeNoMore()
    } else {
      // Requests that are on their way are still taken (RFC 9113, section 6.8).
      session.announceEnd()
      lastCallDue = loop.now + ServerOptions.http2LastCall
      noteDeadline(lastCallDue)
    }
    flush()
  }

  private func takeNoMore() {
    lastCallDue = .never
    if hasTakenLast { return }
    hasTakenLast = true
    session.takeNoMore()
  }

  /// The session has ended before its time: nobody is answered any more, and the client is told why.
  private func gaveUp(_ end: SessionEnd) {
    if hasGivenUp { return }
    hasGivenUp = true
    hasTakenLast = true
    headDue = .never
    if case .flood(let frame) = end { worker.counters.add(.flood(frame)) }
    closeStreams()
    if isBlocked { block() }
  }

  private func linger() {
    guard state == .open else { return }
    closeStreams()
    state = .lingering
    transport.shutdownWrite()
    sendDue = loop.now + ServerOptions.lingerTimeout
    noteDeadline(sendDue)
    dropInput()
  }

  private func dropInput() {
    while state == .lingering {
      switch receive(ServerOptions.http2InputBytes) {
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
    if openStreams == 0 && isFlushed { transport.sayEnd() }
    state = .closed
    transport.close(handle)
    worker.connectionClosed(handle)
    closeStreams()
    // They hold each other.
    session.delegate = nil
    if let output, output.isEmpty { supplies.giveBack(output) }
    output = nil
  }
}
