internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import System
internal import Telemetry

/// Where the body of the request that is being answered stands.
struct RequestBody {
  var reader = BodyReader(.none)
  /// Bytes of body at the front of the input.
  var available = 0
  /// Whether the handler wants it; else it is read by nobody, and what follows it cannot be told from it.
  var isTaken = false
  /// Whether the client waits for a 100 before it sends it (RFC 9110, 10.1.1).
  var awaitsContinue = false
  /// Whether the connection may be used again once it has been read.
  var mayStay = false
  /// Whether who takes it has found nothing and waits to be told.
  var isMissed = false
  /// When the client has kept it waiting too long.
  var due = Instant.never
  /// Why there is no more of it.
  var fault: Fault?

  /// Whether its last byte has been pulled.
  var hasEnded: Bool { available == 0 && reader.isComplete }
}

/// A request's body, pulled from the socket by who has taken it.
///
/// Nothing is read ahead of a pull but what arrived with the head: a client waits where its body's sink does.
extension ClientConnection {
  /// Whether the socket's bytes belong to a body that somebody pulls.
  var hasBodyDue: Bool { body.isTaken && !body.hasEnded && body.fault == nil }

  /// Makes ready for the body behind a head; until it has been read the connection is not to be used again.
  func beginBody() {
    body = RequestBody()
    body.reader = BodyReader(.ofRequest(head))
    body.awaitsContinue = head.expectsContinue
    body.mayStay = keepAlive
    keepAlive = false
    stream.requestBody = head.isChunked ? .unknown : .known(head.contentLength ?? 0)
  }

  /// Tells who has taken the body that it may be pulled.
  func bodyBecameReadable() {
    guard state == .answering, body.isTaken else { return }
    body.isMissed = false
    stream.responder?.bodyReadable()
  }

  func pullBody(into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    // While the handler looks at the head, the input is its.
    guard state == .answering, body.isTaken, !isHandling else { return .pause }
    if let fault = body.fault { return .broken(fault) }
    if body.hasEnded { return .end }
    if body.awaitsContinue { giveContinue() }
    var written = 0
    while state == .answering && written < room.count {
      decodeBody()
      let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: room[written...])
      let count = body.available > 0 ? unsafe copyBody(to: rest) : unsafe receiveBody(into: rest)
      if count == 0 { break }
      written += count
    }
    if written == 0, peerEnded, hasBodyDue { close() }
    // Then who pulls has been told by `aborted`.
    guard state == .answering else { return .broken(Fault(.closed, .client)) }
    if body.hasEnded { bodyEnded() }
    if written > 0 { return .bytes(written) }
    if body.hasEnded { return .end }
    if let fault = body.fault { return .broken(fault) }
    // From the first time on: who asks again meanwhile does not give the client more time.
    if !body.isMissed { body.due = loop.now + worker.options.bodyTimeout }
    body.isMissed = true
    // A client that takes nothing of its answer has the deadline of that.
    if !isBlocked { setDeadline(body.due) }
    return .pause
  }

  /// The client may send its body now.
  private func giveContinue() {
    body.awaitsContinue = false
    // Who has begun to send it, or has an answer, needs no word.
    guard input.isEmpty, stream.isUntouched else { return }
    stream.output.append("HTTP/1.1 100 Continue\r\n\r\n")
    flush()
  }

  /// Makes bytes of body stand at the front of the input, as far as they have arrived.
  private func decodeBody() {
    while body.available == 0, body.fault == nil, !body.reader.isComplete {
      if input.isEmpty {
        // Chunks are told from their framing in the input; all other bytes go straight to their room.
        guard body.reader.framing == .chunked, hasUnread else { return }
        hasUnread = false
        receive()
        guard state == .answering, !input.isEmpty else { return }
      }
      switch input.withReadable({ body.reader.read($0) }) {
      case .needMore(let consumed): input.consume(consumed)
      case .data(let skip, let count):
        input.consume(skip)
        body.available = count
      case .end(let consumed): input.consume(consumed)
      case .malformed:
        worker.counters.add(.refusal(status: 400))
        body.fault = Fault(.malformed, .client)
      }
    }
  }

  private func copyBody(to room: UnsafeMutableRawBufferPointer) -> Int {
    let count = min(body.available, room.count)
    input.withReadable { bytes in
      unsafe bytes.extracting(0..<count).withUnsafeBytes { unsafe room.copyMemory(from: $0) }
    }
    input.consume(count)
    body.available -= count
    return count
  }

  /// Receives body into its sink's own room, without a copy.
  private func receiveBody(into room: UnsafeMutableRawBufferPointer) -> Int {
    guard hasUnread, input.isEmpty, let remaining = body.reader.remainingBytes, remaining > 0 else {
      return 0
    }
    let offered = Int(min(Int64(room.count), remaining))
    let place = unsafe UnsafeMutableRawBufferPointer(rebasing: room[..<offered])
    switch unsafe transport.receive(into: place) {
    case .bytes(let count):
      worker.counters.add(.requestBytes, count)
      // With the end behind them, bytes are read up to it: it is not told again.
      if count < offered && !endIsNear { hasUnread = false }
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: place[..<count])
      // No more than the framing leaves were asked for: all of them are body.
      _ = unsafe body.reader.read(RawSpan(_unsafeBytes: bytes))
      return count
    case .wouldBlock: hasUnread = false
    case .end: peerEnded = true
    case .broken: close()
    }
    return 0
  }

  /// The last byte has been pulled: what follows is another request.
  private func bodyEnded() {
    // An answer that has begun has told the client already that the connection ends.
    if stream.isUntouched { keepAlive = body.mayStay && !worker.isDraining }
    if hasUnread { bodySoon() }
  }

  /// Looks at the socket once the body has been pulled: its end would not be told again.
  func readBehindBody() {
    guard state == .answering, hasUnread, body.hasEnded else { return }
    hasUnread = false
    becameReadable()
  }
}
