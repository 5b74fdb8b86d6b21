/// What Package.swift says of the targets: their floors and what each may import.
struct Manifest {
  struct Target: Equatable {
    var name: String
    /// The number of the floor comment above the target; nil where there is none.
    var floor: Int?
    /// The modules that the target's line names.
    var imports: [String]
    var isTest: Bool
    /// The folder, where it is not the one of that name in Sources.
    var path: String?
  }

  private(set) var targets: [Target] = []

  func target(_ name: some StringProtocol) -> Target? {
    targets.first { $0.name == name }
  }

  /// The target that a file belongs to.
  func target(of file: SourceFile) -> Target? {
    targets.first { target in target.path.map { file.path.hasPrefix("\($0)/") } ?? false }
      ?? file.target.flatMap { target($0) }
  }

  /// Reads the elements of `targets: [ … ]`: calls whose first string is the target's name and
  /// whose first list of strings is what it may import.
  init(_ text: String) {
    guard let start = text.range(of: "targets: [\n") else { return }
    var floor: Int?
    var call = ""
    for line in text[start.upperBound...].split(separator: "\n", omittingEmptySubsequences: false) {
      let code = line.prefix(while: { $0 == " " }).count
      let trimmed = line.dropFirst(code)
      if code <= 2, trimmed.hasPrefix("]") { return }
      if let comment = trimmed.range(of: "// "), comment.lowerBound == trimmed.startIndex {
        if let match = trimmed.firstMatch(of: /^\/\/ Floor ([0-9]+)/) {
          floor = Int(match.1)
        } else {
          // Another heading ends the floor above it.
          floor = nil
        }
        continue
      }
      call += trimmed.replacing(/\s+\/\/ .*$/, with: "")
      let open = call.count { $0 == "(" || $0 == "[" }
      let closed = call.count { $0 == ")" || $0 == "]" }
      if open > 0, open == closed {
        if let target = Self.target(call, floor: floor) { targets.append(target) }
        call = ""
      }
    }
  }

  private static func target(_ call: String, floor: Int?) -> Target? {
    guard let name = call.firstMatch(of: /"([^"]+)"/)?.1 else { return nil }
    let isTest = call.hasPrefix("tests(") || call.hasPrefix(".testTarget(")
    var imports: [String] = []
    let isDoor = call.hasPrefix("door(") || call.hasPrefix(".systemLibrary(")
    if !isDoor, let list = call.firstMatch(of: /(?:dependencies: |",\s*)\[(.*?)\]/) {
      let names = String(list.1).replacing(/package: "[^"]+"/, with: "")
      imports = names.matches(of: /"([^"]+)"/).map { String($0.1) }
    }
    let path = call.firstMatch(of: /path: "([^"]+)"/).map { String($0.1) }
    return Target(
      name: String(name), floor: floor, imports: imports, isTest: isTest, path: path)
  }
}
