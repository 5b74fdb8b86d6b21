internal import Base
internal import EventLoop
internal import HTTP
internal import Server
internal import System
internal import Telemetry

extension Exchange.Outcome {
  var name: StaticString {
    switch self {
    case .none: "none"
    case .hit: "hit"
    case .miss: "miss"
    case .collapsed: "collapsed"
    case .partial: "partial"
    case .bypass: "bypass"
    case .error: "error"
    }
  }

  var counter: Counter {
    switch self {
    case .none: .requestNone
    case .hit: .requestHit
    case .miss: .requestMiss
    case .collapsed: .requestCollapsed
    case .partial: .requestPartial
    case .bypass: .requestBypass
    case .error: .requestError
    }
  }
}

extension Exchange {
  /// Counts the exchange and writes its line.
  func log(_ stream: ClientStream) {
    let counters = worker.counters
    let now = worker.loop.now
    counters.add(outcome.counter)
    if outcome == .hit {
      counters.add(.bodyBytesCached, Int(stream.bodyBytes))
      counters.observe(.requestHit, now - stream.started)
      counters.observe(.firstByteHit, stream.firstByte - stream.started)
    } else if outcome != .none && stream.requestBody == .absent {
      counters.add(.bodyBytesFetched, Int(stream.bodyBytes))
      // How long a body takes is its client's to say.
      counters.observe(.requestMiss, now - stream.started)
      counters.observe(.firstByteMiss, stream.firstByte - stream.started)
    }
    if worker.accessLog != nil { writeLine(stream, now) }
  }

  private func writeLine(_ stream: ClientStream, _ now: Instant) {
    let client = clientAddress(stream)
    let server = Array(server.utf8)
    text.withReadable { text in
      let method = method.text
      let methodBytes = unsafe RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(
          start: method.utf8Start, count: method.utf8CodeUnitCount))
      let entry = AccessLogEntry(
        time: WallTime(
          seconds: worker.loop.wallSeconds, milliseconds: worker.loop.wallMilliseconds),
        duration: now - stream.started, client: client.rawBytes, method: methodBytes,
        target: text.bytes(target), version: version.text, status: stream.status,
        bytesSent: Int(stream.bodyBytes), cache: outcome.name, reason: reason,
        upstream: server.rawBytes, referer: text.bytes(referer), userAgent: text.bytes(userAgent))
      worker.accessLog?.append(entry)
    }
  }
}

extension Exchange {
  /// Who asks: what a trusted proxy says, else the peer.
  func clientAddress(_ stream: ClientStream) -> [UInt8] {
    Array((client.map { "\($0)" } ?? stream.peer.host).utf8)
  }
}

extension Version {
  fileprivate var text: StaticString {
    switch self {
    case .http10: "HTTP/1.0"
    case .http11: "HTTP/1.1"
    case .http2: "HTTP/2.0"
    }
  }
}
