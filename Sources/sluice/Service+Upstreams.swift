import Base
import Configuration
import Gateway
import Logging
import System
import TLS
import Upstreams

/// The servers and the clients' places, made from settings.
extension Service {
  /// All regions, with the addresses that their servers' names have now.
  ///
  /// A name that has none is told of and looked up again; nobody at all is a mistake.
  static func upstreams(_ settings: Settings, _ log: Logger) throws -> (UpstreamMap, UpstreamNames)
  {
    let names = settings.regions.map(\.name)
    let trust = try trust(settings)
    let next = settings.regions.map { region -> [Int]? in
      guard case .regions(let others) = region.next else { return nil }
      return others.compactMap { names.firstIndex(of: $0) }
    }
    var entries = settings.regions.map { $0.servers.map { entry($0, trust) } }
    var lastResort: UpstreamRegion?
    if let address = settings.lastResort {
      lastResort = UpstreamRegion(name: "last_resort", servers: [])
      entries.append([entry(address, UpstreamServer.Traits(), trust)])
    }
    var cluster: UpstreamRegion?
    if !settings.clusterAPI.servers.isEmpty {
      cluster = UpstreamRegion(name: "cluster_api", servers: [])
      entries.append(settings.clusterAPI.servers.map { entry($0, trust) })
    }
    let map = UpstreamMap(
      regions: names.map { UpstreamRegion(name: $0, servers: []) }, next: next,
      lastResort: lastResort, apart: cluster)
    map.onEvent { tell($0, log) }
    let upstreamNames = UpstreamNames(map, entries)
    upstreamNames.look()
    let content = map.regions.indices.filter { $0 != map.apart }
    guard content.contains(where: { !map.regions[$0].servers.isEmpty }) else {
      throw Program.fail("regions: no server's name has an address")
    }
    return (map, upstreamNames)
  }

  private static func entry(_ server: Settings.Server, _ trust: TLSTrust?) -> UpstreamEntry {
    entry(
      server.address,
      UpstreamServer.Traits(
        weight: server.weight, isBackup: server.isBackup,
        maxConnections: server.maxConnections, maxWaiting: server.maxWaiting), trust)
  }

  /// Who may use the cluster's API; nil where it is not given on.
  static func cluster(_ settings: Settings, _ map: UpstreamMap) -> ClusterAccess? {
    map.apart.map { region in
      ClusterAccess(
        prefix: Array(settings.clusterAPI.prefix.utf8),
        allow: NetworkSet(settings.clusterAPI.allow), region: region)
    }
  }

  /// Whom https servers' certificates are believed by; nil where there is no such server.
  static func trust(_ settings: Settings) throws -> TLSTrust? {
    let addresses = (settings.regions.flatMap(\.servers) + settings.clusterAPI.servers).map(
      \.address)
    guard (addresses + [settings.lastResort].compactMap { $0 }).contains(where: \.isSecure) else {
      return nil
    }
    do throws(TLSError) {
      return try TLSTrust(authorities: settings.tls.authorities)
    } catch {
      throw Program.fail("tls.ca_file: \(error.sentence)")
    }
  }

  private static func entry(
    _ address: ServerAddress, _ traits: UpstreamServer.Traits, _ trust: TLSTrust?
  ) -> UpstreamEntry {
    let place = address.place
    let peer =
      address.isSecure
      ? trust.map {
        TLSPeer(place.host, isAddress: place.isAddress, trust: $0, protocols: ["http/1.1"])
      } : nil
    return UpstreamEntry(
      host: place.host, port: place.port, text: address.description, traits: traits,
      isName: !place.isAddress, peer: peer)
  }

  private static func tell(_ event: UpstreamEvent, _ log: Logger) {
    switch event {
    case .down(let server, let cause, let last):
      var metadata: Logger.Metadata = [
        "server": .string(server), "cause": .string(cause.rawValue),
      ]
      if cause == .failures, !last.isEmpty { metadata["why"] = .string(last) }
      log.warning("a server is down", metadata: metadata)
    case .up(let server):
      log.notice("a server is up again", metadata: ["server": .string(server)])
    case .drained(let server):
      log.notice(
        "a server is drained: it gets no new requests", metadata: ["server": .string(server)])
    case .undrained(let server):
      log.notice(
        "a server is drained no more", metadata: ["server": .string(server)])
    case .changed(let region, let servers):
      log.notice(
        "a region has other servers",
        metadata: [
          "region": .string(region), "servers": .string(servers.joined(separator: " ")),
        ])
    case .untrusted(let server, let why):
      log.error(
        "a server cannot be trusted: nothing is sent to it",
        metadata: ["server": .string(server), "why": .string(why)])
    case .unresolved(let name, let why):
      log.warning(
        "a server's name cannot be resolved: what it had stays",
        metadata: ["name": .string(name), "why": .string(why)])
    }
  }

  static func upstreamOptions(_ settings: Settings) -> UpstreamOptions {
    UpstreamOptions(
      connectTimeout: settings.timeouts.connect, firstByteTimeout: settings.timeouts.firstByte,
      betweenBytesTimeout: settings.timeouts.betweenBytes,
      allTriesTimeout: settings.timeouts.allTries, maxFails: settings.health.maxFails,
      failTimeout: settings.health.failTimeout, slowStart: settings.health.slowStart)
  }

  /// How many slow searches a worker may have: of a region where every server has `max_connections` they take no
  /// more than half of the places, so that what is there finds one.
  static func slowSearches(_ settings: Settings, workers: Int) -> Int {
    let places = settings.regions.compactMap { region -> Int? in
      let limits = region.servers.map(\.maxConnections)
      return limits.isEmpty || limits.contains(0) ? nil : limits.reduce(0, +)
    }
    let usual = GatewayOptions().slowSearches
    return places.min().map { min(usual, max(1, $0 / 2 / workers)) } ?? usual
  }

  /// What to probe servers with.
  static func probe(_ settings: Settings) -> UpstreamProbe {
    let probe = settings.health.probe
    return UpstreamProbe(
      target: Array(probe.path.utf8), interval: probe.interval, timeout: probe.timeout,
      rise: probe.rise, fall: probe.fall)
  }

  // MARK: Places

  static func places(_ settings: Settings) -> ClientPlaces {
    let names = settings.regions.map(\.name)
    let geo = settings.geo
    func rules(_ rules: [Settings.Geo.Rule]) -> [String: Int] {
      var places: [String: Int] = [:]
      for rule in rules { places[rule.code] = names.firstIndex(of: rule.region) }
      return places
    }
    let networks = geo.networks.flatMap { entry in
      entry.networks.compactMap { network in
        names.firstIndex(of: entry.region).map { (network: network, region: $0) }
      }
    }
    return ClientPlaces(
      home: geo.home.flatMap { names.firstIndex(of: $0) } ?? 0, header: geo.header ?? "",
      regions: names, networks: networks,
      rules: PlaceRules(countries: rules(geo.countries), continents: rules(geo.continents)))
  }

  static func tell(_ finding: PlaceWatch.Finding?, of path: String, _ log: Logger) {
    switch finding {
    case .used(let ranges):
      log.info(
        "the database of places is in use",
        metadata: ["path": .string(path), "ranges": .stringConvertible(ranges)])
    case .unusable(let why):
      log.error(
        "the database of places cannot be used: what was known before stays",
        metadata: ["path": .string(path), "why": .string(why)])
    case nil: return
    }
  }
}

/// The thread that looks, all along, at what may change outside: names' addresses and files.
///
/// Names of servers, the database of places, certificates: all of it may wait for long. It also makes new keys
/// for session tickets.
final class Lookout: Sendable {
  /// How often names are looked up: the resolver does not say for how long its answers count.
  private static let namePause = Interval.seconds(10)
  /// How often the database's file is looked at.
  private static let filePause = Interval.seconds(5)

  /// How often the certificates' files are: who renews one looks whether it has come.
  private static let certificatePause = Interval.seconds(1)

  private let isStopping = Monitor(false)

  /// Begins; nothing is looked at where neither is given.
  func start(
    names: sending UpstreamNames, database: sending (path: String, watch: PlaceWatch)?,
    certificates: CertificateStore?, _ log: Logger
  ) throws(Fault) -> System.Thread? {
    guard names.hasNames || database != nil || certificates != nil else { return nil }
    let tasks = Tasks(names: names, database: database, certificates: certificates, log: log)
    return try Thread(name: "lookout") { [isStopping] in
      var nextNames = Clock.now + Self.namePause
      var nextFile = Clock.now + Self.filePause
      var nextCertificate =
        tasks.certificates == nil ? Instant.never : Clock.now + Self.certificatePause
      while true {
        let due = min(nextNames, nextFile, nextCertificate)
        let isOver: Bool? = isStopping.wait(until: due) { $0 ? true : nil }
        if isOver != nil { return }
        if nextNames <= Clock.now {
          tasks.names.look {
            // A resolver that says nothing keeps a staple past its time for one name, and not for all.
            if nextCertificate <= Clock.now {
              tasks.lookAtCertificates()
              nextCertificate = Clock.now + Self.certificatePause
            }
            return isStopping.with { $0 }
          }
          nextNames = Clock.now + Self.namePause
        }
        if nextFile <= Clock.now {
          tasks.lookAtFile()
          nextFile = Clock.now + Self.filePause
        }
        if nextCertificate <= Clock.now {
          tasks.lookAtCertificates()
          nextCertificate = Clock.now + Self.certificatePause
        }
      }
    }
  }

  func stop() {
    isStopping.with { $0 = true }
    isStopping.broadcast()
  }

  /// What the thread looks at.
  ///
  /// Unchecked: used by the main thread until the thread starts, and then by that alone.
  private final class Tasks: @unchecked Sendable {
    let names: UpstreamNames
    private let database: (path: String, watch: PlaceWatch)?
    let certificates: CertificateStore?
    private let log: Logger

    init(
      names: UpstreamNames, database: (path: String, watch: PlaceWatch)?,
      certificates: CertificateStore?, log: Logger
    ) {
      self.names = names
      self.database = database
      self.certificates = certificates
      self.log = log
    }

    func lookAtFile() {
      if let database { Service.tell(database.watch.look(), of: database.path, log) }
    }

    func lookAtCertificates() {
      guard let certificates else { return }
      Service.tell(certificates.look(at: Clock.wallSeconds), of: certificates, log)
      Service.tell(ended: certificates.lookAtStaples(at: Clock.wallSeconds), log)
      certificates.rotateTickets(at: Clock.now.nanoseconds / 1_000_000_000)
    }
  }
}
