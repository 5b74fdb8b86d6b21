import Base
import HTTP
import Testing

@Suite struct RangeRequestTests {
  private func parse(_ text: String) -> RangeRequest? {
    let bytes = [UInt8](text.utf8)
    return RangeRequest.parse(bytes.rawBytes)
  }

  @Test(
    arguments: [
      ("bytes=0-499", .closed(first: 0, last: 499), 1),
      ("bytes=500-999", .closed(first: 500, last: 999), 1),
      ("BYTES=-500", .suffix(500), 1),
      ("bytes=9500-", .from(9500), 1),
      ("bytes=0-0,-1", .closed(first: 0, last: 0), 2),
      ("bytes= 0-999 ,\t4500-5499, -1000", .closed(first: 0, last: 999), 3),
      ("bytes=,,1-2,", .closed(first: 1, last: 2), 1),
      ("bytes=-0", .suffix(0), 1),
      ("bytes=0-99999999999999999999", .closed(first: 0, last: .max), 1),
      ("bytes=99999999999999999999-", .from(.max), 1),
    ] as [(String, RangeRequest.Spec, Int)])
  func readsRanges(_ text: String, _ spec: RangeRequest.Spec, _ count: Int) {
    #expect(parse(text) == RangeRequest(spec: spec, count: count))
  }

  @Test(arguments: [
    "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5", "bytes=5-4", "bytes=a-b", "bytes=1-2-3",
    "bytes=--1", "bytes=1- 2", "items=0-1", "bytes 0-1", "bytes=0-1,x", "bytes=+1-2", "bytes=-1-",
  ])
  func ignoresWhatIsMalformed(_ text: String) {
    #expect(parse(text) == nil)
  }

  @Test(
    arguments: [
      ("bytes=0-499", 10_000, .part(0..<500)),
      ("bytes=-500", 10_000, .part(9_500..<10_000)),
      ("bytes=9500-", 10_000, .part(9_500..<10_000)),
      ("bytes=9999-20000", 10_000, .part(9_999..<10_000)),
      ("bytes=10000-", 10_000, .unsatisfiable),
      ("bytes=10000-10001", 10_000, .unsatisfiable),
      ("bytes=-0", 10_000, .unsatisfiable),
      ("bytes=-20000", 10_000, .part(0..<10_000)),
      ("bytes=-99999999999999999999", 1, .part(0..<1)),
      ("bytes=0-9223372036854775807", 3, .part(0..<3)),
      ("bytes=0-9223372036854775807", .max, .part(0..<(.max))),
      ("bytes=9223372036854775807-", .max, .unsatisfiable),
      ("bytes=0-0", 0, .whole), ("bytes=-1", 0, .whole),
      ("bytes=10000-,0-9", 10_000, .whole), ("bytes=-0,0-9", 10_000, .whole),
      ("bytes=5-9,10000-", 10_000, .part(5..<10)),
    ] as [(String, Int64, RangeRequest.Resolved)])
  func resolves(_ text: String, _ length: Int64, _ expected: RangeRequest.Resolved) {
    #expect(parse(text)?.resolve(length: length) == expected)
  }

  @Test(
    arguments: [
      ("bytes 0-499/1234", ContentRange(first: 0, last: 499, total: 1234)),
      ("bytes 734-1233/1234", ContentRange(first: 734, last: 1233, total: 1234)),
      ("bytes 42-1233/*", ContentRange(first: 42, last: 1233, total: nil)),
      ("bytes */47022", ContentRange(first: 0, last: -1, total: 47022)),
      ("bytes 5-4/10", nil), ("bytes 0-10/10", nil), ("bytes */*", nil), ("bytes 0-1", nil),
      ("items 0-1/2", nil), ("bytes=0-1/2", nil), ("bytes 0-/5", nil), ("bytes -1/5", nil),
      ("", nil),
      ("bytes 0-1/99999999999999999999", nil),
    ] as [(String, ContentRange?)])
  func readsContentRanges(_ text: String, _ expected: ContentRange?) {
    let bytes = [UInt8](text.utf8)
    let found = ContentRange.parse(bytes.rawBytes)
    #expect(found == expected)
    #expect(found?.isUnsatisfied ?? false == text.contains("bytes */4"))
  }
}
