import Base
import Foundation
import Router
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

  /// What a message says to write, as nodes that can be written.
  static func examples(_ expected: String) -> [String] {
    guard let start = expected.range(of: "such as ") else { return [] }
    let words = expected[start.upperBound...].replacing(" in quotes", with: "")
      .replacing(", or ", with: ", ")
      .replacing(" or ", with: ", ").split(separator: ", ").map {
        String($0.trimmingPrefix("or "))
      }
    return words.prefix { !$0.hasPrefix("and ") }.map { $0.replacing("\"", with: "") }
  }

  /// How many examples the settings of a table have; each must be taken.
  static func tryExamples<Root>(_ table: [Setting<Root>], _ blank: Root) -> Int {
    var count = 0
    for row in table {
      let isList = row.expected.hasPrefix("a list in brackets")
      for example in examples(row.expected) {
        var reader = SettingsReader(file: "gateway.conf")
        var root = blank
        let scalar = Node(example, Tag(.str), .doubleQuoted)
        row.read(isList ? Node([scalar]) : scalar, &root, &reader, row.name)
        #expect(reader.complaints.isEmpty, "\(reader.complaints)")
        count += 1
      }
    }
    return count
  }

  @Test func everyExampleIsTakenByItsOwnSetting() {
    var count = Self.tryExamples(SettingsTable.all, Settings())
    count += Self.tryExamples(SettingsTable.listen, .init(address: HostPort(loopback: 0)))
    count += Self.tryExamples(SettingsTable.host, .init(.all))
    count += Self.tryExamples(SettingsTable.region, .init(name: "", servers: []))
    count += Self.tryExamples(
      SettingsTable.server, .init(address: ServerAddress(HostPort(loopback: 0))))
    count += Self.tryExamples(SettingsTable.rateLimit, .init(name: ""))
    count += Self.tryExamples(SettingsTable.certificate, .init(certificate: "", key: ""))
    #expect(count > 50, "\(count)")
    let size = Kind.size((128 << 20)...(64 << 40)).expected
    #expect(size == "a size from 128MB to 64TB, such as 10GB")
    #expect(
      Kind<Interval>.duration(.seconds(60) ... .seconds(3650 * 86_400)).expected
        == "a duration from 1m to 3650d, such as 12h or 30d")
    #expect(Kind<Interval>.duration(.seconds(7) ... .seconds(8)).expected.hasSuffix("such as 7s"))
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
