internal import Base
internal import Synchronization

/// Servers that can answer for one another: those of one place.
public final class UpstreamRegion: Sendable {
  public let name: String
  private let members: Mutex<Members>

  private struct Members {
    var servers: [UpstreamServer]
    /// What operators have drained: labels, and names as they are configured.
    ///
    /// A name's servers come and go, and those that come are drained like those that went.
    var drained: Set<String> = []
    /// Labels of what takes part all the same, of names that are drained.
    var excepted: Set<String> = []

    func isDrained(_ server: UpstreamServer) -> Bool {
      drained.contains(server.label)
        || drained.contains(server.entry) && !excepted.contains(server.label)
    }
  }

  public init(name: String, servers: [UpstreamServer]) {
    self.name = name
    members = Mutex(Members(servers: servers))
  }

  /// The servers as they are now; they change where a name has other addresses than before.
  public var servers: [UpstreamServer] { members.withLock { $0.servers } }

  func replace(with servers: [UpstreamServer]) {
    members.withLock { members in
      members.servers = servers
      for server in servers { server.setDrained(members.isDrained(server)) }
    }
  }

  /// Drains the servers of a label, or of a name with all its addresses, or has them take part again.
  ///
  /// - Returns: those that it is about; none where there are no such servers.
  func setDrained(_ isDrained: Bool, _ label: String) -> [UpstreamServer] {
    members.withLock { members in
      let named = members.servers.filter { $0.label == label || $0.entry == label }
      if named.isEmpty { return [] }
      // What is said of a name is said of all its addresses, those that are away too.
      let all = "\(label)@"
      members.excepted = members.excepted.filter { $0 != label && !$0.hasPrefix(all) }
      if isDrained {
        members.drained.insert(label)
      } else {
        members.drained = members.drained.filter { $0 != label && !$0.hasPrefix(all) }
        for server in named {
          // Of a drained name one address may be wanted again: the others stay out, and those that come back.
          if members.drained.contains(server.entry) { members.excepted.insert(server.label) }
        }
      }
      for server in named { server.setDrained(members.isDrained(server)) }
      return named
    }
  }
}

/// All regions, and where each one's requests go if it cannot answer; shared by all workers.
public final class UpstreamMap: Sendable {
  /// As configured, behind them the last resort and the servers apart, if there are such.
  public let regions: [UpstreamRegion]
  /// The regions that clients belong to.
  let homes: Range<Int>
  /// The place of the last resort; nil where there is none.
  let lastResort: Int?
  /// The place of the servers apart; nil where there are none.
  public let apart: Int?
  /// For each region the places of those to ask, itself first.
  private let routes: [[Int]]
  private let retries = Mutex(RetryBudget())
  private let misses = Mutex(RetryBudget())
  private let lastWholeBody = Atomic<Int64>(Int64.min)
  let journal = UpstreamJournal()

  /// - Parameters:
  ///   - regions: those that clients belong to.
  ///   - next: for each of them the places of those to ask after it; nil for all others in their order.
  ///   - lastResort: who is asked when nobody else can answer.
  ///   - apart: servers of another kind, that stand in for one another and for nobody else.
  public init(
    regions: [UpstreamRegion], next: [[Int]?] = [], lastResort: UpstreamRegion? = nil,
    apart: UpstreamRegion? = nil
  ) {
    let served = regions + (lastResort.map { [$0] } ?? [])
    self.regions = served + (apart.map { [$0] } ?? [])
    self.apart = apart == nil ? nil : served.count
    let own = regions.indices
    homes = own
    self.lastResort = lastResort == nil ? nil : regions.count
    let last = lastResort == nil ? [] : [regions.count]
    routes =
      own.map { home in
        let given = next.indices.contains(home) ? next[home] : nil
        let others = given?.filter(own.contains) ?? Array(own)
        var route = [home]
        for region in others where !route.contains(region) { route.append(region) }
        return route + last
      } + last.map { [$0] } + (apart == nil ? [] : [[served.count]])
  }

  /// One region, from which requests go nowhere else.
  public convenience init(_ region: UpstreamRegion) { self.init(regions: [region]) }

  /// Has somebody told what happens to servers, on whichever thread it happens.
  public func onEvent(_ listener: @escaping @Sendable (UpstreamEvent) -> Void) {
    journal.listen(listener)
  }

  /// The regions to ask for a request that belongs to one of them, in order.
  func route(from home: Int) -> [Int] {
    routes.indices.contains(home) ? routes[home] : routes.first ?? []
  }

  /// All servers that a request which belongs to a region may come to, those that are drained now as well.
  public func servers(from home: Int) -> [UpstreamServer] {
    route(from: home).flatMap { regions[$0].servers }
  }

  /// All servers of all regions.
  public var servers: [UpstreamServer] { regions.flatMap(\.servers) }

  /// When any server last ended a body as it should.
  var lastWhole: Instant { Instant(nanoseconds: lastWholeBody.load(ordering: .relaxed)) }

  func noteWhole(at now: Instant) { lastWholeBody.store(now.nanoseconds, ordering: .relaxed) }

  // MARK: Budgets

  /// What a further try is for.
  enum Charge: Equatable, Sendable {
    /// No byte of the request had been sent.
    case free
    case retry
    /// The server could not find the content.
    case miss
  }

  func noteRequest(at now: Instant) {
    retries.withLock { $0.note(at: now) }
    misses.withLock { $0.note(at: now) }
  }

  /// Takes a further try out of its budget; false where that is spent.
  func pay(_ charge: Charge, at now: Instant) -> Bool {
    switch charge {
    case .free: true
    case .retry: retries.withLock { $0.take(at: now) }
    case .miss: misses.withLock { $0.take(at: now) }
    }
  }
}
