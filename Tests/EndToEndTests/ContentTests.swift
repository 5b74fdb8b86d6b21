import Base
import IPFS
import TestKit
import Testing

extension EndToEnd {
  /// Conditions, fields and spellings, in front of an origin that answers as Kubo does.
  @Suite struct Content {
    static func expectFields(_ answer: Response, of content: TestContent, path: String) {
      #expect(answer["Etag"] == content.etag)
      #expect(answer["Cache-Control"] == "public, max-age=29030400, immutable")
      #expect(answer["X-Ipfs-Path"] == path)
      #expect(answer["Access-Control-Allow-Origin"] == "*")
      #expect(answer["Date"] != nil)
      #expect(answer["Age"].flatMap { Int($0) } != nil)
    }

    @Test func conditionsColdAndWarm() throws {
      var site = TestSite()
      let files = try (0..<8).map { try site.add(noise(5000 + $0, seed: 140 + UInt64($0))) }
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let client = try sluice.connect()
      for _ in 0..<2 {
        for (number, form) in [
          "\(files[0].etag)", "W/\(files[1].etag)", "*", "\"x\", \(files[3].etag)",
        ]
        .enumerated() {
          let answer = try client.request(files[number].path, [("If-None-Match", form)])
          #expect(answer.status == 304, "\(form)")
          #expect(answer["Etag"] == files[number].etag && answer["Content-Length"] == nil)
          #expect(answer["Cache-Control"] == "public, max-age=29030400, immutable")
        }
        let other = try client.request(files[4].path, [("If-None-Match", "\"x\"")])
        #expect(other.status == 200 && isSame(other.body, files[4].body))
        let fresh = try client.request(
          files[5].path, [("Range", "bytes=10-19"), ("If-Range", files[5].etag)])
        #expect(fresh.status == 206 && isSame(fresh.body, files[5].body, 10..<20))
        let stale = try client.request(
          files[6].path, [("Range", "bytes=10-19"), ("If-Range", "\"x\"")])
        #expect(stale.status == 200 && isSame(stale.body, files[6].body))
        let beyond = try client.request(files[7].path, [("Range", "bytes=9000-")])
        #expect(beyond.status == 416 && beyond["Content-Range"] == "bytes */5007")
        let failed = try client.request(files[7].path, [("If-Match", "\"x\"")])
        #expect(failed.status == 412)
        try sluice.settle()
      }
    }

    @Test func whatAHitSays() throws {
      var site = TestSite()
      let folder = try site.add(folder: ["a b.txt": noise(900, seed: 150), "page.html": []])
      let file = try site.add(noise(900, seed: 150))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      let path = "/ipfs/\(folder)/a%20b.txt"
      let cold = try sluice.request(path)
      #expect(cold["Cache-Status"] == "sluice; fwd=uri-miss; stored")
      let warm = try sluice.request(path)
      #expect(warm["Cache-Status"] == "sluice; hit" && warm.cacheStatus == "HIT")
      for answer in [cold, warm] {
        Self.expectFields(answer, of: file, path: "/ipfs/\(folder)/a b.txt")
        #expect(answer["X-IPFS-Hash"] == "\(folder)")
        #expect(answer["X-Ipfs-Roots"] == "\(folder),\(file.cid)")
        #expect(answer["Content-Type"]?.hasPrefix("text/plain") == true)
        #expect(answer["Accept-Ranges"] == "bytes")
      }
      // The same name, written in other ways.
      for other in ["a%20%62.txt", "%61%20b.txt", "a%20b%2etxt"] {
        let answer = try sluice.request("/ipfs/\(folder)/\(other)")
        #expect(answer.cacheStatus == "HIT" && isSame(answer.body, file.body), "\(other)")
      }
      #expect(try sluice.request("/ipfs/\(folder)/A%20b.txt").status == 404)
      let listing = try sluice.request("/ipfs/\(folder)/")
      #expect(listing.status == 200 && listing.text.contains("page.html"))
      #expect(try sluice.request("/ipfs/\(folder)/").cacheStatus != "HIT")
      let redirect = try sluice.request("/ipfs/\(folder)")
      #expect(redirect.status == 301 && redirect["Location"] == "/ipfs/\(folder)/")
      let asked = [("Cache-Control", "only-if-cached")]
      #expect(try sluice.request("/ipfs/\(folder)/page.html", asked).status == 412)
      #expect(try sluice.request(path, asked).status == 200)
    }

    /// After the first, every spelling of a CID is a hit, answered in the client's own words.
    @Test func everySpellingIsTheSameObject() throws {
      var site = TestSite()
      let raw = try site.add(noise(300, seed: 160))
      let tree = try site.add(noise(300_000, seed: 161))
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      for content in [raw, tree] {
        #expect(try sluice.request(content.path).cacheStatus == "MISS")
        var spellings = Multibase.allCases.map { content.cid.text(in: $0) }
        if content.cid.codec == .dagPB { spellings.append(Self.version0(content.cid)) }
        for spelling in spellings where !spelling.contains("/") {
          let path = "/ipfs/\(spelling)"
          let answer = try sluice.request(path)
          #expect(answer.cacheStatus == "HIT", "\(spelling)")
          #expect(isSame(answer.body, content.body), "\(spelling)")
          // The Etag has the version that was asked for.
          var spelled = content
          if spelling.hasPrefix("Qm") { spelled.spelledEtag = "\"\(spelling)\"" }
          Self.expectFields(answer, of: spelled, path: path)
          #expect(answer["X-IPFS-Hash"] == spelling)
        }
      }
      #expect(try sluice.metric("sluice_upstream_requests_total") == 2)
    }

    /// `Qm…`, for the hash of a version 1 CID.
    static func version0(_ cid: CID) -> String {
      var text = ByteBuffer(capacity: 128)
      var binary = ByteBuffer(capacity: 64)
      cid.appendBinary(to: &binary)
      let multihash = Array(binary.readable.array.dropFirst(2))
      Multibase.base58.encode(multihash.rawBytes, to: &text)
      return String(text.readable.text.dropFirst())
    }
  }
}
