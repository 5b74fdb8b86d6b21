import Base
import IPFS
import Testing

@testable import Router

@Suite struct HostLabelTests {
  /// The text appended behind something; nil where nothing was to be.
  private func appended(_ append: (inout ByteBuffer) -> Bool) -> String? {
    var output = ByteBuffer(capacity: 64)
    output.append("x://")
    let fits = append(&output)
    let text = output.readable.text
    #expect(fits || text == "x://")
    return fits ? String(text.dropFirst(4)) : nil
  }

  private func label(_ text: String, _ namespace: ContentPath.Namespace) throws -> String? {
    let content = try cid(text)
    return appended { HostLabel.append(content, in: namespace, to: &$0) }
  }

  private func inlined(_ name: String) -> String? {
    let bytes = Array(name.utf8)
    return appended { HostLabel.append(inlined: bytes.rawBytes, to: &$0) }
  }

  private func restored(_ label: String) -> String? {
    let bytes = Array(label.utf8)
    return appended { HostLabel.append(restored: bytes.rawBytes, to: &$0) }
  }

  @Test func contentIsVersion1InBase32() throws {
    let expected = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
    #expect(try label("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", .ipfs) != nil)
    #expect(try label(expected, .ipfs) == expected)
    #expect(try label(expected.uppercased(), .ipfs) == expected)
    #expect(try label("bafkqaaa", .ipfs) == "bafkqaaa")
  }

  @Test func keysAreInBase36() throws {
    // The examples of the IPNS and libp2p specifications.
    let key = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    #expect(try label(key, .ipns) == key)
    let ed25519 = try cid(key)
    var base32 = ByteBuffer(capacity: 128)
    ed25519.appendText(in: .base32, to: &base32)
    #expect(try label(base32.readable.text, .ipns) == key)
    // A hash of a key, in the form that looks like content.
    let hash = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"
    let rsa = try #require(try label(hash, .ipns))
    #expect(rsa.hasPrefix("k2k4r8"))
    #expect(try cid(rsa).codec == .libp2pKey)
    #expect(try cid(rsa).digest.array == cid(hash).digest.array)
  }

  @Test func whatIsTooLongForBase32IsInBase36() throws {
    // 40 bytes of binary form are 64 digits of base32 and 61 of base36, and a prefix.
    let digest = [UInt8](repeating: 0x7f, count: 36)
    let content = try CID(codec: .raw, hash: .identity, digest: digest.rawBytes)
    let label = try #require(appended { HostLabel.append(content, in: .ipfs, to: &$0) })
    #expect(label.hasPrefix("k") && label.utf8.count <= 63)
    #expect(try cid(label) == content)
  }

  @Test func sha512HasNoLabel() throws {
    let digest = [UInt8](repeating: 0x7f, count: 64)
    let content = try CID(codec: .raw, hash: .sha2_512, digest: digest.rawBytes)
    #expect(appended { HostLabel.append(content, in: .ipfs, to: &$0) } == nil)
    #expect(appended { HostLabel.append(content, in: .ipns, to: &$0) } == nil)
  }

  @Test(arguments: [
    ("en.wikipedia-on-ipfs.org", "en-wikipedia--on--ipfs-org"),
    ("my.v-long.example.com", "my-v--long-example-com"), ("localhost", "localhost"),
    ("Docs.IPFS.tech.", "docs-ipfs-tech"), ("a-b", "a--b"), ("xn--a.example", "xn----a-example"),
  ])
  func inlines(name: String, label: String) {
    #expect(inlined(name) == label)
    #expect(restored(label) == name.lowercased().trimmingSuffix("."))
  }

  @Test(arguments: ["", ".", "..", "a..b", ".a", "a b", "a/b", "a%2e", "é.example"])
  func inlinesNamesOnly(name: String) {
    #expect(inlined(name) == nil)
  }

  @Test(arguments: ["", "-", "-a", "a-", "a.b", "a b"])
  func restoresNamesOnly(label: String) {
    #expect(restored(label) == nil)
  }

  @Test func inlinedNamesHaveABound() {
    let long = String(repeating: "a", count: 31)
    #expect(inlined("\(long).\(long)")?.utf8.count == 63)
    #expect(inlined("\(long).a\(long)") == nil)
    #expect(inlined("\(long).\(long.dropLast())-") == nil)
  }

  /// Names whose labels neither begin nor end with a hyphen come back; nothing traps.
  @Test func inliningIsReversible() {
    var random = SeededRandom(seed: 43)
    let letters = Array("ab0-.")
    for _ in 0..<5_000 {
      let name = String(
        (0..<random.number(in: 0...24)).map { _ in letters[random.number(in: 0...letters.count - 1)]
        })
      guard let label = inlined(name) else { continue }
      #expect(label.utf8.count <= HostLabel.maximumBytes && !label.contains("."))
      if ".\(name).".contains(".-") || ".\(name).".contains("-.") { continue }
      #expect(restored(label) == (name.last == "." ? String(name.dropLast()) : name))
    }
  }
}

extension String {
  fileprivate func trimmingSuffix(_ suffix: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
  }
}
