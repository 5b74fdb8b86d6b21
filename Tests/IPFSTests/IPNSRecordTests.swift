import Base
import COpenSSL
import IPFS
import Testing

/// A fresh Ed25519 key that signs records.
private struct Signer {
  private let seed: [UInt8]
  let publicKey: [UInt8]

  init(_ random: inout SeededRandom) throws {
    seed = random.bytes(32)
    let key = try #require(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, 32))
    defer { EVP_PKEY_free(key) }
    var bytes = [UInt8](repeating: 0, count: 32)
    var count = 32
    #expect(EVP_PKEY_get_raw_public_key(key, &bytes, &count) == 1)
    publicKey = bytes
  }

  /// The key as libp2p writes it.
  var message: [UInt8] { [0x08, 0x01, 0x12, 0x20] + publicKey }

  var name: CID {
    get throws { try CID(codec: .libp2pKey, hash: .identity, digest: message) }
  }

  func sign(_ data: [UInt8]) throws -> [UInt8] {
    let key = try #require(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, 32))
    defer { EVP_PKEY_free(key) }
    let context = try #require(EVP_MD_CTX_new())
    defer { EVP_MD_CTX_free(context) }
    #expect(EVP_DigestSignInit(context, nil, nil, nil, key) == 1)
    var signature = [UInt8](repeating: 0, count: 64)
    var count = 64
    #expect(EVP_DigestSign(context, &signature, &count, data, data.count) == 1)
    return signature
  }
}

@Suite struct IPNSRecordTests {
  private struct Fields {
    var value = bytes("/ipfs/bafkqaaa")
    var validity = bytes("2030-01-02T03:04:05.678901234Z")
    var type = 0
    var sequence = 21
    var timeToLive = 23
  }

  private static func run(_ type: UInt8, _ bytes: [UInt8], to output: inout ByteBuffer) {
    FileBuilder.head(type, bytes.count, to: &output)
    output.append(bytes)
  }

  private static func data(_ fields: Fields) -> [UInt8] {
    appended { output in
      FileBuilder.head(5, 6, to: &output)
      run(3, bytes("TTL"), to: &output)
      FileBuilder.head(0, fields.timeToLive, to: &output)
      run(3, bytes("Value"), to: &output)
      run(2, fields.value, to: &output)
      run(3, bytes("_more"), to: &output)
      FileBuilder.head(4, 0, to: &output)
      run(3, bytes("Sequence"), to: &output)
      FileBuilder.head(0, fields.sequence, to: &output)
      run(3, bytes("Validity"), to: &output)
      run(2, fields.validity, to: &output)
      run(3, bytes("ValidityType"), to: &output)
      FileBuilder.head(0, fields.type, to: &output)
    }
  }

  private static func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
    var count: [UInt8] = []
    var rest = bytes.count
    while rest >= 0x80 {
      count.append(UInt8(rest & 0x7f) | 0x80)
      rest >>= 7
    }
    return [number << 3 | 2] + count + [UInt8(rest)] + bytes
  }

  /// A record; `version1` are the unsigned copies beside it.
  private static func record(
    _ signer: Signer, _ fields: Fields = Fields(), version1: Fields? = nil, key: [UInt8] = []
  ) throws -> [UInt8] {
    let data = data(fields)
    var record: [UInt8] = []
    if let version1 {
      record += field(1, version1.value) + field(2, [1, 2, 3]) + [0x18, UInt8(version1.type)]
      record += field(4, version1.validity)
      record += [0x28, UInt8(version1.sequence), 0x30, UInt8(version1.timeToLive)]
    }
    if !key.isEmpty { record += field(7, key) }
    let signature = try signer.sign(bytes("ipns-signature:") + data)
    return record + field(8, signature) + field(9, data)
  }

  private static func parse(_ bytes: [UInt8]) throws(IPNSRecordError) -> IPNSRecord {
    try IPNSRecord.parse(bytes.rawBytes)
  }

  @Test func readsWhatIsSigned() throws {
    var random = SeededRandom(seed: 50)
    let signer = try Signer(&random)
    let name = try signer.name
    for version1 in [nil, Fields()] {
      for key in [[], signer.message] {
        let record = try Self.parse(try Self.record(signer, version1: version1, key: key))
        #expect(record.value == Fields().value)
        #expect(record.endOfLife == 1_893_553_445)
        #expect(record.sequence == 21)
        #expect(record.timeToLive == 23)
        #expect(record.isSigned(by: name) == .match)
      }
    }
    // A name may also be the hash of the key, which is in the record then.
    let hashed = try #require(CID(sha256Of: signer.message, codec: .libp2pKey))
    let record = try Self.record(signer, key: signer.message)
    #expect(try Self.parse(record).isSigned(by: hashed) == .match)
    #expect(try Self.parse(try Self.record(signer)).isSigned(by: hashed) == .mismatch)
  }

  @Test func otherKeysAreNotItsSigners() throws {
    var random = SeededRandom(seed: 51)
    let signer = try Signer(&random)
    let other = try Signer(&random)
    let name = try signer.name
    let plain = try Self.parse(try Self.record(signer))
    #expect(plain.isSigned(by: try other.name) == .mismatch)
    // A record of somebody else's that brings its own key along.
    let forged = try Self.parse(try Self.record(other, key: other.message))
    #expect(forged.isSigned(by: name) == .mismatch)
    let hashed = try #require(CID(sha256Of: signer.message, codec: .libp2pKey))
    #expect(forged.isSigned(by: hashed) == .mismatch)
    // Keys of other kinds, and what is no key.
    let rsa = [UInt8](hex: "08001203010203")
    let named = try #require(CID(sha256Of: rsa, codec: .libp2pKey))
    #expect(try Self.parse(try Self.record(signer, key: rsa)).isSigned(by: named) == .unsupported)
    for key in ["", "0801", "08011201ff", "ff", "080112"] {
      let name = try CID(codec: .libp2pKey, hash: .identity, digest: [UInt8](hex: key))
      #expect(plain.isSigned(by: name) == .mismatch)
    }
  }

  /// No bit of a record may change without the signature, the form or the sense going wrong.
  @Test func everyFlippedBitIsNoticed() throws {
    var random = SeededRandom(seed: 52)
    let signer = try Signer(&random)
    let name = try signer.name
    let record = try Self.record(signer)
    for place in record.indices {
      for bit in 0..<8 as Range<UInt8> {
        var changed = record
        changed[place] ^= 1 << bit
        let isGood = (try? Self.parse(changed))?.isSigned(by: name) == .match
        #expect(!isGood, "bit \(bit) of byte \(place)")
      }
    }
  }

  @Test func copiesOfVersion1AreHeldAgainstIt() throws {
    var random = SeededRandom(seed: 53)
    let signer = try Signer(&random)
    var others = [Fields](repeating: Fields(), count: 5)
    others[0].value = bytes("/ipfs/other")
    others[1].validity = bytes("2031-01-02T03:04:05Z")
    others[2].type = 1
    others[3].sequence = 22
    others[4].timeToLive = 24
    for version1 in others {
      let record = try Self.record(signer, version1: version1)
      #expect(throws: IPNSRecordError.contradiction) { try Self.parse(record) }
    }
  }

  @Test func refusesWhatIsNoRecord() throws {
    var random = SeededRandom(seed: 54)
    let signer = try Signer(&random)
    let data = Self.field(9, Self.data(Fields()))
    let signature = Self.field(8, [1])
    var cases: [([UInt8], IPNSRecordError)] = [
      ([], .unsigned), (data, .unsigned), (signature, .unsigned), ([0xff], .malformed),
      ([0x48, 0x01], .malformed), (signature + Self.field(9, [0xa0]), .malformedData),
      (signature + Self.field(9, [0x80]), .malformedData),
      (signature + Self.field(9, Self.data(Fields()) + [0]), .malformedData),
      ([UInt8](repeating: 0, count: 10 * 1024 + 1), .tooLarge(10 * 1024 + 1)),
    ]
    var fields = Fields()
    fields.type = 1
    cases.append((try Self.record(signer, fields), .malformedData))
    fields = Fields()
    fields.validity = bytes("tomorrow")
    cases.append((try Self.record(signer, fields), .malformedData))
    for (record, expected) in cases {
      #expect(throws: expected) { try Self.parse(record) }
      #expect(!expected.sentence.isEmpty)
    }
  }

  static let times: [(String, Int64?)] = [
    ("1970-01-01T00:00:00Z", 0), ("1969-12-31T23:59:59Z", -1),
    ("2000-02-29T12:00:00Z", 951_825_600),
    ("2000-03-01T00:00:00+00:00", 951_868_800), ("2024-12-31T23:59:60Z", 1_735_689_600),
    ("2026-07-01T00:30:00.5+01:30", 1_782_860_400), ("2026-07-01t00:30:00-00:30", 1_782_867_600),
    ("0000-01-01T00:00:00Z", -62_167_219_200), ("9999-12-31T23:59:59Z", 253_402_300_799),
    ("2100-02-29T00:00:00Z", nil), ("2026-00-01T00:00:00Z", nil), ("2026-13-01T00:00:00Z", nil),
    ("2026-01-32T00:00:00Z", nil), ("2026-01-00T00:00:00Z", nil), ("2026-01-01T24:00:00Z", nil),
    ("2026-01-01T00:60:00Z", nil), ("2026-01-01T00:00:61Z", nil), ("2026-01-01T00:00:00", nil),
    ("2026-01-01 00:00:00Z", nil), ("2026-01-01T00:00:00.Z", nil), ("2026-01-01T00:00:00ZZ", nil),
    ("2026-01-01T00:00:00+1:00", nil), ("+026-01-01T00:00:00Z", nil), ("", nil),
  ]

  @Test(arguments: times) func readsTimes(_ text: String, _ seconds: Int64?) throws {
    var random = SeededRandom(seed: 55)
    var fields = Fields()
    fields.validity = bytes(text)
    let record = try Self.record(try Signer(&random), fields)
    #expect((try? Self.parse(record))?.endOfLife == seconds)
  }

  @Test func mutationsNeverTrap() throws {
    var random = SeededRandom(seed: 56)
    let signer = try Signer(&random)
    let name = try signer.name
    let record = try Self.record(signer, version1: Fields(), key: signer.message)
    for _ in 0..<3000 {
      _ = (try? Self.parse(random.mutated(record)))?.isSigned(by: name)
    }
  }
}
