import Base
import Testing

@testable import HTTP

/// RFC 9110, 7.6.1.
@Suite struct ConnectionFieldsTests {
  private static func kept(_ lines: [(String, String)]) -> [String] {
    var text: [UInt8] = []
    var fields: [Field] = []
    for (name, value) in lines {
      let place = ByteRange(start: text.count, count: name.utf8.count)
      text += Array(name.utf8)
      let behind = ByteRange(start: text.count, count: value.utf8.count)
      text += Array(value.utf8)
      let token = FieldToken.of(text.rawBytes.bytes(place))
      fields.append(Field(token: token, name: place, value: behind))
    }
    let connection = ConnectionFields(fields, text: text.rawBytes)
    return zip(fields, lines).filter { !connection.contains($0.0, text: text.rawBytes) }
      .map(\.1.0)
  }

  @Test func theUsualOnesEndHere() {
    let names = [
      "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authorization", "TE", "Trailer",
      "Transfer-Encoding", "Upgrade",
    ]
    #expect(Self.kept(names.map { ($0, "x") } + [("Accept", "y")]) == ["Accept"])
  }

  @Test func soDoThoseThatAreNamed() {
    let kept = Self.kept([
      ("X-One", "1"), ("connection", "x-ONE , close,,X-Two"), ("x-two", "2"), ("X-Three", "3"),
      ("Connection", "ETag"), ("Etag", "4"), ("X-On", "5"),
    ])
    #expect(kept == ["X-Three", "X-On"])
  }

  @Test func nothingIsNamed() {
    #expect(Self.kept([("Connection", ""), ("A", "1"), ("Connection", " , ,")]) == ["A"])
  }
}
