import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// The command line, the start and the end.
  @Suite struct CommandLine {
    static func run(_ arguments: String..., in folder: TemporaryFolder? = nil) throws -> Outcome {
      try Outcome.of(Program.path, arguments, in: folder)
    }

    @Test func versionAndHelp() throws {
      let version = try Self.run("version")
      #expect(version.ending == .exited(0))
      #expect(version.text.wholeMatch(of: /sluice \d+\.\d+\.\d+\n/) != nil)
      let help = try Self.run("--help")
      #expect(help.ending == .exited(0) && help.text.contains("serve"))
      let unknown = try Self.run("frobnicate")
      #expect(unknown.ending == .exited(64) && unknown.output.isEmpty)
      #expect(try Self.run("origin").ending == .exited(64))
      let absent = try Self.run("origin", "--car", "/nowhere.car")
      #expect(absent.ending == .exited(1))
      #expect(absent.errors.contains("/nowhere.car: cannot be read (no such file or directory)"))
    }

    static let mistakes: [(text: String, complaint: String)] = [
      ("workers: 2\nlisten: nonsense\n", "gateway.conf:2:9: "),
      ("cache:\n  pth: x\n", "gateway.conf:2:3: unknown setting 'cache.pth'; did you mean 'path'?"),
      ("cahce:\n  path: x\n", "gateway.conf:1:1: unknown setting 'cahce'; did you mean 'cache'?"),
      ("max_size: 1GB\n", "did you mean 'cache.max_size'?"),
      ("cache:\n  max_size: 3 apples\n", "gateway.conf:2:13: "),
      ("cache:\n  slice_size: 100KB\n", "gateway.conf:2:15: "),
      ("workers: 1\nworkers: 2\n", "'workers' is given more than once"),
      ("timeouts:\n  send: 0s\n", "gateway.conf:2:9: "),
      ("listen:\n\t- address: 127.0.0.1:1\n", "gateway.conf:2:"),
    ]

    @Test func checkSaysWhereAndWhat() throws {
      let folder = try TemporaryFolder()
      for (text, complaint) in Self.mistakes {
        try folder.write(text, to: "gateway.conf")
        for command in ["check", "serve"] {
          let outcome = try Self.run(command, "--config", "gateway.conf", in: folder)
          #expect(outcome.ending == .exited(1), "\(text)")
          #expect(outcome.errors.contains(complaint), "\(outcome.errors)")
          // As editors read them.
          let lines = outcome.errors.split(separator: "\n")
          #expect(
            lines.allSatisfy { $0.prefixMatch(of: /gateway\.conf:\d+:\d+: ./) != nil },
            "\(outcome.errors)")
          #expect(outcome.output.isEmpty)
        }
      }
      try folder.write("workers: 3\ncache:\n  max_size: 512MB\n", to: "gateway.conf")
      let good = try Self.run("check", in: folder)
      #expect(good.ending == .exited(0) && good.text == "gateway.conf: all is well\n")
      let printed = try Self.run("check", "--print", in: folder)
      #expect(printed.ending == .exited(0) && printed.text.contains("workers: 3"))
      // What is printed is itself a right file, and means the same.
      try folder.write(printed.text, to: "printed.conf")
      let again = try Self.run("check", "--print", "--config", "printed.conf", in: folder)
      #expect(again.ending == .exited(0) && again.text == printed.text)
      let absent = try Self.run("check", "--config", "absent.conf", in: folder)
      #expect(absent.ending == .exited(1))
      #expect(absent.errors.contains("absent.conf: no such file or directory"))
      let wrong = try Self.run("check", "--config", ".", in: folder)
      #expect(wrong.errors == "Error: .: is a directory\n")
    }

    @Test func checkWarnsOfAnIndexLargerThanMemory() throws {
      let folder = try TemporaryFolder()
      try folder.write("cache:\n  max_size: 64TB\n", to: "gateway.conf")
      let large = try Self.run("check", in: folder)
      #expect(large.ending == .exited(0) && large.text == "gateway.conf: can be used\n")
      let sentence = "gateway.conf:2:3: warning: cache.max_size: the index may grow to 8192.0 GiB"
      #expect(large.errors.hasPrefix(sentence), "\(large.errors)")
      try folder.write("cache:\n  max_size: 512MB\n", to: "gateway.conf")
      #expect(try Self.run("check", in: folder).errors == "")
    }

    @Test func whatCannotStartSaysWhy() throws {
      let dead = try DeadPort()
      let first = try SluiceProcess(upstream: dead.port)
      let folder = try TemporaryFolder()
      var settings = SluiceProcess.Settings(upstreams: [dead.port])
      // Taken by another program.
      let other = try ScriptedUpstream { _, _ in }
      defer { other.stop() }
      settings.port = other.port
      try folder.write(settings.text, to: "gateway.conf")
      let taken = try Self.run("serve", in: folder)
      #expect(taken.ending == .exited(1))
      #expect(taken.errors.contains("cannot listen on 127.0.0.1:\(other.port): "))
      // Taken by another gateway, whose sockets would share the port.
      settings.port = first.port
      try folder.write(settings.text, to: "gateway.conf")
      let twice = try Self.run("serve", in: folder)
      #expect(twice.ending == .exited(1))
      #expect(twice.errors.contains("cannot listen on 127.0.0.1:\(first.port): "))
      // A cache that another process has open.
      settings.port = 0
      let path = first.folder.file("cache")
      try folder.write(
        settings.text.replacing("path: cache", with: "path: \(path)"), to: "gateway.conf")
      let shared = try Self.run("serve", in: folder)
      #expect(shared.ending == .exited(1))
      #expect(shared.errors.contains("cache.path \(path): another process uses this cache"))
    }

    // MARK: Its end

    @Test func aStopLetsDownloadsFinish() throws {
      let content = try TestContent.opaque(noise(400_000, seed: 170))
      let gate = Gate()
      let upstream = try Coalescing.drip(content, gate)
      defer { upstream.stop() }
      defer { gate.open() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      let client = try sluice.connect()
      try client.send(RawClient.text(content.path))
      #expect(try client.head().status == 200)
      let idler = try sluice.connect()
      #expect(try idler.request("/health").status == 200)
      sluice.askToStop()
      // Who waits for nothing is let go; nobody new gets in.
      #expect(idler.ending(within: 10) == .closed)
      #expect(eventually { (try? sluice.connect()) == nil })
      #expect(sluice.isRunning)
      gate.open()
      #expect(isSame(try client.bytes(400_000), content.body))
      #expect(try sluice.waitForEnd() == .exited(0))
      #expect(sluice.errors.contains(" stopped"))
      try sluice.startAgain()
      #expect(try sluice.request(content.path).cacheStatus == "HIT")
    }

    @Test func whatIsCommittedSurvivesAKill() throws {
      // Not more than twice: three such ends in a row make a gateway mistrust its index.
      let contents = try (0..<20).map {
        try TestContent.opaque(noise(50_000 + $0, seed: 180 + UInt64($0)))
      }
      let upstream = try ScriptedUpstream { request, reply in
        try reply.serve(contents.first { $0.path == request.target } ?? contents[0])
      }
      let sluice = try SluiceProcess(upstream: upstream.port)
      var committed: [TestContent] = []
      for round in 0..<2 {
        let sequence = try sluice.metric("sluice_cache_commit_sequence")
        for content in contents[round * 10..<round * 10 + 10] {
          #expect(isSame(try sluice.request(content.path).body, content.body))
        }
        // Killed at once in odd rounds: what was under way may be lost, but nothing else.
        if round % 2 == 0 {
          try sluice.settle()
          #expect(try sluice.metric("sluice_cache_commit_sequence") > sequence)
          committed += contents[round * 10..<round * 10 + 10]
        }
        sluice.kill()
        try sluice.startAgain()
        #expect(!sluice.errors.contains("set aside"))
        for content in committed {
          let answer = try sluice.request(content.path)
          #expect(answer.cacheStatus == "HIT" && isSame(answer.body, content.body))
        }
      }
      upstream.stop()
      for content in committed {
        #expect(isSame(try sluice.request(content.path).body, content.body))
      }
    }

    // MARK: Looking in

    @Test func healthMetricsAndLogs() throws {
      let content = try TestContent.opaque(noise(5000, seed: 190))
      let upstream = try ScriptedUpstream { _, reply in try reply.serve(content) }
      defer { upstream.stop() }
      let sluice = try SluiceProcess(upstream: upstream.port)
      for _ in 0..<3 { #expect(try sluice.request(content.path + "?a=\"b\"").status == 200) }
      let health = try sluice.request("/health")
      #expect(health.status == 200 && health.text == "ok\n")
      let admin = try RawClient(port: sluice.adminPort)
      #expect(try admin.request("/health").text == "ok\n")
      // A request counts once it is over, which is after its answer has come.
      let hits = #"sluice_requests_total{cache="hit"}"#
      #expect(try eventually { try sluice.metric(hits) == 2 })
      let metrics = try admin.request("/metrics")
      #expect(metrics["Content-Type"]?.hasPrefix("text/plain; version=0.0.4") == true)
      #expect(Metrics.malformed(metrics.text) == [])
      let numbers = Metrics.parse(metrics.text)
      #expect(numbers[#"sluice_requests_total{cache="miss"}"#] == 1)
      #expect(numbers[hits] == 2)
      #expect(numbers["sluice_upstream_requests_total"] == 1)
      #expect(numbers["sluice_worker_major_faults_total"] != nil)
      #expect(try admin.request("/nowhere").status == 404)
      #expect(try sluice.stop() == .exited(0))
      let lines = sluice.accessLog.split(separator: "\n")
      #expect(lines.count >= 3)
      for line in lines {
        let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        #expect(object?["status"] as? Int == 200, "\(line)")
      }
    }

    @Test func theDemoWorksAsPrinted() throws {
      let folder = try TemporaryFolder()
      try folder.write(
        SluiceProcess.Settings(upstreams: [freePort()]).text, to: "gateway.conf")
      let demo = try ChildProcess(
        Program.path, ["demo"], in: folder.path, output: folder.file("output"),
        errors: folder.file("errors"))
      #expect(eventually(within: 30) { folder.text(of: "output").contains("Ctrl-C") })
      let lines = folder.text(of: "output").split(separator: "\n")
        .map { $0.drop { $0 == " " } }.filter { $0.hasPrefix("curl ") }
      #expect(lines.count >= 3)
      var hits = 0
      for line in lines {
        let outcome = try Outcome.of("sh", ["-c", String(line)], in: folder)
        #expect(outcome.ending == .exited(0), "\(line)")
        if line.contains(" -i "), !line.contains("--output") {
          #expect(outcome.text.contains("HTTP/1.1 20"), "\(line)")
        }
        if outcome.text.contains("X-Cache-Status: HIT") { hits += 1 }
      }
      #expect(hits >= 1)
      demo.send(SIGINT)
      #expect(try demo.wait() == .exited(0))
    }
  }
}
