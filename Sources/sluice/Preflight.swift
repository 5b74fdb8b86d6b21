import Admission
import ArgumentParser
import Base
import Cache
import Configuration
import Gateway
import System
import TLS
import Upstreams

/// What can be told on this machine of settings that are right by themselves, before anything is started.
///
/// Files are read and asked about, and nothing is made or changed.
struct Preflight {
  /// Something that is wrong, or seldom meant.
  struct Finding: CustomStringConvertible {
    let complaint: Complaint
    /// Whether `serve` would not start.
    let isError: Bool

    var description: String {
      guard !isError else { return complaint.description }
      return
        "\(complaint.file):\(complaint.line):\(complaint.column): warning: \(complaint.message)"
    }
  }

  private let file: SettingsFile
  private var findings: [Finding] = []

  private init(_ file: SettingsFile) { self.file = file }

  /// Everything that is found, in the file's order.
  static func findings(_ file: SettingsFile) -> [Finding] {
    var preflight = Preflight(file)
    preflight.look(file.settings)
    return preflight.findings.sorted {
      ($0.complaint.line, $0.complaint.column) < ($1.complaint.line, $1.complaint.column)
    }
  }

  /// Throws `ExitCode`, after it has been told, where a server is this machine, at a port where Sluice listens on all of its addresses.
  static func refuseLoops(_ file: SettingsFile) throws {
    var preflight = Preflight(file)
    preflight.lookForLoops(file.settings)
    guard !preflight.findings.isEmpty else { return }
    for finding in preflight.findings { Program.tell("\(finding)") }
    throw ExitCode.failure
  }

  private mutating func refuse(_ name: String, _ what: String) { note(name, what, isError: true) }

  private mutating func warn(_ name: String, _ what: String) { note(name, what, isError: false) }

  /// Warns by a sentence that names the setting itself; nil says nothing.
  private mutating func warn(_ name: String, sentence: String?) {
    guard let sentence else { return }
    findings.append(Finding(complaint: file.complaint(sentence, at: name), isError: false))
  }

  private mutating func note(_ name: String, _ what: String, isError: Bool) {
    findings.append(
      Finding(complaint: file.complaint("\(name): \(what)", at: name), isError: isError))
  }

  private mutating func look(_ settings: Settings) {
    lookAtAddresses(settings)
    lookForLoops(settings)
    lookAt(settings.cache, memory: MemoryLimit.bytes)
    lookAt(settings.tls)
    lookAtAuthorities(settings)
    lookAtRedirects(settings)
    lookAt(settings.denylist)
    lookAt(settings.geo)
    warn(
      "rate_limits",
      sentence: Service.memoryWarning(settings.rateLimits, memory: MemoryLimit.bytes))
    lookAt(settings.admin)
    if case .file(let path) = settings.logs.access.target,
      let obstacle = Folder.obstacle(toFile: path)
    {
      refuse("logs.access.path", "\(path): \(SystemError.text(obstacle))")
    }
  }

  // MARK: The network

  /// Finds addresses that are not this machine's, whatever the port: a gateway that runs has that already.
  private mutating func lookAtAddresses(_ settings: Settings) {
    for (index, entry) in settings.listen.enumerated() {
      lookAt(entry.address, at: "listen[\(index)].address")
    }
    lookAt(settings.admin.address, at: "admin.address")
  }

  private mutating func lookAt(_ place: HostPort, at name: String) {
    if let error = Self.obstacle(toListeningOn: place.host) {
      refuse(name, "\(place): \(SystemError.text(error))")
    }
  }

  /// Why nothing can listen on an address of this machine, whatever the port; nil where it can.
  private static func obstacle(toListeningOn host: String) -> Int32? {
    guard let address = SocketAddress(host: host, port: 0) else { return SystemError.notFound }
    do throws(Fault) {
      try SocketCalls.checkFree(address)
      return nil
    } catch {
      return error.errno
    }
  }

  /// Servers at this machine's own addresses, where a listener has their port on all of them: the settings alone
  /// tell it of the loopback's.
  private mutating func lookForLoops(_ settings: Settings) {
    let listeners = (settings.listen.map(\.address) + [settings.admin.address]).filter(\.isWildcard)
    guard !listeners.isEmpty else { return }
    var servers: [(name: String, address: ServerAddress)] = []
    for region in settings.regions {
      for (index, server) in region.servers.enumerated() {
        servers.append(("regions.\(region.name).servers[\(index)].address", server.address))
      }
    }
    for (index, server) in settings.clusterAPI.servers.enumerated() {
      servers.append(("cluster_api.servers[\(index)].address", server.address))
    }
    if let lastResort = settings.lastResort { servers.append(("last_resort", lastResort)) }
    for (name, address) in servers where address.place.isAddress {
      let place = address.place
      let own = listeners.first { $0.port == place.port && $0.isIPv6 == place.isIPv6 }
      if let own, Self.obstacle(toListeningOn: place.host) == nil {
        refuse(
          name,
          "\(address) is Sluice's own address (it listens on \(own)); expected another server's")
      }
    }
  }

  // MARK: The disk

  private mutating func lookAt(_ cache: Settings.Cache, memory: Int) {
    if let obstacle = Folder.obstacle(toFolder: cache.path) {
      let what = "\(cache.path): \(SystemError.text(obstacle))"
      if obstacle == SystemError.readOnly {
        warn("cache.path", "\(what); answers are given without being kept as long as it is")
      } else {
        refuse("cache.path", what)
      }
    }
    // What is allowed and seldom meant: an index that content leaves no memory for.
    let index = CacheOptions(path: cache.path, maxSize: cache.maxSize).indexSize
    if index > memory / 4 {
      warn(
        "cache.max_size",
        """
        the index may grow to \(Program.gibibytes(index)), more than a quarter of the \
        \(Program.gibibytes(memory)) of memory here; look-ups wait for the disk where it is not in memory
        """)
    }
    warn("cache.max_size", sentence: Service.shortage(cache))
  }

  // MARK: TLS

  private mutating func lookAt(_ tls: Settings.TLS) {
    var areWell = true
    for index in tls.certificates.indices {
      var alone = tls
      alone.certificates = [tls.certificates[index]]
      let name = "tls.certificates[\(index)].certificate"
      do throws(TLSError) {
        let wall = Clock.wallSeconds
        let store = try CertificateStore(Service.certificateOptions(alone), now: 0, wall: wall)
        for end in store.current.ends {
          guard let sentence = Service.sentence(on: end, now: wall) else { continue }
          warn(name, "\(end.path) \(sentence)")
        }
        for path in store.lookAtStaples(at: wall) {
          warn("tls.certificates[\(index)].ocsp", "\(path) has ended, and is not stapled")
        }
      } catch {
        areWell = false
        refuse(name, error.sentence)
      }
    }
    guard areWell, !tls.certificates.isEmpty else { return }
    do throws(TLSError) {
      _ = try CertificateStore(
        Service.certificateOptions(tls), now: 0, wall: Clock.wallSeconds)
    } catch {
      refuse("tls.certificates", error.sentence)
    }
  }

  private mutating func lookAtAuthorities(_ settings: Settings) {
    do {
      _ = try Service.trust(settings)
    } catch {
      // The sentence names the setting.
      findings.append(
        Finding(complaint: file.complaint("\(error)", at: "tls.ca_file"), isError: true))
    }
  }

  private mutating func lookAtRedirects(_ settings: Settings) {
    if settings.redirect.https, settings.trustedProxies.isEmpty,
      !settings.listen.contains(where: \.isSecure)
    {
      warn(
        "redirect.https",
        """
        nobody can come by https here: no address has tls: true, and there are no trusted_proxies to say who did; \
        clients are sent to port \(settings.redirect.port), where something else has to answer
        """)
    }
    if let path = settings.redirect.webroot, !Folder.exists(path) {
      warn("redirect.acme_directory", "\(path): \(SystemError.text(SystemError.notFound))")
    }
  }

  // MARK: Lists, tokens, databases

  private mutating func lookAt(_ denylist: Settings.Denylist) {
    for (index, path) in denylist.files.enumerated() {
      let name = "denylist.files[\(index)]"
      var complaints: [String] = []
      do throws(DenylistUnusable) {
        _ = try Service.denylist([path]) { event in
          guard case .invalid(let path, let lines) = event else { return }
          complaints += lines.map { "\(path):\($0.line): \($0.error.sentence)" }
        }
      } catch {
        refuse(name, error.sentence)
      }
      if !complaints.isEmpty {
        warn(name, "lines that are no rules: " + complaints.joined(separator: "; "))
      }
    }
  }

  /// A database that cannot be used: clients then go where all others do.
  private mutating func lookAt(_ geo: Settings.Geo) {
    guard let path = geo.database else { return }
    do throws(PlaceDatabase.Unusable) {
      _ = try PlaceDatabase.table(path: path, PlaceRules())
    } catch {
      warn("geo.maxmind.database", "\(path) cannot be used: \(error.sentence)")
    }
  }

  private mutating func lookAt(_ admin: Settings.Admin) {
    do {
      _ = try Service.token(admin)
    } catch {
      // The sentence names the setting.
      findings.append(
        Finding(complaint: file.complaint("\(error)", at: "admin.token_file"), isError: true))
    }
    if let sentence = Service.auditTrouble(admin) { warn("admin.audit_log", sentence) }
  }
}
