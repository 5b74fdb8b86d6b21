import Base
import HTTP
import HTTP1
import IPFS
import Testing

@testable import Router

/// Where a request came to, as text that can be compared.
func route(
  _ target: String, method: String = "GET", host: String = "gateway.example",
  fields: String = "", version: String = "1.1"
) -> String {
  outcome(Array("\(method) \(target) HTTP/\(version)\r\nHost: \(host)\r\n\(fields)\r\n".utf8)).name
}

/// The key of a content route, nil for every other.
func key(_ target: String) -> [UInt8]? {
  outcome(Array("GET \(target) HTTP/1.1\r\nHost: a\r\n\r\n".utf8)).key
}

func outcome(_ wire: [UInt8]) -> (name: String, key: [UInt8]?) {
  var parser = RequestParser(limits: HTTP1Limits(lineBytes: 1 << 20, headBytes: 1 << 20))
  var head = RequestHead()
  guard case .complete(let count) = parser.parse(wire.rawBytes, into: &head) else {
    return ("unparsed", nil)
  }
  // What stood in them before must not matter.
  var path = ByteBuffer(capacity: 64)
  path.append("/old")
  var key = ByteBuffer(capacity: 64)
  key.append("old")
  let text = wire.rawBytes.extracting(0..<count)
  switch Router.route(head, text: text, path: &path, key: &key) {
  case .health: return ("health", nil)
  case .options: return ("options", nil)
  case .content(let root): return ("content " + path.readable.bytes(root).text, key.readable.array)
  case .passThrough(let keepsHost): return (keepsHost ? "pass with host" : "pass", nil)
  case .refuse(let status, let reason): return ("\(status) \(reason.sentence)", nil)
  }
}

let old = "QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"

func cid(_ text: String) throws -> CID { try CID.parse(Array(text.utf8).rawBytes) }

@Suite struct RouteTests {
  // MARK: Content

  @Test(arguments: [
    "", "/", "/a", "/a/b.txt", "/a/b/", "/%C3%A9", "/a%20b", "?x=1", "/a?download2=1&x",
  ])
  func contentIsKept(rest: String) {
    #expect(route("/ipfs/\(old)\(rest)") == "content \(old)")
    #expect(route("/ipfs/\(old)\(rest)", method: "HEAD") == "content \(old)")
  }

  @Test func everySpellingOfACIDHasTheSameKey() throws {
    let one = try cid(old)
    let expected = try #require(key("/ipfs/\(old)/a/b"))
    for base in Multibase.allCases {
      var text = ByteBuffer(capacity: 128)
      one.appendText(in: base, to: &text)
      let spelling = text.readable.text
      // A slash or plus of base64 means something else in a path or stands as it is.
      if base == .base64 && spelling.contains("/") { continue }
      #expect(key("/ipfs/\(spelling)/a/b") == expected, "\(base)")
      #expect(route("/ipfs/\(spelling)") == "content \(spelling)")
    }
  }

  @Test func everySpellingOfAPathHasTheSameKey() throws {
    let expected = try #require(key("/ipfs/\(old)/a%20b/c.txt"))
    for path in ["%61%20b/c.txt", "a%20b%2Fc.txt", "a%20b%2fc%2Etxt", "a%20b/c.txt?x=y"] {
      #expect(key("/ipfs/\(old)/\(path)") == expected, "\(path)")
    }
    #expect(key("/ipfs%2F\(old)/a%20b/c.txt") == expected)
  }

  @Test func whatIsNotTheSameHasAnotherKey() throws {
    let one = try cid(old)
    let raw = try CID(codec: .raw, hash: one.hash, digest: one.digest)
    let other = try CID(codec: .dagCBOR, hash: one.hash, digest: one.digest)
    let targets = [
      "\(old)", "\(old)/", "\(old)/a", "\(old)/a/", "\(old)/A", "\(old)/a/b", "\(old)/ab",
      "\(old)/a%2520b", "\(old)/a%20b", "\(old)/a+b", "\(raw)", "\(raw)/a", "\(other)",
      "bafkqaaa", "bafkqaaa/", "\(old)/%C3%A9", "\(old)/e%CC%81",
    ]
    let keys = try targets.map { try #require(key("/ipfs/\($0)"), "\($0)") }
    #expect(Set(keys).count == keys.count)
  }

  // MARK: Passed through

  @Test(arguments: [
    "format=raw", "format=", "format", "x=1&format=car", "filename=a.txt", "download=true",
    "go-get=1", "dag-scope=all", "entity-bytes=0:9", "car-version=1", "car-order=dfs",
    "car-dups=n", "uri=ipfs%3A%2F%2Fx", "form%61t=raw",
  ])
  func parametersThatChooseAreNotKept(query: String) {
    #expect(route("/ipfs/\(old)/a?\(query)") == "pass")
    #expect(route("/ipns/example.org?\(query)") == "pass")
  }

  @Test func anAddressToBeRegisteredIsPassedThroughAnywhere() {
    #expect(route("/?uri=ipfs%3A%2F%2Fx") == "pass")
    #expect(route("/elsewhere?uri=ipfs%3A%2F%2Fx") == "pass")
    #expect(route("/elsewhere?format=raw").hasPrefix("404 "))
  }

  @Test(arguments: [
    ("*/*", false), ("text/html,application/xhtml+xml,image/avif,*/*;q=0.8", false),
    ("application/json5", true), ("application/octet-stream", false), ("", false),
    ("application/vnd.ipld.raw", true), ("text/html, application/vnd.ipld.car;version=1", true),
    ("application/json, text/plain, */*", true), ("text/html ,\tAPPLICATION/CBOR", true),
    ("application/x-tar", true), ("application/vnd.ipfs.ipns-record", true),
    (",,application/vnd.ipld.dag-json", true), ("x;y=\"application/cbor\"", false),
    ("application/vnd.ms-excel", false), ("application/vnd.ipl", false),
  ])
  func acceptChoosesAsGatewaysDo(accept: String, chooses: Bool) {
    #expect(
      route("/ipfs/\(old)/a", fields: "Accept: \(accept)\r\n")
        == (chooses ? "pass" : "content \(old)"))
    // The second field of the name counts as well.
    #expect(
      route("/ipfs/\(old)/a", fields: "Accept: text/html\r\nAccept: \(accept)\r\n")
        == (chooses ? "pass" : "content \(old)"))
  }

  @Test func whatOnlyTheUpstreamKnowsIsPassedThrough() {
    #expect(route("/ipns/example.org/a") == "pass")
    #expect(route("/ipns/k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8") == "pass")
    #expect(route("/ipfs/\(old)/sw.js", fields: "Service-Worker: script\r\n") == "pass")
    // Gateways redirect these.
    for path in ["//a", "/a/./b", "/a/../b", "/a//"] {
      #expect(route("/ipfs/\(old)\(path)") == "pass", "\(path)")
    }
    #expect(route("/ipfs/ipfs/\(old)") == "pass")
    #expect(route("/ipfs/ipns/example.org") == "pass")
  }

  @Test(arguments: [
    ("bafkqaaa.ipfs.dweb.link", true), ("BAFKQAAA.IPFS.dweb.link:8080", true),
    ("en-wikipedia--on--ipfs-org.ipns.localhost", true), ("a.b.ipfs.c", true),
    ("ipfs.io", false), ("ipns.example", false), ("a.ipfs", false), ("dweb.link", false),
    ("a.ipfsx.example", false), ("xipfs.example.org", false), ("127.0.0.1:8080", false),
  ])
  func hostsThatNameContentAreKept(host: String, names: Bool) {
    #expect(
      route("/ipfs/\(old)", host: host) == (names ? "pass with host" : "content \(old)"))
    #expect(route("/index.html", host: host).hasPrefix(names ? "pass with host" : "404 "))
  }

  // MARK: The rest

  @Test func refusals() {
    for target in ["/", "/favicon.ico", "/ipfsx/\(old)", "/IPFS/\(old)", "/api/v0/id"] {
      #expect(route(target).hasPrefix("404 "), "\(target)")
    }
    for target in [
      "/ipfs", "/ipfs/", "/ipns/", "/ipfs/none", "/ipfs/\(old)x", "/ipfs/\(old.dropLast())",
      "/ipfs/\(old)/%", "/ipfs/\(old)/%2", "/ipfs/\(old)/%zz", "/ipfs/\(old)/%00",
      "/ipfs/\(old)/../..", "/ipfs/..", "/ipfs/\(old.uppercased())",
    ] {
      #expect(route(target).hasPrefix("400 "), "\(target)")
    }
    let long = "/ipfs/\(old)/" + String(repeating: "a", count: ContentPath.maximumBytes)
    #expect(route(long).hasPrefix("414 "))
    #expect(route(String(long.prefix(ContentPath.maximumBytes))) == "content \(old)")
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PURGE"] {
      #expect(route("/ipfs/\(old)", method: method).hasPrefix("405 "), "\(method)")
      #expect(route("/health", method: method).hasPrefix("405 "), "\(method)")
    }
  }

  @Test func theGatewaysOwn() {
    #expect(route("/health") == "health")
    #expect(route("/health?x", method: "HEAD") == "health")
    #expect(route("/health/").hasPrefix("404 "))
    #expect(route("/ipfs/\(old)", method: "OPTIONS") == "options")
    #expect(route("*", method: "OPTIONS") == "options")
  }

  // MARK: Anything at all

  /// Bytes from nowhere and damaged requests get some answer, and keys only where they are content.
  @Test(arguments: 0..<20 as Range<UInt64>) func anythingIsRouted(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let pieces = [
      "/", "ipfs", "ipns", old, "bafkqaaa", "%", "%2f", "%00", "..", ".", "?", "&", "=", "format",
      "uri", "a", "é", "//", "/ipfs/", "/ipfs/\(old)",
    ]
    var found: [String: Int] = [:]
    for _ in 0..<400 {
      var target = (0..<random.number(in: 0...7)).flatMap { _ in
        Array((pieces.randomElement(using: &random) ?? "").utf8)
      }
      if random.chance(0.6) {
        target = Array("/ipfs/\(random.chance(0.5) ? "bafkqaaa/" : "")".utf8) + target
      }
      for _ in 0..<random.number(in: 0...2) where !target.isEmpty {
        target[random.number(in: 0...(target.count - 1))] = UInt8(random.number(in: 0...255))
      }
      // Straight past the parser, with a place for the target that may be any bytes.
      let wire = target
      var head = RequestHead()
      head.method = random.chance(0.9) ? .get : .head
      let query = wire.firstIndex(of: UInt8(ascii: "?")) ?? wire.count
      head.path = ByteRange(start: 0, count: query)
      if query < wire.count {
        head.query = ByteRange(start: query + 1, count: wire.count - query - 1)
      }
      var path = ByteBuffer(capacity: 64)
      var key = ByteBuffer(capacity: 64)
      let route = Router.route(head, text: wire.rawBytes, path: &path, key: &key)
      switch route {
      case .content(let root):
        found["content", default: 0] += 1
        let name = path.readable.bytes(root).array
        #expect((try? CID.parse(name.rawBytes)) != nil)
        let count = key.count
        #expect(count > 3)
      default:
        found["other", default: 0] += 1
        let isEmpty = key.isEmpty
        #expect(isEmpty)
      }
    }
    #expect(found["content", default: 0] > 5 && found["other", default: 0] > 5)
  }

  @Test(arguments: 0..<10 as Range<UInt64>) func anyAcceptAndHostIsRead(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let alphabet = Array(", \t;=application/cbor.ipfs.x".utf8)
    for _ in 0..<500 {
      let bytes = (0..<random.number(in: 0...40)).map { _ in
        random.chance(0.1)
          ? UInt8(random.number(in: 0...255)) : alphabet.randomElement(using: &random) ?? 0
      }
      _ = Router.namesContent(host: bytes.rawBytes)
      // With a choosing type put in as an entry of its own, it is always found.
      let with = bytes + Array(",application/x-tar".utf8)
      let chooses = Router.selectsForm(accept: with.rawBytes)
      #expect(chooses)
    }
  }
}
