import Admission
import Base
import IPFS
import Testing

@Suite struct DenyRuleTests {
  private let root = "bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq"

  @Test func linesWithoutARule() throws {
    for line in ["", "  ", "\t\r", "# a comment", "  # another", "#/ipfs/\(root)"] {
      #expect(try parse(line) == nil)
    }
  }

  @Test func forms() throws {
    let plain = try #require(try parse("/ipfs/\(root)\r"))
    #expect(plain.path.isEmpty && !plain.isPrefix && !plain.allows && plain.isLegal == nil)
    let tree = try #require(try parse("/ipfs/\(root)/*"))
    #expect(tree.path.isEmpty && tree.isPrefix)
    let below = try #require(try parse("/ipfs/\(root)/a%20b//c/./d/"))
    #expect(below.path == Array("a b/c/d".utf8) && !below.isPrefix)
    let prefix = try #require(try parse("/ipfs/\(root)/a/b*"))
    #expect(prefix.path == Array("a/b".utf8) && prefix.isPrefix)
    let folder = try #require(try parse("/ipfs/\(root)/a/b/*"))
    #expect(folder == prefix)
    let star = try #require(try parse("/ipfs/\(root)/a%2A"))
    #expect(star.path == Array("a*".utf8) && !star.isPrefix)
    #expect(try parse("/ipld/\(root)/a")?.path == Array("a".utf8))
    for sign in ["!", "+", "-"] { #expect(try parse("\(sign)/ipfs/\(root)")?.allows == true) }
  }

  @Test func hints() throws {
    #expect(try parse("/ipfs/\(root) gateway_status:451")?.isLegal == true)
    #expect(try parse("/ipfs/\(root)\tother=1  gateway_status=451 x")?.isLegal == true)
    #expect(try parse("/ipfs/\(root) gateway_status:410")?.isLegal == false)
    #expect(try parse("/ipfs/\(root) gateway_status:200")?.isLegal == nil)
    #expect(try parse("/ipfs/\(root) gateway_status")?.isLegal == nil)
    #expect(try parse("/ipfs/\(root) gateway_status:451 gateway_status:410")?.isLegal == false)
  }

  @Test(arguments: [
    "/ipfs/", "/ipfs", "ipfs/x", "/", "!", "!!/ipfs/bafkqaaa", "/path/only", "//", "//xyz",
    "//bafybeihvvulpp4evxj7x7armbqcyg6uezzuig6jp3lktpbovlqfkuqeuoq", "/ipfs/not-a-cid",
    "/ipfs/bafkqaaa*", "/ipfs/*", "/ipfs/bafkqaaa/%zz", "/ipfs/bafkqaaa/..", "/ipns/", "*",
    "/ipfs/bafkqaaa/%00", "/ipfs/ipfs/bafkqaaa",
    // A hash of 63 digits.
    "//9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7",
  ])
  func refused(_ line: String) {
    #expect(throws: DenyRuleError.self) { try parse(line) }
  }

  @Test func unknownHashFunctionIsNamed() {
    // BLAKE2b of 256 bits, which OpenSSL does not have.
    var multihash = ByteBuffer(capacity: 64)
    multihash.append([0xa0, 0xe4, 0x02, 32] + (0..<32).map { UInt8($0) })
    var text = ByteBuffer(capacity: 64)
    Multibase.base58.encode(multihash.readable, to: &text)
    let line = "//" + text.readable.text.dropFirst()
    #expect(throws: DenyRuleError.hashFunction(0xb220)) { try parse(line) }
  }

  @Test func everyBaseIsTheSameBlock() throws {
    let content = try #require(cid("QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR"))
    for base in Multibase.allCases where base != .base64 {
      var text = ByteBuffer(capacity: 128)
      content.appendText(in: base, to: &text)
      let list = denylist("/ipfs/\(text.readable.text)\n")
      #expect(list.denies(block: "QmVTF1yEejXd9iMgoRTFDxBv7HAz9kuZcQNBzHrceuK9HR"), "\(base)")
    }
  }

  @Test func randomLinesNeverTrap() throws {
    var random = SeededRandom(seed: 383)
    let seeds = [
      "/ipfs/\(root)/a%20b/c* gateway_status:451", "!/ipns/k51qzi5uqu5dhmzyv3zac033i7rl9hk/x/*",
      "//d9d295bde21f422d471a90f2a37ec53049fdf3e5fa3ee2e8f20e10003da429e7 x=y",
      "//QmX9dhRcQcKUw3Ws8485T5a9dtjrSCQaUAHnG4iK9i4ceM", "/ipns/domain--a.example/p%2Fq*",
    ].map { Array($0.utf8) }
    var rules = 0
    for _ in 0..<60_000 {
      var line = seeds[random.number(in: 0...seeds.count - 1)]
      for _ in 0..<random.number(in: 0...4) where !line.isEmpty {
        let place = random.number(in: 0...line.count - 1)
        switch random.number(in: 0...3) {
        case 0: line[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: line.remove(at: place)
        case 2: line.insert(line[random.number(in: 0...line.count - 1)], at: place)
        default: line.removeSubrange(place...)
        }
      }
      if let rule = try? DenyRule.parse(line.rawBytes) {
        rules += 1
        #expect(rule.path.first != 0x2f && rule.path.last != 0x2f)
      }
    }
    #expect(rules > 10_000)
  }
}
