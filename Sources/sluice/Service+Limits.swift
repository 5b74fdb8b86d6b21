import Admission
import Base
import Configuration
import Gateway
import Server
import System

/// Limits on clients, made from settings.
extension Service {
  /// The limiters of both kinds of requests; nil where there is no such limit.
  static func limit(_ settings: Settings, _ options: inout GatewayOptions) {
    options.rateLimits = limiter(settings, .gateway)
    options.clusterRateLimits = limiter(settings, .cluster)
  }

  private static func limiter(
    _ settings: Settings, _ scope: Settings.RateLimit.Scope
  ) -> RateLimiter? {
    let limits = settings.rateLimits.filter { $0.scope == scope }.compactMap(rateLimit)
    guard !limits.isEmpty else { return nil }
    let secret = SipKey(
      first: .random(in: .min ... .max), second: .random(in: .min ... .max))
    return unsafe RateLimiter(limits, secret: secret) { memory in
      unsafe Memory.preferHugePages(memory)
      return unsafe Memory.drop(memory)
    }
  }

  /// Nil for an entry that limits nothing, which the settings' own check refuses.
  private static func rateLimit(_ entry: Settings.RateLimit) -> RateLimit? {
    let burst = if case .count(let count) = entry.burst { count } else { 0 }
    let measure: RateLimit.Measure
    if let rate = entry.rate {
      measure = .requests(
        Rate(rate.count, per: rate.period.interval), burst: burst, hit: entry.hitCost,
        miss: entry.missCost)
    } else if let bytes = entry.bytes {
      measure = .bytes(Rate(bytes.count, per: bytes.period.interval), burst: entry.bytesBurst)
    } else if entry.concurrent > 0 {
      measure = .concurrent(entry.concurrent)
    } else {
      return nil
    }
    let key: RateLimit.Key =
      switch entry.key {
      case .client: .client
      case .network: .network(ipv4Bits: entry.ipv4Prefix, ipv6Bits: entry.ipv6Prefix)
      case .host: .host
      case .token: .token
      }
    return RateLimit(
      name: entry.name, key: key, measure: measure, exempt: NetworkSet(entry.exempt),
      keys: entry.keys)
  }

  /// A sentence where limits could take memory that content and the index would miss; nil where they could not.
  static func memoryWarning(_ limits: [Settings.RateLimit], memory: Int) -> String? {
    let bytes = limits.reduce(0) { $0 + 64 * $1.keys }
    guard bytes > memory / 8 else { return nil }
    return """
      rate_limits: their keys may take \(Program.gibibytes(bytes)), more than an eighth of the \
      \(Program.gibibytes(memory)) of memory here; each key takes 64 bytes
      """
  }

  /// What one client's connections may have, and how slow they may be.
  static func limit(_ limits: Settings.Limits, _ options: inout ServerOptions) {
    if limits.connectionsPerClient > 0 {
      options.clientCounts = ClientCounts(limit: limits.connectionsPerClient)
    }
    if let rate = limits.minSendRate {
      options.minSendRate = SendRate(bytes: rate.count, per: rate.period.interval)
    }
  }
}
