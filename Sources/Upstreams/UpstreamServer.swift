public import Base
internal import Synchronization
public import System
public import TLS

/// An upstream server as all workers see it: where it is, how it does, and who waits for it.
public final class UpstreamServer: Sendable {
  /// What an operator may set about a server.
  public struct Traits: Hashable, Sendable {
    /// Its part of the requests beside others', from 1.
    public var weight: Int
    /// Whether it is asked only where no other of its region is well.
    public var isBackup: Bool
    /// Requests at a time, over all workers; 0 for any number.
    public var maxConnections: Int
    /// Requests that may wait for one of those to end.
    public var maxWaiting: Int

    public init(
      weight: Int = 1, isBackup: Bool = false, maxConnections: Int = 0, maxWaiting: Int = 100
    ) {
      self.weight = weight
      self.isBackup = isBackup
      self.maxConnections = maxConnections
      self.maxWaiting = maxWaiting
    }
  }

  /// The server's own in this process, never another's.
  public let number: Int
  public let address: SocketAddress
  /// As answers and logs name it: the region, a slash, and what `label` says.
  public let name: String
  /// Within its region: as configured, and for one of a name's addresses that too.
  public let label: String
  /// As configured; the same as `label` but for one of a name's addresses.
  public let entry: String
  public let traits: Traits
  /// Whom to find there by TLS; nil for cleartext.
  public let peer: TLSPeer?
  /// What Host says where a request names no other: the server's `ip:port`, and by TLS its name.
  let authority: [UInt8]

  private static let count = Atomic<Int>(0)
  private let activeTries = Atomic<Int>(0)
  private let triesBegun = Atomic<Int>(0)
  private let triesFailed = Atomic<Int>(0)
  private let triesAgain = Atomic<Int>(0)
  private let bodiesResumed = Atomic<Int>(0)
  /// When it last gave a request an answer to its credit; probes do not count, which touch no content.
  private let lastServed = Atomic<Int64>(Int64.min)
  /// Whether `health` has anything to say; without it no lock is taken.
  private let isMarked = Atomic<Bool>(false)
  private let health = Mutex(ServerHealth())
  /// Why the last handshake with it failed; nil where it did not.
  private let distrust = Mutex<String?>(nil)
  /// Whether an operator has taken it out; see `drain`.
  private let isOut = Atomic<Bool>(false)
  /// Who waits, in order; only where there is a most.
  private let waiting = Mutex<[UpstreamWaiter]>([])

  public init(
    address: SocketAddress, name: String, label: String? = nil, entry: String? = nil,
    traits: Traits = Traits(), peer: TLSPeer? = nil, authority: String? = nil
  ) {
    number = Self.count.add(1, ordering: .relaxed).newValue
    self.address = address
    self.name = name
    self.label = label ?? name
    self.entry = entry ?? label ?? name
    self.traits = traits
    self.peer = peer
    self.authority = [UInt8]((authority ?? address.description).utf8)
  }

  /// Requests under way, of all workers.
  public var active: Int { activeTries.load(ordering: .relaxed) }
  /// Requests that wait for one of those to end.
  public var waitingCount: Int { traits.maxConnections == 0 ? 0 : waiting.withLock { $0.count } }
  /// Requests begun since the process started, each try counted.
  public var requests: Int { triesBegun.load(ordering: .relaxed) }
  /// Tries that ended with the server's fault.
  public var errors: Int { triesFailed.load(ordering: .relaxed) }
  /// Tries that came to it since another one could not answer.
  public var retries: Int { triesAgain.load(ordering: .relaxed) }
  /// Bodies that broke off and went on from it.
  public var resumed: Int { bodiesResumed.load(ordering: .relaxed) }

  /// Whether it gets no new requests, by an operator's word; those under way go to their end.
  public var isDrained: Bool { isOut.load(ordering: .relaxed) }

  func setDrained(_ isDrained: Bool) { isOut.store(isDrained, ordering: .relaxed) }

  // MARK: Places

  /// Takes a place for a request; false where all are taken.
  func takePlace() -> Bool {
    guard traits.maxConnections > 0 else {
      activeTries.add(1, ordering: .relaxed)
      return true
    }
    return waiting.withLock { _ in takeUnderLock() }
  }

  private func takeUnderLock() -> Bool {
    guard active < traits.maxConnections else { return false }
    activeTries.add(1, ordering: .relaxed)
    return true
  }

  /// What becomes of who wants to wait.
  enum Wait { case taken, queued, full }

  /// Takes a place, or waits in the queue for one, if there is room in it.
  func wait(_ waiter: UpstreamWaiter) -> Wait {
    waiting.withLock { queue in
      if takeUnderLock() { return .taken }
      guard queue.count < traits.maxWaiting else { return .full }
      queue.append(waiter)
      return .queued
    }
  }

  /// Waits no more; false where a place has been given already, and its word is on the way.
  func leave(_ waiter: UpstreamWaiter) -> Bool {
    waiting.withLock { queue in
      guard let index = queue.firstIndex(where: { $0 === waiter }) else { return false }
      queue.remove(at: index)
      return true
    }
  }

  /// Gives a place back, or on to who waits longest.
  func freePlace() {
    guard traits.maxConnections > 0 else {
      activeTries.subtract(1, ordering: .relaxed)
      return
    }
    let next = waiting.withLock { queue -> UpstreamWaiter? in
      if !queue.isEmpty { return queue.removeFirst() }
      activeTries.subtract(1, ordering: .relaxed)
      return nil
    }
    next?.grant()
  }

  // MARK: What is known of it

  /// How it stands for a choice.
  func standing(at now: Instant, _ options: UpstreamOptions) -> Balancer.Standing {
    var standing = Balancer.Standing(
      active: active, weight: traits.weight * 1000, isBackup: traits.isBackup)
    guard isMarked.load(ordering: .acquiring) else { return standing }
    health.withLock { health in
      standing.rank = health.rank(at: now, options)
      standing.share = health.share(at: now, options)
      standing.weight = max(1, traits.weight * standing.share)
    }
    return standing
  }

  /// Whether it is taken for down, by its failures or its probes, until it has answered since.
  public func isDown(at now: Instant) -> Bool {
    isMarked.load(ordering: .acquiring) && health.withLock { $0.isDown(at: now) }
  }

  /// Whether it is down, and no request finds out whether it still should be.
  func isForgotten(at now: Instant, _ options: UpstreamOptions) -> Bool {
    isMarked.load(ordering: .acquiring) && health.withLock { $0.isForgotten(at: now, options) }
  }

  /// When it last failed and has not answered since, or sent wrong bytes; nil where it never did.
  public var lastFailure: Instant? {
    guard isMarked.load(ordering: .acquiring) else { return nil }
    return health.withLock { [$0.lastFailure, $0.lastLie].compactMap { $0 }.max() }
  }

  /// Whether it has given some request an answer after that instant.
  func hasServed(after instant: Instant) -> Bool {
    lastServed.load(ordering: .relaxed) > instant.nanoseconds
  }

  private func change<Result>(_ body: (inout ServerHealth) -> Result) -> Result {
    health.withLock { health in
      let result = body(&health)
      isMarked.store(!health.isClean, ordering: .releasing)
      return result
    }
  }

  // MARK: What happens to it

  /// Counts a try that begins; whether it is the one that finds out if a server is up again.
  func tryBegan(at now: Instant) -> Bool {
    triesBegun.add(1, ordering: .relaxed)
    return isMarked.load(ordering: .acquiring) && change { $0.begin(at: now) }
  }

  func countRetry() { triesAgain.add(1, ordering: .relaxed) }

  /// Counts a body that goes on from it.
  public func countResumed() { bodiesResumed.add(1, ordering: .relaxed) }

  func trialAbandoned() { change { $0.trialAbandoned() } }

  /// An answer has come to its end, or so far that it convinces.
  func answered(at now: Instant, _ options: UpstreamOptions) -> ServerHealth.Change? {
    lastServed.store(now.nanoseconds, ordering: .relaxed)
    guard isMarked.load(ordering: .acquiring) else { return nil }
    return change { $0.answered(at: now, options) }
  }

  func failed(at now: Instant, _ options: UpstreamOptions) -> ServerHealth.Change? {
    change { $0.failed(at: now, options) }
  }

  /// A search missed here what another server then found.
  func overlooked(at now: Instant, _ options: UpstreamOptions) -> ServerHealth.Change? {
    change { $0.overlooked(at: now, options) }
  }

  /// A body from it ended in order before it was whole.
  func fellShort(at now: Instant, whole: Instant, _ options: UpstreamOptions) -> ServerHealth
    .Change?
  {
    change { $0.fellShort(at: now, whole: whole, options) }
  }

  func endedWhole() {
    if isMarked.load(ordering: .acquiring) { change { $0.endedWhole() } }
  }

  func rests(until instant: Instant) { change { $0.rests(until: instant) } }

  func probed(_ isWell: Bool, at now: Instant, _ probe: UpstreamProbe) -> ServerHealth.Change? {
    change { $0.probed(isWell, at: now, rise: probe.rise, fall: probe.fall) }
  }

  /// A probe has found it alive which nobody else tried.
  func remembered(at now: Instant, _ options: UpstreamOptions) -> ServerHealth.Change? {
    change { $0.remembered(at: now, options) }
  }

  /// Notes how a handshake with it ended; whether that is another end than the last one's.
  func shookHands(_ failure: String?) -> Bool {
    distrust.withLock { last in
      defer { last = failure }
      return last != failure
    }
  }

  /// Counts an answer that was not what it should have been.
  public func countError() { triesFailed.add(1, ordering: .relaxed) }

  /// Notes that what it sent was wrong: it counts as an error, and others are asked first for a while.
  public func blame(at now: Instant) {
    countError()
    change { $0.lied(at: now) }
  }
}
