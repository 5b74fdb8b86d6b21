public import Base
public import EventLoop
public import Gateway
public import Logging
internal import Synchronization
public import TLS
public import Telemetry

/// What the admin pages tell of and what they change, read when they are asked for.
public struct AdminSubject: Sendable {
  public var gateway: Gateway
  /// The workers' pages.
  public var pages: [CounterPage]
  /// The names of the regions that the pages count, by their places there.
  public var regions: [String]
  /// Nil where no listener has TLS.
  public var certificates: CertificateStore?
  public var accessLog: AccessLogWriter?
  public var version: String
  /// When the process began to serve, by the monotonic clock and by the calendar.
  public var started: (instant: Instant, time: WallTime)
  /// Who may read and change.
  public var access: AdminAccess
  /// What changes need; nil where nothing may be changed.
  public var token: AdminToken?
  /// Where changes are noted; nil where they are not.
  public var audit: AuditLog?
  /// The host of a path gateway, for questions that name none.
  public var host: String
  /// Threads that wait for the disk in place of the admin's.
  public var disk: DiskQueue
  public var log: Logger
  let counters = AdminCounters()

  public init(
    gateway: Gateway, pages: [CounterPage], regions: [String], certificates: CertificateStore?,
    accessLog: AccessLogWriter?, version: String, started: (instant: Instant, time: WallTime),
    access: AdminAccess, token: AdminToken?, audit: AuditLog?, host: String, disk: DiskQueue,
    log: Logger
  ) {
    self.gateway = gateway
    self.pages = pages
    self.regions = regions
    self.certificates = certificates
    self.accessLog = accessLog
    self.version = version
    self.started = started
    self.access = access
    self.token = token
    self.audit = audit
    self.host = host
    self.disk = disk
    self.log = log
  }
}

/// What happens on the admin address, counted.
final class AdminCounters: Sendable {
  /// Requests that were refused: by network, token, host or as a page's.
  let refusals = Atomic<Int>(0)
  /// Changes that were made.
  let changes = Atomic<Int>(0)
}
