import Base

/// What a CAR was asked for: content below a root, and which of its blocks.
public struct CARQuestion: Sendable {
  public let root: CID
  /// The path below the root, decoded, one run of bytes a segment.
  public let segments: [[UInt8]]
  public let parameters: CARParameters

  public init(root: CID, segments: [[UInt8]] = [], parameters: CARParameters = CARParameters()) {
    self.root = root
    self.segments = segments
    self.parameters = parameters
  }
}

/// What a CAR stream turned out to be.
public struct CARReport: Sendable {
  public enum Verdict: Equatable, Sendable {
    /// Every block of the answer is there, and is what its CID names.
    case complete
    /// The blocks show that the segment of this index names nothing; nothing is missing for that.
    case provenAbsent(segment: Int)
    /// The stream ends in the header or in a section.
    case truncated
    /// A block that the answer needs is not in the stream.
    case missing(CID)
    /// A block's hash function is not available here.
    case unverifiable(HashFunction)
    /// A block on the way is not what its codec says, or its links are not known: nobody could walk on.
    case unwalkable(DAGError)
    /// More structure than is remembered: see `CARCheck.maximumMemory`.
    case tooLarge
    /// The stream was refused; `CARCheck.update` threw this.
    case refused(CARError)
  }

  public let verdict: Verdict
  /// What the path leads to; nil where it was not followed to its end.
  public let terminal: CID?
  /// How many of the last segments name something inside the terminal block (dag-cbor and dag-json).
  public let segmentsInside: Int
  /// Blocks in the stream, repeated ones counted again.
  public let blocks: Int
  /// How many of them repeat an earlier one.
  public let repeated: Int
  /// Whether the stream has no blocks beside those of the answer; false if the answer is not complete.
  public let isExact: Bool
  /// Whether the header names the root asked for, the terminal block, or the empty identity CID that
  /// gateways write for what does not exist.
  ///
  /// The specification leaves the roots open and has clients ignore them, so it decides nothing.
  public let rootsFit: Bool
  /// Whether each block stands in the stream under a codec that the answer has it under.
  public let codecsFit: Bool
}

/// Holds a CARv1 stream against what was asked for, as its bytes come, in any pieces.
///
/// Every block is hashed as it comes, and a wrong one refused with its last byte. Whether all of the answer
/// is there is known at the end, for any order of blocks: the structure (dag-pb without the files' bytes,
/// dag-cbor, dag-json) is remembered and walked then, from the root along the path and by the scope. That
/// the stream ends cleanly proves nothing: gateways end it so when they cannot go on.
public struct CARCheck: ~Copyable {
  /// No peer passes on more than 2 MiB; twice that leaves room for what others wrote.
  public static let maximumBlock = 4 * 1024 * 1024
  /// Bytes of structure remembered, 64 for each block itself: half a million blocks, or 128 GiB of raw
  /// leaves of 256 KiB.
  public static let maximumMemory = 32 * 1024 * 1024

  private let question: CARQuestion
  private var sections = CARSections(maximumBlock: Self.maximumBlock)
  private var hasher: ContentHasher?
  private var block: CID?
  /// The block's bytes, where they are structure.
  private var content: [UInt8] = []
  private var memory: BlockMemory
  private var path: PathWalk
  /// The blocks that the path led through.
  private var passed: [CID] = []
  private var pathFailure: DAGError?
  private var failure: CARError?
  private var unverifiable: HashFunction?
  private var roots: [CID]?
  private var blocks = 0
  private var taken: UInt64 = 0

  /// How far the stream is known to be good, counted from its start: the end of the last whole section.
  ///
  /// Blocks that cannot be verified count as good here; the verdict tells.
  public private(set) var checkedEnd: UInt64 = 0

  public init(_ question: CARQuestion, maximumMemory: Int = Self.maximumMemory) {
    self.question = question
    memory = BlockMemory(maximumBytes: maximumMemory)
    path = PathWalk(root: question.root, segments: question.segments)
    followPath()
  }

  /// Takes the stream's next bytes; an error is final.
  public mutating func update(_ bytes: RawSpan) throws(CARError) {
    if let failure { throw failure }
    do throws(CARError) {
      try take(bytes)
    } catch {
      failure = error
      throw error
    }
  }

  private mutating func take(_ bytes: RawSpan) throws(CARError) {
    var offset = 0
    while true {
      switch try sections.next(bytes, at: &offset) {
      case .needMore:
        taken += UInt64(bytes.byteCount)
        return
      case .header(let roots):
        self.roots = roots
        checkedEnd = taken + UInt64(offset)
      case .block(let cid, let count): begin(cid, count)
      case .payload(let range):
        let part = bytes.extracting(range)
        hasher?.update(part)
        if let block, block.isStructure {
          unsafe part.withUnsafeBytes { unsafe content.append(contentsOf: $0) }
        }
      case .end:
        try finishBlock()
        checkedEnd = taken + UInt64(offset)
      }
    }
  }

  private mutating func begin(_ cid: CID, _ count: Int) {
    block = cid
    blocks += 1
    hasher = ContentHasher(for: cid)
    if hasher == nil { unverifiable = unverifiable ?? cid.hash }
    content.removeAll(keepingCapacity: true)
    if cid.isStructure { content.reserveCapacity(count) }
  }

  private mutating func finishBlock() throws(CARError) {
    guard let cid = block else { return }
    block = nil
    if var hasher = hasher.take(), !hasher.matches() { throw .wrongHash(cid) }
    // An identity CID carries its block: whether it is in the stream as well says nothing.
    guard cid.hash != .identity else { return }
    memory.add(cid, content, keep: keep(cid))
    guard let wanted = path.wanted, cid.codec == wanted.codec, cid.hasMultihash(of: wanted) else {
      return
    }
    let content = content
    supply(wanted, content.rawBytes)
    followPath()
  }

  /// What a block may still be needed for.
  private func keep(_ cid: CID) -> BlockMemory.Keep {
    guard cid.isStructure else { return .nothing }
    guard case .found = path.outcome else { return path.wanted == nil ? .nothing : .all }
    switch question.parameters.scope {
    case .block: return .nothing
    case .entity: return cid.codec == .dagPB ? .all : .nothing
    case .all: return .links
    }
  }

  /// Goes on along the path as far as blocks are at hand.
  private mutating func followPath() {
    while pathFailure == nil, let wanted = path.wanted {
      if !wanted.isStructure, wanted.codec != .raw {
        pathFailure = .unsupportedCodec(wanted.codec)
      } else if wanted.hash == .identity {
        supply(wanted, wanted.digest)
      } else if wanted.codec == .raw {
        // Nothing is below it, whatever its bytes are; it was asked for all the same.
        guard memory.index(of: wanted) != nil else { return }
        supply(wanted, RawSpan())
      } else if let record = memory.record(of: wanted), record.form != .none {
        let kept = memory.bytes
        supply(wanted, kept.rawBytes.extracting(record.range))
      } else {
        return
      }
    }
  }

  private mutating func supply(_ cid: CID, _ block: RawSpan) {
    do throws(DAGError) {
      try path.supply(block)
      passed.append(cid)
    } catch {
      pathFailure = error
    }
  }

  /// Ends the check: what the bytes so far are.
  public func finish() -> CARReport {
    var walk = ScopeWalk(memory)
    let verdict = verdict(&walk)
    let isWhole =
      switch verdict {
      case .complete, .provenAbsent: true
      default: false
      }
    var terminal: CID?
    var inside = 0
    if case .found(let cid, let count) = path.outcome {
      terminal = cid
      inside = count
    }
    return CARReport(
      verdict: verdict, terminal: terminal, segmentsInside: inside, blocks: blocks,
      repeated: memory.repeated, isExact: isWhole && walk.neededAll,
      rootsFit: rootsFit(terminal, verdict), codecsFit: !walk.hasForeignCodec)
  }

  private func verdict(_ walk: inout ScopeWalk) -> CARReport.Verdict {
    if let failure { return .refused(failure) }
    guard roots != nil, sections.isAtBorder else { return .truncated }
    if let unverifiable { return .unverifiable(unverifiable) }
    if let pathFailure { return .unwalkable(pathFailure) }
    for cid in passed { walk.note(cid) }
    guard let outcome = path.outcome else {
      guard !memory.isOver, let wanted = path.wanted else { return .tooLarge }
      return .missing(wanted)
    }
    // What is not there cannot be asked for: the path's blocks are all of the answer.
    guard case .found(let terminal, _) = outcome else {
      if case .absent(let segment) = outcome { return .provenAbsent(segment: segment) }
      return .tooLarge
    }
    guard !memory.isOver else { return .tooLarge }
    do throws(ScopeWalk.Failure) {
      try walk.run(terminal, question.parameters)
      return .complete
    } catch {
      switch error {
      case .missing(let cid): return .missing(cid)
      case .unwalkable(let reason): return .unwalkable(reason)
      }
    }
  }

  private func rootsFit(_ terminal: CID?, _ verdict: CARReport.Verdict) -> Bool {
    // More than one, or one under another codec, is not what a gateway writes.
    guard let root = roots?.first, roots?.count == 1 else { return false }
    if root.codec == question.root.codec, root.hasMultihash(of: question.root) { return true }
    if let terminal, root.codec == terminal.codec, root.hasMultihash(of: terminal) { return true }
    if case .provenAbsent = verdict {
      return root.hash == .identity && root.digest.byteCount == 0
    }
    return false
  }
}
