import Base
import IPFS
import Testing

@Suite struct CIDTests {
  /// One content, the empty directory, in every spelling (made by an independent implementation).
  static let spellings = [
    "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn",
    "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    "BAFYBEICZSSCDSBS7FFQZ55ASQDF3SMV6KLCW3GOFSZVWLYARCI47BGF354",
    "bafybeiCZSScdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354",
    "k2jmtxtlhjl3fhmgndf92e48by79ryjuvqp3y2qgehpao6v3lurvnmcv",
    "K2JMTXTLHJL3FHMGNDF92E48BY79RYJUVQP3Y2QGEHPAO6V3LURVNMCV",
    "zdj7WbTaiJT1fgatdet9Ei9iDB5hdCxkbVyhyh8YTUnXMiwYi",
    "f0170122059948439065f29619ef41280cbb932be52c56d99c5966b65e0111239f098bbef",
    "F0170122059948439065F29619EF41280CBB932BE52C56D99C5966B65E0111239F098BBEF",
    "mAXASIFmUhDkGXylhnvQSgMu5Mr5SxW2ZxZZrZeAREjnwmLvv",
    "uAXASIFmUhDkGXylhnvQSgMu5Mr5SxW2ZxZZrZeAREjnwmLvv",
  ]

  @Test func allSpellingsGiveOneKey() throws {
    let expected = key(try parse(Self.spellings[0]))
    #expect(expected.count == 35)
    for spelling in Self.spellings {
      let cid = try parse(spelling)
      #expect(key(cid) == expected)
      #expect(cid.codec == .dagPB)
      #expect(cid.hash == .sha2_256)
      #expect(cid.description == (cid.version == 0 ? Self.spellings[0] : Self.spellings[1]))
    }
  }

  @Test func encodesEveryBase() throws {
    let cid = try parse(Self.spellings[0])
    for base in Multibase.allCases {
      let text = appended { cid.appendText(in: base, to: &$0) }
      #expect(Self.spellings.contains(text.text))
    }
  }

  @Test func keepsCodecsAndVersionsApart() throws {
    let version0 = try parse(Self.spellings[0])
    let version1 = try parse(Self.spellings[1])
    let raw = try parse("bafkreiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354")
    #expect(version0 != version1)
    #expect(version0.version1 == version1)
    #expect(raw.codec == .raw)
    #expect(key(raw) != key(version1))
    #expect(raw.digest.array == version1.digest.array)
  }

  @Test func readsIdentity() throws {
    let empty = try parse("bafkqaaa")
    #expect(empty.hash == .identity)
    #expect(empty.digest.array == [])
    #expect(empty.description == "bafkqaaa")
    #expect(key(empty) == [0x55, 0x00, 0x00])
    let words = try parse("bafkqae2unbssa4lvnfrwwidcojxxo3ramzxxq")
    #expect(words.digest.text == "The quick brown fox")
  }

  @Test func readsAnIPNSKey() throws {
    let text = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    let cid = try parse(text)
    #expect(cid.codec == .libp2pKey)
    #expect(cid.hash == .identity)
    #expect(cid.digest.byteCount == 36)
    #expect(appended { cid.appendText(in: .base36, to: &$0) } == bytes(text))
  }

  static let malformed: [(String, CIDError)] = [
    ("", .truncated),
    ("b", .truncated),
    ("xafkqaaa", .multibase(.unknownPrefix(0x78))),
    ("ipfs", .multibase(.unknownPrefix(0x69))),
    ("bafkqaa1", .multibase(.invalidCharacter(0x31, offset: 7))),
    ("bafkqa\u{e9}", .multibase(.invalidCharacter(0xc3, offset: 6))),
    ("bafkqaaaaaa", .trailingBytes),
    ("bafkqaaaa", .trailingBytes),
    ("bafkqaaaaa", .multibase(.incompleteDigits)),
    ("bafkqaab", .multibase(.incompleteDigits)),
    ("bafkqa", .truncated),
    ("bafkqaaaa=", .multibase(.invalidCharacter(0x3d, offset: 9))),
    (
      "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N0",
      .multibase(.invalidCharacter(0x30, offset: 45))
    ),
    ("QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3N", .multibase(.unknownPrefix(0x51))),
    ("zQmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", .version0InMultibase),
    ("f122059948439065f29619ef41280cbb932be52c56d99c5966b65e0111239f098bbef", .version0InMultibase),
    ("f00550000", .unknownVersion(0)),
    ("f02550000", .unknownVersion(2)),
    ("f1205", .unknownVersion(18)),
    ("f01d5000000", .malformedVarint),
    ("f018100550000", .malformedVarint),
    ("f01551200", .digestTooShort(0)),
    ("f01808080808080808080010000", .malformedVarint),
    ("f01ffffffffffffffffff010000", .malformedVarint),
    ("f0155008101" + String(repeating: "00", count: 129), .digestTooLong(129)),
    ("f015500ffffffffffffffff7f", .digestTooLong(Int.max)),
    ("f015512130000", .truncated),
    ("f01551213" + String(repeating: "ab", count: 19), .digestTooShort(19)),
    ("f" + String(repeating: "0", count: 400), .multibase(.tooLong)),
    ("z" + String(repeating: "z", count: 300), .multibase(.tooLong)),
    ("z" + String(repeating: "1", count: 300), .multibase(.tooLong)),
    ("b" + String(repeating: "7", count: 300), .multibase(.tooLong)),
  ]

  @Test(arguments: malformed) func refusesMalformed(_ text: String, _ expected: CIDError) {
    #expect(throws: expected) { try parse(text) }
    #expect(!expected.sentence.isEmpty)
  }

  @Test func refusalsNameTheCharacter() {
    #expect(
      CIDError.multibase(.unknownPrefix(0x78)).sentence == "the multibase prefix 'x' is not known")
  }

  @Test func binaryFormsComeBack() throws {
    var random = SeededRandom(seed: 11)
    for _ in 0..<2_000 {
      let identity = random.chance(0.3)
      let digest = random.bytes(random.number(in: identity ? 0...128 : 20...128))
      let codec = ContentCodec(rawValue: random.next() >> UInt64(random.number(in: 1...63)))
      let hash = HashFunction(
        rawValue: identity ? 0 : random.next() >> UInt64(random.number(in: 1...63)) | 1)
      let cid = try CID(codec: codec, hash: hash, digest: digest)
      let form = binary(cid)
      #expect(form.count == cid.binaryCount && form.count <= CID.maximumBinary)
      let (again, count) = try CID.parse(binary: (form + [1, 2, 3]))
      #expect(again == cid && count == form.count && again.hashValue == cid.hashValue)
      for base in Multibase.allCases {
        let text = appended { cid.appendText(in: base, to: &$0) }
        #expect(try CID.parse(text) == cid)
      }
      for cut in [0, 1, form.count / 2, form.count - 1] where cut < form.count {
        let part = Array(form[..<cut])
        #expect(throws: CIDError.truncated) { try CID.parse(binary: part) }
      }
    }
  }

  @Test func mutationsNeverTrap() {
    var random = SeededRandom(seed: 12)
    var accepted = 0
    for round in 0..<20_000 {
      let text = random.mutated(bytes(Self.spellings[round % Self.spellings.count]))
      guard let cid = try? CID.parse(text) else { continue }
      accepted += 1
      // What is accepted has a canonical text that means the same.
      let again = try? parse(cid.description)
      #expect(again == cid)
    }
    #expect(accepted > 100)
  }
}
