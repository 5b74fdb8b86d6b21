import Base
import Synchronization
import System
import Testing

@testable import Upstreams

@Suite struct UpstreamNamesTests {
  private final class Answers {
    var byName: [String: Result<[SocketAddress], UpstreamNames.Why>] = [:]
  }

  private final class Heard: Sendable {
    let events = Mutex<[UpstreamEvent]>([])

    func take() -> [UpstreamEvent] {
      events.withLock { events in
        defer { events = [] }
        return events
      }
    }
  }

  private let answers = Answers()
  private let heard = Heard()
  private let map = UpstreamMap(regions: [UpstreamRegion(name: "eu", servers: [])])
  private let names: UpstreamNames

  init() {
    let answers = answers
    let heard = heard
    map.onEvent { event in heard.events.withLock { $0.append(event) } }
    let entries = [("kubo.internal", true), ("10.0.0.9", false)].map { host, isName in
      UpstreamEntry(
        host: host, port: 8080, text: "\(host):8080", traits: UpstreamServer.Traits(weight: 3),
        isName: isName)
    }
    names = UpstreamNames(map, [entries]) { host, port in
      if let address = SocketAddress(host: host, port: port) { return .success([address]) }
      return answers.byName[host] ?? .failure(UpstreamNames.Why(sentence: "unknown"))
    }
  }

  private func addresses(_ last: Int...) -> Result<[SocketAddress], UpstreamNames.Why> {
    .success(last.compactMap { SocketAddress(host: "10.0.0.\($0)", port: 8080) })
  }

  private var labels: [String] { map.regions[0].servers.map(\.label) }

  @Test func everyAddressIsAServer() {
    answers.byName["kubo.internal"] = addresses(2, 1, 2)
    names.look()
    #expect(
      labels == ["kubo.internal:8080@10.0.0.1", "kubo.internal:8080@10.0.0.2", "10.0.0.9:8080"])
    #expect(map.regions[0].servers[0].name == "eu/kubo.internal:8080@10.0.0.1")
    #expect(map.regions[0].servers.allSatisfy { $0.traits.weight == 3 })
    #expect(names.hasNames && heard.take() == [])
  }

  @Test func whoComesBackIsTheSame() {
    var seen: [Int: [Int]] = [:]
    for round in 0..<6 {
      answers.byName["kubo.internal"] = round % 2 == 0 ? addresses(1, 2) : addresses(3)
      names.look()
      seen[round % 2, default: []] += map.regions[0].servers.map(\.number)
    }
    #expect(Set(seen[0] ?? []).count == 3 && Set(seen[1] ?? []).count == 2)
  }

  @Test func whoStaysIsTheSame() {
    answers.byName["kubo.internal"] = addresses(1, 2)
    names.look()
    let before = map.regions[0].servers
    before[1].blame(at: .zero)
    // In another order it is nothing new.
    answers.byName["kubo.internal"] = addresses(2, 1)
    names.look()
    #expect(heard.take() == [])
    answers.byName["kubo.internal"] = addresses(3, 2)
    names.look()
    #expect(
      heard.take() == [
        .changed(
          region: "eu",
          servers: [
            "kubo.internal:8080@10.0.0.2", "kubo.internal:8080@10.0.0.3", "10.0.0.9:8080",
          ])
      ])
    let after = map.regions[0].servers
    #expect(after[0] === before[1] && after[0].errors == 1 && after[2] === before[2])
    #expect(after[1].number != before[0].number)
  }

  @Test func aResolverThatFailsTakesNobodyAway() {
    names.look()
    #expect(labels == ["10.0.0.9:8080"])
    #expect(heard.take() == [.unresolved(name: "kubo.internal:8080", why: "unknown")])
    answers.byName["kubo.internal"] = addresses(1)
    names.look()
    #expect(labels.count == 2)
    answers.byName["kubo.internal"] = addresses()
    names.look()
    names.look()
    #expect(labels.count == 2)
    // Told once, not at each look.
    let events = heard.take()
    #expect(
      events.suffix(1) == [.unresolved(name: "kubo.internal:8080", why: "it has no address")])
  }
}
