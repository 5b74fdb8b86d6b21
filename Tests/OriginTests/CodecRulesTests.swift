import Base
import HTTP
import IPFS
import Testing

@testable import Origin

/// Blocks that are documents by themselves.
struct CodecRulesTests {
  let rules: OriginRules
  let cids: [ContentCodec: CID]
  static let text = "{\"hello\":\"world\"}"
  /// `{"hello": "world"}` as CBOR.
  static let cbor: [UInt8] = [0xa1, 0x65] + Array("hello".utf8) + [0x65] + Array("world".utf8)

  init() throws {
    var output = ByteBuffer(capacity: 1024)
    var cids: [ContentCodec: CID] = [:]
    CARWriter.appendHeader(roots: [], to: &output)
    for codec in [ContentCodec.json, .dagJSON, .cbor, .dagCBOR] {
      let bytes = codec == .json || codec == .dagJSON ? Array(Self.text.utf8) : Self.cbor
      guard let cid = CID(sha256Of: bytes.rawBytes, codec: codec) else { continue }
      CARWriter.appendBlock(cid, bytes.rawBytes, to: &output)
      cids[codec] = cid
    }
    self.cids = cids
    rules = OriginRules(try CARStore(car: output.readable.array))
  }

  /// Codec, format, type, disposition.
  @Test(
    arguments: [
      (.json, "", "application/json", "inline", "json"),
      (.json, "json", "application/json", "inline", "json"),
      (.dagJSON, "", "application/vnd.ipld.dag-json", "inline", "json"),
      (.dagJSON, "dag-json", "application/vnd.ipld.dag-json", "inline", "json"),
      (.dagJSON, "json", "application/json", "inline", "json"),
      (.cbor, "", "application/cbor", "attachment", "cbor"),
      (.dagCBOR, "", "application/vnd.ipld.dag-cbor", "attachment", "cbor"),
      (.dagCBOR, "dag-cbor", "application/vnd.ipld.dag-cbor", "attachment", "cbor"),
      (.dagCBOR, "cbor", "application/cbor", "attachment", "cbor"),
    ] as [(ContentCodec, String, String, String, String)])
  func blocksAreServedAsTheyAre(
    codec: ContentCodec, format: String, type: String, disposition: String, ending: String
  ) throws {
    let cid = try #require(cids[codec])
    let answer = rules.get("/ipfs/\(cid)" + (format.isEmpty ? "" : "?format=\(format)"))
    #expect(answer.status == 200)
    #expect(answer.value(.contentType) == type)
    let short = type.split(whereSeparator: { $0 == "/" || $0 == "." }).last ?? ""
    #expect(answer.value(.etag) == "\"\(cid).\(short)\"")
    #expect(answer.value(.cacheControl) == Lifetime.forever)
    #expect(answer.value(.xContentTypeOptions) == "nosniff")
    #expect(
      answer.value(.contentDisposition)?
        .hasPrefix("\(disposition); filename=\"\(cid).\(ending)\"") == true)
    #expect(answer.bodyCount == (ending == "json" ? 17 : 13))
  }

  @Test(
    arguments: [
      (.dagJSON, "dag-cbor"), (.dagCBOR, "dag-json"), (.dagCBOR, "json"), (.dagJSON, "cbor"),
      (.json, "cbor"), (.cbor, "dag-json"), (.dagCBOR, "tar"), (.json, "tar"),
    ] as [(ContentCodec, String)])
  func whatDoesNotFitIs406(codec: ContentCodec, format: String) throws {
    let cid = try #require(cids[codec])
    #expect(rules.get("/ipfs/\(cid)?format=\(format)").status == 406)
  }

  @Test func partsAndConditions() throws {
    let cid = try #require(cids[.dagJSON])
    let part = rules.get("/ipfs/\(cid)", [.range: "bytes=0-7"])
    #expect(part.status == 206)
    #expect(try part.text() == "{\"hello\"")
    #expect(rules.get("/ipfs/\(cid)", [.ifNoneMatch: "W/\"\(cid).dag-json\""]).status == 304)
    #expect(rules.get("/ipfs/\(cid)", [.ifNoneMatch: "\"\(cid)\""]).status == 200)
    let saved = rules.get("/ipfs/\(cid)?filename=a.json&download=true")
    #expect(saved.value(.contentDisposition)?.hasPrefix("attachment; filename=\"a.json\"") == true)
  }

  @Test func browsersSeeAPage() throws {
    for codec in [ContentCodec.dagJSON, .dagCBOR] {
      let cid = try #require(cids[codec])
      let html: [FieldToken: String] = [.accept: "text/html,*/*"]
      let moved = rules.get("/ipfs/\(cid)?a=b", html)
      #expect(moved.status == 301)
      #expect(moved.value(.location) == "/ipfs/\(cid)/?a=b")
      let page = rules.get("/ipfs/\(cid)/", html)
      #expect(page.status == 200)
      #expect(page.value(.contentType) == "text/html")
      let etag = try #require(page.value(.etag))
      #expect(etag.hasPrefix("\"DagIndex-") && etag.hasSuffix("_CID-\(cid)\""))
      #expect(page.value(.cacheControl) == nil)
      #expect(page.value(.contentDisposition) == nil)
      #expect(try page.text().contains("</html>"))
      let known = rules.get("/ipfs/\(cid)/", [.accept: "text/html", .ifNoneMatch: etag])
      #expect(known.status == 304)
      #expect(known.value(.etag) == etag)
      #expect(rules.get("/ipfs/\(cid)?download=true", html).status == 200)
      #expect(rules.get("/ipfs/\(cid)?format=raw", html).status == 200)
    }
    let plain = try #require(cids[.json])
    #expect(
      rules.get("/ipfs/\(plain)", [.accept: "text/html"]).value(.contentType) == "application/json")
  }

  // MARK: Paths and conversion

  /// `{"foo": {"link": <hello>, "n": 1}}` as dag-cbor, beside a text of which `hello` is the CID.
  private func linked(converts: Bool = false) throws -> (rules: OriginRules, root: CID, leaf: CID) {
    let leaf = try #require(cids[.dagJSON])
    var link = ByteBuffer(capacity: 128)
    leaf.appendBinary(to: &link)
    let target = link.readable.array
    var block: [UInt8] = [0xa1, 0x63] + Array("foo".utf8) + [0xa2, 0x61, 0x6e, 0x01, 0x64]
    block += Array("link".utf8) + [0xd8, 0x2a, 0x58, UInt8(target.count + 1), 0] + target
    let hashed = CID(sha256Of: block.rawBytes, codec: .dagCBOR)
    let root = try #require(hashed)
    var output = ByteBuffer(capacity: 1024)
    CARWriter.appendHeader(roots: [root], to: &output)
    CARWriter.appendBlock(root, block.rawBytes, to: &output)
    CARWriter.appendBlock(leaf, Array(Self.text.utf8).rawBytes, to: &output)
    var options = OriginOptions()
    options.convertsCodecs = converts
    return (OriginRules(try CARStore(car: output.readable.array), options), root, leaf)
  }

  @Test func pathsLeadThroughDocuments() throws {
    let (rules, root, leaf) = try linked()
    let found = rules.get("/ipfs/\(root)/foo/link")
    #expect(try found.text() == Self.text)
    #expect(found.value(.xIpfsRoots) == "\(root),\(root),\(leaf)")
    for path in ["foo", "foo/n"] {
      let inside = rules.get("/ipfs/\(root)/\(path)?format=dag-cbor")
      #expect(inside.status == 501)
      #expect(try inside.text().contains("reading IPLD Kinds other than Links"))
    }
    for path in ["none", "foo/none", "foo/n/x", "foo/link/none"] {
      #expect(rules.get("/ipfs/\(root)/\(path)").status == 404)
    }
    let car = try rules.get("/ipfs/\(root)/foo/link?format=car&dag-scope=block").car()
    #expect(car.blocks == [root, leaf])
    #expect(car.roots == [leaf])
    #expect(try rules.get("/ipfs/\(root)?format=car").car().blocks == [root, leaf])
    #expect(try rules.get("/ipfs/\(root)?format=car&dag-scope=entity").car().blocks == [root])
    let absent = try rules.get("/ipfs/\(root)/foo/none?format=car").car()
    #expect(absent.blocks == [root])
    let page = try rules.get("/ipfs/\(root)/", [.accept: "text/html"]).text()
    #expect(page.contains("{&quot;foo&quot;:{&quot;link&quot;:{&quot;/&quot;:&quot;\(leaf)"))
  }

  @Test func conversionIsOnlyWhereItIsAllowed() throws {
    let (strict, root, leaf) = try linked()
    #expect(strict.get("/ipfs/\(root)?format=dag-json").status == 406)
    let (rules, _, _) = try linked(converts: true)
    let json = rules.get("/ipfs/\(root)?format=dag-json")
    #expect(json.status == 200)
    #expect(json.value(.etag) == "\"\(root).dag-json\"")
    #expect(json.value(.contentType) == "application/vnd.ipld.dag-json")
    #expect(try json.text() == "{\"foo\":{\"link\":{\"/\":\"\(leaf)\"},\"n\":1}}")
    let part = rules.get("/ipfs/\(root)?format=dag-json", [.range: "bytes=0-5"])
    #expect(try part.text() == "{\"foo\"")
    let cbor = rules.get("/ipfs/\(leaf)?format=dag-cbor")
    #expect(try cbor.bytes() == Self.cbor)
  }
}
