internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP2
internal import Telemetry

/// The body of a request, as far as it has arrived and has not been pulled.
///
/// What waits here is bounded by the stream's window, and all of a connection's by the connection's.
final class HTTP2Body {
  var bytes = ByteBuffer(capacity: 16 << 10)
  /// Whether the handler wants it; else it is dropped.
  var isTaken = false
  var hasEnded = false
  /// Whether the client waits for a 100 before it sends it (RFC 9110, 10.1.1).
  var awaitsContinue = false
  /// Whether who takes it has found nothing and waits to be told.
  var isMissed = false
  /// When the client has kept it waiting too long.
  var due = Instant.never
  /// Why there is no more of it.
  var fault: Fault?
}

/// Requests' bodies, pulled by who has taken them: what is pulled opens the client's windows again.
extension HTTP2Connection {
  func takeBody(_ stream: ClientStream) {
    guard let body = places[stream.place].body else { return }
    body.isTaken = true
    body.isMissed = true
    // Never from within the handler, which looks at the head now.
    tell(stream.place)
  }

  func pullBody(_ stream: ClientStream, into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    guard let body = places[stream.place].body, body.isTaken else { return .pause }
    if let fault = body.fault { return .broken(fault) }
    let id = places[stream.place].id
    if !body.bytes.isEmpty {
      let count = min(body.bytes.count, room.count)
      body.bytes.withReadable { bytes in
        unsafe bytes.extracting(0..<count).withUnsafeBytes { unsafe room.copyMemory(from: $0) }
      }
      body.bytes.consume(count)
      session.bodyTaken(id, count, staysOpen: !body.hasEnded)
      flushSoon()
      return .bytes(count)
    }
    if body.hasEnded { return .end }
    if body.awaitsContinue {
      body.awaitsContinue = false
      if stream.isUntouched { session.tellToContinue(id) }
      flushSoon()
    }
    // Who asks again gives the client no more time.
    if !body.isMissed {
      body.isMissed = true
      body.due = loop.now + worker.options.bodyTimeout
      noteDeadline(body.due)
    }
    return .pause
  }

  func bodyArrived(_ place: Int, _ bytes: RawSpan) {
    guard places[place].stream != nil, let body = places[place].body, body.isTaken,
      body.fault == nil
    else {
      // Nobody reads it: the stream's window closes, the connection's stays open for others.
      session.bodyTaken(places[place].id, bytes.byteCount, staysOpen: false)
      return
    }
    body.awaitsContinue = false
    body.bytes.append(bytes)
    tell(place)
  }

  func bodyEnded(_ place: Int) {
    places[place].isRequestEnded = true
    places[place].body?.hasEnded = true
    tell(place)
  }

  /// Lets who waits for a body know, once the session is at rest.
  private func tell(_ place: Int) {
    guard let body = places[place].body, body.isMissed else { return }
    body.isMissed = false
    body.due = .never
    told.append(places[place].id)
    tellSoon()
  }

  /// Tells those whose bodies can be pulled; streams are named by their number, since their places may be
  /// others' by now.
  func tellBodies() {
    guard !told.isEmpty else { return }
    var due: [Int32] = []
    swap(&due, &told)
    for place in places.indices where due.contains(places[place].id) {
      if let stream = places[place].stream, stream.phase != .finished {
        stream.responder?.bodyReadable()
      }
    }
  }

  /// Ends the wait for bodies that do not come, or are of no use; when to look again.
  func checkBodies(_ now: Instant) -> Instant {
    var next = Instant.never
    for place in places.indices where places[place].stream != nil {
      if now >= places[place].lingerDue {
        session.reset(places[place].id, .noError)
        places[place].lingerDue = .never
      }
      next = min(next, places[place].lingerDue)
      guard let body = places[place].body, body.isMissed else { continue }
      if now >= body.due {
        worker.counters.add(.timeoutClientBody)
        body.fault = Fault(.timeout, .client)
        tell(place)
      } else {
        next = min(next, body.due)
      }
    }
    return next
  }

  /// The stream is no more: what of its body nobody has pulled no longer counts against the connection.
  func dropBody(_ place: Int) {
    guard let body = places[place].body else { return }
    places[place].body = nil
    if !body.bytes.isEmpty {
      session.bodyTaken(places[place].id, body.bytes.count, staysOpen: false)
    }
  }
}
