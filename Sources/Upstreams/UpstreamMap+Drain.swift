public import Base

/// What operators do to servers, and what they want to know of a choice.
extension UpstreamMap {
  /// Lets a server end what it has and gives it nothing new, or has it take part again.
  ///
  /// For as long as the process lives. All servers of a region, or of all regions, may be drained:
  /// then nobody is asked, which clients see as 503.
  ///
  /// - Parameter name: `region/label`, as answers, logs and metrics have it; a host name as it is
  ///   configured stands for all of its addresses.
  /// - Returns: the servers that it is about; none where there is none of this name.
  public func setDrained(_ isDrained: Bool, _ name: String) -> [UpstreamServer] {
    guard let slash = name.firstIndex(of: "/") else { return [] }
    let label = String(name[name.index(after: slash)...])
    guard let region = regions.first(where: { $0.name == name[..<slash] }) else { return [] }
    let servers = region.setDrained(isDrained, label)
    for server in servers {
      journal.tell(isDrained ? .drained(server: server.name) : .undrained(server: server.name))
    }
    return servers
  }

  /// Whether `setDrained` would find a server of this name.
  public func has(_ name: String) -> Bool {
    regions.contains { region in
      region.servers.contains {
        name == "\(region.name)/\($0.label)" || name == "\(region.name)/\($0.entry)"
      }
    }
  }

  /// The servers that a request of a region would be given to, in the order in which they would be asked.
  ///
  /// As things stand now, with nothing tried and places for all; equals are asked in turn, so that
  /// another one of them may be first in truth.
  public func order(
    from home: Int, at now: Instant, _ options: UpstreamOptions
  ) -> [(region: String, server: UpstreamServer)] {
    var order: [(region: String, server: UpstreamServer)] = []
    for mayBeDown in [false, true] {
      for place in route(from: home) {
        let region = regions[place]
        var servers = region.servers.filter { server in
          !server.isDrained
            && (server.standing(at: now, options).rank == .down) == mayBeDown
        }
        var balancer = Balancer()
        while let next = balancer.choose(
          servers.map { ($0.number, $0.standing(at: now, options)) })
        {
          order.append((region.name, servers.remove(at: next)))
        }
      }
    }
    return order
  }

  /// The names of the regions that a request of one of them goes through, in order.
  public func routeNames(from home: Int) -> [String] {
    route(from: home).map { regions[$0].name }
  }
}

extension UpstreamServer {
  /// What an operator sees of a server.
  public enum Condition: String, Sendable {
    case up
    /// It has failed and not answered since: others of its region are asked first.
    case suspect
    /// Asked only where nobody else is left, but for the request that finds out whether it is up again.
    case down
    /// Asked no more, by an operator's word.
    case drained
  }

  /// How it is now; `drained` whatever else it is.
  public func condition(at now: Instant, _ options: UpstreamOptions) -> Condition {
    if isDrained { return .drained }
    if isDown(at: now) { return .down }
    return switch standing(at: now, options).rank {
    case .good: .up
    case .suspect: .suspect
    case .down: .down
    }
  }
}
