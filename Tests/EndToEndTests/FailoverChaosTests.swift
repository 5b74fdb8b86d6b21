import Base
import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// Regions of servers that are killed, halted, throttled and started again, under load.
  @Suite struct Regions {
    /// Objects that an origin sends in one piece, and objects that it does not.
    private struct Shelf: Sendable {
      var small: [TestContent] = []
      var large: [TestContent] = []
      var car: [UInt8] = []

      init(small smallCount: Int, large largeCount: Int) throws {
        var site = TestSite()
        var random = SeededRandom(seed: 77)
        for index in 0..<smallCount {
          let count = random.number(in: 200...3_000)
          small.append(try site.add(noise(count, seed: UInt64(10_000 + index))))
        }
        for index in 0..<largeCount {
          let count = random.number(in: 300_000...2_000_000)
          large.append(try site.add(noise(count, seed: UInt64(900_000 + index))))
        }
        car = site.car
      }
    }

    /// What clients have seen.
    private final class Account: @unchecked Sendable {
      // Unchecked: all of it is guarded by the lock.
      private let lock = NSLock()
      private var next = 0
      private var failures: [String] = []
      private var counts: (small: Int, large: Int) = (0, 0)
      private var isOver = false

      var faults: [String] { lock.withLock { failures } }
      var tally: (small: Int, large: Int) { lock.withLock { counts } }
      var mustEnd: Bool { lock.withLock { isOver } }
      func end() { lock.withLock { isOver = true } }
      func takeNumber() -> Int {
        lock.withLock {
          defer { next += 1 }
          return next
        }
      }
      func fail(_ what: String) {
        lock.withLock { if failures.count < 20 { failures.append(what) } }
      }
      func count(_ change: (inout (small: Int, large: Int)) -> Void) {
        lock.withLock { change(&counts) }
      }
    }

    private static func lines(_ farm: OriginFarm, _ names: [String], each: Int) -> [String] {
      names.enumerated().flatMap { place, name -> [String] in
        let servers = farm.addresses[place * each..<(place + 1) * each]
        return ["\(name):", "  servers:"] + servers.map { "    - address: \($0)" }
      }
    }

    /// No answer may fail, as long as one server lives: neither one that had not begun nor, where a server
    /// goes in the middle of a large one, the rest of that.
    @Test func clientsNeverSeeIt() throws {
      let shelf = try Shelf(small: Soak.pick(8_000, soak: 20_000), large: 120)
      let farm = try OriginFarm(car: shelf.car, count: 9)
      var settings = SluiceProcess.Settings()
      // Less than there is, so that large ones are fetched again and again.
      settings.maxSize = "128MB"
      settings.regions = Self.lines(farm, ["us", "eu", "asia"], each: 3)
      settings.timeouts = [
        "connect: 2s", "first_byte: 2s", "between_bytes: 2s", "all_tries: 40s",
      ]
      settings.sections = [
        "health:", "  fail_timeout: 1s", "  slow_start: 1s",
        "  probe: { interval: 500ms, timeout: 500ms, rise: 1, fall: 2 }",
        "trusted_proxies: [127.0.0.1]", "geo: { header: X-Region }",
      ]
      let sluice = try SluiceProcess(settings)
      let account = Account()
      let group = DispatchGroup()
      for number in 0..<6 {
        group.enter()
        let port = sluice.port
        Foundation.Thread.detachNewThread {
          defer { group.leave() }
          var random = SeededRandom(seed: UInt64(number))
          while !account.mustEnd {
            if number < 4 {
              let content = shelf.small[account.takeNumber() % shelf.small.count]
              Self.ask(port, content, &random, account)
              account.count { $0.small += 1 }
              usleep(5_000)
            } else {
              let content = shelf.large[random.number(in: 0...shelf.large.count - 1)]
              Self.ask(port, content, &random, account)
              account.count { $0.large += 1 }
              usleep(50_000)
            }
          }
        }
      }
      try Self.trouble(farm, seconds: Soak.pick(30, soak: 300), account)
      account.end()
      #expect(group.wait(timeout: .now() + 120) == .success)
      #expect(account.faults == [])
      let tally = account.tally
      #expect(tally.small > 300 && tally.large > 5)
      let resumed = try sluice.metric("sluice_upstream_resumed_total")
      Soak.report(
        "regions: \(tally.small) small answers, \(tally.large) large ones, of which "
          + "\(Int(resumed)) went on from another server")
      // What happened is told.
      #expect(sluice.errors.contains("a server is down"))
      #expect(sluice.errors.contains("a server is up again"))
      for index in farm.addresses.indices { try farm.revive(index) }
      let isWell = try eventually {
        let up = try sluice.metrics().filter { $0.key.hasPrefix("sluice_upstream_server_up") }
        // Those that only a request can take up again need one.
        for content in shelf.small.suffix(9) { _ = try? sluice.request("\(content.path)?x") }
        return up.count == 9 && up.values.count { $0 == 1 } >= 3
      }
      #expect(isWell)
      let active = try sluice.metrics().filter {
        $0.key.hasPrefix("sluice_upstream_server_active")
      }
      #expect(active.values.allSatisfy { $0 == 0 })
    }

    private static func regionField(_ random: inout SeededRandom) -> [(String, String)] {
      [("X-Region", ["us", "eu", "asia"][random.number(in: 0...2)])]
    }

    /// Asks for an object: nothing but all of its bytes will do.
    private static func ask(
      _ port: UInt16, _ content: TestContent, _ random: inout SeededRandom, _ account: Account
    ) {
      do {
        let client = try RawClient(port: port)
        let answer = try client.request(content.path, regionField(&random))
        if answer.status != 200 || !answer.isComplete || !isSame(answer.body, content.body) {
          account.fail("\(content.path): \(answer.status), \(answer.body.count) bytes")
        }
      } catch {
        account.fail("\(content.path): \(error)")
      }
    }

    /// Does to servers what happens to servers; one at least lives at any time.
    private static func trouble(_ farm: OriginFarm, seconds: Int, _ account: Account) throws {
      var random = SeededRandom(seed: UInt64.random(in: 0 ... .max))
      let deadline = Deadline(seconds: Double(seconds))
      let all = Array(farm.addresses.indices)
      while !deadline.hasPassed && account.faults.isEmpty {
        let running = all.filter { farm.state($0) == .running }
        let others = all.filter { farm.state($0) != .running }
        // Half of them live, more or less; those that are started again take a moment.
        let takesOne = running.count > 3 && (others.isEmpty || random.chance(0.55))
        if takesOne, let index = running.randomElement(using: &random) {
          switch random.number(in: 0...2) {
          case 0: farm.kill(index)
          case 1: farm.halt(index)
          default: farm.throttle(index)
          }
        } else if let index = others.randomElement(using: &random) {
          try farm.revive(index)
          try farm.waitUntilUp(index)
        }
        usleep(UInt32(random.number(in: 100...500)) * 1000)
      }
    }

    /// A whole region goes: its clients are answered by the next one at once, it is left alone within one
    /// window, and it gets its clients back bit by bit.
    @Test func aRegionGoesAndComesBack() throws {
      let shelf = try Shelf(small: 6_000, large: 0)
      let farm = try OriginFarm(car: shelf.car, count: 3)
      var settings = SluiceProcess.Settings()
      settings.regions =
        Self.lines(farm, ["home"], each: 2)
        + ["away:", "  servers:", "    - address: \(farm.addresses[2])"]
      settings.sections = ["health: { fail_timeout: 2s, slow_start: 2s }"]
      let sluice = try SluiceProcess(settings)
      let home = { (name: String?) in name?.hasPrefix("home/") ?? false }
      var number = 0
      /// The regions that answer within some time, whose answers all are whole.
      func ask(seconds: Double) throws -> [Bool] {
        let deadline = Deadline(seconds: seconds)
        var areHome: [Bool] = []
        while !deadline.hasPassed {
          let content = shelf.small[number % shelf.small.count]
          number += 1
          let answer = try sluice.request(content.path)
          #expect(answer.status == 200 && isSame(answer.body, content.body))
          areHome.append(home(answer["X-IPFS-Gateway"]))
          usleep(5_000)
        }
        return areHome
      }
      #expect(try ask(seconds: 1).allSatisfy { $0 })
      let connects = try sluice.metric("sluice_upstream_errors_total{kind=\"connect\"}")
      farm.kill(0)
      farm.kill(1)
      #expect(try ask(seconds: 1.5).allSatisfy { !$0 })
      // Two failures take a server down, and then it is left alone.
      #expect(
        try sluice.metric(
          "sluice_upstream_server_up{region=\"home\",server=\"\(farm.addresses[0])\"}") == 0)
      #expect(try sluice.metric("sluice_upstream_errors_total{kind=\"connect\"}") - connects <= 8)
      #expect(try ask(seconds: 3).allSatisfy { !$0 })
      try farm.revive(0)
      try farm.revive(1)
      // After at most one window a server is tried, and for the time of its slow start both regions answer.
      var back: [Bool] = []
      for _ in 0..<6 {
        let part = try ask(seconds: 3)
        back += part
        // Longer than the slow start, which is over then.
        if part.allSatisfy({ $0 }) { break }
      }
      let first = try #require(back.firstIndex(of: true))
      #expect(back[first...].contains(false))
      // Back, all of it, since no other server of the region has more to give.
      #expect(try ask(seconds: 1).allSatisfy { $0 })
      #expect(sluice.errors.contains("a server is down cause=failures server=home/"))
      #expect(sluice.errors.contains("a server is up again server=home/"))
    }
  }
}
