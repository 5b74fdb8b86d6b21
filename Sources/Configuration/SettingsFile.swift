import Router

/// A configuration file that could be read: what it says, and where.
public struct SettingsFile: Sendable {
  public let settings: Settings
  let name: String
  let places: SettingPlaces

  /// A complaint at the first of the named settings that the file has, or at the section that it would be in.
  public func complaint(_ message: String, at names: String...) -> Complaint {
    let place = places.place(of: names)
    return Complaint(file: name, line: place.line, column: place.column, message: message)
  }
}

extension Settings {
  /// Reads the text of a configuration file.
  ///
  /// Nothing is looked up or opened here. Relative paths in the file are relative to the file's own
  /// folder and are given back with that folder before them.
  ///
  /// - Parameters:
  ///   - text: The whole file.
  ///   - file: The file's path, for messages and for its folder.
  public static func read(_ text: String, file: String) throws(Complaints) -> Settings {
    try SettingsFile(text, name: file).settings
  }

  /// The effective configuration as an annotated file that reads back as the same settings.
  public var printed: String {
    SettingsPrinter.annotated(self, by: SettingsTable.all).map { $0 + "\n" }.joined()
  }
}

extension SettingsFile {
  /// As `Settings.read`.
  public init(_ text: String, name file: String) throws(Complaints) {
    var reader = SettingsReader(file: file)
    var settings = Settings()
    if let root = SettingsText.root(of: text, into: &reader) {
      reader.mapping(root, into: &settings, by: SettingsTable.all, at: "")
    }
    if reader.complaints.isEmpty { settings.check(&reader) }
    guard reader.complaints.isEmpty else {
      throw Complaints(
        list: reader.complaints.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
    }
    settings.placePaths(besides: file)
    self.settings = settings
    name = file
    places = reader.places
  }
}

extension Settings {
  /// What no single setting can tell by itself.
  fileprivate func check(_ reader: inout SettingsReader) {
    let segment = max(cache.maxSize / 64, 4 << 20)
    if cache.sliceSize > segment {
      let size = Quantity.size.show(cache.sliceSize)
      reader.complain(
        "cache.slice_size: \(size) is too large for cache.max_size; "
          + "expected at most a 64th of it, or 4MB",
        atSetting: "cache.slice_size", "cache.max_size")
    }
    checkHosts(&reader)
    checkOwnAddresses(&reader)
    checkRegions(&reader)
    checkGeo(&reader)
    checkClusterAPI(&reader)
    checkListeners(&reader)
    checkRateLimits(&reader)
  }

  private func checkHosts(_ reader: inout SettingsReader) {
    var first: [HostPattern: Int] = [:]
    for (index, host) in hosts.enumerated() {
      if let earlier = first[host.pattern] {
        reader.complain(
          "hosts[\(index)].name: \(host.pattern) is hosts[\(earlier)] already; expected it once",
          atSetting: "hosts[\(index)].name")
      } else {
        first[host.pattern] = index
      }
      if case .address = host.pattern, host.subdomains || host.dnslink {
        reader.complain(
          "hosts[\(index)].name: \(host.pattern) is an address, which has no names below it and no "
            + "DNSLink; expected neither subdomains nor dnslink",
          atSetting: "hosts[\(index)].name")
      }
    }
  }

  fileprivate mutating func placePaths(besides file: String) {
    guard let slash = file.lastIndex(of: "/") else { return }
    let folder = file[...slash]
    func placed(_ path: String) -> String { path.hasPrefix("/") ? path : folder + path }
    cache.path = placed(cache.path)
    geo.database = geo.database.map(placed)
    for index in denylist.files.indices {
      denylist.files[index] = placed(denylist.files[index])
    }
    for index in tls.certificates.indices {
      tls.certificates[index].certificate = placed(tls.certificates[index].certificate)
      tls.certificates[index].key = placed(tls.certificates[index].key)
      tls.certificates[index].staple = tls.certificates[index].staple.map(placed)
    }
    redirect.webroot = redirect.webroot.map(placed)
    tls.authorities = tls.authorities.map(placed)
    admin.tokenFile = admin.tokenFile.map(placed)
    admin.auditLog = admin.auditLog.map(placed)
    if case .file(let path) = logs.access.target { logs.access.target = .file(placed(path)) }
  }
}
