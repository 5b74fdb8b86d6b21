import Testing

@testable import Configuration

/// Addresses that would be Sluice's own twice, or a server's.
@Suite struct OwnAddressTests {
  private static func complaint(listen: String, server: String) -> String? {
    let found = SettingsFileTests.complaints(
      "listen:\n  - address: \"\(listen)\"\nregions: { eu: { servers: [{ address: \"\(server)\" }] } }\n"
    )
    #expect(found.count <= 1, "\(found)")
    return found.first
  }

  @Test(arguments: [
    ("0.0.0.0:8085", "127.0.0.1:8085"), ("0.0.0.0:8085", "127.1.2.3:8085"),
    ("0.0.0.0:8085", "localhost:8085"), ("[::]:8085", "[::1]:8085"),
    ("[::]:8085", "[0:0:0:0:0:0:0:1]:8085"), ("0.0.0.0:8085", "0.0.0.0:8085"),
    ("127.0.0.1:8085", "0.0.0.0:8085"), ("127.0.0.1:8085", "localhost:8085"),
    ("10.0.0.5:8085", "10.0.0.5:8085"), ("[2001:db8::1]:8085", "[2001:DB8:0::1]:8085"),
    ("0.0.0.0:8085", "https://localhost:8085"),
  ])
  func loopsAreRefused(listen: String, server: String) throws {
    let complaint = try #require(Self.complaint(listen: listen, server: server))
    #expect(complaint.hasPrefix("3:30: regions.eu.servers[0].address: "), "\(complaint)")
    #expect(complaint.contains("is Sluice's own address"))
  }

  @Test(arguments: [
    ("0.0.0.0:8085", "127.0.0.1:8086"), ("0.0.0.0:8085", "10.0.0.5:8085"),
    ("0.0.0.0:8085", "[::1]:8085"), ("[::]:8085", "127.0.0.1:8085"),
    ("10.0.0.5:8085", "127.0.0.1:8085"), ("10.0.0.5:8085", "localhost:8085"),
    ("0.0.0.0:8085", "kubo:8085"), ("127.0.0.1:8085", "127.0.0.2:8085"),
    ("0.0.0.0:0", "127.0.0.1:8085"),
  ])
  func othersAreNot(listen: String, server: String) {
    #expect(Self.complaint(listen: listen, server: server) == nil)
  }

  @Test func otherServersAndTheAdminAddressCountToo() {
    let text = """
      listen: [{ address: 0.0.0.0:8085 }]
      last_resort: http://127.0.0.1:8085
      cluster_api: { servers: [{ address: 127.0.0.1:9180 }], allow: [10.0.0.0/8] }
      """
    let found = SettingsFileTests.complaints(text)
    #expect(found.count == 2, "\(found)")
    #expect(found.first?.hasPrefix("2:1: last_resort: 127.0.0.1:8085 is Sluice's own") == true)
    #expect(
      found.last?.hasPrefix("3:28: cluster_api.servers[0].address: 127.0.0.1:9180 is") == true)
  }

  @Test func twoListenersOnOneAddress() {
    #expect(
      SettingsFileTests.complaints(
        "admin:\n  address: 127.0.0.1:9185\nlisten:\n  - address: 0.0.0.0:9185\n") == [
          "2:3: admin.address: 127.0.0.1:9185 is taken by 0.0.0.0:9185, an address for clients too; "
            + "expected another one"
        ])
    // The default of the one, at the place of the other.
    #expect(
      SettingsFileTests.complaints("workers: 1\nlisten:\n  - { address: 127.0.0.1:9180 }\n").first?
        .hasPrefix("3:7: admin.address: 127.0.0.1:9180 is an address for clients") == true)
    #expect(
      SettingsFileTests.complaints(
        "listen: [{ address: 0.0.0.0:9185 }]\nadmin: { address: \"[::1]:9185\" }\n") == [])
  }
}
