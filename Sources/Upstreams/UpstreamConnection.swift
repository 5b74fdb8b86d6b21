internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import System
internal import TLS
internal import Telemetry

/// A connection to an upstream server: one request at a time, kept between them.
///
/// It reports to its call and never from within `begin`'s caller's `start`. One deadline is kept at a
/// time; the timer behind it is set again only when it fires. What `close` leaves alone are the
/// buffers: a consumer may cancel while it looks into them.
final class UpstreamConnection: EventHandler {
  enum State {
    case connecting
    /// Connected; who is there is being found out.
    case handshaking
    case idle
    /// The request is being sent, or an answer's head is awaited.
    case waiting
    case body
    case closed
  }

  enum Tag {
    static let timer: UInt32 = 0
    static let resume: UInt32 = 1
    static let body: UInt32 = 2
  }

  let server: UpstreamServer
  let pool: UpstreamPool
  let loop: Loop
  private(set) var call: UpstreamCall?
  private(set) var state = State.connecting
  private var socket: Int32 = -1
  var transport: UpstreamTransport
  private(set) var handle = Handle.none
  var output = ByteBuffer(capacity: 1024)
  /// Present until all of the request's body has been sent, or no more of it is.
  var sender: BodySender?
  /// Whether the server may wait for the rest of a request that will not come.
  var isSpoilt = false
  private(set) var input = ByteBuffer(capacity: UpstreamOptions.inputBytes)
  private var parser = ResponseParser()
  private var head = ResponseHead()
  private var reader = BodyReader(.none)
  var deadline = Instant.never
  var timerDue = Instant.never
  /// When the present wait for the server began: with the last byte that came, or that it took.
  var waitBegan = Instant.zero

  /// Whether an answer has been taken from this connection before.
  private var isReused = false
  /// Whether a byte of the present answer has come.
  var hasFirstByte = false
  private var interimHeads = 0
  /// The socket may hold bytes, or its end: nothing has said otherwise since the last event.
  ///
  /// A short read does not: the end may stand right behind it, told in the same event.
  var isReadable = false
  private var peerEnded = false
  /// What ended the answer, to be told once the bytes before it have been given.
  private var bodyFault: Fault?
  /// Bytes of body at the front of `input`.
  private var available = 0
  private(set) var isPaused = false
  private var isResumePromised = false
  var isSendPromised = false
  /// Bytes received in this turn.
  private var turnBytes = 0
  /// Begun anew where the consumer has had no room.
  var pace = BodyPace(at: .zero)
  /// Bytes of the present answer's body that have come, until they convince.
  private var bodyBytes: Int64 = 0

  init(_ pool: UpstreamPool, _ server: UpstreamServer) {
    self.pool = pool
    self.server = server
    loop = pool.loop
    transport = UpstreamTransport(pool.loop, socket: -1, tls: nil)
  }

  // MARK: A request's begin and end

  /// Takes a request on: connects first where this is a new connection.
  func begin(_ call: UpstreamCall) {
    self.call = call
    pool.counters.adjust(.upstreamConnectionsBusy, by: 1)
    hasFirstByte = false
    interimHeads = 0
    bodyFault = nil
    available = 0
    isPaused = false
    isResumePromised = false
    bodyBytes = 0
    sender = call.body.map {
      BodySender($0, call.request.body, awaitsContinue: call.request.expectsContinue)
    }
    guard
      call.request.write(
        for: server, isStranger: call.asksLastResort, keepAlive: pool.options.idlePerServer > 0,
        to: &output)
    else {
      fail(Fault(.malformed, .own))
      return
    }
    if state == .connecting { connect() } else { send() }
  }

  private func connect() {
    do throws(Fault) {
      let tls = try pool.tlsStream(to: server)
      (socket, handle) = try loop.connect(to: server.address, self)
      transport = UpstreamTransport(loop, socket: socket, tls: tls)
      pool.counters.add(.upstreamConnectionOpened)
      setTryDeadline(pool.options.connectTimeout)
    } catch {
      let isOwn =
        error.errno == SystemError.tooManyFiles || error.errno == SystemError.tooManyFilesInSystem
      fail(isOwn ? Fault(.exhausted, .own, errno: error.errno) : error)
    }
  }

  func send() {
    if state != .idle { call?.connected() }
    state = .waiting
    setTryDeadline(pool.options.firstByteTimeout)
    sendMore()
  }

  /// The answer is complete: keeps or closes the connection, then tells.
  private func finish() {
    let lengthKnown = reader.framing != .untilClose
    let call = call
    self.call = nil
    let isReusable =
      head.keepAlive && lengthKnown && !peerEnded && input.isEmpty && output.isEmpty
      && sender == nil && !isSpoilt && !transport.hasUnread && !transport.holdsOutput
    pool.counters.adjust(.upstreamConnectionsBusy, by: -1)
    state = .idle
    isReused = true
    // Of those that were made for one request each, more than one would be kept for nobody.
    let isSpare = (call?.needsOwnConnection ?? false) && pool.idleCount(server) > 0
    if isReusable && !isSpare && pool.keep(self) {
      setDeadline(loop.now + pool.options.idleTimeout)
    } else {
      close()
    }
    call?.finished(lengthKnown: lengthKnown, streamError: reader.trailer(.xStreamError))
  }

  func fail(_ fault: Fault) {
    let stage: RetryPolicy.Stage =
      switch state {
      case .connecting, .handshaking: .connecting
      case .body: .handedOver
      case .idle, .waiting, .closed: hasFirstByte ? .answering : .waiting(reused: isReused)
      }
    let call = call
    close()
    call?.tryFailed(fault, at: stage)
  }

  /// Nobody wants the answer any more.
  func abandon() { close() }

  /// Closes at once and forgets the call.
  func close() {
    guard state != .closed else { return }
    if call != nil { pool.counters.adjust(.upstreamConnectionsBusy, by: -1) }
    if state == .idle { transport.sayEnd() }
    state = .closed
    call = nil
    if handle != .none { loop.close(socket, handle) }
  }

  // MARK: Events

  override func ready(_ readiness: Readiness) {
    if readiness.contains(.readable) || readiness.contains(.hungUp) { isReadable = true }
    switch state {
    case .closed: return
    case .connecting:
      if readiness.contains(.writable) { connected() }
    case .handshaking:
      if readiness.contains(.writable) { _ = push() }
      if isReadable && state == .handshaking { shakeHands() }
    case .idle:
      if isReadable && !isStillIdle() {
        pool.drop(self)
        close()
      }
      return
    case .waiting, .body:
      if readiness.contains(.writable) { sendMore() }
    }
    // Last: the connection may be another call's after it. A promise to read is its turn.
    if isReadable && !isResumePromised { read() }
  }

  private func connected() {
    let error = loop.pendingError(socket)
    if error != 0 {
      fail(Fault(.connect, .upstream, retry: .yes, errno: error))
    } else if server.peer != nil {
      state = .handshaking
      beginHandshake()
    } else {
      send()
    }
  }

  override func deadline(_ tag: UInt32) {
    switch tag {
    case Tag.resume:
      guard isResumePromised else { return }
      isResumePromised = false
      if isPaused {
        isPaused = false
        pace = BodyPace(at: loop.now)
        awaitBytes()
      }
      read()
    case Tag.body:
      guard isSendPromised else { return }
      isSendPromised = false
      if state == .waiting || state == .body { sendMore() }
    default:
      timerFired()
    }
  }

  /// The consumer has room again; it is asked at the end of the turn.
  func resume() {
    guard state == .body, !isResumePromised else { return }
    isResumePromised = true
    loop.soon(self, tag: Tag.resume)
  }

  // MARK: Reading

  func readWhatIsThere() {
    isReadable = true
    if !isResumePromised { read() }
  }

  private func read() {
    turnBytes = 0
    if state == .waiting { readHead() }
    if state == .body { readBody() }
  }

  func receive() -> IOResult {
    var result = IOResult.wouldBlock
    _ = unsafe input.fill(atLeast: UpstreamOptions.inputBytes / 2) { tail in
      result = unsafe transport.receive(into: tail)
      if case .bytes(let count) = result { return count }
      return 0
    }
    return result
  }

  private func readHead() {
    while state == .waiting && isReadable {
      switch receive() {
      case .bytes:
        if !hasFirstByte {
          hasFirstByte = true
          call?.heard()
          // For all of the head: who gives a byte at a time does not hold a request for ever.
          awaitBytes()
        }
        parseHead()
      case .wouldBlock: isReadable = false
      case .end: fail(Fault(.closed, .upstream, retry: .ifReused))
      case .broken(let error): fail(Fault(.reset, .upstream, retry: .ifReused, errno: error))
      }
    }
  }

  /// Parses what has arrived, past interim heads, and hands the final head over.
  private func parseHead() {
    while state == .waiting {
      switch parser.parse(input.readable, into: &head) {
      case .needMore: return
      case .refused: fail(Fault(.malformed, .upstream))
      case .complete(let count):
        parser.reset()
        if head.status >= 200 {
          handOver(count)
          return
        }
        input.consume(count)
        interimHeads += 1
        // No request asks for another protocol.
        if head.status == 101 || interimHeads > UpstreamOptions.interimHeads {
          fail(Fault(.malformed, .upstream))
          return
        }
        // The answer itself is still to come.
        hasFirstByte = false
        if head.status == 100 { continueBody() }
        if input.isEmpty && !isSendingBody { setTryDeadline(pool.options.firstByteTimeout) }
      }
    }
  }

  private func handOver(_ count: Int) {
    guard let call else { return }
    state = .body
    pace = BodyPace(at: loop.now)
    reader = BodyReader(.ofResponse(head, requestMethod: call.request.method))
    // An answer before the request's end: what the server does with the rest is open.
    if !output.isEmpty || sender != nil { head.keepAlive = false }
    // Who refuses does not want the rest, and who was asked first has not said that it wants any.
    if sender != nil, head.status >= 300 || awaitsContinue {
      stopSending()
      // The client's deadline for its body counts no more.
      setDeadline(loop.now + pool.options.betweenBytesTimeout)
    }
    call.received(head, text: input.readable.extracting(0..<count), from: server)
    if state == .body { input.consume(count) }
  }

  // MARK: Reading a body

  /// Gives body to the consumer for as long as there is some, there is room, and it is our turn.
  private func readBody() {
    var received = turnBytes
    while state == .body {
      if !isPaused { decode() }
      if available == 0 {
        if reader.isComplete || (peerEnded && reader.framing == .untilClose) {
          finish()
          return
        }
        if let bodyFault {
          fail(bodyFault)
          return
        }
      }
      if isPaused { return }
      if turnBytes > received {
        let count = turnBytes - received
        received = turnBytes
        if !reader.isComplete && isTooSlow(after: count) { return }
        awaitBytes()
      }
      if available == 0 && !isReadable { return }
      if turnBytes >= UpstreamOptions.bytesPerTurn {
        resume()
        return
      }
      offerBody()
    }
  }

  private func offerBody() {
    var written = 0
    let hasRoom =
      unsafe call?.takeBody { room in
        let count = unsafe give(room)
        written += count
        return count
      } ?? false
    guard state == .body else { return }
    note(bytes: Int64(written))
    // A consumer that leaves what is there has no room, whatever it says.
    let isLeft = written == 0 && bodyFault == nil && (available > 0 || isReadable)
    if !hasRoom || isLeft {
      isPaused = true
      setDeadline(.never)
    }
  }

  /// Tells the call once that so much has come that the server does well.
  private func note(bytes: Int64) {
    let isNews = bodyBytes < UpstreamOptions.convincingBytes
    bodyBytes += bytes
    if isNews && bodyBytes >= UpstreamOptions.convincingBytes { call?.convinced() }
  }

  /// Fills the consumer's room with body; returns how many bytes it wrote.
  private func give(_ room: UnsafeMutableRawBufferPointer) -> Int {
    var written = 0
    while state == .body && written < room.count {
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[written...])
      if available > 0 {
        let count = min(available, rest.count)
        unsafe copy(input.readable, count, to: rest)
        input.consume(count)
        available -= count
        written += count
        decode()
      } else if input.isEmpty && mayReceive && reader.framing != .chunked {
        written += unsafe receiveDirectly(rest)
      } else {
        break
      }
    }
    return written
  }

  private func copy(_ bytes: RawSpan, _ count: Int, to room: UnsafeMutableRawBufferPointer) {
    unsafe bytes.extracting(0..<count).withUnsafeBytes { unsafe room.copyMemory(from: $0) }
  }

  private var mayReceive: Bool {
    isReadable && bodyFault == nil && !peerEnded && !reader.isComplete
      && turnBytes < UpstreamOptions.bytesPerTurn
  }

  /// Receives body into the consumer's own room, without a copy.
  private func receiveDirectly(_ room: UnsafeMutableRawBufferPointer) -> Int {
    let most = min(Int64(room.count), reader.remainingBytes ?? .max)
    let place = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<Int(most)])
    switch unsafe transport.receive(into: place) {
    case .bytes(let count):
      turnBytes += count
      // No more than the framing leaves were asked for: all of them are body.
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: place[..<count])
      _ = unsafe reader.read(RawSpan(_unsafeBytes: bytes))
      return count
    case let other:
      noteEnd(other)
      return 0
    }
  }

  /// Makes bytes of body stand at the front of `input`, receiving framing where it hides them.
  private func decode() {
    while available == 0 && bodyFault == nil && !reader.isComplete {
      if input.isEmpty {
        guard reader.framing == .chunked, mayReceive else { return }
        let result = receive()
        if case .bytes(let count) = result { turnBytes += count } else { noteEnd(result) }
        continue
      }
      switch reader.read(input.readable) {
      case .needMore(let consumed): input.consume(consumed)
      case .data(let skip, let count):
        input.consume(skip)
        available = count
      case .end(let consumed): input.consume(consumed)
      case .malformed: bodyFault = Fault(.malformed, .upstream)
      }
    }
  }

  /// Remembers why there are no more bytes now; what came before is given first.
  private func noteEnd(_ result: IOResult) {
    isReadable = false
    switch result {
    case .bytes, .wouldBlock: break
    case .end:
      peerEnded = true
      if reader.framing != .untilClose { bodyFault = Fault(.closed, .upstream) }
    case .broken(let error): bodyFault = Fault(.reset, .upstream, errno: error)
    }
  }
}
