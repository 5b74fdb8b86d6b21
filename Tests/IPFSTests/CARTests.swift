import Base
import IPFS
import Testing

@Suite struct CARTests {
  struct Contents: Equatable {
    var roots: [CID]?
    var blocks: [CARBlock] = []
    var payloads: [[UInt8]] = []
  }

  /// Everything in a file that arrives in pieces that end at `cuts`.
  static func read(_ file: [UInt8], cuts: [Int] = []) throws(CARError) -> Contents {
    var reader = CARReader(capacity: 64)
    return try read(&reader, file, cuts: cuts)
  }

  static func read(
    _ reader: inout CARReader, _ file: [UInt8], cuts: [Int]
  ) throws(CARError) -> Contents {
    var contents = Contents()
    var start = 0
    for end in cuts + [file.count] {
      reader.feed(file.rawBytes.extracting(start..<end))
      start = end
      reading: while true {
        switch try reader.next() {
        case .needMore(let count):
          precondition(count > 0)
          break reading
        case .header(let roots): contents.roots = roots
        case .block(let block):
          contents.blocks.append(block)
          contents.payloads.append(reader.payload.array)
        }
      }
    }
    try reader.checkEnd()
    return contents
  }

  private static func sample() -> (file: [UInt8], root: CID, builder: FileBuilder) {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 19)
    let root = builder.file(random.bytes(300), chunk: 40)
    return (builder.car(roots: [root]), root, builder)
  }

  @Test func writesWhatItReads() throws {
    let (file, root, builder) = Self.sample()
    let contents = try Self.read(file)
    #expect(contents.roots == [root])
    #expect(contents.blocks.count == builder.blocks.count)
    var expectedOffset = contents.blocks.first.map { $0.sectionOffset } ?? 0
    for (block, payload) in zip(contents.blocks, contents.payloads) {
      #expect(builder.blocks[block.cid] == payload)
      #expect(block.payloadCount == payload.count)
      let start = Int(block.payloadOffset)
      #expect(Array(file[start..<start + payload.count]) == payload)
      #expect(block.sectionOffset == expectedOffset)
      expectedOffset += UInt64(CARWriter.sectionCount(block.cid, payloadCount: payload.count))
    }
    #expect(expectedOffset == UInt64(file.count))
  }

  @Test func everySplitGivesTheSame() throws {
    let (file, _, _) = Self.sample()
    let whole = try Self.read(file)
    for cut in 0...file.count { #expect(try Self.read(file, cuts: [cut]) == whole) }
    #expect(try Self.read(file, cuts: Array(0...file.count)) == whole)
    var random = SeededRandom(seed: 20)
    for _ in 0..<300 {
      let cuts = (0..<random.number(in: 0...12)).map { _ in random.number(in: 0...file.count) }
      #expect(try Self.read(file, cuts: cuts.sorted()) == whole)
    }
  }

  @Test func everyCutIsTruncatedOrABoundary() throws {
    let (file, _, _) = Self.sample()
    let whole = try Self.read(file)
    let boundaries = Set(whole.blocks.map { Int($0.sectionOffset) } + [file.count])
    for cut in 0...file.count {
      let part = Array(file[..<cut])
      if boundaries.contains(cut) {
        #expect(try Self.read(part).roots == whole.roots)
      } else {
        #expect(throws: CARError.truncated) { try Self.read(part) }
      }
    }
  }

  @Test func headersOfManyRootsComeBack() throws {
    for count in [0, 1, 23, 24, 255, 256, 300] {
      let roots = try (0..<count).map { number in
        try CID(codec: .raw, hash: .identity, digest: bytes("\(number)"))
      }
      let file = appended { CARWriter.appendHeader(roots: roots, to: &$0) }
      #expect(try Self.read(file).roots == roots)
    }
    let long = try CID(
      codec: .raw, hash: .identity, digest: [UInt8](repeating: 7, count: 128))
    let file = appended { CARWriter.appendHeader(roots: [long], to: &$0) }
    #expect(try Self.read(file).roots == [long])
  }

  /// `{roots: [bafkqaaa], version: 1}`, and what can be wrong with it.
  static let header = "a265726f6f747381d82a450001550000" + "6776657273696f6e01"

  static let malformed: [(String, CARError)] = [
    ("0aa16776657273696f6e02", .version2),
    ("0aa16776657273696f6e03", .unknownVersion(3)),
    ("0aa16776657273696f6e01", .malformedHeader),
    ("00", .malformedHeader),
    ("01a0", .malformedHeader),
    ("01bf", .malformedHeader),
    ("0180", .malformedHeader),
    ("8000", .malformedVarint),
    ("ffffffffffffffffff01", .malformedVarint),
    ("818040", .headerTooLarge(1024 * 1024 + 1)),
    ("18a265726f6f747381d82a4400015500" + "6776657273696f6e01", .cid(.truncated)),
    ("19a265726f6f747381d82b450001550000" + "6776657273696f6e01", .malformedHeader),
    ("19a265726f6f747381d82a450101550000" + "6776657273696f6e01", .malformedHeader),
    ("1a" + header + "00", .malformedHeader),
    ("10a265726f6f747381d82b45000155000000", .malformedHeader),
    ("0fa265726f6f74739bffffffffffffffff", .malformedHeader),
    ("09a265726f6f7473b81100", .malformedHeader),
    ("", .truncated),
    ("19", .truncated),
  ]

  @Test(arguments: malformed) func refusesMalformed(_ hex: String, _ expected: CARError) {
    #expect(throws: expected) { try Self.read([UInt8](hex: hex)) }
    #expect(!expected.sentence.isEmpty)
  }

  @Test func readsAHeaderOfAnyKeyOrder() throws {
    let root = try parse("bafkqaaa")
    #expect(try Self.read([UInt8](hex: "19" + Self.header)).roots == [root])
    let other = "19a26776657273696f6e01" + "65726f6f747381d82a450001550000"
    #expect(try Self.read([UInt8](hex: other)).roots == [root])
  }

  @Test func refusesMalformedSections() throws {
    let start = appended { CARWriter.appendHeader(roots: [], to: &$0) }
    let cases: [(String, CARError)] = [
      ("00", .emptySection),
      ("8000", .malformedVarint),
      ("0155", .cid(.unknownVersion(0x55))),
      ("0401550005", .cid(.truncated)),
      ("ffffff7f", .blockTooLarge(0xfff_ffff)),
      ("04015500", .truncated),
    ]
    for (hex, expected) in cases {
      #expect(throws: expected) { try Self.read(start + [UInt8](hex: hex)) }
    }
  }

  @Test func blocksMayHaveTwoMebibytes() throws {
    let cid = try parse("bafkqaaa")
    for (count, fits) in [(PBNode.maximumBlock, true), (PBNode.maximumBlock + 1, false)] {
      let file = appended { output in
        CARWriter.appendHeader(roots: [cid], to: &output)
        CARWriter.appendBlock(cid, [UInt8](repeating: 1, count: count), to: &output)
      }
      if fits {
        #expect(try Self.read(file).blocks.map(\.payloadCount) == [count])
      } else {
        #expect(throws: CARError.blockTooLarge(UInt64(count + 4))) { try Self.read(file) }
      }
    }
  }

  @Test func errorsAreFinal() {
    var reader = CARReader()
    reader.feed([UInt8](hex: "0aa16776657273696f6e02"))
    for _ in 0..<2 {
      do throws(CARError) {
        _ = try reader.next()
        Issue.record("no error")
      } catch {
        #expect(error == .version2)
      }
      reader.feed([1, 2, 3])
    }
  }

  @Test func mutationsNeverTrap() {
    let (file, _, _) = Self.sample()
    var random = SeededRandom(seed: 21)
    var refused = 0
    for _ in 0..<20_000 {
      // The first bytes hold what is parsed; the tail would only be copied.
      let part = Array(file[..<random.number(in: 60...200)])
      let cut = random.number(in: 0...20)
      if (try? Self.read(random.mutated(part) + file[part.count...], cuts: [cut])) == nil {
        refused += 1
      }
    }
    #expect(refused > 10_000)
  }
}
