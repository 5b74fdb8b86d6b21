import Base
import IPFS
import Testing

@Suite struct DAGLinksTests {
  private static let leaf = "bafkqaaa"

  private static func links(_ block: [UInt8], _ codec: ContentCodec) throws(DAGError) -> [CID] {
    var links: [CID] = []
    try DAGLinks.visit(block.rawBytes, of: codec) { links.append($0) }
    return links
  }

  private static func resolve(
    _ path: String, _ block: [UInt8], _ codec: ContentCodec
  ) throws(DAGError) -> DAGLinks.Step {
    let segments = path.split(separator: "/").map { Array($0.utf8) }
    return try DAGLinks.resolve(segments[...], in: block.rawBytes, of: codec)
  }

  @Test func findsTheLinksOfBothCodecs() throws {
    var builder = FileBuilder()
    let one = builder.leaf(bytes("1"))
    let two = builder.leaf(bytes("2"))
    let value = FileBuilder.Value.map([
      ("a", .link(one)),
      ("b", .list([.link(two), .map([("c", .map([("d", .link(one))]))]), .number(300)])),
      ("", .text("")),
    ])
    for root in [builder.cbor(value), builder.json(value)] {
      let block = try #require(builder.blocks[root])
      #expect(try Self.links(block, root.codec) == [one, two, one])
      guard case .link(let cid, 4) = try Self.resolve("b/1/c/d", block, root.codec) else {
        Issue.record("no link")
        return
      }
      #expect(cid == one)
    }
    #expect(try Self.links(bytes("{\"/\":\"bafkqaaa\"}"), .json) == [])
    #expect(try Self.links([0xff], .raw) == [])
    let unknown = ContentCodec(rawValue: 0x78)
    #expect(throws: DAGError.unsupportedCodec(unknown)) { try Self.links([], unknown) }
  }

  static let goodCBOR: [(String, Int)] = [
    ("f6", 0), ("f4", 0), ("f5", 0), ("00", 0), ("1818", 0), ("1b0000000100000000", 0),
    ("3bffffffffffffffff", 0), ("fb3ff8000000000000", 0), ("80", 0), ("a0", 0), ("40", 0),
    ("60", 0),
    ("d82a450001550000", 1), ("82d82a450001550000f6", 1), ("a16161d82a450001550000", 1),
    ("a2616201616102", 0), ("8181818180", 0),
  ]

  @Test(arguments: goodCBOR) func readsCBOR(_ hex: String, _ count: Int) throws {
    #expect(try Self.links([UInt8](hex: hex), .dagCBOR).count == count)
  }

  static let badCBOR: [(String, DAGError)] = [
    ("", .truncated), ("f6f6", .malformedData), ("f7", .malformedData), ("f0", .malformedData),
    ("f820", .malformedData), ("1817", .malformedData), ("1900ff", .malformedData),
    ("1a0000ffff", .malformedData), ("1b00000000ffffffff", .malformedData), ("18", .truncated),
    ("1c", .malformedData), ("9f", .malformedData), ("5f", .malformedData), ("bf", .malformedData),
    ("81", .truncated), ("a1", .truncated), ("a161", .truncated), ("a10000", .malformedData),
    ("a16161", .truncated), ("9bffffffffffffffff", .truncated),
    ("bb7fffffffffffffff00", .truncated),
    ("5bffffffffffffffff", .truncated), ("f93c00", .malformedData), ("fa3f800000", .malformedData),
    ("fb7ff8000000000000", .malformedData), ("fbfff0000000000000", .malformedData),
    ("c0", .malformedData), ("d82a", .malformedData), ("d82af6", .malformedData),
    ("d82a40", .malformedData), ("d82a4100", .malformedData), ("d82a450101550000", .malformedData),
    ("d82a46000155000000", .cid(.trailingBytes)), ("d82a4400015500", .cid(.truncated)),
    ("d82b450001550000", .malformedData),
  ]

  @Test(arguments: badCBOR) func refusesCBOR(_ hex: String, _ expected: DAGError) {
    #expect(throws: expected) { try Self.links([UInt8](hex: hex), .dagCBOR) }
    #expect(!expected.sentence.isEmpty)
  }

  static let goodJSON: [(String, Int)] = [
    ("null", 0), ("true", 0), (" false\n", 0), ("0", 0), ("-0", 0), ("18446744073709551615", 0),
    ("-9223372036854775808", 0), ("1.5e-3", 0), ("0.0", 0), ("1E+2", 0), ("[]", 0), ("{}", 0),
    ("[ 1 , [ ] , { } ]", 0), (#""\u00e4\ud83d\ude00\"\\\/\b\f\n\r\t""#, 0),
    (#"{"/":"bafkqaaa"}"#, 1), (#" { "\/" : "bafkqaaa" } "#, 1), (#"{"\u002f":"bafkqaaa"}"#, 1),
    (#"{"a":{"/":"bafkqaaa"},"b":[{"/":"bafkqaaa"}]}"#, 2), (#"{"/":{"bytes":"aGk"}}"#, 0),
    (#"{"/":{"bytes":""}}"#, 0), (#"{"/":1}"#, 0), (#"{"/":{"a":{"/":"bafkqaaa"}}}"#, 1),
    (#"{"/":{"bytes":1}}"#, 0), (#"{"a":1,"/":"x"}"#, 0),
  ]

  @Test(arguments: goodJSON) func readsJSON(_ text: String, _ count: Int) throws {
    #expect(try Self.links(bytes(text), .dagJSON).count == count)
  }

  static let badJSON: [(String, DAGError)] = [
    ("", .truncated), (" ", .truncated), ("nul", .malformedData), ("nulll", .malformedData),
    ("1 2", .malformedData), ("01", .malformedData), ("-", .malformedData), ("1.", .malformedData),
    (".5", .malformedData), ("1e", .malformedData), ("+1", .malformedData),
    ("1e999", .malformedData),
    ("18446744073709551616", .malformedData), ("[", .truncated), ("[1", .truncated),
    ("[1,", .truncated), ("[1,]", .malformedData), ("[,1]", .malformedData),
    ("[1 2]", .malformedData),
    ("]", .malformedData), ("{", .truncated), (#"{"a"}"#, .malformedData),
    (#"{"a":}"#, .malformedData),
    (#"{"a":1,}"#, .malformedData), ("{1:1}", .malformedData), (#"{"a" 1}"#, .malformedData),
    (#"""#, .truncated), ("\"\u{1}\"", .malformedData), (#""\x""#, .malformedData),
    (#""\u12g4""#, .malformedData), (#""\u12"#, .truncated), (#""\"#, .truncated),
    (#"{"/":"bafkqaaa","a":1}"#, .malformedData),
    (#"{"/":"bafkqaa"}"#, .cid(.multibase(.incompleteDigits))),
    (#"{"/":"bafkqaaa""#, .truncated), (#"{"/":{"bytes":"aGk"},"a":1}"#, .malformedData),
    (#"{"/":{"bytes":"aGk","a":1}}"#, .malformedData), ("[1}", .malformedData),
    ("{]", .malformedData), ("tru", .malformedData),
  ]

  @Test(arguments: badJSON) func refusesJSON(_ text: String, _ expected: DAGError) {
    #expect(throws: expected) { try Self.links(bytes(text), .dagJSON) }
  }

  @Test func depthIsBounded() throws {
    for (depth, fits) in [(1024, true), (1025, false)] {
      let cbor = [UInt8](repeating: 0x81, count: depth) + [0xf6]
      let json = bytes(String(repeating: "[", count: depth) + String(repeating: "]", count: depth))
      for (block, codec) in [(cbor, ContentCodec.dagCBOR), (json, .dagJSON)] {
        if fits {
          #expect(try Self.links(block, codec) == [])
        } else {
          #expect(throws: DAGError.tooDeep) { try Self.links(block, codec) }
        }
      }
    }
  }

  @Test func mutationsNeverTrap() throws {
    var builder = FileBuilder()
    var random = SeededRandom(seed: 41)
    let leaf = builder.leaf(bytes("1"))
    let value = FileBuilder.Value.map([
      ("a", .link(leaf)), ("b", .list([.link(leaf), .map([("c", .number(300))]), .text("é")])),
    ])
    for root in [builder.cbor(value), builder.json(value)] {
      let block = try #require(builder.blocks[root])
      for _ in 0..<4000 {
        let changed = random.mutated(block)
        _ = try? Self.links(changed, root.codec)
        _ = try? Self.resolve("b/1/c", changed, root.codec)
      }
    }
  }
}
