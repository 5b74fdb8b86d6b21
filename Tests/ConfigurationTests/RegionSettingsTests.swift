import Base
import Testing

@testable import Configuration

/// The settings of regions, of how servers do, and of clients' places.
@Suite struct RegionSettingsTests {
  @Test(arguments: [
    (
      "servers: [{ address: a:1, weight: 0 }]",
      "2:43: regions.us.servers[0].weight: '0' does not fit; expected a whole number from 1 to 1000"
    ),
    (
      "servers: [{ address: a:1, max_connections: none }]",
      "2:52: regions.us.servers[0].max_connections: 'none' does not fit; expected off or a whole"
    ),
    (
      "servers: [{ address: a:1 }, { address: a:1, weight: 2 }]",
      "2:39: regions.us.servers[1].address: a:1 is there already; expected it once"
    ),
    (
      "servers: [{ address: a:1 }], next: [us]",
      "2:38: regions.us.next: us is this region; expected others"
    ),
    (
      "servers: [{ address: a:1 }], next: [eu, eu]",
      "2:38: regions.us.next: eu is there already; expected it once"
    ),
    (
      "servers: [{ address: a:1 }], next: [eux]",
      "2:38: regions.us.next: there is no region 'eux'; did you mean 'eu'?"
    ),
    (
      "servers: [{ address: a:1 }], next: some",
      "2:44: regions.us.next is not such a list; expected all, or a list"
    ),
    (
      "servers: [{ address: a:1 }], next: [EU]",
      "2:45: regions.us.next[0]: 'EU' does not fit; expected a region's name"
    ),
  ])
  func regions(region: String, complaint: String) {
    let found = SettingsFileTests.complaints(
      """
      regions:
        us: { \(region) }
        eu: { servers: [{ address: b:1 }] }
      """)
    #expect(found.contains { $0.hasPrefix(complaint) }, "\(found)")
  }

  @Test(arguments: [
    ("geo: { default: eux }", "1:8: geo.default: there is no region 'eux'; did you mean 'eu'?"),
    (
      "geo: { networks: { mars: [10.0.0.0/8] } }",
      "1:20: geo.networks.mars: there is no region 'mars'; expected one of: us, eu"
    ),
    (
      "geo: { networks: { us: [10.0.0.0/8], eu: [10.0.0.0/8] } }",
      "1:43: geo.networks.eu[0]: 10.0.0.0/8 is us's already; expected it once"
    ),
    (
      "geo: { networks: { us: [10.0.0.1/8] } }",
      "1:25: geo.networks.us[0]: '10.0.0.1/8' does not fit: bits are set behind the prefix"
    ),
    ("geo: { networks: [] }", "1:18: geo.networks is not a mapping"),
    (
      "geo: { maxmind: { continents: { XX: us } } }",
      "1:33: geo.maxmind.continents: 'XX' is no code; expected AF, AN, AS, EU, NA, OC, SA"
    ),
    (
      "geo: { maxmind: { countries: { DEU: us } } }",
      "1:32: geo.maxmind.countries: 'DEU' is no code; expected codes of two letters"
    ),
    (
      "geo: { maxmind: { countries: { DE: us, de: eu } } }",
      "1:40: geo.maxmind.countries: 'de' is there already"
    ),
    (
      "geo: { maxmind: { countries: { DE: mars } } }",
      "1:32: geo.maxmind.countries.DE: there is no region 'mars'"
    ),
    (
      "geo: { maxmind: { database: a.mmdb } }",
      "1:19: geo.maxmind.database: no rule says what countries and continents mean"
    ),
    (
      "geo: { header: CF-IPCountry }",
      "1:8: geo.header: it counts from trusted proxies only, and there are none"
    ),
    ("geo: { header: \"a b\" }", "1:16: geo.header: 'a b' does not fit; expected off or the name"),
    (
      "last_resort: https://ipfs.io/ipfs",
      "1:14: last_resort: 'https://ipfs.io/ipfs' does not fit; expected off or a server's URL"
    ),
    ("last_resort: ipfs.io", "1:14: last_resort: 'ipfs.io' does not fit; expected off or a server"),
    (
      "last_resort: http://127.0.0.1:8080",
      "1:1: last_resort: 127.0.0.1:8080 is Sluice's own address"
    ),
    ("health: { max_fails: -1 }", "1:22: health.max_fails: '-1' does not fit; expected off or"),
    (
      "health: { probe: { path: ipfs } }",
      "1:26: health.probe.path: 'ipfs' does not fit; expected a path that begins with /"
    ),
    (
      "health: { probe: { interval: 1ms } }",
      "1:30: health.probe.interval: '1ms' does not fit; expected off or a duration from 100ms to 1h"
    ),
  ])
  func others(text: String, complaint: String) {
    let regions =
      "regions: { us: { servers: [{ address: a:1 }] }, eu: { servers: [{ address: b:1 }] } }"
    let found = SettingsFileTests.complaints("\(text)\n\(regions)\n")
    #expect(found.contains { $0.hasPrefix(complaint) }, "\(found)")
  }

  @Test func whatIsPrintedReadsBack() throws {
    var random = SeededRandom(seed: 8)
    let names = ["us", "eu-1", "a_b"]
    for _ in 0..<100 {
      var settings = Settings()
      settings.regions = try names.map { name in
        var region = Settings.Region(name: name, servers: [])
        for index in 0...random.number(in: 0...2) {
          var server = Settings.Server(
            address: ServerAddress(
              try #require(HostPort("kubo-\(index).\(name):80")), isSecure: random.chance(0.3)))
          server.weight = random.number(in: 1...9)
          server.isBackup = random.chance(0.3)
          server.maxConnections = random.number(in: 0...9)
          server.maxWaiting = random.number(in: 0...9)
          region.servers.append(server)
        }
        let others = names.filter { $0 != name && random.chance(0.5) }
        if random.chance(0.7) { region.next = .regions(others) }
        return region
      }
      if random.chance(0.5) {
        settings.lastResort = ServerAddress(
          try #require(HostPort("[::1]:8090")), isSecure: random.chance(0.5))
      }
      settings.health.maxFails = random.number(in: 0...9)
      settings.health.probe.interval = .seconds(random.number(in: 0...9))
      settings.trustedProxies = [try Network("10.0.0.0/8")]
      if random.chance(0.5) { settings.geo.home = "eu-1" }
      if random.chance(0.5) { settings.geo.header = "X-Region" }
      settings.geo.networks = try names.filter { _ in random.chance(0.5) }.enumerated().map {
        Settings.Geo.Networks(
          region: $1, networks: random.chance(0.3) ? [] : [try Network("2001:db8:\($0)::/48")])
      }
      settings.geo.continents = ["EU", "NA"].map { Settings.Geo.Rule(code: $0, region: "us") }
      settings.geo.countries = ["NO", "DE"].map { Settings.Geo.Rule(code: $0, region: "a_b") }
      if random.chance(0.5) { settings.geo.database = "/a b/c.mmdb" }
      #expect(try Settings.read(settings.printed, file: "gateway.conf") == settings)
    }
  }
}

/// The settings of the cluster's API.
@Suite struct ClusterSettingsTests {
  @Test func asInTheExample() throws {
    let settings = try Settings.read(
      """
      cluster_api:
        prefix: /api/cluster_1/
        servers: [{ address: 10.1.0.11:9094, weight: 2 }, { address: cluster.internal:9094 }]
        allow: [10.0.0.0/8, "fd00::/8"]
      timeouts: { client_body: 5s }
      """, file: "a")
    #expect(settings.clusterAPI.prefix == "/api/cluster_1/")
    #expect(
      settings.clusterAPI.servers.map(\.address.description) == [
        "10.1.0.11:9094", "cluster.internal:9094",
      ])
    #expect(settings.clusterAPI.servers.map(\.weight) == [2, 1])
    #expect(settings.clusterAPI.allow.map(\.description) == ["10.0.0.0/8", "fd00::/8"])
    #expect(settings.timeouts.clientBody == .seconds(5))
    #expect(try Settings.read(settings.printed, file: "b") == settings)
    #expect(try Settings.read(Settings().printed, file: "c") == Settings())
  }

  @Test(arguments: [
    ("servers: [{ address: a:1 }]", "1:16: cluster_api.allow: nobody may use the cluster's API"),
    (
      "servers: [{ address: a:1 }, { address: a:1 }], allow: [10.0.0.0/8]",
      "1:44: cluster_api.servers[1] repeats an earlier entry"
    ),
    (
      "servers: [{ address: a:1 }, { address: a:1, weight: 2 }], allow: [10.0.0.0/8]",
      "1:46: cluster_api.servers[1].address: a:1 is there already"
    ),
    ("prefix: cluster", "1:24: cluster_api.prefix: 'cluster' does not fit; expected a path with"),
    ("prefix: /", "1:24: cluster_api.prefix: '/' does not fit"),
    ("prefix: //", "1:24: cluster_api.prefix: '//' does not fit"),
    ("prefix: /a/../", "1:24: cluster_api.prefix: '/a/../' does not fit"),
    ("prefix: /ipfs/", "1:24: cluster_api.prefix: '/ipfs/' does not fit"),
    ("prefix: /ipns/a/", "1:24: cluster_api.prefix: '/ipns/a/' does not fit"),
    ("prefix: /a%20/", "1:24: cluster_api.prefix: '/a%20/' does not fit"),
    ("allow: [10.0.0.1/8]", "1:24: cluster_api.allow[0]: '10.0.0.1/8' does not fit"),
  ])
  func complaints(section: String, complaint: String) {
    let found = SettingsFileTests.complaints("cluster_api: { \(section) }")
    #expect(found.contains { $0.hasPrefix(complaint) }, "\(found)")
  }

  @Test func noRegionHasItsName() {
    let found = SettingsFileTests.complaints(
      """
      cluster_api: { servers: [{ address: a:1 }], allow: [10.0.0.0/8] }
      regions: { cluster_api: { servers: [{ address: b:1 }] } }
      """)
    #expect(
      found == [
        "2:1: regions.cluster_api: the cluster's servers have this name in metrics; expected another one"
      ])
  }
}
