import Base
import Testing

@Suite struct NetworkAddressTests {
  @Test(arguments: [
    ("0.0.0.0", "0.0.0.0"), ("127.0.0.1", "127.0.0.1"), ("255.255.255.255", "255.255.255.255"),
    ("::", "::"), ("::1", "::1"), ("1::", "1::"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"),
    ("2001:DB8::8:800:200C:417A", "2001:db8::8:800:200c:417a"),
    ("2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"), ("1:0:0:2:0:0:0:3", "1:0:0:2::3"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"), ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("::ffff:10.0.0.1", "10.0.0.1"), ("::FFFF:a00:1", "10.0.0.1"), ("::10.0.0.1", "::a00:1"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"), ("1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"),
    ("fe80::1", "fe80::1"),
  ])
  func readsAndWrites(text: String, canonical: String) throws {
    let address = try #require(NetworkAddress(text))
    #expect(address.description == canonical)
    #expect(NetworkAddress(canonical) == address)
    #expect(address.isIPv4 == !canonical.contains(":"))
  }

  @Test(arguments: [
    "", ".", "1", "1.2.3", "1.2.3.4.5", "1..3.4", ".1.2.3", "1.2.3.", "256.0.0.1", "01.2.3.4",
    "1.2.3.04", "00.0.0.0", "1.2.3.4 ", " 1.2.3.4", "+1.2.3.4", "0x1.2.3.4", "1.2.3.4/8",
    "1.2.3.4:80",
    "1.2.3.1000", ":", ":::", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8", "1::2::3", "12345::", "g::", "::1%eth0", "[::1]", "1.2.3.4::", "::1.2.3",
    "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3.4:5", "1:2:3:4:5:1.2.3.4", "::1:", "1:::2", "::٣",
  ])
  func refuses(text: String) {
    #expect(NetworkAddress(text) == nil)
  }

  @Test func numbers() throws {
    #expect(NetworkAddress(ipv4: 0x7f00_0001) == NetworkAddress("127.0.0.1"))
    let address = try #require(NetworkAddress("102:304:506:708:90a:b0c:d0e:f10"))
    #expect(address.high == 0x0102_0304_0506_0708)
    #expect(address.low == 0x090a_0b0c_0d0e_0f10)
  }

  @Test(arguments: [
    ("203.0.113.7", "203.0.113.0"), ("0.0.0.255", "0.0.0.0"), ("::ffff:10.1.2.3", "10.1.2.0"),
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"), ("::1", "::"), ("fe80::1", "fe80::"),
    // 203.0.113.7 by 6to4.
    ("2002:cb00:7107:1::1", "2002:cb00:7100::"),
  ])
  func shortenedAddressesKeepTheirNetwork(text: String, network: String) {
    #expect(NetworkAddress(text)?.shortened.description == network)
    #expect(NetworkAddress(network)?.shortened == NetworkAddress(network))
  }

  @Test func anyAddressReadsBack() {
    var random = SeededRandom(seed: 21)
    for _ in 0..<2_000 {
      // Many zero groups, so that gaps of all lengths come up.
      let mask = random.next() | random.next()
      let address = NetworkAddress(high: random.next() & mask, low: random.next() & ~mask)
      #expect(NetworkAddress(address.description) == address)
      let ipv4 = NetworkAddress(ipv4: UInt32(truncatingIfNeeded: random.next()))
      #expect(NetworkAddress(ipv4.description) == ipv4)
      #expect(NetworkAddress("::ffff:\(ipv4)") == ipv4)
    }
    for groups in 0..<256 {
      var text = ByteBuffer(capacity: 64)
      let spread = { (bits: Int) in
        (0..<4).reduce(UInt64(0)) { $0 << 16 | (bits >> $1 & 1 == 1 ? 0xa0 : 0) }
      }
      let address = NetworkAddress(high: spread(groups >> 4), low: spread(groups))
      address.appendText(to: &text)
      let parsed = NetworkAddress(text.readable)
      #expect(parsed == address)
    }
  }

  @Test func mutationsNeverTrap() {
    var random = SeededRandom(seed: 22)
    let letters = Array("::..0129afF%[]/ é".utf8)
    for _ in 0..<10_000 {
      let bytes = (0..<random.number(in: 0...20)).map { _ in
        letters[random.number(in: 0...letters.count - 1)]
      }
      guard let address = NetworkAddress(bytes.rawBytes) else { continue }
      #expect(NetworkAddress(address.description) == address)
    }
  }
}
