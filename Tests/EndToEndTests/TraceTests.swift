import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// W3C Trace Context, from clients to servers.
  @Suite struct Traces {
    private static let trace = "0af7651916cd43dd8448eb211c80319c"
    private static let parent = "b7ad6b7169203331"

    private struct Gate {
      let upstream: ScriptedUpstream
      let sluice: SluiceProcess

      init(_ content: TestContent, starts: Bool, isTrusted: Bool = false) throws {
        upstream = try ScriptedUpstream { request, reply in
          if request.target.hasPrefix("/ipfs/\(content.cid)") {
            try reply.serve(content)
          } else {
            try reply.answer(404, [], [])
          }
        }
        var settings = SluiceProcess.Settings(upstreams: [upstream.port])
        settings.sections = [
          "tracing: { start: \(starts) }", "cluster_api:",
          "  servers: [{ address: 127.0.0.1:\(upstream.port) }]", "  allow: [127.0.0.0/8]",
        ]
        if isTrusted { settings.sections.append("trusted_proxies: [127.0.0.0/8]") }
        sluice = try SluiceProcess(settings)
      }

      func logged() throws -> [String?] {
        #expect(try sluice.stop() == .exited(0))
        return try sluice.accessLog.split(separator: "\n").map { line in
          let object = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
          return object?["trace_id"] as? String
        }
      }
    }

    /// What makes servers record or keep something comes from trusted proxies alone.
    @Test(arguments: [true, false]) func aTraceGoesOnWithAnotherParent(isTrusted: Bool) throws {
      let content = try TestContent.opaque(noise(700, seed: 720))
      let gate = try Gate(content, starts: false, isTrusted: isTrusted)
      defer { gate.upstream.stop() }
      let client = try gate.sluice.connect()
      let told = "00-\(Self.trace)-\(Self.parent)-01"
      // A miss, a hit, two kinds that are passed through, and one that is the cluster's.
      let paths = [
        content.path, content.path, content.path + "/missing", "/ipns/a.example/b", "/cluster/id",
      ]
      for path in paths {
        _ = try client.request(
          path, [("traceparent", told), ("tracestate", "a=1"), ("tracestate", "b=2")])
      }
      let requests = gate.upstream.requests.filter { $0["traceparent"] != nil }
      #expect(requests.contains { $0.target == content.path })
      #expect(requests.contains { $0.target == content.path + "/missing" })
      #expect(requests.contains { $0.target == "/id" })
      // A name is asked for by its path, and then by its root.
      let named = gate.upstream.requests.filter { $0.target.hasPrefix("/ipns/a.example") }
      #expect(named.filter { $0.method == "HEAD" }.count == 2)
      #expect(named.allSatisfy { $0["traceparent"] != nil })
      for request in requests {
        let value = request["traceparent"] ?? ""
        #expect(
          value.hasPrefix("00-\(Self.trace)-") && value.hasSuffix(isTrusted ? "-01" : "-00"),
          "\(value)")
        let parent = value.dropFirst(36).prefix(16)
        #expect(parent != Self.parent && parent != "0000000000000000")
        #expect(request["tracestate"] == (isTrusted ? "a=1,b=2" : nil))
      }
      #expect(try gate.logged() == Array(repeating: Self.trace, count: paths.count))
    }

    @Test func whatIsNoTraceIsNotGivenOn() throws {
      let content = try TestContent.opaque(noise(700, seed: 721))
      let gate = try Gate(content, starts: false)
      defer { gate.upstream.stop() }
      let client = try gate.sluice.connect()
      let wrong = ["00-\(Self.trace.uppercased())-\(Self.parent)-01", "00-\(Self.trace)-0-01", "x"]
      for value in wrong {
        _ = try client.request(
          "/ipfs/\(content.cid)/\(value.count)", [("traceparent", value), ("tracestate", "a=1")])
      }
      let told = "00-\(Self.trace)-\(Self.parent)-01"
      _ = try client.request(content.path, [("traceparent", told), ("traceparent", told)])
      _ = try client.request(content.path + "?a", [("tracestate", "a=1")])
      #expect(gate.upstream.requests.count >= 4)
      for request in gate.upstream.requests {
        #expect(request["traceparent"] == nil && request["tracestate"] == nil)
      }
      #expect(try gate.logged() == Array(repeating: nil, count: 5))
    }

    @Test func whereItIsWantedEachRequestBeginsOne() throws {
      let content = try TestContent.opaque(noise(700, seed: 722))
      let gate = try Gate(content, starts: true)
      defer { gate.upstream.stop() }
      let client = try gate.sluice.connect()
      for _ in 0..<3 { _ = try client.request(content.path) }
      _ = try client.request(content.path, [("traceparent", "00-\(Self.trace)-\(Self.parent)-01")])
      let asked = gate.upstream.requests.compactMap { $0["traceparent"] }
      let logged = try gate.logged().compactMap { $0 }
      #expect(logged.count == 4 && Set(logged).count == 4 && logged.last == Self.trace)
      #expect(asked.count == 1 && asked[0].hasPrefix("00-\(logged[0])-"))
      #expect(asked[0].hasSuffix("-00"))
    }
  }
}
