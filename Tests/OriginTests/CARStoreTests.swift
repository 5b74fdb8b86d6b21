import Base
import Foundation
import IPFS
import Testing

@testable import Origin

struct CARStoreTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory
      .appending(path: "origin-\(UInt64.random(in: 0 ... .max))").path
    try FileManager.default.createDirectory(
      atPath: folder, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test func foldersGiveAllTheirFiles() throws {
    try withFolder { folder in
      let site = try SampleSite()
      try site.write(to: folder + "/site.car")
      var builder = UnixFSBuilder()
      let other = try builder.addFile([1, 2, 3])
      try Data(builder.car(roots: [other.cid])).write(to: URL(filePath: folder + "/other.car"))
      try Data([0]).write(to: URL(filePath: folder + "/readme.txt"))
      let store = try CARStore(paths: [folder])
      #expect(store.fileCount == 2)
      #expect(store.roots == [other.cid, site.root])
      let reader = BlockReader(store)
      #expect(try reader.block(other.cid) == [1, 2, 3])
      #expect(try reader.block(site.root).count > 0)
      // A second write must not overwrite.
      #expect(throws: Fault.self) { try site.write(to: folder + "/site.car") }
      // The same file twice is no harm.
      let again = try CARStore(paths: [folder + "/site.car", folder])
      #expect(again.blockCount == store.blockCount)
      #expect(again.contentBytes == store.contentBytes)
    }
  }

  @Test func damageIsToldWithFileAndOffset() throws {
    try withFolder { folder in
      let site = try Site()
      let car = site.builder.car(roots: [site.root.cid])
      let path = folder + "/cut.car"
      try Data(car.dropLast(3)).write(to: URL(filePath: path))
      let error = try #require(throws: CARStoreError.self) { try CARStore(paths: [path]) }
      guard case .damaged(let name, let offset, .truncated) = error else {
        Issue.record("\(error.sentence)")
        return
      }
      let last = try #require(site.builder.blocks.last)
      #expect(name == path)
      #expect(
        Int(offset) == car.count - CARWriter.sectionCount(last.cid, payloadCount: last.bytes.count))
      #expect(error.sentence.hasPrefix("\(path): damaged at offset \(offset): "))
    }
    let missing = try #require(throws: CARStoreError.self) {
      try CARStore(paths: ["/nonexistent/a.car"])
    }
    guard case .cannotRead("/nonexistent/a.car", let fault) = missing else {
      Issue.record("\(missing.sentence)")
      return
    }
    #expect(fault.errno == 2)
  }

  @Test func damagedFilesNeverTrap() throws {
    let car = try Site().builder.car(roots: [])
    var random = SeededRandom(seed: 11)
    var refused = 0
    for _ in 0..<300 {
      var copy = car
      for _ in 0...random.number(in: 0...3) {
        copy[random.number(in: 0...copy.count - 1)] = UInt8(truncatingIfNeeded: random.next())
      }
      do {
        let rules = OriginRules(try CARStore(car: copy))
        for root in try Site().builder.blocks.suffix(3) {
          _ = rules.answer(request(.get, "/ipfs/\(root.cid)/hello.txt"))
        }
      } catch is CARStoreError {
        refused += 1
      }
    }
    #expect(refused > 0)
  }

  @Test func nodesAreKeptWithinTheirBound() throws {
    var builder = UnixFSBuilder()
    var directories: [UnixFSBuilder.Node] = []
    var top = try builder.addDirectory([:])
    for level in 0..<200 {
      top = try builder.addDirectory(["\(level)": top])
      directories.append(top)
    }
    let reader = BlockReader(try CARStore(car: builder.car(roots: [top.cid])))
    for directory in directories + directories.reversed() + directories {
      let block = try reader.block(directory.cid)
      let verdict = directory.cid.verify(block.rawBytes)
      #expect(verdict == .match)
    }
  }

  @Test func theCARInsideAVersion2IsServed() throws {
    let site = try Site()
    let inner = site.builder.car(roots: [site.root.cid])
    func number(_ value: Int) -> [UInt8] {
      (0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let pragma: [UInt8] = [0x0a, 0xa1, 0x67] + Array("version".utf8) + [2]
    let header = [UInt8](repeating: 0, count: 16) + number(60) + number(inner.count) + number(0)
    let file = pragma + header + [UInt8](repeating: 9, count: 9) + inner + [1, 2, 3]
    let rules = OriginRules(try CARStore(car: file))
    let answer = rules.get("/ipfs/\(site.root.cid)/long.bin")
    #expect(try answer.bytes() == site.longBytes)
  }
}
