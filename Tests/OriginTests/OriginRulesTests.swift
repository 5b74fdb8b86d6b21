import Base
import HTTP
import IPFS
import Testing

@testable import Origin

struct OriginRulesTests {
  let site: Site
  /// A right CID of which no file has the block.
  let absent = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyka"

  init() throws { site = try Site() }

  @Test(arguments: [HTTP.Method.post, .put, .delete, .other])
  func otherMethodsAreRefused(method: HTTP.Method) {
    let answer = site.get("/ipfs/\(site.root.cid)/", method: method)
    #expect(answer.status == 405)
    #expect(answer.value(.allow) == "GET, HEAD, OPTIONS")
    #expect(answer.value(.accessControlAllowOrigin) == "*")
  }

  @Test func optionsHasCORSAlone() {
    let answer = site.get("/ipfs/\(site.root.cid)/", method: .options)
    #expect(answer.status == 200)
    #expect(answer.bodyCount == 0)
    #expect(answer.value(.allow) == "GET, HEAD, OPTIONS")
    #expect(answer.value(.accessControlAllowMethods) == "GET, HEAD, OPTIONS")
  }

  @Test(arguments: [
    ("/", 404), ("/ipfs/", 400), ("/ipfs/nonsense", 400), ("/ipns/example.org", 500),
    ("/ipfs/bafkqaaa/%zz", 400), ("/other", 404),
  ])
  func pathsThatNameNothing(target: String, status: Int) throws {
    let answer = site.get(target)
    #expect(answer.status == status)
    #expect(answer.value(.contentType) == "text/plain; charset=utf-8")
    #expect(answer.value(.cacheControl) == nil)
    #expect(try !answer.bytes().isEmpty)
  }

  @Test func missingLinkIs404() throws {
    let path = "/ipfs/\(site.root.cid)/a%20b/nothing"
    let answer = site.get(path)
    #expect(answer.status == 404)
    #expect(try answer.text() == "no link named \"nothing\" under \(site.plain.cid)\n")
    #expect(answer.value(.xIpfsPath) == "/ipfs/\(site.root.cid)/a b/nothing")
    #expect(site.get("/ipfs/\(site.root.cid)/hello.txt/below").status == 404)
    #expect(site.get("/ipfs/\(site.root.cid)/long.bin/below").status == 404)
  }

  @Test func absentBlockIs404WithASentence() throws {
    let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    let answer = site.get("/ipfs/\(cid)", [.accept: "text/html"])
    #expect(answer.status == 404)
    #expect(answer.value(.contentType) == "text/html")
    #expect(try answer.text().contains("in none of this origin&#39;s CAR files"))
    #expect(site.get("/ipfs/\(cid)", [.cacheControl: "only-if-cached"]).status == 412)
    #expect(site.get("/ipfs/\(cid)", [.cacheControl: "only-if-cached, a"]).status == 404)
    let missing = "/ipfs/\(site.root.cid)/nothing"
    #expect(site.get(missing, [.cacheControl: "only-if-cached"]).status == 412)
  }

  @Test func onlyIfCachedHead() {
    let path = "/ipfs/\(site.hello.cid)"
    let answer = site.get(path, [.cacheControl: "only-if-cached"], method: .head)
    #expect(answer.status == 200)
    #expect(answer.value(.etag) == nil)
    #expect(site.get(path, [.cacheControl: "only-if-cached"]).value(.etag) != nil)
  }

  @Test func corruptBlockIs500() throws {
    var car = site.builder.car(roots: [site.root.cid])
    // The first block is the text.
    let start = try #require(
      car.indices.first { car[$0...].starts(with: "hello world".utf8) })
    car[start] ^= 1
    let rules = OriginRules(try CARStore(car: car))
    for _ in 0..<2 {
      #expect(rules.answer(request(.get, "/ipfs/\(site.hello.cid)")).status == 500)
    }
    #expect(rules.answer(request(.get, "/ipfs/\(site.root.cid)/page")).status == 200)
  }

  @Test func redirects() {
    let twice = site.get("/ipfs/ipfs/\(site.root.cid)/x?a=b")
    #expect(twice.status == 301)
    #expect(twice.value(.location) == "/ipfs/\(site.root.cid)/x?a=b")
    let uri = site.get("/ipfs/?uri=ipfs%3A%2F%2F\(site.root.cid)%2Fa%20b")
    #expect(uri.status == 301)
    #expect(uri.value(.location) == "/ipfs/\(site.root.cid)/a%20b")
    let query = site.get("/ipfs/?uri=ipfs%3A%2F%2F\(site.root.cid)%2Fx%2F..%2F%2Fy%2F%3Fa%3Db%26c")
    #expect(query.value(.location) == "/ipfs/\(site.root.cid)/y?a=b&c")
    #expect(site.get("/ipfs/?uri=http%3A%2F%2Fx").status == 400)
    #expect(site.get("/ipfs/ipfs/nonsense").status == 400)
  }

  @Test func serviceWorkerOfARootIsRefused() {
    let fields: [FieldToken: String] = [.serviceWorker: "script"]
    #expect(site.get("/ipfs/\(site.root.cid)", fields).status == 400)
    #expect(site.get("/ipfs/nonsense", fields).status == 400)
    #expect(site.get("/ipfs/\(site.root.cid)/", fields).status == 200)
    #expect(site.get("/ipfs/\(site.root.cid)/hello.txt", fields).status == 200)
  }

  @Test func spellingsOfACIDAreOneContent() throws {
    var buffer = Base.ByteBuffer(capacity: 128)
    site.root.cid.appendText(in: .base58, to: &buffer)
    let answer = site.get("/ipfs/\(buffer.readable.text)/hello.txt")
    #expect(answer.status == 200)
    #expect(answer.value(.xIpfsPath) == "/ipfs/\(buffer.readable.text)/hello.txt")
    #expect(answer.value(.xIpfsRoots)?.hasPrefix("\(site.root.cid),") == true)
  }

  @Test func identityCIDsAnswerFromThemselves() throws {
    let raw = site.get("/ipfs/bafkqaaa?format=raw")
    #expect(raw.status == 200)
    #expect(raw.bodyCount == 0)
    let car = site.get("/ipfs/bafkqaaa?format=car")
    let content = try car.car()
    #expect(content.roots.map(\.description) == ["bafkqaaa"])
    #expect(content.blocks.isEmpty)
    #expect(try site.get("/ipfs/bafkqabtimvwgy3yk").text() == "hello\n")
  }
}
