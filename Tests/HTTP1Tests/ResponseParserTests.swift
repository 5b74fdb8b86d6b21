import Base
import HTTP
import HTTP1
import Testing

@Suite struct ResponseParserTests {
  @Test func readsTheGood() {
    let expected = [
      (200, Version.http11, Int64?.some(5), false, true), (304, .http11, nil, false, true),
      (404, .http11, nil, false, false), (200, .http10, nil, false, false),
      (100, .http11, nil, false, true), (200, .http11, nil, true, true),
      (206, .http10, nil, false, true),
    ]
    for (text, expected) in zip(Corpus.responses, expected) {
      let (result, head) = parseResponse([UInt8](text.utf8))
      guard case .complete(text.utf8.count) = result else {
        Issue.record("\(text)")
        continue
      }
      #expect(head.status == expected.0 && head.version == expected.1, "\(text)")
      #expect(head.contentLength == expected.2 && head.isChunked == expected.3, "\(text)")
      #expect(head.keepAlive == expected.4, "\(text)")
    }
  }

  @Test func refusesTheBadAs502() {
    for text in Corpus.badResponses {
      guard case .refused(let refusal) = parseResponse([UInt8](text.utf8)).result else {
        Issue.record("\(text)")
        continue
      }
      #expect(refusal.status == 502)
    }
  }

  @Test func everySplitGivesTheSame() {
    for text in Corpus.responses + Corpus.badResponses {
      let bytes = [UInt8](text.utf8)
      let whole = response(bytes)
      #expect(response(bytes, pieces: Array(0..<bytes.count)) == whole)
      for split in bytes.indices { #expect(response(bytes, pieces: [split]) == whole) }
    }
  }

  @Test func interimHeadsComeOneByOne() {
    let bytes = [UInt8](
      "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\n".utf8)
    var parser = ResponseParser()
    var head = ResponseHead()
    guard case .complete(let first) = parser.parse(bytes.rawBytes, into: &head) else {
      Issue.record("no interim head")
      return
    }
    #expect(head.status == 103 && head.count(.link) == 1)
    parser.reset()
    let rest = [UInt8](bytes[first...])
    guard case .complete(let second) = parser.parse(rest.rawBytes, into: &head) else {
      Issue.record("no final head")
      return
    }
    #expect(head.status == 200 && head.fields.isEmpty && first + second == bytes.count)
  }

  @Test func mutatedResponsesKeepTheInvariants() {
    var random = SeededRandom(seed: 9)
    let seeds = (Corpus.responses + Corpus.badResponses).map { [UInt8]($0.utf8) }
    var accepted = 0
    for _ in 0..<20_000 {
      let bytes = mutate(seeds[random.number(in: 0...(seeds.count - 1))], &random)
      let (result, head) = parseResponse(bytes)
      guard case .complete(let count) = result else { continue }
      accepted += 1
      let isSound =
        count <= bytes.count && 100...599 ~= head.status
        && !(head.isChunked && head.contentLength != nil)
        && head.fields.allSatisfy { $0.value.end <= count && !$0.name.isEmpty }
      if !isSound { Issue.record("\(String(decoding: bytes, as: UTF8.self))") }
    }
    #expect(accepted > 500)
  }
}
