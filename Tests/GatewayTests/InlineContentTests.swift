import Base
import IPFS
import Router
import Testing

@testable import Gateway

@Suite struct InlineContentTests {
  private func inline(_ codec: ContentCodec, _ bytes: [UInt8]) throws -> CID {
    try CID(codec: codec, hash: .identity, digest: bytes.rawBytes)
  }

  private func node(_ data: borrowing ByteBuffer) -> [UInt8] {
    var node = ByteBuffer(capacity: 64)
    PBEncoder.appendData(data.readable, to: &node)
    return node.readable.array
  }

  @Test func filesAreTheirBytes() throws {
    let text = try inline(.raw, Array("hello\n".utf8))
    for form in [ContentForm.file, .json, .cbor] {
      let content = try #require(InlineContent.of(text, form: form))
      #expect(content.body == Array("hello\n".utf8) && content.etag == "\"\(text)\"")
      #expect(content.type == "text/plain; charset=utf-8" && content.name.isEmpty)
    }
    #expect(
      InlineContent.of(text, form: .dagJSON) == nil && InlineContent.of(text, form: .tar) == nil)
    let empty = try inline(.raw, [])
    #expect(InlineContent.of(empty, form: .file)?.type == "text/plain")
    #expect(InlineContent.of(empty, form: .raw)?.name == "bafkqaaa.bin")
  }

  @Test func smallUnixFSFilesToo() throws {
    var block = ByteBuffer(capacity: 64)
    UnixFSEncoder.appendFile(data: Array("<p>hi".utf8).rawBytes, blockSizes: [], to: &block)
    let file = try inline(.dagPB, node(block))
    let content = try #require(InlineContent.of(file, form: .file))
    #expect(content.body == Array("<p>hi".utf8) && content.type == "text/html")
    block.clear()
    UnixFSEncoder.appendDirectory(to: &block)
    let directory = try inline(.dagPB, node(block))
    #expect(InlineContent.of(directory, form: .file) == nil)
    #expect(InlineContent.of(directory, form: .car) != nil)
    #expect(InlineContent.of(try inline(.dagPB, [0xff]), form: .file) == nil)
  }

  @Test func dataInItsOwnFormOnly() throws {
    let data = try inline(.dagJSON, Array("{\"a\":1}".utf8))
    let file = try #require(InlineContent.of(data, form: .file))
    #expect(file.type == "application/vnd.ipld.dag-json" && file.etag == "\"\(data).dag-json\"")
    #expect(file.name == "\(data).json" && file.isShown)
    #expect(InlineContent.of(data, form: .json)?.type == "application/json")
    #expect(InlineContent.of(data, form: .dagCBOR) == nil)
    let cbor = try inline(.cbor, [0xa0])
    #expect(InlineContent.of(cbor, form: .file)?.isShown == false)
    #expect(InlineContent.of(cbor, form: .dagCBOR) == nil)
  }

  @Test func carsAreTheirHeads() throws {
    let empty = try inline(.raw, [])
    let path = Array("/ipfs/bafkqaaa".utf8)
    let content = try #require(InlineContent.of(empty, form: .car, path: path))
    #expect(content.type == "application/vnd.ipld.car; version=1; order=dfs; dups=n")
    #expect(content.etag.hasPrefix("W/\"bafkqaaa.car.") && content.name == "bafkqaaa.car")
    var check = CARCheck(CARQuestion(root: empty))
    try check.update(content.body.rawBytes)
    #expect(check.finish().verdict == .complete)
    // Blocks elsewhere belong into it.
    let leaf = try cid("bafkreifu3vtatxohdupmi5qpyp6esyf73nypjrmlqfuup4leaob7lgfuem")
    let parent = try inline(.dagJSON, Array("{\"/\":\"\(leaf)\"}".utf8))
    #expect(InlineContent.of(parent, form: .car) == nil)
  }
}
