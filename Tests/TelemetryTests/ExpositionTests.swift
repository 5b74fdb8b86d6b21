import Base
import Testing

@testable import Telemetry

/// One page of text format 0.0.4, read strictly: what breaks the grammar or the format's rules of
/// order is an error.
struct ExpositionPage {
  struct Broken: Error { var line: String, why: String }

  var types: [String: String] = [:]
  var help: [String: String] = [:]
  /// Values by series, labels in the order of the page.
  var samples: [String: Double] = [:]

  init(_ text: String) throws {
    guard text.hasSuffix("\n") else { throw Broken(line: text, why: "no line feed at the end") }
    var current = ""
    var finished: Set<String> = []
    for line in text.dropLast().split(separator: "\n", omittingEmptySubsequences: false) {
      func broken(_ why: String) -> Broken { Broken(line: String(line), why: why) }
      if line.hasPrefix("# HELP ") {
        let words = line.dropFirst(7).split(separator: " ", maxSplits: 1)
        guard words.count == 2, Self.isName(words[0]) else { throw broken("HELP") }
        let family = String(words[0])
        guard help[family] == nil, !finished.contains(family) else { throw broken("HELP twice") }
        finished.insert(current)
        current = family
        help[family] = String(words[1])
      } else if line.hasPrefix("# TYPE ") {
        let words = line.dropFirst(7).split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2, ["counter", "gauge", "histogram"].contains(words[1]) else {
          throw broken("TYPE")
        }
        let family = String(words[0])
        guard family == current, types[family] == nil else { throw broken("TYPE out of order") }
        types[family] = String(words[1])
      } else {
        let (name, labels, value) = try Self.sample(line)
        guard Self.family(of: name, types) == current else { throw broken("outside its family") }
        guard Set(labels.map(\.name)).count == labels.count else { throw broken("label twice") }
        let series = name + labels.map { "|\($0.name)=\($0.value)" }.joined()
        guard samples.updateValue(value, forKey: series) == nil else { throw broken("twice") }
      }
    }
  }

  static func family(of name: String, _ types: [String: String]) -> String {
    for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
      let family = String(name.dropLast(suffix.count))
      if types[family] == "histogram" { return family }
    }
    return types[name] == nil || types[name] == "histogram" ? "?" : name
  }

  static func isName(_ text: some StringProtocol, colon: Bool = true) -> Bool {
    guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
    return text.unicodeScalars.allSatisfy { scalar in
      scalar.isASCII
        && (scalar.properties.isAlphabetic || scalar == "_" || ("0"..."9").contains(scalar)
          || (colon && scalar == ":"))
    }
  }

  /// `name{label="value",…} number`, without a timestamp and without spare blanks.
  static func sample(
    _ line: Substring
  ) throws -> (name: String, labels: [(name: String, value: String)], value: Double) {
    func broken(_ why: String) -> Broken { Broken(line: String(line), why: why) }
    var rest = line
    let name = rest.prefix { $0 != "{" && $0 != " " }
    guard isName(name) else { throw broken("name") }
    rest = rest.dropFirst(name.count)
    var labels: [(name: String, value: String)] = []
    if rest.first == "{" {
      repeat {
        rest = rest.dropFirst()
        let label = rest.prefix { $0 != "=" }
        guard isName(label, colon: false) else { throw broken("label") }
        rest = rest.dropFirst(label.count)
        guard rest.hasPrefix("=\"") else { throw broken("label's quote") }
        rest = rest.dropFirst(2)
        var value = ""
        while let character = rest.popFirst(), character != "\"" {
          if character == "\\" {
            switch rest.popFirst() {
            case "n": value.append("\n")
            case "\\": value.append("\\")
            case "\"": value.append("\"")
            default: throw broken("escape")
            }
          } else {
            value.append(character)
          }
        }
        labels.append((String(label), value))
      } while rest.first == ","
      guard rest.popFirst() == "}" else { throw broken("brace") }
    }
    guard rest.popFirst() == " " else { throw broken("blank") }
    let special = ["+Inf": Double.infinity, "-Inf": -Double.infinity, "NaN": Double.nan]
    let digits = rest.allSatisfy { "0123456789+-.e".contains($0) }
    guard let value = special[String(rest)] ?? (digits ? Double(rest) : nil) else {
      throw broken("number")
    }
    return (String(name), labels, value)
  }
}

@Suite struct ExpositionTests {
  private func text(_ pages: [CounterPage], _ values: [MetricValue] = []) -> String {
    var output = ByteBuffer(capacity: 64)
    Exposition.write(pages: pages, values: values, into: &output)
    return output.readable.text
  }

  @Test func everySeriesStandsOnThePageWithItsSum() throws {
    let pages = [CounterPage(), CounterPage()]
    for counter in Counter.allCases { pages[counter.index % 2].add(counter, 1_000 + counter.index) }
    for gauge in Gauge.allCases { pages[1].set(gauge, -gauge.index) }
    let page = try ExpositionPage(text(pages))
    for counter in Counter.allCases {
      let (name, labels, _) = try ExpositionPage.sample("\(counter.rawValue) 0")
      #expect(page.types[name] == "counter")
      let series = name + labels.map { "|\($0.name)=\($0.value)" }.joined()
      #expect(page.samples[series] == Double(1_000 + counter.index))
    }
    for gauge in Gauge.allCases {
      let (name, labels, _) = try ExpositionPage.sample("\(gauge.rawValue) 0")
      #expect(page.types[name] == "gauge")
      let series = name + labels.map { "|\($0.name)=\($0.value)" }.joined()
      #expect(page.samples[series] == Double(-gauge.index))
    }
  }

  @Test func histogramsAreCumulativeAndWhole() throws {
    let page = CounterPage()
    page.observe(.requestHit, .microseconds(90))
    page.observe(.requestHit, .milliseconds(3))
    page.observe(.requestHit, .seconds(61))
    page.observe(.loopLag, .milliseconds(1))
    let read = try ExpositionPage(text([page]))
    let name = "sluice_request_duration_seconds"
    #expect(read.types[name] == "histogram")
    #expect(read.samples["\(name)_bucket|cache=hit|le=0.0001"] == 1)
    #expect(read.samples["\(name)_bucket|cache=hit|le=0.0025"] == 1)
    #expect(read.samples["\(name)_bucket|cache=hit|le=0.005"] == 2)
    #expect(read.samples["\(name)_bucket|cache=hit|le=60"] == 2)
    #expect(read.samples["\(name)_bucket|cache=hit|le=+Inf"] == 3)
    #expect(read.samples["\(name)_count|cache=hit"] == 3)
    #expect(read.samples["\(name)_sum|cache=hit"] == 61.00309)
    #expect(read.samples["\(name)_count|cache=miss"] == 0)
    #expect(read.samples["sluice_loop_lag_seconds_bucket|le=0.001"] == 1)
    #expect(read.samples["sluice_loop_lag_seconds_sum"] == 0.001)
    #expect(read.samples["sluice_loop_lag_seconds_count"] == 1)
  }

  @Test func everyFamilyIsExplainedAndNoOtherIs() throws {
    let page = try ExpositionPage(text([CounterPage()]))
    #expect(Set(page.help.keys) == Set(page.types.keys))
    #expect(Set(page.help.keys) == Set(MetricFamily.help.map(\.family)))
    #expect(MetricFamily.help.count == page.help.count)
    for (family, type) in page.types where type == "counter" {
      #expect(family.hasSuffix("_total"))
    }
  }

  @Test func givenValuesFormFamiliesAndAreEscaped() throws {
    func value(_ server: String, _ number: MetricValue.Number) -> MetricValue {
      MetricValue(
        "sluice_server_up", .gauge, help: "A \\ and\na line.",
        labels: [.init("server", server), .init("zone", "a")], number)
    }
    let awkward = "a\"b\\c\nd, é}"
    let page = try ExpositionPage(
      text(
        [],
        [
          value("one", .integer(1)),
          MetricValue("sluice_evictions_total", .counter, help: "Evictions.", .integer(.max)),
          value(awkward, .real(-1.5e300)), value("inf", .real(.infinity)),
          value("minus", .real(-.infinity)), value("nan", .real(.nan)),
        ]))
    #expect(page.help["sluice_server_up"] == "A \\\\ and\\na line.")
    #expect(page.types["sluice_server_up"] == "gauge")
    #expect(page.types["sluice_evictions_total"] == "counter")
    #expect(page.samples["sluice_evictions_total"] == Double(Int.max))
    #expect(page.samples["sluice_server_up|server=one|zone=a"] == 1)
    #expect(page.samples["sluice_server_up|server=\(awkward)|zone=a"] == -1.5e300)
    #expect(page.samples["sluice_server_up|server=inf|zone=a"] == .infinity)
    #expect(page.samples["sluice_server_up|server=minus|zone=a"] == -.infinity)
    #expect(page.samples["sluice_server_up|server=nan|zone=a"]?.isNaN == true)
  }

  @Test(arguments: [
    "a 1", "# HELP a x\n# TYPE a gauge\na 1", "# HELP a x\n# TYPE a gauge\na{b=\"c} 1\n",
    "# HELP a x\n# TYPE a gauge\na 1\na 1\n", "# HELP a x\n# TYPE a gauge\na  1\n",
    "# HELP a x\n# TYPE a gauge\nb 1\n", "# HELP a x\n# TYPE a gauge\na inf\n",
    "# HELP a x\n# TYPE a gauge\na{1b=\"c\"} 1\n", "# TYPE a gauge\na 1\n",
    "# HELP a x\n# TYPE a gauge\n\na 1\n", "# HELP a x\n# TYPE a gauge\na{b=\"\\x\"} 1\n",
  ])
  func theCheckerRefusesWhatIsBroken(page: String) {
    #expect(throws: ExpositionPage.Broken.self) { try ExpositionPage(page) }
  }
}
