import Base
import Testing

@testable import Configuration

@Suite struct LimitSettingsTests {
  private static func read(_ text: String) throws -> Settings {
    try Settings.read(text + "\n", file: "gateway.conf")
  }

  private static let text = """
    cluster_api: { servers: [{ address: "10.0.0.1:9094" }], allow: [10.0.0.0/8] }
    limits: { connections_per_client: 256, min_send_rate: 1KB/s }
    rate_limits:
      - { name: gateway, key: client, rate: 10/s, burst: 20, hit_cost: 1, miss_cost: 4 }
      - { name: bytes, bytes: 50MB/s, burst: 200MB, exempt: [10.0.0.0/8, "fd00::/8"] }
      - { name: streams, key: token, concurrent: 64 }
      - { name: net, key: network, rate: 1000/h, ipv4_prefix: 20, ipv6_prefix: 32, keys: 50000 }
      - { name: host, key: host, rate: 100/m }
      - { name: uploads, applies_to: cluster, bytes: 1GB/h }
    """

  @Test func readsLimits() throws {
    let settings = try Self.read(Self.text)
    #expect(settings.limits.connectionsPerClient == 256)
    #expect(settings.limits.minSendRate == Settings.Rate(count: 1024, period: .second))
    let limits = settings.rateLimits
    #expect(limits.map(\.name) == ["gateway", "bytes", "streams", "net", "host", "uploads"])
    #expect(limits[0].rate == Settings.Rate(count: 10, period: .second))
    #expect(limits[0].burst == .count(20) && limits[0].missCost == 4)
    #expect(limits[1].bytes == Settings.Rate(count: 50 << 20, period: .second))
    #expect(limits[1].burst == .size(200 << 20) && limits[1].exempt.count == 2)
    #expect(limits[2].key == .token && limits[2].concurrent == 64)
    #expect(limits[3].key == .network && limits[3].ipv4Prefix == 20 && limits[3].keys == 50_000)
    #expect(limits[3].rate?.period.interval == .seconds(3_600))
    #expect(limits[4].key == .host && limits[4].rate?.period == .minute)
    #expect(limits[5].scope == .cluster && limits[5].bytes?.count == 1 << 30)
  }

  @Test(arguments: [
    ("50MB/s", 200 << 20), ("1GB/h", 1 << 30), ("3MB/m", 3 << 20), ("1MB/s, burst: 5KB", 5 << 10),
    ("1MB/s, burst: 0B", 0),
  ])
  func bytesHaveABurst(text: String, bytes: Int) throws {
    let settings = try Self.read("rate_limits: [{ name: bytes, bytes: \(text) }]")
    #expect(settings.rateLimits[0].bytesBurst == bytes)
  }

  @Test func printsWhatReadsBack() throws {
    let settings = try Self.read(Self.text)
    #expect(try Self.read(settings.printed) == settings)
    let none = try Self.read("limits: { min_send_rate: off, connections_per_client: off }")
    #expect(none == Settings())
    #expect(try Self.read("rate_limits: []") == Settings())
  }

  @Test(arguments: [
    ("- { rate: 1/s }", "rate_limits[0].name is missing"),
    (
      "- { name: A, rate: 1/s }",
      "rate_limits[0].name: 'A' does not fit; expected a name of 1 to 32"
    ),
    ("- { name: a }", "rate_limits[0].name: a limits nothing; expected rate, bytes or concurrent"),
    (
      "- { name: a, rate: 1/s, concurrent: 3 }",
      "rate_limits[0].name: a limits several things; expected a limit for each"
    ),
    (
      "- { name: a, rate: 1/s }\n- { name: a, rate: 2/s }",
      "rate_limits[1].name: a is there already; expected it once"
    ),
    ("- { name: a, rate: 10 }", "rate_limits[0].rate: '10' does not fit; expected off, or a rate"),
    ("- { name: a, rate: 0/s }", "rate_limits[0].rate: '0/s' does not fit"),
    ("- { name: a, rate: 10/d }", "rate_limits[0].rate: '10/d' does not fit"),
    ("- { name: a, rate: 10/s/s }", "rate_limits[0].rate: '10/s/s' does not fit"),
    ("- { name: a, rate: 99999999999999999999/s }", "rate_limits[0].rate: '9999"),
    ("- { name: a, bytes: 10/s }", "rate_limits[0].bytes: '10/s' does not fit"),
    ("- { name: a, bytes: 2TB/s }", "rate_limits[0].bytes: '2TB/s' does not fit"),
    ("- { name: a, rate: 1/s, burst: 1MB }", "rate_limits[0].burst: it is a size"),
    ("- { name: a, bytes: 1MB/s, burst: 5 }", "rate_limits[0].burst: bytes are meant"),
    ("- { name: a, concurrent: 5, burst: 5 }", "rate_limits[0].burst: what is under way has none"),
    (
      "- { name: a, rate: 1/s, miss_cost: 3 }",
      "rate_limits[0].miss_cost: nobody could ever pay it; expected a burst of 2 at least"
    ),
    (
      "- { name: a, rate: 1/s, burst: 9, hit_cost: 2 }",
      "rate_limits[0].miss_cost: a miss costs less than a hit; expected 2 at least"
    ),
    (
      "- { name: a, rate: 1/s, hit_cost: 0, miss_cost: 0 }",
      "rate_limits[0].miss_cost: nothing costs anything; expected 1 at least"
    ),
    (
      "- { name: a, concurrent: 1, miss_cost: 3 }",
      "rate_limits[0].miss_cost: it is a price in requests"
    ),
    (
      "- { name: a, rate: 1/s, ipv4_prefix: 16 }",
      "rate_limits[0].ipv6_prefix: networks are not what it counts by"
    ),
    (
      "- { name: a, rate: 1/s, applies_to: cluster }",
      "rate_limits[0].applies_to: there is no cluster; expected cluster_api.servers"
    ),
    ("- { name: a, key: ip, rate: 1/s }", "rate_limits[0].key: 'ip' does not fit"),
    ("- { name: a, rat: 1/s }", "unknown setting 'rate_limits[0].rat'; did you mean 'rate'?"),
  ])
  func complains(entry: String, complaint: String) {
    let found = SettingsFileTests.complaints("rate_limits:\n\(entry)\n")
    #expect(found.contains { $0.contains(": \(complaint)") }, "\(found)")
  }

  @Test func sixteenAreEnough() {
    let entries = (0..<17).map { "- { name: l\($0), rate: 1/s }" }.joined(separator: "\n")
    let found = SettingsFileTests.complaints("rate_limits:\n\(entries)\n")
    #expect(found.count == 1 && found[0].contains("has 17 entries; expected at most 16"))
  }

  @Test(arguments: [
    "connections_per_client: 0", "connections_per_client: -1", "min_send_rate: 1KB",
    "min_send_rate: 0B/s", "min_send_rate: fast",
  ])
  func complainsOfConnections(entry: String) {
    let found = SettingsFileTests.complaints("limits: { \(entry) }\n")
    #expect(found.count == 1 && found[0].contains("does not fit; expected off"), "\(found)")
  }
}
