import Base
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct FillRequestTests {
  private let leaf = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

  private func content(_ target: String, root: String) throws -> FillContent {
    FillContent(try #require(try contentRequest(target)), root: try cid(root))
  }

  /// Whether the address alone says what the body must hash to.
  @Test(arguments: [
    ("", true, false), ("/", false, false), ("/a", false, false), ("?x=1", true, false),
    ("?format=raw", true, true), ("/a?format=raw", false, false), ("/?format=raw", false, false),
    ("?format=json", true, false), ("?format=cbor", true, false), ("/a?format=json", false, false),
    ("?format=dag-json", false, false), ("?format=dag-cbor", false, false),
    ("?format=car", false, false), ("?format=car&dag-scope=block", false, false),
  ])
  func blocksAreBare(rest: String, ofLeaf: Bool, ofNode: Bool) throws {
    #expect(try content("/ipfs/\(leaf)\(rest)", root: leaf).isBlock == ofLeaf)
    #expect(try content("/ipfs/\(rootText)\(rest)", root: rootText).isBlock == ofNode)
    // By a name it is what the name leads to.
    #expect(try content("/ipns/docs.example\(rest)", root: leaf).isBlock == ofLeaf)
    #expect(try content("/ipns/docs.example\(rest)", root: rootText).isBlock == ofNode)
  }

  @Test func withoutARequestNothingIsBare() throws {
    let root = try cid(leaf)
    #expect(!FillContent(root: root).isBlock && !FillContent(root: root, form: .raw).isBlock)
  }

  @Test func otherCodecsAreBlocksInTheirOwnBytesAlone() throws {
    let root = try cid(rootText)
    for codec in [ContentCodec.dagCBOR, .dagJSON, .cbor, .json, .libp2pKey] {
      let other = try CID(codec: codec, hash: root.hash, digest: root.digest)
      for (query, isBlock) in [("", false), ("?format=raw", true), ("?format=json", false)] {
        #expect(try content("/ipfs/\(other)\(query)", root: "\(other)").isBlock == isBlock)
      }
    }
  }

  /// A CAR's header names the root as it was asked for; all else is asked for as version 1.
  @Test func rootsAreVersion1ButForACAR() throws {
    let root = try cid(rootText)
    for form in ContentForm.allCases {
      let content = FillContent(root: root, form: form)
      #expect(content.root == (form == .car ? root : root.version1))
    }
    let car = try content("/ipfs/\(rootText)/a?format=car&dag-scope=block", root: rootText)
    #expect(car.root == root && car.form == .car && car.selection.scope == .block)
  }
}
