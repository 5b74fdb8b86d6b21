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
        #expect(answer.status == 200, "\(name)")
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

  @Test(.enabled(if: isThere)) func shardedDirectoriesAreLookedInto() throws {
    let (rules, roots) = try rules(
      "trustless_gateway_car/single-layer-hamt-with-multi-block-files.car")
    let root = try #require(roots.first)
    let page = try rules.get("/ipfs/\(root)/").text()
    #expect(page.ranges(of: "<tr>").count == 1_000)
    #expect(rules.get("/ipfs/\(root)/?format=tar").status == 200)
    #expect(rules.get("/ipfs/\(root)/none").status == 404)
    for name in ["1.txt", "685.txt", "1000.txt"] {
      #expect(page.contains(">\(name)</a>"))
      let answer = rules.get("/ipfs/\(root)/\(name)")
      #expect(answer.status == 200)
      #expect(answer.value(.xIpfsRoots)?.split(separator: ",").count == 2)
      let proof = try rules.get("/ipfs/\(root)/\(name)?format=car&dag-scope=block").car()
      #expect(proof.blocks.first == root)
      #expect(proof.blocks.count == 3)
    }
    let entity = try rules.get("/ipfs/\(root)?format=car&dag-scope=entity").car()
    #expect(entity.blocks.count == 237)
    let all = try rules.get("/ipfs/\(root)?format=car").car()
    #expect(Set(entity.blocks).isSubset(of: all.blocks))
  }

  /// Every CAR that is given is held against what was asked for.
  @Test(.enabled(if: isThere)) func carsAreComplete() throws {
    for name in try FileManager.default.subpathsOfDirectory(atPath: Self.folder)
    where name.hasSuffix(".car") {
      let (rules, roots) = try rules(name)
      for root in roots {
        for parameters in [
          CARParameters(scope: .block), CARParameters(scope: .entity), CARParameters(scope: .all),
          CARParameters(scope: .all, duplicates: true),
        ] {
          let query =
            "dag-scope=\(parameters.scope.name)&car-dups=\(parameters.duplicates ? "y" : "n")"
          let car = try rules.get("/ipfs/\(root)?format=car&\(query)").bytes()
          var check = CARCheck(CARQuestion(root: root, parameters: parameters))
          try check.update(car.rawBytes)
          let report = check.finish()
          #expect(report.verdict == .complete, "\(name) \(query)")
          #expect(report.isExact && report.rootsFit)
        }
      }
    }
  }
}
