import Base
import HTTP
import HTTP1
import Testing

@testable import Gateway

@Suite struct ConditionsTests {
  /// What fields mean for a representation of 100 bytes with the Etag `"a"`.
  func wish(
    _ fields: String..., method: String = "GET", total: Int64 = 100, ranges: Bool = true
  ) throws -> Wish {
    let wire = Array(
      ("\(method) / HTTP/1.1\r\nHost: a\r\n" + fields.map { $0 + "\r\n" }.joined() + "\r\n").utf8)
    var parser = RequestParser()
    var head = RequestHead()
    guard case .complete = parser.parse(wire.rawBytes, into: &head) else {
      throw Refusal(400, "unparsed")
    }
    let etag = Array("\"a\"".utf8)
    return Conditions(head).wish(
      etag: etag.rawBytes, total: total, ranges: ranges, in: wire.rawBytes)
  }

  @Test func withoutConditions() throws {
    #expect(try wish() == .whole)
    #expect(try wish("If-Range: \"a\"") == .whole)
    #expect(try wish("If-None-Match:") == .whole)
    #expect(try wish("If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT") == .whole)
  }

  @Test func ifNoneMatch() throws {
    for value in ["\"a\"", "W/\"a\"", "*", "\"b\", \"a\"", "\"b\",W/\"a\""] {
      #expect(try wish("If-None-Match: \(value)") == .notModified, "\(value)")
      #expect(try wish("If-None-Match: \(value)", "Range: bytes=0-1") == .notModified)
      #expect(try wish("If-None-Match: \(value)", method: "HEAD") == .notModified)
    }
    for value in ["\"b\"", "a", "\"A\"", "\"ab\""] {
      #expect(try wish("If-None-Match: \(value)") == .whole, "\(value)")
    }
  }

  @Test func ifMatch() throws {
    #expect(try wish("If-Match: \"a\"") == .whole)
    #expect(try wish("If-Match: *") == .whole)
    #expect(try wish("If-Match: \"b\"") == .preconditionFailed)
    #expect(try wish("If-Match: W/\"a\"") == .preconditionFailed)
    // RFC 9110, section 13.2.2: before all others.
    #expect(try wish("If-None-Match: \"a\"", "If-Match: \"b\"") == .preconditionFailed)
    #expect(try wish("If-None-Match: \"a\"", "If-Match: \"a\"") == .notModified)
    #expect(try wish("If-Match: \"a\"", "Range: bytes=1-2") == .part(1..<3))
  }

  @Test func ranges() throws {
    #expect(try wish("Range: bytes=0-0") == .part(0..<1))
    #expect(try wish("Range: bytes=10-") == .part(10..<100))
    #expect(try wish("Range: bytes=-10") == .part(90..<100))
    #expect(try wish("Range: bytes=-1000") == .part(0..<100))
    #expect(try wish("Range: bytes=99-1000") == .part(99..<100))
    #expect(try wish("Range: bytes=100-") == .unsatisfiable)
    #expect(try wish("Range: bytes=-0") == .unsatisfiable)
    #expect(try wish("Range: bytes=5-4") == .whole)
    #expect(try wish("Range: pages=1-2") == .whole)
    #expect(try wish("Range: bytes=0-1", method: "HEAD") == .part(0..<2))
    #expect(try wish("Range: bytes=0-1", total: 0) == .whole)
    #expect(
      try wish("Range: bytes=0-99999999999999999999", total: .max) == .part(0..<Int64.max))
  }

  @Test func ifRange() throws {
    #expect(try wish("Range: bytes=0-1", "If-Range: \"a\"") == .part(0..<2))
    for value in ["\"b\"", "W/\"a\"", "Tue, 14 Nov 2023 22:13:20 GMT", "*", "\"a\", \"b\""] {
      #expect(try wish("Range: bytes=0-1", "If-Range: \(value)") == .whole, "\(value)")
    }
    // An unsatisfiable range is none where the condition fails.
    #expect(try wish("Range: bytes=200-", "If-Range: \"b\"") == .whole)
    #expect(try wish("Range: bytes=200-", "If-Range: \"a\"") == .unsatisfiable)
  }

  /// A CAR, say: gateways cannot promise the same bytes, so what rests on that means nothing.
  @Test func formsWithoutRanges() throws {
    for method in ["GET", "HEAD"] {
      func wish(_ fields: String...) throws -> Wish {
        switch fields.count {
        case 1: try self.wish(fields[0], method: method, ranges: false)
        case 2: try self.wish(fields[0], fields[1], method: method, ranges: false)
        default: try self.wish(method: method, ranges: false)
        }
      }
      #expect(try wish() == .whole)
      for range in ["bytes=0-1", "bytes=200-", "bytes=-5", "x"] {
        #expect(try wish("Range: \(range)") == .whole, "\(range)")
        #expect(try wish("Range: \(range)", "If-Range: \"a\"") == .whole)
      }
      for tags in ["\"b\"", "W/\"a\"", "\"a\"", "*"] {
        #expect(try wish("If-Match: \(tags)") == .whole, "\(tags)")
      }
      for tags in ["\"a\"", "W/\"a\"", "*", "\"b\", W/\"a\""] {
        #expect(try wish("If-None-Match: \(tags)") == .notModified, "\(tags)")
        #expect(try wish("If-None-Match: \(tags)", "If-Match: \"b\"") == .notModified)
        #expect(try wish("If-None-Match: \(tags)", "Range: bytes=200-") == .notModified)
      }
      #expect(try wish("If-None-Match: \"b\"", "Range: bytes=0-1") == .whole)
    }
  }

  /// As Kubo: the head of the GET's answer.
  @Test(arguments: [
    ("bytes=0-0", Wish.part(0..<1)), ("bytes=90-", .part(90..<100)), ("bytes=-10", .part(90..<100)),
    ("bytes=-1000", .part(0..<100)), ("bytes=0-0,5-6", .part(0..<1)),
    ("bytes=100-", .unsatisfiable),
    ("bytes=-0", .unsatisfiable), ("bytes=5-4", .whole), ("pages=1-2", .whole),
  ])
  func aHeadHasItsRange(range: String, expected: Wish) throws {
    for method in ["HEAD", "GET"] {
      #expect(try wish("Range: \(range)", method: method) == expected)
      #expect(try wish("Range: \(range)", "If-Range: \"a\"", method: method) == expected)
      #expect(try wish("Range: \(range)", "If-Range: \"b\"", method: method) == .whole)
      #expect(try wish("Range: \(range)", "If-None-Match: *", method: method) == .notModified)
      #expect(
        try wish("Range: \(range)", "If-Match: \"b\"", method: method) == .preconditionFailed)
      #expect(try wish("Range: \(range)", method: method, total: 0) == .whole)
    }
  }

  @Test func theFirstOfSeveralFieldsCounts() throws {
    #expect(try wish("Range: bytes=0-1", "Range: bytes=5-6") == .part(0..<2))
    #expect(try wish("If-None-Match: \"b\"", "If-None-Match: \"a\"") == .whole)
  }

  @Test func representationsAreWholeOrParts() {
    #expect(Wish.whole.hasRepresentation && Wish.part(0..<1).hasRepresentation)
    for wish in [Wish.notModified, .preconditionFailed, .unsatisfiable] {
      #expect(!wish.hasRepresentation)
    }
  }
}
