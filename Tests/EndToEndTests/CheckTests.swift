import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// What `sluice check` finds on the machine: the same as `serve`, which does not start then.
  @Suite struct Checks {
    private static func run(_ command: String, _ text: String, in folder: TemporaryFolder) throws
      -> Outcome
    {
      try folder.write(text, to: "gateway.conf")
      return try Outcome.of(Program.path, [command, "--config", "gateway.conf"], in: folder)
    }

    /// Settings that would do, and one section more.
    private static func settings(_ section: String, cache: String = "cache") -> String {
      """
      listen: [{ address: "127.0.0.1:0" }]
      admin: { address: "127.0.0.1:0" }
      cache: { path: \(cache), max_size: 128MB }
      \(section)

      """
    }

    static let refused: [(section: String, complaint: String)] = [
      (
        "logs: { access: { path: none/a.log } }", "4:19: logs.access.path: none/a.log: no such file"
      ),
      ("logs: { access: { path: folder } }", "4:19: logs.access.path: folder: is a directory"),
      (
        "denylist:\n  files:\n    - good.deny\n    - none.deny",
        "7:7: denylist.files[1]: none.deny: no such file or directory"
      ),
      (
        "last_resort: https://localhost:1\ntls: { ca_file: none.pem }",
        "5:8: tls.ca_file: none.pem: it holds no certificates that can be read"
      ),
    ]

    @Test(arguments: refused)
    func whatServeRefusesCheckRefuses(section: String, complaint: String) throws {
      let folder = try TemporaryFolder()
      try folder.write("file", to: "file")
      try folder.write("# none\n", to: "good.deny")
      try FileManager.default.createDirectory(
        atPath: folder.file("folder"), withIntermediateDirectories: true)
      let text = Self.settings(section)
      let check = try Self.run("check", text, in: folder)
      #expect(check.ending == .exited(1) && check.output.isEmpty)
      #expect(check.errors.hasPrefix("gateway.conf:\(complaint)"), "\(check.errors)")
      // Nothing was made or changed.
      #expect(!FileManager.default.fileExists(atPath: folder.file("cache")))
      let serve = try Self.run("serve", text, in: folder)
      #expect(serve.ending == .exited(1))
      // The same sentence, less its place in the file.
      let sentence = complaint.drop { $0 != " " }.drop { $0 != ":" }.dropFirst()
      #expect(serve.errors.contains(sentence), "\(serve.errors)")
    }

    @Test func aMissingTokenAndCache() throws {
      let folder = try TemporaryFolder()
      try folder.write("file", to: "file")
      let token = """
        listen: [{ address: "127.0.0.1:0" }]
        admin:
          address: 127.0.0.1:0
          token_file: none
        """
      let check = try Self.run("check", token, in: folder)
      #expect(check.ending == .exited(1))
      let start = "gateway.conf:4:3: admin.token_file: none: no such file or directory"
      #expect(check.errors.hasPrefix(start), "\(check.errors)")
      #expect(try Self.run("serve", token, in: folder).ending == .exited(1))
      for path in ["file", "file/below"] {
        let text = Self.settings("", cache: path)
        let check = try Self.run("check", text, in: folder)
        #expect(check.ending == .exited(1), "\(path)")
        #expect(
          check.errors.hasPrefix("gateway.conf:3:10: cache.path: \(path): "), "\(check.errors)")
        #expect(try Self.run("serve", text, in: folder).ending == .exited(1))
      }
    }

    @Test func addressesThatAreNotThisMachines() throws {
      // TEST-NET-1 (RFC 5737): nobody's.
      let folder = try TemporaryFolder()
      let text = """
        listen:
          - address: 127.0.0.1:0
          - address: 192.0.2.7:8080
        admin: { address: "127.0.0.1:0" }
        """
      let check = try Self.run("check", text, in: folder)
      #expect(check.ending == .exited(1))
      #expect(
        check.errors
          == "gateway.conf:3:5: listen[1].address: 192.0.2.7:8080: address not available on this machine\n"
      )
      #expect(try Self.run("serve", text, in: folder).ending == .exited(1))
    }

    @Test func aPortThatIsInUseIsForServeToFind() throws {
      let other = try ScriptedUpstream { _, _ in }
      defer { other.stop() }
      let folder = try TemporaryFolder()
      let text = "listen: [{ address: \"127.0.0.1:\(other.port)\" }]\n"
      let check = try Self.run("check", text, in: folder)
      #expect(check.ending == .exited(0) && check.errors.isEmpty, "\(check.errors)")
    }

    @Test func whatIsSeldomMeantIsAWarning() throws {
      let folder = try TemporaryFolder()
      try folder.write("file", to: "file")
      try folder.write("0123456789abcdef\n", to: "token")
      chmod(folder.file("token"), 0o600)
      let text = """
        listen: [{ address: "127.0.0.1:0" }]
        redirect:
          https: true
        admin:
          address: 127.0.0.1:0
          token_file: token
          audit_log: file/audit.log
        """
      let check = try Self.run("check", text, in: folder)
      #expect(check.ending == .exited(0) && check.text == "gateway.conf: can be used\n")
      let lines = check.errors.split(separator: "\n")
      #expect(lines.count == 2, "\(check.errors)")
      #expect(
        lines.first?.hasPrefix(
          "gateway.conf:3:3: warning: redirect.https: nobody can come by https")
          == true)
      #expect(
        lines.last?.hasPrefix(
          "gateway.conf:7:3: warning: admin.audit_log: file/audit.log: not a directory; changes are"
        )
          == true)
      // Clients are served all the same, and the log says what is wrong.
      var settings = SluiceProcess.Settings(upstreams: [try freePort()])
      settings.admin = [
        "token_file: \(folder.file("token"))", "audit_log: \(folder.file("file"))/a",
      ]
      let sluice = try SluiceProcess(settings)
      #expect(sluice.errors.contains("admin.audit_log cannot be written"))
      #expect(try sluice.request("/health").status == 200)
    }

    @Test func certificatesThatEnd() throws {
      let authority = try TestAuthority()
      let old = try authority.expired("old.test")
      let soon = try authority.issue(["soon.test"], days: 3, as: "soon")
      let good = try authority.issue(["good.test"], as: "good")
      var settings = SluiceProcess.Settings(upstreams: [try freePort()])
      settings.tls = ["certificates:"] + [good, soon, old].map { "  - \($0.setting)" }
      let sluice = try SluiceProcess(settings)
      #expect(sluice.errors.contains("a certificate has expired: browsers refuse it"))
      #expect(sluice.errors.contains("a certificate expires within 3 days"))
      #expect(!sluice.errors.contains(good.certificate))
      let found = try sluice.metrics()
      func end(_ issued: TestAuthority.Issued) -> Double? {
        found["sluice_tls_certificate_not_after_seconds{certificate=\"\(issued.certificate)\"}"]
      }
      #expect(end(old) == 1_580_515_200)
      let now = Date().timeIntervalSince1970
      #expect(abs((end(soon) ?? 0) - now - 3 * 86_400) < 600)
      #expect(abs((end(good) ?? 0) - now - 30 * 86_400) < 600)
      let check = try Self.run("check", settings.text, in: sluice.folder)
      #expect(check.ending == .exited(0))
      let lines = check.errors.split(separator: "\n")
      #expect(lines.count == 2, "\(check.errors)")
      #expect(
        lines.last?.contains(
          "warning: tls.certificates[2].certificate: \(old.certificate) has expired")
          == true)
    }
  }
}
