public import Base

/// A number that no page holds, such as the bytes in the cache, given by whoever knows it.
///
/// Families must not be those of `Counter`, `Gauge` or `HistogramName`, and one family has one kind
/// and one help sentence. Label values come from tables and settings, never from clients: each one
/// seen is a series for good.
public struct MetricValue: Sendable {
  public enum Kind: Sendable { case counter, gauge }

  public enum Number: Sendable {
    case integer(Int)
    case real(Double)
  }

  public struct Label: Sendable {
    public var name: StaticString
    public var value: String

    public init(_ name: StaticString, _ value: String) {
      self.name = name
      self.value = value
    }
  }

  public var family: StaticString
  public var kind: Kind
  public var help: StaticString
  public var labels: [Label]
  public var number: Number

  public init(
    _ family: StaticString, _ kind: Kind, help: StaticString, labels: [Label] = [],
    _ number: Number
  ) {
    self.family = family
    self.kind = kind
    self.help = help
    self.labels = labels
    self.number = number
  }
}

/// The page that Prometheus reads: text format 0.0.4.
public enum Exposition {
  /// The value of Content-Type for what `write` gives.
  public static let contentType: StaticString = "text/plain; version=0.0.4; charset=utf-8"

  /// Appends all pages' sums and then the given values.
  public static func write(
    pages: [CounterPage], values: [MetricValue] = [], into output: inout ByteBuffer
  ) {
    var writer = Writer()
    for counter in Counter.allCases {
      let series = Series(counter.rawValue)
      writer.begin(series.family, kind: "counter", &output)
      writer.sample(counter.rawValue, CounterPage.sum(pages, counter), &output)
    }
    for gauge in Gauge.allCases {
      let series = Series(gauge.rawValue)
      writer.begin(series.family, kind: "gauge", &output)
      writer.sample(gauge.rawValue, CounterPage.sum(pages, gauge), &output)
    }
    for name in HistogramName.allCases {
      let series = Series(name.rawValue)
      writer.begin(series.family, kind: "histogram", &output)
      writer.histogram(series, CounterPage.sum(pages, name), &output)
    }
    var families: [String] = []
    var samples: [String: [MetricValue]] = [:]
    for value in values {
      let family = value.family.description
      if samples[family] == nil { families.append(family) }
      samples[family, default: []].append(value)
    }
    for family in families {
      guard let all = samples[family], let first = all.first else { continue }
      writer.begin(family[...], help: first.help, kind: first.kind, &output)
      for sample in all { writer.sample(sample, &output) }
    }
  }

  /// Writes HELP and TYPE before the first sample of each family.
  private struct Writer {
    private let help = Dictionary(
      MetricFamily.help.map { ($0.family, $0.sentence) }, uniquingKeysWith: { first, _ in first })
    private var family: Substring = ""

    mutating func begin(_ family: Substring, kind: StaticString, _ output: inout ByteBuffer) {
      guard family != self.family else { return }
      self.family = family
      output.append("# HELP \(family) \(help[String(family)] ?? "")\n# TYPE \(family) ")
      output.append(kind)
      output.append(0x0a)
    }

    mutating func begin(
      _ family: Substring, help: StaticString, kind: MetricValue.Kind, _ output: inout ByteBuffer
    ) {
      self.family = family
      output.append("# HELP \(family) ")
      Exposition.append(escaped: help.description, quotes: false, to: &output)
      output.append("\n# TYPE \(family) \(kind)\n")
    }

    func sample(_ series: String, _ number: Int, _ output: inout ByteBuffer) {
      output.append(series)
      output.append(0x20)
      output.append(decimal: number)
      output.append(0x0a)
    }

    func sample(_ value: MetricValue, _ output: inout ByteBuffer) {
      output.append(value.family)
      for (index, label) in value.labels.enumerated() {
        output.append(index == 0 ? "{" : ",")
        output.append(label.name)
        output.append("=\"")
        Exposition.append(escaped: label.value, quotes: true, to: &output)
        output.append("\"")
      }
      output.append(value.labels.isEmpty ? " " : "} ")
      switch value.number {
      case .integer(let number): output.append(decimal: number)
      case .real(let number): output.append(Exposition.text(number))
      }
      output.append(0x0a)
    }

    func histogram(
      _ series: Series, _ snapshot: HistogramSnapshot, _ output: inout ByteBuffer
    ) {
      let comma = series.labels.isEmpty ? "" : ","
      let braces = series.labels.isEmpty ? "" : "{\(series.labels)}"
      var cumulative = 0
      for (bucket, count) in snapshot.buckets.enumerated() {
        let isLast = bucket == HistogramBounds.table.count
        let bound = isLast ? "+Inf" : HistogramBounds.table[bucket].text.description
        cumulative &+= count
        let name = "\(series.family)_bucket{\(series.labels)\(comma)le=\"\(bound)\"}"
        sample(name, cumulative, &output)
      }
      let seconds = Interval(nanoseconds: Int64(snapshot.sumNanoseconds)).seconds
      output.append("\(series.family)_sum\(braces) \(Exposition.text(seconds))\n")
      sample("\(series.family)_count\(braces)", cumulative, &output)
    }
  }

  /// A floating-point number as the format spells it.
  private static func text(_ number: Double) -> String {
    if number.isNaN { return "NaN" }
    if number.isInfinite { return number < 0 ? "-Inf" : "+Inf" }
    return "\(number)"
  }

  /// Backslash and line feed are escaped everywhere, the quotation mark in label values only.
  private static func append(escaped text: String, quotes: Bool, to output: inout ByteBuffer) {
    for byte in text.utf8 {
      switch byte {
      case 0x5c: output.append("\\\\")
      case 0x0a: output.append("\\n")
      case 0x22 where quotes: output.append("\\\"")
      default: output.append(byte)
      }
    }
  }
}
