import Base
import HTTP
import IPFS
import Testing

@testable import Origin

struct BlockRulesTests {
  let site: Site

  init() throws { site = try Site() }

  @Test func rawBlock() throws {
    let answer = site.get("/ipfs/\(site.root.cid)/hello.txt?format=raw")
    let cid = site.hello.cid
    #expect(try answer.text() == "hello world\n")
    #expect(answer.value(.etag) == "\"\(cid).raw\"")
    #expect(answer.value(.contentType) == "application/vnd.ipld.raw")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(answer.value(.xContentTypeOptions) == "nosniff")
    #expect(
      answer.value(.contentDisposition)
        == "attachment; filename=\"\(cid).bin\"; filename*=UTF-8''\(cid).bin")
    #expect(answer.value(.contentLocation) == nil)
    let part = site.get("/ipfs/\(cid)?format=raw", [.range: "bytes=6-"])
    #expect(part.status == 206)
    #expect(try part.text() == "world\n")
    let known = site.get("/ipfs/\(cid)?format=raw", [.ifNoneMatch: "\"\(cid).raw\""])
    #expect(known.status == 304)
  }

  /// Target's query, Accept, Content-Type or status.
  @Test(arguments: [
    ("", "application/vnd.ipld.raw", "application/vnd.ipld.raw"),
    ("?format=raw", "application/vnd.ipld.car", "application/vnd.ipld.raw"),
    ("?format=new", "application/vnd.ipld.raw", "application/vnd.ipld.raw"),
    ("", "text/html, application/vnd.ipld.raw;q=0.1", "application/vnd.ipld.raw"),
    ("", "application/json, text/plain, */*", "text/plain; charset=utf-8"),
    ("", "application/vnd.ipld.car", "application/vnd.ipld.car; version=1; order=dfs; dups=n"),
    (
      "", "application/vnd.ipld.car;version=1;order=dfs;dups=y",
      "application/vnd.ipld.car; version=1; order=dfs; dups=y"
    ),
    (
      "?car-dups=n", "application/vnd.ipld.car; dups=y",
      "application/vnd.ipld.car; version=1; order=dfs; dups=n"
    ),
  ])
  func formatIsChosenAsBoxoDoes(query: String, accept: String, type: String) {
    let answer = site.get("/ipfs/\(site.root.cid)/hello.txt\(query)", [.accept: accept])
    #expect(answer.value(.contentType) == type)
  }

  @Test(arguments: [
    ("?format=dag-json", 406), ("?format=dag-cbor", 406), ("?format=ipns-record", 400),
    ("?format=car&car-version=2", 400), ("?format=car&car-dups=x", 400),
    ("?format=car&car-order=bfs", 400), ("?format=car&dag-scope=some", 400),
    ("?format=car&entity-bytes=a:b", 400), ("?format=car&entity-bytes=0:*&dag-scope=all", 200),
  ])
  func formatsThatAreNotServed(query: String, status: Int) {
    #expect(site.get("/ipfs/\(site.hello.cid)\(query)").status == status)
  }

  @Test func unknownVendorTypeIsRefused() {
    let answer = site.get("/ipfs/\(site.hello.cid)", [.accept: "application/vnd.ipld.new"])
    #expect(answer.status == 400)
  }

  @Test func contentLocationNamesWhatAcceptChose() {
    let path = "/ipfs/\(site.hello.cid)"
    #expect(
      site.get(path + "?a=b", [.accept: "application/vnd.ipld.raw"]).value(.contentLocation)
        == path + "?a=b&format=raw")
    #expect(
      site.get(path, [.accept: "application/vnd.ipld.car; dups=y"]).value(.contentLocation)
        == path + "?car-dups=y&format=car")
    #expect(
      site.get(path + "?car-dups=n&b=c%20d", [.accept: "application/vnd.ipld.car; dups=y; q=1"])
        .value(.contentLocation) == path + "?b=c+d&car-dups=n&format=car")
    #expect(
      site.get("/ipfs/\(site.root.cid)/no", [.accept: "application/json"]).value(.contentLocation)
        == "/ipfs/\(site.root.cid)/no?format=json")
  }

  @Test func carFields() throws {
    let path = "/ipfs/\(site.root.cid)/hello.txt?format=car"
    let answer = site.get(path)
    let etag = try #require(answer.value(.etag))
    #expect(etag.hasPrefix("W/\"\(site.root.cid).car.") && etag.hasSuffix("\""))
    #expect(answer.value(.acceptRanges) == "none")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(answer.value(.xContentTypeOptions) == "nosniff")
    #expect(
      answer.value(.contentDisposition)?.contains("\"\(site.root.cid)_hello.txt.car\"") == true)
    #expect(answer.bodyCount == nil)
    #expect(site.get(path, [.ifNoneMatch: etag]).status == 304)
    #expect(site.get(path + "&dag-scope=block").value(.etag) != etag)
    #expect(site.get(path, [.range: "bytes=0-1"]).status == 200)
  }

  @Test func scopes() throws {
    let path = "/ipfs/\(site.root.cid)/site?format=car&dag-scope="
    let block = try site.get(path + "block").car()
    #expect(block.roots == [site.indexed.cid])
    #expect(block.blocks == [site.root.cid, site.indexed.cid])
    let entity = try site.get(path + "entity").car()
    #expect(entity.blocks == block.blocks)
    let all = try site.get(path + "all").car()
    #expect(all.blocks.count == 4)
    #expect(all.blocks.starts(with: block.blocks))
    #expect(all.blocks.contains(site.hello.cid))
  }

  @Test func allOfADAGIsAllThatWasBuilt() throws {
    let car = try site.get("/ipfs/\(site.root.cid)?format=car").car()
    #expect(Set(car.blocks) == Set(site.builder.blocks.map(\.cid)))
    #expect(car.blocks.count == site.builder.blocks.count)
    let repeated = try site.get("/ipfs/\(site.root.cid)?format=car&car-dups=y").car()
    #expect(repeated.blocks.count(where: { $0 == site.hello.cid }) == 4)
  }

  /// A file's blocks, depth first, give the file back.
  @Test(arguments: [
    ("0:*", 0..<3333), ("0:0", 0..<1), ("150:450", 150..<451), ("-5:*", 3328..<3333),
    ("3000:-100", 3000..<3234), ("-9999:9", 0..<10), ("5000:*", 3333..<3333),
    ("0:99999", 0..<3333),
  ])
  func entityBytesHaveNoBlockTooMany(text: String, range: Range<Int>) throws {
    let path = "/ipfs/\(site.long.cid)?format=car&dag-scope=entity&entity-bytes="
    let car = try site.get(path + text).car()
    let leaves = car.blocks.count(where: { $0.codec == .raw })
    #expect(
      leaves == (range.isEmpty ? 0 : (range.upperBound - 1) / 100 - range.lowerBound / 100 + 1))
    #expect(car.blocks.first == site.long.cid)
    let store = try CARStore(car: site.get(path + text).bytes())
    let slice = OriginRules(store).answer(
      request(
        .get, "/ipfs/\(site.long.cid)",
        range.isEmpty ? [:] : [.range: "bytes=\(range.lowerBound)-\(range.upperBound - 1)"]))
    if !range.isEmpty { #expect(try slice.bytes() == Array(site.longBytes[range])) }
  }

  /// The tags are boxo's: XXH64 of the path and of what differs from the defaults.
  @Test func carTagsAreMadeOfPathAndParameters() throws {
    let path = "/ipfs/\(site.root.cid)/hello.txt?format=car"
    let queries = [
      "", "&dag-scope=block", "&dag-scope=entity", "&car-dups=y", "&car-order=unk",
      "&dag-scope=entity&entity-bytes=0:5", "&dag-scope=entity&entity-bytes=1:5",
    ]
    let tags = queries.compactMap { site.get(path + $0).value(.etag) }
    #expect(Set(tags).count == queries.count)
    #expect(site.get(path + "&dag-scope=all&car-dups=n&car-order=dfs").value(.etag) == tags[0])
    #expect(
      site.get(path + "&dag-scope=entity&entity-bytes=0:*").value(.etag) == tags[2])
    #expect(
      site.get(path + "&car-order=unk").value(.contentType)
        == "application/vnd.ipld.car; version=1; order=unk; dups=n")
    // Of an absent block too: the tag says all of it.
    let absent = "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy?format=car"
    #expect(site.get(absent).status == 404)
    #expect(site.get(absent, [.ifNoneMatch: "*"]).status == 304)
    // XXH64("/ipfs/bafkqaaa") in base 32.
    #expect(
      site.get("/ipfs/bafkqaaa?format=car").value(.etag) == "W/\"bafkqaaa.car.fo9r43sa3t9ls\"")
  }

  @Test func absenceIsProven() throws {
    let answer = site.get("/ipfs/\(site.root.cid)/site/none?format=car&dag-scope=block")
    #expect(answer.status == 200)
    let car = try answer.car()
    #expect(answer.value(.xIpfsRoots) == "\(site.root.cid)")
    #expect(car.roots == [site.root.cid])
    #expect(car.blocks == [site.root.cid, site.indexed.cid])
    #expect(site.get("/ipfs/\(site.root.cid)/site/none").status == 404)
  }
}
