import Base
import HTTP
import Testing

@Suite struct ScanTests {
  @Test func wordScansAgreeWithByteScans() {
    var random = SeededRandom(seed: 1)
    let alphabet: [UInt8] = [
      0x00, 0x09, 0x0a, 0x0d, 0x1f, 0x20, 0x21, 0x3a, 0x3f, 0x7e, 0x7f, 0x80, 0xff,
    ]
    for _ in 0..<20_000 {
      let bytes = (0..<random.number(in: 0...40)).map { _ in
        random.chance(0.15)
          ? alphabet[random.number(in: 0...12)] : UInt8(random.number(in: 0x21...0x7e))
      }
      let start = random.number(in: 0...bytes.count)
      let end = random.number(in: start...bytes.count)
      let control = bytes[start...].firstIndex { ($0 < 0x20 && $0 != 9) || $0 == 0x7f }
      let found1 = bytes.rawBytes.firstControl(from: start)
      #expect(found1 == control ?? bytes.count)
      let colon = bytes[start..<end].firstIndex(of: 0x3a) ?? end
      let found2 = bytes.rawBytes.first(0x3a, from: start, to: end)
      #expect(found2 == colon)
      let either = bytes[start..<end].firstIndex { $0 == 0x3f || $0 == 0x80 || $0 < 0x21 } ?? end
      let foundEither = bytes.rawBytes.firstBlank(or: 0x3f, or: 0x80, from: start, to: end)
      #expect(foundEither == either)
    }
  }

  @Test func tokenBytesAreThoseOfTheGrammar() {
    let allowed = Set("!#$%&'*+-.^_`|~0123456789".utf8).union(0x41...0x5a).union(0x61...0x7a)
    for byte in UInt8.min...UInt8.max { #expect(byte.isTokenByte == allowed.contains(byte)) }
    let empty: [UInt8] = []
    let found4 = empty.rawBytes.isToken
    #expect(!found4)
  }

  @Test(
    arguments: [
      ("0", 0), ("007", 7), ("9223372036854775807", Int64.max), ("9223372036854775808", nil),
      ("99999999999999999999", nil), ("", nil), ("-1", nil), ("+1", nil), ("1 ", nil), ("0x1", nil),
    ] as [(String, Int64?)])
  func decimalsAreDigitsThatFit(_ text: String, _ value: Int64?) {
    let bytes = [UInt8](text.utf8)
    let found5 = bytes.rawBytes.decimal
    #expect(found5 == value)
  }
}
