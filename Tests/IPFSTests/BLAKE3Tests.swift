import Base
import IPFS
import Testing

@Suite struct BLAKE3Tests {
  private func digest(_ bytes: [UInt8]) -> String {
    var output = ByteBuffer(capacity: 64)
    guard HashFunction.blake3.appendMultihash(of: bytes.rawBytes, to: &output) else { return "" }
    let multihash = output.readable.array
    guard multihash.prefix(2) == [0x1e, 32] else { return "" }
    return multihash.dropFirst(2).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }
      .joined()
  }

  /// The function's own test vectors: bytes that count from 0 to 250 again and again.
  @Test(arguments: [
    (0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    (1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"),
    (1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7"),
    (1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"),
    (2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a"),
    (2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030"),
    (3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2"),
    (31_744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47"),
  ])
  func vectors(count: Int, expected: String) {
    #expect(digest((0..<count).map { UInt8($0 % 251) }) == expected)
  }

  @Test func aText() {
    #expect(
      digest(Array("abc".utf8))
        == "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85")
  }

  @Test func otherFunctions() {
    #expect(HashFunction.blake3.digestBytes == 32 && HashFunction.sha2_256.digestBytes == 32)
    #expect(HashFunction.sha2_512.digestBytes == 64 && HashFunction.identity.digestBytes == nil)
    #expect(HashFunction.shake128.digestBytes == nil)
    var output = ByteBuffer(capacity: 64)
    let nothing = HashFunction.identity.appendMultihash(of: [1, 2].rawBytes, to: &output)
    #expect(!nothing && output.isEmpty)
    let done = HashFunction.sha2_256.appendMultihash(of: Array("abc".utf8).rawBytes, to: &output)
    #expect(done && output.readable.array.prefix(4) == [0x12, 32, 0xba, 0x78])
  }
}
