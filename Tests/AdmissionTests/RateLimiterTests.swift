import Base
import Testing

@testable import Admission

@Suite struct RateLimiterTests {
  static let secret = SipKey(first: 17, second: 4)

  static func requests(
    _ name: String = "rate", _ key: RateLimit.Key = .client, _ count: Int = 10, burst: Int = 0,
    hit: Int = 1, miss: Int = 1, exempt: [String] = []
  ) throws -> RateLimit {
    RateLimit(
      name: name, key: key,
      measure: .requests(Rate(count, per: .seconds(1)), burst: burst, hit: hit, miss: miss),
      exempt: NetworkSet(try exempt.map { try Network($0) }), keys: 1_000)
  }

  static func limiter(_ limits: RateLimit...) -> RateLimiter {
    RateLimiter(limits, secret: secret)
  }

  /// A client that asks, and what it holds.
  struct Asker {
    let address: NetworkAddress
    var host = "gateway.example"
    var authorization = ""
    var hold = RateLimitHold()

    init(_ address: String, host: String = "gateway.example", authorization: String = "") throws {
      self.address = try #require(NetworkAddress(address))
      self.host = host
      self.authorization = authorization
    }

    mutating func ask(_ limiter: RateLimiter, at milliseconds: Int = 1_000) -> RateLimitRefusal? {
      let host = Array(host.utf8)
      let authorization = Array(authorization.utf8)
      let subject = RateLimitSubject(
        address: address, host: host.rawBytes, authorization: authorization.rawBytes)
      return limiter.admit(
        subject, &hold, limiter.keyMemory(), now: .zero + .milliseconds(milliseconds))
    }
  }

  @Test func clientsHaveAllowancesOfTheirOwn() throws {
    let limiter = Self.limiter(try Self.requests(burst: 1))
    for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"] {
      var asker = try Asker(address)
      #expect(asker.ask(limiter) == nil)
      #expect(asker.ask(limiter) == nil)
      #expect(asker.ask(limiter)?.limit == 0)
      #expect(asker.ask(limiter, at: 1_100) == nil)
    }
    // One IPv6 subscriber has a /64.
    var neighbour = try Asker("2001:db8::ffff:1")
    #expect(neighbour.ask(limiter, at: 1_100) != nil)
    // The two ways in which a socket names one client.
    var mapped = try Asker("::ffff:192.0.2.1")
    #expect(mapped.ask(limiter, at: 1_100) != nil)
  }

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.200", true), ("192.0.2.1", "192.0.3.1", false),
    ("2001:db8:1:2::1", "2001:db8:1:ffff::1", true), ("2001:db8:1::1", "2001:db8:2::1", false),
  ])
  func networksShareOne(one: String, other: String, isShared: Bool) throws {
    let limiter = Self.limiter(try Self.requests("net", .network(ipv4Bits: 24, ipv6Bits: 48)))
    var first = try Asker(one)
    var second = try Asker(other)
    #expect(first.ask(limiter) == nil)
    #expect((second.ask(limiter) != nil) == isShared)
  }

  /// What a thread remembers of keys is what it would hash anew, whoever has asked before.
  @Test func rememberedKeysAreTheRightOnes() throws {
    var random = SeededRandom(seed: 5)
    let limiter = Self.limiter(try Self.requests())
    let memory = limiter.keyMemory()
    #expect(memory.key(0, 0) == limiter.keyMemory().key(0, 0))
    var networks = (0..<2_000).map { _ in (random.next(), random.next()) }
    networks += (0..<2_000).map { (0, 0xffff_0000_0000 | UInt64($0)) }
    networks += [(0, 0), (1, 0), (0, 1), (1, 1), (.max, .max)]
    var known: [Digest128: (UInt64, UInt64)] = [:]
    for _ in 0..<20_000 {
      let (high, low) = networks[random.number(in: 0...networks.count - 1)]
      let key = memory.key(high, low)
      let other = known[key] ?? (high, low)
      #expect(other == (high, low))
      known[key] = (high, low)
    }
    for (key, (high, low)) in known { #expect(limiter.keyMemory().key(high, low) == key) }
    // Another secret has other keys, for what nobody has asked, too.
    let other = RateLimiter([], secret: SipKey(first: 1, second: 1)).keyMemory()
    #expect(other.key(0, 0) != memory.key(0, 0) && other.key(1, 2) != memory.key(1, 2))
  }

  /// Threads that remember for themselves charge one allowance.
  @Test func threadsShareOneAllowance() throws {
    let limiter = Self.limiter(try Self.requests(burst: 3))
    let memories = [limiter.keyMemory(), limiter.keyMemory()]
    let address = try #require(NetworkAddress("192.0.2.1"))
    let none: [UInt8] = []
    var hold = RateLimitHold()
    let passed = (0..<10).filter { number in
      let subject = RateLimitSubject(
        address: address, host: none.rawBytes, authorization: none.rawBytes)
      return limiter.admit(
        subject, &hold, memories[number % 2], now: .zero + .seconds(1)) == nil
    }
    #expect(passed.count == 4)
  }

  @Test func everybodySharesAnEmptyPrefix() throws {
    let limiter = Self.limiter(try Self.requests("net", .network(ipv4Bits: 0, ipv6Bits: 0)))
    var first = try Asker("192.0.2.1")
    var second = try Asker("203.0.113.9")
    #expect(first.ask(limiter) == nil)
    #expect(second.ask(limiter) != nil)
  }

  @Test func hostsShareOneWhateverTheirSpelling() throws {
    let limiter = Self.limiter(try Self.requests("host", .host))
    var first = try Asker("192.0.2.1", host: "Gateway.Example:8080")
    var second = try Asker("192.0.2.2", host: "gateway.example")
    var third = try Asker("192.0.2.2", host: "other.example")
    var endless = try Asker("192.0.2.2", host: String(repeating: "a", count: 5_000))
    var rooted = try Asker("192.0.2.2", host: "gateway.example.:8080")
    #expect(first.ask(limiter) == nil)
    #expect(second.ask(limiter) != nil)
    #expect(rooted.ask(limiter) != nil)
    #expect(third.ask(limiter) == nil)
    #expect(endless.ask(limiter) == nil)
  }

  @Test func tokensAreToldApartAndClientsWithoutOneByAddress() throws {
    let limiter = Self.limiter(try Self.requests("token", .token))
    var one = try Asker("192.0.2.1", authorization: "Bearer abc")
    var same = try Asker("192.0.2.2", authorization: "bearer   abc ")
    var other = try Asker("192.0.2.1", authorization: "Bearer abd")
    var none = try Asker("192.0.2.1")
    var basic = try Asker("192.0.2.1", authorization: "Basic abc")
    #expect(one.ask(limiter) == nil)
    #expect(same.ask(limiter) != nil)
    #expect(other.ask(limiter) == nil)
    #expect(none.ask(limiter) == nil)
    #expect(basic.ask(limiter) != nil)
    var away = try Asker("192.0.2.9", authorization: "Bearer ")
    #expect(away.ask(limiter) == nil)
  }

  @Test func exemptNetworksAreNeitherCountedNorRefused() throws {
    let limiter = Self.limiter(
      try Self.requests("a", exempt: ["10.0.0.0/8", "2001:db8::/32"]),
      RateLimit(
        name: "b", key: .client, measure: .concurrent(1), exempt: NetworkSet(), keys: 10))
    var own = try Asker("10.1.2.3")
    for _ in 0..<5 {
      #expect(own.ask(limiter) == nil)
      limiter.conclude(&own.hold)
    }
    #expect(own.ask(limiter) == nil)
    var again = try Asker("10.1.2.3")
    #expect(again.ask(limiter)?.limit == 1)
    var far = try Asker("2001:db8:9::1")
    #expect(far.ask(limiter) == nil)
  }

  /// The second limit refuses, and the first is as if it had not been asked.
  @Test func nothingIsChargedWhereAnotherRefuses() throws {
    let limiter = Self.limiter(
      try Self.requests("wide", burst: 4), try Self.requests("narrow", .host, 1),
      RateLimit(name: "open", key: .client, measure: .concurrent(2), keys: 10))
    var asker = try Asker("192.0.2.1")
    #expect(asker.ask(limiter) == nil)
    limiter.conclude(&asker.hold)
    for _ in 0..<50 { #expect(asker.ask(limiter)?.limit == 1) }
    for number in 1...4 {
      asker.host = "host\(number).example"
      #expect(asker.ask(limiter) == nil)
      limiter.conclude(&asker.hold)
    }
    asker.host = "host5.example"
    #expect(asker.ask(limiter)?.limit == 0)
    #expect(limiter.reports.map(\.refusals) == [1, 50, 0])
  }

  @Test func countsAreGivenBackOnce() throws {
    let limiter = Self.limiter(
      RateLimit(name: "open", key: .client, measure: .concurrent(2), keys: 10))
    var askers = try (0..<3).map { _ in try Asker("192.0.2.1") }
    #expect(askers[0].ask(limiter) == nil && askers[1].ask(limiter) == nil)
    let refusal = askers[2].ask(limiter)
    #expect(refusal == RateLimitRefusal(limit: 0, retryAfter: 1, remaining: 0, resetAfter: nil))
    #expect(!askers[2].hold.isCounted)
    limiter.conclude(&askers[2].hold)
    #expect(askers[2].ask(limiter) != nil)
    limiter.conclude(&askers[0].hold)
    limiter.conclude(&askers[0].hold)
    #expect(askers[2].ask(limiter) == nil)
    #expect(askers[0].ask(limiter) != nil)
  }

  @Test func missesCostMore() throws {
    let limiter = Self.limiter(try Self.requests(burst: 9, hit: 1, miss: 4))
    var asker = try Asker("192.0.2.1")
    let now = Instant.zero + .milliseconds(1_000)
    // Ten in all: a miss takes four, and pays once.
    for _ in 0..<2 {
      #expect(asker.ask(limiter) == nil)
      #expect(limiter.payForMiss(&asker.hold, now: now) == nil)
      #expect(limiter.payForMiss(&asker.hold, now: now) == nil)
    }
    #expect(asker.ask(limiter) == nil)
    // One is left: too little for a miss, which then costs nothing, not even a hit.
    let refusal = limiter.payForMiss(&asker.hold, now: now)
    #expect(refusal == RateLimitRefusal(limit: 0, retryAfter: 1, remaining: 2, resetAfter: 1))
    #expect(asker.ask(limiter) == nil && asker.ask(limiter) == nil)
    #expect(asker.ask(limiter) != nil)
  }

  /// As many as the burst and one more, whether or not a second has that many nanoseconds for each.
  @Test(arguments: [7, 15, 60, 1_500, 999_999, 1_000_000])
  func roundingTakesNothingOfTheBurst(count: Int) throws {
    for burst in [0, 20, 999] {
      let limiter = Self.limiter(try Self.requests("rate", .client, count, burst: burst))
      var asker = try Asker("192.0.2.1")
      for number in 0...burst { #expect(asker.ask(limiter) == nil, "\(number) of \(burst)") }
      #expect(asker.ask(limiter) != nil)
    }
    let limiter = Self.limiter(
      try Self.requests("rate", .client, count, burst: 20, hit: 3, miss: 7))
    var asker = try Asker("192.0.2.1")
    for _ in 0..<3 {
      #expect(asker.ask(limiter) == nil)
      #expect(limiter.payForMiss(&asker.hold, now: .zero + .milliseconds(1_000)) == nil)
    }
    #expect(asker.ask(limiter)?.remaining == 0)
  }

  /// What began as a hit is charged as a miss once, whatever is owed, and paid off before the next request.
  @Test(arguments: [0, 1]) func whatCannotBeRefusedIsOwed(hit: Int) throws {
    let limiter = Self.limiter(try Self.requests(burst: 9, hit: hit, miss: 5))
    var asker = try Asker("192.0.2.1")
    let now = Instant.zero + .milliseconds(1_000)
    for _ in 0..<2 {
      #expect(asker.ask(limiter) == nil)
      for _ in 0..<3 { limiter.oweForMiss(&asker.hold, now: now) }
      #expect(limiter.payForMiss(&asker.hold, now: now) == nil)
    }
    if hit == 0 {
      // All that may be owed is owed, and hits are free; one more answer that is none is too much.
      #expect(asker.ask(limiter) == nil)
      limiter.oweForMiss(&asker.hold, now: now)
    }
    #expect(asker.ask(limiter)?.remaining == 0)
    #expect(asker.ask(limiter, at: hit == 0 ? 1_499 : 1_099) != nil)
    #expect(asker.ask(limiter, at: hit == 0 ? 1_500 : 1_100) == nil)
  }

  @Test func hitsMayBeFree() throws {
    let limiter = Self.limiter(try Self.requests(burst: 0, hit: 0, miss: 1))
    var asker = try Asker("192.0.2.1")
    let now = Instant.zero + .milliseconds(1_000)
    #expect(asker.ask(limiter) == nil)
    #expect(limiter.payForMiss(&asker.hold, now: now) == nil)
    for _ in 0..<20 { #expect(asker.ask(limiter) == nil) }
    #expect(limiter.payForMiss(&asker.hold, now: now) != nil)
    #expect(asker.ask(limiter, at: 1_100) == nil)
    #expect(limiter.payForMiss(&asker.hold, now: .zero + .milliseconds(1_100)) == nil)
  }

  @Test func aMissThatOneLimitRefusesIsPaidToNone() throws {
    let limiter = Self.limiter(
      try Self.requests("a", burst: 9, miss: 5), try Self.requests("b", .host, burst: 5, miss: 5))
    var asker = try Asker("192.0.2.1")
    let now = Instant.zero + .milliseconds(1_000)
    #expect(asker.ask(limiter) == nil && limiter.payForMiss(&asker.hold, now: now) == nil)
    for _ in 0..<5 {
      #expect(asker.ask(limiter) == nil)
      #expect(limiter.payForMiss(&asker.hold, now: now)?.limit == 1)
    }
    // Of the first limit five are left, and all of them can be had.
    asker.host = "other.example"
    #expect(asker.ask(limiter) == nil && limiter.payForMiss(&asker.hold, now: now) == nil)
    asker.host = "third.example"
    #expect(asker.ask(limiter)?.limit == 0)
  }

  @Test func bytesAreOwedAfterwards() throws {
    let limiter = Self.limiter(
      RateLimit(
        name: "bytes", key: .client, measure: .bytes(Rate(1_000, per: .seconds(1)), burst: 500),
        keys: 100))
    var asker = try Asker("192.0.2.1")
    func note(_ bytes: Int) { limiter.note(bytes: bytes, &asker.hold, now: .zero + .seconds(1)) }
    #expect(limiter.hasByteLimits)
    #expect(asker.ask(limiter) == nil)
    note(500)
    #expect(asker.ask(limiter) == nil)
    note(2_500)
    // 3000 owed, 500 of them allowed: 2.5 s.
    #expect(
      asker.ask(limiter)
        == RateLimitRefusal(limit: 0, retryAfter: 3, remaining: 0, resetAfter: 3))
    #expect(asker.ask(limiter, at: 3_499) != nil)
    #expect(asker.ask(limiter, at: 3_501) == nil)
    // One answer of a terabyte, and an hour later all is well.
    limiter.note(bytes: 1 << 40, &asker.hold, now: .zero + .milliseconds(3_501))
    #expect(asker.ask(limiter, at: 3_600_000)?.retryAfter == 4)
    #expect(asker.ask(limiter, at: 3_604_502) == nil)
  }

  @Test func fieldsAreThoseOfTheDraft() throws {
    let limiter = Self.limiter(
      try Self.requests("gateway", burst: 20),
      RateLimit(
        name: "bytes", key: .client,
        measure: .bytes(Rate(50 << 20, per: .seconds(1)), burst: 200 << 20), keys: 10),
      RateLimit(name: "streams", key: .client, measure: .concurrent(64), keys: 10))
    let policies = [
      "\"gateway\";q=21;w=3", "\"bytes\";q=209715200;qu=\"content-bytes\";w=4",
      "\"streams\";q=64;qu=\"concurrent-requests\"",
    ]
    let states = ["\"gateway\";r=5;t=7", "\"bytes\";r=5;t=7", "\"streams\";r=0"]
    let reasons = ["rate_limited", "bytes_limited", "concurrency_limited"]
    for number in 0..<3 {
      let refusal = RateLimitRefusal(
        limit: number, retryAfter: 1, remaining: number < 2 ? 5 : 0,
        resetAfter: number < 2 ? 7 : nil)
      #expect(String(decoding: limiter.policy(refusal), as: UTF8.self) == policies[number])
      var state = ByteBuffer(capacity: 64)
      limiter.appendState(of: refusal, to: &state)
      #expect(state.readable.text == states[number])
      #expect("\(limiter.reason(refusal))" == reasons[number])
      #expect(limiter.sentence(refusal).contains("try again"))
    }
  }

  @Test func oneRequestHasSixteenLimitsAtMost() throws {
    let limits = try (0..<20).map { try Self.requests("l\($0)", burst: 100 - $0) }
    let limiter = RateLimiter(limits, secret: Self.secret)
    #expect(limiter.reports.count == RateLimit.most)
    var asker = try Asker("192.0.2.1")
    for _ in 0..<86 { #expect(asker.ask(limiter) == nil) }
    #expect(asker.ask(limiter)?.limit == 15)
  }
}
