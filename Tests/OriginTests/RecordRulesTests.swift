import Base
import COpenSSL
import HTTP
import IPFS
import Testing

@testable import Origin

/// IPNS records: as they are, and as what a name leads to.
struct RecordRulesTests {
  let site: Site
  /// The key, in base36.
  let key: String
  private let seed: [UInt8]

  init() throws {
    site = try Site()
    var random = SeededRandom(seed: 8)
    seed = (0..<32).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let pair = try #require(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, 32))
    defer { EVP_PKEY_free(pair) }
    var bytes = [UInt8](repeating: 0, count: 32)
    var count = 32
    #expect(EVP_PKEY_get_raw_public_key(pair, &bytes, &count) == 1)
    let message: [UInt8] = [0x08, 0x01, 0x12, 0x20] + bytes
    key = PeerKey.text(try CID(codec: .libp2pKey, hash: .identity, digest: message.rawBytes))
  }

  private func signature(_ data: [UInt8]) throws -> [UInt8] {
    let pair = try #require(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nil, seed, 32))
    defer { EVP_PKEY_free(pair) }
    let context = try #require(EVP_MD_CTX_new())
    defer { EVP_MD_CTX_free(context) }
    #expect(EVP_DigestSignInit(context, nil, nil, nil, pair) == 1)
    var signature = [UInt8](repeating: 0, count: 64)
    var count = 64
    #expect(EVP_DigestSign(context, &signature, &count, data, data.count) == 1)
    return signature
  }

  /// A record with these fields; lengths below 256.
  private func record(_ value: String, until: String, ttl: UInt64) throws -> [UInt8] {
    func run(_ major: UInt8, _ bytes: some Collection<UInt8>) -> [UInt8] {
      let head: [UInt8] =
        bytes.count < 24
        ? [major << 5 | UInt8(bytes.count)] : [major << 5 | 24, UInt8(bytes.count)]
      return head + bytes
    }
    var data: [UInt8] = [0xa5] + run(3, "TTL".utf8)
    // Numbers between those of one byte and those of eight are not needed.
    data +=
      ttl < 24
      ? [UInt8(ttl)] : [0x1b] + (0..<8).map { UInt8(truncatingIfNeeded: ttl >> (56 - 8 * $0)) }
    data += run(3, "Value".utf8) + run(2, value.utf8) + run(3, "Sequence".utf8) + [1]
    data += run(3, "Validity".utf8) + run(2, until.utf8) + run(3, "ValidityType".utf8) + [0]
    func field(_ number: UInt8, _ bytes: [UInt8]) -> [UInt8] {
      let count: [UInt8] =
        bytes.count < 128
        ? [UInt8(bytes.count)] : [UInt8(bytes.count & 0x7f) | 0x80, UInt8(bytes.count >> 7)]
      return [number << 3 | 2] + count + bytes
    }
    return try field(8, signature(Array("ipns-signature:".utf8) + data)) + field(9, data)
  }

  private func rules(_ bytes: [UInt8]) -> OriginRules {
    site.rules { $0.records = [OriginRecord(key: key, bytes: bytes)] }
  }

  private func rules(until: String = "2026-12-31T00:00:00Z", ttl: UInt64 = 60) throws -> OriginRules
  {
    rules(try record("/ipfs/\(site.root.cid)/a b", until: until, ttl: ttl * 1_000_000_000))
  }

  @Test func recordsAreServedAsTheyAre() throws {
    let bytes = try record("/ipfs/bafkqaaa", until: "2026-12-31T00:00:00Z", ttl: 60_000_000_000)
    let rules = rules(bytes)
    for (query, fields) in [
      ("?format=ipns-record", [FieldToken: String]()),
      ("", [.accept: "application/vnd.ipfs.ipns-record"]),
    ] {
      let answer = rules.get("/ipns/\(key)\(query)", fields)
      #expect(answer.status == 200)
      #expect(try answer.bytes() == bytes)
      #expect(answer.value(.contentType) == "application/vnd.ipfs.ipns-record")
      #expect(answer.value(.cacheControl) == "public, max-age=60")
      #expect(answer.value(.xContentTypeOptions) == "nosniff")
      #expect(
        answer.value(.contentDisposition)?
          .hasPrefix("attachment; filename=\"\(key).ipns-record\"") == true)
      let etag = try #require(answer.value(.etag))
      #expect(!etag.contains("\""))
      #expect(
        rules.get("/ipns/\(key)\(query)", fields.merging([.ifNoneMatch: "\"\(etag)\""]) { $1 })
          .status == 200)
    }
    #expect(rules.get("/ipns/\(key)/x?format=ipns-record").status == 400)
    #expect(rules.get("/ipns/example.org?format=ipns-record").status == 400)
    #expect(rules.get("/ipfs/bafkqaaa?format=ipns-record").status == 400)
  }

  @Test func recordsNameContent() throws {
    let answer = try rules().get("/ipns/\(key)/x")
    #expect(try answer.text() == "hello world\n")
    #expect(answer.value(.cacheControl) == "public, max-age=60")
    #expect(
      answer.value(.xIpfsRoots) == "\(site.root.cid),\(site.plain.cid),\(site.hello.cid)")
    #expect(answer.value(.xIpfsPath) == "/ipns/\(key)/x")
    #expect(try rules().get("/ipns/\(key)").value(.location) == "/ipns/\(key)/")
  }

  @Test func nothingIsKeptBeyondTheRecordsEnd() throws {
    let end = OriginRules.date(testTime + 50)
    #expect(end.hasSuffix("GMT"))
    // testTime is 2026-11-22T00:00:00Z.
    let rules = try rules(until: "2026-11-22T00:00:50Z")
    #expect(rules.get("/ipns/\(key)/x").value(.cacheControl) == "public, max-age=50")
    #expect(rules.get("/ipns/\(key)/").value(.cacheControl) == "public, max-age=50")
    #expect(
      rules.get("/ipns/\(key)?format=ipns-record").value(.cacheControl) == "public, max-age=50")
    let later = request(.get, "/ipns/\(key)/x")
    #expect(rules.answer(later, now: testTime + 49).status == 200)
    #expect(rules.answer(later, now: testTime + 50).status == 500)
    let short = try self.rules(until: "2026-11-22T00:01:30Z")
    #expect(
      short.get("/ipns/\(key)/").value(.cacheControl)
        == "public, max-age=60, stale-while-revalidate=30")
    let unknown = try self.rules(ttl: 0)
    #expect(unknown.get("/ipns/\(key)/x").value(.cacheControl) == nil)
    #expect(unknown.get("/ipns/\(key)/x").value(.lastModified) != nil)
  }

  @Test func whatIsNotSignedIsNotBelieved() throws {
    var bytes = try record("/ipfs/bafkqaaa", until: "2026-12-31T00:00:00Z", ttl: 1)
    #expect(rules(bytes).get("/ipns/\(key)").status == 200)
    bytes[10] ^= 1
    #expect(rules(bytes).get("/ipns/\(key)").status == 500)
    #expect(rules(bytes).get("/ipns/\(key)?format=ipns-record").status == 500)
    #expect(rules([]).get("/ipns/\(key)").status == 500)
    let other = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    #expect(rules(bytes).get("/ipns/\(other)?format=ipns-record").status == 500)
  }
}
