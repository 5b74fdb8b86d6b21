import Base
import System
import Testing

@testable import Server

@Suite struct ProxyHeaderTests {
  private func parse(_ bytes: [UInt8]) -> ProxyHeader { ProxyHeader.parse(bytes.rawBytes) }
  private func parse(_ text: String) -> ProxyHeader { parse(Array(text.utf8)) }

  private func second(
    _ family: UInt8, _ body: [UInt8], command: UInt8 = 0x21, length: Int? = nil
  ) -> [UInt8] {
    let length = length ?? body.count
    return ProxyHeader.signature + [command, family, UInt8(length >> 8), UInt8(length & 0xff)]
      + body
  }

  @Test func readsTheFirstVersion() {
    let text = "PROXY TCP4 192.0.2.1 198.51.100.9 56324 443\r\n"
    #expect(
      parse(text + "GET /")
        == .complete(bytes: text.utf8.count, client: SocketAddress(host: "192.0.2.1", port: 56324)))
    let long = "PROXY TCP6 2001:db8::1 ::2 1 65535\r\n"
    #expect(
      parse(long)
        == .complete(bytes: long.utf8.count, client: SocketAddress(host: "2001:db8::1", port: 1)))
    #expect(parse("PROXY UNKNOWN\r\n") == .complete(bytes: 15, client: nil))
    #expect(parse("PROXY UNKNOWN a b c\r\nX") == .complete(bytes: 21, client: nil))
  }

  @Test(arguments: [
    "GET / HTTP/1.1\r\n", "proxy TCP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY\r\n", "PROXY \r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n",
    "PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1 65536\r\n", "PROXY TCP4 1.1.1.1 1.1.1.1 -1 1\r\n",
    "PROXY TCP4 1.1.1.1 1.1.1.1 1 1\n", "PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n",
    "PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "PROXY TCP4 1.1.1.256 1.1.1.1 1 1\r\n",
    "PROXY UNKNOWN " + String(repeating: "x", count: 120) + "\r\n",
  ])
  func refuses(text: String) {
    #expect(parse(text) == .malformed)
  }

  @Test func readsTheSecondVersion() {
    let four: [UInt8] = [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb]
    let client = SocketAddress(host: "192.0.2.1", port: 0xdc04)
    #expect(parse(second(0x11, four)) == .complete(bytes: 28, client: client))
    // Whatever stands behind the addresses.
    #expect(parse(second(0x11, four + [1, 2, 3]) + [9]) == .complete(bytes: 31, client: client))
    let six =
      [UInt8](repeating: 0, count: 15) + [1] + [UInt8](repeating: 0, count: 16) + [0, 80, 0, 81]
    #expect(
      parse(second(0x21, six)) == .complete(bytes: 52, client: SocketAddress(host: "::1", port: 80))
    )
    // The proxy itself, a local socket, a datagram.
    #expect(parse(second(0x11, four, command: 0x20)) == .complete(bytes: 28, client: nil))
    #expect(parse(second(0x00, [])) == .complete(bytes: 16, client: nil))
    #expect(parse(second(0x12, four)) == .complete(bytes: 28, client: nil))

    #expect(parse(second(0x11, four, command: 0x22)) == .malformed)
    #expect(parse(second(0x11, four, command: 0x11)) == .malformed)
    #expect(parse(second(0x11, Array(four.dropLast()))) == .malformed)
    #expect(parse(second(0x21, four)) == .malformed)
    #expect(parse(second(0x11, four, length: 5000)) == .malformed)
  }

  /// Every start of a header is a start; whatever else comes, nothing traps, and nothing beyond is taken.
  @Test func startsAndNoise() {
    var random = SeededRandom(seed: 11)
    let headers = [
      Array("PROXY TCP6 2001:db8::1 ::2 1 65535\r\n".utf8), Array("PROXY UNKNOWN\r\n".utf8),
      second(0x11, [192, 0, 2, 1, 10, 0, 0, 1, 0xdc, 0x04, 0x01, 0xbb, 7, 7]),
    ]
    for header in headers {
      for count in 0..<header.count { #expect(parse(Array(header[..<count])) == .needMore) }
    }
    for _ in 0..<20_000 {
      var bytes = headers.randomElement(using: &random) ?? []
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        switch Int.random(in: 0..<3, using: &random) {
        case 0:
          bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(
            in: 0...255, using: &random)
        case 1:
          bytes.insert(
            UInt8.random(in: 0...255, using: &random),
            at: Int.random(in: 0...bytes.count, using: &random))
        default: if bytes.count > 1 { bytes.removeLast() }
        }
      }
      if case .complete(let count, _) = parse(bytes) {
        #expect(count <= bytes.count)
        // It does not depend on what follows.
        #expect(parse(bytes + [1, 2, 3]) == parse(bytes))
      }
    }
  }
}
