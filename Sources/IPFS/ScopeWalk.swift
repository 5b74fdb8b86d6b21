import Base

/// Walks from a path's end over the blocks that a CAR had, and finds whether one is missing.
///
/// No block is walked twice for the same, so that the work is bounded by the blocks' bytes.
struct ScopeWalk {
  enum Failure: Error {
    case missing(CID)
    case unwalkable(DAGError)
  }

  /// A node of a file of which a part is wanted.
  private struct Part {
    let index: Int
    /// Where its bytes begin in the file.
    let start: Int64
    /// How many its parent says they are; nil for the root.
    let size: Int64?
    /// Whether everything below is wanted; then no sizes are needed.
    let isWhole: Bool
    let depth: Int
  }

  private let memory: BlockMemory
  /// By record: whether the block is part of the answer, and whether all below it was or will be walked.
  private var needed: [Bool]
  private var expanded: [Bool]

  init(_ memory: BlockMemory) {
    self.memory = memory
    needed = Array(repeating: false, count: memory.records.count)
    expanded = needed
    metCodec = needed
    metOther = needed
  }

  /// Whether all blocks that are remembered are part of the answer, each under the codec that the answer
  /// has it under.
  var neededAll: Bool { !memory.isOver && !hasForeignCodec && needed.allSatisfy { $0 } }

  /// By record: whether the answer has the block under the stream's codec, or under another one.
  private var metCodec: [Bool]
  private var metOther: [Bool]

  private mutating func noteCodec(_ cid: CID, of index: Int) {
    if memory.records[index].codec == cid.codec {
      metCodec[index] = true
    } else {
      metOther[index] = true
    }
  }

  /// Whether a block stands in the stream under a codec that the answer does not have it under.
  ///
  /// Where it has it under both, gateways send one of the two.
  var hasForeignCodec: Bool {
    zip(metOther, metCodec).contains { $0 && !$1 }
      || memory.conflicts.contains { !(metOther[$0] && metCodec[$0]) }
  }

  /// Notes that a block is part of the answer.
  mutating func note(_ cid: CID) {
    guard let index = memory.index(of: cid) else { return }
    needed[index] = true
    noteCodec(cid, of: index)
  }

  mutating func run(_ terminal: CID, _ parameters: CARParameters) throws(Failure) {
    try need(terminal)
    switch parameters.scope {
    case .block: break
    case .all: try walkAll(terminal)
    case .entity:
      if terminal.codec == .dagPB { try walkEntity(terminal, parameters.entityBytes) }
    }
  }

  /// Notes that a block is part of the answer, and fails where it is not there.
  private mutating func need(_ cid: CID) throws(Failure) {
    guard cid.hash != .identity else { return }
    guard let index = memory.index(of: cid) else { throw .missing(cid) }
    needed[index] = true
    noteCodec(cid, of: index)
  }

  /// The record of a needed block whose structure is wanted.
  private func structure(_ cid: CID) throws(Failure) -> Int {
    guard let index = memory.index(of: cid), memory.records[index].codec == cid.codec,
      memory.records[index].form != .none
    else { throw .missing(cid) }
    return index
  }

  private func failing<Result>(
    _ body: () throws(DAGError) -> Result
  ) throws(Failure) -> Result {
    do throws(DAGError) {
      return try body()
    } catch {
      throw .unwalkable(error)
    }
  }

  // MARK: Everything

  private mutating func walkAll(_ terminal: CID) throws(Failure) {
    var pending: [Int] = []
    try push(terminal, &pending)
    while let index = pending.popLast() {
      let record = memory.records[index]
      let links = try links(of: memory.bytes.rawBytes.extracting(record.range), record)
      for cid in links { try push(cid, &pending) }
    }
  }

  private func links(
    of block: RawSpan, _ record: BlockMemory.Record
  ) throws(Failure) -> [CID] {
    try failing { () throws(DAGError) in
      var links: [CID] = []
      guard record.form == .links else {
        try DAGLinks.visit(block, of: record.codec) { cid in links.append(cid) }
        return links
      }
      var offset = 0
      while offset < block.byteCount {
        do throws(CIDError) {
          let (cid, count) = try CID.parse(binary: block.extracting(offset..<block.byteCount))
          links.append(cid)
          offset += count
        } catch {
          throw .cid(error)
        }
      }
      return links
    }
  }

  private mutating func push(_ cid: CID, _ pending: inout [Int]) throws(Failure) {
    try need(cid)
    switch cid.codec {
    case .raw, .cbor, .json: return
    case .dagPB, .dagCBOR, .dagJSON: break
    default: throw .unwalkable(.unsupportedCodec(cid.codec))
    }
    if cid.hash == .identity {
      // Its links are shorter than itself: this ends.
      let inside = BlockMemory.Record(codec: cid.codec, form: .whole)
      for link in try links(of: cid.digest, inside) { try push(link, &pending) }
      return
    }
    let index = try structure(cid)
    guard !expanded[index] else { return }
    expanded[index] = true
    pending.append(index)
  }

  // MARK: One entity

  private mutating func walkEntity(
    _ terminal: CID, _ range: CARParameters.EntityBytes?
  ) throws(Failure) {
    if terminal.hash == .identity {
      return try walkEntity(terminal.digest, .whole, terminal, nil, range)
    }
    let index = try structure(terminal)
    let record = memory.records[index]
    expanded[index] = range == nil
    let memory = memory
    try walkEntity(
      memory.bytes.rawBytes.extracting(record.range), record.form, terminal, index, range)
  }

  /// Walks by what the terminal block is; without UnixFS in it, it is all of the entity.
  private mutating func walkEntity(
    _ block: RawSpan, _ form: BlockMemory.Form, _ cid: CID, _ index: Int?,
    _ range: CARParameters.EntityBytes?
  ) throws(Failure) {
    let unixFS = try failing { () throws(DAGError) in
      try UnixFSNode.readable(try PBNode.decode(block), block)
    }
    guard let unixFS else { return }
    switch unixFS.kind {
    case .file:
      let total = unixFS.fileSize ?? unixFS.contentSize
      let window = range?.resolve(size: total)
      let root = Part(index: index ?? -1, start: 0, size: nil, isWhole: range == nil, depth: 0)
      var pending: [Part] = []
      try expand(root, block, form, window ?? 0..<0, &pending)
      while let part = pending.popLast() {
        let memory = memory
        let record = memory.records[part.index]
        try expand(
          part, memory.bytes.rawBytes.extracting(record.range), record.form, window ?? 0..<0,
          &pending)
      }
    case .hamtShard:
      var pending: [Int] = []
      try expandShard(block, &pending)
      while let next = pending.popLast() {
        let memory = memory
        try expandShard(memory.bytes.rawBytes.extracting(memory.records[next].range), &pending)
      }
    case .raw, .directory, .metadata, .symlink: break
    }
  }

  /// Finds the parts below a node of a file that the window needs.
  private mutating func expand(
    _ part: Part, _ block: RawSpan, _ form: BlockMemory.Form, _ window: Range<Int64>,
    _ pending: inout [Part]
  ) throws(Failure) {
    let (node, unixFS) = try failing { () throws(DAGError) in
      let node = try PBNode.decode(block)
      guard let data = node.data else { throw .notUnixFS }
      let unixFS = try UnixFSNode.decode(block, in: data)
      guard unixFS.kind == .file || unixFS.kind == .raw else { throw .notAFile(unixFS.kind) }
      return (node, unixFS)
    }
    let sizes = unixFS.blockSizes
    let hasSizes = sizes.count == node.links.count
    if part.isWhole {
      for (number, link) in node.links.enumerated() where !hasSizes || sizes[number] > 0 {
        let cid = try failing { () throws(DAGError) in try link.cid(in: block) }
        try child(
          cid, Part(index: 0, start: 0, size: nil, isWhole: true, depth: 0), window, &pending)
      }
      return
    }
    guard hasSizes else { throw .unwalkable(.linkCountMismatch) }
    guard part.depth < FileWalk.maximumDepth else { throw .unwalkable(.tooDeep) }
    let total = unixFS.fileSize ?? unixFS.contentSize
    let isAsLongAsItSays = form == .withoutBytes || total == unixFS.contentSize
    guard isAsLongAsItSays, part.size ?? total == total else { throw .unwalkable(.sizeMismatch) }
    let below = unixFS.contentSize - Int64(unixFS.data.count)
    // No overflow: a part lies inside its parent's, and the root's total fits 63 bits.
    var start = part.start + total - below
    for (size, link) in zip(sizes, node.links) {
      let bytes = start..<start + size
      start += size
      guard !bytes.isEmpty, bytes.overlaps(window) else { continue }
      let cid = try failing { () throws(DAGError) in try link.cid(in: block) }
      let isWhole = bytes.clamped(to: window) == bytes
      let next = Part(
        index: 0, start: bytes.lowerBound, size: size, isWhole: isWhole, depth: part.depth + 1)
      try child(cid, next, window, &pending)
    }
  }

  /// Needs a part's block, and has it walked unless it is a leaf or was walked for the same.
  private mutating func child(
    _ cid: CID, _ part: Part, _ window: Range<Int64>, _ pending: inout [Part]
  ) throws(Failure) {
    try need(cid)
    if cid.codec == .raw { return }
    guard cid.codec == .dagPB else { throw .unwalkable(.unsupportedCodec(cid.codec)) }
    if cid.hash == .identity {
      return try expand(part, cid.digest, .whole, window, &pending)
    }
    let index = try structure(cid)
    if part.isWhole {
      guard !expanded[index] else { return }
      expanded[index] = true
    }
    pending.append(
      Part(
        index: index, start: part.start, size: part.size, isWhole: part.isWhole, depth: part.depth))
  }

  /// Needs the shards below a shard.
  private mutating func expandShard(
    _ block: RawSpan, _ pending: inout [Int]
  ) throws(Failure) {
    let shards = try failing { () throws(DAGError) in
      let node = try PBNode.decode(block)
      guard let data = node.data else { throw .notUnixFS }
      let shard = try UnixFSShard(node, try UnixFSNode.decode(block, in: data), block)
      var shards: [CID] = []
      for link in shard.links where shard.isShard(link) { shards.append(try link.cid(in: block)) }
      return shards
    }
    for cid in shards {
      try need(cid)
      guard cid.codec == .dagPB else { throw .unwalkable(.unsupportedCodec(cid.codec)) }
      if cid.hash == .identity {
        try expandShard(cid.digest, &pending)
        continue
      }
      let index = try structure(cid)
      guard !expanded[index] else { continue }
      expanded[index] = true
      pending.append(index)
    }
  }
}
