public import Base
internal import Cache
internal import Gateway
internal import System
internal import Telemetry
internal import Upstreams

/// Numbers of cache, requests and servers as JSON: counters since the start, and what is now.
///
/// `stats --watch` makes differences of two of them, so names and nesting are part of the API.
public enum Statistics {
  /// All of it, for operators.
  public static func all(of subject: AdminSubject, at now: Instant) -> JSONValue {
    value(of: subject, at: now, namesServers: true)
  }

  /// The same without the servers' addresses, for `/cache-stats` on public listeners.
  public static func forClients(of subject: AdminSubject, at now: Instant) -> JSONValue {
    value(of: subject, at: now, namesServers: false)
  }

  /// A time in seconds since 1970, as the API writes it.
  static func time(_ seconds: Int64) -> String { WallTime(seconds: seconds, milliseconds: 0).text }

  private static func value(
    of subject: AdminSubject, at now: Instant, namesServers: Bool
  ) -> JSONValue {
    let pages = subject.pages
    func sum(_ counter: Counter) -> JSONValue { .integer(CounterPage.sum(pages, counter)) }
    let uptime = max(0, (now - subject.started.instant).nanoseconds / 1_000_000_000)
    return .members([
      "version": .string(subject.version),
      "started": .string(subject.started.time.text),
      "uptime_seconds": .integer(Int(uptime)),
      "workers": .integer(pages.count),
      "connections": .integer(CounterPage.sum(pages, Gauge.clientConnections)),
      "requests": requests(pages),
      "hit_ratio": ratios(pages),
      "bytes": .members([
        "sent": sum(.responseBytes), "content_from_cache": sum(.bodyBytesCached),
        "content_from_upstream": sum(.bodyBytesFetched), "fetched": sum(.fillBytes),
        "verified": sum(.verifiedBytes),
      ]),
      "fills": .members([
        "in_flight": .integer(subject.gateway.fills.count), "begun": sum(.fill),
        "joined": sum(.fillReaderJoined),
      ]),
      "cache": cache(subject, wallSeconds: Clock.wallSeconds),
      "regions": .array(
        subject.gateway.upstreams.regions.map { region in
          self.region(region, subject, now, namesServers)
        }),
    ])
  }

  private static let outcomes: [(name: String, counter: Counter)] = [
    ("hit", .requestHit), ("miss", .requestMiss), ("collapsed", .requestCollapsed),
    ("partial", .requestPartial), ("bypass", .requestBypass), ("none", .requestNone),
    ("error", .requestError),
  ]

  private static func requests(_ pages: [CounterPage]) -> JSONValue {
    let counts = outcomes.map { ($0.name, CounterPage.sum(pages, $0.counter)) }
    let total = counts.reduce(0) { $0 + $1.1 }
    return .object(
      [JSONValue.Member("total", .integer(total))]
        + counts.map { JSONValue.Member($0.0, .integer($0.1)) })
  }

  /// Hits among the requests for what can be kept, and bytes of hits among those of hits and of what was fetched
  /// whole; null before the first.
  private static func ratios(_ pages: [CounterPage]) -> JSONValue {
    func ratio(_ part: Int, of whole: Int) -> JSONValue {
      // Four digits: more would say nothing.
      whole > 0 ? .real((Double(part) / Double(whole) * 10_000).rounded() / 10_000) : .null
    }
    // Neither errors nor what is given on and never kept says anything of the cache.
    let asked: [Counter] = [.requestHit, .requestMiss, .requestCollapsed, .requestPartial]
    let all = asked.reduce(0) { $0 + CounterPage.sum(pages, $1) }
    let cached = CounterPage.sum(pages, Counter.bodyBytesCached)
    let fetched = CounterPage.sum(pages, Counter.bodyBytesFetched)
    return .members([
      "requests": ratio(CounterPage.sum(pages, Counter.requestHit), of: all),
      "bytes": ratio(cached, of: cached + fetched),
    ])
  }

  private static func cache(_ subject: AdminSubject, wallSeconds: Int64) -> JSONValue {
    let storage = subject.gateway.storage
    let now = storage.counters.snapshot
    let oldest = now.oldestSegment
    return .members([
      "entries": .integer(now.entries), "bytes": .integer(now.bytesUsed),
      "max_bytes": .integer(storage.options.maxSize), "segments": .integer(now.segments),
      "evictions": .integer(now.evictions),
      "oldest_segment_age_seconds": oldest > 0
        ? .integer(max(0, Int(wallSeconds) - oldest)) : .null,
      "erased_bytes": .integer(now.erasedBytes), "write_faults": .integer(now.writeFaults),
      "refused_jobs": .integer(now.refusals),
      "commits": .integer(Int(truncatingIfNeeded: now.sequence)),
    ])
  }

  private static func region(
    _ region: UpstreamRegion, _ subject: AdminSubject, _ now: Instant, _ namesServers: Bool
  ) -> JSONValue {
    let servers = region.servers
    let options = subject.gateway.options.upstream
    if namesServers {
      return .members([
        "name": .string(region.name),
        "servers": .array(servers.map { server($0, $0.condition(at: now, options)) }),
      ])
    }
    let up = servers.filter { server in
      let condition = server.condition(at: now, options)
      return condition == .up || condition == .suspect
    }
    return .members([
      "name": .string(region.name), "servers": .integer(servers.count),
      "up": .integer(up.count), "active": .integer(servers.reduce(0) { $0 + $1.active }),
      "requests": .integer(servers.reduce(0) { $0 + $1.requests }),
      "errors": .integer(servers.reduce(0) { $0 + $1.errors }),
    ])
  }

  private static func server(
    _ server: UpstreamServer, _ condition: UpstreamServer.Condition
  ) -> JSONValue {
    .members([
      "name": .string(server.name), "state": .string(condition.rawValue),
      "drained": .bool(server.isDrained), "backup": .bool(server.traits.isBackup),
      "weight": .integer(server.traits.weight), "active": .integer(server.active),
      "waiting": .integer(server.waitingCount), "requests": .integer(server.requests),
      "errors": .integer(server.errors),
    ])
  }
}
