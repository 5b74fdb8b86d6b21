import Base

/// Addresses that are Sluice's own: no two listeners on one, and no server behind them.
extension Settings {
  func checkOwnAddresses(_ reader: inout SettingsReader) {
    if let index = listen.firstIndex(where: { $0.address.excludes(admin.address) }) {
      let taken = listen[index].address
      let which = taken == admin.address ? "an address" : "taken by \(taken), an address"
      reader.complain(
        "admin.address: \(admin.address) is \(which) for clients too; expected another one",
        atSetting: "admin.address", "listen[\(index)].address")
    }
    for region in regions {
      checkServers(region.servers, at: "regions.\(region.name).servers", &reader)
    }
    checkServers(clusterAPI.servers, at: "cluster_api.servers", &reader)
    if let lastResort, let own = listener(of: lastResort) {
      complain(of: lastResort, own, at: "last_resort", &reader)
    }
  }

  private func checkServers(
    _ servers: [Server], at place: String, _ reader: inout SettingsReader
  ) {
    for (index, server) in servers.enumerated() {
      guard let own = listener(of: server.address) else { continue }
      complain(of: server.address, own, at: "\(place)[\(index)].address", &reader)
    }
  }

  /// The listener that a server's address leads to.
  private func listener(of server: ServerAddress) -> HostPort? {
    (listen.map(\.address) + [admin.address]).first { $0.takes(server.place) }
  }

  /// A request to such a server would come back as another client's, again and again.
  private func complain(
    of server: ServerAddress, _ own: HostPort, at place: String, _ reader: inout SettingsReader
  ) {
    let why = own == server.place ? "" : " (it listens on \(own))"
    reader.complain(
      "\(place): \(server) is Sluice's own address\(why); expected another server's",
      atSetting: place, "listen")
  }
}

extension HostPort {
  /// The address as a number; nil for a name.
  var address: NetworkAddress? { isAddress ? NetworkAddress(host) : nil }

  /// Whether it stands for all addresses of its family on this machine: `0.0.0.0`, `::`.
  public var isWildcard: Bool {
    address.map { $0 == Self.anyIPv4 || $0 == Self.anyIPv6 } ?? false
  }

  /// Whether it is of the loopback interface (RFC 1122, section 3.2.1.3, RFC 4291, section 2.5.3) or leads there.
  var isLoopback: Bool {
    guard let address else { return host == "localhost" || host.hasSuffix(".localhost") }
    return isWildcard || address == Self.loopbackIPv6
      || address.isIPv4 && (address.low >> 24) & 0xff == 127
  }

  /// Whether the system refuses to listen on both.
  func excludes(_ other: HostPort) -> Bool {
    guard port > 0, port == other.port, let address, let others = other.address,
      address.isIPv4 == others.isIPv4
    else { return false }
    return address == others || isWildcard || other.isWildcard
  }

  /// Whether what listens here gets what is sent to a server, as far as the addresses tell.
  func takes(_ server: HostPort) -> Bool {
    guard port > 0, port == server.port, let address else { return false }
    guard let target = server.address else { return server.isLoopback && isLoopback }
    guard address.isIPv4 == target.isIPv4 else { return false }
    // Connections to 0.0.0.0 and :: go to the loopback interface.
    return address == target || isWildcard && server.isLoopback
      || server.isWildcard && isLoopback
  }

  private static let anyIPv4 = NetworkAddress(ipv4: 0)
  private static let anyIPv6 = NetworkAddress(high: 0, low: 0)
  private static let loopbackIPv6 = NetworkAddress(high: 0, low: 1)
}
