import Base
import Foundation
import IPFS
import TestKit

/// Requests for everything in CAR files that other programs made.
enum FormTableFixtures {
  static let files: [URL] = {
    let folder = URL(filePath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
      .appending(path: "../shared/fixtures").standardizedFileURL
    let walker = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
    return (walker?.compactMap { $0 as? URL } ?? []).filter { $0.pathExtension == "car" }
      .sorted { $0.path < $1.path }
  }()

  /// Blocks of one file that are asked for by themselves; a sharded directory has very many.
  private static let mostBlocks = 40
  /// Entries of one directory that are asked for.
  private static let mostEntries = 12

  static func requests(_ dag: inout TestDAG) throws -> [FormTableRun.Request] {
    var requests: [FormTableRun.Request] = []
    for file in files {
      let label = file.deletingLastPathComponent().lastPathComponent + "/" + file.lastPathComponent
      let (roots, blocks) = try dag.add(car: [UInt8](try Data(contentsOf: file)))
      func add(_ path: String, _ fields: [(name: String, value: String)] = []) {
        var question = Question(path)
        question.fields = fields
        let words = fields.map { " · \($0.name) \($0.value)" }.joined()
        requests.append(FormTableRun.Request("\(label) \(path)\(words)", question))
      }
      for root in roots {
        for tail in ["", "/", "?format=tar", "/absent"] { add("/ipfs/\(root)\(tail)") }
        add("/ipfs/\(root)/", [("Accept", "text/html")])
        for scope in ["block", "entity", "all"] {
          add("/ipfs/\(root)?format=car&dag-scope=\(scope)")
        }
        for spelling in [Spelling.version0, .base36] {
          spelling.text(root).map { add("/ipfs/\($0)/") }
        }
      }
      for cid in blocks.prefix(mostBlocks) {
        add("/ipfs/\(cid)?format=raw")
        for name in names(dag.bytes(of: cid) ?? [], of: cid).prefix(mostEntries) {
          let path = "/ipfs/\(cid)/\(escaped(name))"
          add(path)
          add(path, [("Range", "bytes=1-2")])
          add(path + "?format=car")
        }
      }
    }
    return requests
  }

  /// What a directory names, sharded or not.
  private static func names(_ block: [UInt8], of cid: CID) -> [String] {
    guard let (node, unixFS) = try? UnixFSNode.read(block.rawBytes, of: cid),
      unixFS.kind == .directory || unixFS.kind == .hamtShard
    else { return [] }
    let names = node.links.map {
      String(decoding: block[Int($0.name.start)..<$0.name.end], as: UTF8.self)
    }
    // A shard's names have two digits before them; those without more are other shards.
    return unixFS.kind == .directory
      ? names : names.filter { $0.count > 2 }.map { String($0.dropFirst(2)) }
  }
}
