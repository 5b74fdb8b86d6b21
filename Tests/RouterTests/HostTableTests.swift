import Base
import IPFS
import Testing

@testable import Router

/// What a table makes of a host, as text that can be compared.
private func kind(_ host: String, in table: HostTable) -> String {
  let bytes = Array(host.utf8)
  let text = bytes.rawBytes
  switch table.classify(host: text) {
  case .path: return "path"
  case .subdomains(let gateway, let isSite):
    return "subdomains \(text.bytes(gateway).text)\(isSite ? " site" : "")"
  case .subdomain(let namespace, let label, let gateway):
    return "\(namespace) \(text.bytes(label).text) of \(text.bytes(gateway).text)"
  case .foreignSubdomain: return "foreign"
  case .dnslink(let name): return "site \(text.bytes(name).text)"
  case .invalidLabel: return "invalid"
  case .unknown: return "unknown"
  }
}

private func table(_ entries: (String, subdomains: Bool, dnslink: Bool)...) throws -> HostTable {
  HostTable(
    try entries.map {
      HostTable.Entry(
        try HostPattern($0.0), subdomains: $0.subdomains, dnslink: $0.dnslink)
    })
}

private let content = "bafybeiaawptu6h3swsxe4qmhexhlkvmmj4wngt5zprelp2eo5ebqfaeifm"

@Suite struct HostTableTests {
  /// What is there where nothing is configured.
  @Test(arguments: [
    ("gateway.example", "path"), ("127.0.0.1", "path"), ("127.0.0.1:8080", "path"),
    ("[::1]:80", "path"), ("localhost:8080", "path"), ("", "path"), ("ipfs.example.com", "path"),
    ("ipfs", "path"), ("\(content).ipfs", "path"), ("a.ipfs:80", "path"),
    ("\(content).ipfs.dweb.link", "foreign"), ("k51.ipns.localhost:8080", "foreign"),
    ("\(content).IPFS.dweb.link.", "foreign"), ("a.b.ipns.c", "foreign"), ("a.ipfsx.c", "path"),
  ])
  func theStandardKnowsEveryHost(host: String, expected: String) {
    #expect(kind(host, in: .standard) == expected)
  }

  @Test(arguments: [
    ("gateway.example.com", "path"), ("GATEWAY.Example.com.:8080", "path"),
    ("dweb.example.com", "subdomains dweb.example.com"),
    ("Dweb.example.com:8443", "subdomains Dweb.example.com:8443"),
    ("dweb.example.com.", "subdomains dweb.example.com."),
    ("both.example.com", "subdomains both.example.com site"),
    ("docs.example.org", "site docs.example.org"),
    ("Docs.example.org.:80", "site Docs.example.org"),
    ("a.sites.example", "site a.sites.example"), ("sites.example", "unknown"),
    ("a.b.sites.example", "unknown"), (".sites.example", "unknown"),
    ("\(content).ipfs.dweb.example.com", "ipfs \(content) of dweb.example.com"),
    ("\(content).IPFS.DWEB.example.com.:8080", "ipfs \(content) of DWEB.example.com.:8080"),
    (
      "en-wikipedia--on--ipfs-org.ipns.dweb.example.com",
      "ipns en-wikipedia--on--ipfs-org of dweb.example.com"
    ),
    ("docs.ipfs.tech.ipns.dweb.example.com", "ipns docs.ipfs.tech of dweb.example.com"),
    ("a.b.ipfs.dweb.example.com", "invalid"), (".ipfs.dweb.example.com", "invalid"),
    ("a..b.ipns.dweb.example.com", "invalid"), ("a%20.ipfs.dweb.example.com", "invalid"),
    ("ipfs.dweb.example.com", "unknown"), ("a.ipld.dweb.example.com", "unknown"),
    // A path gateway has no subdomains.
    ("\(content).ipfs.gateway.example.com", "unknown"),
    ("\(content).ipfs.docs.example.org", "unknown"),
    ("\(content).ipfs.a.wild.example", "ipfs \(content) of a.wild.example"),
    ("a.wild.example", "subdomains a.wild.example"), ("\(content).ipfs.wild.example", "unknown"),
    // Listed itself, though it looks like a subdomain.
    ("own.ipfs.dweb.example.com", "site own.ipfs.dweb.example.com"),
    ("elsewhere.example", "unknown"), ("", "unknown"), (".", "unknown"), (":80", "unknown"),
    ("127.0.0.1", "path"), ("127.0.0.1:8080", "path"), ("127.0.0.2", "unknown"),
    ("[0:0::1]:80", "path"), ("[::2]", "unknown"), ("::1", "unknown"),
    ("[::ffff:127.0.0.1]", "path"), ("a.ipfs.127.0.0.1", "unknown"),
  ])
  func aTableKnowsItsHosts(host: String, expected: String) throws {
    let table = try table(
      ("gateway.example.com", false, false), ("dweb.example.com", true, false),
      ("both.example.com", true, true), ("docs.example.org", false, true),
      ("*.sites.example", false, true), ("*.wild.example", true, false),
      ("own.ipfs.dweb.example.com", false, true), ("127.0.0.1", true, true), ("[::1]", false, false)
    )
    #expect(kind(host, in: table) == expected)
  }

  @Test func theMoreExactEntryCounts() throws {
    let table = try table(
      ("*", false, true), ("*.example.com", true, false), ("a.example.com", false, false),
      ("a.example.com", true, true))
    #expect(kind("a.example.com", in: table) == "path")
    #expect(kind("b.example.com", in: table) == "subdomains b.example.com")
    #expect(kind("example.com", in: table) == "site example.com")
    #expect(kind("x.ipfs.b.example.com", in: table) == "ipfs x of b.example.com")
    #expect(kind("x.ipfs.a.example.com", in: table) == "unknown")
    #expect(kind("x.ipfs.elsewhere", in: table) == "foreign")
    #expect(kind("10.0.0.1", in: table) == "path")
  }

  @Test func everyHostMayHaveSubdomains() throws {
    let table = try table(("*", true, false))
    #expect(kind("localhost:8080", in: table) == "subdomains localhost:8080")
    #expect(kind("x.ipfs.localhost:8080", in: table) == "ipfs x of localhost:8080")
    #expect(kind("docs.ipfs.tech.ipns.a.b", in: table) == "ipns docs.ipfs.tech of a.b")
    #expect(kind("127.0.0.1:80", in: table) == "path")
    #expect(kind("x.ipfs.127.0.0.1:80", in: table) == "foreign")
    #expect(kind("[::1]:80", in: table) == "path")
    #expect(kind("..ipfs.a", in: table) == "invalid")
  }

  @Test(arguments: [(63, true), (64, false)])
  func labelsHaveABound(count: Int, fits: Bool) throws {
    let table = try table(("a.example", true, false))
    let label = String(repeating: "x", count: count)
    let ipfs = kind("\(label).ipfs.a.example", in: table)
    #expect(ipfs == (fits ? "ipfs \(label) of a.example" : "invalid"))
    let ipns = kind("y.\(label).ipns.a.example", in: table)
    #expect(ipns == (fits ? "ipns y.\(label) of a.example" : "invalid"))
  }

  @Test func longHostsAreNobodys() throws {
    let long = String(repeating: "ipfs.", count: 2_000) + "a.example"
    #expect(kind(long, in: try table(("a.example", true, false))) == "unknown")
    #expect(kind(long, in: .standard) == "path")
  }

  @Test func manyHostsAreFound() throws {
    let entries = try (0..<2_000).map {
      HostTable.Entry(try HostPattern("site-\($0 * 7_919 % 2_000).example"), dnslink: $0 % 2 == 0)
    }
    let table = HostTable(entries)
    for (index, entry) in entries.enumerated() {
      let name = entry.pattern.description
      #expect(kind(name.uppercased(), in: table).hasPrefix(index % 2 == 0 ? "site" : "path"))
      #expect(kind(name + "x", in: table) == "unknown")
    }
  }

  /// Whatever the host, places lie in it, and parts put together are the host.
  @Test func mutationsNeverTrap() throws {
    var random = SeededRandom(seed: 41)
    let pieces = [
      "ipfs", "ipns", ".", ".", ".", "a", "example", "*", ":80", ":", "[", "]", "::1", "127.0.0.1",
      "%",
      "-", "é", "IPFS", String(repeating: "l", count: 63), "\u{0}",
    ]
    let tables = [
      HostTable.standard, HostTable([]), try table(("*", true, true)),
      try table(("a", true, false), ("a.example", true, true), ("*.example", true, false)),
    ]
    for _ in 0..<5_000 {
      let host = Array(
        (0..<random.number(in: 0...9)).map { _ in pieces[random.number(in: 0...pieces.count - 1)] }
          .joined().utf8)
      let table = tables[random.number(in: 0...tables.count - 1)]
      switch table.classify(host: host.rawBytes) {
      case .subdomain(_, let label, let gateway):
        #expect(label.start == 0)
        #expect(gateway.end == host.count)
        #expect(Int(gateway.start) == label.end + 6)
      case .subdomains(let gateway, _):
        #expect(gateway == ByteRange(start: 0, count: host.count))
      case .dnslink(let name): #expect(name.start == 0 && name.end <= host.count)
      default: break
      }
    }
  }
}

@Suite struct HostPatternTests {
  @Test(arguments: [
    ("*", "*"), ("gateway.example.com", "gateway.example.com"),
    ("Gateway.Example.COM.", "gateway.example.com"),
    ("*.example.com", "*.example.com"), ("localhost", "localhost"),
    ("_dnslink.a_b", "_dnslink.a_b"),
    ("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("[2001:DB8::1]", "[2001:db8::1]"),
    ("[::ffff:10.0.0.1]", "10.0.0.1"), ("xn--bcher-kva.example", "xn--bcher-kva.example"),
  ])
  func reads(text: String, canonical: String) throws {
    let pattern = try HostPattern(text)
    #expect(pattern.description == canonical)
    #expect(try HostPattern(canonical) == pattern)
  }

  @Test(arguments: [
    ("", HostPatternError.name), (".", .name), ("a..b", .name), (".a", .name), ("a b", .name),
    ("bücher.example", .name), ("http//a", .name), ("a/b", .name), ("*.", .name),
    ("[127.0.0.1]", .name),
    ("a:80", .port), ("[::1]:80", .port), ("http://a", .port), ("**", .wildcard),
    ("a.*", .wildcard),
    ("*a.b", .wildcard), ("*.*.b", .wildcard), ("*:80", .wildcard),
  ])
  func refuses(text: String, error: HostPatternError) {
    #expect(throws: error) { _ = try HostPattern(text) }
    #expect(!error.sentence.isEmpty)
  }

  @Test func namesHaveABound() throws {
    let label = String(repeating: "a", count: 63)
    let name = "\(label).\(label).\(label).\(label.dropLast(2))"
    #expect(try HostPattern(name).description.utf8.count == 253)
    #expect(throws: HostPatternError.name) { _ = try HostPattern(name + "a") }
    #expect(throws: HostPatternError.name) { _ = try HostPattern(label + "a") }
  }
}
