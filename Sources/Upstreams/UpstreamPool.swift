internal import Base
public import EventLoop
public import Telemetry

/// One worker's connections to the servers of a region, those in use and those kept for the next.
public final class UpstreamPool {
  let loop: Loop
  let region: UpstreamRegion
  let options: UpstreamOptions
  let counters: CounterPage
  private var balancer = Balancer()
  /// For each server, latest last: the one used last is the least likely to have been closed.
  private var idle: [[UpstreamConnection]]

  public init(
    loop: Loop, region: UpstreamRegion, options: UpstreamOptions, counters: CounterPage
  ) {
    self.loop = loop
    self.region = region
    self.options = options
    self.counters = counters
    idle = Array(repeating: [], count: region.servers.count)
  }

  /// Closes the connections that nobody uses.
  public func closeIdle() {
    for index in idle.indices {
      let connections = idle[index]
      idle[index] = []
      for connection in connections {
        counters.adjust(.upstreamConnectionsIdle, by: -1)
        connection.close()
      }
    }
  }

  /// Connections kept for a server: for tests and statistics.
  func idleCount(_ server: Int) -> Int { idle[server].count }

  func chooseServer(tried: [Int]) -> Int? {
    let servers = region.servers
    return balancer.choose(
      among: servers.count, tried: tried, now: loop.now, failTimeout: options.failTimeout
    ) { index in
      Balancer.Standing(active: servers[index].active, lastFailure: servers[index].lastFailure)
    }
  }

  /// An idle connection that still stands, taken out; nil where there is none.
  func takeIdle(_ server: Int) -> UpstreamConnection? {
    while let connection = idle[server].popLast() {
      counters.adjust(.upstreamConnectionsIdle, by: -1)
      if connection.isStillIdle() { return connection }
      connection.close()
    }
    return nil
  }

  /// Keeps a connection for the next request; false where there are enough.
  func keep(_ connection: UpstreamConnection) -> Bool {
    guard idle[connection.serverIndex].count < options.idlePerServer else { return false }
    idle[connection.serverIndex].append(connection)
    counters.adjust(.upstreamConnectionsIdle, by: 1)
    return true
  }

  /// Forgets an idle connection that has ended.
  func drop(_ connection: UpstreamConnection) {
    let server = connection.serverIndex
    if let index = idle[server].firstIndex(where: { $0 === connection }) {
      idle[server].remove(at: index)
      counters.adjust(.upstreamConnectionsIdle, by: -1)
    }
  }
}
