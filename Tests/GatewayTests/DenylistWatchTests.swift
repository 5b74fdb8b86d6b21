import Admission
import Base
import Foundation
import IPFS
import Testing

@testable import Gateway

/// A denylist's file as it changes, look by look.
@Suite struct DenylistWatchTests {
  private final class Files {
    let folder = NSTemporaryDirectory() + "/sluice-deny-\(UInt64.random(in: 0 ... .max))"

    init() throws {
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: folder) }

    func path(_ name: String) -> String { folder + "/" + name }

    /// Writes a file in its place, so that it stays the same one.
    func write(_ text: String, to name: String) throws {
      if !FileManager.default.fileExists(atPath: path(name)) {
        _ = FileManager.default.createFile(atPath: path(name), contents: nil)
      }
      let handle = try FileHandle(forWritingTo: URL(filePath: path(name)))
      try handle.truncate(atOffset: 0)
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    }

    func append(_ text: String, to name: String) throws {
      let handle = try FileHandle(forWritingTo: URL(filePath: path(name)))
      try handle.seekToEnd()
      try handle.write(contentsOf: Data(text.utf8))
      try handle.close()
    }
  }

  private static let roots = [
    "QmdWFA9FL52hx3j9EJZPQP1ZUH8Ygi5tLCX2cRDs6knSf8",
    "Qmah2YDTfrox4watLCr3YgKyBwvjq8FJZEFdWY6WtJ3Xt2",
    "QmTuvSQbEDR3sarFAN9kAeXBpiBCyYYNxdxciazBba11eC",
  ]

  private func watch(
    _ files: Files, _ names: [String], comparedBytes: Int = DenylistSource.comparedBytes,
    events: @escaping (DenylistEvent) -> Void = { _ in }
  ) throws -> DenylistWatch {
    try DenylistWatch(
      paths: names.map(files.path), comparedBytes: comparedBytes,
      readHeader: { bytes throws(DenylistUnusable) in
        if bytes.starts(with: Array("bad".utf8)) { throw DenylistUnusable("bad") }
        return DenylistHeader()
      }, tell: events)
  }

  /// Which of the roots are denied.
  private func denied(_ watch: DenylistWatch) throws -> [Int] {
    let list = watch.denials.list
    return try Self.roots.indices.filter { place in
      let root = try cid(Self.roots[place])
      return list.denial(of: root, path: RawSpan()) != nil
    }
  }

  private func rule(_ place: Int) -> String { "/ipfs/\(Self.roots[place])" }

  @Test func appendedLinesCountAtOnceAndTornOnesWhenTheyStand() throws {
    let files = try Files()
    try files.write("# list\n\(rule(0))\n", to: "a")
    let watch = try self.watch(files, ["a"])
    var changes: [DenylistChange] = []
    watch.changed = { changes.append($0) }
    #expect(try denied(watch) == [0])
    try files.append("\(rule(1))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 1])
    let added = try #require(changes.last?.added)
    let (old, new) = (try cid(Self.roots[0]), try cid(Self.roots[1]))
    let (before, after) = (
      added.denial(of: old, path: RawSpan()), added.denial(of: new, path: RawSpan())
    )
    #expect(before == nil && after != nil)
    // A piece of a line, then its rest.
    try files.append("/ipfs/\(Self.roots[2].prefix(20))", to: "a")
    watch.look()
    try files.append("\(Self.roots[2].dropFirst(20))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 1, 2] && watch.denials.files[0].invalidLines == 0)
    // A last line without an end counts once it stands.
    try files.append("!\(rule(0))", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 1, 2])
    watch.look()
    #expect(try denied(watch) == [1, 2])
    // Its end comes later, and more.
    try files.append("\n!\(rule(1))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [2])
    let last = try cid(Self.roots[2])
    let found = watch.denials.list.denial(of: last, path: RawSpan())
    let finding = try #require(found)
    #expect(finding.mark.line == 4)
    #expect(watch.denials.text(of: finding) == rule(2))
    let count = changes.count
    watch.look()
    #expect(changes.count == count)
  }

  @Test func aLastLineWithoutAnEndCountsAtTheStartAndNeverLapses() throws {
    let files = try Files()
    try files.write("\(rule(0))\n\(rule(1))", to: "a")
    let watch = try self.watch(files, ["a"])
    #expect(try denied(watch) == [0, 1] && watch.denials.files[0].rules == 2)
    var seen: [[Int]] = []
    watch.changed = { _ in seen.append((try? self.denied(watch)) ?? []) }
    try files.write("\(rule(2))\n# more\n\(rule(1))", to: "a")
    for _ in 0..<4 { watch.look() }
    #expect(seen == [[1, 2]])
    // As many more that the table is made anew, with a last line like that behind them.
    let lines = (0..<70_000).map { "/ipfs/\(Self.roots[1])/\($0)\n" }.joined()
    try files.append("\n\(lines)\(rule(0))", to: "a")
    for _ in 0..<4 { watch.look() }
    #expect(try denied(watch) == [0, 1, 2] && watch.denials.files[0].rules == 70_003)
    try files.append("\n!\(rule(0))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [1, 2])
  }

  @Test func aTailThatGoesOnOtherwiseIsReadAnew() throws {
    let files = try Files()
    try files.write("\(rule(0))", to: "a")
    let watch = try self.watch(files, ["a"])
    watch.look()
    #expect(try denied(watch) == [0])
    try files.append("/only/this/path\n", to: "a")
    watch.look()
    watch.look()
    #expect(try denied(watch) == [])
  }

  @Test func whatIsRewrittenCountsOnceItStands() throws {
    let files = try Files()
    try files.write("\(rule(0))\n\(rule(1))\n", to: "a")
    let watch = try self.watch(files, ["a"])
    // Cut off, then longer, with other bytes where lines had been read.
    try files.write("", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 1])
    try files.write(
      "\(rule(2))\n# a comment that makes it longer than it was\n\(rule(1))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 1])
    watch.look()
    #expect(try denied(watch) == [1, 2])
    // Of the same size.
    try files.write(
      "\(rule(0))\n# a comment that makes it longer than it was\n\(rule(1))\n", to: "a")
    watch.look()
    watch.look()
    #expect(try denied(watch) == [0, 1])
    // Another file in its place.
    try files.write("\(rule(2))\n", to: "b")
    try FileManager.default.removeItem(atPath: files.path("a"))
    try FileManager.default.moveItem(atPath: files.path("b"), toPath: files.path("a"))
    watch.look()
    watch.look()
    #expect(try denied(watch) == [2])
    try files.write("", to: "a")
    watch.look()
    watch.look()
    #expect(try denied(watch) == [])
  }

  @Test func aLargeFileThatIsRewrittenAndGrownIsReadAnewOnceItStands() throws {
    let files = try Files()
    let middle = String(repeating: "# nothing\n", count: 20_000)
    let start = "good\n---\n\(middle)"
    try files.write("\(start)\(rule(0))\n\(middle)", to: "a")
    let watch = try self.watch(files, ["a"], comparedBytes: 4_096)
    // Lines are appended, and compared once they stand.
    try files.append("\(rule(1))", to: "a")
    for _ in 0..<3 { watch.look() }
    #expect(try denied(watch) == [0, 1])
    let other = try self.watch(files, ["a"], comparedBytes: 4_096)
    #expect(try denied(other) == [0, 1])
    // As long as before up to where more begins, with both ends as they were.
    try files.write("\(start)\(rule(2))\n\(middle)\(rule(1))\n# more\n", to: "a")
    other.look()
    #expect(try denied(other) == [0, 1])
    other.look()
    #expect(try denied(other) == [1, 2])
    #expect(other.denials.files[0].invalidLines == 0)
  }

  @Test func digestsAreOfBytesAndNotOfPieces() {
    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var whole = DenylistDigest()
    whole.update(bytes.rawBytes)
    for size in [1, 7, 4_095, 4_096, 4_097] {
      var digest = DenylistDigest()
      var start = 0
      while start < bytes.count {
        digest.update(Array(bytes[start..<min(bytes.count, start + size)]).rawBytes)
        start += size
      }
      #expect(digest.value == whole.value && digest.count == whole.count)
    }
    var other = DenylistDigest()
    other.update(Array(bytes.dropLast()).rawBytes)
    #expect(other.value != whole.value)
  }

  @Test func whatCannotBeUsedKeepsItsRules() throws {
    let files = try Files()
    try files.write("\(rule(0))\n", to: "a")
    try files.write("\(rule(1))\n", to: "b")
    var said: [String] = []
    let watch = try self.watch(files, ["a", "b"]) { event in
      switch event {
      case .unusable(_, let why): said.append(why)
      case .usable: said.append("usable")
      default: break
      }
    }
    try FileManager.default.removeItem(atPath: files.path("a"))
    watch.look()
    watch.look()
    #expect(try denied(watch) == [0, 1] && said.count == 1)
    #expect(watch.denials.files.map(\.isUsable) == [false, true])
    // Others go on meanwhile.
    try files.append("\(rule(2))\n", to: "b")
    watch.look()
    #expect(try denied(watch) == [0, 1, 2])
    try files.write("bad\n---\n\(rule(2))\n", to: "a")
    for _ in 0..<4 { watch.look() }
    #expect(try denied(watch) == [0, 1, 2] && said.count == 2 && said.last == "bad")
    #expect(watch.denials.files.map(\.isUsable) == [false, true])
    try files.write("good\n---\n!\(rule(1))\n", to: "a")
    for _ in 0..<2 { watch.look() }
    // The later file's rule counts more.
    #expect(try denied(watch) == [1, 2] && said.last == "usable")
    #expect(watch.denials.files.map(\.isUsable) == [true, true])
  }

  @Test func aStartNeedsAllFiles() throws {
    let files = try Files()
    try files.write("bad\n---\n", to: "bad")
    #expect(throws: DenylistUnusable("\(files.path("bad")): bad")) {
      _ = try self.watch(files, ["bad"])
    }
    #expect(throws: DenylistUnusable.self) { _ = try self.watch(files, ["missing"]) }
  }

  @Test func manyAppendedRulesMakeAnotherTable() throws {
    let files = try Files()
    try files.write("\(rule(0))\n", to: "a")
    let watch = try self.watch(files, ["a"])
    let lines = (0..<70_000).map { "/ipfs/\(Self.roots[1])/\($0)\n" }.joined()
    try files.append(lines + "\(rule(2))\n", to: "a")
    watch.look()
    #expect(try denied(watch) == [0, 2])
    let before = watch.denials.files[0]
    let generation = watch.denials.generation
    var changes: [DenylistChange] = []
    watch.changed = { changes.append($0) }
    watch.look()
    // The same rules are no other list.
    #expect(changes.count == 1 && changes[0].added?.isEmpty == true)
    #expect(watch.denials.generation == generation)
    #expect(try denied(watch) == [0, 2])
    let after = watch.denials.files[0]
    #expect(after.rules == 70_002 && before.rules == 70_002)
    let list = watch.denials.list
    let path = Array("/69999".utf8)
    let many = try cid(Self.roots[1])
    let finding = list.denial(of: many, path: path.rawBytes)
    #expect(finding?.mark.line == 70_001)
  }
}
