import Foundation
import Testing

/// The rules held against the project as it is.
@Suite struct HouseTests {
  /// Files whose types the compiler cannot prove to be safe to share; each says there why they are.
  static let uncheckedSendable: Set<String> = [
    "Sources/Admin/AdminHandler+Changes.swift",
    "Sources/Admin/AdminTask.swift",
    "Sources/Admission/DenyTable.swift",
    "Sources/Admission/RateLimitTable.swift",
    "Sources/Cache/DiskStorage.swift",
    "Sources/Cache/Fill.swift",
    "Sources/Cache/FillReader.swift",
    "Sources/Cache/Index.swift",
    "Sources/Cache/SegmentTable.swift",
    "Sources/Cache/SliceBuffer.swift",
    "Sources/EventLoop/SimulatedDisk.swift",
    "Sources/Gateway/Exchange.swift",
    "Sources/Gateway/GatewayWorker+Checks.swift",
    "Sources/Gateway/Removal.swift",
    "Sources/Origin/OriginServer.swift",
    "Sources/Server/ServerCrew.swift",
    "Sources/System/Monitor.swift",
    "Sources/TLS/TLSContext.swift",
    "Sources/TLS/TLSTrust.swift",
    "Sources/Telemetry/AccessLogWriter.swift",
    "Sources/Telemetry/CounterPage.swift",
    "Sources/Upstreams/UpstreamWaiter.swift",
    "Sources/sluice/Service+Denylist.swift",
    "Sources/sluice/Service+Upstreams.swift",
    "Sources/sluice/Service.swift",
  ]

  static let root = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()

  static let sources = files(below: "Sources", endings: ["swift", "c", "h"])
  static let tests = files(below: "Tests", endings: ["swift", "c", "h"])
  static let benches = files(below: "bench", endings: ["swift"])
  static let pages = files(below: "", endings: ["md"])

  static func files(below folder: String, endings: Set<String>) -> [SourceFile] {
    let top = folder.isEmpty ? root : root.appending(path: folder)
    let walk = FileManager.default.enumerator(
      at: top, includingPropertiesForKeys: nil, options: [.skipsHiddenFiles])
    let urls = (walk?.allObjects ?? []).compactMap { $0 as? URL }
    return urls.filter { endings.contains($0.pathExtension) }.compactMap { url in
      guard let text = try? String(contentsOf: url, encoding: .utf8) else { return nil }
      let path = url.standardizedFileURL.path.dropFirst(root.standardizedFileURL.path.count)
      return SourceFile(path: String(path.trimmingPrefix("/")), text: text)
    }
  }

  static func manifest() throws -> Manifest {
    let text = try String(contentsOf: root.appending(path: "Package.swift"), encoding: .utf8)
    return Manifest(text)
  }

  @Test func theFilesAreSeen() throws {
    #expect(Self.sources.contains { $0.path == "Sources/Base/ByteBuffer.swift" })
    #expect(Self.tests.contains { $0.path == "Tests/TidyTests/HouseTests.swift" })
    #expect(Self.benches.contains { $0.path == "bench/fill/CacheFill.swift" })
    let targets = try Self.manifest().targets
    #expect(targets.contains { $0.name == "Base" && $0.floor == 1 && !$0.isTest })
    #expect(targets.contains { $0.name == "TidyTests" && $0.isTest })
    let folders = Set(Self.sources.compactMap { $0.target.map(String.init) })
    #expect(folders.isSubset(of: targets.map(\.name)))
  }

  @Test func targetsImportWhatTheirLinesName() throws {
    let manifest = try Self.manifest()
    #expect(House.unnamedImports(manifest, Self.sources + Self.benches) == [])
    #expect(House.unusedImports(manifest, Self.sources + Self.benches) == [])
    #expect(House.upwardImports(manifest) == [])
  }

  @Test func sourcesHaveNoForbiddenWords() {
    #expect(House.forbidden(Self.sources) == [])
  }

  @Test func uncheckedSendableIsListed() {
    #expect(House.uncheckedSendable(Self.sources, allowed: Self.uncheckedSendable) == [])
  }

  @Test func noFileIsTooLong() {
    #expect(House.longFiles(Self.sources + Self.tests + Self.benches) == [])
  }

  @Test func linksLeadSomewhere() {
    let dead = House.deadLinks(Self.pages) { path in
      FileManager.default.fileExists(atPath: Self.root.appending(path: path).path)
    }
    #expect(dead == [])
  }
}
