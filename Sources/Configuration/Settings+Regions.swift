import Base

/// What the settings of regions and of clients' places must have in common.
extension Settings {
  func checkRegions(_ reader: inout SettingsReader) {
    for region in regions {
      checkAddresses(region.servers, at: "regions.\(region.name).servers", &reader)
      guard case .regions(let names) = region.next else { continue }
      let place = "regions.\(region.name).next"
      var seen: Set<String> = []
      for name in names {
        if name == region.name {
          reader.complain("\(place): \(name) is this region; expected others", atSetting: place)
        } else if !seen.insert(name).inserted {
          reader.complain("\(place): \(name) is there already; expected it once", atSetting: place)
        } else {
          checkRegion(name, at: place, &reader)
        }
      }
    }
  }

  func checkClusterAPI(_ reader: inout SettingsReader) {
    guard !clusterAPI.servers.isEmpty else { return }
    checkAddresses(clusterAPI.servers, at: "cluster_api.servers", &reader)
    if clusterAPI.allow.isEmpty {
      reader.complain(
        "cluster_api.allow: nobody may use the cluster's API; expected networks of its users",
        atSetting: "cluster_api.allow", "cluster_api.servers")
    }
    // Both would be one in logs and metrics.
    let place = "regions.cluster_api"
    if regions.contains(where: { $0.name == "cluster_api" }) {
      reader.complain(
        "\(place): the cluster's servers have this name in metrics; expected another one",
        atSetting: place, "regions")
    }
  }

  private func checkAddresses(
    _ servers: [Server], at place: String, _ reader: inout SettingsReader
  ) {
    var addresses: Set<ServerAddress> = []
    for (index, server) in servers.enumerated()
    where !addresses.insert(server.address).inserted {
      let here = "\(place)[\(index)].address"
      reader.complain(
        "\(here): \(server.address) is there already; expected it once", atSetting: here)
    }
  }

  func checkGeo(_ reader: inout SettingsReader) {
    if let home = geo.home { checkRegion(home, at: "geo.default", &reader) }
    for entry in geo.networks {
      checkRegion(entry.region, at: "geo.networks.\(entry.region)", &reader)
    }
    for rule in geo.countries {
      checkRegion(rule.region, at: "geo.maxmind.countries.\(rule.code)", &reader)
    }
    for rule in geo.continents {
      checkRegion(rule.region, at: "geo.maxmind.continents.\(rule.code)", &reader)
    }
    if geo.database != nil, geo.countries.isEmpty, geo.continents.isEmpty {
      reader.complain(
        "geo.maxmind.database: no rule says what countries and continents mean; "
          + "expected geo.maxmind.countries or geo.maxmind.continents",
        atSetting: "geo.maxmind.database")
    }
    if geo.header != nil, trustedProxies.isEmpty {
      reader.complain(
        "geo.header: it counts from trusted proxies only, and there are none; "
          + "expected trusted_proxies",
        atSetting: "geo.header")
    }
  }

  private func checkRegion(_ name: String, at place: String, _ reader: inout SettingsReader) {
    let names = regions.map(\.name)
    guard !names.contains(name) else { return }
    let near = Suggestion.nearest(to: name, among: names).map { "did you mean '\($0)'?" }
    let expected = "expected one of: \(names.joined(separator: ", "))"
    reader.complain("\(place): there is no region '\(name)'; \(near ?? expected)", atSetting: place)
  }
}
