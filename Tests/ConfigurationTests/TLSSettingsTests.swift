import Base
import Testing

@testable import Configuration

@Suite struct TLSSettingsTests {
  @Test func readsCertificatesAndListeners() throws {
    let settings = try Settings.read(
      """
      listen:
        - { address: "0.0.0.0:80" }
        - { address: "0.0.0.0:443", tls: true }
      tls:
        certificates:
          - { certificate: first.pem, key: /keys/first.key }
          - { certificate: second.pem, key: second.key, ocsp: second.der }
        min_version: 1.3
        hsts: 365d
        ca_file: authorities.pem
      """, file: "/etc/sluice/gateway.conf")
    #expect(settings.listen.map(\.isSecure) == [false, true])
    #expect(
      settings.tls.certificates == [
        Settings.Certificate(certificate: "/etc/sluice/first.pem", key: "/keys/first.key"),
        Settings.Certificate(
          certificate: "/etc/sluice/second.pem", key: "/etc/sluice/second.key",
          staple: "/etc/sluice/second.der"),
      ])
    #expect(settings.tls.minVersion == .tls13 && settings.tls.hsts == .seconds(365 * 86_400))
    #expect(settings.tls.authorities == "/etc/sluice/authorities.pem")
  }

  @Test func serversMayHaveURLs() throws {
    let settings = try Settings.read(
      """
      regions: { far: { servers: [{ address: "https://Kubo.example" }, { address: "a:1" }] } }
      last_resort: https://ipfs.example:8443/
      """, file: "gateway.conf")
    #expect(
      settings.regions[0].servers.map(\.address.description) == ["https://kubo.example:443", "a:1"]
    )
    #expect(settings.lastResort?.description == "https://ipfs.example:8443")
  }

  @Test(arguments: [
    (
      "listen: [{ address: \"127.0.0.1:443\", tls: true }]",
      "1:38: listen[0].tls: there is no certificate; expected tls.certificates"
    ),
    (
      "listen: [{ address: \"127.0.0.1:443\", proxy_protocol: true }]",
      "1:38: listen[0].proxy_protocol: it counts from trusted proxies only, and there are none"
    ),
    (
      "tls: { certificates: [{ certificate: a.pem }] }",
      "1:23: tls.certificates[0].key is missing; expected a path"
    ),
    ("tls: { min_version: 1.1 }", "1:21: tls.min_version: '1.1' does not fit; expected 1.2 or 1.3"),
    ("tls: { hsts: 1ms }", "1:14: tls.hsts: '1ms' does not fit; expected off or a duration"),
    (
      "regions: { a: { servers: [{ address: \"http://a\" }] } }",
      "1:38: regions.a.servers[0].address: 'http://a' does not fit; expected a host with a port"
    ),
  ])
  func complains(text: String, complaint: String) {
    let found = SettingsFileTests.complaints("\(text)\n")
    #expect(found.contains { $0.hasPrefix(complaint) }, "\(found)")
  }
}
