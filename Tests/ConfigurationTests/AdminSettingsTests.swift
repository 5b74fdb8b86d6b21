import Base
import Testing

@testable import Configuration

/// Settings of the admin listener.
@Suite struct AdminSettingsTests {
  private func read(_ text: String) throws -> Settings {
    try Settings.read(text, file: "/etc/sluice/gateway.conf")
  }

  private func complaint(_ text: String) -> String {
    do throws(Complaints) {
      _ = try Settings.read(text, file: "gateway.conf")
      return ""
    } catch {
      return "\(error)"
    }
  }

  @Test func theLoopbackReadsAndNobodyChanges() throws {
    let admin = try read("").admin
    #expect(admin.allow.map(\.description) == ["127.0.0.0/8", "::1/128"])
    #expect(admin.tokenFile == nil && admin.hosts == [])
    #expect(admin.auditLog == "/etc/sluice/var/audit.log")
    #expect(try read("").cacheStats.allow == [])
  }

  @Test func whatIsSaidIsRead() throws {
    let settings = try read(
      """
      admin:
        allow: [10.0.0.0/8]
        token_file: admin.token
        hosts: [Gateway.Internal]
        audit_log: off
      cache_stats: { allow: [192.0.2.0/24] }
      """)
    #expect(settings.admin.allow.map(\.description) == ["10.0.0.0/8"])
    #expect(settings.admin.tokenFile == "/etc/sluice/admin.token")
    #expect(settings.admin.hosts == ["gateway.internal"] && settings.admin.auditLog == nil)
    #expect(settings.cacheStats.allow.count == 1)
    #expect(try Settings.read(settings.printed, file: "gateway.conf") == settings)
  }

  @Test(arguments: [
    ("admin: { hosts: [\"a.example:80\"] }", "expected a host's name"),
    ("admin: { hosts: [\"*.example\"] }", "expected a host's name"),
    ("admin: { hosts: [a.example, A.example] }", "repeats an earlier entry"),
    ("admin: { allow: [10.0.0.1/8] }", "bits are set behind the prefix"),
    ("admin: { tokenfile: x }", "did you mean 'token_file'?"),
    ("cache_stats: { networks: [] }", "unknown setting 'cache_stats.networks'"),
  ])
  func mistakesAreNamed(text: String, sentence: String) {
    #expect(complaint(text).contains(sentence), "\(complaint(text))")
  }
}
