import Admin
import Base
import Cache
import Configuration
import EventLoop
import Gateway
import HTTP1
import HTTP2
import Logging
import Server
import Synchronization
import System
import TLS
import Telemetry
import Upstreams

/// A running gateway: the cache, the workers' threads, the admin listener.
///
/// Made, run and stopped by the main thread.
final class Service {
  /// A place for a thread in a class; it is joined when it goes.
  private final class Running: Sendable {
    let thread: Thread

    init(_ thread: consuming Thread) { self.thread = thread }
  }

  /// One thread and what runs on it.
  ///
  /// Unchecked: touched by the main thread before `start`, and from then on only on its own.
  private final class Runner: @unchecked Sendable {
    let loop: Loop
    let server: ServerWorker
    let gateway: GatewayWorker?
    private var thread: Running?

    init(_ loop: Loop, _ server: ServerWorker, _ gateway: GatewayWorker?) {
      self.loop = loop
      self.server = server
      self.gateway = gateway
    }

    func start(name: String) throws(Fault) {
      thread = Running(try Thread(name: name) { [self] in loop.run() })
    }

    /// Lets answers under way end, for at most so long; `done` then runs on this thread.
    ///
    /// The loop goes on: other workers' clients may read what this one fetches.
    func drain(for patience: Interval, _ done: @escaping @Sendable () -> Void) {
      loop.mailbox.post { [self] in
        gateway?.isDraining = true
        let cut = DrainLimit(server)
        loop.setTimer(loop.enrol(cut), tag: 0, at: loop.now + patience)
        server.drain(done)
      }
    }

    /// Ends the loop.
    func stop() {
      loop.mailbox.post { [self] in
        gateway?.close()
        loop.stop()
      }
    }

    func closeAll() {
      loop.mailbox.post { [self] in server.closeAll() }
    }

    func join() { thread = nil }
  }

  /// Takes the prober to the admin's thread.
  ///
  /// Unchecked: touched by the main thread before that starts, and from then on only there.
  private final class Prober: @unchecked Sendable {
    let value: UpstreamProber

    init(_ value: UpstreamProber) { self.value = value }
  }

  /// Cuts off what has not ended in time.
  private final class DrainLimit: EventHandler {
    private let server: ServerWorker

    init(_ server: ServerWorker) { self.server = server }

    override func deadline(_ tag: UInt32) { server.closeAll() }
  }

  /// How long answers under way may take after a stop.
  private static let drainPatience = Interval.seconds(30)

  private let log: Logger
  private let storage: DiskStorage
  private let disk: DiskQueue
  private let scans: DiskQueue
  private let accessLog: AccessLogWriter
  private var accessLogThread: Running?
  private let workers: [Runner]
  private let admin: Runner
  /// Runs on the admin's thread.
  private let prober: Prober
  private let lookout = Lookout()
  private var lookoutThread: Running?
  private let denylistThread = DenylistThread()
  private var denylistRunning: Running?
  /// The addresses as bound, in the order of the settings.
  let addresses: [SocketAddress]
  let adminAddress: SocketAddress

  /// Starts everything that the settings name, or throws with a sentence that says what could not be.
  static func start(_ settings: Settings) throws -> Service {
    ProcessLimits.ignoreBrokenPipes()
    let log = try logger(settings.logs.level)
    if !TLSMemory.keepBlocks() {
      log.warning("OpenSSL was in use before its memory could be kept: TLS costs some more CPU")
    }
    for place in settings.listen.map(\.address) + [settings.admin.address] {
      try checkFree(socketAddress(place))
    }
    let storage = try openStorage(settings.cache, log)
    do {
      return try Service(settings, log, storage)
    } catch {
      // Whatever else could not start: left open the cache would take it for a death of its index.
      storage.stop()
      throw error
    }
  }

  private init(_ settings: Settings, _ log: Logger, _ storage: DiskStorage) throws {
    let descriptors = ProcessLimits.raiseDescriptors()
    self.log = log
    self.storage = storage
    let (upstreams, names) = try Self.upstreams(settings, log)
    let places = Self.places(settings)
    let database = settings.geo.database.map { path in
      (path: path, watch: PlaceWatch(path: path, places: places))
    }
    if let database { Self.tell(database.watch.look(), of: database.path, log) }
    do throws(Fault) {
      disk = try DiskQueue(threads: 4)
      scans = try DiskQueue(threads: 1, name: "scan")
    } catch {
      throw Program.fail("cannot start: \(SystemError.text(error.errno))")
    }
    accessLog = Self.accessLog(settings, log)
    var options = GatewayOptions()
    options.upstream = Self.upstreamOptions(settings)
    options.places = places
    options.cluster = Self.cluster(settings, upstreams)
    options.hosts = Self.hosts(settings)
    options.trustedProxies = Self.trustedProxies(settings)
    options.cacheStats = NetworkSet(settings.cacheStats.allow)
    options.securePort = settings.redirect.https ? UInt16(settings.redirect.port) : nil
    options.webroot = settings.redirect.webroot
    options.staleNames = settings.cache.staleNames
    options.negativeTTL = settings.cache.negativeTTL
    Self.setTracing(settings, in: &options)
    Self.limit(settings, &options)
    let count = settings.workers.number
    options.slowSearches = Self.slowSearches(settings, workers: count)
    let warning = Self.memoryWarning(settings.rateLimits, memory: MemoryLimit.bytes)
    if let warning { log.warning("\(warning)") }
    let denylist = try Self.denylist(settings, log)
    options.denials = denylist?.denials
    let gateway = Gateway(
      options: options, storage: storage, upstreams: upstreams, disk: disk, scans: scans, log: log)
    var server = ServerOptions()
    server.limits = HTTP1Limits(
      lineBytes: min(16 << 10, settings.limits.headerBytes),
      headBytes: settings.limits.headerBytes)
    server.http2Limits.headBytes = settings.limits.headerBytes
    server.http2Limits.streams = settings.limits.http2Streams
    server.headerTimeout = settings.timeouts.clientHeader
    server.bodyTimeout = settings.timeouts.clientBody
    server.idleTimeout = settings.timeouts.clientIdle
    server.sendTimeout = settings.timeouts.send
    server.headEdits = Self.headEdits(settings)
    Self.limit(settings.limits, &server)
    server.trustedProxies = options.trustedProxies
    server.certificates = try Self.certificates(settings)
    if let certificates = server.certificates { Self.tellEnds(of: certificates, log) }
    server.strictTransport = settings.tls.hsts > .zero ? settings.tls.hsts : nil
    server.connections = max(1, Self.connections(settings, descriptors, log) / count)
    (workers, addresses) = try Self.makeWorkers(
      count, gateway, server, listen: settings.listen,
      accessLog: settings.logs.access.target == .off ? nil : accessLog)
    let subject = try Self.adminSubject(
      settings, gateway, pages: workers.map(\.server.counters), server.certificates,
      accessLog: settings.logs.access.target == .off ? nil : accessLog, disk, log)
    (admin, adminAddress) = try Self.makeAdmin(subject, settings.admin.address)
    prober = Prober(
      UpstreamProber(
        loop: admin.loop, map: upstreams, probe: Self.probe(settings),
        options: Self.upstreamOptions(settings)))
    accessLogThread = Running(try Self.start(accessLog))
    // Threads last: what could not start would have to be stopped again.
    do throws(Fault) {
      try storage.start()
      for (number, worker) in workers.enumerated() { try worker.start(name: "worker-\(number)") }
      try admin.start(name: "admin")
      if let thread = try lookout.start(
        names: names, database: database, certificates: server.certificates, log)
      {
        lookoutThread = Running(thread)
      }
      if let denylist {
        denylistRunning = Running(try denylistThread.start(denylist, gateway))
      }
    } catch {
      throw Program.fail("cannot start a thread: \(SystemError.text(error.errno))")
    }
    admin.loop.mailbox.post { [prober] in prober.value.start() }
    announce()
    warmIndex()
  }

  private static func makeWorkers(
    _ count: Int, _ gateway: Gateway, _ options: ServerOptions, listen: [Settings.Listen],
    accessLog: AccessLogWriter?
  ) throws -> ([Runner], [SocketAddress]) {
    var bound = try listen.map { try socketAddress($0.address) }
    var workers: [Runner] = []
    for number in 0..<count {
      do throws(Fault) {
        let loop = try Loop()
        let counters = CounterPage(regions: gateway.upstreams.regions.count)
        let worker = try GatewayWorker(
          gateway, number: number, loop: loop, counters: counters, accessLog: accessLog)
        let server = ServerWorker(
          loop: loop, options: options, handler: worker, counters: counters)
        workers.append(Runner(loop, server, worker))
      } catch {
        throw Program.fail("cannot make a worker: \(SystemError.text(error.errno))")
      }
    }
    ServerCrew(workers.map(\.server))
    for worker in workers {
      for place in bound.indices {
        let address = bound[place]
        bound[place] = try listening(address) { () throws(Fault) in
          try worker.server.listen(on: address, traits(listen[place]))
        }
      }
    }
    return (workers, bound)
  }

  private static func makeAdmin(
    _ subject: AdminSubject, _ place: HostPort
  ) throws -> (Runner, SocketAddress) {
    let address = try socketAddress(place)
    var runner: Runner?
    let bound = try listening(address) { () throws(Fault) in
      let loop = try Loop()
      let server = ServerWorker(
        loop: loop, options: ServerOptions(), handler: AdminHandler(subject),
        counters: CounterPage())
      runner = Runner(loop, server, nil)
      return try server.listen(on: address)
    }
    guard let runner else { throw Program.fail("admin: cannot start") }
    return (runner, bound)
  }

  private static func checkFree(_ address: SocketAddress) throws {
    _ = try listening(address) { () throws(Fault) in
      try SocketCalls.checkFree(address)
      return address
    }
  }

  private static func listening(
    _ address: SocketAddress, _ body: () throws(Fault) -> SocketAddress
  ) throws -> SocketAddress {
    do throws(Fault) {
      return try body()
    } catch {
      throw Program.fail(
        "cannot listen on \(address.description): \(SystemError.text(error.errno))")
    }
  }

  // MARK: Running

  /// Waits for signals; comes back when everything has ended.
  func runUntilStopped(_ signals: borrowing Signals) {
    while true {
      switch signals.next() {
      case nil: continue
      case .stop:
        log.info("stopping: answers under way go to their end")
        stop(signals)
        return
      case .reopen:
        accessLog.reopen()
        log.info("the access log is reopened")
      case .reload:
        log.notice("SIGHUP does nothing yet: settings are read at the start")
      }
    }
  }

  private func stop(_ signals: borrowing Signals) {
    let drained: WakeUp
    do throws(Fault) {
      drained = try WakeUp()
    } catch {
      log.warning("no descriptor is left to wait with: stopping at once")
      finish()
      return
    }
    let countdown = Countdown(Atomic(workers.count))
    for worker in workers {
      worker.drain(for: Self.drainPatience) { countdown.step(drained) }
    }
    while let signal = signals.next(unless: drained) {
      guard signal == .stop else { continue }
      log.notice("stopping at once: answers under way are cut off")
      for worker in workers { worker.closeAll() }
    }
    finish()
  }

  /// Tells when the last of the workers has drained.
  private final class Countdown: Sendable {
    private let left: Atomic<Int>

    init(_ left: consuming Atomic<Int>) { self.left = left }

    func step(_ wakeUp: WakeUp) {
      if left.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { wakeUp.raise() }
    }
  }

  private func finish() {
    lookout.stop()
    denylistThread.stop()
    denylistRunning = nil
    admin.loop.mailbox.post { [prober] in prober.value.close() }
    for runner in workers + [admin] { runner.stop() }
    for runner in workers + [admin] { runner.join() }
    disk.stop()
    scans.stop()
    storage.stop()
    accessLog.stop()
    accessLogThread = nil
    // Last, since it may be waiting for a resolver that says nothing.
    lookoutThread = nil
    log.info("stopped")
  }

  private func announce() {
    for address in addresses {
      log.info("listening", metadata: ["address": .string(address.description)])
    }
    log.info("serving metrics", metadata: ["address": .string(adminAddress.description)])
    log.info(
      "started",
      metadata: [
        "version": .string(Sluice.version), "workers": .stringConvertible(workers.count),
        "entries": .stringConvertible(storage.counters.snapshot.entries),
      ])
  }

  /// Reads the index through once beside the traffic, so that first look-ups find it in memory.
  private func warmIndex() {
    let storage = storage
    let log = log
    _ = scans.submit {
      do throws(Fault) {
        try storage.warmIndex()
      } catch {
        log.warning(
          "the index could not be read through", metadata: ["fault": .string(error.name)])
      }
    }
  }
}
