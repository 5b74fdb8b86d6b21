import Base
import HTTP
import Testing

@Suite struct FieldTokenTests {
  private func token(_ name: [UInt8]) -> FieldToken { FieldToken.of(name.rawBytes) }
  private func method(_ name: [UInt8]) -> Method { Method.of(name.rawBytes) }

  @Test func everyKnownNameIsFoundInAnyCase() {
    for known in FieldToken.allCases where known != .other {
      let name = [UInt8]("\(known.text)".utf8)
      let lower = name.map(\.asciiLowercased)
      let upper = [UInt8]("\(known.text)".uppercased().utf8)
      #expect(token(name) == known)
      #expect(token(lower) == known)
      #expect(token(upper) == known)
    }
  }

  /// No byte of a name may be another one, a letter's case aside; control bytes that differ from a
  /// hyphen or letter in one bit least of all.
  @Test func everyOtherByteMakesAnotherName() {
    for known in FieldToken.allCases where known != .other {
      let name = [UInt8]("\(known.text)".utf8)
      for offset in name.indices {
        for byte in UInt8.min...UInt8.max
        where byte.asciiLowercased != name[offset].asciiLowercased {
          var changed = name
          changed[offset] = byte
          let found = token(changed)
          // If-Match and the like: one byte away from nothing else that is known.
          #expect(found == .other, "\(known.text) with \(byte) at \(offset) is \(found)")
        }
      }
      #expect(token(name + [0x61]) != known)
      #expect(token([UInt8](name.dropLast())) != known)
    }
    #expect(token([]) == .other)
  }

  @Test func methodsAreCaseSensitive() {
    for known in Method.allCases where known != .other {
      let name = [UInt8]("\(known.text)".utf8)
      #expect(method(name) == known)
      #expect(method(name.map(\.asciiLowercased)) == .other)
    }
  }
}
