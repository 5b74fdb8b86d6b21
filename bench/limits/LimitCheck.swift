import Admission
import Base
import System

/// Measures what a check of a limit costs at a million clients, all of which owe something.
///
///     swift build -c release --product LimitCheck && .build/release/LimitCheck
@main
enum LimitCheck {
  private static let count = 1_000_000

  static func main() {
    let addresses = clients()
    table(addresses)
    limiter(addresses)
  }

  /// A million addresses in an order that no cache can foresee.
  private static func clients() -> [NetworkAddress] {
    var random = SeededRandom(seed: 1)
    var addresses = (0..<count).map { NetworkAddress(ipv4: 0x0a00_0000 + UInt32($0)) }
    for index in addresses.indices.dropLast() {
      addresses.swapAt(index, random.number(in: index...count - 1))
    }
    return addresses
  }

  /// The table by itself: one charge, by a key that is hashed already.
  private static func table(_ addresses: [NetworkAddress]) {
    let key = SipKey(first: 1, second: 2)
    let keys = addresses.map { address in
      let text = [address.high, address.low].flatMap { word in
        (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(8 * $0)) }
      }
      return SipHash.hash128(text.rawBytes, key: key)
    }
    let table = unsafe RateLimitTable(keys: count) { memory in
      unsafe Memory.preferHugePages(memory)
      return unsafe Memory.drop(memory)
    }
    var now = 1_000_000_000
    var best = Double.infinity
    var passed = 0
    for round in 0..<7 {
      let start = Clock.now
      for key in keys {
        now += 10
        if table.charge(key, 10_000_000_000, capacity: .max / 4, now: now) == .passed {
          passed += 1
        }
      }
      // The first round brings the keys.
      if round > 0 { best = min(best, (Clock.now - start).seconds / Double(count)) }
    }
    print(
      "table: \(count) keys, all of which owe; \(table.byteCount) bytes, \(table.byteCount / count) a key; "
        + "\(Int(best * 1e9)) ns a check; \(table.losses) states lost in \(passed) charges")
  }

  /// All that a request goes through: keys hashed, limits asked, and its end.
  private static func limiter(_ addresses: [NetworkAddress]) {
    let rate = RateLimit(
      name: "rate", key: .client,
      measure: .requests(
        Rate(10, per: .seconds(1)), burst: 1_000_000, hit: 1, miss: 1))
    let concurrent = RateLimit(name: "streams", key: .client, measure: .concurrent(64))
    let bytes = RateLimit(
      name: "bytes", key: .client,
      measure: .bytes(Rate(50 << 20, per: .seconds(1)), burst: 200 << 20))
    for limits in [[rate], [rate, bytes, concurrent]] {
      let limiter = unsafe RateLimiter(limits, secret: SipKey(first: 3, second: 4)) { memory in
        unsafe Memory.preferHugePages(memory)
        return unsafe Memory.drop(memory)
      }
      var hold = RateLimitHold()
      let memory = limiter.keyMemory()
      var now = Instant(nanoseconds: 1_000_000_000)
      var best = Double.infinity
      var refused = 0
      let none: [UInt8] = []
      for round in 0..<5 {
        let start = Clock.now
        for address in addresses {
          now = now + Interval(nanoseconds: 10)
          let subject = RateLimitSubject(
            address: address, host: none.rawBytes, authorization: none.rawBytes)
          if limiter.admit(subject, &hold, memory, now: now) != nil { refused += 1 }
          limiter.note(bytes: 1_000, &hold, now: now)
          limiter.conclude(&hold)
        }
        if round > 0 { best = min(best, (Clock.now - start).seconds / Double(count)) }
      }
      print(
        "\(limits.count) limits, from a client's address to its request's end: \(Int(best * 1e9)) ns a request "
          + "(\(refused) refused)")
    }
  }
}
