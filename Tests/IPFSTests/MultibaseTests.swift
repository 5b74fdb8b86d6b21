import Base
import IPFS
import Testing

@Suite struct MultibaseTests {
  private static func encode(_ base: Multibase, _ bytes: [UInt8]) -> [UInt8] {
    appended { base.encode(bytes.rawBytes, to: &$0) }
  }

  private static func decode(_ text: [UInt8]) throws(MultibaseError) -> [UInt8] {
    try Multibase.decode(text.rawBytes).bytes.array
  }

  /// The multibase project's vectors for "yes mani !" and for leading zeros.
  static let vectors: [(String, String)] = [
    ("f796573206d616e692021", "yes mani !"),
    ("F796573206D616E692021", "yes mani !"),
    ("bpfsxgidnmfxgsibb", "yes mani !"),
    ("BPFSXGIDNMFXGSIBB", "yes mani !"),
    ("k2lcpzo5yikidynfl", "yes mani !"),
    ("K2LCPZO5YIKIDYNFL", "yes mani !"),
    ("z7paNL19xttacUY", "yes mani !"),
    ("meWVzIG1hbmkgIQ", "yes mani !"),
    ("ueWVzIG1hbmkgIQ", "yes mani !"),
    ("f0000796573206d616e692021", "\0\0yes mani !"),
    ("baaahszltebwwc3tjeaqq", "\0\0yes mani !"),
    ("k002lcpzo5yikidynfl", "\0\0yes mani !"),
    ("z117paNL19xttacUY", "\0\0yes mani !"),
    ("mAAB5ZXMgbWFuaSAh", "\0\0yes mani !"),
    ("uAAB5ZXMgbWFuaSAh", "\0\0yes mani !"),
  ]

  @Test(arguments: vectors) func agreesWithTheVectors(_ text: String, _ content: String) throws {
    let base = try #require(Multibase(rawValue: bytes(text)[0]))
    #expect(try Self.decode(bytes(text)) == bytes(content))
    #expect(Self.encode(base, bytes(content)) == bytes(text))
  }

  @Test(arguments: Multibase.allCases) func everyLengthComesBack(_ base: Multibase) throws {
    var random = SeededRandom(seed: 22)
    for count in 0...ShortBytes.capacity {
      let zeros = random.number(in: 0...count)
      for content in [
        random.bytes(count), [UInt8](repeating: 0xff, count: count),
        [UInt8](repeating: 0, count: zeros) + random.bytes(count - zeros),
      ] {
        let text = Self.encode(base, content)
        #expect(text.count <= Multibase.maximumText)
        #expect(try Self.decode(text) == content)
      }
    }
  }

  @Test func refusesMoreThanItsCapacity() {
    let digits = ShortBytes.capacity * 2
    #expect(throws: MultibaseError.tooLong) {
      try Self.decode([0x66] + [UInt8](repeating: 0x30, count: digits + 1))
    }
    for (prefix, count) in [("m", 215), ("b", 258), ("k", 260), ("z", 230)] {
      #expect(throws: MultibaseError.tooLong) {
        try Self.decode(bytes(prefix) + [UInt8](repeating: 0x37, count: count))
      }
    }
  }

  @Test(arguments: Multibase.allCases) func namesTheFirstWrongByte(_ base: Multibase) {
    for place in 1...20 {
      var text = [base.rawValue] + [UInt8](repeating: 0x32, count: 20)
      text[place] = 0x21
      #expect(throws: MultibaseError.invalidCharacter(0x21, offset: place)) {
        try Self.decode(text)
      }
    }
  }
}
