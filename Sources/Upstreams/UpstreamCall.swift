internal import Base
public import EventLoop
internal import HTTP
internal import HTTP1
internal import Telemetry

/// One request to a region and those that stand in for it, over as many tries as are allowed.
///
/// Each server is asked at most once, and once more where a kept connection turned out to be dead. What the
/// consumer gets is the answer of one server: an answer that tells of trouble is dropped for another
/// server's if there is one to ask. Used on the worker's thread alone.
public final class UpstreamCall: EventHandler {
  private enum Phase { case fresh, started, ended }
  private enum Tag {
    static let start: UInt32 = 0
    static let patience: UInt32 = 1
  }

  let pool: UpstreamPool
  let request: UpstreamRequest
  let body: UpstreamBody?
  /// Whether bytes of the body have been pulled, which cannot be had again.
  private var hasReadBody = false
  private var consumer: UpstreamConsumer?
  private var phase = Phase.fresh
  /// The server asked last.
  public private(set) var server: UpstreamServer?
  /// The servers asked so far, by their numbers, the last one at the end, behind those not to be asked.
  public private(set) var tried: [Int]
  /// Whether the servers could not find the content: the last one let the time for a first byte pass, or one
  /// before it did, or said so.
  public private(set) var endedInSilence = false

  /// What an answer that is complete says behind its body of why it is not what was asked for
  /// (`X-Stream-Error`); nil for most.
  public private(set) var streamError: [UInt8]?

  /// Present during a try.
  private var connection: UpstreamConnection?
  /// Whether this try asks the last resort, which may be a stranger's.
  private(set) var asksLastResort = false
  /// Whether a place at the server is held.
  private var isActive = false
  /// Whether this try finds out if the server is up again.
  private var isTrial = false
  private var tryBegan = Instant.zero
  /// How long the last try took so far.
  public private(set) var timing = UpstreamTiming()
  /// When the last byte of the request's body went out; nil before, and where there is none.
  private var bodyEnd: Instant?
  /// When the first byte of the present answer came.
  private var firstByte: Instant?
  /// Whether the answer that was handed over is none to the server's credit.
  private var isTroubled = false
  /// Servers asked so far.
  private var tries = 0
  /// When tries end.
  private var limit = Instant.never
  private var askedRegions: [Int] = []
  private var avoidedRegions: [Int] = []
  /// Servers whose queues were full or too slow.
  private var passedOver: [Int] = []
  /// Servers that looked for the content in vain.
  private var missed: [UpstreamServer] = []
  /// Servers whose answers were not for what was asked.
  private var foreign: [UpstreamServer] = []
  /// The place in a queue, and the fault to tell if nothing comes of it.
  private var waiting: (waiter: UpstreamWaiter, region: Int, fault: Fault)?
  private var handle = Handle.none

  /// - Parameter body: what the request's body comes from, where its framing says that it has one.
  public init(
    _ pool: UpstreamPool, _ request: UpstreamRequest, _ consumer: UpstreamConsumer,
    body: UpstreamBody? = nil
  ) {
    self.pool = pool
    self.request = request
    self.body = request.body == .none ? nil : body
    self.consumer = consumer
    tried = request.avoided
  }

  /// Begins; the consumer hears of it later, never from within this call.
  public func start() {
    guard phase == .fresh else { return }
    phase = .started
    pool.loop.soon(self, tag: Tag.start)
  }

  /// Says that the consumer has room again.
  public func resume() { connection?.resume() }

  /// Says that the body has bytes again, or its end.
  public func bodyReadable() { connection?.bodyReadable() }

  /// Gives up: the consumer is called no more, an unfinished answer's connection is closed.
  public func cancel() {
    guard phase != .ended else { return }
    let connection = connection
    end()
    connection?.abandon()
  }

  public override func deadline(_ tag: UInt32) {
    guard phase == .started else { return }
    switch tag {
    case Tag.start:
      limit = pool.loop.now + pool.options.allTriesTimeout
      // Else the bodies that break off would pay for their own further tries.
      if !request.isContinuation { pool.map.noteRequest(at: pool.loop.now) }
      next(after: Fault(.unavailable, .upstream), .free)
    default: patienceEnds()
    }
  }

  /// The latest instant for something that is to take so long.
  func deadline(after interval: Interval) -> Instant { min(pool.loop.now + interval, limit) }

  // MARK: Tries

  /// Tries the next server, if there is one, and time and budget for it.
  private func next(after fault: Fault, _ charge: UpstreamMap.Charge) {
    guard let choice = choose(charge) else {
      fail(fault)
      return
    }
    if server != nil { pool.counters.add(.upstreamRetry) }
    take(choice, or: fault)
  }

  /// Another server that is paid for; nil where there is none.
  private func choose(_ charge: UpstreamMap.Charge) -> UpstreamPool.Choice? {
    let now = pool.loop.now
    var avoided = avoidedRegions
    if let lastResort = pool.map.lastResort, !request.isForStrangers { avoided.append(lastResort) }
    guard now < limit,
      let choice = pool.choose(from: request.region, tried: tried + passedOver, avoiding: avoided)
    else { return nil }
    guard pool.map.pay(charge, at: now) else {
      if choice.hasPlace { choice.server.freePlace() }
      pool.counters.add(.upstreamBudgetSpent)
      return nil
    }
    return choice
  }

  private func take(_ choice: UpstreamPool.Choice, or fault: Fault) {
    if choice.hasPlace {
      begin(choice.server, in: choice.region)
      return
    }
    let waiter = UpstreamWaiter(self, pool.loop.mailbox, for: choice.server)
    switch choice.server.wait(waiter) {
    case .taken: begin(choice.server, in: choice.region)
    case .queued:
      waiting = (waiter, choice.region, fault)
      pool.counters.add(.upstreamQueued)
      handle = pool.loop.enrol(self)
      pool.loop.setTimer(
        handle, tag: Tag.patience, at: deadline(after: pool.options.connectTimeout))
    case .full:
      passedOver.append(choice.server.number)
      next(after: fault, .free)
    }
  }

  /// A place at the server that was waited for; false where it is of no use any more.
  func granted(_ waiter: UpstreamWaiter) -> Bool {
    guard phase == .started, let waiting, waiting.waiter === waiter else { return false }
    stopWaiting()
    guard !waiter.server.isDrained else {
      // Drained meanwhile: the place goes on to who waits next, and comes to the same.
      passedOver.append(waiter.server.number)
      next(after: waiting.fault, .free)
      return false
    }
    begin(waiter.server, in: waiting.region)
    return true
  }

  /// It has waited long enough: another server is asked, unless word of a place is on its way.
  private func patienceEnds() {
    guard let waiting, waiting.waiter.server.leave(waiting.waiter) else { return }
    stopWaiting()
    passedOver.append(waiting.waiter.server.number)
    next(after: waiting.fault, .free)
  }

  private func stopWaiting() {
    waiting = nil
    pool.loop.dismiss(handle)
    handle = .none
  }

  private func begin(_ server: UpstreamServer, in region: Int) {
    self.server = server
    isActive = true
    tries += 1
    if tries > 1 || request.isContinuation { server.countRetry() }
    tried.append(server.number)
    if !askedRegions.contains(region) { askedRegions.append(region) }
    asksLastResort = region == pool.map.lastResort
    if region != request.region { pool.counters.add(.upstreamElsewhere) }
    let kept = needsOwnConnection ? nil : pool.takeIdle(server)
    connect(kept ?? UpstreamConnection(pool, server))
  }

  /// A kept connection may turn out to be dead, and what cannot be sent again would be lost with it.
  var needsOwnConnection: Bool { body != nil || !RetryPolicy.isRepeatable(request.method) }

  /// Whether a server that may have acted on the request can be followed by another.
  private var isRepeatable: Bool { RetryPolicy.isRepeatable(request.method) && !hasReadBody }

  private func connect(_ connection: UpstreamConnection) {
    tryBegan = pool.loop.now
    timing = UpstreamTiming()
    bodyEnd = nil
    firstByte = nil
    isTrial = connection.server.tryBegan(at: tryBegan) || isTrial
    pool.counters.add(.upstreamRequest)
    self.connection = connection
    connection.begin(self)
  }

  private func endTry() {
    connection = nil
    guard isActive, let server else { return }
    isActive = false
    if isTrial { server.trialAbandoned() }
    isTrial = false
    server.freePlace()
  }

  private func end() {
    if let waiting {
      // Where a place has been given already, whoever brings word of it takes it back.
      _ = waiting.waiter.server.leave(waiting.waiter)
      stopWaiting()
    }
    endTry()
    phase = .ended
    consumer = nil
  }

  private func fail(_ fault: Fault) {
    let consumer = consumer
    end()
    consumer?.failed(!missed.isEmpty ? Fault(.timeout, .upstream) : fault)
  }

  // MARK: The connection's reports

  /// The try is over, its connection closed.
  func tryFailed(_ fault: Fault, at stage: RetryPolicy.Stage) {
    guard phase == .started, let server else { return }
    let decision = RetryPolicy.decide(fault, at: stage, isRepeatable: isRepeatable)
    if decision == .sameServer {
      // The server ended a connection that it had kept long enough: nobody's fault.
      pool.counters.add(.upstreamRetry)
      connect(UpstreamConnection(pool, server))
      return
    }
    let answersOthers = server.hasServed(after: middle(of: connection?.waitBegan ?? tryBegan))
    pool.counters.add(.upstreamError(fault.kind))
    // A server that had only what others had left of the client's time has not let its own pass.
    let isCutShort = fault.kind == .timeout && pool.loop.now >= limit && tries > 1
    if !isCutShort { server.countError() }
    if !isCutShort, RetryPolicy.blamesServer(fault, at: stage, answersOthers: answersOthers) {
      server.note(trouble: UpstreamEvent.words(for: fault))
      pool.tell(server.failed(at: pool.loop.now, pool.options), of: server)
    }
    endTry()
    var charge = stage == .connecting ? UpstreamMap.Charge.free : .retry
    var isSilence = false
    if case .waiting = stage { isSilence = fault.kind == .timeout }
    if isSilence && answersOthers && request.isSearch {
      noteMiss(at: server)
      charge = .miss
      // Its neighbours ask the same network from the same place.
      avoidedRegions = askedRegions
    }
    endedInSilence = isSilence || !missed.isEmpty
    if decision == .otherServer && missed.count < Self.missLimit {
      next(after: fault, charge)
    } else {
      fail(fault)
    }
  }

  /// The instant halfway from another to now: a server that has answered somebody since then has not just
  /// stopped.
  private func middle(of start: Instant) -> Instant {
    let elapsed = pool.loop.now - start
    return start + Interval(nanoseconds: elapsed.nanoseconds / 2)
  }

  /// Servers that may look for content in vain: one, and one more to make sure.
  private static let missLimit = 2

  private func noteMiss(at server: UpstreamServer) {
    missed.append(server)
    pool.counters.add(.upstreamMiss)
  }

  /// The request is on its way, after connecting where that was needed.
  func connected() {
    timing.connect = pool.loop.now - tryBegan
    pool.counters.observe(.upstreamConnect, timing.connect)
  }

  /// All of the request's body has been sent.
  func bodySent() { bodyEnd = pool.loop.now }

  /// The first byte of an answer, or of an interim one before it, has come.
  func heard() { firstByte = pool.loop.now }

  /// Counts the time to the first byte of an answer whose head is here.
  ///
  /// How long a body was on its way is its client's to say: the server's time begins at its end, and an answer
  /// that came before tells none.
  private func noteFirstByte() {
    guard let firstByte, let since = body == nil ? tryBegan : bodyEnd else { return }
    timing.firstByte = max(.zero, firstByte - since)
    pool.counters.observe(.upstreamFirstByte, timing.firstByte)
  }

  func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    isTroubled = false
    noteFirstByte()
    if isDropped(head, text, from: server) || isRefused(head, text, from: server) { return }
    if asksLastResort, request.host != nil, (301...308).contains(head.status), head.status != 304 {
      // It leads on among the stranger's paths, which are none of the client's host.
      bodyBroke(Fault(.unavailable, .upstream))
      return
    }
    consumer?.received(head, text: text, from: server)
  }

  /// Whether an answer tells of trouble, and another server is asked in its place.
  private func isDropped(
    _ head: ResponseHead, _ text: RawSpan, from server: UpstreamServer
  ) -> Bool {
    let now = pool.loop.now
    let rest = Self.rest(head, text, wallSeconds: pool.loop.wallSeconds)
    // One that has failed a moment ago may answer others all the same.
    let isWell =
      server.standing(at: now, pool.options).rank == .good || isTrial
      || server.hasServed(after: middle(of: tryBegan))
    let verdict = RetryPolicy.judge(
      status: head.status, saysWhen: rest != nil, after: now - tryBegan,
      isSearched: isWell && request.isSearch)
    if verdict == .answer { return false }
    isTroubled = true
    var charge = UpstreamMap.Charge.retry
    var fault = Fault(.unavailable, .upstream)
    switch verdict {
    case .answer: return false
    case .busy: break
    case .trouble(let trouble):
      fault = trouble
      server.countError()
      server.note(trouble: "status \(head.status)")
      pool.tell(server.failed(at: now, pool.options), of: server)
    case .miss:
      noteMiss(at: server)
      fault = Fault(.timeout, .upstream)
      charge = .miss
      // Its neighbours ask the same network from the same place.
      avoidedRegions = askedRegions
    }
    if let rest, verdict != .miss { server.rests(until: now + rest) }
    guard isRepeatable, missed.count < Self.missLimit,
      let choice = choose(charge)
    else { return false }
    pool.counters.add(.upstreamRetry)
    endedInSilence = !missed.isEmpty
    let connection = connection
    endTry()
    connection?.abandon()
    take(choice, or: fault)
    return true
  }

  /// Whether an answer is not for what was asked, and another server is asked in its place.
  ///
  /// Only when that one has given what was asked for it is known that the first did not do its work.
  private func isRefused(
    _ head: ResponseHead, _ text: RawSpan, from server: UpstreamServer
  ) -> Bool {
    let now = pool.loop.now
    guard let consumer, !isTroubled else { return false }
    if consumer.accepts(head, text: text) {
      if head.status < 400 {
        for liar in foreign { pool.tell(liar.failed(at: now, pool.options), of: liar) }
      }
      return false
    }
    guard isRepeatable, let choice = choose(.retry) else { return false }
    server.blame(at: now)
    foreign.append(server)
    pool.counters.add(.upstreamRetry)
    let connection = connection
    endTry()
    connection?.abandon()
    take(choice, or: Fault(.mismatch, .upstream))
    return true
  }

  /// Whether an answer was refused as one that was not for what was asked, and no other server gave a better one.
  public var hasRefused: Bool { !foreign.isEmpty }

  /// How long a server wants to be left alone (RFC 9110, 10.2.3), within reason; nil where it does not say.
  private static func rest(_ head: ResponseHead, _ text: RawSpan, wallSeconds: Int64) -> Interval? {
    guard let place = head.value(.retryAfter) else { return nil }
    let value = text.bytes(place)
    var seconds: Int64
    if let date = HTTPDate.parse(value) {
      seconds = date - wallSeconds
    } else {
      guard (1...9).contains(value.byteCount) else { return nil }
      seconds = 0
      for offset in 0..<value.byteCount {
        let byte = value.byte(offset)
        guard byte.isASCIIDigit else { return nil }
        seconds = seconds * 10 + Int64(byte & 0x0f)
      }
    }
    let longest = UpstreamOptions.longestRest
    // Before it is multiplied: dates go to the year 9999.
    return seconds < longest.nanoseconds / 1_000_000_000 ? .seconds(Int(max(0, seconds))) : longest
  }

  /// Bytes of the body have been pulled, or its end: there is no other try from now on, and no end to the tries'
  /// time.
  func bodyWasRead() {
    hasReadBody = true
    limit = .never
  }

  /// The rest of the body will not come; the server is not to blame.
  func bodyBroke(_ fault: Fault) {
    guard phase == .started else { return }
    let (connection, consumer) = (connection, consumer)
    end()
    connection?.abandon()
    consumer?.failed(fault)
  }

  func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    unsafe consumer?.takeBody(read) ?? false
  }

  /// So much of the body has come, or all of it, that the server does well.
  func convinced() {
    guard !isTroubled, let server else { return }
    isTrial = false
    let now = pool.loop.now
    pool.tell(server.answered(at: now, pool.options), of: server)
    for server in missed { pool.tell(server.overlooked(at: now, pool.options), of: server) }
    missed = []
  }

  /// The answer is complete, and the connection no longer this call's.
  func finished(lengthKnown: Bool, streamError: [UInt8]?) {
    convinced()
    self.streamError = streamError
    let consumer = consumer
    end()
    consumer?.finished(lengthKnown: lengthKnown)
  }
}
