import Base
import Testing

@Suite struct NetworkTests {
  private func network(_ text: String) -> Result<Network, NetworkError> {
    do throws(NetworkError) {
      return .success(try Network(text))
    } catch {
      return .failure(error)
    }
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.0.0.0/8"), ("10.1.2.3", "10.1.2.3/32"), ("0.0.0.0/0", "0.0.0.0/0"),
    ("192.0.2.128/25", "192.0.2.128/25"), ("192.0.2.1/32", "192.0.2.1/32"), ("::1", "::1/128"),
    ("::/0", "::/0"), ("2001:DB8::/32", "2001:db8::/32"), ("fe80::/10", "fe80::/10"),
    ("2001:db8:0:1::/64", "2001:db8:0:1::/64"),
    ("2001:db8::8000:0:0:0/65", "2001:db8:0:0:8000::/65"),
    ("::ffff:10.0.0.0/104", "10.0.0.0/8"), ("::ffff:10.0.0.1", "10.0.0.1/32"),
  ])
  func reads(text: String, canonical: String) throws {
    let found = try Network(text)
    #expect(found.description == canonical)
    #expect(try Network(canonical) == found)
  }

  @Test(
    arguments: [
      ("", .address), ("/8", .address), ("example.com", .address), ("10.0.0/8", .address),
      ("[::1]/128", .address), ("10.0.0.0/33", .length(longest: 32)),
      ("::/129", .length(longest: 128)),
      ("10.0.0.0/", .length(longest: 32)), ("10.0.0.0/-1", .length(longest: 32)),
      ("10.0.0.0/08", .length(longest: 32)), ("10.0.0.0/8/8", .length(longest: 32)),
      ("10.0.0.0/255.0.0.0", .length(longest: 32)), ("::/0000", .length(longest: 128)),
      ("10.0.0.0/ 8", .length(longest: 32)), ("10.0.0.0/٨", .length(longest: 32)),
    ] as [(String, NetworkError)])
  func refuses(text: String, error: NetworkError) {
    #expect(network(text) == .failure(error))
    #expect(!error.sentence.isEmpty)
  }

  @Test(arguments: [
    ("10.0.0.5/8", "10.0.0.0/8"), ("0.0.0.1/0", "0.0.0.0/0"), ("192.0.2.129/31", "192.0.2.128/31"),
    ("2001:db8::1/64", "2001:db8::/64"), ("::1/0", "::/0"), ("::ffff:0:0/80", "::/80"),
    ("::ffff:10.0.0.0/90", "::ffc0:0:0/90"),
  ])
  func refusesHostBits(text: String, meant: String) throws {
    let address = try #require(NetworkAddress(text.prefix { $0 != "/" }))
    #expect(network(text) == .failure(.hostBits(address, of: try Network(meant))))
  }

  @Test func hostBitsAreNamed() throws {
    let address = try #require(NetworkAddress("10.0.0.5"))
    #expect(
      NetworkError.hostBits(address, of: try Network("10.0.0.0/8")).sentence
        == "bits are set behind the prefix: the network is 10.0.0.0/8, the address alone 10.0.0.5")
  }

  @Test(arguments: [
    ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
    ("10.0.0.0/8", "::ffff:10.1.2.3", true), ("10.0.0.0/8", "::a01:203", false),
    ("0.0.0.0/0", "1.2.3.4", true), ("0.0.0.0/0", "::1", false), ("::/0", "::1", true),
    ("::/0", "1.2.3.4", false), ("::/0", "::ffff:1.2.3.4", false), ("fe80::/10", "febf::1", true),
    ("fe80::/10", "fec0::1", false), ("2001:db8::/64", "2001:db8::ffff:0:0:1", true),
    ("2001:db8::/64", "2001:db8:0:1::", false), ("::1", "::1", true), ("::1", "::2", false),
  ])
  func contains(network: String, address: String, isInside: Bool) throws {
    let parsed = try #require(NetworkAddress(address))
    #expect(try Network(network).contains(parsed) == isInside)
    #expect(NetworkSet([try Network(network)]).contains(parsed) == isInside)
  }

  /// Against the definition: the first bits are the same.
  @Test func masksAreThoseOfTheDefinition() throws {
    var random = SeededRandom(seed: 23)
    for _ in 0..<500 {
      let bits = random.number(in: 0...128)
      let high = random.next()
      let low = random.next()
      func masked(_ word: UInt64, _ bits: Int) -> UInt64 {
        (0..<max(0, min(64, bits))).reduce(0) { $0 | word & (1 << UInt64(63 - $1)) }
      }
      let first = NetworkAddress(high: masked(high, bits), low: masked(low, bits - 64))
      let found = try Network("\(first)/\(bits)")
      #expect(found.contains(NetworkAddress(high: high, low: low)))
      guard bits > 0 else { continue }
      let flipped = random.number(in: 0...bits - 1)
      let outside =
        flipped < 64
        ? NetworkAddress(high: high ^ 1 << UInt64(63 - flipped), low: low)
        : NetworkAddress(high: high, low: low ^ 1 << UInt64(127 - flipped))
      #expect(!found.contains(outside))
    }
  }

  @Test func theSmallestNetworkIsFound() throws {
    let networks = try ["10.0.0.0/8", "10.1.0.0/16", "::/0", "10.0.0.0/8", "10.1.2.3"].map {
      try Network($0)
    }
    let set = NetworkSet(networks)
    #expect(
      set.networks.map(\.description) == ["10.1.2.3/32", "10.1.0.0/16", "10.0.0.0/8", "::/0"])
    func found(_ text: String) -> String? {
      NetworkAddress(text).flatMap { set.network(of: $0)?.description }
    }
    #expect(found("10.1.2.3") == "10.1.2.3/32")
    #expect(found("10.1.2.4") == "10.1.0.0/16")
    #expect(found("10.2.0.0") == "10.0.0.0/8")
    #expect(found("11.0.0.0") == nil)
    #expect(found("2001::") == "::/0")
    #expect(NetworkSet().isEmpty)
    #expect(!NetworkSet().contains(NetworkAddress(ipv4: 0)))
    #expect(NetworkSet(networks) == NetworkSet(networks.reversed()))
  }

  @Test func aSetHasABound() {
    let networks = (0..<1_000).map { Network(NetworkAddress(ipv4: $0)) }
    #expect(NetworkSet(networks).networks.count == NetworkSet.maximumCount)
  }

  @Test func mutationsNeverTrap() {
    var random = SeededRandom(seed: 24)
    let letters = Array("::.01289f/[] é")
    for _ in 0..<5_000 {
      let text = String(
        (0..<random.number(in: 0...16)).map { _ in letters[random.number(in: 0...letters.count - 1)]
        })
      guard case .success(let found) = network(text) else { continue }
      #expect(network(found.description) == .success(found))
    }
  }
}
