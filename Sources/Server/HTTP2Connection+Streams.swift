internal import Base
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import HTTP2
internal import System
internal import Telemetry

// MARK: - What the session tells

extension HTTP2Connection: ServerSessionDelegate {
  func requestArrived(_ id: Int32, _ text: RawSpan, hasBody: Bool) -> Int? {
    // Behind the last stream of a GOAWAY that may not have gone yet, the client is told that nothing was done.
    guard state == .open, !hasTakenLast else { return nil }
    let place = takePlace()
    let stream = supplies.takeStream(peer: peer, isSecure: transport.isSecure)
    stream.isPeerUnnamed = isPeerUnnamed
    stream.tls = tls
    stream.http2 = self
    stream.place = place
    places[place] = Place(
      stream: stream, id: id, moved: loop.now, isRequestEnded: !hasBody)
    openStreams += 1
    worker.counters.add(.http2Stream)
    if openStreams == 1 { noteStreamDue() }
    answer(stream, text, hasBody: hasBody)
    return place
  }

  private func answer(_ stream: ClientStream, _ text: RawSpan, hasBody: Bool) {
    supplies.parser.reset()
    let outcome =
      text.byteCount == 0
      ? .refused(Refusal(431, "The head is too large."))
      : supplies.parser.parse(text, into: &supplies.head)
    switch outcome {
    case .complete:
      supplies.head.version = .http2
      // A body of unknown length, which HTTP/1.1 would have in chunks.
      if hasBody && supplies.head.contentLength == nil { supplies.head.isChunked = true }
      stream.begin(supplies.head, at: loop.now)
      if hasBody {
        let body = HTTP2Body()
        body.awaitsContinue = supplies.head.expectsContinue
        places[stream.place].body = body
        stream.requestBody = supplies.head.contentLength.map(BodyLength.known) ?? .unknown
      }
      worker.handler.handle(supplies.head, text: text, on: stream)
    case .refused(let refusal): refuse(refusal, stream)
    case .needMore: refuse(Refusal(400, "The head is malformed."), stream)
    }
  }

  private func refuse(_ refusal: Refusal, _ stream: ClientStream) {
    supplies.head.reset()
    supplies.head.version = .http2
    stream.begin(supplies.head, at: loop.now)
    worker.counters.add(.refusal(status: refusal.status))
    worker.handler.refuse(refusal, on: stream)
  }

  private func takePlace() -> Int {
    if let place = freePlaces.popLast() { return place }
    places.append(Place())
    return places.count - 1
  }

  func fill(_ place: Int, _ room: UnsafeMutableRawBufferPointer) -> Filling {
    guard let stream = places[place].stream, !places[place].isBroken else { return .broken }
    filling = unsafe FrameRoom(place: place, room)
    defer { filling = nil }
    takeStaged(stream)
    if let filling, !filling.isFull, stream.phase == .body {
      if direct == nil {
        stream.responder?.writable()
        takeStaged(stream)
      } else if direct?.place == place {
        takeDirect()
      } else {
        // Whoever offers now stands in the middle of its work, and others are not asked meanwhile.
        noteResume(place)
      }
    }
    let count = filling?.count ?? 0
    if places[place].isBroken { return .broken }
    if count > 0 { places[place].moved = loop.now }
    if stream.phase == .finished && stream.output.isEmpty { return .last(count) }
    if count == 0 { places[place].hadNothing = true }
    return count > 0 ? .bytes(count) : .wait
  }

  func answerSent(_ place: Int) {
    places[place].owesEnd = false
    guard !places[place].isRequestEnded else { return }
    // What the client still sends of its request is of no use (RFC 9113, section 8.1). Some clients see no
    // answer where their sending is stopped at once: what a window holds is let through, for a while.
    places[place].lingerDue = loop.now + ServerOptions.lingerTimeout
    noteDeadline(places[place].lingerDue)
  }

  func streamClosed(_ place: Int, isComplete: Bool) {
    guard let stream = places[place].stream else { return }
    let hasEnded = stream.phase == .finished && !places[place].isBroken && isComplete
    let wasHandedOut = places[place].isResumed
    places[place].stream = nil
    openStreams -= 1
    dropBody(place)
    // One that is in the list of those to ask again is given away once it has been passed over there.
    if !wasHandedOut { freePlaces.append(place) }
    if openStreams == 0 { noteIdle() }
    release(stream)
    if hasEnded { supplies.giveBack(stream) }
  }

  private func release(_ stream: ClientStream) {
    let responder = stream.responder
    stream.responder = nil
    stream.phase = .finished
    stream.http2 = nil
    responder?.aborted()
  }

  /// Lets go of all streams; those that are being answered learn of it.
  func closeStreams() {
    for place in places.indices {
      guard let stream = places[place].stream else { continue }
      places[place].stream = nil
      openStreams -= 1
      release(stream)
    }
  }

  // MARK: Bytes for a frame

  /// Takes of a small body that waits with its stream.
  private func takeStaged(_ stream: ClientStream) {
    guard var room = filling, !stream.output.isEmpty else { return }
    stream.output.consume(stream.output.withReadable { room.put($0) })
    filling = room
  }

  private func takeDirect() {
    guard var room = filling, var offer = direct else { return }
    offer.move(to: &room)
    filling = room
    direct = offer
  }
}

// MARK: - What streams ask for

extension HTTP2Connection {
  func headEnded(_ stream: ClientStream, hasBody: Bool) {
    let place = stream.place
    places[place].moved = loop.now
    places[place].owesEnd = hasBody
    let id = places[place].id
    let isGiven = stream.output.withReadable { session.respond(id, $0, hasBody: hasBody) }
    stream.output.clear()
    if !isGiven { session.reset(id, .internalError) }
    flushSoon()
  }

  /// Whether a small body may be put beside the head; not for a client that leaves many of them waiting.
  func takesCopies(on stream: ClientStream) -> Bool {
    if filling?.place == stream.place { return true }
    if openStreams <= ServerOptions.http2StagedBodies { return true }
    var staged = 0
    for place in places {
      if let stream = place.stream, !stream.output.isEmpty { staged += 1 }
    }
    if staged < ServerOptions.http2StagedBodies { return true }
    noteResume(stream.place)
    flushSoon()
    return false
  }

  func offer(_ bytes: RawSpan, on stream: ClientStream) -> Offer {
    if var room = filling, room.place == stream.place {
      let taken = room.put(bytes)
      filling = room
      return .taken(taken)
    }
    return unsafe bytes.withUnsafeBytes {
      give(unsafe StreamOffer(place: stream.place, $0))
    }
  }

  func offer(file: Int32, offset: Int64, count: Int, on stream: ClientStream) -> Offer {
    let file = FileReference(descriptor: file)
    if var room = filling, room.place == stream.place {
      guard let taken = room.put(file, at: offset, count) else { return .sourceEnded }
      filling = room
      return .taken(taken)
    }
    return give(StreamOffer(place: stream.place, file, at: offset, count))
  }

  /// Takes of what is offered outside of the session's own asking, as much as can be sent.
  ///
  /// For the rest, or where the session or the socket is busy, `writable` comes.
  private func give(_ offer: StreamOffer) -> Offer {
    let place = offer.place
    guard state == .open else { return .gone }
    if isCorked || isBlocked {
      noteResume(place)
      flushSoon()
      return .taken(0)
    }
    isCorked = true
    direct = offer
    let id = places[place].id
    session.resume(id)
    var before = -1
    while let offer = direct, offer.taken > before, !offer.isOver {
      before = offer.taken
      _ = gather()
      // Where room is not what is missing, the windows are.
      if output?.takesFrame ?? true || !sendOutput() { break }
    }
    let outcome = direct ?? offer
    direct = nil
    isCorked = false
    flushSoon()
    // The stream may have ended meanwhile, or all of them.
    guard state == .open, session.end == nil, places[place].stream != nil, places[place].id == id
    else { return .gone }
    if outcome.sourceEnded && outcome.taken == 0 { return .sourceEnded }
    if outcome.taken < outcome.count { noteResume(place) }
    return .taken(outcome.taken)
  }

  func yield(_ stream: ClientStream) {
    noteResume(stream.place)
    flushSoon()
  }

  func streamFinished(_ stream: ClientStream) {
    worker.counters.addResponse(status: stream.status)
    // While it is asked for bytes, its end is seen by who asks.
    if filling?.place == stream.place { return }
    noteResume(stream.place)
    flushSoon()
  }

  func breakOff(_ stream: ClientStream) {
    let place = stream.place
    if filling?.place == place {
      places[place].isBroken = true
      return
    }
    places[place].isBroken = true
    session.reset(places[place].id, .internalError)
    flushSoon()
  }

  func noteResume(_ place: Int) {
    guard !places[place].isResumed, places[place].stream != nil else { return }
    places[place].isResumed = true
    resumed.append(place)
  }

  /// Has those streams asked again that had nothing to give before.
  func resumeStreams() {
    guard !resumed.isEmpty else { return }
    for place in resumed {
      places[place].isResumed = false
      if places[place].stream != nil {
        session.resume(places[place].id)
      } else {
        freePlaces.append(place)
      }
    }
    resumed.removeAll(keepingCapacity: true)
  }
}
