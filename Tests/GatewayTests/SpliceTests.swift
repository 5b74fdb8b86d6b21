import Base
import Cache
import Testing

@testable import Gateway

@Suite struct SpliceTests {
  static let fields = ["Etag: \"\(rootText)\"", "X-Ipfs-Roots: bafya, \(rootText)"]

  private func head(
    _ fields: [String] = SpliceTests.fields, status: Int = 200, length: Int? = 1000
  ) throws -> AnswerHead {
    let length = length.map { ["Content-Length: \($0)"] } ?? ["Transfer-Encoding: chunked"]
    let answer = try UpstreamAnswer(fields + length, status: status)
    return AnswerPolicy.answerHead(
      answer.head, text: answer.text.rawBytes, keeps: false, created: 0, server: "")
  }

  private func part(_ fields: [String], status: Int = 206) throws -> PartHead {
    let answer = try UpstreamAnswer(fields, status: status)
    return PartHead(answer.head, text: answer.text.rawBytes)
  }

  @Test func theRestOfTheSameFits() throws {
    let splice = try #require(Splice(head(), isKept: true))
    let place = ["Content-Range: bytes 100-999/1000", "Content-Length: 900"]
    for same in [
      Self.fields, ["Etag: W/\"\(rootText)\""], ["X-Ipfs-Roots: bafya,\(rootText)"],
      ["X-Ipfs-Roots: \(rootText)"],
    ] {
      #expect(try splice.use(of: part(same + place), from: 100, to: 1000) == .rest)
    }
    let whole = try part(Self.fields + ["Content-Length: 1000"], status: 200)
    #expect(splice.use(of: whole, from: 100, to: 1000) == .whole)
  }

  @Test(arguments: [
    ["Etag: \"\(rootText).raw\"", "Content-Range: bytes 100-999/1000", "Content-Length: 900"],
    ["Etag: \"other\"", "X-Ipfs-Roots: \(rootText)", "Content-Range: bytes 100-999/1000"],
    ["Content-Range: bytes 100-999/1000", "Content-Length: 900"],
    [
      "X-Ipfs-Roots: \(rootText), bafya", "Content-Range: bytes 100-999/1000",
      "Content-Length: 900",
    ],
    fields + ["Content-Range: bytes 99-999/1000", "Content-Length: 901"],
    fields + ["Content-Range: bytes 100-998/1000", "Content-Length: 899"],
    fields + ["Content-Range: bytes 100-999/1001", "Content-Length: 900"],
    fields + ["Content-Range: bytes 100-999/*", "Content-Length: 900"],
    fields + ["Content-Range: bytes */1000", "Content-Length: 900"],
    fields + ["Content-Range: bytes 100-999/1000", "Content-Length: 899"],
    fields + ["Content-Range: bytes 100-999/1000", "Transfer-Encoding: chunked"],
    fields + [
      "Content-Range: bytes 100-999/1000", "Content-Length: 900", "Content-Encoding: gzip",
    ],
    fields + ["Content-Length: 900"],
  ]) func othersDoNot(fields: [String]) throws {
    let splice = try #require(Splice(head(), isKept: true))
    #expect(try splice.use(of: part(fields), from: 100, to: 1000) == nil)
  }

  @Test(arguments: [200, 404, 416, 500, 502, 504]) func statusesThatAreNoRest(status: Int) throws {
    let splice = try #require(Splice(head(), isKept: true))
    let fields = Self.fields + ["Content-Range: bytes 100-999/1000", "Content-Length: 900"]
    #expect(try splice.use(of: part(fields, status: status), from: 100, to: 1000) == nil)
  }

  /// Of what is passed on only that which two servers give alike.
  @Test func whatIsPassedOnMustHaveAStrongEtag() throws {
    let etag = ["Etag: \"anything\""]
    #expect(try Splice(head(etag), isKept: false) != nil)
    let type = "Content-Type: application/"
    for fields in [
      [], ["Etag: W/\"anything\""], ["Etag: \"DirIndex-2b_CID-\(rootText)\""],
      ["Etag: \"DagIndex-2b_CID-\(rootText)\""], etag + ["Content-Encoding: gzip"],
      etag + [type + "vnd.ipld.car; version=1"], etag + [type + "x-tar"],
      etag + [type + "vnd.ipfs.ipns-record"],
    ] {
      #expect(try Splice(head(fields), isKept: false) == nil, "\(fields)")
    }
    #expect(try Splice(head(etag, length: nil), isKept: false) == nil)
    #expect(try Splice(head(etag, status: 404), isKept: false) == nil)
  }

  @Test func aPartThatIsPassedOnHasItsPlace() throws {
    let place = ["Etag: \"a\"", "Content-Range: bytes 500-1499/2000"]
    let splice = try #require(Splice(head(place, status: 206), isKept: false))
    #expect(splice.first == 500 && splice.end == 1500 && splice.total == 2000)
    for wrong in [
      "Content-Range: bytes 500-1500/2000", "Content-Range: bytes 500-1499/*", "Content-Range: x",
    ] {
      #expect(try Splice(head(["Etag: \"a\"", wrong], status: 206), isKept: false) == nil)
    }
    #expect(try Splice(head(["Etag: \"a\""], status: 206), isKept: false) == nil)
  }

  // MARK: The seam

  @Test func aSeamIsTheLastBytesOfAll() {
    var seam = Seam()
    let body = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
    func part(_ range: Range<Int>) -> [UInt8] { Array(body[range]) }
    func last(of count: Int) -> [UInt8] { part(count - Seam.bytes..<count) }
    #expect(seam.tail(with: part(0..<100).rawBytes) == part(0..<100))
    seam.filled(part(0..<3000).rawBytes)
    seam.filled(part(3000..<6000).rawBytes)
    #expect(seam.tail(with: [UInt8]().rawBytes) == last(of: 6000))
    #expect(seam.tail(with: part(6000..<6500).rawBytes) == last(of: 6500))
    #expect(seam.tail(with: part(4000..<10_000).rawBytes) == last(of: 10_000))
  }

  @Test(arguments: [1, 2, 3, 7, 100]) func aSeamIsCompared(step: Int) {
    let bytes = Array("skipped".utf8) + Array("the same".utf8)
    for wrong in [nil, 7, 10, 14] {
      var seam = Seam()
      seam.expect(Array("the same".utf8), behind: 7)
      var given = bytes
      if let wrong { given[wrong] ^= 1 }
      var isSame = true
      var offset = 0
      while seam.isOpen, isSame {
        let end = min(given.count, offset + min(step, seam.missing))
        isSame = seam.take(Array(given[offset..<end]).rawBytes)
        offset = end
      }
      #expect(isSame == (wrong == nil))
      if isSame { #expect(offset == given.count) }
    }
  }
}
