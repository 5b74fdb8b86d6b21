import Testing

/// Each rule finds what is planted, and nothing in what is clean.
@Suite struct HouseRulesTests {
  let manifest = Manifest(ManifestTests.text)

  static func file(_ path: String, _ text: String) -> SourceFile {
    SourceFile(path: path, text: text)
  }

  @Test(arguments: [
    "import COpenSSL", "public import COpenSSL", "@preconcurrency import COpenSSL",
    "  @_spi(X) internal import COpenSSL", "import struct COpenSSL.Digest",
    "import Base\n\nimport COpenSSL\n",
  ])
  func findsUnnamedImports(text: String) {
    let found = House.unnamedImports(manifest, [Self.file("Sources/System/File.swift", text)])
    #expect(
      found == [
        "Sources/System/File.swift: imports COpenSSL, which the target's line does not name"
      ])
  }

  @Test(arguments: [
    "public import Base\nimport CLinux\nimport Synchronization", "// import COpenSSL",
    "let text = \"\"\"\nimport COpenSSL\n\"\"\"", "func importCOpenSSL() {}",
  ])
  func letsNamedImportsPass(text: String) {
    #expect(House.unnamedImports(manifest, [Self.file("Sources/System/a.swift", text)]) == [])
  }

  @Test func findsImportsOfTargetsElsewhere() {
    let manifest = Manifest(
      """
      let package = Package(
        targets: [
          // Floor 8
          .executableTarget(
            name: "Bench", dependencies: ["Base"], path: "bench/tool", swiftSettings: settings),
        ])
      """)
    let files = [
      Self.file("bench/tool/a.swift", "import Foundation\nimport System"),
      Self.file("bench/other/a.swift", "import System"),
    ]
    #expect(
      House.unnamedImports(manifest, files)
        == ["bench/tool/a.swift: imports System, which the target's line does not name"])
    #expect(
      House.unusedImports(manifest, files)
        == ["Package.swift: Bench names Base and does not import it"])
  }

  @Test func findsFoldersWithoutTarget() {
    let found = House.unnamedImports(manifest, [Self.file("Sources/Attic/a.swift", "")])
    #expect(found == ["Sources/Attic/a.swift: Package.swift has no target Attic"])
  }

  @Test func findsUnusedImports() {
    let files = [
      Self.file("Sources/System/a.swift", "import Base"), Self.file("Sources/Base/a.swift", ""),
    ]
    #expect(
      House.unusedImports(manifest, files)
        == ["Package.swift: System names CLinux and does not import it"])
    let more = files + [Self.file("Sources/System/b.swift", "import CLinux")]
    #expect(House.unusedImports(manifest, more) == [])
  }

  @Test func findsUpwardImports() {
    #expect(House.upwardImports(manifest) == [])
    let upward = ManifestTests.text.replacing(
      "room(\"Base\")", with: "room(\"Base\", [\"System\"])")
    #expect(
      House.upwardImports(Manifest(upward)) == ["Package.swift: Base imports upwards: System"])
    let homeless = ManifestTests.text.replacing("// Floor 7", with: "// Elsewhere")
    #expect(
      House.upwardImports(Manifest(homeless))
        == ["Package.swift: sluice stands under no floor comment"])
    let disordered = ManifestTests.text.replacing("// Floor 2, which", with: "// Floor 8, which")
    #expect(
      House.upwardImports(Manifest(disordered)).contains(
        "Package.swift: sluice stands above its floor"))
  }

  @Test(arguments: [
    ("let a = try! b()", "1: try!"), ("let a = b as! C", "1: a force cast"),
    ("\n\nfatalError(\"x\")", "3: fatalError"), ("print(1)", "1: print"),
    ("  debugPrint(1)", "1: print"), ("// TO" + "DO: more", "1: TODO"),
    ("/* FIX" + "ME */", "1: TODO"), ("DispatchQueue.main", "1: Dispatch"),
    ("import Foundation", " imports Foundation"),
    ("public import FoundationEssentials", " imports FoundationEssentials"),
    ("let a = \"\\(b(\"x\"))\"; print(1)", "1: print"),
    ("let a = #\"\"\"#; print(1)", "1: print"),
    ("/* a /* b */ */ print(1)", "1: print"),
  ])
  func findsForbiddenWords(text: String, finding: String) {
    let found = House.forbidden([Self.file("Sources/System/a.swift", text)])
    #expect(found == ["Sources/System/a.swift:\(finding)"])
  }

  @Test(arguments: [
    "// try! as! fatalError() print()", "let a = \"print(1) try!\"", "writer.print(1)",
    "blueprint(1)", "/* print(1) /* print(2) */ print(3) */", "let a = #\"\"print(1)\"#",
    "let a = \"\\(b(\"print(1)\")) print(2)\"", "let a = \"\"\"\n  print(1) \"\" \n\"\"\"",
    "try? a()", "a as? B", "let a = \"\\\"print(1)\"",
  ])
  func letsCleanCodePass(text: String) {
    #expect(House.forbidden([Self.file("Sources/System/a.swift", text)]) == [])
  }

  @Test func theCommandLineMayPrint() {
    #expect(House.forbidden([Self.file("Sources/sluice/a.swift", "print(1)")]) == [])
    #expect(House.forbidden([Self.file("Tests/X/a.swift", "print(try! a())")]) == [])
  }

  @Test func findsUncheckedSendable() {
    let files = [
      Self.file("Sources/System/a.swift", "final class A: @unchecked Sendable {}"),
      Self.file("Sources/System/b.swift", "// not @unchecked Sendable"),
    ]
    #expect(
      House.uncheckedSendable(files, allowed: [])
        == ["Sources/System/a.swift: @unchecked Sendable is not listed"])
    #expect(House.uncheckedSendable(files, allowed: ["Sources/System/a.swift"]) == [])
    #expect(
      House.uncheckedSendable(files, allowed: ["Sources/System/a.swift", "Sources/System/b.swift"])
        == ["Sources/System/b.swift: listed without need"])
  }

  @Test func findsLongFiles() {
    let long = String(repeating: "\n", count: 601)
    #expect(House.longFiles([Self.file("Tests/a.swift", long)]) == ["Tests/a.swift: 601 lines"])
    #expect(House.longFiles([Self.file("Tests/a.swift", String(long.dropLast()))]) == [])
  }

  @Test func findsDeadLinks() {
    let page = Self.file(
      "Sources/README.md",
      """
      [a](Base/Slab.swift) [b](../Package.swift#L3) [c](#part) [d](https://example.com/x)
      [e](Gone.swift) [f](../Sources/Gone/)
      """)
    let existing: Set = ["Sources/Base/Slab.swift", "Package.swift"]
    #expect(
      House.deadLinks([page]) { existing.contains($0) } == [
        "Sources/README.md: links to Gone.swift, which does not exist",
        "Sources/README.md: links to ../Sources/Gone/, which does not exist",
      ])
  }
}
