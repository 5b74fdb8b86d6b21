internal import Base
public import EventLoop
internal import HTTP
internal import Telemetry

/// Asks every server now and then whether it lives, and lets all workers know.
///
/// Where that is not wanted it asks those alone that are down and that no request tries: a standby region that
/// failed once, in need, would be down for good.
///
/// On one loop. Probes go to shadows of the servers, so that they count as nobody's requests, each on a
/// connection of its own: whether new ones are accepted is part of the question.
public final class UpstreamProber: EventHandler {
  private let loop: Loop
  private let map: UpstreamMap
  private let probe: UpstreamProbe
  private let options: UpstreamOptions
  private let counters = CounterPage()
  private var handle = Handle.none
  private var checks: [Int: ProbeCheck] = [:]
  private var isClosed = false

  private enum Tag {
    static let all: UInt32 = 0
    static let forgotten: UInt32 = 1
  }

  /// - Parameter options: as the servers' pools have them.
  public init(loop: Loop, map: UpstreamMap, probe: UpstreamProbe, options: UpstreamOptions) {
    self.loop = loop
    self.map = map
    self.probe = probe
    self.options = options
  }

  /// Begins; on the loop's thread.
  public func start() {
    handle = loop.enrol(self)
    if probe.interval > .zero { askAll() }
    askForgotten()
  }

  /// Ends it; on the loop's thread.
  public func close() {
    isClosed = true
    for check in checks.values { check.cancel() }
    checks = [:]
    loop.dismiss(handle)
  }

  public override func deadline(_ tag: UInt32) {
    if isClosed { return }
    if tag == Tag.all { askAll() } else { askForgotten() }
  }

  private func askAll() {
    // The last resort may be a stranger's, who is not to be asked all along.
    for server in map.homes.flatMap({ map.regions[$0].servers }) {
      ask(server, mayRefuse: false) { [unowned self] isWell in
        server.probed(isWell, at: loop.now, probe)
      }
    }
    loop.setTimer(handle, tag: Tag.all, at: loop.now + probe.interval)
  }

  private func askForgotten() {
    for (place, region) in map.regions.enumerated() {
      for server in region.servers where server.isForgotten(at: loop.now, options) {
        // Another kind of server, or a stranger, lives if it says anything sensible.
        ask(server, mayRefuse: !map.homes.contains(place)) { [unowned self] isWell in
          isWell ? server.remembered(at: loop.now, options) : nil
        }
      }
    }
    let pause = max(options.failTimeout, Self.leastPause)
    loop.setTimer(handle, tag: Tag.forgotten, at: loop.now + pause)
  }

  /// The least time between two looks for servers that are forgotten.
  private static let leastPause = Interval.seconds(1)

  private func ask(
    _ server: UpstreamServer, mayRefuse: Bool, _ done: @escaping (Bool) -> ServerHealth.Change?
  ) {
    guard checks[server.number] == nil else { return }
    let check = ProbeCheck(loop, server, probe, counters, mayRefuse: mayRefuse) {
      [unowned self] isWell in
      checks[server.number] = nil
      map.journal.tell(done(isWell), of: server)
    }
    checks[server.number] = check
    check.start()
  }
}

/// One probe of one server.
private final class ProbeCheck: UpstreamConsumer {
  private var call: UpstreamCall?
  private let pool: UpstreamPool
  private let request: UpstreamRequest
  private let mayRefuse: Bool
  private let done: (Bool) -> Void

  /// - Parameter mayRefuse: whether a status of 300 to 499 is well too.
  init(
    _ loop: Loop, _ server: UpstreamServer, _ probe: UpstreamProbe, _ counters: CounterPage,
    mayRefuse: Bool, _ done: @escaping (Bool) -> Void
  ) {
    let shadow = UpstreamServer(
      address: server.address, name: server.name, peer: server.peer,
      authority: String(decoding: server.authority, as: UTF8.self))
    pool = UpstreamPool(
      loop: loop, map: UpstreamMap(UpstreamRegion(name: "", servers: [shadow])),
      options: UpstreamOptions(
        connectTimeout: probe.timeout, firstByteTimeout: probe.timeout,
        betweenBytesTimeout: probe.timeout, allTriesTimeout: probe.timeout, idlePerServer: 0),
      counters: counters)
    request = UpstreamRequest(target: probe.target)
    self.mayRefuse = mayRefuse
    self.done = done
  }

  func start() {
    let call = UpstreamCall(pool, request, self)
    self.call = call
    call.start()
  }

  func cancel() {
    call?.cancel()
    call = nil
  }

  private func over(_ isWell: Bool) {
    guard call != nil else { return }
    cancel()
    done(isWell)
  }

  /// The head says it; the body is nobody's.
  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    over((200..<(mayRefuse ? 500 : 300)).contains(head.status))
  }

  override func failed(_ fault: Fault) { over(false) }
}
