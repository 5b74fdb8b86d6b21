import Base
import HTTP
import IPFS
import Testing

@testable import Router

private let content = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi"
private let peer = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"

@Suite struct AskedSiteTests {
  private func to(_ location: String) -> String { "to http://\(location)" }

  // MARK: Redirects

  @Test(arguments: [
    ("", "/"), ("/", "/"), ("/a/b.txt", "/a/b.txt"), ("/a/", "/a/"), ("?x=1", "/?x=1"),
    ("/?", "/?"), ("/a?b?c=%2F&d", "/a?b?c=%2F&d"),
    ("?format=car&dag-scope=x", "/?format=car&dag-scope=x"),
    // Escapes stay as they were sent, and so does what has to be cleaned.
    ("/a%20b/%c3%A9/%2F%25", "/a%20b/%c3%A9/%2F%25"), ("/a%3Fb?c", "/a%3Fb?c"),
    ("//a/./b", "//a/./b"), ("/a/../b", "/a/../b"), ("/..%2f..", "400"), ("/a/..", "/"),
    ("/.", "/"), ("/a/../", "/a/../"),
    // An escaped slash ends the root as well.
    ("%2Fa%20b", "/a%20b"), ("%2F", "/"), ("%2F?x", "/?x"),
    ("%2F@evil.example/", "/%40evil.example/"), ("%2f:80%2Fa", "/%3A80/a"),
  ])
  func theRestGoesOnAsItWasSent(rest: String, expected: String) {
    for method in ["GET", "HEAD"] {
      let name = Routed("/ipfs/\(content)\(rest)", host: "dweb.example", method: method).name
      #expect(
        name == (expected == "400" ? expected : to("\(content).ipfs.dweb.example\(expected)")))
    }
  }

  @Test(arguments: [
    "/ipfs//\(content)/a%20b", "//ipfs/\(content)/a%20b", "/ipfs/./\(content)/a%20b",
    "/ipfs/%62\(content.dropFirst())/a%20b", "/%69pfs/\(content)/a%20b",
    "/ipfs%2F\(content)/a%20b", "/x/../ipfs/\(content)/a%20b",
  ])
  func whatStandsElsewhereIsEscapedAnew(target: String) {
    // A first segment that is no namespace is somebody else's path.
    let expected =
      target.hasPrefix("/x") ? "404" : to("\(content).ipfs.dweb.example/a%20b?q=%20")
    #expect(Routed(target + "?q=%20", host: "dweb.example").name == expected)
  }

  @Test(arguments: [
    ("dweb.example:8080", "dweb.example:8080"), ("dweb.example.", "dweb.example."),
    ("DWEB.example:1", "DWEB.example:1"), ("both.example", "both.example"),
  ])
  func theGatewayIsTheHostAsItWasSent(host: String, gateway: String) {
    #expect(
      Routed("/ipfs/\(content)/a", host: host).name == to("\(content).ipfs.\(gateway)/a"))
    let secure = Routed("/ipfs/\(content)/a", host: host, isSecure: true).name
    #expect(secure == "to https://\(content).ipfs.\(gateway)/a")
  }

  @Test func everySpellingOfACIDHasOneHost() throws {
    let one = try cid(old)
    let expected = to("\(one.version1).ipfs.dweb.example/a")
    #expect(Routed("/ipfs/\(old)/a", host: "dweb.example").name == expected)
    for base in Multibase.allCases {
      var text = ByteBuffer(capacity: 128)
      one.appendText(in: base, to: &text)
      let spelling = text.readable.text
      if spelling.contains("/") { continue }
      #expect(Routed("/ipfs/\(spelling)/a", host: "dweb.example").name == expected, "\(base)")
    }
  }

  @Test func keysAreInBase36() throws {
    let expected = to("\(peer).ipns.dweb.example/a")
    let key = try cid(peer)
    for base in [Multibase.base16, .base32, .base36, .base58] {
      var text = ByteBuffer(capacity: 128)
      key.appendText(in: base, to: &text)
      #expect(Routed("/ipns/\(text.readable.text)/a", host: "dweb.example").name == expected)
    }
    let hash = Routed("/ipns/\(old)", host: "dweb.example").name
    #expect(hash.hasPrefix("to http://k2k4r8") && hash.hasSuffix(".ipns.dweb.example/"))
  }

  @Test(arguments: [
    ("docs.ipfs.tech", "docs.ipfs.tech", "docs-ipfs-tech"),
    ("en.wikipedia-on-ipfs.org", "en.wikipedia-on-ipfs.org", "en-wikipedia--on--ipfs-org"),
    ("Docs.IPFS.tech", "Docs.IPFS.tech", "docs-ipfs-tech"), ("localhost", "localhost", "localhost"),
  ])
  func namesAreInlinedWhereACertificateHasToFit(name: String, plain: String, inlined: String) {
    for rest in ["/a%20b?x", "/"] {
      #expect(
        Routed("/ipns/\(name)\(rest)", host: "dweb.example").name
          == to("\(plain).ipns.dweb.example\(rest)"))
      #expect(
        Routed("/ipns/\(name)\(rest)", host: "dweb.example", isSecure: true).name
          == "to https://\(inlined).ipns.dweb.example\(rest)")
    }
  }

  @Test func whatFitsNoLabelIsRefused() throws {
    let digest = [UInt8](repeating: 7, count: 64)
    let long = try CID(codec: .raw, hash: .sha2_512, digest: digest.rawBytes)
    let label = String(repeating: "a", count: 40)
    for isSecure in [false, true] {
      func name(_ target: String) -> String {
        Routed(target, host: "dweb.example", isSecure: isSecure).name
      }
      #expect(name("/ipfs/\(long)/a") == "400" && name("/ipns/\(long)") == "400")
      #expect(name("/ipns/\(label)\(label).org") == "400")
      // Each label fits, all of them in one do not.
      #expect(
        name("/ipns/\(label).\(label)")
          == (isSecure ? "400" : to("\(label).\(label).ipns.dweb.example/")))
      for root in ["a%20b", "a..b", "-%2F..", "a%00", "a@b", "a:80", "%C3%A9.org"] {
        #expect(name("/ipns/\(root)") == "400", "\(root)")
      }
    }
  }

  @Test(arguments: [
    ("/", "404"), ("/index.html", "404"), ("/ipfs", "400"), ("/ipfs/", "400"),
    ("/ipfs/none", "400"),
    ("/ipfs/\(content)/%zz", "400"), ("/ipfs/\(content)/%00", "400"),
    ("/ipfs/ipfs/\(content)", "pass"), ("/?uri=ipfs%3A%2F%2Fx", "pass"),
    ("/ipfs/\(content)?uri=x", "pass"), ("/ipfsx/\(content)", "404"),
  ])
  func whatIsNoContentStays(target: String, expected: String) {
    #expect(Routed(target, host: "dweb.example").name == expected)
  }

  /// Whatever the path, the redirect leads to a host of this gateway, in one line.
  @Test(arguments: 0..<8 as Range<UInt64>) func redirectsStayBelowTheGateway(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pieces = [
      "/", "//", "/.", "/..", "%2F", "%2f", "%5C", "\\", "@", ":", "evil.example", "a", "%20",
      "%0d%0a",
      "?", "#", content, "bafkqaaa", peer, "docs.ipfs.tech", "%2e", "-", "ipfs", "%",
    ]
    var found = 0
    for _ in 0..<600 {
      let roots = [content, "%62afkqaaa", peer, "docs.ipfs.tech", "a-b.c", "x", ""]
      let target =
        (random.chance(0.5) ? "/ipfs/" : "/ipns/")
        + roots[random.number(in: 0...roots.count - 1)]
        + (0..<random.number(in: 0...6)).map { _ in
          pieces[random.number(in: 0...pieces.count - 1)]
        }.joined()
      // Straight past the parser.
      let host = "dweb.example"
      let text = Array((target + host).utf8)
      let count = target.utf8.count
      var head = RequestHead()
      head.method = .get
      let mark = text[..<count].firstIndex(of: UInt8(ascii: "?")) ?? count
      head.target = ByteRange(start: 0, count: count)
      head.path = ByteRange(start: 0, count: mark)
      if mark < count { head.query = ByteRange(start: mark + 1, count: count - mark - 1) }
      head.authority = ByteRange(start: count, count: host.utf8.count)
      let isSecure = random.chance(0.5)
      let name = Routed(head, text, isSecure: isSecure).name
      guard name.hasPrefix("to ") else { continue }
      found += 1
      let scheme = isSecure ? "to https://" : "to http://"
      try #require(name.hasPrefix(scheme))
      let rest = name.dropFirst(scheme.count)
      let authority = rest.prefix { $0 != "/" }
      try #require(rest.count > authority.count, "\(target)")
      #expect(
        authority.hasSuffix(".ipfs.dweb.example") || authority.hasSuffix(".ipns.dweb.example"),
        "\(target)")
      let label = Array(authority.dropLast(".ipfs.dweb.example".count).utf8)
      let isName = HostPattern.isName(label.rawBytes)
      #expect(isName && !(isSecure && label.contains(0x2e)), "\(target)")
      // The query is the client's own.
      #expect(name.hasSuffix(String(decoding: text[mark..<count], as: UTF8.self)))
    }
    #expect(found > 60)
  }

  // MARK: Content that is a host

  @Test(arguments: [
    ("\(content).ipfs.dweb.example", "/", "content subdomain /ipfs/\(content)/"),
    ("\(content).ipfs.dweb.example", "/a%20b//c?x", "content subdomain /ipfs/\(content)/a b/c"),
    ("\(content).ipfs.dweb.example:8080", "/a/", "content subdomain /ipfs/\(content)/a/"),
    ("\(content).IPFS.both.example.", "/a", "content subdomain /ipfs/\(content)/a"),
    (
      "\(content).ipfs.dweb.example", "/ipfs/bafkqaaa",
      "content subdomain /ipfs/\(content)/ipfs/bafkqaaa"
    ),
    ("\(content).ipfs.dweb.example", "/health", "content subdomain /ipfs/\(content)/health"),
    ("\(peer).ipns.dweb.example", "/a", "named subdomain /ipns/\(peer)/a"),
    ("docs-ipfs-tech.ipns.dweb.example", "/a", "named subdomain /ipns/docs.ipfs.tech/a"),
    ("docs.ipfs.tech.ipns.dweb.example", "/a", "named subdomain /ipns/docs.ipfs.tech/a"),
    ("a--b.ipns.dweb.example", "/", "named subdomain /ipns/a-b/"),
    ("a-b.c.ipns.dweb.example", "/", "named subdomain /ipns/a-b.c/"),
    ("localhost.ipns.dweb.example", "/", "named subdomain /ipns/localhost/"),
    ("-a.ipns.dweb.example", "/", "named subdomain /ipns/-a/"),
    ("docs.example", "/a%20b", "named dnslink /ipns/docs.example/a b"),
    ("docs.example:8080", "/", "named dnslink /ipns/docs.example/"),
    ("docs.example.", "/health", "named dnslink /ipns/docs.example/health"),
    ("docs.example", "/ipfs/bafkqaaa", "named dnslink /ipns/docs.example/ipfs/bafkqaaa"),
    ("docs.example", "/?uri=x", "pass with host"),
    ("docs.example", "/?uris=x", "named dnslink /ipns/docs.example/"),
    ("\(content).ipfs.dweb.example", "/a?b&uri=x", "pass with host"),
    ("both.example", "/a", "named dnslink /ipns/both.example/a"),
    ("both.example:80", "/ipfs", "named dnslink /ipns/both.example/ipfs"),
    ("path.example", "/ipfs/\(content)/a", "content path /ipfs/\(content)/a"),
    ("path.example", "/ipns/docs.example/a", "named path /ipns/docs.example/a"),
  ])
  func eachHostHasItsMode(host: String, target: String, expected: String) {
    for method in ["GET", "HEAD"] {
      #expect(Routed(target, host: host, method: method).name == expected)
    }
  }

  @Test(arguments: [
    ("none.ipfs.dweb.example", "/", "400"), ("a.b.ipfs.dweb.example", "/", "400"),
    (".ipfs.dweb.example", "/", "400"), ("\(content)x.ipfs.dweb.example", "/", "400"),
    // No path may leave its host's content.
    ("\(content).ipfs.dweb.example", "/../bafkqaaa", "400"),
    ("\(content).ipfs.dweb.example", "/%2e%2e/bafkqaaa", "400"),
    ("docs.example", "/../\(peer)", "400"), ("\(peer).ipns.dweb.example", "/a/../../x", "400"),
    // Nor may a label be a namespace that the path goes on from.
    ("ipfs.ipfs.dweb.example", "/\(content)", "400"),
    ("ipns.ipfs.dweb.example", "/ipfs/\(content)", "400"),
    // What is not kept needs its host.
    ("\(content).ipfs.dweb.example", "/?format=tar", "pass with host"),
    ("\(content).ipfs.dweb.example", "/?format=car&car-dups=x", "pass with host"),
    ("docs.example", "/?format=ipns-record", "pass with host"),
    ("path.example", "/ipfs/\(content)?format=tar", "pass"),
    ("\(content).ipfs.path.example", "/", "404"), ("\(content).ipfs.docs.example", "/", "404"),
  ])
  func otherHostsAndPaths(host: String, target: String, expected: String) {
    #expect(Routed(target, host: host).name == expected)
  }

  @Test func aHostsCaseMeansNothing() throws {
    let lower = try #require(Routed("/a", host: "bafkqaaa.ipfs.dweb.example").key)
    #expect(Routed("/a", host: "BAFKQAAA.Ipfs.DWEB.example").key == lower)
    #expect(Routed("/a", host: "bafkqaaa.ipfs.both.example:80").key == lower)
  }

  @Test func keysDifferByMode() throws {
    let path = try #require(Routed("/ipfs/\(content)/a").key)
    let subdomain = try #require(Routed("/a", host: "\(content).ipfs.dweb.example").key)
    #expect(path != subdomain && path.dropFirst() == subdomain.dropFirst())
    // What names lead to is kept by the same rule.
    var keys: Set<[UInt8]> = []
    let root = try cid(content)
    for host in ["path.example", "docs.example", "docs-ipfs-tech.ipns.dweb.example"] {
      let target = host == "path.example" ? "/ipns/docs.example/a" : "/a"
      let asked = try #require(Routed(target, host: host).asked)
      let remainder = Array("/a".utf8)
      let text: [UInt8] = []
      var key = ByteBuffer(capacity: 64)
      CanonicalKey.append(
        asked, text: text.rawBytes, root: root, remainder: remainder.rawBytes, to: &key)
      keys.insert(key.readable.array)
    }
    #expect(keys.count == 3 && keys.contains(path) && keys.contains(subdomain))
  }

  // MARK: The gateway's own

  @Test(arguments: [
    ("path.example", "health"), ("dweb.example", "health"), ("both.example", "health"),
    ("elsewhere.example", "health"), ("127.0.0.1:8080", "health"),
    ("docs.example", "named dnslink /ipns/docs.example/health"),
    ("bafkqaaa.ipfs.dweb.example", "content subdomain /ipfs/bafkqaaa/health"),
    ("none.ipfs.dweb.example", "400"),
  ])
  func healthIsTheGatewaysWhereNoSiteHasIt(host: String, expected: String) {
    #expect(Routed("/health", host: host).name == expected)
    #expect(Routed("/health", host: host, method: "POST").name == "405")
  }

  @Test(arguments: ["elsewhere.example", "x.path.example", "127.0.0.1", "[::1]:80", "example"])
  func unknownHostsHaveNothing(host: String) {
    for target in ["/", "/ipfs/\(content)", "/ipns/docs.example/", "/?uri=ipfs://x", "/ipfs/none"] {
      #expect(Routed(target, host: host).name == "404", "\(target)")
    }
    #expect(Routed("/ipfs/\(content)", host: host, method: "OPTIONS").name == "options")
  }

  @Test func nobodyAsksAnEmptyTable() {
    let none = HostTable([])
    #expect(Routed("/ipfs/\(content)", host: "a", in: none).name == "404")
    #expect(Routed("/health", host: "a", in: none).name == "health")
    #expect(Routed("/a", host: "x.ipfs.a", in: .standard).name == "pass with host")
  }

  /// The usual table is not searched for most hosts, which must make no difference.
  @Test func theStandardIsWhatItsTableSays() {
    var random = SeededRandom(seed: 53)
    let pieces = [
      "ipfs", "IPNS", "a", ".", ".", ".", "ipfsx", ":80", "[::1]", "127.0.0.1", "-", "b.ipfs.c",
    ]
    var found = 0
    for _ in 0..<3_000 {
      let host = (0..<random.number(in: 1...7)).map { _ in
        pieces[random.number(in: 0...pieces.count - 1)]
      }.joined()
      let target = "/ipfs/bafkqaaa"
      let text = Array((target + host).utf8)
      var head = RequestHead()
      head.method = .get
      head.target = ByteRange(start: 0, count: target.utf8.count)
      head.path = head.target
      head.authority = ByteRange(start: head.target.end, count: host.utf8.count)
      let name = Array(host.utf8)
      let kind = HostTable.standard.classify(host: name.rawBytes)
      let expected = kind == .foreignSubdomain ? "pass with host" : "content path /ipfs/bafkqaaa"
      #expect(kind == .foreignSubdomain || kind == .path)
      #expect(Routed(head, text, in: .standard, isSecure: false).name == expected, "\(host)")
      if kind == .foreignSubdomain { found += 1 }
    }
    #expect(found > 100)
  }
}
