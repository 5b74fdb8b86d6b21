import Base
import Testing

@testable import Configuration

@Suite struct HostPortTests {
  @Test(arguments: [
    ("127.0.0.1:8080", "127.0.0.1", 8080, HostPort.Kind.ipv4),
    ("0.0.0.0:0", "0.0.0.0", 0, .ipv4),
    ("[::]:443", "::", 443, .ipv6),
    ("[::1]:65535", "::1", 65535, .ipv6),
    ("[2001:DB8::8:800:200c:417a]:80", "2001:db8::8:800:200c:417a", 80, .ipv6),
    ("[1:2:3:4:5:6:7:8]:80", "1:2:3:4:5:6:7:8", 80, .ipv6),
    ("[::ffff:10.0.0.1]:80", "::ffff:10.0.0.1", 80, .ipv6),
    ("[1:2:3:4:5:6:7::]:80", "1:2:3:4:5:6:7::", 80, .ipv6),
    ("Kubo.Example:8080", "kubo.example", 8080, .name),
    ("kubo_1:8080", "kubo_1", 8080, .name),
    ("10.example:8080", "10.example", 8080, .name),
  ])
  func reads(text: String, host: String, port: UInt16, kind: HostPort.Kind) throws {
    let parsed = try #require(HostPort(text))
    #expect(parsed.host == host)
    #expect(parsed.port == port)
    #expect(parsed.kind == kind)
    #expect(parsed.isIPv6 == (kind == .ipv6))
    #expect(HostPort(parsed.description) == parsed)
  }

  @Test(arguments: [
    "", ":", "127.0.0.1", "127.0.0.1:", ":80", "127.0.0.1:65536", "127.0.0.1:+80", "127.0.0.1: 80",
    "127.0.0.1:000080", "256.0.0.1:80", "1.2.3:80", "1.2.3.4.5:80", "01.2.3.4:80", "1..3.4:80",
    "::1:80", "[::1]", "[::1]80", "[]:80", "[::1:80", "[1:2:3:4:5:6:7]:80", "[:::]:80",
    "[1:2:3:4:5:6:7:8:9]:80", "[1::2::3]:80", "[12345::]:80", "[g::]:80", "[fe80::1%eth0]:80",
    "[1.2.3.4::]:80", "[127.0.0.1]:80", "[1:2:3:4:5:6:7:8::]:80", "-a.example:80", "a-.example:80",
    "a..b:80", "a b:80", "http://a:80", "é.example:80",
  ])
  func refuses(text: String) {
    #expect(HostPort(text) == nil)
  }

  @Test func refusesLongNames() {
    let label = String(repeating: "a", count: 63)
    #expect(HostPort("\(label).example:80") != nil)
    #expect(HostPort("a\(label).example:80") == nil)
    #expect(HostPort("\(label).\(label).\(label).\(label).x:80") == nil)
  }

  @Test func mutationsNeverTrap() {
    var random = SeededRandom(seed: 7)
    let letters = Array("[]:.019af-é% ")
    for _ in 0..<20_000 {
      let count = random.number(in: 0...24)
      let text = String((0..<count).map { _ in letters[random.number(in: 0...letters.count - 1)] })
      guard let parsed = HostPort(text) else { continue }
      #expect(HostPort(parsed.description) == parsed)
    }
  }
}
