import Base

/// Settings of the admin listener.
extension SettingsTable {
  static let admin: [Setting<Settings>] = [
    Setting(
      "admin.address", \.admin.address, .ownAddress,
      "Where statistics, metrics and the admin API are served; keep it away from the public."),
    Setting(
      "admin.allow", valuesOf: \.admin.allow, .network, atMost: NetworkSet.maximumCount,
      "Who may read there; all others get 403, but for /health."),
    Setting(
      "admin.token_file", \.admin.tokenFile, .optionalPath,
      "A file with the token that purge, drain and undrain need; off for no changes."),
    // A handful: more names than that are no operator's.
    Setting(
      "admin.hosts", valuesOf: \.admin.hosts, .hostName, atMost: 64,
      "Names that it may be asked by, beside localhost and addresses."),
    Setting(
      "admin.audit_log", \.admin.auditLog, .optionalPath,
      "The file that changes are noted in before they are made; off for nowhere."),
    Setting(
      "cache_stats.allow", valuesOf: \.cacheStats.allow, .network, atMost: NetworkSet.maximumCount,
      "Who may see /cache-stats on the addresses for clients; for all others it is not there."),
  ]
}

extension Kind<String> {
  /// A host's name, without a port.
  static let hostName = Kind(
    expected: "a host's name, such as gateway.internal",
    read: { HostPort.isName($0[...]) ? $0.lowercased() : nil }, show: { $0 })
}
