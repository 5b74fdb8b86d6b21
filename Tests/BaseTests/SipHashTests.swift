import Base
import Testing

@Suite struct SipHashTests {
  /// The reference implementation's vectors for key 00..0f and inputs of 0, 1 and 15 bytes 00, 01, ….
  @Test func agreesWithTheReferenceVectors() {
    let key = SipKey(first: 0x0706_0504_0302_0100, second: 0x0f0e_0d0c_0b0a_0908)
    func hash(_ count: Int) -> [UInt8] {
      let input = (0..<count).map { UInt8($0) }
      let digest = SipHash.hash128(input.rawBytes, key: key)
      return [digest.first, digest.second].flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) }
      }
    }
    #expect(
      hash(0) == [
        0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
        0x93,
      ])
    #expect(
      hash(1) == [
        0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
        0x45,
      ])
  }
}
