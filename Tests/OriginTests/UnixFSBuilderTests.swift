import Base
import HTTP
import IPFS
import Testing

@testable import Origin

struct UnixFSBuilderTests {
  @Test func knownCIDs() throws {
    var builder = UnixFSBuilder()
    // `ipfs add --cid-version=1` of an empty file and of an empty directory.
    #expect(
      try builder.addFile([]).cid.description
        == "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
    #expect(
      try builder.addDirectory([:]).cid.description
        == "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354")
  }

  /// Made with an independent writer of dag-pb (hashlib and 30 lines of Python).
  @Test func largerTreesHaveTheirCIDs() throws {
    let bytes = (0..<600_000).map { UInt8($0 * 7 % 251) }
    var builder = UnixFSBuilder()
    let file = try builder.addFile(bytes)
    #expect(
      file.cid.description == "bafybeigpundmoqpqmkrmiistfw5p5ch7ehizxuinqekkev7ghvpgwehkvi")
    var narrow = UnixFSBuilder(chunkBytes: 1_000, width: 3)
    let deep = try narrow.addFile(bytes)
    #expect(
      deep.cid.description == "bafybeialxxri7albncyk7y5pjwrkas4smaducn5lg5lsxh5zbsecdxrk7i")
    let folder = try builder.addDirectory([
      "b": file, "a": deep, "a.txt": builder.addFile(Array("hello world\n".utf8)),
    ])
    #expect(
      folder.cid.description == "bafybeicwqxpt5rbojlk32cfm2rk3gu3tfc7ku5szzgiruicfq3nq3jshr4")
  }

  @Test func treesAreBalanced() throws {
    var builder = UnixFSBuilder(chunkBytes: 1, width: 2)
    let file = try builder.addFile(Array(0..<5))
    #expect(file.size == 5)
    // 5 leaves, 3 and 2 nodes, a root: a lone node at the end is wrapped like the others.
    #expect(builder.blocks.count == 11)
    #expect(file.cid == builder.blocks.last?.cid)
  }

  /// A file of 6 GiB is one block, linked 6,144 times.
  @Test func hugeFileServesAnyRangeAtOnce() throws {
    var builder = UnixFSBuilder()
    let mebibyte = (0..<1_048_576).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 16) }
    let part = try builder.addRaw(mebibyte)
    let file = try builder.addFile(of: Array(repeating: part, count: 6_144))
    #expect(file.size == 6 << 30)
    let rules = OriginRules(try CARStore(car: builder.car(roots: [file.cid])))
    for start in [0, 1, 5 << 30, (6 << 30) - 10, (3 << 30) - 5] as [Int64] {
      let answer = rules.answer(
        request(.get, "/ipfs/\(file.cid)", [.range: "bytes=\(start)-\(start + 9)"]))
      #expect(answer.status == 206)
      let expected = (start..<start + 10).map { mebibyte[Int($0 & 1_048_575)] }
      #expect(try answer.bytes() == expected)
    }
  }

  @Test func sampleSiteIsWhole() throws {
    let site = try SampleSite()
    let rules = OriginRules(try CARStore(car: site.car))
    let page = rules.answer(request(.get, "/ipfs/\(site.root)/"))
    #expect(page.value(.contentType) == "text/html")
    #expect(try page.text().contains("<h1>It works.</h1>"))
    let picture = rules.answer(request(.get, "/ipfs/\(site.root)/picture.png"))
    #expect(picture.value(.contentType) == "image/png")
    #expect(try picture.bytes().starts(with: [0x89, 0x50, 0x4e, 0x47]))
    let large = rules.answer(request(.get, "/ipfs/\(site.root)/large.bin"))
    #expect(large.bodyCount == 5 << 20)
    #expect(large.value(.etag) == "\"\(site.large)\"")
    #expect(try large.bytes().count == 5 << 20)
    let listing = rules.answer(request(.get, "/ipfs/\(site.root)/notes/"))
    #expect(try listing.text().contains("numbers.csv"))
  }
}
