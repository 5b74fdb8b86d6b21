import Base
import EventLoop
import System
import Upstreams

@testable import Admission
@testable import Cache
@testable import Gateway

/// A gateway of two workers with its nodes, its clients and its disk, all in simulated time.
final class World {
  static let address = SocketAddress(simulated: 1, port: 80)
  /// Bad behaviour ends then, so that everything after it must end well.
  private static let faultsEnd = Instant(nanoseconds: 20_000_000_000)

  let seed: UInt64
  var random: SeededRandom
  let network: SimulatedNetwork
  let troubles: Troubles
  /// Whether the operator's limits are narrow, so that clients are refused.
  let isTight: Bool
  var isListed: Bool { listing != nil }
  let nodeLoop: Loop
  let clientLoop: Loop
  let ledger = Ledger()
  let folder: DiskFolder
  private let secret: SipKey
  private(set) var plan: Machine.Plan
  /// The gateway that runs, or ran last.
  private(set) var machine: Machine
  private(set) var dead: [Machine] = []
  /// When the gateway last began to run; never while it does not.
  private(set) var upSince = Instant.zero
  private(set) var nodes: [Node] = []
  var clients: [Client] = []
  /// Clients whose time has not come yet.
  var starting = 0
  private var isWatching = true
  /// Whether the disk's thread has something to do, as far as it knows.
  private var isPumping = false
  private(set) var failures: [String] = []
  /// A hash of all that clients saw, and when: equal histories have equal ones.
  private(set) var history: UInt64 = 0xcbf2_9ce4_8422_2325
  var asked = 0
  /// How often nodes were asked for a content, by its number.
  var askedFor: [Int: Int] = [:]
  /// How often nodes have failed with a content, by its number: when, and with which status.
  private var failedWith: [Int: [(time: Instant, status: Int)]] = [:]
  var removals: [Removed] = []
  /// The operator's denylist; nil where there is none.
  let listing: Listing?
  var answers = 0
  /// How many of them were of failures that the gateway remembered.
  private var remembered = 0
  /// How many of them said that the content is denied, and how many that there is too much asked for.
  var denied = 0
  var limited = 0
  var broken = 0
  /// How many bodies have gone on after a break.
  private var resumed: Int {
    (dead + [machine]).flatMap(\.workers).map { $0.counters.value(.upstreamResumed) }.reduce(0, +)
  }
  /// Whether a client may be sent away, since a worker drains.
  var mayRefuse = false

  init(seed: UInt64) throws {
    self.seed = seed
    random = SeededRandom(seed: seed &* 0x1_0001 &+ 11)
    network = SimulatedNetwork(seed: seed)
    troubles = Troubles(&random, class: seed % 3)
    nodeLoop = Loop(in: network)
    clientLoop = Loop(in: network)
    folder = try DiskFolder()
    secret = SipKey(first: random.next(), second: random.next())
    // By the seed, so that the other ones' draws stay what they are.
    isTight = seed % 7 == 5
    listing = seed % 4 == 3 ? Listing() : nil
    plan = Self.plan(troubles, folder.path + "/1", isTight: isTight, &random)
    plan.gateway.denials = listing.map { Denials($0.list, paths: ["list"]) }
    if random.chance(0.3) { network.weather.window = random.number(in: 3_000...20_000) }
    network.weather.shortTransfers = random.chance(0.5) ? 0.05 : 0.3
    network.weather.slowReads = troubles.slowReads
    network.weather.refusedReads = troubles.refusedReads
    let disk = TroubledDisk(troubles, ledger, seed: random.next())
    machine = try Machine(plan, disk, secret: secret, in: network)
    try ledger.begin(machine.storage) { _ in }
    for (index, address) in plan.nodes.enumerated() {
      nodes.append(Node(self, index, address, seed: random.next()))
    }
  }

  private static func plan(
    _ troubles: Troubles, _ folder: String, isTight: Bool, _ random: inout SeededRandom
  ) -> Machine.Plan {
    var cache = CacheOptions(path: folder, maxSize: (64 << 20) + troubles.segments * (4 << 20))
    cache.sliceSize = 64 << 10
    cache.queueBytes = troubles.queueBytes
    var options = GatewayOptions()
    options.upstream = UpstreamOptions(
      connectTimeout: .seconds(1), firstByteTimeout: .seconds(2), betweenBytesTimeout: .seconds(1),
      idlePerServer: random.number(in: 0...3),
      failTimeout: .milliseconds(random.number(in: 1...10_000)))
    // Nodes without a fault answer sooner.
    if troubles.hasFaultyNodes && random.chance(0.3) {
      options.searchPatience = .milliseconds(500)
      options.slowSearches = random.number(in: 0...2)
    }
    // Where memory is short, fills wait for each other's.
    if random.chance(0.25) { options.sliceMemory = 0 }
    // So wide that nobody is refused, or so narrow that many are: what is counted has to balance.
    options.rateLimits = RateLimiter(
      [
        RateLimit(
          name: "rate", key: .client,
          measure: .requests(
            Rate(isTight ? 10 : 1_000_000, per: .seconds(1)), burst: isTight ? 5 : 1_000_000,
            hit: 1, miss: 3), keys: 1_000),
        RateLimit(
          name: "open", key: .client, measure: .concurrent(isTight ? 3 : 1_000), keys: 1_000),
        RateLimit(name: "all", key: .host, measure: .concurrent(100_000), keys: 10),
        RateLimit(
          name: "bytes", key: .client,
          measure: .bytes(Rate(1 << 40, per: .seconds(1)), burst: 1 << 40),
          keys: 1_000),
      ], secret: SipKey(first: 1, second: 2))
    return Machine.Plan(
      cache: cache, gateway: options,
      nodes: troubles.nodes.indices.map { index in
        SocketAddress(host: "192.0.2.1", port: UInt16(8000 + index)) ?? .none
      })
  }

  /// Every gateway of this history, and every storage: for a look at whether all are freed.
  var gateways: [Gateway] { (dead + [machine]).map(\.gateway) }
  var storages: [DiskStorage] { (dead + [machine]).map(\.storage) }

  /// What has happened, on one line.
  var story: String {
    let disk = machine.storage.counters.snapshot
    let waits = machine.workers.map { $0.counters.value(.diskWait) }.reduce(0, +)
    return
      "seed \(seed): \(answers) answers, \(remembered) remembered, \(denied) denied, \(limited) limited, \(broken) cut off, \(resumed) went on, \(asked) upstream requests; "
      + "\(dead.count) deaths, \(ledger.held) announced things held; "
      + "\(disk.evictions) evictions, \(disk.movedSlices) slices moved on, \(waits) waits for the "
      + "disk, \(disk.refusals) refusals; history \(String(history, radix: 16))"
  }

  var areNodesFaulty: Bool { network.now < Self.faultsEnd }

  // MARK: Failures

  /// Notes that a node answers for a content that it cannot be had, or (504) does not answer at all.
  func noteFailure(_ content: Content, _ status: Int) {
    failedWith[content.number, default: []].append((network.now, status))
  }

  /// Whether the gateway may remember now that a content failed with this status: for twice as long after
  /// each failure as after the one before.
  func hasJustFailed(_ content: Content, _ status: Int) -> Bool {
    remembered += 1
    // Until silence is a failure, and until a slow client has read of it.
    let slack = Interval.seconds(5)
    return (failedWith[content.number] ?? []).enumerated().contains { index, failure in
      failure.status == status
        && network.now - failure.time < .seconds(min(60, 1 << min(index, 6))) + slack
    }
  }

  func fail(_ complaint: String) {
    let time = Double(network.now.nanoseconds) / 1e9
    if failures.count < 5 { failures.append("\(time) s: \(complaint)") }
  }

  func note(_ numbers: Int...) {
    for number in numbers + [Int(network.now.nanoseconds)] {
      history = (history ^ UInt64(bitPattern: Int64(number))) &* 0x100_0000_01b3
    }
  }

  // MARK: The run

  func run() {
    schedule()
    listenToJobs()
    pump()
    watch()
    if !settle("clients are not served", until: { self.areClientsDone && self.isUp }) { return }
    isWatching = false
    if !settle("something goes on for ever", until: { false }) { return }
    checkRest()
    if !machine.settleDisk(network) { fail("the disk's upkeep does not end") }
    checkDisk(atEnd: true)
    checkDenied(onDisk: true)
    checkLedger()
    checkCounters()
    for machine in dead + [machine] { machine.close() }
    for node in nodes { node.shutDown() }
    if !settle("closing does not end", until: { false }) { return }
    checkLeaks()
  }

  /// Lets time pass until something holds or nothing more will happen.
  private func settle(_ complaint: String, until condition: () -> Bool) -> Bool {
    let limit = network.now + .seconds(900)
    while !condition() && failures.isEmpty && network.step() {
      if network.now > limit {
        fail(complaint)
        break
      }
    }
    return failures.isEmpty
  }

  var areClientsDone: Bool { starting == 0 && clients.allSatisfy(\.isOver) }

  /// The disk's thread: does a few jobs now and then, and sleeps when all is done.
  private func pump() {
    isPumping = true
    let isHeldUp = random.chance(troubles.slowDisk)
    let wait = random.number(in: isHeldUp ? 100_000...3_000_000 : 1...20_000)
    network.after(.microseconds(wait)) { [self] in
      isPumping = false
      guard isUp else { return }
      var isIdle = false
      for _ in 0..<random.number(in: 0...4) where !isIdle && !machine.disk.isDead {
        isIdle = !machine.storage.step(now: network.now, wallSeconds: network.wallSeconds)
      }
      if machine.disk.isDead {
        die()
      } else if !(isIdle && areClientsDone && machine.isQuiet && !isRemoving && !isSweeping) {
        pump()
      }
    }
  }

  /// What a client that has left had asked for may come to the writer when nobody is left to be seen.
  private func listenToJobs() {
    machine.disk.wakesWriter = { [weak self] in
      guard let self, !isPumping, isUp else { return }
      pump()
    }
  }

  private func watch() {
    // Where a disk takes nothing, those who share an answer move with the slowest of them.
    let isSlow = troubles.hasFaultyNodes || troubles.disk > 0 || troubles.slowDisk > 0
    let limit: Interval = .seconds(isSlow ? 60 : 15)
    network.after(.milliseconds(500)) { [self] in
      for client in clients { client.watch(limit: limit) }
      if isWatching { watch() }
    }
  }

  // MARK: Deaths

  var isUp: Bool { upSince != .never }

  /// Lets the gateway's process die at one of its disk's next operations, or without one.
  func dieSoon() {
    guard isUp else { return }
    let chosen = machine
    chosen.disk.operationsLeft = random.number(in: 0...12)
    network.after(.milliseconds(random.number(in: 1...400))) { [self] in
      if machine === chosen && isUp { die() }
    }
  }

  private func die() {
    upSince = .never
    ledger.died()
    dead.append(machine)
    plan.cache.path = folder.path + "/\(dead.count + 1)"
    do {
      try machine.die(in: network, leaving: plan.cache.path)
      if troubles.losesPower { try machine.losePower(plan.cache.path, &random) }
    } catch {
      fail("the machine cannot die: \(error)")
    }
    network.after(.microseconds(random.number(in: 1...300_000))) { [self] in revive() }
  }

  private func revive() {
    do {
      let disk = TroubledDisk(troubles, ledger, seed: random.next())
      // What the process before it was doing about the list has gone with it.
      plan.gateway.denials = listing.map { Denials($0.list, paths: ["list"]) }
      machine = try Machine(plan, disk, secret: secret, in: network)
      if let aside = machine.storage.setAside { fail("the index is set aside: \(aside.why)") }
      checkDisk(atEnd: false)
      try ledger.begin(machine.storage) { fail($0) }
    } catch {
      fail("the gateway does not start again: \(error)")
    }
    upSince = network.now
    machine.gateway.sweepDenied(at: network.now)
    listenToJobs()
    if !isPumping { pump() }
  }

  /// Whether a client that began then may be refused, cut off or left alone, since the gateway died.
  func mayBeCut(since start: Instant) -> Bool {
    // A connection that is begun just before the gateway listens comes to its listener.
    !dead.isEmpty && (!isUp || start <= upSince) || mayHaveLost(since: start)
  }
}
