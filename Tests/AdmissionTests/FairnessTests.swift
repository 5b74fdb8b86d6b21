import Base
import Testing

@testable import Admission

/// A greedy client beside 200 polite ones, for a minute of simulated time.
@Suite struct FairnessTests {
  /// (Σx)² / n·Σx² (Jain, Chiu and Hawe, 1984): 1 where all get the same.
  static func jain(_ shares: [Double]) -> Double {
    let sum = shares.reduce(0, +)
    let squares = shares.reduce(0) { $0 + $1 * $1 }
    return sum * sum / (Double(shares.count) * squares)
  }

  private struct Outcome {
    var passed: [Int]
    var refused: [Int]
  }

  /// - Parameter client: the address and the token of a client by its number, 0 being the greedy one.
  private func run(
    _ limiter: RateLimiter, seed: UInt64, _ client: (Int) -> (NetworkAddress, String)
  ) -> Outcome {
    let polite = 200
    var random = SeededRandom(seed: seed)
    var outcome = Outcome(
      passed: Array(repeating: 0, count: polite + 1),
      refused: Array(repeating: 0, count: polite + 1))
    // A page with some pictures, and then reading: eight at once every two seconds or so.
    var asks: [(time: Int, client: Int)] = []
    for number in 1...polite {
      var time = random.number(in: 0...2_000_000)
      while time < 60_000_000 {
        for _ in 0..<8 { asks.append((time + random.number(in: 0...50_000), number)) }
        time += random.number(in: 1_500_000...2_500_000)
      }
    }
    // 1000 in a second.
    asks += (0..<60_000).map { ($0 * 1_000, 0) }
    asks.sort { ($0.time, $0.client) < ($1.time, $1.client) }
    var hold = RateLimitHold()
    let memory = limiter.keyMemory()
    let host = Array("gateway.example".utf8)
    let clients = (0...polite).map { number in
      let (address, token) = client(number)
      return (address: address, token: Array(token.utf8))
    }
    for ask in asks {
      let (address, token) = clients[ask.client]
      let subject = RateLimitSubject(
        address: address, host: host.rawBytes, authorization: token.rawBytes)
      let now = Instant.zero + .seconds(1) + .microseconds(ask.time)
      if limiter.admit(subject, &hold, memory, now: now) == nil {
        outcome.passed[ask.client] += 1
        limiter.conclude(&hold)
      } else {
        outcome.refused[ask.client] += 1
      }
    }
    return outcome
  }

  private func check(_ outcome: Outcome, _ name: String) {
    let shares = outcome.passed.map(Double.init)
    #expect(outcome.refused.dropFirst().allSatisfy { $0 == 0 })
    // What ten a second and a burst of twenty give, to the request.
    #expect(abs(Double(outcome.passed[0]) - 621) < 6.21, "\(outcome.passed[0])")
    let unbound = [60_000.0] + shares.dropFirst()
    print(
      "fairness, \(name): Jain index \(Self.jain(shares)) over 201 clients, "
        + "\(Self.jain(Array(shares.dropFirst()))) over the 200 polite ones, "
        + "\(Self.jain(unbound)) without limits; the greedy client got \(outcome.passed[0]) of 60000, "
        + "polite ones were refused \(outcome.refused.dropFirst().reduce(0, +)) times")
    #expect(Self.jain(shares) > 0.9)
    #expect(Self.jain(unbound) < 0.1)
  }

  @Test func politeClientsAreNotRefusedBesideAGreedyOne() throws {
    let limiter = RateLimiterTests.limiter(try RateLimiterTests.requests(burst: 20))
    let outcome = run(limiter, seed: 1) { number in
      (NetworkAddress(ipv4: 0xc000_0200 + UInt32(number)), "")
    }
    check(outcome, "by address")
  }

  /// One address for all of them, who show tokens.
  @Test func norBehindOneAddressWithTokens() throws {
    let limiter = RateLimiterTests.limiter(
      try RateLimiterTests.requests("token", .token, burst: 20))
    let outcome = run(limiter, seed: 2) { number in
      (NetworkAddress(ipv4: 0xc000_0207), "Bearer token-\(number)")
    }
    check(outcome, "by token behind one address")
  }

  /// Without tokens one address is one client: this is what the limit by token is for.
  @Test func behindOneAddressWithoutTokensTheyShareOneAllowance() throws {
    let limiter = RateLimiterTests.limiter(
      try RateLimiterTests.requests("token", .token, burst: 20))
    let outcome = run(limiter, seed: 3) { _ in (NetworkAddress(ipv4: 0xc000_0207), "") }
    #expect(abs(Double(outcome.passed.reduce(0, +)) - 621) < 6.21)
  }
}
