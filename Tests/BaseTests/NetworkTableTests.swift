import Testing

@testable import Base

@Suite struct NetworkTableTests {
  private func table(_ rows: [(String, UInt16)]) throws -> NetworkTable {
    var builder = NetworkTable.Builder()
    for (text, value) in rows { builder.add(try Network(text), value) }
    return builder.build()
  }

  private func value(_ table: NetworkTable, _ address: String) throws -> UInt16? {
    table.value(of: try #require(NetworkAddress(address)))
  }

  @Test func theSmallestCounts() throws {
    let table = try table([
      ("10.0.0.0/8", 1), ("10.1.0.0/16", 2), ("10.1.2.3", 3), ("2001:db8::/32", 4),
      ("2001:db8:0:1::/64", 5), ("2001:db8::1", 6),
    ])
    let rows: [(String, UInt16?)] = [
      ("9.255.255.255", nil), ("10.0.0.0", 1), ("10.1.0.0", 2), ("10.1.2.2", 2), ("10.1.2.3", 3),
      ("10.1.2.4", 2), ("10.2.0.0", 1), ("10.255.255.255", 1), ("11.0.0.0", nil),
      ("::ffff:10.1.2.3", 3), ("2001:db7:ffff::", nil), ("2001:db8::", 4), ("2001:db8::1", 6),
      ("2001:db8::2", 4), ("2001:db8:0:1::9", 5), ("2001:db8:0:2::", 4), ("2001:db9::", nil),
    ]
    for (address, expected) in rows {
      #expect(try value(table, address) == expected, "\(address)")
    }
  }

  @Test func edges() throws {
    let all = try table([("0.0.0.0/0", 1), ("255.255.255.255", 2), ("::/0", 3)])
    #expect(try value(all, "0.0.0.0") == 1 && value(all, "255.255.255.254") == 1)
    #expect(try value(all, "255.255.255.255") == 2)
    #expect(try value(all, "::") == 3 && value(all, "ffff:ffff:ffff:ffff::ffff") == 3)
    let end = try table([("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 4)])
    #expect(try value(end, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff") == 4)
    #expect(try value(end, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe") == nil)
    #expect(try value(NetworkTable(), "1.2.3.4") == nil && value(NetworkTable(), "::1") == nil)
    // Of two equal ones the later counts.
    #expect(try value(table([("1.0.0.0/8", 1), ("1.0.0.0/8", 2)]), "1.2.3.4") == 2)
  }

  @Test func neighboursOfOneValueAreOneRange() throws {
    let table = try table([("10.0.0.0/9", 1), ("10.128.0.0/9", 1), ("10.3.0.0/16", 1)])
    // Before, within and behind, and all of IPv6.
    #expect(table.rangeCount == 4)
  }

  /// Against the definition, with prefixes that nest and repeat, and addresses at their borders.
  @Test(arguments: 0..<60) func againstANaiveModel(seed: UInt64) {
    var random = SeededRandom(seed: seed)
    let isIPv4 = seed % 2 == 0
    let most = seed % 3 == 0 ? 20_000 : 60
    var builder = NetworkTable.Builder()
    var rows: [(first: UInt128, bits: Int, value: UInt16)] = []
    let width = isIPv4 ? 32 : 128
    // Few different leading bits, so that many prefixes lie in one another.
    let roots = (0..<4).map { _ in UInt128(random.next()) << 64 | UInt128(random.next()) }
    for _ in 0..<random.number(in: 0...most) {
      let bits = random.number(in: 0...width)
      let root = roots[random.number(in: 0...3)]
      let noise = UInt128(random.next()) << 64 | UInt128(random.next())
      let shift = UInt128(random.number(in: 0...width))
      let mask = bits == 0 ? 0 : ~UInt128(0) << UInt128(128 - bits)
      let first = (root ^ (noise >> shift)) & mask
      let value = UInt16(random.number(in: 0...5))
      if isIPv4 {
        builder.add(ipv4: UInt32(truncatingIfNeeded: first >> 96), bits: bits, value)
      } else {
        builder.add(ipv6: first, bits: bits, value)
      }
      rows.append((first, bits, value))
    }
    let table = builder.build()
    func model(_ number: UInt128) -> UInt16? {
      var best: (bits: Int, value: UInt16)?
      for row in rows where row.bits >= best?.bits ?? 0 {
        let shift = UInt128(128 - row.bits)
        if row.bits == 0 || number >> shift == row.first >> shift { best = (row.bits, row.value) }
      }
      return best?.value
    }
    for _ in 0..<(most > 100 ? 200 : 500) {
      var number = UInt128(random.next()) << 64 | UInt128(random.next())
      if let row = rows.randomElement(using: &random), random.chance(0.9) {
        let last = row.bits == 128 ? row.first : row.first | ~UInt128(0) >> UInt128(row.bits)
        let step = UInt128(1) << UInt128(128 - width)
        number = [row.first, row.first &- step, last, last &+ step][random.number(in: 0...3)]
      }
      if isIPv4 { number &= ~UInt128(0) << 96 }
      let address =
        isIPv4
        ? NetworkAddress(ipv4: UInt32(truncatingIfNeeded: number >> 96))
        : NetworkAddress(
          high: UInt64(truncatingIfNeeded: number >> 64), low: UInt64(truncatingIfNeeded: number))
      if !isIPv4 && address.isIPv4 { continue }
      #expect(table.value(of: address) == model(number))
    }
  }
}
