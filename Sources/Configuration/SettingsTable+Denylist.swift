import Base

/// Settings of what may not be given.
extension SettingsTable {
  static let denylist: [Setting<Settings>] = [
    // Each file costs every question a look-up.
    Setting(
      "denylist.files", valuesOf: \.denylist.files, .path, atMost: 32,
      "Denylists in the compact format (IPIP-383), watched; later files count more.")
  ]
}
