import Base
import Router
import Testing
import Yams

@testable import Configuration

@Suite struct SettingsPrinterTests {
  @Test func theDefaultsReadBack() throws {
    #expect(try Settings.read(Settings().printed, file: "x") == Settings())
  }

  @Test func anySettingsReadBack() throws {
    var random = SeededRandom(seed: 5)
    let paths = ["/a b", "x: y", "- z", "#", "\"q\"\\", "é\u{7}\u{85}", "null", "~", "a:", "./off"]
    for round in 0..<200 {
      var settings = Settings()
      settings.workers = random.chance(0.5) ? .auto : .count(random.number(in: 1...256))
      settings.cache.path = paths[round % paths.count]
      settings.cache.maxSize = random.number(in: (1 << 30)...(1 << 45))
      settings.cache.sliceSize = 1 << random.number(in: 16...24)
      settings.timeouts.send = .milliseconds(random.number(in: 10...3_600_000))
      settings.limits.connections = random.number(in: 16...1_000_000)
      settings.logs.access.target =
        random.chance(0.5) ? .off : .file(paths[(round / 7) % paths.count])
      settings.logs.access.format = random.chance(0.5) ? .json : .combined
      settings.logs.access.sample = random.number(in: 1...1_000_000)
      settings.logs.access.shortensAddresses = random.chance(0.5)
      settings.logs.slow = random.chance(0.3) ? .zero : .milliseconds(random.number(in: 1...90_000))
      settings.tracing.start = random.chance(0.5)
      settings.logs.level = Settings.Level.allCases.randomElement(using: &random) ?? .info
      settings.listen = (1...random.number(in: 1...4)).compactMap { index in
        HostPort("[::\(index)]:80").map {
          Settings.Listen(address: $0, isSecure: index == 3, hasProxyHeader: false)
        }
      }
      settings.regions[0].servers = (1...random.number(in: 1...4)).compactMap { index in
        HostPort("kubo-\(index).example:8080").map {
          Settings.Server(address: ServerAddress($0))
        }
      }
      settings.tls.certificates = (0...random.number(in: 0...2)).map {
        Settings.Certificate(
          certificate: "/\($0).pem", key: "/\($0).key", staple: $0 == 1 ? "/a b" : nil)
      }
      settings.tls.minVersion = random.chance(0.5) ? .tls12 : .tls13
      settings.redirect = Settings.Redirect(
        https: random.chance(0.5), port: random.number(in: 1...65_535),
        webroot: random.chance(0.5) ? "/var/www" : nil)
      settings.tls.hsts = .seconds(random.number(in: 0...9))
      settings.tls.authorities = random.chance(0.5) ? "/ca.pem" : nil
      settings.trustedProxies = try (0..<random.number(in: 0...3)).map { index in
        try Network(index % 2 == 0 ? "10.\(index).0.0/16" : "2001:db8:\(index)::/48")
      }
      settings.hosts = try (0...random.number(in: 0...3)).map { index in
        HostTable.Entry(
          try HostPattern(["*", "a.example", "*.b.example", "null"][index]),
          subdomains: random.chance(0.5), dnslink: random.chance(0.5))
      }
      settings.headers = (0..<random.number(in: 0...3)).map { index in
        Settings.Header(
          name: ["X-A", "null", "!#$%&'*+-.^_`|~"][index],
          value: random.chance(0.3) ? nil : ["x: y", "- #\"\\'{[", "null", "~"].randomElement())
      }
      settings.cache.negativeTTL = .milliseconds(random.number(in: 0...1_000_000))
      settings.cache.staleNames = .seconds(random.number(in: 0...86_400))
      #expect(try Settings.read(settings.printed, file: "gateway.conf") == settings)
    }
  }

  @Test func emptyListsAndMappingsStandOnTheirLine() {
    let lines = Settings().printed.split(separator: "\n").map(String.init)
    #expect(lines.contains("trusted_proxies: []"))
    #expect(lines.contains("# Default: []"))
    #expect(lines.contains("headers: {}"))
    #expect(lines.contains("# Default: {}"))
    #expect(lines.contains("  - name: \"*\""))
  }

  @Test func eachSettingStandsUnderItsHelp() throws {
    var settings = Settings()
    settings.cache.maxSize = 50 << 30
    let lines = settings.printed.split(separator: "\n").map(String.init)
    let line = try #require(lines.firstIndex(of: "  max_size: 50GB"))
    #expect(lines[line - 1] == "  # Default: 10GB")
    #expect(lines[line - 2] == "  # Expected: a size from 128MB to 64TB, such as 10GB.")
    #expect(lines[line - 3] == "  # What the cache may take on disk, its index counted in.")
    #expect(lines.filter { $0 == "cache:" }.count == 1)
    let path = try #require(lines.firstIndex(of: "    path: \"-\""))
    #expect(lines[path - 1] == "    # Default: \"-\"")
    #expect(lines.suffix(1) == ["  start: false"])
  }
}
