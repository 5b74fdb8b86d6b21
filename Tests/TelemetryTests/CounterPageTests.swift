import Base
import Testing

@testable import Telemetry

@Suite struct CounterPageTests {
  @Test func everyCaseHasItsOwnPlaceInOrder() {
    #expect(Counter.allCases.map(\.index) == Array(0..<Counter.allCases.count))
    #expect(Gauge.allCases.map(\.index) == Array(0..<Gauge.allCases.count))
    #expect(HistogramName.allCases.map(\.index) == Array(0..<HistogramName.allCases.count))
  }

  @Test func whatIsCountedStaysWithItsCounter() {
    let pages = [CounterPage(), CounterPage()]
    for counter in Counter.allCases {
      pages[0].add(counter, counter.index + 1)
      pages[1].add(counter)
    }
    for gauge in Gauge.allCases {
      pages[0].set(gauge, 100 + gauge.index)
      pages[1].adjust(gauge, by: 3)
      pages[1].adjust(gauge, by: -1)
    }
    for counter in Counter.allCases {
      #expect(pages[0].value(counter) == counter.index + 1)
      #expect(CounterPage.sum(pages, counter) == counter.index + 2)
    }
    for gauge in Gauge.allCases {
      #expect(CounterPage.sum(pages, gauge) == 102 + gauge.index)
    }
    for name in HistogramName.allCases {
      #expect(CounterPage.sum(pages, name).count == 0)
    }
  }

  @Test func countersWrapInsteadOfTrapping() {
    let page = CounterPage()
    page.add(.responseBytes, .max)
    page.add(.responseBytes, 1)
    #expect(page.value(.responseBytes) == .min)
    #expect(CounterPage.sum([page, page], .responseBytes) == 0)
  }

  @Test func whatHappenedFindsItsCounter() {
    for status in 100..<600 {
      let refusal = #"sluice_request_refusals_total{reason="\#(status)"}"#
      let expected = Counter(rawValue: refusal) ?? .refusalOther
      #expect(Counter.refusal(status: status) == expected)
    }
    #expect(Counter.refusal(status: -1) == .refusalOther)
    for kind in Fault.Kind.allCases {
      let series = #"sluice_upstream_errors_total{kind="\#(kind)"}"#
      #expect(Counter.upstreamError(kind).rawValue == series)
    }
  }
}
