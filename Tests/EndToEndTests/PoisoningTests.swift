import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Whatever somebody asked before, everybody gets the answer to their own request.
  @Suite struct Poisoning {
    private struct Pair: Sendable {
      var before: String
      var probe: Probe
      var first: Question
      /// As the client sends it, and as the origin must be asked.
      var second: Question
      var trusted: Question
      var content: PairContent
    }

    private struct Wrong: Sendable {
      var probe: String
      var difference: String
      var before: String
    }

    /// Every ordered pair of requests, on content of its own: the first one, then the second one
    /// twice, whose answers must be the origin's own.
    @Test func noAnswerIsThatOfAnotherRequest() throws {
      #expect(Probe.all.count >= 60)
      var dag = TestDAG(chunkBytes: 200)
      var pairs: [Pair] = []
      var names: [(name: String, target: String)] = []
      for before in Probe.all {
        for probe in Probe.all {
          let content = try PairContent(in: &dag, salt: pairs.count)
          if before.usesName || probe.usesName {
            names.append((content.name, "/ipfs/\(content.root)"))
          }
          var first = before.question(content)
          first.fields += before.lies
          let trusted = probe.question(content)
          var second = trusted
          second.fields += probe.lies
          pairs.append(
            Pair(
              before: before.name, probe: probe, first: first, second: second, trusted: trusted,
              content: content))
        }
      }
      let origin = try OriginProcess(
        car: dag.car, names: names, subdomainHosts: [TestHosts.subdomains])
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.hosts = TestHosts.entries
      let sluice = try SluiceProcess(settings)
      let wrong = Collected<Wrong>()
      let (all, ports) = (pairs, (origin: origin.port, sluice: sluice.port))
      try onThreads(2) { number in
        let (truth, asker) = (Asker(port: ports.origin), Asker(port: ports.sluice))
        for (index, pair) in all.enumerated() where index % 2 == number {
          for difference in try Self.differences(pair, truth, asker) {
            wrong.add(
              Wrong(probe: pair.probe.name, difference: difference, before: pair.before))
          }
        }
      }
      withExtendedLifetime((origin, sluice)) { report(wrong.all, of: pairs.count) }
    }

    private static func differences(
      _ pair: Pair, _ truth: Asker, _ asker: Asker
    ) throws -> Set<String> {
      let expected = try truth.ask(pair.trusted)
      var found: Set<String> = []
      do {
        _ = try asker.ask(pair.first)
        for _ in 0..<2 {
          let got = try asker.ask(pair.second)
          if pair.probe.onlyIfCached, got.status == 412 { continue }
          let differences = DeliberateDifference.remove(
            from: Difference.all(expected: expected, got: got, method: pair.second.method),
            pair.second, expected: expected, got: got)
          found.formUnion(differences.map { general($0, pair) })
        }
      } catch {
        found.insert("no answer: \(error)")
      }
      return found
    }

    /// A difference with the roles of CIDs in their place, so that equal faults of many pairs are one.
    private static func general(_ difference: Difference, _ pair: Pair) -> String {
      var text = difference.description
      let content = pair.content
      for (role, cid) in [
        ("root", content.root), ("data", content.data), ("leaf", content.leaf),
        ("twin", content.twin), ("json", content.json),
      ] {
        text = text.replacing("\(cid)", with: "<\(role)>")
        if let old = try? cid.version0() { text = text.replacing("\(old)", with: "<\(role) v0>") }
      }
      return text.replacing(content.name, with: "<name>")
        .replacing(/b[a-z2-7]{50,}/, with: "<other>")
        .replacing(/\.car\.[0-9a-z]+/, with: ".car.<hash>")
    }

    private func report(_ wrong: [Wrong], of pairs: Int) {
      guard !wrong.isEmpty else { return }
      let groups = Dictionary(grouping: wrong) { "\($0.probe): \($0.difference)" }
      let lines = groups.sorted { $0.key < $1.key }.map { text, faults in
        let before = faults.count < 6 ? faults.map(\.before).joined(separator: ", ") : "many"
        return "\(text) [after \(faults.count) of \(Probe.all.count): \(before)]"
      }
      let all = lines.joined(separator: "\n  ")
      Issue.record("\(wrong.count) wrong answers to \(pairs) pairs\n  \(all)")
    }
  }
}
