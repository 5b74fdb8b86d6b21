internal import Base
internal import EventLoop
internal import HTTP2
internal import Telemetry

/// Streams whose clients open their windows too late, or too slowly.
///
/// A stream waits for its client where it has bytes, or only its end, and no window. It is seen whenever the connection looks at its
/// deadlines: one that waits both times, never had nothing to give in between, and gave too little, has a slow client.
/// Where what all streams share is the bound, the connection's window or its socket, the connection is judged as
/// a whole, and no stream for what others took.
extension HTTP2Connection {
  /// How long streams may be left unseen.
  var streamPause: Interval {
    worker.options.minSendRate == nil
      ? worker.options.sendTimeout : min(worker.options.sendTimeout, SendRate.window)
  }

  /// Ends such streams; when to look again.
  func resetStalled(_ now: Instant) -> Instant {
    var next = now + streamPause
    let isHeldUp = session.isStalled
    // Streams are served in the order that their client wishes: where the connection's window moves one of them, the
    // others only wait for their turn.
    let lastMoved = isHeldUp ? places.reduce(Instant.zero) { max($0, $1.moved) } : .zero
    for place in places.indices {
      guard let stream = places[place].stream, places[place].owesEnd, !isBlocked,
        isHeldUp || session.isStalled(places[place].id)
      else {
        places[place].paceSince = .never
        continue
      }
      let due = max(places[place].moved, lastMoved) + worker.options.sendTimeout
      if now >= due {
        worker.counters.add(.timeoutClientSend)
        session.reset(places[place].id, .cancel)
        places[place].moved = now
      } else if let rate = worker.options.minSendRate, !isHeldUp,
        isTooSlow(place, stream, rate, now)
      {
        worker.counters.add(.connectionTooSlow)
        session.reset(places[place].id, .cancel)
        places[place].moved = now
      } else {
        if isHeldUp { places[place].paceSince = .never }
        let since = places[place].paceSince
        next = min(next, due, since == .never ? .never : since + SendRate.window)
      }
    }
    return next
  }

  private func isTooSlow(
    _ place: Int, _ stream: ClientStream, _ rate: SendRate, _ now: Instant
  ) -> Bool {
    // A small body counts as given before it is.
    let taken = stream.bodyBytes - Int64(stream.output.count)
    let since = places[place].paceSince
    if since != .never, !places[place].hadNothing {
      let time = now - since
      if time < SendRate.window { return false }
      if rate.isAbove(Int(clamping: taken - places[place].paceBefore), in: time),
        !isBusy(since: places[place].takenBefore, rate, in: time)
      {
        return true
      }
    }
    places[place].paceSince = now
    places[place].paceBefore = taken
    places[place].takenBefore = takenBytes
    places[place].hadNothing = false
    return false
  }

  /// Whether the network is the bound: bytes are on their way, and all streams together are fast enough.
  private func isBusy(since before: Int, _ rate: SendRate, in time: Interval) -> Bool {
    loop.unacknowledged(transport.socket) > 0 && !rate.isAbove(takenBytes - before, in: time)
  }

  /// Notes whether bytes wait for the connection's window, which holds up all streams.
  ///
  /// Its client's pace is then watched as that of one whose socket is full.
  func watchWindow() {
    if isBlocked { return }
    let isHeldUp =
      session.isStalled
      && places.contains { $0.stream != nil && $0.owesEnd }
    if isHeldUp {
      beginPace()
    } else {
      pace.ended(at: loop.now)
    }
  }

  /// Bytes wait for the client from now on, if they have not before.
  func beginPace() {
    pace.began(at: loop.now, taken: takenBytes)
    noteDeadline(pace.due(at: loop.now))
  }
}
