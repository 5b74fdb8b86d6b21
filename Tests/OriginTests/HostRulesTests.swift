import HTTP
import IPFS
import Testing

@testable import Origin

/// Hosts, names and `_redirects`.
struct HostRulesTests {
  let builder: UnixFSBuilder
  let store: CARStore
  let rules: OriginRules
  let root: CID
  let page: CID

  init() throws {
    var builder = UnixFSBuilder()
    let redirects = """
      /old /new.html
      /found /index.html 302
      /app/* /index.html 200
      /lost /missing.html 200
      /not/:a/* /404.html 404
      /gone /404.html 410
      /law /404.html 451
      /bad /none.html 404
      /away https://example.org/x 308
      """
    let page = try builder.addFile(Array("my 404".utf8))
    self.page = page.cid
    let index = try builder.addFile(Array("my index".utf8))
    let folder = try builder.addDirectory(["a b": index])
    let site = try builder.addDirectory([
      "_redirects": builder.addFile(Array(redirects.utf8)), "404.html": page,
      "index.html": index, "folder": folder,
    ])
    let wrong = try builder.addDirectory([
      "_redirects": builder.addFile(Array("/a /b 301!".utf8)), "ipfs": folder,
    ])
    let outer = try builder.addDirectory(["wrong": wrong, "site": site])
    root = site.cid
    self.builder = builder
    store = try CARStore(car: builder.car(roots: [outer.cid]))
    var options = OriginOptions()
    options.subdomainHosts = ["dweb.example", "local.example:8080"]
    options.names = [
      try OriginName(parsing: "site.example=/ipfs/\(site.cid),ttl=60s"),
      try OriginName(parsing: "my.v-long.example.com=/ipfs/\(site.cid)"),
      try OriginName(parsing: "outer.example=/ipfs/\(outer.cid)/wrong,ttl=2m"),
      try OriginName(parsing: "alias.example=/ipns/site.example/folder,ttl=1h"),
      try OriginName(parsing: "round.example=/ipns/round.example"),
      try OriginName(parsing: "\(Self.key)=/ipfs/\(site.cid),ttl=300"),
    ]
    rules = OriginRules(store, options)
  }

  static let key = "k51qzi5uqu5dlvj2baxnqndepeb86cbk3ng7n3i46uzyxzyqj2xjonzllnv0v8"
  static let peer = "12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK"

  // MARK: Names

  @Test func namesHaveTheirTime() throws {
    let answer = rules.get("/ipns/site.example/folder/a%20b")
    #expect(answer.status == 200)
    #expect(answer.value(.cacheControl) == "public, max-age=60")
    #expect(answer.value(.lastModified) == nil)
    #expect(answer.value(.xIpfsPath) == "/ipns/site.example/folder/a b")
    #expect(answer.value(.xIpfsRoots)?.hasPrefix("\(root),") == true)
    let listing = rules.get("/ipns/site.example/folder/")
    #expect(
      listing.value(.cacheControl) == "public, max-age=60, stale-while-revalidate=2678400")
    let unknown = rules.get("/ipns/my.v-long.example.com/404.html")
    #expect(unknown.value(.cacheControl) == nil)
    #expect(unknown.value(.lastModified) == OriginRules.date(testTime))
    let etag = try #require(answer.value(.etag))
    let known = rules.get("/ipns/site.example/folder/a%20b", [.ifNoneMatch: etag])
    #expect(known.status == 304)
    #expect(known.value(.cacheControl) == "public, max-age=60")
  }

  @Test func namesOfNamesHaveTheShorterTime() throws {
    let answer = rules.get("/ipns/alias.example/a%20b")
    #expect(try answer.text() == "my index")
    #expect(answer.value(.cacheControl) == "public, max-age=60")
    #expect(rules.get("/ipns/round.example/").status == 400)
    #expect(rules.get("/ipns/nobody.example/").status == 500)
  }

  @Test func everySpellingOfAKeyLeadsToOne() throws {
    #expect(try rules.get("/ipns/\(Self.key)/404.html").text() == "my 404")
    for spelling in [Self.peer, "bafzaajaiaejca"] where PeerKey.parse(Array(spelling.utf8)) != nil {
      let answer = rules.get("/ipns/\(spelling)/x/?a=b")
      #expect(answer.status == 302)
      #expect(answer.value(.location) == "/ipns/\(Self.key)/x/?a=b")
    }
    let rsa = rules.get("/ipns/QmcJM7PRfkSbcM5cf1QugM5R37TLRKyJGgBEhXjLTB8uA2/root2/")
    #expect(
      rsa.value(.location)
        == "/ipns/k2k4r8ol4m8kkcqz509c1rcjwunebj02gcnm5excpx842u736nja8ger/root2/")
    let car = rules.get("/ipns/\(Self.key)/404.html?format=car&dag-scope=block")
    #expect(car.value(.cacheControl) == "public, max-age=300")
    #expect(
      car.value(.etag)
        == rules.get("/ipfs/\(root)/404.html?format=car&dag-scope=block").value(.etag))
  }

  @Test(arguments: ["x", "=/ipfs/bafkqaaa", "a=", "a=/ipfs/no", "a=/ipfs/bafkqaaa,ttl=1d", "a=b"])
  func wrongNamesAreRefused(text: String) {
    #expect(throws: OriginName.Malformed.self) { try OriginName(parsing: text) }
  }

  // MARK: Hosts

  /// Host and target, fields, Location.
  @Test func pathsOnAKnownHostAreRedirected() {
    let path = "/ipfs/\(root)/a%20b?x=%2F&y"
    #expect(
      rules.get(path, host: "dweb.example").value(.location)
        == "http://\(root).ipfs.dweb.example/a%20b?x=%2F&y")
    let secure: [FieldToken: String] = [
      .xForwardedHost: "dweb.example:1", .xForwardedProto: "https",
    ]
    #expect(
      rules.get("/ipfs/\(root)", secure).value(.location)
        == "https://\(root).ipfs.dweb.example:1/")
    #expect(rules.get("/ipfs/\(root)", secure).status == 301)
    #expect(
      rules.get("/ipns/my.v-long.example.com/x", secure).value(.location)
        == "https://my-v--long-example-com.ipns.dweb.example:1/x")
    #expect(
      rules.get("/ipns/my.v-long.example.com/x", host: "dweb.example").value(.location)
        == "http://my.v-long.example.com.ipns.dweb.example/x")
    #expect(
      rules.get("/ipns/\(Self.peer)", host: "local.example:8080").value(.location)
        == "http://\(Self.key).ipns.local.example:8080/")
    #expect(rules.get(path, host: "local.example").status == 404)
    #expect(
      rules.get("/ipfs/QmYzfKSE55XCjD1MW128RfciAf2DViABhEiXfgVFMabSjN", host: "dweb.example")
        .value(.location)?.hasPrefix("http://bafybei") == true)
  }

  @Test func whatFitsNoLabelIs400() {
    let long =
      "bafkrgqe3ohjcjplc6n4f3fwunlj6upltggn7xqujbsvnvyw764srszz4u4rshq6ztos4chl4plgg4ffyyxnayrtdi5oc4xb2332g645433aeg"
    #expect(rules.get("/ipfs/\(long)", host: "dweb.example").status == 400)
    #expect(rules.get("/", host: "\(long).ipfs.dweb.example").status == 400)
    #expect(rules.get("/", host: "nonsense.ipfs.dweb.example").status == 400)
    #expect(rules.get("/ipfs/nonsense", host: "dweb.example").status == 400)
    let label = String(repeating: "a", count: 64)
    #expect(rules.get("/", host: "\(label).ipns.dweb.example").status == 400)
    #expect(rules.get("/", host: "dweb.example").status == 404)
    #expect(
      rules.get("/ipfs/?uri=ipfs%3A%2F%2F\(root)", host: "dweb.example").value(.location)
        == "/ipfs/\(root)")
  }

  @Test func rootsHaveHostsOfTheirOwn() throws {
    let host = "\(root).ipfs.dweb.example"
    let answer = rules.get("/404.html", host: host)
    #expect(try answer.text() == "my 404")
    #expect(answer.value(.xIpfsPath) == "/ipfs/\(root)/404.html")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(rules.get("/folder?a=b", host: host).value(.location) == "/folder/?a=b")
    let listing = try rules.get("/folder/", host: host).text()
    #expect(listing.contains("href=\"//dweb.example/ipfs/"))
    #expect(listing.contains("href=\"..\""))
    #expect(rules.get("/ipfs/\(root)", host: host).status == 404)
    let other = rules.get(
      "/404.html", host: host, [.accept: "application/vnd.ipld.raw"])
    #expect(other.value(.contentLocation) == "/404.html?format=raw")
  }

  @Test func namesHaveHostsOfTheirOwn() throws {
    for host in [
      "site.example", "site.example:80", "site.example.ipns.dweb.example",
      "site-example.ipns.dweb.example", "\(Self.key).ipns.dweb.example",
      "my-v--long-example-com.ipns.dweb.example",
    ] {
      #expect(try rules.get("/", host: host).text() == "my index")
      #expect(rules.get("/old", host: host).value(.location) == "/new.html")
    }
    let listing = try rules.get("/folder/", host: "site.example").text()
    #expect(!listing.contains("/ipfs/bafy"))
    #expect(rules.get("/", host: "other.example").status == 404)
    #expect(rules.get("/ipfs/\(root)/404.html", host: "other.example").status == 200)
    #expect(
      rules.get("/", host: "\(root).ipns.dweb.example").value(.location)?
        .hasSuffix(".ipns.dweb.example/") == true)
  }

  @Test func forwardedHostBeatsHost() {
    let fields: [FieldToken: String] = [.xForwardedHost: "site.example"]
    #expect(rules.get("/404.html", host: "dweb.example", fields).status == 200)
  }

  @Test(arguments: [
    ("a-b.c", "a--b-c"), ("en.wikipedia-on-ipfs.org", "en-wikipedia--on--ipfs-org"),
    ("a--.b", "a-----b"),
  ])
  func namesFitOneLabel(name: String, label: String) {
    #expect(HostTable.inlined(name) == label)
    #expect(HostTable.name(inlined: label) == name)
  }

  // MARK: Redirects

  @Test func redirectsNeedAnOrigin() throws {
    let host = "\(root).ipfs.dweb.example"
    let moved = rules.get("/old", host: host)
    #expect(moved.status == 301)
    #expect(moved.value(.location) == "/new.html")
    #expect(moved.value(.cacheControl) == nil)
    #expect(rules.get("/found", host: host).status == 302)
    #expect(rules.get("/away", host: host).status == 308)
    #expect(rules.get("/away", host: host).value(.location) == "https://example.org/x")
    let rewritten = rules.get("/app/x/y", host: host)
    #expect(rewritten.status == 200)
    #expect(try rewritten.text() == "my index")
    #expect(rewritten.value(.xIpfsPath) == "/ipfs/\(root)/app/x/y")
    #expect(rules.get("/lost", host: host).status == 404)
    #expect(rules.get("/bad", host: host).status == 404)
    #expect(rules.get("/nothing", host: host).status == 404)
    #expect(rules.get("/ipfs/\(root)/old").status == 404)
    #expect(rules.get("/old", host: host, [.accept: "application/json"]).status == 404)
    #expect(rules.get("/old?format=raw", host: host).status == 404)
  }

  @Test(arguments: [("/not/a/b", 404), ("/gone", 410), ("/law", 451)])
  func customPages(path: String, status: Int) throws {
    let answer = rules.get(path, host: "\(root).ipfs.dweb.example")
    #expect(answer.status == status)
    #expect(try answer.text() == "my 404")
    #expect(answer.value(.etag) == "\"\(page)\"")
    #expect(answer.value(.contentType) == "text/html")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    let named = rules.get(path, host: "site.example")
    #expect(named.status == status)
    #expect(named.value(.cacheControl) == nil)
    #expect(named.value(.etag) == "\"\(page)\"")
  }

  @Test func wrongFileIs500() throws {
    let folder = rules.get("/nothing", host: "outer.example")
    // The file is looked for below the root that the name leads to, not below the path behind it.
    #expect(folder.status == 404)
    let wrong = try #require(
      rules.get("/ipns/outer.example/").value(.xIpfsRoots)?.split(separator: ",").last)
    let answer = rules.get("/nothing", host: "\(wrong).ipfs.dweb.example")
    #expect(answer.status == 500)
    #expect(try answer.text().contains("could not parse _redirects: forced redirects"))
    #expect(rules.get("/ipfs/", host: "\(wrong).ipfs.dweb.example").status == 200)
  }
}
