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
  /// servers are down or tried, or have neither a place nor room to wait for one.
  func choose(from home: Int, tried: [Int], avoiding regions: [Int]) -> Choice? {
    let route = map.route(from: home).filter { !regions.contains($0) }
    for mayBeDown in [false, true] {
      for region in route {
        if let choice = choose(in: region, tried, mayBeDown: mayBeDown) { return choice }
      }
    }
    return nil
  }

  private func choose(in region: Int, _ tried: [Int], mayBeDown: Bool) -> Choice? {
    let now = loop.now
    var servers = map.regions[region].servers.filter {
      !$0.isDrained && !tried.contains($0.number)
    }
    var standings = servers.map { ($0.number, $0.standing(at: now, options)) }
    if !mayBeDown {
      servers = servers.indices.filter { standings[$0].1.rank < .down }.map { servers[$0] }
      standings = standings.filter { $0.1.rank < .down }
    }
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
