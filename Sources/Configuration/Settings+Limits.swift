public import Base

extension Settings {
  /// How many in how much time.
  public struct Rate: Hashable, Sendable {
    /// From 1: requests, or bytes.
    public var count: Int
    public var period: Period

    public enum Period: String, CaseIterable, Sendable {
      case second = "s"
      case minute = "m"
      case hour = "h"

      public var interval: Interval {
        switch self {
        case .second: .seconds(1)
        case .minute: .seconds(60)
        case .hour: .seconds(3_600)
        }
      }
    }
  }

  /// One limit on what clients may ask for.
  public struct RateLimit: Hashable, Sendable {
    /// In answers, logs and metrics; no two have the same.
    public var name: String
    public var key = Key.client
    public var scope = Scope.gateway
    // One of these three.
    public var rate: Rate?
    public var bytes: Rate?
    /// 0 for none.
    public var concurrent = 0
    public var burst = Burst.count(0)
    public var hitCost = 1
    public var missCost = 1
    public var exempt: [Network] = []
    public var ipv4Prefix = 24
    public var ipv6Prefix = 48
    public var keys = 500_000

    public enum Key: String, CaseIterable, Sendable {
      case client, network, host, token
    }

    /// Which requests it is about.
    public enum Scope: String, CaseIterable, Sendable {
      case gateway, cluster
    }

    public enum Burst: Hashable, Sendable {
      case count(Int)
      /// Bytes, written with their unit.
      case size(Int)
    }

    /// How many bytes may be owed: without a burst of its own what the rate gives in four seconds, or in the minute or hour
    /// that it is by.
    ///
    /// With nothing a client that has just got an answer would be refused the next one.
    public var bytesBurst: Int {
      switch burst {
      case .size(let bytes): bytes
      case .count: bytes.map { $0.period == .second ? 4 * $0.count : $0.count } ?? 0
      }
    }
  }

  /// What the entries of `rate_limits` need of each other and of other settings.
  func checkRateLimits(_ reader: inout SettingsReader) {
    var names: Set<String> = []
    for (index, limit) in rateLimits.enumerated() {
      func complain(_ key: String, _ what: String) {
        let place = "rate_limits[\(index)].\(key)"
        reader.complain(
          "\(place): \(what)", atSetting: place, "rate_limits[\(index)].name")
      }
      if !names.insert(limit.name).inserted {
        complain("name", "\(limit.name) is there already; expected it once")
      }
      let measures = [limit.rate != nil, limit.bytes != nil, limit.concurrent > 0].filter { $0 }
      if measures.count != 1 {
        complain(
          "name",
          measures.isEmpty
            ? "\(limit.name) limits nothing; expected rate, bytes or concurrent"
            : "\(limit.name) limits several things; expected a limit for each")
        continue
      }
      switch limit.burst {
      case .count(let count) where count > 0 && limit.rate == nil:
        complain(
          "burst",
          limit.bytes == nil
            ? "what is under way has none; expected it with rate or bytes"
            : "bytes are meant; expected a size, such as 200MB")
      case .size where limit.bytes == nil:
        complain("burst", "it is a size; expected one with bytes only")
      default: break
      }
      let most = if case .count(let burst) = limit.burst { burst + 1 } else { 1 }
      if limit.rate == nil, limit.hitCost != 1 || limit.missCost != 1 {
        complain("miss_cost", "it is a price in requests; expected it with rate only")
      } else if limit.missCost < limit.hitCost {
        complain("miss_cost", "a miss costs less than a hit; expected \(limit.hitCost) at least")
      } else if limit.rate != nil, limit.missCost == 0 {
        complain("miss_cost", "nothing costs anything; expected 1 at least")
      } else if limit.rate != nil, limit.missCost > most {
        complain(
          "miss_cost",
          "nobody could ever pay it; expected a burst of \(limit.missCost - 1) at least")
      }
      if limit.key != .network, limit.ipv4Prefix != 24 || limit.ipv6Prefix != 48 {
        complain("ipv6_prefix", "networks are not what it counts by; expected key: network")
      }
      if limit.scope == .cluster, clusterAPI.servers.isEmpty {
        complain("applies_to", "there is no cluster; expected cluster_api.servers")
      }
    }
  }
}
