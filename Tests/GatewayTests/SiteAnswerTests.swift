import Base
import Cache
import HTTP
import HTTP1
import Testing

@testable import Gateway

@Suite struct SiteAnswerTests {
  private static func at(_ seconds: Int) -> Instant { Instant(nanoseconds: 0) + .seconds(seconds) }

  private func answer(_ bytes: Int = 3) -> SiteAnswer {
    SiteAnswer(
      head: AnswerHead(status: 404, totalBytes: Int64(bytes), created: 0),
      body: [UInt8](repeating: 7, count: bytes))
  }

  @Test func oneIsAskedAtATime() {
    let table = SiteAnswerTable()
    #expect(table.begin([1], at: Self.at(0)) && !table.begin([1], at: Self.at(59)))
    #expect(table.answer(for: [1], at: Self.at(1)) == nil)
    #expect(table.begin([1], at: Self.at(61)) && table.begin([2], at: Self.at(61)))
    #expect(!table.begin([], at: Self.at(0)))
    #expect(!table.begin([UInt8](repeating: 0, count: 513), at: Self.at(0)))
  }

  @Test func whatIsKnownIsGivenForItsTime() {
    let table = SiteAnswerTable()
    _ = table.begin([1], at: Self.at(0))
    table.set([1], answer(), until: Self.at(100))
    #expect(table.answer(for: [1], at: Self.at(99))?.body == [7, 7, 7])
    #expect(!table.begin([1], at: Self.at(99)))
    #expect(table.answer(for: [1], at: Self.at(100)) == nil && table.begin([1], at: Self.at(100)))
  }

  @Test func whatIsRemovedMeanwhileStaysAway() {
    let table = SiteAnswerTable()
    _ = table.begin([1], at: Self.at(0))
    table.forget(RemovalSubject.object([1]))
    table.set([1], answer(), until: Self.at(100))
    #expect(table.answer(for: [1], at: Self.at(1)) == nil)
  }

  @Test func theOldestGoWhenThereIsTooMuch() {
    let table = SiteAnswerTable()
    let count = SiteAnswerTable.maximumBytes / SiteAnswer.maximumBytes + 10
    for number in 0..<count {
      let key = [UInt8(number >> 8), UInt8(number & 0xff)]
      _ = table.begin(key, at: Self.at(0))
      table.set(key, answer(SiteAnswer.maximumBytes), until: Self.at(100))
    }
    let known = (0..<count).filter {
      table.answer(for: [UInt8($0 >> 8), UInt8($0 & 0xff)], at: Self.at(1)) != nil
    }
    #expect(known.count * SiteAnswer.maximumBytes <= SiteAnswerTable.maximumBytes)
    #expect(known.last == count - 1 && known.count > count / 3)
  }

  @Test(arguments: [
    ("301 Moved\r\nLocation: /a", true), ("302 Found", false),
    ("308 Moved\r\nLocation: /a\r\nLocation: /b", false),
    ("302 Found\r\nLocation: /a\r\nSet-Cookie: a=b", false),
    ("404 Not Found\r\nEtag: \"bafkqaaa\"", true), ("404 Not Found", false),
    ("410 Gone\r\nEtag: W/\"bafkqaaa\"", false), ("451 No\r\nEtag: \"bafkqaaa.raw\"", false),
    ("200 OK\r\nEtag: \"bafkqaaa\"", false), ("500 No\r\nEtag: \"bafkqaaa\"", false),
  ])
  func onlyWhatRulesCanMakeIsOne(head: String, expected: Bool) throws {
    let wire = Array("HTTP/1.1 \(head)\r\nContent-Length: 3\r\n\r\n".utf8)
    var parser = ResponseParser()
    var parsed = ResponseHead()
    guard case .complete = parser.parse(wire.rawBytes, into: &parsed) else {
      Issue.record("not parsed")
      return
    }
    let found = SiteAnswer.isOne(parsed, text: wire.rawBytes)
    #expect(found == expected)
  }
}
