import Base
import Foundation
import Testing
import Yams

@testable import Configuration

@Suite struct SettingsTableTests {
  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  @Test func namesAreUniqueAndHelped() {
    let rows = SettingsTable.all
    #expect(Set(rows.map(\.name)).count == rows.count)
    for row in rows {
      #expect(row.help.hasSuffix("."), "\(row.name)")
      #expect(!row.help.dropLast().contains(". "), "\(row.name): one sentence")
      #expect(row.help.count + 4 <= 100, "\(row.name)")
    }
  }

  @Test func theAnnotatedFileHasTheDefaults() throws {
    #expect(try Settings.read(Self.text("gateway.conf"), file: "gateway.conf") == Settings())
  }

  /// Every setting stands in the annotated file; that its value is the default is tested above.
  @Test func theAnnotatedFileNamesEverySetting() throws {
    let document = try #require(try Yams.compose(yaml: Self.text("gateway.conf")))
    for row in SettingsTable.all {
      let node = row.name.split(separator: ".").reduce(document as Node?) { $0?[String($1)] }
      #expect(node != nil, "\(row.name) is not in gateway.conf")
    }
  }

  /// In the annotated file a comment stands above every setting.
  @Test func theAnnotatedFileExplainsEverySetting() throws {
    let lines = try Self.text("gateway.conf").split(
      separator: "\n", omittingEmptySubsequences: false)
    let document = try #require(try Yams.compose(yaml: Self.text("gateway.conf")))
    for row in SettingsTable.all {
      var keys = row.name.split(separator: ".").map(String.init)
      let leaf = keys.removeLast()
      let section = keys.reduce(document as Node?) { $0?[$1] }
      let key = section?.mapping?.keys.first { $0.string == leaf }
      let line = try #require(key?.mark?.line)
      var above = line - 2
      // A section with one setting may have its comment above the section's own key.
      if section?.mapping?.count == 1 { above = lines[above].hasSuffix(":") ? above - 1 : above }
      #expect(lines[above].trimmingPrefix { $0 == " " }.first == "#", "\(row.name)")
    }
  }

  @Test func theDeployedFileIsValid() throws {
    let settings = try Settings.read(
      Self.text("deploy/gateway.conf"), file: "/etc/sluice/gateway.conf")
    #expect(settings.cache.path == "/var/cache/sluice")
  }
}
