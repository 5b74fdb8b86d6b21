internal import Base
public import EventLoop
internal import HTTP
internal import Telemetry

/// Asks every server now and then whether it lives, and lets all workers know.
///
/// On one loop. Probes go to shadows of the servers, so that they count as nobody's requests, each on a
/// connection of its own: whether new ones are accepted is part of the question.
public final class UpstreamProber: EventHandler {
  private let loop: Loop
  private let map: UpstreamMap
  private let probe: UpstreamProbe
  private let counters = CounterPage()
  private var handle = Handle.none
  private var checks: [Int: ProbeCheck] = [:]
  private var isClosed = false

  public init(loop: Loop, map: UpstreamMap, probe: UpstreamProbe) {
    self.loop = loop
    self.map = map
    self.probe = probe
  }

  /// Begins; on the loop's thread.
  public func start() {
    handle = loop.enrol(self)
    round()
  }

  /// Ends it; on the loop's thread.
  public func close() {
    isClosed = true
    for check in checks.values { check.cancel() }
    checks = [:]
    loop.dismiss(handle)
  }

  public override func deadline(_ tag: UInt32) {
    if !isClosed { round() }
  }

  private func round() {
    // The last resort may be a stranger's, who is not to be asked all along.
    let servers = map.homes.flatMap { map.regions[$0].servers }
    for server in servers where checks[server.number] == nil {
      let check = ProbeCheck(loop, server, probe, counters) { [unowned self] isWell in
        checks[server.number] = nil
        map.journal.tell(server.probed(isWell, at: loop.now, probe), of: server)
      }
      checks[server.number] = check
      check.start()
    }
    loop.setTimer(handle, tag: 0, at: loop.now + probe.interval)
  }
}

/// One probe of one server.
private final class ProbeCheck: UpstreamConsumer {
  private var call: UpstreamCall?
  private let pool: UpstreamPool
  private let request: UpstreamRequest
  private let done: (Bool) -> Void

  init(
    _ loop: Loop, _ server: UpstreamServer, _ probe: UpstreamProbe, _ counters: CounterPage,
    _ done: @escaping (Bool) -> Void
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
    over((200..<300).contains(head.status))
  }

  override func failed(_ fault: Fault) { over(false) }
}
