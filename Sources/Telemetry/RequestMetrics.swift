internal import Base

/// Families whose label values no enum of series lists: by status, host, protocol, region and worker.
///
/// Series: a status 38, a host 5, a protocol 6, a region 5, a worker 3.
public enum RequestMetrics {
  /// What the workers' pages have counted.
  ///
  /// - Parameter regions: The regions' names, by their places in the pages.
  public static func values(of pages: [CounterPage], regions: [String]) -> [MetricValue] {
    responses(pages) + hosts(pages) + protocols(pages) + byRegion(pages, regions) + workers(pages)
  }

  private static func responses(_ pages: [CounterPage]) -> [MetricValue] {
    StatusCells.names.enumerated().map { cell, name in
      MetricValue(
        "sluice_responses_total", .counter,
        help: "Responses that were given whole, by status; rare ones by their class.",
        labels: [MetricValue.Label("code", name)],
        .integer(pages.reduce(0) { $0 &+ $1.responses(cell: cell) }))
    }
  }

  private static func sum(
    _ pages: [CounterPage], _ host: HostClass, _ version: ProtocolClass, _ isSecure: Bool
  ) -> Int {
    let cell = RequestCells.index(host, version, isSecure: isSecure)
    return pages.reduce(0) { $0 &+ $1.requests(cell: cell) }
  }

  private static func hosts(_ pages: [CounterPage]) -> [MetricValue] {
    HostClass.allCases.map { host in
      var total = 0
      for version in ProtocolClass.allCases {
        total &+= sum(pages, host, version, false) &+ sum(pages, host, version, true)
      }
      return MetricValue(
        "sluice_host_requests_total", .counter,
        help: "Requests answered, by what their host stands for.",
        labels: [MetricValue.Label("kind", host.name.description)], .integer(total))
    }
  }

  private static func protocols(_ pages: [CounterPage]) -> [MetricValue] {
    ProtocolClass.allCases.flatMap { version in
      [false, true].map { isSecure in
        let total = HostClass.allCases.reduce(0) { $0 &+ sum(pages, $1, version, isSecure) }
        return MetricValue(
          "sluice_protocol_requests_total", .counter,
          help: "Requests answered, by protocol and whether TLS was spoken with Sluice.",
          labels: [
            MetricValue.Label("protocol", version.name.description),
            MetricValue.Label("tls", isSecure ? "yes" : "no"),
          ], .integer(total))
      }
    }
  }

  private static func byRegion(_ pages: [CounterPage], _ regions: [String]) -> [MetricValue] {
    regions.enumerated().flatMap { place, name in
      FetchOutcome.allCases.map { outcome in
        MetricValue(
          "sluice_region_requests_total", .counter,
          help: "Requests that a server was needed for, by their client's region.",
          labels: [
            MetricValue.Label("region", name),
            MetricValue.Label("cache", outcome.name.description),
          ], .integer(pages.reduce(0) { $0 &+ $1.requests(region: place, outcome) }))
      }
    }
  }

  /// Where one core has more to do than the others.
  private static func workers(_ pages: [CounterPage]) -> [MetricValue] {
    pages.enumerated().flatMap { number, page in
      let labels = [MetricValue.Label("worker", "\(number)")]
      let busy = Interval(nanoseconds: Int64(page.value(.loopLag).sumNanoseconds)).seconds
      return [
        MetricValue(
          "sluice_worker_busy_seconds_total", .counter,
          help:
            "Time that a worker's loop did not wait, less the end of each turn: a rate near 1 is a full core.",
          labels: labels, .real(busy)),
        MetricValue(
          "sluice_worker_turns_total", .counter, help: "Turns of a worker's loop.",
          labels: labels, .integer(page.value(.loopTurn))),
        MetricValue(
          "sluice_worker_connections", .gauge, help: "Client connections of a worker.",
          labels: labels, .integer(page.value(.clientConnections))),
      ]
    }
  }
}
