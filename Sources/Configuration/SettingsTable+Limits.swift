import Base

/// Limits on what clients may have: of connections, and of requests and bytes.
extension SettingsTable {
  static let limits: [Setting<Settings>] = [
    Setting(
      "limits.connections", \.limits.connections, .count(16...1_000_000),
      "Client connections at a time, over all workers; more wait to be accepted."),
    Setting(
      "limits.connections_per_client", \.limits.connectionsPerClient, .countOrOff(1...1_000_000),
      "Of one client's, an address or an IPv6 /64; more are closed at once."),
    Setting(
      "limits.min_send_rate", \.limits.minSendRate, .byteRateOrOff,
      "How slowly a client may take an answer before it is cut off."),
    Setting(
      "limits.header_bytes", \.limits.headerBytes, .size((1 << 10)...(1 << 20)),
      "The longest head that a request may have."),
    Setting(
      "limits.http2_streams", \.limits.http2Streams, .count(1...1000),
      "Requests of one HTTP/2 connection at a time; what is above it is refused."),
  ]

  // Each limit costs each request a look-up.
  static let rateLimits: [Setting<Settings>] = [
    Setting(
      "rate_limits", listOf: \.rateLimits, rateLimit, blank: Settings.RateLimit(name: ""),
      mayBeEmpty: true, atMost: 16,
      "What clients may ask for in a time or at a time; above it they get 429.")
  ]

  static let rateLimit: [Setting<Settings.RateLimit>] = [
    Setting(
      "name", \.name, .limitName, required: true, "What it is called in answers and metrics."),
    Setting("key", \.key, .choice, "Who shares an allowance."),
    Setting("applies_to", \.scope, .choice, "Which requests it is about."),
    Setting("rate", \.rate, .requestRateOrOff, "Requests, on average."),
    Setting("bytes", \.bytes, .byteRateOrOff, "Bytes of bodies, on average."),
    Setting("concurrent", \.concurrent, .countOrOff(1...1_000_000), "Requests under way."),
    Setting("burst", \.burst, .burst, "How much more may come at once."),
    Setting("hit_cost", \.hitCost, .count(0...1_000), "What a request costs of a rate."),
    Setting(
      "miss_cost", \.missCost, .count(0...1_000), "What it costs if a server has to be asked."),
    Setting(
      "exempt", valuesOf: \.exempt, .network, atMost: NetworkSet.maximumCount,
      "Networks whose requests it does not touch."),
    Setting(
      "ipv4_prefix", \.ipv4Prefix, .count(0...32), "The bits of an IPv4 network, with key: network."
    ),
    Setting(
      "ipv6_prefix", \.ipv6Prefix, .count(0...128),
      "The bits of an IPv6 network, with key: network."),
    // 64 bytes for each.
    Setting(
      "keys", \.keys, .count(1_000...16_000_000),
      "How many clients, networks, hosts or tokens it tells apart at a time."),
  ]
}
