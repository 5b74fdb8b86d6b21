/// Where settings and sections stand in their file, by their full names: `regions.eu.servers[0].address`.
struct SettingPlaces: Equatable, Sendable {
  /// Line and column, counted from 1.
  typealias Place = (line: Int, column: Int)

  private struct Mark: Equatable {
    var line: Int
    var column: Int
  }

  private var marks: [String: Mark] = [:]

  mutating func note(_ name: String, line: Int, column: Int) {
    marks[name] = Mark(line: line, column: column)
  }

  /// The place of the first of the settings that the file has, else of the nearest section around the first of them,
  /// else the file's beginning.
  func place(of names: [String]) -> Place {
    if let mark = names.compactMap({ marks[$0] }).first { return (mark.line, mark.column) }
    var around = names.first ?? ""
    while let cut = around.lastIndex(where: { $0 == "." || $0 == "[" }) {
      around = String(around[..<cut])
      if let mark = marks[around] { return (mark.line, mark.column) }
    }
    return (1, 1)
  }
}
