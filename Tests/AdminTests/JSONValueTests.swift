import Base
import Testing

@testable import Admin

@Suite struct JSONValueTests {
  private func read(_ text: String) throws(JSONValue.Malformed) -> JSONValue {
    try read(Array(text.utf8))
  }

  private func read(_ bytes: [UInt8]) throws(JSONValue.Malformed) -> JSONValue {
    try JSONValue(parsing: bytes.rawBytes)
  }

  @Test func readsWhatJSONHas() throws {
    #expect(try read(" {} ") == .object([]))
    #expect(try read("[1, -2.5e1,true,false,null]") == .array([1, .real(-25), true, false, .null]))
    #expect(
      try read(#"{"a":{"b":["x"]},"c":"\u00e9\n\ud83d\ude00\/"}"#)
        == .members(["a": .members(["b": .array(["x"])]), "c": "é\n😀/"]))
    #expect(try read("9223372036854775807").integer == .max)
    // Larger than an integer: a number all the same.
    #expect(try read("9223372036854775808").real == 9_223_372_036_854_775_808)
  }

  @Test(arguments: [
    "", "{", "[1,]", "{\"a\":1,}", "{\"a\":1 \"b\":2}", "{a:1}", "'a'", "[1] 2", "01", "1.", "-",
    "+1", "1e", "nul", "\"\\x\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"a\nb\"",
    "\"", "{\"a\":1,\"a\":2}", "\u{FEFF}{}", "1e999", "// x\n1", String(repeating: "[", count: 100),
  ])
  func refusesWhatIsNone(text: String) {
    #expect(throws: JSONValue.Malformed.self) { try read(text) }
  }

  @Test func refusesTextThatIsNoUTF8() {
    #expect(throws: JSONValue.Malformed.self) {
      try read([0x22, 0xff, 0x22])
    }
  }

  @Test func writesOnOneLineAndOnMany() {
    let value = JSONValue.members([
      "a": .array([1, .real(0.5)]), "b": .object([]), "c": "x\"\u{7}",
    ])
    #expect(
      String(decoding: value.text, as: UTF8.self) == #"{"a":[1,0.5],"b":{},"c":"x\"\u0007"}"#)
    #expect(
      value.lines == """
        {
          "a": [
            1,
            0.5
          ],
          "b": {},
          "c": "x\\"\\u0007"
        }
        """)
  }

  private static func random(_ random: inout SeededRandom, depth: Int = 0) -> JSONValue {
    switch random.number(in: 0...(depth > 4 ? 4 : 6)) {
    case 0: return .null
    case 1: return .bool(random.chance(0.5))
    case 2: return .integer(Int(truncatingIfNeeded: random.next()))
    case 3: return .real(Double(random.number(in: -1_000_000...1_000_000)) / 1024)
    case 4:
      let scalars = (0..<random.number(in: 0...12)).compactMap { _ in
        Unicode.Scalar(UInt32(random.number(in: 0...0x1_1000)))
      }
      return .string(String(String.UnicodeScalarView(scalars)))
    case 5:
      return .array(
        (0..<random.number(in: 0...4)).map { _ in self.random(&random, depth: depth + 1) })
    default:
      return .object(
        (0..<random.number(in: 0...4)).map {
          .init("n\($0)", self.random(&random, depth: depth + 1))
        })
    }
  }

  @Test func readsBackWhatItWrites() throws {
    var random = SeededRandom(seed: 11)
    for _ in 0..<2_000 {
      let value = Self.random(&random)
      #expect(try read(value.text) == value)
      #expect(try read(value.lines) == value)
    }
  }

  /// Whatever comes: a value that reads back as itself, or a refusal that names a place inside.
  @Test func garbageIsAValueOrARefusal() throws {
    var random = SeededRandom(seed: 12)
    var refused = 0
    for _ in 0..<5_000 {
      var bytes = Self.random(&random).text
      for _ in 0..<random.number(in: 1...4) where !bytes.isEmpty {
        let place = random.number(in: 0...bytes.count - 1)
        switch random.number(in: 0...2) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes.remove(at: place)
        default: bytes.insert(Array("{}[]\",:\\u0".utf8)[random.number(in: 0...9)], at: place)
        }
      }
      let value: JSONValue
      do throws(JSONValue.Malformed) {
        value = try read(bytes)
      } catch {
        #expect((0...bytes.count).contains(error.offset))
        refused += 1
        continue
      }
      #expect(try read(value.text) == value)
    }
    #expect(refused > 1_000)
  }
}
