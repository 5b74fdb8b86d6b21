import Base
import System

/// Measures how long `NetworkTable` takes to find an address among a million prefixes.
///
///     swift build -c release --product PlaceLookUp && .build/release/PlaceLookUp
@main
enum PlaceLookUp {
  static func main() {
    let count = 1_000_000
    for isIPv4 in [true, false] {
      var random = SeededRandom(seed: 1)
      var builder = NetworkTable.Builder()
      for _ in 0..<count { add(&builder, isIPv4, &random) }
      let began = Clock.now
      let table = builder.build()
      let built = (Clock.now - began).seconds
      // So many that they do not all lie in the processor's caches with what they lead to.
      let addresses = (0..<(1 << 20)).map { _ in address(isIPv4, &random) }
      var best = Double.infinity
      var sum = 0
      for _ in 0..<7 {
        let start = Clock.now
        for address in addresses { sum &+= Int(table.value(of: address) ?? 0) }
        best = min(best, (Clock.now - start).seconds / Double(addresses.count))
      }
      let name = isIPv4 ? "IPv4" : "IPv6"
      print(
        "\(name): \(count) prefixes, \(table.rangeCount) ranges, built in \(built) s; "
          + "\(Int(best * 1e9)) ns a look-up of a random address (\(sum & 1))")
    }
  }

  /// Prefixes of the lengths that are announced to the world, mostly the long ones.
  private static func add(
    _ builder: inout NetworkTable.Builder, _ isIPv4: Bool, _ random: inout SeededRandom
  ) {
    let value = NetworkTable.Value(random.number(in: 0...999))
    let last = isIPv4 ? 24 : 48
    let bits = random.chance(0.6) ? last : random.number(in: last - 12...last)
    let word = random.next()
    if isIPv4 {
      let mask = UInt32.max << UInt32(32 - bits)
      builder.add(ipv4: UInt32(truncatingIfNeeded: word) & mask, bits: bits, value)
    } else {
      let mask = UInt64.max << UInt64(64 - bits)
      builder.add(ipv6: UInt128(global(word) & mask) << 64, bits: bits, value)
    }
  }

  private static func address(_ isIPv4: Bool, _ random: inout SeededRandom) -> NetworkAddress {
    let word = random.next()
    return isIPv4
      ? NetworkAddress(ipv4: UInt32(truncatingIfNeeded: word))
      : NetworkAddress(high: global(word), low: random.next())
  }

  /// Into 2000::/3, where all addresses of the world are, and few of its first 16 bits.
  private static func global(_ word: UInt64) -> UInt64 {
    let starts: [UInt64] = [0x2001, 0x2400, 0x2600, 0x2800, 0x2a00]
    return starts[Int(word % 5)] << 48 | word >> 16
  }
}
