import Base
import Foundation
import Testing

@testable import Telemetry

@Suite struct JSONTextTests {
  private func escaped(_ bytes: [UInt8]) -> String {
    var output = ByteBuffer(capacity: 64)
    output.append(jsonEscaping: bytes.rawBytes)
    let array = output.readable.array
    #expect(String(validating: array, as: UTF8.self) != nil, "\(bytes)")
    return String(decoding: array, as: UTF8.self)
  }

  /// What a JSON reader makes of it, scalar by scalar.
  private func read(_ bytes: [UInt8]) throws -> [Unicode.Scalar] {
    let json = Data("[\"\(escaped(bytes))\"]".utf8)
    let array = try JSONSerialization.jsonObject(with: json) as? [String]
    return Array(try #require(array?.first).unicodeScalars)
  }

  /// What it should be: well-formed sequences as they are, U+FFFD for each other byte.
  private func expected(_ bytes: [UInt8]) -> [Unicode.Scalar] {
    var scalars: [Unicode.Scalar] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let length = (1...min(4, rest.count)).first {
        String(validating: rest.prefix($0), as: UTF8.self)?.unicodeScalars.count == 1
      }
      if let length {
        let sequence = String(decoding: rest.prefix(length), as: UTF8.self)
        scalars.append(contentsOf: sequence.unicodeScalars)
      } else {
        scalars.append("\u{fffd}")
      }
      rest = rest.dropFirst(length ?? 1)
    }
    return scalars
  }

  @Test func escapesAreSpelledLikeThis() {
    #expect(escaped(Array(#"a"b\c/d"#.utf8)) == #"a\"b\\c/d"#)
    #expect(escaped([0x00, 0x0a, 0x1f, 0x20, 0x7e, 0x7f]) == #"\u0000\u000a\u001f ~\u007f"#)
    #expect(escaped(Array("é\u{80}\u{9f}\u{a0}€😀".utf8)) == "é\\u0080\\u009f\u{a0}€😀")
    #expect(escaped([0xff, 0x41, 0xc3]) == #"\ufffdA\ufffd"#)
    #expect(escaped([]) == "")
  }

  @Test func everyByteAtEveryPlaceIsReadBack() throws {
    for byte in UInt8.min...UInt8.max {
      for place in 0..<17 {
        var bytes = [UInt8](repeating: 0x61, count: 17)
        bytes[place] = byte
        #expect(try read(bytes) == expected(bytes))
      }
    }
  }

  @Test func sequencesAtTheEdgesOfUTF8AreJudgedAsTheStandardDoes() throws {
    let edges: [UInt8] = [0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0]
    for first in UInt8(0xbf)...0xff {
      for second in edges {
        for third in edges {
          for bytes in [[first, second], [first, second, third], [first, second, third, 0x80]] {
            #expect(try read(bytes) == expected(bytes))
          }
        }
      }
    }
  }

  @Test func randomBytesAreReadBack() throws {
    var random = SeededRandom(seed: 11)
    let alphabet: [UInt8] = [0x22, 0x5c, 0x0a, 0x7f, 0x61, 0xc2, 0x85, 0xe2, 0x82, 0xac, 0xf0]
    for _ in 0..<2_000 {
      let count = random.number(in: 0...40)
      let bytes = (0..<count).map { _ in
        random.chance(0.5)
          ? alphabet[random.number(in: 0...alphabet.count - 1)]
          : UInt8(random.number(in: 0...255))
      }
      #expect(try read(bytes) == expected(bytes))
    }
  }
}
