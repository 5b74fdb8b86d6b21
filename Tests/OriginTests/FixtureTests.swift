import Base
import Foundation
import HTTP
import IPFS
import Testing

@testable import Origin

/// CAR files that Kubo and go-car made; they lie beside the package and may be missing.
struct FixtureTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "../shared/fixtures").standardizedFileURL.path
  static let isThere = FileManager.default.fileExists(atPath: folder)

  private func rules(_ file: String) throws -> (rules: OriginRules, roots: [CID]) {
    let store = try CARStore(paths: ["\(Self.folder)/\(file)"])
    return (OriginRules(store), store.roots)
  }

  @Test(.enabled(if: isThere)) func everyCARIsOpened() throws {
    for name in try FileManager.default.subpathsOfDirectory(atPath: Self.folder)
    where name.hasSuffix(".car") {
      let (rules, roots) = try rules(name)
      for root in roots {
        let answer = rules.answer(request(.get, "/ipfs/\(root)/"))
        #expect([200, 501].contains(answer.status), "\(name)")
        #expect(rules.answer(request(.get, "/ipfs/\(root)?format=raw")).status == 200)
      }
    }
  }

  @Test(.enabled(if: isThere)) func symlinkIsItsTargetsText() throws {
    let (rules, roots) = try rules("path_gateway_unixfs/symlink.car")
    let root = try #require(roots.first)
    let answer = rules.answer(request(.get, "/ipfs/\(root)/bar"))
    #expect(answer.status == 200)
    #expect(answer.value(.contentType) == "inode/symlink")
    #expect(try answer.text() == "foo")
  }

  @Test(.enabled(if: isThere)) func percentSignsInNamesSurvive() throws {
    let (rules, roots) = try rules("path_gateway_unixfs/dir-with-percent-encoded-filename.car")
    let root = try #require(roots.first)
    let page = try rules.answer(request(.get, "/ipfs/\(root)/")).text()
    let link = try #require(page.firstMatch(of: /href="\.\/([^"]+)"/)?.1)
    #expect(link.contains("%25"))
    #expect(rules.answer(request(.get, "/ipfs/\(root)/\(link)")).status == 200)
  }

  @Test(.enabled(if: isThere)) func shardedDirectoryIs501ButItsBlocksAreServed() throws {
    let (rules, roots) = try rules(
      "trustless_gateway_car/single-layer-hamt-with-multi-block-files.car")
    let root = try #require(roots.first)
    #expect(rules.answer(request(.get, "/ipfs/\(root)/")).status == 501)
    let block = rules.answer(request(.get, "/ipfs/\(root)?format=car&dag-scope=block"))
    #expect(try block.car().blocks == [root])
  }
}
