import Base
import Router
import Testing

@testable import Configuration

@Suite struct SettingsFileTests {
  /// Everything that is complained of in the text, without the file's name.
  static func complaints(_ text: String) -> [String] {
    do throws(Complaints) {
      _ = try Settings.read(text, file: "gateway.conf")
      return []
    } catch {
      return error.list.map {
        $0.description.replacing("gateway.conf:", with: "", maxReplacements: 1)
      }
    }
  }

  @Test(arguments: ["", "\n", "# nothing\n", "---\n", "{}", "cache:\n", "cache: {}\nlogs:\n"])
  func whatIsLeftOutIsTheDefault(text: String) throws {
    #expect(try Settings.read(text, file: "gateway.conf") == Settings())
  }

  @Test func readsEverySetting() throws {
    let settings = try Settings.read(
      """
      workers: 3
      listen: [{ address: 0.0.0.0:80 }, { address: "[::]:80" }]
      trusted_proxies: [10.0.0.0/8, "::1", 127.0.0.1/32]
      hosts:
        - { name: Gateway.example.com }
        - { name: dweb.example.com, subdomains: true }
        - { name: "*.sites.example", dnslink: true }
        - { name: "*", dnslink: false, subdomains: false }
      headers: { X-Content-Type-Options: nosniff, X-Robots-Tag: "none", Server: null, X-Age: 5 }
      cache:
        { path: /var/cache/sluice, max_size: 50GB, slice_size: 256KB, negative_ttl: 0s,
          stale_names: 12h }
      regions:
        us-1:
          servers:
            - address: 10.1.0.11:8080
            - { address: kubo.example:8081, weight: 3, backup: true, max_connections: 50,
                max_waiting: 7 }
        eu: { servers: [{ address: 10.2.0.11:8080, max_connections: off }], next: [us-1] }
        asia: { servers: [{ address: 10.3.0.11:8080 }], next: all }
        lab: { servers: [{ address: 10.4.0.11:8080 }], next: [] }
      last_resort: http://gateway.example/
      health:
        max_fails: 5
        fail_timeout: 30s
        slow_start: 1m
        probe: { path: "/ipfs/x?format=raw", interval: 5s, timeout: 1s, rise: 4, fall: 6 }
      geo:
        default: eu
        header: CF-IPCountry
        networks: { eu: [2.0.0.0/8, "2001:db8::/32"], asia: [], us-1: [9.9.9.9] }
        maxmind:
          database: /usr/share/GeoIP/GeoLite2-Country.mmdb
          countries: { ch: asia, "NO": eu }
          continents: { EU: eu, AS: asia }
      timeouts:
        { connect: 1s, first_byte: 2m, between_bytes: 30s, all_tries: 3m, client_header: 500ms,
          client_idle: 1h, send: 45s }
      limits: { connections: 100, header_bytes: 16KB }
      admin: { address: "[::1]:9000" }
      logs: { access: { path: /var/log/access.log, format: json }, level: debug }
      """, file: "gateway.conf")
    #expect(settings.workers == .count(3))
    #expect(settings.listen.map(\.address.description) == ["0.0.0.0:80", "[::]:80"])
    #expect(
      settings.trustedProxies.map(\.description) == ["10.0.0.0/8", "::1/128", "127.0.0.1/32"])
    #expect(
      settings.hosts == [
        HostTable.Entry(try HostPattern("gateway.example.com")),
        HostTable.Entry(try HostPattern("dweb.example.com"), subdomains: true),
        HostTable.Entry(try HostPattern("*.sites.example"), dnslink: true),
        HostTable.Entry(.all),
      ])
    #expect(
      settings.headers.map(\.name) == ["X-Content-Type-Options", "X-Robots-Tag", "Server", "X-Age"])
    #expect(settings.headers.map(\.value) == ["nosniff", "none", nil, "5"])
    #expect(settings.cache.negativeTTL == .zero)
    #expect(settings.cache.staleNames == .seconds(12 * 3_600))
    #expect(settings.cache.path == "/var/cache/sluice")
    #expect(settings.cache.maxSize == 53_687_091_200)
    #expect(settings.cache.sliceSize == 262_144)
    #expect(settings.regions.map(\.name) == ["us-1", "eu", "asia", "lab"])
    #expect(settings.regions.map(\.next) == [.all, .regions(["us-1"]), .all, .regions([])])
    #expect(settings.regions[0].servers.map(\.weight) == [1, 3])
    #expect(settings.regions[0].servers.map(\.isBackup) == [false, true])
    #expect(settings.regions[0].servers.map(\.maxConnections) == [0, 50])
    #expect(settings.regions[0].servers.map(\.maxWaiting) == [100, 7])
    #expect(settings.lastResort?.description == "gateway.example:80")
    #expect(settings.health.maxFails == 5 && settings.health.failTimeout == .seconds(30))
    #expect(settings.health.slowStart == .seconds(60))
    #expect(settings.health.probe.path == "/ipfs/x?format=raw")
    #expect(settings.health.probe.interval == .seconds(5))
    #expect(settings.health.probe.timeout == .seconds(1))
    #expect(settings.health.probe.rise == 4 && settings.health.probe.fall == 6)
    #expect(settings.geo.home == "eu" && settings.geo.header == "CF-IPCountry")
    #expect(settings.geo.networks.map(\.region) == ["eu", "asia", "us-1"])
    #expect(settings.geo.networks[0].networks.map(\.description) == ["2.0.0.0/8", "2001:db8::/32"])
    #expect(settings.geo.database == "/usr/share/GeoIP/GeoLite2-Country.mmdb")
    #expect(settings.geo.countries.map(\.code) == ["CH", "NO"])
    #expect(settings.geo.countries.map(\.region) == ["asia", "eu"])
    #expect(settings.geo.continents.map(\.code) == ["EU", "AS"])
    #expect(settings.timeouts.allTries == .seconds(180))
    #expect(
      settings.regions[0].servers.map(\.address.description)
        == ["10.1.0.11:8080", "kubo.example:8081"])
    #expect(settings.timeouts.connect == .seconds(1))
    #expect(settings.timeouts.firstByte == .seconds(120))
    #expect(settings.timeouts.betweenBytes == .seconds(30))
    #expect(settings.timeouts.clientHeader == .milliseconds(500))
    #expect(settings.timeouts.clientIdle == .seconds(3_600))
    #expect(settings.timeouts.send == .seconds(45))
    #expect(settings.limits.connections == 100)
    #expect(settings.limits.headerBytes == 16_384)
    #expect(settings.admin.address.description == "[::1]:9000")
    #expect(settings.logs.access.target == .file("/var/log/access.log"))
    #expect(settings.logs.level == .debug)
  }

  @Test func allComplaintsAreCollectedInOrder() {
    let found = Self.complaints(
      """
      workers: many
      cache:
        max_sise: 50GB
        slice_size: 100KB
      max_size: 1GB
      limits: { connections: 5 }
      logs:
        level: verbose
      colour: blue
      """)
    #expect(
      found == [
        "1:10: workers: 'many' does not fit; expected auto or a whole number from 1 to 256",
        "3:3: unknown setting 'cache.max_sise'; did you mean 'max_size'?",
        "4:15: cache.slice_size: '100KB' does not fit; "
          + "expected a size from 64KB to 16MB that is a power of two, such as 1MB",
        "5:1: unknown setting 'max_size'; did you mean 'cache.max_size'?",
        "6:24: limits.connections: '5' does not fit; expected a whole number from 16 to 1000000",
        "8:10: logs.level: 'verbose' does not fit; expected debug, info, warning or error",
        "9:1: unknown setting 'colour'; expected one of: "
          + "workers, listen, trusted_proxies, hosts, headers, tls, redirect, cache, regions, "
          + "last_resort, health, geo, cluster_api, timeouts, limits, rate_limits, denylist, admin, "
          + "cache_stats, logs, tracing",
      ])
  }

  @Test(arguments: [
    ("cache: 5", "1:8: cache is not a mapping; expected settings: path, max_size, slice_size"),
    (
      "- a",
      "1:1: the file is not a mapping; expected settings: workers, listen, trusted_proxies"
    ),
    (
      "timeouts: { send: }", "1:19: timeouts.send has no value; expected a duration from 10ms to 1h"
    ),
    ("timeouts: { send: 10 }", "1:19: timeouts.send: '10' does not fit; expected a duration"),
    ("timeouts: { send: 2h }", "1:19: timeouts.send: '2h' does not fit; expected a duration"),
    ("workers: [1]", "1:10: workers is a list; expected auto"),
    ("workers: { a: 1 }", "1:10: workers is a mapping; expected auto"),
    ("workers: 0", "1:10: workers: '0' does not fit"),
    ("workers: 99999999999999999999", "1:10: workers: '99999999999999999999' does not fit"),
    ("? [a]\n: b", "1:3: a key is a list or a mapping; expected a name"),
    ("listen: 127.0.0.1:80", "1:9: listen is not such a list; expected a list of at least one"),
    (
      "listen: []",
      "1:9: listen is not such a list; expected a list of at least one { address: …, tls: …, proxy_protocol: … }"
    ),
    ("listen: [127.0.0.1:80]", "1:10: listen[0] is not a mapping; expected settings: address"),
    ("listen: [{}]", "1:10: listen[0].address is missing; expected an address with a port"),
    ("listen: [{ addres: 1.1.1.1:80 }]", "1:10: listen[0].address is missing"),
    ("listen: [{ address: kubo:80 }]", "1:21: listen[0].address: 'kubo:80' does not fit"),
    ("listen: [{ address: [a] }]", "1:21: listen[0].address is a list; expected an address"),
    ("listen: [{ address: [::1] }]", "1:22: not YAML: did not find expected node content"),
    (
      "listen: [{ address: 1.1.1.1:80 }, { address: 1.1.1.1:80 }]",
      "1:35: listen[1] repeats an earlier entry"
    ),
    ("regions: {}", "1:10: regions is not such a mapping; expected regions by name"),
    ("regions: { eu: }", "1:16: regions.eu.servers is missing; expected a list"),
    ("regions: { EU: {} }", "1:12: regions: 'EU' is no region name; expected 1 to 32 of a-z"),
    (
      "regions: { eu: { servers: [{ address: a:1, wieght: 2 }] } }",
      "1:44: unknown setting 'regions.eu.servers[0].wieght'; did you mean 'weight'?"
    ),
    (
      "regions: { eu: { servers: [{ address: a:0 }] } }",
      "1:39: regions.eu.servers[0].address: 'a:0' does not fit"
    ),
    ("logs: { access: { path: \"\" } }", "1:25: logs.access.path: '' does not fit; expected \"-\""),
    ("cache: { path: \"a\\0b\" }", "1:16: cache.path: 'a\0b' does not fit; expected a path"),
    (
      "cache: { slice_size: 16MB, max_size: 512MB }",
      "1:10: cache.slice_size: 16MB is too large for cache.max_size; expected at most a 64th"
    ),
    ("admin: { address: 127.0.0.1:8080 }", "1:10: admin.address: 127.0.0.1:8080 is an address for"),
    (
      "regions: { eu: { servers: [{ address: 127.0.0.1:8080 }] } }",
      "1:30: regions.eu.servers[0].address: 127.0.0.1:8080 is Sluice's own address; expected another server's"
    ),
    ("a: 1\n---\nb: 2", "2:1: not YAML: but found another document"),
    ("cache:\n\tpath: x", "2:1: not YAML: found character that cannot start any token"),
    ("logs: { access: { path: - } }", "1:25: not YAML: did not find expected node content"),
    ("cache: *x", "1:8: not YAML: found undefined alias"),
    ("workers: 1\ncache: \u{1}", "2:8: not YAML: control characters are not allowed"),
  ])
  func complains(text: String, start: String) {
    let found = Self.complaints(text)
    #expect(found.contains { $0.hasPrefix(start) }, "\(found)")
  }

  @Test func hintsAtWhatTripsPeople() {
    #expect(
      Self.complaints("listen:\n  - address: [::]:80\n")[0].hasSuffix(
        "write an IPv6 address in quotes"))
    #expect(
      Self.complaints("logs:\n  access:\n    path: -\n")[0].hasSuffix("write \"-\" in quotes"))
    #expect(
      Self.complaints("hosts:\n  - name: *\n")[0].hasSuffix("write \"*\" in quotes"))
    #expect(
      Self.complaints("logs:\n  access: off\n") == [
        "2:11: logs.access is not a mapping; did you mean 'logs.access.path: off'?"
      ])
    // Two of its settings could be meant.
    #expect(Self.complaints("tls: off\n")[0].contains("tls is not a mapping; expected settings: "))
    #expect(Self.complaints("cache:\n\tpath: x\n")[0].hasSuffix("indent with spaces, not tabs"))
  }

  @Test func repeatedKeysAreRefusedBesideTheRest() {
    let found = Self.complaints(
      """
      workers: 1
      cache:
        path: a
        "path": b
        max_size: 1
      workers: 2
      limits: { connections: 100, connections: 1 }
      """)
    #expect(
      found.map { String($0.prefix(40)) }
        == [
          "4:3: 'path' is given more than once here", "5:13: cache.max_size: '1' does not fit; ",
          "6:1: 'workers' is given more than once h", "7:29: 'connections' is given more than on",
          "7:42: limits.connections: '1' does not f",
        ].map { String($0.prefix(40)) })
    #expect(found[2].hasSuffix("more than once here, first on line 1; expected it once"))
    #expect(
      Self.complaints("cache: { path: a }\nlimits:\n  connections: 20\n  connections: 30\n")
        == ["4:3: 'connections' is given more than once here, first on line 3; expected it once"])
    #expect(Self.complaints("? [a]\n: 1\n? [a]\n: 2\n").count == 1)
    #expect(Self.complaints("'': 1\n'': 2\n").count == 1)
  }

  @Test func relativePathsBelongToTheFilesFolder() throws {
    let text = "cache: { path: data }\nlogs: { access: { path: logs/a.log } }"
    let here = try Settings.read(text, file: "gateway.conf")
    #expect(here.cache.path == "data")
    let there = try Settings.read(text, file: "/etc/sluice/gateway.conf")
    #expect(there.cache.path == "/etc/sluice/data")
    #expect(there.logs.access.target == .file("/etc/sluice/logs/a.log"))
    #expect(try Settings.read("", file: "conf/x.conf").cache.path == "conf/var/cache")
    let absolute = try Settings.read("cache: { path: /data }", file: "/etc/sluice/gateway.conf")
    #expect(absolute.cache.path == "/data")
    #expect(absolute.logs.access.target == .standardOutput)
  }

  @Test func mutationsNeverTrap() throws {
    var random = SeededRandom(seed: 11)
    let original = Array(Settings().printed.unicodeScalars)
    let spice = Array("\n\t -:[]{}\"'#&*!|>%@`,?~éa0\u{0}\u{FEFF}".unicodeScalars)
    for _ in 0..<400 {
      var scalars = original
      for _ in 0..<random.number(in: 1...4) {
        let index = random.number(in: 0...scalars.count - 1)
        switch random.number(in: 0...2) {
        case 0: scalars[index] = spice[random.number(in: 0...spice.count - 1)]
        case 1: scalars.remove(at: index)
        default: scalars.insert(spice[random.number(in: 0...spice.count - 1)], at: index)
        }
      }
      var text = String.UnicodeScalarView()
      text.append(contentsOf: scalars)
      do throws(Complaints) {
        _ = try Settings.read(String(text), file: "gateway.conf")
      } catch {
        #expect(!error.list.isEmpty)
        #expect(error.list.allSatisfy { $0.line >= 1 && $0.column >= 1 })
      }
    }
  }
}
