import Base
import Router
import Testing

@testable import Configuration

/// The settings by which clients and hosts are known, and what answers get: what is wrong in them.
@Suite struct ClientSettingsTests {
  private func complaints(_ text: String) -> [String] { SettingsFileTests.complaints(text) }

  @Test(arguments: [
    (
      "trusted_proxies: [10.0.0.0/8, 10.0.0.5/8]",
      "1:31: trusted_proxies[1]: '10.0.0.5/8' does not fit: bits are set behind the prefix: the network "
        + "is 10.0.0.0/8, the address alone 10.0.0.5; expected a network or an address, such as"
    ),
    (
      "trusted_proxies: [10.0.0.0/40]",
      "1:19: trusted_proxies[0]: '10.0.0.0/40' does not fit: what follows the slash is no number of "
        + "bits from 0 to 32; expected a network"
    ),
    (
      "trusted_proxies: [proxy.example]",
      "1:19: trusted_proxies[0]: 'proxy.example' does not fit: it"
    ),
    ("trusted_proxies: 10.0.0.0/8", "1:18: trusted_proxies is not such a list; expected a list"),
    ("trusted_proxies:", "1:17: trusted_proxies is not such a list; expected a list"),
    ("trusted_proxies: [[]]", "1:19: trusted_proxies[0] is a list; expected a network"),
    ("trusted_proxies: [~]", "1:19: trusted_proxies[0] has no value; expected a network"),
    (
      "trusted_proxies: [10.0.0.1, 10.0.0.1/32]",
      "1:29: trusted_proxies[1] repeats an earlier entry; expected it once"
    ),
    ("trusted_proxy: []", "1:1: unknown setting 'trusted_proxy'; did you mean 'trusted_proxies'?"),
    (
      "hosts: []",
      "1:8: hosts is not such a list; expected a list of at least one { name: …, subdom"
    ),
    ("hosts: [{ subdomains: true }]", "1:9: hosts[0].name is missing; expected a host name or"),
    (
      "hosts: [{ name: \"a.*\" }]",
      "1:17: hosts[0].name: 'a.*' does not fit: an asterisk stands alone, or once, for the first label"
    ),
    (
      "hosts: [{ name: a.example:80 }]",
      "1:17: hosts[0].name: 'a.example:80' does not fit: a host is named without its port; expected"
    ),
    (
      "hosts: [{ name: a/b }]", "1:17: hosts[0].name: 'a/b' does not fit: that is no host name; exp"
    ),
    (
      "hosts: [{ name: a, subdomains: yes }]",
      "1:32: hosts[0].subdomains: 'yes' does not fit; expected true or false"
    ),
    (
      "hosts: [{ name: a, subdomain: true }]",
      "1:20: unknown setting 'hosts[0].subdomain'; did you mean 'subdomains'?"
    ),
    (
      "hosts: [{ name: a.example }, { name: A.example., dnslink: true }]",
      "1:32: hosts[1].name: a.example is hosts[0] already; expected it once"
    ),
    (
      "hosts: [{ name: a }, { name: 127.0.0.1, subdomains: true }]",
      "1:24: hosts[1].name: 127.0.0.1 is an address, which has no names below it and no DNSLink; exp"
    ),
    (
      "headers: nosniff",
      "1:10: headers is not a mapping; expected field names, each with a value or"
    ),
    ("headers:", "1:9: headers is not a mapping"),
    (
      "headers: { X A: b }",
      "1:12: headers: 'X A' is no field name; expected letters, digits and hy"
    ),
    (
      "headers: { Content-length: 5 }",
      "1:12: headers: Content-length is Sluice's own: connections live by it; expected another field"
    ),
    (
      "headers: { etag: null }",
      "1:12: headers: etag is Sluice's own: it says what the body of each"
    ),
    (
      "headers: { Cache-Control: no-store }",
      "1:12: headers: Cache-Control is Sluice's own: caches go"
    ),
    (
      "headers: { X-A: b, x-a: c }",
      "1:20: headers: 'x-a' is there already as 'X-A'; expected it once"
    ),
    (
      "headers: { X-A: \"b\\r\\nSet-Cookie: c\" }",
      "1:17: headers.X-A: 'b\r\nSet-Cookie: c' does not fit; expected printable ASCII, or null to remove"
    ),
    ("headers: { X-A: é }", "1:17: headers.X-A: 'é' does not fit; expected printable ASCII"),
    ("headers: { X-A: \"\" }", "1:17: headers.X-A: '' does not fit; expected printable ASCII"),
    ("headers: { X-A: \" b\" }", "1:17: headers.X-A: ' b' does not fit; expected printable ASCII"),
    ("headers: { X-A: [b] }", "1:17: headers.X-A is a list; expected printable ASCII"),
    (
      "cache: { negative_ttl: 366d }",
      "1:24: cache.negative_ttl: '366d' does not fit; expected a duration from 0ms to 365d"
    ),
    (
      "cache: { stale_names: 31d }",
      "1:23: cache.stale_names: '31d' does not fit; expected a duration from 0ms to 30d"
    ),
    (
      "cache: { stale_name: 1d }",
      "1:10: unknown setting 'cache.stale_name'; did you mean 'stale_na"
    ),
  ])
  func complains(text: String, start: String) {
    let found = complaints(text)
    #expect(found.count == 1)
    #expect(found.contains { $0.hasPrefix(start) }, "\(found)")
  }

  /// Fields that no operator's value or removal could replace.
  @Test(arguments: [
    "Connection", "Content-Length", "Transfer-Encoding", "Trailer", "Upgrade", "Keep-Alive",
    "Content-Range", "Content-Encoding", "Content-Type", "Date", "ETag", "Accept-Ranges", "Age",
    "Vary",
    "Last-Modified", "Set-Cookie", "Location", "X-Ipfs-Roots", "X-Ipfs-Path", "X-IPFS-Hash",
  ])
  func ownFieldsAreRefused(name: String) {
    #expect(Settings.Header.refusal(ofName: name) != nil)
    #expect(Settings.Header.refusal(ofName: name.lowercased()) != nil)
    #expect(Settings.Header.refusal(ofName: "X-" + name + "-X") == nil)
  }

  @Test func listsHaveBounds() {
    let networks = (0...NetworkSet.maximumCount).map { "10.0.\($0 / 256).\($0 % 256)" }
    #expect(
      complaints("trusted_proxies: [\(networks.joined(separator: ", "))]")
        == ["1:18: trusted_proxies has 257 entries; expected at most 256"])
    #expect(complaints("trusted_proxies: [\(networks.dropLast().joined(separator: ", "))]") == [])
    let value = String(repeating: "x", count: 8 << 10)
    #expect(
      complaints("headers: { X-A: \(value) }")
        == ["1:10: headers has 8199 bytes; expected at most 8KB"])
    #expect(complaints("headers: { X-A: \(value.dropLast(7)) }") == [])
  }

  @Test func manyHostsAreRead() throws {
    let hosts = (0..<4_000).map { "  - { name: site-\($0).example, dnslink: true }\n" }
    let settings = try Settings.read("hosts:\n" + hosts.joined(), file: "gateway.conf")
    #expect(settings.hosts.count == 4_000)
    #expect(Set(settings.hosts).count == 4_000)
  }

  @Test func repeatedFieldsAreRefusedOnce() {
    #expect(
      complaints("headers:\n  X-A: b\n  X-A: c\n")
        == ["3:3: 'X-A' is given more than once here, first on line 2; expected it once"])
  }
}
