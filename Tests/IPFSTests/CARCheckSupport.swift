import Base
import IPFS
import Testing

/// A node of a random DAG, and what its maker knows of it.
struct Item {
  enum Kind: Equatable {
    case file
    case directory
    case sharded(fanout: Int)
    case data
  }

  let cid: CID
  let kind: Kind
  var children: [(segments: [String], item: Item)] = []
}

/// A random DAG of every kind of node, and the blocks that answer a question about it.
struct RandomDAG {
  var builder = FileBuilder()
  var random: SeededRandom
  let root: Item

  init(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    var builder = FileBuilder()
    root = Self.item(&builder, &random, depth: 3)
    self.random = random
    self.builder = builder
  }

  private static func item(
    _ builder: inout FileBuilder, _ random: inout SeededRandom, depth: Int
  ) -> Item {
    let choice = depth == 0 ? 0 : random.number(in: depth == 3 ? 1...6 : 0...6)
    guard choice > 0 else { return file(&builder, &random) }
    let count = random.number(in: 0...(choice == 2 ? 40 : 4))
    let names = (0..<count).map { "name \($0) \(random.number(in: 0...99))" }
    // Many entries share their content, as they do in real trees.
    var pool = (0..<min(count, 4)).map { _ in item(&builder, &random, depth: depth - 1) }
    if let copy = pool.randomElement(using: &random) { pool.append(copy) }
    let items = names.map { _ in pool[random.number(in: 0...pool.count - 1)] }
    switch choice {
    case 1, 6:
      let cid = builder.directory(zip(names, items).map { ($0, $1.cid) })
      return Item(
        cid: cid, kind: .directory, children: zip(names, items).map { ([$0], $1) })
    case 2, 3:
      let fanout = [8, 16, 256][random.number(in: 0...2)]
      let cid = builder.sharded(zip(names, items).map { ($0, $1.cid) }, fanout: fanout)
      return Item(
        cid: cid, kind: .sharded(fanout: fanout), children: zip(names, items).map { ([$0], $1) })
    default:
      let entries = zip(names, items).map { ($0, FileBuilder.Value.link($1.cid)) }
      let value = FileBuilder.Value.map([
        ("list", .list(items.map { .link($0.cid) })), ("n", .number(7)),
        ("map", .map(entries + [("text", .text("x"))])),
      ])
      let cid = choice == 4 ? builder.cbor(value) : builder.json(value)
      var children: [(segments: [String], item: Item)] = []
      for (number, item) in items.enumerated() { children.append((["list", "\(number)"], item)) }
      for (name, item) in zip(names, items) { children.append((["map", name], item)) }
      return Item(cid: cid, kind: .data, children: children)
    }
  }

  private static func file(_ builder: inout FileBuilder, _ random: inout SeededRandom) -> Item {
    builder.rawLeaves = random.chance(0.6)
    if random.chance(0.1), let cid = try? CID(codec: .raw, hash: .identity, digest: bytes("inline"))
    {
      return Item(cid: cid, kind: .file)
    }
    let content = random.bytes(random.number(in: 0...600))
    return Item(cid: builder.file(content, chunk: random.number(in: 20...200)), kind: .file)
  }

  /// A question about the item at the end of a random path, and the blocks of its answer, each once.
  mutating func question() -> (question: CARQuestion, terminal: Item, path: [CID]) {
    var segments: [[UInt8]] = []
    var item = root
    var path: [CID] = []
    while !item.children.isEmpty, random.chance(0.7) {
      let child = item.children[random.number(in: 0...item.children.count - 1)]
      path += passed(item, child.segments[0])
      segments += child.segments.map { bytes($0) }
      item = child.item
    }
    let scope = CARParameters.Scope.allCases[random.number(in: 0...2)]
    var range: CARParameters.EntityBytes?
    if scope == .entity, random.chance(0.6) {
      let from = random.number(in: -300...300)
      let text = random.chance(0.3) ? "\(from):*" : "\(from):\(from + random.number(in: 0...200))"
      range = CARParameters.EntityBytes(bytes(text).rawBytes)
    }
    let parameters = CARParameters(scope: scope, entityBytes: range)
    return (CARQuestion(root: root.cid, segments: segments, parameters: parameters), item, path)
  }

  /// The blocks that lead from an item to one of its names, or show that it is not there.
  func passed(_ item: Item, _ name: String) -> [CID] {
    guard case .sharded(let fanout) = item.kind else { return [item.cid] }
    let bits = fanout.trailingZeroBitCount
    let digits = String(fanout - 1, radix: 16).count
    var shards = [item.cid]
    while let shard = shards.last, let block = builder.blocks[shard] {
      let slot = (murmur3(bytes(name)) << UInt64((shards.count - 1) * bits)) >> UInt64(64 - bits)
      let next = (try? PBNode.decode(block))?.links.first { link in
        link.name.count == digits && Int(block.text(link.name), radix: 16) == Int(slot)
      }
      guard let next, let cid = try? next.cid(in: block) else { return shards }
      shards.append(cid)
    }
    return shards
  }

  private func shards(_ shard: CID, digits: Int) -> [CID] {
    guard let block = builder.blocks[shard], let node = try? PBNode.decode(block) else { return [] }
    return node.links.reduce(into: [shard]) { found, link in
      guard link.name.count == digits, let cid = try? link.cid(in: block) else { return }
      found += shards(cid, digits: digits)
    }
  }

  /// The blocks of the item at a path's end, depth first, repeated where they are met again.
  func answer(_ item: Item, _ parameters: CARParameters) throws -> [CID] {
    switch (parameters.scope, item.kind) {
    case (.all, _): return builder.everything(item.cid)
    case (.entity, .file):
      guard item.cid.hash != .identity else { return [] }
      var size = FileWalk(root: item.cid, range: 0..<0)
      _ = try size.supply(builder.blocks[item.cid] ?? [])
      let range = parameters.entityBytes?.resolve(size: size.fileSize ?? 0)
      var walk = FileWalk(root: item.cid, range: range)
      var found: [CID] = []
      while let wanted = walk.wanted {
        found.append(wanted)
        _ = try walk.supply(builder.blocks[wanted] ?? [])
      }
      return found
    case (.entity, .sharded(let fanout)):
      return shards(item.cid, digits: String(fanout - 1, radix: 16).count)
    default: return item.cid.hash == .identity ? [] : [item.cid]
    }
  }
}

extension Array where Element: Hashable {
  /// Each element where it stands first.
  var unique: [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}

/// Runs a check over a stream that comes in pieces ending at `cuts`.
func check(
  _ stream: [UInt8], _ question: CARQuestion, cuts: [Int] = [],
  memory: Int = CARCheck.maximumMemory
) -> CARReport {
  var check = CARCheck(question, maximumMemory: memory)
  var start = 0
  for end in cuts + [stream.count] {
    do throws(CARError) {
      try check.update(stream.rawBytes.extracting(start..<end))
    } catch {
      #expect(check.finish().verdict == .refused(error))
      return check.finish()
    }
    #expect(check.checkedEnd <= UInt64(end))
    start = end
  }
  return check.finish()
}
