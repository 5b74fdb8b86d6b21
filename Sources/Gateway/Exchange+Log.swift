internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Server
internal import System
internal import Telemetry
internal import Upstreams

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

extension Exchange.Outcome {
  /// As the families by region have it; nil where no server was needed.
  fileprivate var fetched: FetchOutcome? {
    switch self {
    case .none, .hit: nil
    case .miss: .miss
    case .collapsed: .collapsed
    case .partial: .partial
    case .bypass: .bypass
    case .error: .error
    }
  }
}

extension Exchange {
  /// Counts the exchange and writes its line.
  func log(_ stream: ClientStream, isAborted: Bool = false) {
    let counters = worker.counters
    let now = worker.loop.now
    let duration = now - stream.started
    counters.add(outcome.counter)
    counters.addRequest(hostClass, stream.version.metricClass, isSecure: stream.isSecure)
    if outcome == .hit {
      counters.add(.bodyBytesCached, Int(stream.bodyBytes))
      if duration == .zero {
        worker.turnHits &+= 1
      } else {
        counters.observe(.requestHit, duration)
        // A client that left before had none.
        if stream.status != 0 && stream.firstByte == stream.started {
          worker.turnFirstBytes &+= 1
        } else if stream.status != 0 {
          counters.observe(.firstByteHit, stream.firstByte - stream.started)
        }
      }
    } else if let fetched = outcome.fetched {
      // What the cache could have had: no error pages, and nothing that is never kept. Of what was partly here
      // nobody has counted which bytes were.
      if outcome == .miss || outcome == .collapsed {
        counters.add(.bodyBytesFetched, Int(stream.bodyBytes))
      }
      if regionPlace >= 0 { counters.addRegion(regionPlace, fetched) }
      // How long a body takes is its client's to say.
      if stream.requestBody == .absent {
        counters.observe(.requestMiss, duration)
        // A client that left before had none.
        if stream.status != 0 {
          counters.observe(.firstByteMiss, stream.firstByte - stream.started)
        }
      }
    }
    // A client that takes its time is not what somebody looks for there.
    let isSlow =
      duration >= worker.slowAfter
      && duration >= worker.slowAfter + steps.time(.client, at: now)
    if isSlow { noteSlow(stream, duration, now) }
    guard worker.accessLog != nil else { return }
    // A sample stands for those that nobody would look for.
    let isOrdinary = outcome == .hit && stream.status < 400 && !isSlow && !isAborted
    guard let sample = worker.accessLog?.sample(isOrdinary: isOrdinary) else { return }
    writeLine(stream, now, isAborted: isAborted, sample: sample)
  }

  private func writeLine(_ stream: ClientStream, _ now: Instant, isAborted: Bool, sample: Int) {
    let client = loggedAddress(stream)
    let server = Array(loggedServer.utf8)
    let region = Array(regionName.utf8)
    let tls = stream.tls?.version ?? []
    let cipher = stream.tls?.cipher ?? []
    worker.traceNumber.clear()
    trace?.appendTrace(to: &worker.traceNumber)
    let asksServers = steps.isUsed && outcome.fetched != nil
    let rule = deniedBy.flatMap { worker.gateway.options.denials?.place(of: $0) } ?? ""
    let ruleBytes = Array(rule.utf8)
    worker.traceNumber.withReadable { number in
      text.withReadable { text in
        let method = method.text
        let methodBytes = unsafe RawSpan(
          _unsafeBytes: UnsafeRawBufferPointer(
            start: method.utf8Start, count: method.utf8CodeUnitCount))
        let target = text.bytes(target)
        let entry = AccessLogEntry(
          time: WallTime(
            seconds: worker.loop.wallSeconds, milliseconds: worker.loop.wallMilliseconds),
          duration: now - stream.started,
          firstByte: stream.status == 0 ? nil : stream.firstByte - stream.started,
          upstreamTime: asksServers ? steps.upstreamTime(at: now) : nil, client: client.rawBytes,
          // What was not understood has no method either.
          method: target.isEmpty ? RawSpan() : methodBytes, target: target, host: text.bytes(host),
          version: stream.version.text, tls: tls.rawBytes, cipher: cipher.rawBytes,
          status: stream.status,
          bytesSent: Int(stream.bodyBytes),
          bytesReceived: text.byteCount + Int(stream.requestBodyBytes), cache: outcome.name,
          reason: reason, region: region.rawBytes, upstream: server.rawBytes,
          referer: text.bytes(referer), userAgent: text.bytes(userAgent), trace: number,
          rule: ruleBytes.rawBytes,
          isAborted: isAborted, sample: sample)
        worker.accessLog?.append(entry)
      }
    }
  }

  /// Who was asked for this request, whether anything came of it or not.
  var loggedServer: String {
    if !server.isEmpty { return server }
    guard outcome.fetched != nil else { return "" }
    return reader?.fill.asked ?? askedInVain
  }

  /// The client's region, where a server was needed.
  private var regionName: String {
    guard outcome != .hit, regionPlace >= 0, regionPlace < worker.gateway.upstreams.regions.count
    else { return "" }
    return worker.gateway.upstreams.regions[regionPlace].name
  }

  /// Who asks, as the log may tell it.
  private func loggedAddress(_ stream: ClientStream) -> [UInt8] {
    guard worker.accessLog?.shortensAddresses == true else { return clientAddress(stream) }
    guard let address = client ?? stream.peer.networkAddress else { return [] }
    return Array("\(address.shortened)".utf8)
  }
}

extension Exchange {
  /// Who asks: what a trusted proxy says, else the peer.
  func clientAddress(_ stream: ClientStream) -> [UInt8] {
    Array((client.map { "\($0)" } ?? stream.peer.host).utf8)
  }
}

extension Version {
  fileprivate var metricClass: ProtocolClass {
    switch self {
    case .http10: .http10
    case .http11: .http11
    case .http2: .http2
    }
  }

  fileprivate var text: StaticString {
    switch self {
    case .http10: "HTTP/1.0"
    case .http11: "HTTP/1.1"
    case .http2: "HTTP/2.0"
    }
  }
}
