import Base

/// A number with a unit, as gateway.conf writes sizes and durations.
///
/// Both directions go over one list of units, so that what is printed reads back as the same value.
struct Quantity: Sendable {
  /// The units by rising worth.
  let units: [(name: String, worth: Int)]

  /// Sizes in bytes, in powers of 1024.
  static let size = Quantity(units: [
    ("B", 1), ("KB", 1 << 10), ("MB", 1 << 20), ("GB", 1 << 30), ("TB", 1 << 40),
  ])

  /// Durations in nanoseconds; milliseconds are the finest that can be written.
  static let duration = Quantity(units: [
    ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
  ])

  /// Reads `50GB` or `30s`: a whole number, directly followed by a unit in any case.
  func read(_ text: String) -> Int? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    let unitName = text[digits.endIndex...].lowercased()
    guard let number = Int(digits),
      let unit = units.first(where: { $0.name.lowercased() == unitName })
    else { return nil }
    let (value, overflow) = number.multipliedReportingOverflow(by: unit.worth)
    return overflow ? nil : value
  }

  /// The first of some familiar values that lie in a range, as text; its lower end where none does.
  func examples(in range: ClosedRange<Int>, of familiar: [Int], atMost count: Int) -> String {
    let fitting = familiar.filter(range.contains).prefix(count)
    return (fitting.isEmpty ? [range.lowerBound] : Array(fitting)).map(show)
      .joined(separator: " or ")
  }

  /// Writes the value in the largest unit that leaves a whole number.
  ///
  /// The value must be a multiple of the least unit.
  func show(_ value: Int) -> String {
    let unit = units.last { value != 0 && value % $0.worth == 0 } ?? units[0]
    return "\(value / unit.worth)\(unit.name)"
  }
}
