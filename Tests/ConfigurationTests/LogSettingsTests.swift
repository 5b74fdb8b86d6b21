import Base
import Testing

@testable import Configuration

@Suite struct LogSettingsTests {
  @Test func readsFormsSamplesAndTraces() throws {
    let settings = try Settings.read(
      """
      logs:
        access: { path: a.log, format: combined, sample: 1/100, shorten_addresses: true }
        slow: 5s
      tracing: { start: true }
      """, file: "/etc/sluice/gateway.conf")
    #expect(settings.logs.access.format == .combined && settings.logs.access.sample == 100)
    #expect(settings.logs.access.shortensAddresses && settings.logs.slow == .seconds(5))
    #expect(settings.tracing.start)
    let plain = Settings()
    #expect(plain.logs.access.format == .json && plain.logs.access.sample == 1)
    #expect(!plain.logs.access.shortensAddresses && plain.logs.slow == .zero)
    #expect(!plain.tracing.start)
  }

  @Test(arguments: [
    (
      "logs: { access: { sample: 100 } }",
      "1:27: logs.access.sample: '100' does not fit; expected a share from 1/1 to 1/1000000"
    ),
    ("logs: { access: { sample: 2/3 } }", "logs.access.sample: '2/3' does not fit"),
    ("logs: { access: { sample: 1/0 } }", "logs.access.sample: '1/0' does not fit"),
    ("logs: { access: { sample: 1/-5 } }", "logs.access.sample: '1/-5' does not fit"),
    ("logs: { access: { sample: 1/ } }", "logs.access.sample: '1/' does not fit"),
    (
      "logs: { access: { format: common } }",
      "logs.access.format: 'common' does not fit; expected json or combined"
    ),
    ("logs: { slow: 0s }", "logs.slow: '0s' does not fit; expected off or a duration"),
    ("tracing: { start: yes }", "tracing.start: 'yes' does not fit; expected true or false"),
  ])
  func mistakesAreNamed(text: String, complaint: String) {
    let found = SettingsFileTests.complaints("\(text)\n")
    #expect(found.contains { $0.contains(complaint) }, "\(found)")
  }
}
