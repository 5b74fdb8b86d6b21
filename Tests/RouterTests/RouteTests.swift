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
  case .content(let asked):
    let form = asked.form == .file ? "content " : "\(asked.form) "
    return (form + path.readable.bytes(asked.root).text, key.readable.array)
  case .named(let asked): return ("named " + path.readable.bytes(asked.root).text, nil)
  case .passThrough(let keepsHost): return (keepsHost ? "pass with host" : "pass", nil)
  case .redirect(let location): return ("to \(String(decoding: location, as: UTF8.self))", nil)
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

  // MARK: Forms

  @Test(arguments: [
    ("format=raw", "raw"), ("x=1&format=car", "car"), ("format=json", "json"),
    ("format=cbor", "cbor"), ("format=dag-json", "dagJSON"), ("format=dag-cbor", "dagCBOR"),
    ("format=", "content"), ("format", "content"), ("format=none", "content"),
    ("format=RAW", "content"), ("format=raw&format=car", "raw"), ("Format=raw", "content"),
    ("form%61t=raw", "raw"), ("format=%72aw", "raw"), ("format=r+w", "content"),
    ("go-get=1", "content"), ("filename=a.txt", "content"), ("download=true", "content"),
    ("dag-scope=all", "content"),
    ("entity-bytes=0:9", "content"), ("car-version=1", "content"), ("car-dups=n", "content"),
  ])
  func theQueryChoosesTheForm(query: String, form: String) {
    #expect(route("/ipfs/\(old)/a?\(query)") == "\(form) \(old)")
    // The URL goes before Accept.
    if form != "content" {
      #expect(
        route("/ipfs/\(old)/a?\(query)", fields: "Accept: application/x-tar\r\n")
          == "\(form) \(old)")
    }
  }

  @Test(arguments: [
    ("*/*", "content"), ("text/html,application/xhtml+xml,image/avif,*/*;q=0.8", "content"),
    ("application/json", "json"), ("application/octet-stream", "content"), ("", "content"),
    ("application/vnd.ipld.raw", "raw"), ("text/html, application/vnd.ipld.car;version=1", "car"),
    ("application/json, text/plain, */*", "json"), ("text/html ,\tAPPLICATION/CBOR", "cbor"),
    (",,application/vnd.ipld.dag-json", "dagJSON"), ("x;y=\"application/cbor\"", "content"),
    ("application/vnd.ipld.raw;q=0.1, application/vnd.ipld.car", "raw"),
    ("application/vnd.ms-excel", "content"), ("application/vnd.ipl", "content"),
  ])
  func acceptChoosesAsGatewaysDo(accept: String, form: String) {
    #expect(route("/ipfs/\(old)/a", fields: "Accept: \(accept)\r\n") == "\(form) \(old)")
    // The second field of the name counts as well.
    #expect(
      route("/ipfs/\(old)/a", fields: "Accept: text/html\r\nAccept: \(accept)\r\n")
        == "\(form) \(old)")
  }

  @Test(arguments: [
    "application/vnd.ipld.something", "text/html, application/vnd.ipfs.x", "application/json5",
  ])
  func typesThatGatewaysDoNotHaveAreRefused(accept: String) {
    #expect(route("/ipfs/\(old)/a", fields: "Accept: \(accept)\r\n").hasPrefix("400 "))
    // A known format in the URL makes Accept meaningless.
    #expect(route("/ipfs/\(old)?format=raw", fields: "Accept: \(accept)\r\n") == "raw \(old)")
  }

  @Test func everyFormHasAKeyOfItsOwn() throws {
    let car = "/ipfs/\(old)/a?format=car"
    let targets = [
      "/ipfs/\(old)/a", "/ipfs/\(old)/a?format=raw", "/ipfs/\(old)/a?format=json",
      "/ipfs/\(old)/a?format=cbor", "/ipfs/\(old)/a?format=dag-json",
      "/ipfs/\(old)/a?format=dag-cbor", car, "\(car)&dag-scope=all", "\(car)&dag-scope=entity",
      "\(car)&dag-scope=block", "\(car)&car-order=dfs", "\(car)&car-order=unk",
      "\(car)&car-dups=y", "\(car)&car-dups=n", "\(car)&entity-bytes=0:1",
      "\(car)&entity-bytes=0:*", "\(car)&entity-bytes=1:1", "\(car)&entity-bytes=-1:*",
      "/ipfs/\(old)/a/?format=car",
    ]
    let keys = try targets.map { try #require(key($0), "\($0)") }
    #expect(Set(keys).count == keys.count)
  }

  @Test func whatMeansTheSameHasTheSameKey() throws {
    func key(_ query: String, _ accept: String = "*/*") -> [UInt8]? {
      let head = "GET /ipfs/\(old)?\(query) HTTP/1.1\r\nHost: a\r\nAccept: \(accept)\r\n\r\n"
      return outcome(Array(head.utf8)).key
    }
    let car = try #require(key("format=car&car-dups=y&dag-scope=entity"))
    #expect(key("dag-scope=entity&car-dups=y&x=1&format=car&filename=a") == car)
    #expect(key("dag-scope=entity", "application/vnd.ipld.car; dups=y") == car)
    #expect(
      key("dag-scope=entity", "text/html, application/vnd.ipld.car;version=1;dups=\"y\"") == car)
    #expect(key("format=car&dag-scope=entity", "application/vnd.ipld.car;dups=y") == car)
    // The URL goes before the type's parameters, and those of another type mean nothing.
    #expect(key("format=car&car-dups=y&dag-scope=entity", "application/vnd.ipld.car;dups=n") == car)
    #expect(key("format=car&car-dups=y&dag-scope=entity", "application/json;dups=n") == car)
    #expect(key("filename=x.png&download=true") == key(""))
    #expect(key("format=raw") == key("", "application/vnd.ipld.raw"))
  }

  // MARK: Passed through

  @Test(arguments: [
    "format=tar", "format=ipns-record", "form%61t=t%61r",
    "format=car&car-version=2", "format=car&dag-scope=some", "format=car&entity-bytes=x",
    "format=car&car-dups=maybe", "format=car&entity-bytes=1:", "format=car&car-order=bfs",
  ])
  func whatIsUnusualIsTheUpstreams(query: String) {
    #expect(route("/ipfs/\(old)/a?\(query)") == "pass")
    #expect(route("/ipns/example.org?\(query)") == "pass")
  }

  @Test func anAddressToBeRegisteredIsPassedThroughAnywhere() {
    #expect(route("/?uri=ipfs%3A%2F%2Fx") == "pass")
    #expect(route("/elsewhere?uri=ipfs%3A%2F%2Fx") == "pass")
    #expect(route("/elsewhere?format=raw").hasPrefix("404 "))
  }

  @Test func namesAndPathsThatMove() {
    #expect(route("/ipns/example.org/a") == "named example.org")
    let name = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
    #expect(route("/ipns/\(name)?format=raw") == "named \(name)")
    // Cleaned as gateways do it.
    for path in ["//a/b", "/a/./b", "/a/../a/b", "/x/../a//b"] {
      #expect(key("/ipfs/\(old)\(path)") == key("/ipfs/\(old)/a/b"), "\(path)")
    }
    #expect(route("/ipfs/ipfs/\(old)") == "pass")
    #expect(route("/ipfs/ipns/example.org") == "pass")
  }

  /// One for the whole gateway could read all that its visitors ask for.
  @Test func serviceWorkersMayHaveOneContentAtMost() {
    for path in ["/ipfs/\(old)", "/ipns/example.org", "/ipfs/\(old)?x=1"] {
      #expect(route(path, fields: "Service-Worker: script\r\n").hasPrefix("400 "), "\(path)")
      #expect(!route(path, fields: "Service-Worker: none\r\n").hasPrefix("400 "), "\(path)")
    }
    for path in ["/ipfs/\(old)/", "/ipfs/\(old)/sw.js"] {
      #expect(route(path, fields: "Service-Worker: script\r\n") == "content \(old)", "\(path)")
    }
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
      case .content(let asked):
        found["content", default: 0] += 1
        let name = path.readable.bytes(asked.root).array
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
      _ = HostTable.standard.classify(host: bytes.rawBytes)
      // With a choosing type put in as an entry of its own, it is always found.
      let with = bytes + Array(",application/x-tar".utf8)
      #expect(FormChoice.firstEntry(of: with.rawBytes) != nil)
    }
  }
}
