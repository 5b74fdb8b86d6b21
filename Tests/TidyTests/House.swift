import Foundation

/// A text file of the project, by its path from the root.
struct SourceFile {
  var path: String
  var text: String

  /// The folder below Sources, which is the target's name.
  var target: Substring? {
    let parts = path.split(separator: "/")
    return parts.count > 2 && parts[0] == "Sources" ? parts[1] : nil
  }

  var isSwift: Bool { path.hasSuffix(".swift") }
}

/// The rules that the compiler and the formatter do not check; each gives what breaks it.
enum House {
  /// Modules that come with the language and need no line.
  static let languageModules: Set = ["Swift", "Synchronization"]

  static let longestFile = 600

  /// Imports that the target's line in Package.swift does not name.
  static func unnamedImports(_ manifest: Manifest, _ files: [SourceFile]) -> [String] {
    files.flatMap { file -> [String] in
      guard file.isSwift else { return [] }
      guard let target = manifest.target(of: file) else {
        return file.target.map { ["\(file.path): Package.swift has no target \($0)"] } ?? []
      }
      // What is no part of the product may look at the machine with Foundation.
      let free = file.target == nil ? languageModules.union(["Foundation"]) : languageModules
      return imports(of: file).filter {
        !free.contains($0) && !target.imports.contains($0)
      }.map { "\(file.path): imports \($0), which the target's line does not name" }
    }
  }

  /// Modules that a target's line names and no file of it imports.
  static func unusedImports(_ manifest: Manifest, _ files: [SourceFile]) -> [String] {
    manifest.targets.filter { !$0.isTest }.flatMap { target -> [String] in
      let own = files.filter { manifest.target(of: $0) == target && $0.isSwift }
      guard !own.isEmpty else { return [] }
      let used = Set(own.flatMap(imports))
      return target.imports.filter { !used.contains($0) }
        .map { "Package.swift: \(target.name) names \($0) and does not import it" }
    }
  }

  /// Targets without a floor, floors out of order, and targets that name one of a higher floor.
  static func upwardImports(_ manifest: Manifest) -> [String] {
    var found: [String] = []
    var highest = 0
    for target in manifest.targets where !target.isTest {
      guard let floor = target.floor else {
        found.append("Package.swift: \(target.name) stands under no floor comment")
        continue
      }
      if floor < highest { found.append("Package.swift: \(target.name) stands above its floor") }
      highest = max(highest, floor)
      for name in target.imports {
        guard let other = manifest.target(name), let otherFloor = other.floor else { continue }
        if otherFloor > floor {
          found.append("Package.swift: \(target.name) imports upwards: \(name)")
        }
      }
    }
    return found
  }

  /// Words that do not belong into Sources.
  static func forbidden(_ files: [SourceFile]) -> [String] {
    files.filter { $0.isSwift && $0.target != nil }.flatMap { file in
      let code = SwiftText.code(of: file.text)
      var found = findings(
        in: code,
        [
          ("try!", /try!/), ("a force cast", /\bas!/), ("fatalError", /\bfatalError\b/),
          ("Dispatch", /\bDispatchQueue\b/),
        ])
      if file.target != "sluice" {
        found += findings(in: code, [("print", /(?:^|[^.\w`])(?:print|debugPrint|dump)\(/)])
      }
      found += findings(in: file.text, [("TODO", /\b(?:TODO|FIXME|XXX)\b/)])
      let unwanted = imports(of: file).filter { $0.hasPrefix("Foundation") || $0 == "Dispatch" }
      return found.map { "\(file.path):\($0)" } + unwanted.map { "\(file.path): imports \($0)" }
    }
  }

  /// Files that take the compiler's word for thread safety, or are listed and do not.
  static func uncheckedSendable(_ files: [SourceFile], allowed: Set<String>) -> [String] {
    let found = Set(
      files.filter { $0.isSwift && $0.target != nil }
        .filter { SwiftText.code(of: $0.text).contains(/@unchecked\s+Sendable/) }.map(\.path))
    return found.subtracting(allowed).sorted().map { "\($0): @unchecked Sendable is not listed" }
      + allowed.subtracting(found).sorted().map { "\($0): listed without need" }
  }

  static func longFiles(_ files: [SourceFile]) -> [String] {
    files.compactMap { file in
      let lines = file.text.count { $0 == "\n" }
      return lines > longestFile ? "\(file.path): \(lines) lines" : nil
    }
  }

  /// Links of a page to files that do not exist.
  static func deadLinks(_ pages: [SourceFile], exists: (String) -> Bool) -> [String] {
    pages.flatMap { page -> [String] in
      let folder = page.path.split(separator: "/").dropLast()
      let links = page.text.matches(of: /\]\(([^)\s#]+)(?:#[^)\s]*)?\)/).map { String($0.1) }
      return links.filter { link in
        guard !link.contains(/^[a-z]+:/) else { return false }
        var path = folder
        for step in link.split(separator: "/") where step != "." {
          if step == ".." { path = path.dropLast() } else { path.append(step) }
        }
        return !exists(path.joined(separator: "/"))
      }.map { "\(page.path): links to \($0), which does not exist" }
    }
  }

  static func imports(of file: SourceFile) -> [String] {
    let line =
      /^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|fileprivate|private)\s+)?import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)/
    return SwiftText.code(of: file.text).matches(of: line.anchorsMatchLineEndings())
      .map { String($0.1) }
  }

  /// The lines on which a rule's pattern stands.
  private static func findings(
    in text: String, _ rules: [(name: String, pattern: Regex<Substring>)]
  ) -> [String] {
    rules.flatMap { name, pattern in
      text.matches(of: pattern.wordBoundaryKind(.simple)).map { match in
        "\(text[..<match.range.upperBound].utf8.count { $0 == 0x0A } + 1): \(name)"
      }
    }
  }
}
