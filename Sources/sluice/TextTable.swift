/// Lines of columns for people: each as wide as its longest cell.
struct TextTable {
  private var rows: [[String]] = []
  /// Columns of numbers, which end at one place.
  private let numbers: Set<Int>

  init(_ titles: [String], numbers: Set<Int> = []) {
    self.numbers = numbers
    rows = [titles]
  }

  mutating func add(_ row: [String]) { rows.append(row) }

  var isEmpty: Bool { rows.count == 1 }

  var text: String {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { $0.indices.contains(column) ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      var line = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return numbers.contains(column) ? space + cell : cell + space
      }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

/// Numbers as people read them.
enum Shown {
  /// `1,234,567`.
  static func count(_ number: Int) -> String {
    var digits = Array(String(number.magnitude))
    var place = digits.count - 3
    while place > 0 {
      digits.insert(",", at: place)
      place -= 3
    }
    return (number < 0 ? "-" : "") + String(digits)
  }

  /// `1 object`, `2 objects`.
  static func count(_ number: Int, _ thing: String) -> String {
    "\(count(number)) \(thing)\(number == 1 ? "" : "s")"
  }

  /// `1.5 GiB`; whole below 1 KiB.
  static func bytes(_ number: Int) -> String {
    var value = Double(number)
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
      if value < 1024 || unit == "TiB" {
        return unit == "B" ? "\(number) B" : "\(decimal(value)) \(unit)"
      }
      value /= 1024
    }
    return "\(number) B"
  }

  /// One digit behind the point.
  static func decimal(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(count(tenths / 10)).\(abs(tenths % 10))"
  }

  /// `93.1 %`, or a hyphen where there is nothing to have a part of.
  static func percent(_ ratio: Double?) -> String {
    ratio.map { "\(decimal($0 * 100)) %" } ?? "-"
  }

  /// `3d 4h`, `4h 5m`, `5m 6s` or `6s`.
  static func duration(_ seconds: Int) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m"), (1, "s")]
    guard let first = units.firstIndex(where: { seconds >= $0.0 }) else { return "0s" }
    var text = "\(seconds / units[first].0)\(units[first].1)"
    if first + 1 < units.count {
      let rest = seconds % units[first].0 / units[first + 1].0
      if rest > 0 { text += " \(rest)\(units[first + 1].1)" }
    }
    return text
  }
}
