import Base
import Testing

@testable import Telemetry

@Suite struct RequestMetricsTests {
  private func page(_ pages: [CounterPage], regions: [String] = []) throws -> ExpositionPage {
    var output = ByteBuffer(capacity: 64)
    Exposition.write(
      pages: pages, values: RequestMetrics.values(of: pages, regions: regions), into: &output)
    return try ExpositionPage(output.readable.text)
  }

  @Test func everyStatusHasACell() throws {
    let pages = [CounterPage(), CounterPage()]
    for status in 100..<600 { pages[status % 2].addResponse(status: status) }
    for status in [Int.min, -1, 0, 99, 600, Int.max] { pages[0].addResponse(status: status) }
    let page = try page(pages)
    var total = 0.0
    for name in StatusCells.names {
      let value = try #require(page.samples["sluice_responses_total|code=\(name)"])
      total += value
      if let status = Int(name) {
        #expect(value == 1, "\(status)")
      } else {
        let exact = StatusCells.codes.filter { "\($0 / 100)xx" == name }.count
        #expect(value == Double(100 - exact + (name == "5xx" ? 6 : 0)))
      }
    }
    #expect(total == 506)
    #expect(Set(StatusCells.names).count == StatusCells.count && StatusCells.count < 256)
  }

  @Test func aRequestCountsOnceForItsHostAndOnceForItsProtocol() throws {
    let counters = [CounterPage(), CounterPage()]
    var random = SeededRandom(seed: 2)
    var expected: [String: Double] = [:]
    for _ in 0..<2_000 {
      let host = HostClass.allCases[random.number(in: 0...4)]
      let version = ProtocolClass.allCases[random.number(in: 0...2)]
      let isSecure = random.chance(0.3)
      counters[random.number(in: 0...1)].addRequest(host, version, isSecure: isSecure)
      expected["sluice_host_requests_total|kind=\(host.name)", default: 0] += 1
      let series = "|protocol=\(version.name)|tls=\(isSecure ? "yes" : "no")"
      expected["sluice_protocol_requests_total" + series, default: 0] += 1
    }
    let page = try page(counters)
    for (series, value) in expected { #expect(page.samples[series] == value, "\(series)") }
    // No two have the same cell, and none lies outside.
    let cells = HostClass.allCases.flatMap { host in
      ProtocolClass.allCases.flatMap { version in
        [false, true].map { RequestCells.index(host, version, isSecure: $0) }
      }
    }
    #expect(cells.sorted() == Array(0..<RequestCells.count))
  }

  @Test func regionsCountWithinTheirBounds() throws {
    let pages = [CounterPage(regions: 2), CounterPage(regions: 2)]
    for (number, outcome) in FetchOutcome.allCases.enumerated() {
      for _ in 0...number { pages[number % 2].addRegion(number % 2, outcome) }
    }
    for region in [-1, 2, .max, .min] { pages[0].addRegion(region, .miss) }
    CounterPage().addRegion(0, .miss)
    let page = try page(pages, regions: ["us", "e\"u"])
    for (number, outcome) in FetchOutcome.allCases.enumerated() {
      for (place, name) in ["us", "e\"u"].enumerated() {
        let series = "sluice_region_requests_total|region=\(name)|cache=\(outcome.name)"
        #expect(page.samples[series] == (number % 2 == place ? Double(number + 1) : 0))
      }
    }
  }

  @Test func workersStandApart() throws {
    let pages = [CounterPage(), CounterPage()]
    pages[1].observe(.loopLag, .milliseconds(1_500))
    pages[1].add(.loopTurn, 3)
    pages[0].set(.clientConnections, 7)
    let page = try page(pages)
    #expect(page.samples["sluice_worker_busy_seconds_total|worker=0"] == 0)
    #expect(page.samples["sluice_worker_busy_seconds_total|worker=1"] == 1.5)
    #expect(page.samples["sluice_worker_turns_total|worker=1"] == 3)
    #expect(page.samples["sluice_worker_connections|worker=0"] == 7)
  }

  @Test func manyObservationsAtOnceAreAsMany() {
    let pages = [CounterPage(), CounterPage()]
    pages[0].observe(.requestHit, .microseconds(70), count: 3)
    for _ in 0..<3 { pages[1].observe(.requestHit, .microseconds(70)) }
    #expect(pages[0].value(.requestHit) == pages[1].value(.requestHit))
    #expect(pages[0].value(.requestHit).sumNanoseconds == 210_000)
  }
}
