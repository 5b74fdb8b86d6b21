import Base
import IPFS
import Testing

@Suite struct DAGConversionTests {
  private static func convert(
    _ block: [UInt8], _ source: ContentCodec, _ target: ContentCodec
  ) throws(DAGError) -> [UInt8] {
    var output = ByteBuffer(capacity: 64)
    output.append("before")
    do throws(DAGError) {
      try DAGConversion.append(block.rawBytes, from: source, to: target, to: &output)
    } catch {
      #expect(output.readable.text == "before")
      throw error
    }
    return Array(output.readable.array[6...])
  }

  /// Pairs that say the same, each in its canonical form.
  static let pairs: [(hex: String, json: String)] = [
    ("f6", "null"), ("f4", "false"), ("f5", "true"), ("00", "0"), ("17", "23"), ("1818", "24"),
    ("1bffffffffffffffff", "18446744073709551615"), ("20", "-1"), ("3863", "-100"),
    ("3b7fffffffffffffff", "-9223372036854775808"),
    ("fb3ff8000000000000", "1.5"), ("fb3ff0000000000000", "1.0"), ("fb0000000000000000", "0.0"),
    ("fb8000000000000000", "-0.0"), ("fb3e7ad7f29abcaf48", "1e-7"),
    ("fb3eb0c6f7a0b5ed8d", "0.000001"),
    ("fb444b1ae4d6e2ef50", "1e+21"), ("fb4415af1d78b58c40", "100000000000000000000.0"),
    ("fbc034a00000000000", "-20.625"), ("fb7fefffffffffffff", "1.7976931348623157e+308"),
    ("fb0000000000000001", "5e-324"), ("fb40c81cd6e631f8a1", "12345.6789"),
    ("80", "[]"), ("a0", "{}"), ("83010203", "[1,2,3]"), ("60", "\"\""), ("6161", "\"a\""),
    ("62c3a4", "\"ä\""), ("67225c0a0d090801", #""\"\\\n\r\t\u0008\u0001""#), ("617f", "\"\u{7f}\""),
    ("66e280a8e280a9", #""\u2028\u2029""#), ("63e280aa", "\"\u{202a}\""),
    ("40", #"{"/":{"bytes":""}}"#), ("4101", #"{"/":{"bytes":"AQ"}}"#),
    ("42fbff", #"{"/":{"bytes":"+/8"}}"#), ("43000102", #"{"/":{"bytes":"AAEC"}}"#),
    ("d82a450001550000", #"{"/":"bafkqaaa"}"#),
    // Keys go by length in one and by their bytes in the other.
    ("a3616101616202626161" + "03", #"{"a":1,"aa":3,"b":2}"#),
    ("a2612fa1616101616200", #"{"/":{"a":1},"b":0}"#),
  ]

  @Test(arguments: pairs) func convertsBothWays(_ hex: String, _ json: String) throws {
    let cbor = [UInt8](hex: hex)
    #expect(try Self.convert(cbor, .dagCBOR, .dagJSON).text == json)
    #expect(try Self.convert(bytes(json), .dagJSON, .dagCBOR) == cbor)
    #expect(try Self.convert(cbor, .dagCBOR, .dagCBOR) == cbor)
    #expect(try Self.convert(bytes(json), .dagJSON, .dagJSON).text == json)
  }

  @Test func whatIsNotCanonicalBecomesSo() throws {
    let json = #" { "b" : 1e0 , "a" : [ -0 , "\u00e4\ud83d\ude00\/" ] } "#
    #expect(
      try Self.convert(bytes(json), .dagJSON, .dagJSON).text == #"{"a":[0,"ä😀/"],"b":1.0}"#)
    #expect(
      try Self.convert([UInt8](hex: "a262616101616200"), .dagCBOR, .dagCBOR)
        == [UInt8](hex: "a261620062616101"))
  }

  @Test func showsDAGPB() throws {
    var builder = FileBuilder()
    let leaf = try parse("bafkqaaa")
    let block = appended { output in
      PBEncoder.appendLink(leaf, name: bytes("a"), totalSize: 7, to: &output)
      PBEncoder.appendData([8, 1], to: &output)
    }
    let root = builder.add(block, codec: .dagPB)
    #expect(root.codec == .dagPB)
    #expect(
      try Self.convert(block, .dagPB, .dagJSON).text
        == #"{"Data":{"/":{"bytes":"CAE"}},"Links":[{"Hash":{"/":"bafkqaaa"},"Name":"a","Tsize":7}]}"#
    )
    // What is absent stays so: no data, no links; a link that is only a hash.
    #expect(try Self.convert([], .dagPB, .dagJSON).text == #"{"Links":[]}"#)
    #expect(
      try Self.convert([UInt8](hex: "12060a0401550000"), .dagPB, .dagJSON).text
        == #"{"Links":[{"Hash":{"/":"bafkqaaa"}}]}"#)
    #expect(
      try Self.convert([UInt8](hex: "0a00"), .dagPB, .dagCBOR)
        == [UInt8](hex: "a26444617461" + "40" + "654c696e6b73" + "80"))
  }

  static let refused: [(String, ContentCodec, ContentCodec, DAGError)] = [
    ("00", .raw, .dagJSON, .unsupportedCodec(.raw)),
    ("00", .dagCBOR, .dagPB, .unsupportedCodec(.dagPB)),
    ("61ff", .dagCBOR, .dagJSON, .malformedData), ("22ff22", .dagJSON, .dagCBOR, .malformedData),
    ("3bffffffffffffffff", .dagCBOR, .dagJSON, .malformedData),
    ("a1612f6161", .dagCBOR, .dagJSON, .malformedData),
    ("a1612fa16562797465736161", .dagCBOR, .dagJSON, .malformedData),
    ("a2616101616102", .dagCBOR, .dagJSON, .duplicateField),
    ("a2616101616102", .dagCBOR, .dagCBOR, .duplicateField),
    ("00ff", .dagCBOR, .dagJSON, .malformedData), ("", .dagCBOR, .dagJSON, .truncated),
    ("0aff", .dagPB, .dagJSON, .truncated),
    // "\ud800", half a pair.
    ("225c756438303022", .dagJSON, .dagCBOR, .malformedData),
    // Base64 with bits left over.
    ("7b222f223a7b226279746573223a224152227d7d", .dagJSON, .dagCBOR, .malformedData),
  ]

  @Test(arguments: refused) func refusesWhatCannotBeSaid(
    _ hex: String, _ source: ContentCodec, _ target: ContentCodec, _ expected: DAGError
  ) {
    #expect(throws: expected) { try Self.convert([UInt8](hex: hex), source, target) }
  }

  @Test func deepNodesAreConverted() throws {
    let depth = 1024
    let cbor = [UInt8](repeating: 0x81, count: depth - 1) + [0x80]
    let json = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    #expect(try Self.convert(cbor, .dagCBOR, .dagJSON).text == json)
    #expect(try Self.convert(bytes(json), .dagJSON, .dagCBOR) == cbor)
  }

  /// What can be read at all comes back the same by way of the other codec.
  @Test func mutationsComeBackOrAreRefused() throws {
    var random = SeededRandom(seed: 46)
    var converted = 0
    for (hex, json) in Self.pairs {
      for _ in 0..<150 {
        for (block, codec) in [([UInt8](hex: hex), ContentCodec.dagCBOR), (bytes(json), .dagJSON)] {
          let changed = random.mutated(block)
          guard let canonical = try? Self.convert(changed, codec, codec) else { continue }
          let other: ContentCodec = codec == .dagCBOR ? .dagJSON : .dagCBOR
          guard let away = try? Self.convert(changed, codec, other) else { continue }
          #expect(try Self.convert(away, other, codec) == canonical)
          converted += 1
        }
      }
    }
    #expect(converted > 500)
  }

  @Test func floatsComeBack() throws {
    var random = SeededRandom(seed: 47)
    for _ in 0..<3000 {
      let value = Double(bitPattern: random.next())
      guard value.isFinite else { continue }
      let cbor =
        [0xfb] + (0..<8).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(56 - 8 * $0)) }
      let json = try Self.convert(cbor, .dagCBOR, .dagJSON)
      #expect(try Self.convert(json, .dagJSON, .dagCBOR) == cbor, "\(value)")
    }
  }
}
