import Base
import IPFS
import Testing

@Suite struct CARCheckTests {
  private static func cuts(_ random: inout SeededRandom, _ count: Int) -> [Int] {
    (0..<random.number(in: 0...8)).map { _ in random.number(in: 0...count) }.sorted()
  }

  /// Any order, with and without repeated blocks, split anywhere: the answer is complete and exact.
  @Test(arguments: 0..<50) func answersAreComplete(_ seed: UInt64) throws {
    var dag = RandomDAG(seed: seed)
    for _ in 0..<4 {
      let (question, terminal, path) = dag.question()
      let blocks = path + (try dag.answer(terminal, question.parameters))
      let once = blocks.unique
      for order in [blocks, once, once.shuffled(using: &dag.random)] {
        let stream = dag.builder.car(roots: [terminal.cid], blocks: order)
        let report = check(stream, question, cuts: Self.cuts(&dag.random, stream.count))
        #expect(report.verdict == .complete, "\(question)")
        #expect(report.terminal == terminal.cid)
        #expect(report.isExact)
        #expect(report.rootsFit)
        #expect(report.blocks == order.count)
        #expect(report.repeated == order.count - once.count)
      }
    }
  }

  @Test(arguments: 0..<30) func everyMissingBlockIsNoticed(_ seed: UInt64) throws {
    var dag = RandomDAG(seed: seed)
    let (question, terminal, path) = dag.question()
    let blocks = (path + (try dag.answer(terminal, question.parameters))).unique
    for missing in blocks {
      let rest = blocks.filter { $0 != missing }.shuffled(using: &dag.random)
      let report = check(dag.builder.car(roots: [], blocks: rest), question)
      #expect(report.verdict == .missing(missing), "\(question)")
      #expect(!report.isExact)
    }
    // Every border between sections but the last one.
    var stream = appended { CARWriter.appendHeader(roots: [question.root], to: &$0) }
    for (number, cid) in blocks.enumerated() {
      let report = check(stream, question)
      #expect(report.verdict == .missing(blocks[number]) || report.verdict != .complete)
      #expect(report.blocks == number)
      let block = dag.builder.blocks[cid] ?? []
      stream += appended { CARWriter.appendBlock(cid, block, to: &$0) }
    }
    #expect(check(stream, question).verdict == .complete)
  }

  @Test(arguments: 0..<12) func everyOtherCutIsNoticed(_ seed: UInt64) throws {
    var dag = RandomDAG(seed: seed)
    let (question, terminal, path) = dag.question()
    let blocks = (path + (try dag.answer(terminal, question.parameters))).unique
    let stream = dag.builder.car(roots: [question.root], blocks: blocks)
    let borders = Set(
      try CARTests.read(stream).blocks.map { Int($0.sectionOffset) } + [stream.count])
    for _ in 0..<100 {
      let cut = dag.random.number(in: 0...stream.count)
      let verdict = check(Array(stream[..<cut]), question).verdict
      #expect((verdict == .truncated) == !borders.contains(cut))
    }
  }

  /// Every bit of every block counts, and is noticed with its section.
  @Test func everyFlippedBitIsRefused() throws {
    var builder = FileBuilder()
    let file = builder.file(bytes("some content of a file in some blocks"), chunk: 8)
    let data = builder.cbor(.map([("a", .link(file)), ("b", .list([.number(1), .text("c")]))]))
    let root = builder.directory([("data", data)])
    let question = CARQuestion(root: root, segments: [bytes("data")])
    let stream = builder.car(roots: [root], blocks: builder.everything(root))
    let sections = try CARTests.read(stream).blocks
    for section in sections {
      let start = Int(section.payloadOffset)
      for place in start..<start + section.payloadCount {
        for bit in 0..<8 {
          var changed = stream
          changed[place] ^= 1 << UInt8(bit)
          #expect(check(changed, question).verdict == .refused(.wrongHash(section.cid)))
        }
      }
      // The section before is good, and nothing from this one on.
      var machine = CARCheck(question)
      var changed = stream
      changed[start + section.payloadCount - 1] ^= 1
      for _ in 0..<2 {
        do throws(CARError) {
          try machine.update(changed.rawBytes)
          Issue.record("not refused")
        } catch {
          #expect(error == .wrongHash(section.cid))
        }
      }
      let good = machine.checkedEnd
      #expect(good == section.sectionOffset)
    }
  }

  @Test(arguments: 0..<60) func blocksBesideTheAnswerDoNoHarm(_ seed: UInt64) throws {
    var dag = RandomDAG(seed: seed)
    let (question, terminal, path) = dag.question()
    let blocks = (path + (try dag.answer(terminal, question.parameters))).unique
    let all = Array(dag.builder.blocks.keys).shuffled(using: &dag.random)
    let report = check(dag.builder.car(roots: [], blocks: all), question)
    #expect(report.verdict == .complete)
    #expect(report.isExact == (blocks.count == all.count))
    #expect(!report.rootsFit)
  }

  @Test(arguments: 0..<80) func whatIsNotThereIsProven(_ seed: UInt64) throws {
    var dag = RandomDAG(seed: seed)
    let (start, terminal, path) = dag.question()
    guard terminal.cid.hash != .identity else { return }
    let name = "no such name"
    let question = CARQuestion(
      root: start.root, segments: start.segments + [bytes(name), bytes("further")],
      parameters: start.parameters)
    let blocks = (path + dag.passed(terminal, name)).unique
    let nothing = try parse("bafkqaaa")
    let stream = dag.builder.car(
      roots: [nothing], blocks: blocks.shuffled(using: &dag.random))
    let report = check(stream, question, cuts: Self.cuts(&dag.random, stream.count))
    #expect(report.verdict == .provenAbsent(segment: start.segments.count))
    #expect(report.terminal == nil)
    #expect(report.isExact && report.rootsFit)
    for missing in blocks {
      let rest = blocks.filter { $0 != missing }
      let report = check(dag.builder.car(roots: [], blocks: rest), question)
      #expect(report.verdict == .missing(missing))
    }
  }

  @Test func pathsMayEndInsideABlock() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("x"))
    let value = FileBuilder.Value.map([
      ("a", .list([.number(1), .map([("b", .text("c")), ("d", .link(leaf))])])), ("e", .number(1)),
    ])
    for root in [builder.cbor(value), builder.json(value)] {
      let stream = builder.car(roots: [root], blocks: [root])
      func report(_ path: String, _ scope: CARParameters.Scope = .entity) -> CARReport {
        let segments = path.split(separator: "/").map { Array($0.utf8) }
        return check(
          stream,
          CARQuestion(root: root, segments: segments, parameters: CARParameters(scope: scope)))
      }
      for (path, inside) in [("a", 1), ("a/1/b", 3), ("a/01", 2), ("e", 1)] {
        #expect(report(path).verdict == .complete)
        #expect(report(path).terminal == root)
        #expect(report(path).segmentsInside == inside)
        #expect(report(path, .all).verdict == .missing(leaf))
      }
      let absent = [
        ("b", 0), ("a/2", 1), ("a/-1", 1), ("a/x", 1), ("a/1/c", 2), ("e/1", 1), ("a/0/0", 2),
      ]
      for (path, segment) in absent {
        #expect(report(path).verdict == .provenAbsent(segment: segment))
      }
      #expect(report("a/1/d").verdict == .missing(leaf))
      #expect(report("a/1/d/e").verdict == .missing(leaf))
    }
  }

  @Test func identityNeedsNoBlocks() throws {
    let empty = try parse("bafkqaaa")
    let stream = appended { CARWriter.appendHeader(roots: [empty], to: &$0) }
    let report = check(stream, CARQuestion(root: empty))
    #expect(report.verdict == .complete)
    #expect(report.isExact && report.terminal == empty)
    // A directory inside its CID, which names a block that is not.
    var builder = FileBuilder()
    let inner = try CID(codec: .raw, hash: .identity, digest: bytes("a"))
    let directory = builder.directory([("a", inner)])
    let block = try #require(builder.blocks[directory])
    let root = try CID(codec: .dagPB, hash: .identity, digest: block)
    for scope in CARParameters.Scope.allCases {
      let parameters = CARParameters(scope: scope)
      #expect(check(stream, CARQuestion(root: root, parameters: parameters)).verdict == .complete)
    }
    let question = CARQuestion(root: root, segments: [bytes("a")])
    #expect(check(stream, question).terminal == inner)
    // Beside the answer or not: the block itself may stand in the stream, if it is right.
    for (content, isRight) in [(block, true), (block + [0], false)] {
      let full = stream + appended { CARWriter.appendBlock(root, content, to: &$0) }
      #expect((check(full, question).verdict == .complete) == isRight)
    }
  }

  @Test func saysWhatItCannotDecide() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("x"))
    let keccak = try CID(
      codec: .raw, hash: HashFunction(rawValue: 0x1b), digest: [UInt8](repeating: 1, count: 32))
    let root = builder.directory([("a", leaf), ("b", keccak)])
    builder.blocks[keccak] = bytes("y")
    let stream = builder.car(roots: [root], blocks: [root, leaf, keccak])
    let question = CARQuestion(root: root)
    #expect(check(stream, question).verdict == .unverifiable(keccak.hash))

    let unknown = builder.add(bytes("tree"), codec: ContentCodec(rawValue: 0x78))
    let broken = builder.add([0xff], codec: .dagPB)
    let holder = builder.directory([("git", unknown), ("broken", broken)])
    let other = builder.car(roots: [holder], blocks: [holder, unknown, broken])
    func verdict(_ name: String, _ scope: CARParameters.Scope, _ more: String = "")
      -> CARReport.Verdict
    {
      let segments = [bytes(name)] + (more.isEmpty ? [] : [bytes(more)])
      let parameters = CARParameters(scope: scope)
      return check(
        other, CARQuestion(root: holder, segments: segments, parameters: parameters)
      ).verdict
    }
    #expect(verdict("git", .block) == .complete)
    #expect(verdict("git", .entity) == .complete)
    #expect(verdict("git", .all) == .unwalkable(.unsupportedCodec(unknown.codec)))
    #expect(verdict("git", .block, "x") == .unwalkable(.unsupportedCodec(unknown.codec)))
    #expect(verdict("broken", .block) == .complete)
    #expect(verdict("broken", .all) == .unwalkable(.truncated))
    #expect(verdict("broken", .block, "x") == .unwalkable(.truncated))
    // Data that is no UnixFS: without links there is nothing more to it, with some nobody knows.
    let odd = appended { PBEncoder.appendData(bytes("no UnixFS"), to: &$0) }
    let oddLeaf = builder.add(odd, codec: .dagPB)
    let oddNode = builder.add(
      odd + appended { PBEncoder.appendLink(leaf, name: bytes("a"), totalSize: 1, to: &$0) },
      codec: .dagPB)
    let parameters = CARParameters(scope: .entity)
    for (cid, isKnown) in [(oddLeaf, true), (oddNode, false)] {
      let stream = builder.car(roots: [], blocks: [cid, leaf])
      let entity = CARQuestion(root: cid, parameters: parameters)
      let absent = CARQuestion(root: cid, segments: [bytes("b")], parameters: parameters)
      #expect((check(stream, entity).verdict == .complete) == isKnown)
      #expect((check(stream, absent).verdict == .provenAbsent(segment: 0)) == isKnown)
    }
    let present = CARQuestion(root: oddNode, segments: [bytes("a")])
    #expect(check(builder.car(roots: [], blocks: [leaf, oddNode]), present).verdict == .complete)
  }

  @Test func memoryIsBounded() throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 40)
    builder.rawLeaves = false
    builder.width = 174
    let file = builder.file(random.bytes(400_000), chunk: 4000)
    let question = CARQuestion(root: file)
    let stream = builder.car(roots: [file], blocks: builder.everything(file))
    // A hundred leaves with bytes of their own cost little more than their number.
    #expect(check(stream, question, memory: 16 * 1024).verdict == .complete)
    #expect(check(stream, question, memory: 8 * 1024).verdict == .tooLarge)
    #expect(!check(stream, question, memory: 8 * 1024).isExact)
    // What is too large is still held against its hashes.
    var changed = stream
    changed[stream.count - 1] ^= 1
    guard case .refused(.wrongHash) = check(changed, question, memory: 8 * 1024).verdict else {
      Issue.record("not refused")
      return
    }
  }

  @Test func blocksMayHaveFourMebibytes() throws {
    let content = [UInt8](repeating: 7, count: CARCheck.maximumBlock)
    for (content, fits) in [(content, true), (content + [7], false)] {
      let cid = try #require(CID(sha256Of: content, codec: .raw))
      let stream = appended { output in
        CARWriter.appendHeader(roots: [cid], to: &output)
        CARWriter.appendBlock(cid, content, to: &output)
      }
      let verdict = check(stream, CARQuestion(root: cid)).verdict
      #expect((verdict == .complete) == fits)
      if !fits {
        #expect(verdict == .refused(.blockTooLarge(UInt64(content.count + cid.binaryCount))))
      }
    }
  }

  @Test(arguments: CARTests.malformed) func refusesMalformedHeaders(
    _ hex: String, _ expected: CARError
  ) throws {
    let verdict = check([UInt8](hex: hex), CARQuestion(root: try parse("bafkqaaa"))).verdict
    #expect(verdict == (expected == .truncated ? .truncated : .refused(expected)))
  }

  @Test func refusesMalformedSections() throws {
    let start = appended { CARWriter.appendHeader(roots: [], to: &$0) }
    let cases: [(String, CARError)] = [
      ("00", .emptySection), ("8000", .malformedVarint), ("0155", .cid(.unknownVersion(0x55))),
      ("0401550005", .cid(.truncated)), ("ffffff7f", .blockTooLarge(0xfff_ffff)),
      ("0455000000", .cid(.unknownVersion(0x55))),
    ]
    for (hex, expected) in cases {
      let stream = start + [UInt8](hex: hex)
      let question = CARQuestion(root: try parse("bafkqaaa"))
      for cuts in [[], Array(0...stream.count)] {
        #expect(check(stream, question, cuts: cuts).verdict == .refused(expected), "\(hex)")
      }
    }
  }

  /// Wherever a stream of CIDs of both versions is split, it is the same.
  @Test func everySplitGivesTheSame() throws {
    var builder = FileBuilder()
    let leaf = builder.leaf(bytes("hello"))
    let directory = builder.directory([("a", leaf)])
    let version0 = try CID.parse(binary: [0x12, 0x20] + directory.digest.array).cid
    builder.blocks[version0] = builder.blocks[directory]
    let root = builder.cbor(.map([("v0", .link(version0))]))
    let stream = builder.car(roots: [root], blocks: [root, version0, leaf])
    let question = CARQuestion(root: root, segments: [bytes("v0"), bytes("a")])
    for cut in 0...stream.count {
      #expect(check(stream, question, cuts: [cut]).verdict == .complete)
    }
    #expect(check(stream, question, cuts: Array(0...stream.count)).verdict == .complete)
    // The other spelling of the same block does as well.
    let other = builder.car(roots: [root], blocks: [leaf, directory, root])
    #expect(check(other, question).verdict == .complete)
  }

  @Test func mutationsNeverTrap() throws {
    var refused = 0
    for seed in 0..<12 as Range<UInt64> {
      var dag = RandomDAG(seed: seed)
      let (question, terminal, path) = dag.question()
      let blocks = (path + (try dag.answer(terminal, question.parameters))).unique
      let stream = dag.builder.car(roots: [question.root], blocks: blocks)
      for _ in 0..<150 {
        let changed = dag.random.mutated(stream)
        if check(changed, question, cuts: [min(40, changed.count)]).verdict != .complete {
          refused += 1
        }
      }
    }
    #expect(refused > 1000)
  }

  /// Content that is right by its hash and wrong by its form reaches every parser of the walk.
  @Test func mutatedStructureNeverTraps() throws {
    for seed in 0..<100 as Range<UInt64> {
      var dag = RandomDAG(seed: seed)
      let (question, _, _) = dag.question()
      guard let block = dag.builder.blocks[question.root] else { continue }
      let root = dag.builder.add(dag.random.mutated(block), codec: question.root.codec)
      let changed = CARQuestion(
        root: root, segments: question.segments, parameters: question.parameters)
      let all = Array(dag.builder.blocks.keys)
      _ = check(dag.builder.car(roots: [], blocks: all), changed)
    }
  }
}
