internal import Base
public import System
public import TLS

/// The servers that a region has by its settings: each an address, or a name that stands for any number.
public struct UpstreamEntry: Sendable {
  public var host: String
  public var port: UInt16
  /// As configured, `host:port`.
  public var text: String
  public var traits: UpstreamServer.Traits
  /// Whether the host is a name, whose addresses may change.
  public var isName: Bool
  /// Who must answer there, by TLS; nil for cleartext.
  public var peer: TLSPeer?

  public init(
    host: String, port: UInt16, text: String, traits: UpstreamServer.Traits, isName: Bool,
    peer: TLSPeer? = nil
  ) {
    self.host = host
    self.port = port
    self.text = text
    self.traits = traits
    self.isName = isName
    self.peer = peer
  }
}

extension UpstreamEntry {
  /// What Host says to a server that is known by its certificate's name; public gateways go by it.
  fileprivate var authority: String? {
    guard peer != nil, isName else { return nil }
    return port == 443 ? host : "\(host):\(port)"
  }
}

/// Keeps the regions' servers at the addresses that their names have.
///
/// Blocks on the resolver: used by one thread that may wait.
public final class UpstreamNames {
  /// The addresses of a name, or why it has none.
  public typealias Resolver = (_ host: String, _ port: UInt16) -> Result<[SocketAddress], Why>

  public struct Why: Error, Equatable, Sendable {
    public var sentence: String

    public init(sentence: String) { self.sentence = sentence }
  }

  private struct Place {
    var region: UpstreamRegion
    var entries: [UpstreamEntry]
    /// For each entry its servers, as they were when it last had any.
    var servers: [[UpstreamServer]]
    /// For each entry the servers that it has had, the latest first: resolvers give large sets in turns, and
    /// who comes again has requests under way, and a past.
    var known: [[UpstreamServer]]
    /// For each entry why its name had no address at the last look.
    var whys: [String?]
  }

  /// Servers that are remembered for one name.
  static let knownServers = 256

  private let map: UpstreamMap
  private let resolve: Resolver
  private var places: [Place]

  /// - Parameter entries: those of each region of the map.
  public init(
    _ map: UpstreamMap, _ entries: [[UpstreamEntry]],
    resolve: @escaping Resolver = UpstreamNames.systemResolver
  ) {
    self.map = map
    self.resolve = resolve
    places = zip(map.regions, entries).map { region, entries in
      Place(
        region: region, entries: entries, servers: entries.map { _ in [] },
        known: entries.map { _ in [] }, whys: entries.map { _ in nil })
    }
  }

  /// Whether there is any name to be looked up again.
  public var hasNames: Bool { places.contains { $0.entries.contains(where: \.isName) } }

  /// Asks the system's resolver.
  public static func systemResolver(
    _ host: String, _ port: UInt16
  ) -> Result<[SocketAddress], Why> {
    switch SocketAddress.resolve(host: host, port: port) {
    case .success(let addresses): .success(addresses)
    case .failure(let error): .failure(Why(sentence: error.sentence))
    }
  }

  /// Looks all names up, and changes the regions whose servers are others than before.
  ///
  /// A name without an address keeps the servers that it had: a resolver that fails for a while takes
  /// nobody away.
  /// - Parameter isOver: asked before each name, since a resolver may take long to say nothing.
  public func look(unless isOver: () -> Bool = { false }) {
    for index in places.indices { look(at: index, unless: isOver) }
  }

  private func look(at index: Int, unless isOver: () -> Bool) {
    var hasChanged = false
    for entry in places[index].entries.indices {
      if isOver() { return }
      let place = places[index]
      if !place.entries[entry].isName && !place.servers[entry].isEmpty { continue }
      let settings = place.entries[entry]
      switch resolve(settings.host, settings.port) {
      case .success(let addresses) where !addresses.isEmpty:
        places[index].whys[entry] = nil
        let servers = Self.servers(
          at: addresses, of: settings, region: place.region.name, present: place.known[entry])
        if servers.map(\.number) != place.servers[entry].map(\.number) {
          places[index].servers[entry] = servers
          let others = place.known[entry].filter { old in !servers.contains { $0 === old } }
          places[index].known[entry] = Array((servers + others).prefix(Self.knownServers))
          hasChanged = true
        }
      case .success: complain("it has no address", index, entry)
      case .failure(let why): complain(why.sentence, index, entry)
      }
    }
    guard hasChanged else { return }
    let region = places[index].region
    let wasEmpty = region.servers.isEmpty
    region.replace(with: places[index].servers.flatMap { $0 })
    // What the settings say needs no telling.
    if !wasEmpty {
      map.journal.tell(.changed(region: region.name, servers: region.servers.map(\.label)))
    }
  }

  private func complain(_ why: String, _ index: Int, _ entry: Int) {
    guard places[index].whys[entry] != why else { return }
    places[index].whys[entry] = why
    map.journal.tell(.unresolved(name: places[index].entries[entry].text, why: why))
  }

  /// The servers at a name's addresses: those that are there already stay the same, with all that is known of
  /// them; in an order that does not change with the resolver's.
  static func servers(
    at addresses: [SocketAddress], of entry: UpstreamEntry, region: String,
    present: [UpstreamServer]
  ) -> [UpstreamServer] {
    var distinct: [SocketAddress] = []
    for address in addresses where !distinct.contains(address) { distinct.append(address) }
    distinct.sort { $0.description < $1.description }
    return distinct.map { address in
      if let server = present.first(where: { $0.address == address }) { return server }
      let label = entry.isName ? "\(entry.text)@\(address.host)" : entry.text
      return UpstreamServer(
        address: address, name: "\(region)/\(label)", label: label, entry: entry.text,
        traits: entry.traits, peer: entry.peer, authority: entry.authority)
    }
  }
}
