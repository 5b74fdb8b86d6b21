import Base
import Testing

@testable import Origin

struct PercentTextTests {
  @Test func encodesAllButUnreserved() {
    #expect(PercentText.encode(Array("a b/ü~%".utf8)) == "a%20b%2F%C3%BC~%25")
    #expect(PercentText.encode([0x01, 0xff]) == "%01%FF")
  }

  @Test func decodesQueries() {
    let text = Array("a+b%20c%2g%".utf8)
    #expect(PercentText.decodeQuery(text.rawBytes) == Array("a b c%2g%".utf8))
  }
}
