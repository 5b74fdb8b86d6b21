import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// An upstream that lies in every way, for as long as it lives: what is wrong is never complete
  /// where that can be checked, and never kept.
  @Suite struct LyingUpstreams {
    /// A region where something else answers everything, a login page for example, costs its clients nothing as long
    /// as another region is well; alone it is given on as it is.
    @Test func anotherRegionAnswersForALoginPage() throws {
      let page = Array(String(repeating: "<p>Log in, please.</p>", count: 240).utf8)
      let raws = try (0..<15).map { try TestContent.raw(noise(3000 + $0, seed: 500 + UInt64($0))) }
      let files = try (0..<5).map { try TestContent.opaque(noise(900, seed: 550 + UInt64($0))) }
      let us = try ScriptedUpstream { _, reply in
        try reply.answer(200, [("Content-Type", "text/html")], page)
      }
      let eu = try ScriptedUpstream { request, reply in
        guard let content = (raws + files).first(where: { $0.path == request.target }) else {
          return try reply.answer(404, [], [])
        }
        try reply.serve(content)
      }
      defer { us.stop() }
      defer { eu.stop() }
      var settings = SluiceProcess.Settings()
      settings.regions = [
        "us: { servers: [{ address: 127.0.0.1:\(us.port) }], next: [eu] }",
        "eu: { servers: [{ address: 127.0.0.1:\(eu.port) }] }",
      ]
      let sluice = try SluiceProcess(settings)
      for content in raws + files {
        let answer = try sluice.request(content.path)
        #expect(answer.isComplete && answer.status == 200 && isSame(answer.body, content.body))
      }
      let part = try sluice.request(files[0].path, [("Range", "bytes=5-9")])
      #expect(part.status == 206 && isSame(part.body, files[0].body, 5..<10))
      // Who has twice given what the other server gave better is asked no more for a while.
      #expect(us.requests.count < 5, "\(us.requests.count)")
      try sluice.settle()
      for content in raws { #expect(try sluice.request(content.path).cacheStatus == "HIT") }
    }

    /// Where nobody gives anything better it may be a gateway that says less than others.
    @Test func whatNobodyExplainsBetterPasses() throws {
      let page = Array("what the content may be".utf8)
      let us = try ScriptedUpstream { _, reply in try reply.answer(200, [], page) }
      defer { us.stop() }
      let eu = try DeadPort()
      var settings = SluiceProcess.Settings()
      settings.regions = [
        "us: { servers: [{ address: 127.0.0.1:\(us.port) }], next: [eu] }",
        "eu: { servers: [{ address: 127.0.0.1:\(eu.port) }] }",
      ]
      let sluice = try SluiceProcess(settings)
      for number in 0..<3 {
        let answer = try sluice.request(TestContent.opaque([UInt8(number)]).path)
        #expect(answer.status == 200 && answer.body == page)
        #expect(answer["Cache-Status"]?.contains("detail=foreign_answer") == true)
      }
    }

    /// A client with a condition is asked about by itself where the answer without it was an error; what its address says
    /// of the bytes holds for that answer, too.
    @Test(arguments: [3_000, 200_000]) func aConditionLetsNothingWrongThrough(bytes: Int) throws {
      let content = try TestContent.raw(noise(bytes, seed: 575))
      var body = content.body
      body[bytes / 2] ^= 0x40
      let wrong = TestContent(cid: content.cid, body: body)
      let upstream = try ScriptedUpstream { request, reply in
        guard request["If-None-Match"] != nil else { return try reply.answer(500, [], []) }
        try reply.serve(request["If-None-Match"] == "\"lie\"" ? wrong : content)
      }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(SluiceProcess.Settings(upstreams: [upstream.port]))
      let lie = try? sluice.request(content.path, [("If-None-Match", "\"lie\"")])
      #expect(upstream.requests.contains { $0["If-None-Match"] != nil })
      #expect(lie?.status != 200 || lie?.isComplete == false)
      // Not an answer that is remembered as an error.
      #expect(
        eventually {
          let answer = try? sluice.request(content.path, [("If-None-Match", "\"true\"")])
          return answer?.status == 200 && isSame(answer?.body ?? [], content.body)
        })
    }

    @Test func nothingWrongIsKept() throws {
      let requests = Soak.pick(1000, soak: 10_000)
      let truths = try (0..<requests / 4).map { number in
        let kind = Truth.Kind.allCases[number % Truth.Kind.allCases.count]
        return try Truth(kind, number: number, bytes: number % 23 == 0 ? 150_000 : 300 + number * 7)
      }
      let told = Collected<Lie>()
      let mood = LyingUpstream.Mood()
      let liar = try LyingUpstream.start(truths, mood: mood, honest: 30, seed: 9, told: told)
      defer { liar.stop() }
      var settings = SluiceProcess.Settings(upstreams: [liar.port])
      settings.sliceSize = "64KB"
      settings.timeouts = ["first_byte: 10s", "between_bytes: 500ms"]
      let sluice = try SluiceProcess(settings)
      let port = sluice.port
      let wrong = Collected<String>()
      try onThreads(2) { thread in
        let asker = Asker(port: port)
        for number in 0..<requests where number % 2 == thread {
          let truth = truths[number % truths.count]
          if number % 11 == 0 { _ = try? asker.ask(Self.question(truth, nil, method: "HEAD")) }
          let range = number % 5 == 0 && truth.kind != .car ? 100..<200 : nil
          if let fault = Self.fault(truth, range, asker) { wrong.add(fault) }
        }
      }
      expectNothing(wrong.all, "complete and wrong while the upstream lies")
      #expect(Set(told.all) == Set(Lie.allCases))
      try sluice.settle()
      mood.now = .silent
      try checkWhatIsKept(truths, sluice)
      mood.now = .honest
      checkWhatIsMended(truths, sluice)
      #expect(sluice.isRunning)
    }

    /// A server that ends each CAR early, but in order, gets few of them beside one that does not.
    @Test func whoEndsEarlyIsAskedLess() throws {
      let truths = try (0..<60).map { try Truth(.car, number: $0, bytes: 2_000) }
      let told = Collected<Lie>()
      let liars = try [0, 100].map {
        try LyingUpstream.start(
          truths, mood: LyingUpstream.Mood(), honest: $0, seed: 3, told: told, all: [.cleanCut])
      }
      defer { for upstream in liars { upstream.stop() } }
      var settings = SluiceProcess.Settings(upstreams: liars.map(\.port))
      settings.workers = 1
      let sluice = try SluiceProcess(settings)
      let asker = Asker(port: sluice.port)
      let whole = truths.count { (try? asker.ask(Self.question($0, nil)))?.isComplete ?? false }
      // Three in a row make it the last of the two for a while.
      #expect(told.all.count <= 8 && whole == truths.count - told.all.count)
    }

    /// Every object, when nobody is left to ask but the cache.
    private func checkWhatIsKept(_ truths: [Truth], _ sluice: SluiceProcess) throws {
      let asker = Asker(port: sluice.port)
      var bad: [String] = []
      var kept: [Truth.Kind: Int] = [:]
      for truth in truths {
        let range = truth.kind == .car ? nil : 100..<200
        let head = try? asker.ask(Self.question(truth, nil, method: "HEAD"))
        if truth.kind != .car, let head, head.status == 200,
          head["Content-Length"] != "\(truth.body.count)"
        {
          bad.append("\(truth.target): HEAD with \(head["Content-Length"] ?? "no") bytes")
        }
        for part in [nil, range] {
          guard let answer = try? asker.ask(Self.question(truth, part)),
            answer.status == 200 || answer.status == 206
          else { continue }
          if let fault = Self.fault(truth, part, answer) { bad.append(fault) }
          if answer["Set-Cookie"] != nil { bad.append("\(truth.target): a cookie is kept") }
          if answer["Etag"] != truth.etag, truth.kind != .car {
            bad.append("\(truth.target): Etag \(answer["Etag"] ?? "none")")
          }
          if part == nil, answer.isComplete { kept[truth.kind, default: 0] += 1 }
        }
      }
      expectNothing(bad, "kept and wrong")
      for kind in Truth.Kind.allCases {
        let count = truths.count { $0.kind == kind }
        #expect(kept[kind, default: 0] > count / 4, "of \(count) objects of the kind \(kind)")
      }
    }

    /// No lie lasts: from an honest upstream every object is had again, the second time at the latest.
    private func checkWhatIsMended(_ truths: [Truth], _ sluice: SluiceProcess) {
      let asker = Asker(port: sluice.port)
      let spoilt = truths.compactMap { truth -> String? in
        _ = try? asker.ask(Self.question(truth, nil))
        guard let answer = try? asker.ask(Self.question(truth, nil)) else {
          return "\(truth.kind) \(truth.target): no answer"
        }
        if answer.isComplete, answer.status == 200, isSame(answer.body, truth.body) { return nil }
        return "\(truth.kind) \(truth.target): \(answer.status), \(answer.body.count) bytes of "
          + "\(truth.body.count), \(answer["Cache-Status"] ?? "no Cache-Status")"
      }
      expectNothing(spoilt, "spoilt for good by a lie")
    }

    private static func question(
      _ truth: Truth, _ part: Range<Int>?, method: String = "GET"
    ) -> Question {
      var question = Question(truth.target)
      question.method = method
      if let part {
        question.fields = [("Range", "bytes=\(part.lowerBound)-\(part.upperBound - 1)")]
      }
      return question
    }

    /// Asks, and says what is wrong with an answer that seems to be right.
    private static func fault(_ truth: Truth, _ part: Range<Int>?, _ asker: Asker) -> String? {
      // An answer that breaks off within its head is one that is seen to be broken.
      guard let answer = try? asker.ask(question(truth, part)) else { return nil }
      // What cannot be checked is whatever the upstream says; only the keeping of it is a fault.
      return truth.kind == .opaque ? nil : fault(truth, part, answer)
    }

    private static func fault(
      _ truth: Truth, _ part: Range<Int>?, _ answer: Response
    ) -> String? {
      guard answer.isComplete else { return nil }
      let isRight: Bool
      switch answer.status {
      case 200: isRight = isSame(answer.body, truth.body)
      case 206:
        // A part that nobody asked for is seen to be none.
        guard let part else { return nil }
        isRight = isSame(answer.body, truth.body, part)
      default: return nil
      }
      if isRight { return nil }
      let status = answer["Cache-Status"] ?? "no Cache-Status"
      return "\(truth.kind) \(truth.target)\(part.map { " \($0)" } ?? ""): \(answer.status), "
        + "\(answer.body.count) bytes of \(part?.count ?? truth.body.count), \(status)"
    }

    private func expectNothing(_ faults: [String], _ what: String) {
      guard !faults.isEmpty else { return }
      let some = faults.prefix(40).joined(separator: "\n  ")
      Issue.record("\(faults.count) answers are \(what)\n  \(some)")
    }
  }
}
