import Base
import Router

/// The one table of settings: the parser, its messages and the printer all come from these rows.
///
/// The defaults are what a fresh `Settings()` holds. Each range keeps a value within what the rest
/// of the program can do with it; the reason stands beside those that are not plain common sense.
enum SettingsTable {
  static let all: [Setting<Settings>] =
    general + answers + tls + redirect + cache + servers + geo + cluster + timeouts + limits
    + rateLimits + denylist + admin + logs

  private static let general: [Setting<Settings>] = [
    Setting(
      "workers", \.workers, .workers(1...256),
      "Threads that serve clients; auto is one for each core."),
    Setting(
      "listen", listOf: \.listen, listen,
      blank: Settings.Listen(address: HostPort(loopback: 0)),
      "The addresses that clients connect to; port 0 leaves the choice to the system."),
  ]

  private static let answers: [Setting<Settings>] = [
    Setting(
      "trusted_proxies", valuesOf: \.trustedProxies, .network, atMost: NetworkSet.maximumCount,
      "The proxies in front of Sluice whose X-Forwarded-For and the like are believed."),
    Setting(
      "hosts", listOf: \.hosts, host, blank: HostTable.Entry(.all),
      atMost: HostTable.maximumCount,
      "Which hosts are gateways, and of which kind; all others get 404."),
    Setting(
      "headers", headers: \.headers,
      "Fields that every answer gets, or that none has."),
  ]

  // 128MB: the index alone counts as 64MB, and segments need room beside it.
  private static let cache: [Setting<Settings>] = [
    Setting(
      "cache.path", \.cache.path, .path,
      "The cache's folder, made if it is missing."),
    Setting(
      "cache.max_size", \.cache.maxSize, .size((128 << 20)...(64 << 40)),
      "What the cache may take on disk, its index counted in."),
    Setting(
      "cache.slice_size", \.cache.sliceSize, .size((64 << 10)...(16 << 20), powerOfTwo: true),
      "The piece in which content is fetched and kept; objects remember the one they began with."),
    Setting(
      "cache.max_age", \.cache.maxAge, .maxAge(.seconds(60) ... .seconds(3650 * 86_400)),
      "How long content stays at most, from its fetch; off for as long as there is room."),
    // What is proven absent stays absent: the bounds are for an operator's peace of mind.
    Setting(
      "cache.negative_ttl", \.cache.negativeTTL, .duration(.zero ... .seconds(365 * 86_400)),
      "How long it is remembered that a path does not exist, once proven; 0s for not at all."),
    // Beyond a month it is no outage, and the record's own end has come for nearly every name.
    Setting(
      "cache.stale_names", \.cache.staleNames, .duration(.zero ... .seconds(30 * 86_400)),
      "How long a name's last content is served while its record is looked for; 0s for not at all."),
  ]

  private static let servers: [Setting<Settings>] = [
    Setting(
      "regions", regions: region,
      "The Kubo gateways that Sluice asks for what it does not hold, by region."),
    Setting(
      "last_resort", \.lastResort, .lastResort,
      "Who is asked when no server of any region can answer."),
    Setting(
      "health.max_fails", \.health.maxFails, .countOrOff(1...1000),
      "Failures within fail_timeout that take a server down; off for never."),
    Setting(
      "health.fail_timeout", \.health.failTimeout, short,
      "How long a failure counts, and how long a server is down before it is tried again."),
    Setting(
      "health.slow_start", \.health.slowStart, .duration(.zero ... .seconds(3_600)),
      "How long a server that has come up again gets less than its part."),
    Setting(
      "health.probe.path", \.health.probe.path, .target,
      "What probes ask every server for."),
    Setting(
      "health.probe.interval", \.health.probe.interval,
      .durationOrOff(.milliseconds(100) ... .seconds(3_600)),
      "How often; off for no probes."),
    Setting(
      "health.probe.timeout", \.health.probe.timeout, short,
      "How long the answer to a probe may take."),
    Setting(
      "health.probe.rise", \.health.probe.rise, .count(1...1000),
      "Probes in a row that must go well until a server is up."),
    Setting(
      "health.probe.fall", \.health.probe.fall, .count(1...1000),
      "Probes in a row that must fail until a server is down."),
  ]

  private static let geo: [Setting<Settings>] = [
    Setting(
      "geo.default", \.geo.home, .defaultRegion,
      "The region of clients of which nothing else is known."),
    Setting(
      "geo.header", \.geo.header, .fieldName,
      "The field in which trusted proxies say where a client is, by region or by country."),
    Setting(
      "geo.networks", networks: \.geo.networks,
      "Which networks belong to which region; the smallest that has a client counts."),
    Setting(
      "geo.maxmind.database", \.geo.database, .optionalPath,
      "A MaxMind database that knows clients' countries."),
    Setting(
      "geo.maxmind.countries", codes: \.geo.countries,
      "Which countries belong to which region."),
    Setting(
      "geo.maxmind.continents", codes: \.geo.continents,
      among: ["AF", "AN", "AS", "EU", "NA", "OC", "SA"],
      "Which continents do, for countries without a rule of their own."),
  ]

  private static let cluster: [Setting<Settings>] = [
    Setting(
      "cluster_api.prefix", \.clusterAPI.prefix, .clusterPrefix,
      "The path that stands for the root of the cluster's API."),
    Setting(
      "cluster_api.servers", listOf: \.clusterAPI.servers, server,
      blank: Settings.Server(address: ServerAddress(HostPort(loopback: 0))), mayBeEmpty: true,
      "The REST APIs of IPFS Cluster's peers; none for no such path."),
    Setting(
      "cluster_api.allow", valuesOf: \.clusterAPI.allow, .network,
      atMost: NetworkSet.maximumCount,
      "Whose requests are given on; all others get 403."),
  ]

  private static let timeouts: [Setting<Settings>] = [
    Setting(
      "timeouts.connect", \.timeouts.connect, short,
      "How long a connection to a server may take to open."),
    Setting(
      "timeouts.first_byte", \.timeouts.firstByte, short,
      "How long a server may take from the request to the first byte of its answer."),
    Setting(
      "timeouts.between_bytes", \.timeouts.betweenBytes, short,
      "How long a server may pause within its answer."),
    Setting(
      "timeouts.all_tries", \.timeouts.allTries, short,
      "How long it may take until a server answers, over all that are tried."),
    Setting(
      "timeouts.client_header", \.timeouts.clientHeader, short,
      "How long a client may take to send a request's head."),
    Setting(
      "timeouts.client_body", \.timeouts.clientBody, short,
      "How long a client may send no byte of a request's body that is awaited."),
    Setting(
      "timeouts.client_idle", \.timeouts.clientIdle, long,
      "How long a client's connection is kept without a request."),
    Setting(
      "timeouts.send", \.timeouts.send, short,
      "How long a client may take no byte of an answer."),
  ]

  private static let short = Kind.duration(.milliseconds(10) ... .seconds(3_600))
  private static let long = Kind.duration(.milliseconds(10) ... .seconds(86_400))

  static let listen: [Setting<Settings.Listen>] = [
    Setting(
      "address", \.address, .ownAddress, required: true,
      "An IPv4 address, or an IPv6 address in brackets, and a port."),
    Setting("tls", \.isSecure, .flag, "Whether clients speak TLS there."),
    Setting(
      "proxy_protocol", \.hasProxyHeader, .flag,
      "Whether trusted proxies say there by PROXY protocol whom they bring."),
  ]

  static let host: [Setting<HostTable.Entry>] = [
    Setting(
      "name", \.pattern, .host, required: true,
      "A host, *.example.com for one label in front, or * for all."),
    Setting(
      "subdomains", \.subdomains, .flag,
      "Whether content has hosts of its own below this one."),
    Setting(
      "dnslink", \.dnslink, .flag,
      "Whether the host is a site by its DNSLink record."),
  ]

  static let region: [Setting<Settings.Region>] = [
    Setting(
      "servers", listOf: \.servers, server,
      blank: Settings.Server(address: ServerAddress(HostPort(loopback: 0))), required: true,
      "The region's servers."),
    Setting("next", next: \.next),
  ]

  static let server: [Setting<Settings.Server>] = [
    Setting(
      "address", \.address, .peer, required: true,
      "The server's address or name with its port, or its https URL."),
    Setting(
      "weight", \.weight, .count(1...1000),
      "Its part of the requests beside the others'."),
    Setting(
      "backup", \.isBackup, .flag,
      "Whether it is asked only where no other server of the region is well."),
    Setting(
      "max_connections", \.maxConnections, .countOrOff(1...1_000_000),
      "Requests that it gets at a time, over all workers; off for any number."),
    Setting(
      "max_waiting", \.maxWaiting, .count(0...100_000),
      "Requests that may wait for one of those to end."),
  ]
}
