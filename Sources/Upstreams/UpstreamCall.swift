internal import Base
public import EventLoop
internal import HTTP
internal import Telemetry

/// One request to a region, over as many tries as are allowed.
///
/// Each server is asked at most once, and once more where a kept connection turned out to be dead.
/// Used on the worker's thread alone.
public final class UpstreamCall: EventHandler {
  private enum Phase { case fresh, started, ended }

  let pool: UpstreamPool
  let request: UpstreamRequest
  private var consumer: UpstreamConsumer?
  private var phase = Phase.fresh
  /// Present during a try.
  private var connection: UpstreamConnection?
  private var serverIndex: Int?
  private var isActive = false
  /// The servers asked so far, the last one at the end, behind those that were not to be asked.
  public private(set) var tried: [Int] = []
  /// Whether the last try ended since its server, which had the request, let the time for a first byte pass.
  public private(set) var endedInSilence = false

  public init(_ pool: UpstreamPool, _ request: UpstreamRequest, _ consumer: UpstreamConsumer) {
    self.pool = pool
    self.request = request
    self.consumer = consumer
    tried = request.avoided
  }

  /// The server asked last.
  public var server: UpstreamServer? { serverIndex.map { pool.region.servers[$0] } }

  /// Begins; the consumer hears of it later, never from within this call.
  public func start() {
    guard phase == .fresh else { return }
    phase = .started
    pool.loop.soon(self, tag: 0)
  }

  /// Says that the consumer has room again.
  public func resume() { connection?.resume() }

  /// Gives up: the consumer is called no more, an unfinished answer's connection is closed.
  public func cancel() {
    guard phase != .ended else { return }
    let connection = connection
    end()
    connection?.abandon()
  }

  /// The promise of `start`: makes the first try.
  public override func deadline(_ tag: UInt32) {
    if phase == .started { tryServer(after: Fault(.unavailable, .upstream)) }
  }

  // MARK: Tries

  private func tryServer(after fault: Fault) {
    guard let index = pool.chooseServer(tried: tried) else {
      fail(fault)
      return
    }
    tried.append(index)
    serverIndex = index
    if let connection = pool.takeIdle(index) {
      begin(connection)
    } else {
      begin(UpstreamConnection(pool, server: index))
    }
  }

  private func begin(_ connection: UpstreamConnection) {
    connection.server.tryBegan()
    isActive = true
    pool.counters.add(.upstreamRequest)
    self.connection = connection
    connection.begin(self)
  }

  private func endTry() {
    connection = nil
    if isActive {
      isActive = false
      server?.tryEnded()
    }
  }

  private func end() {
    endTry()
    phase = .ended
    consumer = nil
  }

  private func fail(_ fault: Fault) {
    let consumer = consumer
    end()
    consumer?.failed(fault)
  }

  // MARK: The connection's reports

  /// The try is over, its connection closed.
  func tryFailed(_ fault: Fault, at stage: RetryPolicy.Stage) {
    guard phase == .started, let serverIndex, let server else { return }
    endTry()
    endedInSilence = false
    if case .waiting = stage { endedInSilence = fault.kind == .timeout }
    let decision = RetryPolicy.decide(fault, at: stage, method: request.method)
    if decision == .sameServer {
      // The server ended a connection that it had kept long enough: nobody's fault.
      pool.counters.add(.upstreamRetry)
      begin(UpstreamConnection(pool, server: serverIndex))
      return
    }
    pool.counters.add(.upstreamError(fault.kind))
    server.countError()
    if RetryPolicy.blamesServer(fault, at: stage) { server.failed(at: pool.loop.now) }
    if decision == .otherServer && tried.count < pool.region.servers.count {
      pool.counters.add(.upstreamRetry)
      tryServer(after: fault)
    } else {
      fail(fault)
    }
  }

  func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    consumer?.received(head, text: text, from: server)
  }

  func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    unsafe consumer?.takeBody(read) ?? false
  }

  /// The answer is complete, and the connection no longer this call's.
  func finished(lengthKnown: Bool) {
    let consumer = consumer
    end()
    consumer?.finished(lengthKnown: lengthKnown)
  }
}
