import Base
import System
import Testing

@Suite struct SocketAddressTests {
  @Test(arguments: ["127.0.0.1", "10.1.2.3", "255.255.255.255", "::1", "2001:db8::8:800:200c:417a"])
  func givesItsAddress(host: String) throws {
    let address = try #require(SocketAddress(host: host, port: 8080))
    #expect(address.networkAddress == NetworkAddress(host))
    #expect(address.networkAddress?.description == address.host)
  }

  @Test func aMappedAddressIsIPv4() throws {
    let address = try #require(SocketAddress(host: "::ffff:10.1.2.3", port: 1))
    #expect(address.networkAddress == NetworkAddress("10.1.2.3"))
  }

  @Test func noAddressHasNone() {
    #expect(SocketAddress.none.networkAddress == nil)
  }
}
