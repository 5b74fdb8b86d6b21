import TestKit
import Testing

extension EndToEnd {
  /// Every byte is the right one, however it is asked for and wherever it comes from.
  @Suite struct Bytes {
    struct Slices: Sendable, CustomTestStringConvertible {
      var setting: String
      var bytes: Int
      var testDescription: String { setting }
    }

    static let slices = [
      Slices(setting: "64KB", bytes: 64 << 10), Slices(setting: "1MB", bytes: 1 << 20),
    ]

    /// Ranges about both ends and every slice border.
    static func ranges(_ total: Int, slice: Int) -> [(field: String, part: Range<Int>)] {
      var ranges: [(String, Range<Int>)] = [
        ("0-0", 0..<1), ("\(total - 1)-\(total - 1)", total - 1..<total), ("0-", 0..<total),
        ("\(total - 1)-", total - 1..<total), ("-1", total - 1..<total),
        ("-\(total)", 0..<total), ("-\(total + 7)", 0..<total), ("0-\(total + 7)", 0..<total),
        ("\(total / 3)-\(total / 2)", total / 3..<total / 2 + 1),
      ]
      for border in stride(from: slice, to: total, by: slice) {
        ranges.append(("\(border - 1)-\(border)", border - 1..<border + 1))
        ranges.append(("\(border - 1)-\(border - 1)", border - 1..<border))
        ranges.append(("\(border)-\(border)", border..<border + 1))
        ranges.append(("\(border)-", border..<total))
        ranges.append(("-\(total - border + 1)", border - 1..<total))
      }
      return ranges
    }

    static func expectRanges(
      of content: TestContent, slice: Int, on client: RawClient, hits: Bool
    ) throws {
      let total = content.body.count
      for (field, part) in ranges(total, slice: slice) {
        let answer = try client.request(content.path, [("Range", "bytes=\(field)")])
        let place = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"
        #expect(answer.status == 206, "\(field)")
        #expect(answer["Content-Range"] == place, "\(field)")
        #expect(isSame(answer.body, content.body, part), "\(field) of \(total)")
        if hits { #expect(answer.cacheStatus == "HIT", "\(field) of \(total)") }
      }
    }

    @Test(arguments: slices) func everySizeIsExactColdAndWarmAndRestarted(slices: Slices) throws {
      var site = TestSite()
      let sizes = [0, 1, slices.bytes - 1, slices.bytes, slices.bytes + 1, 3 * slices.bytes + 17]
      let files = try sizes.map { try site.add(noise($0, seed: UInt64($0))) }
      let origin = try OriginProcess(car: site.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.sliceSize = slices.setting
      let sluice = try SluiceProcess(settings)
      let client = try sluice.connect()
      for file in files {
        for expected in ["MISS", "HIT"] {
          let answer = try client.request(file.path)
          #expect(answer.status == 200)
          #expect(answer.cacheStatus == expected, "\(file.body.count)")
          #expect(isSame(answer.body, file.body), "\(file.body.count)")
        }
      }
      for file in files where !file.body.isEmpty {
        try Self.expectRanges(of: file, slice: slices.bytes, on: client, hits: true)
      }
      // No range of nothing can be satisfied; a range of an empty file is no range.
      let empty = try client.request(files[0].path, [("Range", "bytes=0-0")])
      #expect([200, 416].contains(empty.status) && empty.body.isEmpty)

      try sluice.settle()
      origin.stop()
      try sluice.stop()
      try sluice.startAgain()
      let again = try sluice.connect()
      for file in files {
        let answer = try again.request(file.path)
        #expect(answer.status == 200 && answer.cacheStatus == "HIT")
        #expect(isSame(answer.body, file.body))
      }
    }

    /// Each range is the first thing that is ever asked of its file.
    @Test func rangesOfUnknownFilesAreExact() throws {
      let slice = 64 << 10
      let total = 3 * slice + 17
      var site = TestSite()
      let cases = try Self.ranges(total, slice: slice).enumerated().map { number, range in
        (file: try site.add(noise(total, seed: UInt64(1000 + number))), range: range)
      }
      let origin = try OriginProcess(car: site.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let client = try sluice.connect()
      for (file, range) in cases {
        let answer = try client.request(file.path, [("Range", "bytes=\(range.field)")])
        #expect(answer.status == 206, "\(range.field)")
        #expect(isSame(answer.body, file.body, range.part), "\(range.field)")
        #expect(answer["Etag"] == file.etag)
        let whole = try client.request(file.path)
        #expect(whole.status == 200 && isSame(whole.body, file.body), "\(range.field)")
      }
      try sluice.settle()
      origin.stop()
      for (file, _) in cases {
        let answer = try client.request(file.path)
        #expect(answer.cacheStatus == "HIT" && isSame(answer.body, file.body))
      }
    }

    @Test func sixtyFourMebibytesForOneAndForMany() throws {
      var site = TestSite()
      let file = try site.add(noise(64 << 20, seed: 64))
      let origin = try OriginProcess(car: site.car, workers: 2)
      let sluice = try SluiceProcess(upstream: origin.port)
      let client = try sluice.connect()
      let cold = try client.request(file.path)
      #expect(cold.cacheStatus == "MISS" && isSame(cold.body, file.body))
      try sluice.settle()
      origin.stop()
      let warm = try client.request(file.path)
      #expect(warm.cacheStatus == "HIT" && isSame(warm.body, file.body))
      for border in stride(from: 1 << 20, to: 64 << 20, by: 1 << 20) {
        let part = border - 33..<border + 44
        let range = "bytes=\(part.lowerBound)-\(part.upperBound - 1)"
        let answer = try client.request(file.path, [("Range", range)])
        #expect(answer.status == 206 && isSame(answer.body, file.body, part), "\(range)")
      }
      try Self.many(20, whole: file, at: sluice.port)
      try sluice.stop()
      try sluice.startAgain()
      let restarted = try sluice.request(file.path)
      #expect(restarted.cacheStatus == "HIT" && isSame(restarted.body, file.body))
    }

    static func many(_ count: Int, whole file: TestContent, at port: UInt16) throws {
      let crowd = Crowd(of: file.body)
      for _ in 0..<count {
        try crowd.add(
          port: port, request: RawClient.text(file.path), part: 0..<file.body.count)
      }
      #expect(crowd.run { $0.doneCount == count })
      #expect(crowd.clients.allSatisfy { $0.status == 200 && $0.isDone })
    }

    /// Half of them want all of it and half a range, first cold and then warm.
    @Test func fiveHundredClientsAtOnce() throws {
      var site = TestSite()
      let total = (1 << 20) + 4321
      let file = try site.add(noise(total, seed: 500))
      let origin = try OriginProcess(car: site.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      for _ in 0..<2 {
        let crowd = Crowd(of: file.body)
        for number in 0..<500 {
          let first = number * 2003 % (total - 1)
          let part = number % 2 == 0 ? 0..<total : first..<min(total, first + 150_000)
          let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
          try crowd.add(
            port: sluice.port,
            request: RawClient.text(file.path, number % 2 == 0 ? [] : [range]), part: part)
        }
        #expect(crowd.run { $0.doneCount == 500 })
        #expect(crowd.clients.count { $0.status == 206 && $0.isDone } == 250)
        #expect(crowd.clients.count { $0.status == 200 && $0.isDone } == 250)
      }
      try sluice.settle()
      origin.stop()
      #expect(isSame(try sluice.request(file.path).body, file.body))
    }

    /// Objects keep the slices that they were begun with.
    @Test func theSliceSizeMayChange() throws {
      var site = TestSite()
      let slice = 64 << 10
      let files = try (0..<2).map { try site.add(noise(20 * slice + 99, seed: 700 + $0)) }
      let origin = try OriginProcess(car: site.car)
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.sliceSize = "64KB"
      let sluice = try SluiceProcess(settings)
      let part = 5 * slice + 10..<7 * slice - 10
      for file in files {
        let range = ("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")
        let answer = try sluice.request(file.path, [range])
        #expect(isSame(answer.body, file.body, part))
      }
      try sluice.settle()
      try sluice.stop()
      settings.sliceSize = "1MB"
      try sluice.startAgain(settings)
      let client = try sluice.connect()
      #expect(isSame(try client.request(files[0].path).body, files[0].body))
      try Self.expectRanges(of: files[1], slice: slice, on: client, hits: false)
      #expect(isSame(try client.request(files[1].path).body, files[1].body))
      try sluice.settle()
      origin.stop()
      for file in files {
        let answer = try client.request(file.path)
        #expect(answer.cacheStatus == "HIT" && isSame(answer.body, file.body))
      }
    }

    /// A file of 6 GiB that is one block 6,144 times: offsets beyond 32 bits, by ranges alone.
    @Test func sixGibibytesByRanges() throws {
      var site = TestSite()
      let block = noise(1 << 20, seed: 6)
      let cid = try site.add(block, times: 6144)
      let total = 6 << 30
      let origin = try OriginProcess(car: site.car)
      let sluice = try SluiceProcess(upstream: origin.port)
      var ranges: [(String, Range<Int>)] = [
        ("0-99", 0..<100), ("-100", total - 100..<total), ("-1", total - 1..<total),
        ("\(total - 1)-", total - 1..<total), ("\(total - 70_000)-", total - 70_000..<total),
      ]
      for border in [2 << 30, 4 << 30, 5 << 30, (4 << 30) + (1 << 20)] {
        ranges.append(("\(border - 50)-\(border + 49)", border - 50..<border + 50))
        ranges.append(("\(border)-\(border)", border..<border + 1))
        ranges.append(("\(border - 1)-\(border - 1)", border - 1..<border))
      }
      for isWarm in [false, true] {
        if isWarm {
          try sluice.settle()
          origin.stop()
          try sluice.stop()
          try sluice.startAgain()
        }
        let client = try sluice.connect()
        for (field, part) in ranges {
          let answer = try client.request("/ipfs/\(cid)", [("Range", "bytes=\(field)")])
          let expected = part.map { block[$0 & ((1 << 20) - 1)] }
          #expect(answer.status == 206, "\(field)")
          #expect(
            answer["Content-Range"] == "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)")
          #expect(answer.body == expected, "\(field)")
          if isWarm { #expect(answer.cacheStatus == "HIT", "\(field)") }
        }
        let beyond = try client.request("/ipfs/\(cid)", [("Range", "bytes=\(total)-")])
        #expect(beyond.status == 416 && beyond["Content-Range"] == "bytes */\(total)")
      }
    }
  }
}
