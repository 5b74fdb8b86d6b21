import Base
import HTTP
import HTTP1
import Testing

@testable import Router

/// Which paths are the cluster's, and what is asked in their place.
@Suite struct ClusterPathTests {
  private static let prefix = Array("/cluster/".utf8)

  private static func with<Result>(
    _ target: String, host: String = "a", _ body: (RequestHead, RawSpan) -> Result
  ) throws -> Result {
    let bytes = Array("GET \(target) HTTP/1.1\r\nHost: \(host)\r\n\r\n".utf8)
    var parser = RequestParser()
    var head = RequestHead()
    guard case .complete = parser.parse(bytes.rawBytes, into: &head) else {
      throw Malformed()
    }
    return body(head, bytes.rawBytes)
  }

  private struct Malformed: Error {}

  private static func target(_ path: String) throws -> String? {
    try with(path) { head, text in
      guard ClusterPath.isBelow(prefix, head, text: text) else { return "elsewhere" }
      return ClusterPath.target(below: prefix, head, text: text).map {
        String(decoding: $0, as: UTF8.self)
      }
    }
  }

  @Test(arguments: [
    ("/cluster/", "/"), ("/cluster/id", "/id"), ("/cluster/id?", "/id"),
    ("/cluster/pins?local=true&x=../..", "/pins?local=true&x=../.."),
    ("/cluster/pins/ipfs/Qm/a%20b/", "/pins/ipfs/Qm/a%20b/"), ("/cluster/...", "/..."),
    ("/cluster/.a/..b/c.", "/.a/..b/c."), ("/cluster/%252e%252e/x", "/%252e%252e/x"),
    ("http://a/cluster/id", "/id"),
  ])
  func whatServersAreAskedFor(path: String, target: String) throws {
    #expect(try Self.target(path) == target)
  }

  @Test(arguments: [
    "/cluster/..", "/cluster/.", "/cluster/../x", "/cluster/a/../b", "/cluster/%2e%2E/x",
    "/cluster/.%2e", "/cluster/%2e", "/cluster//x", "/cluster/a//", "/cluster/a/%2f",
    "/cluster/%2f",
    "/cluster/..%2fx", "/cluster/a%5cb", "/cluster/a\\b", "/cluster/%", "/cluster/%4",
    "/cluster/%g0",
    "/cluster/%00",
  ])
  func whatServersCouldReadOtherwise(path: String) throws {
    #expect(try Self.target(path) == nil)
  }

  @Test(arguments: [
    "/cluster", "/clusters/", "/CLUSTER/id", "//cluster/id", "/%63luster/id", "/./cluster/id",
    "/a/../cluster/id", "/?/cluster/", "/",
  ])
  func whatLiesElsewhere(path: String) throws {
    #expect(try Self.target(path) == "elsewhere")
  }

  @Test(arguments: [
    ("gateway.test", true), ("127.0.0.1:8080", true), ("dweb.test", true), ("docs.test", false),
    ("both.test", false), ("bafkqaaa.ipfs.dweb.test", false), ("bafkqaaa.ipfs.other.test", false),
    ("unknown.test", false),
  ])
  func hosts(host: String, isServed: Bool) throws {
    let table = HostTable([
      HostTable.Entry(try HostPattern("gateway.test")),
      HostTable.Entry(try HostPattern("127.0.0.1")),
      HostTable.Entry(try HostPattern("dweb.test"), subdomains: true),
      HostTable.Entry(try HostPattern("docs.test"), dnslink: true),
      HostTable.Entry(try HostPattern("both.test"), subdomains: true, dnslink: true),
    ])
    let book = HostBook(table)
    let found = try Self.with("/cluster/id", host: host) { head, text in
      ClusterPath.isServed(on: AskedSite(hosts: book, host: head.authority), text: text)
    }
    #expect(found == isServed)
  }

  /// Whatever is sent, what comes out has no step in it, and nothing traps.
  @Test(arguments: 0..<20 as Range<UInt64>)
  func randomPaths(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pieces = ["/", ".", "..", "%2e", "%2E", "%2f", "a", "%", "\\", "%5c", "?", "%25", "b%20"]
    for _ in 0..<2_000 {
      let count = random.number(in: 0...8)
      let rest = (0..<count).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
      guard let target = try? Self.target("/cluster/" + rest) else { continue }
      #expect(target.hasPrefix("/"))
      let path = target.prefix { $0 != "?" }
      let decoded = path.replacing("%2e", with: ".").replacing("%2E", with: ".")
        .replacing("%2f", with: "/").replacing("%5c", with: "\\")
      let segments = decoded.split(separator: "/", omittingEmptySubsequences: false)
      #expect(!segments.contains("..") && !segments.contains("."), "\(target)")
      #expect(!segments.dropFirst().dropLast().contains(""), "\(target)")
    }
  }
}
