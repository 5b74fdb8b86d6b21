import Admin
import Base
import Configuration
import EventLoop
import Gateway
import Logging
import Router
import System
import TLS
import Telemetry

/// What is told and changed on the admin address, made from settings.
extension Service {
  static func adminSubject(
    _ settings: Settings, _ gateway: Gateway, pages: [CounterPage],
    _ certificates: CertificateStore?, accessLog: AccessLogWriter?, _ disk: DiskQueue,
    _ log: Logger
  ) throws -> AdminSubject {
    let (seconds, milliseconds) = Clock.wall()
    let subject = AdminSubject(
      gateway: gateway, pages: pages, regions: settings.regions.map(\.name),
      certificates: certificates, accessLog: accessLog, version: Sluice.version,
      started: (Clock.now, WallTime(seconds: seconds, milliseconds: milliseconds)),
      access: AdminAccess(
        allow: NetworkSet(settings.admin.allow), hosts: Set(settings.admin.hosts)),
      token: try token(settings.admin), audit: settings.admin.auditLog.map { AuditLog(path: $0) },
      host: pathHost(settings), disk: disk, log: log)
    // Purges can wait, and clients cannot: the gateway starts all the same.
    if let trouble = auditTrouble(settings.admin) {
      log.error("admin.audit_log cannot be written", metadata: ["why": .string(trouble)])
    }
    gateway.provideStatistics { Statistics.forClients(of: subject, at: $0).text + [0x0a] }
    return subject
  }

  /// What changes need; nil where there is none.
  ///
  /// A file that cannot be used is told of at the start, and not by the first purge.
  static func token(_ admin: Settings.Admin) throws -> AdminToken? {
    guard let path = admin.tokenFile else { return nil }
    let token = AdminToken(path: path)
    do throws(AdminToken.Unusable) {
      _ = try token.current()
      return token
    } catch {
      throw Program.fail("admin.token_file: \(error.sentence)")
    }
  }

  /// Why changes will be refused, since they cannot be noted; nil where they can, or where nothing can be changed.
  static func auditTrouble(_ admin: Settings.Admin) -> String? {
    guard admin.tokenFile != nil, let path = admin.auditLog,
      let obstacle = Folder.obstacle(toFile: path, makesFolders: true)
    else { return nil }
    return
      "\(path): \(SystemError.text(obstacle)); changes are refused as long as they cannot be noted"
  }

  /// A host that content at paths is asked at.
  private static func pathHost(_ settings: Settings) -> String {
    let path = settings.hosts.first { !$0.subdomains && !$0.dnslink } ?? settings.hosts.first
    switch path?.pattern {
    case .name(let name): return String(decoding: name, as: UTF8.self)
    case .oneBelow(let name): return "gateway." + String(decoding: name, as: UTF8.self)
    case .address(let address): return address.isIPv4 ? "\(address)" : "[\(address)]"
    case .all, nil: return "localhost"
    }
  }
}
