public import Base
internal import EventLoop
internal import Server
public import System
internal import Telemetry

/// A running origin: listeners and worker threads over one set of CAR files.
///
/// Made, started and stopped by one owner. Each worker's parts are touched on its own thread only, from
/// `start` on; before that nothing runs. That rule is what makes it `Sendable`.
public final class OriginServer: @unchecked Sendable {
  /// Why an origin cannot begin.
  public enum StartError: Error, Sendable {
    case store(CARStoreError)
    /// The address cannot be listened on.
    case listen(Fault)

    /// What is wrong, for people.
    public var sentence: String {
      switch self {
      case .store(let error): error.sentence
      case .listen(let fault): "cannot listen: \(SystemError.text(fault.errno))"
      }
    }
  }

  /// One thread's parts; the rule above is what makes it `Sendable`.
  private final class Worker: @unchecked Sendable {
    let loop: Loop
    let server: ServerWorker
    var thread: RunningThread?

    init(_ store: CARStore, _ options: OriginOptions) throws(Fault) {
      loop = try Loop()
      server = ServerWorker(
        loop: loop, options: ServerOptions(), handler: OriginHandler(store, options, loop: loop),
        counters: CounterPage())
    }
  }

  /// A place for a thread in a class; it is joined when it goes.
  private final class RunningThread: Sendable {
    let thread: Thread

    init(_ thread: consuming Thread) {
      self.thread = thread
    }
  }

  /// Roots that are named in the log.
  private static let namedRoots = 10

  public let store: CARStore
  /// As bound: with the port that the system chose where 0 was asked for.
  public let address: SocketAddress
  private let workers: [Worker]
  private let log: @Sendable (String) -> Void

  /// Opens the files and listens, but answers nobody before `start`.
  public convenience init(
    cars: [String], options: OriginOptions = OriginOptions(), listen: SocketAddress, workers: Int,
    log: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(StartError) {
    let store: CARStore
    do throws(CARStoreError) {
      store = try CARStore(paths: cars)
    } catch {
      throw .store(error)
    }
    try self.init(store, options: options, listen: listen, workers: workers, log: log)
  }

  public init(
    _ store: CARStore, options: OriginOptions = OriginOptions(), listen: SocketAddress,
    workers: Int, log: @escaping @Sendable (String) -> Void = { _ in }
  ) throws(StartError) {
    var made: [Worker] = []
    var bound = listen
    do throws(Fault) {
      try SocketCalls.checkFree(listen)
      for _ in 0..<max(1, workers) {
        let worker = try Worker(store, options)
        bound = try worker.server.listen(on: bound)
        made.append(worker)
      }
    } catch {
      throw .listen(error)
    }
    self.store = store
    self.workers = made
    self.log = log
    address = bound
  }

  /// Starts the workers' threads, once; throws where the system gives none.
  public func start() throws(Fault) {
    ProcessLimits.ignoreBrokenPipes()
    for (number, worker) in workers.enumerated() {
      worker.thread = RunningThread(
        try Thread(name: "origin-\(number)") { worker.loop.run() })
    }
    log(
      "origin listens on \(address.description): \(store.fileCount) CAR files, "
        + "\(store.blockCount) blocks")
    for root in store.roots.prefix(Self.namedRoots) { log("origin serves /ipfs/\(root)") }
    if store.roots.count > Self.namedRoots {
      log("origin serves \(store.roots.count - Self.namedRoots) more roots")
    }
  }

  /// Closes all connections and waits for the threads.
  public func stop() {
    for worker in workers {
      if worker.thread == nil {
        worker.server.drain {}
        continue
      }
      worker.loop.mailbox.post {
        worker.server.drain { worker.loop.stop() }
        worker.server.closeAll()
      }
      worker.thread = nil
    }
    log("origin stopped")
  }
}
