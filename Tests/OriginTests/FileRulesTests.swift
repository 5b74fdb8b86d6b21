import Base
import HTTP
import IPFS
import Testing

@testable import Origin

struct FileRulesTests {
  let site: Site

  init() throws { site = try Site() }

  @Test func fileHasTheFieldsOfAGateway() throws {
    let path = "/ipfs/\(site.root.cid)/hello.txt"
    let answer = site.get(path)
    #expect(answer.status == 200)
    #expect(try answer.text() == "hello world\n")
    #expect(answer.bodyCount == 12)
    #expect(answer.value(.etag) == "\"\(site.hello.cid)\"")
    #expect(answer.value(.cacheControl) == "public, max-age=29030400, immutable")
    #expect(answer.value(.acceptRanges) == "bytes")
    #expect(answer.value(.contentType) == "text/plain; charset=utf-8")
    #expect(answer.value(.xIpfsPath) == path)
    #expect(answer.value(.xIpfsRoots) == "\(site.root.cid),\(site.hello.cid)")
    #expect(answer.value(.accessControlAllowOrigin) == "*")
    #expect(answer.value(.contentDisposition) == nil)
    #expect(answer.value(.contentLocation) == nil)
  }

  @Test(arguments: [
    ("noext", "text/plain; charset=utf-8"), ("page", "text/html"),
    ("long.bin", "application/octet-stream"), ("noext?filename=a.jpg", "image/jpeg"),
    ("hello.txt?filename=a.CSS", "text/css; charset=utf-8"),
  ])
  func typeComesFromNameThenBytes(target: String, type: String) {
    #expect(site.get("/ipfs/\(site.root.cid)/\(target)").value(.contentType) == type)
  }

  @Test func partFromTheMiddleIsNotSniffed() {
    let path = "/ipfs/\(site.root.cid)/noext"
    #expect(site.get(path, [.range: "bytes=1-3"]).value(.contentType) == nil)
    #expect(site.get(path, [.range: "bytes=0-3"]).value(.contentType) != nil)
  }

  /// Field value, status, bytes, Content-Range; the file has 3,333 bytes.
  @Test(
    arguments: [
      ("bytes=0-0", 206, 0..<1, "bytes 0-0/3333"),
      ("bytes=99-100", 206, 99..<101, "bytes 99-100/3333"),
      ("bytes=3000-", 206, 3000..<3333, "bytes 3000-3332/3333"),
      ("bytes=-10", 206, 3323..<3333, "bytes 3323-3332/3333"),
      ("bytes=-9999", 206, 0..<3333, "bytes 0-3332/3333"),
      ("bytes=10-99999", 206, 10..<3333, "bytes 10-3332/3333"),
      ("bytes=5-6,9-10", 206, 5..<7, "bytes 5-6/3333"),
      ("bytes=4000-, 9-10", 206, 9..<11, "bytes 9-10/3333"),
      ("bytes=0-3000,10-2000", 200, 0..<3333, nil),
      ("bytes=", 200, 0..<3333, nil),
      ("bytes=6-5", 400, nil, nil),
      ("lines=0-1", 400, nil, nil),
      ("bytes=3333-", 416, nil, "bytes */3333"),
      ("bytes=-0", 416, nil, "bytes */3333"),
    ] as [(String, Int, Range<Int>?, String?)])
  func ranges(field: String, status: Int, range: Range<Int>?, contentRange: String?) throws {
    let answer = site.get("/ipfs/\(site.long.cid)", [.range: field])
    #expect(answer.status == status)
    #expect(answer.value(.contentRange) == contentRange)
    if let range { #expect(try answer.bytes() == Array(site.longBytes[range])) }
  }

  @Test func anyRangeGivesItsBytes() throws {
    var random = SeededRandom(seed: 7)
    for _ in 0..<300 {
      let first = random.number(in: 0...3_332)
      let last = random.number(in: first...3_332)
      let answer = site.get("/ipfs/\(site.long.cid)", [.range: "bytes=\(first)-\(last)"])
      #expect(try answer.bytes() == Array(site.longBytes[first...last]))
    }
  }

  @Test func emptyFileIgnoresRange() throws {
    let answer = site.get("/ipfs/\(site.root.cid)/empty", [.range: "bytes=0-5"])
    #expect(answer.status == 200)
    #expect(answer.bodyCount == 0)
    #expect(answer.value(.contentType) == "text/plain")
    #expect(answer.value(.acceptRanges) == nil)
  }

  @Test func refusalsKeepTheContentsFields() {
    let path = "/ipfs/\(site.long.cid)"
    let etag = "\"\(site.long.cid)\""
    for (fields, status) in [
      ([FieldToken.range: "bytes=4000-"], 416), ([.ifMatch: "\"other\""], 412),
    ] {
      let answer = site.get(path, fields)
      #expect(answer.status == status)
      #expect(answer.value(.etag) == etag)
      #expect(answer.value(.cacheControl) == Lifetime.forever)
    }
    let head = site.get(path, [.range: "bytes=6-5"], method: .head)
    #expect(head.status == 416)
    #expect(head.value(.contentRange) == nil)
  }

  @Test func endOfABlockThatIsLongerThanTheBlockIs400() {
    let path = "/ipfs/\(site.hello.cid)"
    #expect(site.get(path + "?format=raw", [.range: "bytes=-13"]).status == 400)
    #expect(site.get(path + "?format=raw", [.range: "bytes=-12"]).status == 206)
    #expect(site.get(path, [.range: "bytes=-13"]).status == 206)
  }

  @Test func ifRangeComparesStrongly() {
    let path = "/ipfs/\(site.long.cid)"
    let etag = "\"\(site.long.cid)\""
    #expect(site.get(path, [.range: "bytes=0-1", .ifRange: etag]).status == 206)
    #expect(site.get(path, [.range: "bytes=0-1", .ifRange: "W/" + etag]).status == 200)
    #expect(site.get(path, [.range: "bytes=0-1", .ifRange: "\"other\""]).status == 200)
  }

  @Test func conditions() {
    let path = "/ipfs/\(site.long.cid)"
    let etag = "\"\(site.long.cid)\""
    for list in [etag, "W/" + etag, "\"a\", " + etag, "*"] {
      let answer = site.get(path, [.ifNoneMatch: list])
      #expect(answer.status == 304)
      #expect(answer.value(.etag) == etag)
      #expect(answer.value(.cacheControl) == Lifetime.forever)
      #expect(answer.bodyCount == nil)
    }
    #expect(site.get(path, [.ifNoneMatch: "\"a\""]).status == 200)
    #expect(site.get(path, [.ifMatch: "\"a\""]).status == 412)
    #expect(site.get(path, [.ifMatch: etag]).status == 200)
  }

  @Test func directoryWithoutSlashRedirects() {
    let path = "/ipfs/\(site.root.cid)/a%20b"
    let answer = site.get(path + "?x=1&x=2")
    #expect(answer.status == 301)
    #expect(answer.value(.location) == path + "/?x=1&x=2")
    #expect(answer.value(.xIpfsRoots) == "\(site.root.cid),\(site.plain.cid)")
    #expect(answer.value(.cacheControl) == nil)
    #expect(site.get(path + "?go-get=1").status == 200)
  }

  @Test func listingNamesItsEntries() throws {
    let answer = site.get("/ipfs/\(site.root.cid)/")
    #expect(answer.status == 200)
    #expect(answer.value(.contentType) == "text/html")
    #expect(answer.value(.cacheControl) == Lifetime.immutable.listing)
    let etag = try #require(answer.value(.etag))
    #expect(etag.hasPrefix("\"DirIndex-") && etag.hasSuffix("_CID-\(site.root.cid)\""))
    let page = try answer.text()
    #expect(page.contains("href=\"./a%20b\""))
    let head = site.get("/ipfs/\(site.root.cid)/", method: .head)
    #expect(head.value(.etag) == etag)
    #expect(head.bodyCount == nil)
    #expect(!page.contains("href=\"..\""))
    #expect(try site.get("/ipfs/\(site.root.cid)/a%20b/").text().contains("href=\"..\""))
    let known = site.get("/ipfs/\(site.root.cid)/", [.ifNoneMatch: etag])
    #expect(known.status == 304)
    #expect(known.value(.etag) == etag)
  }

  @Test func indexIsServedUnderTheDirectorysName() throws {
    let answer = site.get("/ipfs/\(site.root.cid)/site/")
    #expect(try answer.text() == "<!DOCTYPE html><p>hi")
    #expect(answer.value(.etag) == "\"\(site.indexed.cid)\"")
    #expect(answer.value(.contentType) == "text/html")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(answer.value(.xIpfsRoots) == "\(site.root.cid),\(site.indexed.cid)")
  }

  @Test func indexThatIsADirectoryIs422() throws {
    var builder = UnixFSBuilder()
    let inner = try builder.addDirectory([:])
    let outer = try builder.addDirectory(["index.html": inner])
    let rules = OriginRules(try CARStore(car: builder.car(roots: [outer.cid])))
    #expect(rules.answer(request(.get, "/ipfs/\(outer.cid)/")).status == 422)
  }

  @Test func namesAreQuotedInDispositions() {
    let path = "/ipfs/\(site.hello.cid)?filename=a%22b%0A%C3%BC.txt"
    #expect(
      site.get(path).value(.contentDisposition)
        == "inline; filename=\"a%22b%0A_.txt\"; filename*=UTF-8''a%22b%0A%C3%BC.txt")
    #expect(
      site.get("/ipfs/\(site.hello.cid)?filename=a%2Bb%26%28c%29.txt").value(.contentDisposition)
        == "inline; filename=\"a+b&%28c%29.txt\"; filename*=UTF-8''a+b&%28c%29.txt")
    let attached = site.get(path + "&download=true").value(.contentDisposition)
    #expect(attached?.hasPrefix("attachment; ") == true)
    #expect(
      site.get("/ipfs/\(site.hello.cid)?download=true").value(.contentDisposition) == nil)
  }

  @Test func slashBehindAFileIsNoMatter() throws {
    #expect(try site.get("/ipfs/\(site.root.cid)/hello.txt/").text() == "hello world\n")
  }
}
