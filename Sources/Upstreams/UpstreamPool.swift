internal import Base
public import EventLoop
internal import TLS
public import Telemetry

/// One worker's connections to the servers of all regions, those in use and those kept for the next.
public final class UpstreamPool {
  let loop: Loop
  public let map: UpstreamMap
  let options: UpstreamOptions
  let counters: CounterPage
  private var balancer = Balancer()
  /// What each region that starts slowly has to its credit for its next request, in thousandths of one.
  private var starts: [Int: Int] = [:]
  /// The room that sessions share; nil before the first.
  private var tlsBuffers: TLSBuffers?
  /// For each server, by its number, latest last: the one used last is the least likely to have been closed.
  private var idle: [Int: [UpstreamConnection]] = [:]

  public init(loop: Loop, map: UpstreamMap, options: UpstreamOptions, counters: CounterPage) {
    self.loop = loop
    self.map = map
    self.options = options
    self.counters = counters
  }

  /// Closes the connections that nobody uses.
  public func closeIdle() {
    let all = idle.sorted { $0.key < $1.key }
    idle = [:]
    for connection in all.flatMap(\.value) {
      counters.adjust(.upstreamConnectionsIdle, by: -1)
      connection.close()
    }
  }

  /// Connections kept for a server: for tests and statistics.
  func idleCount(_ server: UpstreamServer) -> Int { idle[server.number]?.count ?? 0 }

  // MARK: The choice of a server

  /// A server to ask, and the place of its region.
  struct Choice {
    var server: UpstreamServer
    var region: Int
    /// Whether a place at it has been taken; else all are, and there is room in its queue.
    var hasPlace: Bool
  }

  /// The server for a try, with a place at it; nil where all have been tried or have no room.
  ///
  /// Those that are not down go first, in every region on the way; a region is left only if all of its
  /// servers are down or tried, or have neither a place nor room to wait for one. One that has just come up
  /// is passed over for a part of its requests, as long as a later one can take them.
  func choose(from home: Int, tried: [Int], avoiding regions: [Int]) -> Choice? {
    let route = map.route(from: home).filter { !regions.contains($0) }
    for mayBeDown in [false, true] {
      for (place, region) in route.enumerated() {
        var candidates = candidates(in: region, tried)
        if !mayBeDown {
          candidates.removeAll { $0.standing.rank >= .down }
          if startsSlowly(region, candidates, before: route[(place + 1)...], tried) { continue }
        }
        if let choice = choose(in: region, candidates) { return choice }
      }
    }
    return nil
  }

  private typealias Candidate = (server: UpstreamServer, standing: Balancer.Standing)

  private func candidates(in region: Int, _ tried: [Int]) -> [Candidate] {
    let now = loop.now
    return map.regions[region].servers.filter { !$0.isDrained && !tried.contains($0.number) }
      .map { ($0, $0.standing(at: now, options)) }
  }

  /// Whether a region's next request goes to a later one, since all that would take it here have just come
  /// up: exactly so many as their part leaves.
  ///
  /// Only where servers stand that do not start slowly themselves, and never to the last resort.
  private func startsSlowly(
    _ region: Int, _ candidates: [Candidate], before later: ArraySlice<Int>, _ tried: [Int]
  ) -> Bool {
    let share = candidates.isEmpty ? 1000 : Balancer.share(of: candidates.map(\.standing))
    guard share < 1000 else {
      if !starts.isEmpty { starts[region] = nil }
      return false
    }
    let hasOther = later.contains { other in
      other != map.lastResort
        && self.candidates(in: other, tried).contains {
          $0.standing.rank == .good && $0.standing.share == 1000
        }
    }
    guard hasOther else { return false }
    let credit = starts[region, default: 0] + share
    starts[region] = credit % 1000
    return credit < 1000
  }

  private func choose(in region: Int, _ candidates: [Candidate]) -> Choice? {
    var servers = candidates.map(\.server)
    var standings = candidates.map { ($0.server.number, $0.standing) }
    var queue: (server: UpstreamServer, count: Int)?
    while let place = balancer.choose(standings) {
      let server = servers[place]
      if server.takePlace() { return Choice(server: server, region: region, hasPlace: true) }
      let count = server.waitingCount
      if count < server.traits.maxWaiting, count < queue?.count ?? .max { queue = (server, count) }
      servers.remove(at: place)
      standings.remove(at: place)
    }
    return queue.map { Choice(server: $0.server, region: region, hasPlace: false) }
  }

  /// Tells the log of a change in how a server does.
  func tell(_ change: ServerHealth.Change?, of server: UpstreamServer) {
    if change != nil { map.journal.tell(change, of: server) }
  }

  /// Notes that a body from a server has come to its whole end, as far as that can be told.
  public func endedWhole(_ server: UpstreamServer) {
    map.noteWhole(at: loop.now)
    server.endedWhole()
  }

  /// Counts a body that a server has ended in order, but before it was whole: an error, and a failure where it
  /// does so once and again while others do not.
  public func fellShort(_ server: UpstreamServer) {
    server.countError()
    tell(server.fellShort(at: loop.now, whole: map.lastWhole, options), of: server)
  }

  /// A session with a server that is spoken to by TLS; nil for cleartext.
  func tlsStream(to server: UpstreamServer) throws(Fault) -> TLSStream? {
    guard let peer = server.peer else { return nil }
    let buffers = tlsBuffers ?? TLSBuffers()
    tlsBuffers = buffers
    do throws(TLSError) {
      return TLSStream(try TLSSession(client: peer, buffers), buffers)
    } catch {
      throw Fault(.exhausted, .own)
    }
  }

  /// Counts a handshake that failed, and tells of it, once for each reason.
  func noteHandshake(with server: UpstreamServer, failure: String?) {
    if failure != nil { counters.add(.upstreamUntrusted) }
    if server.shookHands(failure), let failure {
      map.journal.tell(.untrusted(server: server.name, why: failure))
    }
  }

  // MARK: Idle connections

  /// An idle connection that still stands, taken out; nil where there is none.
  func takeIdle(_ server: UpstreamServer) -> UpstreamConnection? {
    while let connection = idle[server.number]?.popLast() {
      counters.adjust(.upstreamConnectionsIdle, by: -1)
      if connection.isStillIdle() { return connection }
      connection.close()
    }
    idle[server.number] = nil
    return nil
  }

  /// Keeps a connection for the next request; false where there are enough.
  func keep(_ connection: UpstreamConnection) -> Bool {
    guard idleCount(connection.server) < options.idlePerServer, !connection.server.isDrained
    else { return false }
    idle[connection.server.number, default: []].append(connection)
    counters.adjust(.upstreamConnectionsIdle, by: 1)
    return true
  }

  /// Forgets an idle connection that has ended.
  func drop(_ connection: UpstreamConnection) {
    let server = connection.server.number
    if let index = idle[server]?.firstIndex(where: { $0 === connection }) {
      idle[server]?.remove(at: index)
      counters.adjust(.upstreamConnectionsIdle, by: -1)
    }
    // Servers go for good where a name has other addresses.
    if idle[server]?.isEmpty ?? false { idle[server] = nil }
  }
}
