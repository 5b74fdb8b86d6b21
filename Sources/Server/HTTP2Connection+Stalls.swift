internal import Base
internal import EventLoop
internal import HTTP2
internal import Telemetry

/// Streams whose clients open their windows too late, or too slowly.
///
/// A stream waits for its client where it has bytes and no window. It is seen whenever the connection looks at its
/// deadlines: one that waits both times, never had nothing to give in between, and gave too little, has a slow client.
extension HTTP2Connection {
  /// How long streams may be left unseen.
  var streamPause: Interval {
    worker.options.minSendRate == nil
      ? worker.options.sendTimeout : min(worker.options.sendTimeout, SendRate.window)
  }

  /// Ends such streams; when to look again.
  func resetStalled(_ now: Instant) -> Instant {
    var next = now + streamPause
    for place in places.indices {
      guard let stream = places[place].stream, stream.phase == .body || !stream.output.isEmpty,
        !isBlocked, session.isStalled(places[place].id)
      else {
        places[place].paceSince = .never
        continue
      }
      let due = places[place].moved + worker.options.sendTimeout
      if now >= due {
        worker.counters.add(.timeoutClientSend)
        session.reset(places[place].id, .cancel)
        places[place].moved = now
      } else if let rate = worker.options.minSendRate, isTooSlow(place, stream, rate, now) {
        worker.counters.add(.connectionTooSlow)
        session.reset(places[place].id, .cancel)
        places[place].moved = now
      } else {
        next = min(next, due, places[place].paceSince + SendRate.window)
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
      if rate.isAbove(Int(clamping: taken - places[place].paceBefore), in: time) { return true }
    }
    places[place].paceSince = now
    places[place].paceBefore = taken
    places[place].hadNothing = false
    return false
  }
}
