import Foundation
import TestKit
import Testing

extension Outcome {
  /// Whether the output is a body, or a part of it; says no more where it is not.
  fileprivate func has(_ body: [UInt8], _ part: Range<Int>? = nil) -> Bool {
    isSame(output, body, part)
  }
}

extension EndToEnd {
  /// TLS with clients that are not ours.
  @Suite struct TLS {
    /// A gateway with TLS beside its plain address, and what curl needs to trust it.
    private struct Gate {
      let authority: TestAuthority
      let origin: OriginProcess
      let sluice: SluiceProcess

      init(
        _ site: TestSite,
        _ change: (inout SluiceProcess.Settings, TestAuthority) throws -> Void = { _, _ in }
      )
        throws
      {
        authority = try TestAuthority()
        origin = try OriginProcess(car: site.car)
        var settings = SluiceProcess.Settings(upstreams: [origin.port])
        let issued = try authority.issue(["gw.test", "*.ipfs.gw.test", "localhost"], as: "gw")
        settings.tls = ["certificates: [\(issued.setting)]"]
        try change(&settings, authority)
        sluice = try SluiceProcess(settings)
      }

      var base: String { "https://gw.test:\(sluice.securePort)" }

      var trust: [String] {
        [
          "--cacert", authority.file, "--http1.1", "--resolve", "*:\(sluice.securePort):127.0.0.1",
        ]
      }

      func curl(_ arguments: [String]) throws -> Outcome { try .curl(trust + arguments) }

      /// openssl's own client; what is sent is a request that ends the connection.
      func client(_ arguments: [String], path: String = "/ipfs/bafkqaaa") throws -> Outcome {
        let folder = authority.folder
        try folder.write(
          "GET \(path) HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n", to: "request")
        let command =
          "openssl s_client -connect 127.0.0.1:\(sluice.securePort) -servername gw.test "
          + "-CAfile \(authority.file) -ign_eof \(arguments.joined(separator: " ")) < request"
        return try Outcome.of("sh", ["-c", command], in: folder)
      }
    }

    @Test func downloadsAsWithoutTLS() throws {
      var site = TestSite()
      let file = try site.add(noise(9 << 20, seed: 300))
      let middle = try site.add(noise(16 << 10, seed: 301))
      let small = try site.add(noise(777, seed: 302))
      let gate = try Gate(site)
      for version in ["1.3", "1.2"] {
        for content in [file, middle, small] {
          for _ in 0..<2 {
            let whole = try gate.curl(["--fail", "--tls-max", version, gate.base + content.path])
            #expect(
              whole.ending == .exited(0) && whole.has(content.body), "\(whole.errors)")
          }
        }
      }
      let part = try gate.curl(["--fail", "--range", "1048570-5097160", gate.base + file.path])
      #expect(part.has(file.body, 1_048_570..<5_097_161))
      let slow = try gate.curl(["--fail", "--limit-rate", "6M", gate.base + file.path])
      #expect(slow.has(file.body))
      let old = try gate.curl(["--fail", "--http1.0", gate.base + file.path])
      #expect(old.has(file.body))
      let kept = try gate.curl([
        "--fail", "--output", "/dev/null", "--output", "/dev/null", "--write-out",
        "%{num_connects} ", gate.base + small.path, gate.base + file.path,
      ])
      #expect(kept.text == "1 0 ")
      let full = try gate.sluice.metric(#"sluice_tls_handshakes_total{outcome="full"}"#)
      #expect(full >= 16)
    }

    @Test func redirectsKnowThatTheClientSpokeTLS() throws {
      var site = TestSite()
      let small = try site.add(noise(777, seed: 303))
      let gate = try Gate(site) { settings, _ in
        settings.hosts = ["{ name: gw.test, subdomains: true }"]
        settings.tls += ["hsts: 1d"]
      }
      let secure = try gate.curl(["--head", gate.base + small.path])
      let place = "https://\(small.cid.text(in: .base32)).ipfs.gw.test:\(gate.sluice.securePort)/"
      #expect(secure.text.contains("Location: \(place)\r\n"), "\(secure.text)")
      #expect(secure.text.contains("Strict-Transport-Security: max-age=86400\r\n"))
      let plain = try Outcome.curl([
        "--head", "--header", "Host: gw.test", "http://127.0.0.1:\(gate.sluice.port)\(small.path)",
      ])
      #expect(plain.text.contains("Location: http://"), "\(plain.text)")
      #expect(!plain.text.contains("Strict-Transport-Security"))
    }

    @Test func sessionsAreResumedOnAnyWorker() throws {
      let gate = try Gate(TestSite()) { settings, _ in settings.workers = 3 }
      for version in ["-tls1_3", "-tls1_2"] {
        let first = try gate.client([version, "-sess_out", "session"])
        #expect(first.text.contains("New, TLSv1"), "\(first.errors)")
        #expect(first.text.contains("HTTP/1.1 200 OK") && first.text.contains("close"))
        for _ in 0..<6 {
          let again = try gate.client([version, "-sess_in", "session", "-sess_out", "session"])
          #expect(again.text.contains("Reused, TLSv1"), "\(version): \(again.text)")
        }
      }
      let resumed = try gate.sluice.metric(#"sluice_tls_handshakes_total{outcome="resumed"}"#)
      #expect(resumed == 12)
    }

    @Test func whatIsNoTLSIsCounted() throws {
      let gate = try Gate(TestSite()) { settings, _ in settings.timeouts = ["client_header: 300ms"]
      }
      let client = try RawClient(port: gate.sluice.securePort)
      try client.send("GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n")
      #expect(client.ending(within: 5) != .open)
      // One that says nothing is not waited for.
      let silent = try RawClient(port: gate.sluice.securePort)
      #expect(silent.ending(within: 5) != .open)
      let old = try gate.client(["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"])
      #expect(!old.text.contains("HTTP/1.1 200"))
      let failed = try eventually {
        try gate.sluice.metric(#"sluice_tls_handshakes_total{outcome="failed"}"#) == 3
      }
      #expect(failed)
    }

    @Test func plainClientsAreSentToTLS() throws {
      let webroot = try TemporaryFolder()
      let gate = try Gate(TestSite()) { settings, _ in
        settings.sections = [
          "redirect: { https: true, port: 8443, acme_directory: \(webroot.path) }",
          "trusted_proxies: [127.0.0.1]",
        ]
      }
      func ask(
        _ path: String, _ fields: [(String, String)] = [], method: String = "GET"
      ) throws -> Response {
        try gate.sluice.request(path, method: method, [("X-Forwarded-Host", "gw.test:80")] + fields)
      }
      let moved = try ask("/ipfs/bafkqaaa?format=raw&x=%20")
      #expect(moved.status == 301)
      #expect(moved["Location"] == "https://gw.test:8443/ipfs/bafkqaaa?format=raw&x=%20")
      #expect(try ask("/a", method: "OPTIONS").status == 308)
      #expect(try ask("/health").status == 200)
      // A proxy in front of us says that it has TLS already.
      #expect(try ask("/ipfs/bafkqaaa", [("X-Forwarded-Proto", "https")]).status == 200)
      #expect(try gate.curl(["--fail", gate.base + "/ipfs/bafkqaaa"]).ending == .exited(0))

      let folder = webroot.path + "/.well-known/acme-challenge"
      try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
      try webroot.write("secret", to: "secret")
      try "token.key".write(toFile: folder + "/to-K_9", atomically: false, encoding: .utf8)
      try FileManager.default.createSymbolicLink(
        atPath: folder + "/link", withDestinationPath: "../../secret")
      try FileManager.default.createDirectory(
        atPath: folder + "/folder", withIntermediateDirectories: true)
      try String(repeating: "x", count: 5_000)
        .write(toFile: folder + "/large", atomically: false, encoding: .utf8)
      #expect(mkfifo(folder + "/pipe", 0o600) == 0)
      let place = "/.well-known/acme-challenge/"
      let challenge = try ask(place + "to-K_9")
      #expect(challenge.status == 200 && challenge.text == "token.key")
      for name in [
        "none", "link", "folder", "large", "pipe", "", "../../secret", "..%2f..%2fsecret",
        "to-K_9/",
        ".hidden",
      ] {
        #expect(try ask(place + name).status == 404, "\(name)")
      }
      #expect(try ask(place + "to-K_9", method: "POST").status == 405)
    }

    // MARK: Certificates that change

    @Test func certificatesAreSwappedUnderLoad() throws {
      var site = TestSite()
      let small = try site.add(noise(20_000, seed: 304))
      let gate = try Gate(site)
      func serial() throws -> String {
        let shown = try Outcome.of(
          "sh",
          [
            "-c",
            "openssl s_client -connect 127.0.0.1:\(gate.sluice.securePort) -servername gw.test </dev/null "
              + "2>/dev/null | openssl x509 -noout -serial",
          ])
        return shown.text
      }
      let before = try serial()
      #expect(before.hasPrefix("serial="))
      // One connection lives through it, with a request every 50 ms, and others come and go.
      let urls = (0..<120).map { "\(gate.base)\(small.path)?\($0)" }
      let folder = gate.authority.folder
      let long = try ChildProcess(
        "curl",
        gate.trust + ["--silent", "--show-error", "--fail", "--rate", "20/s", "--write-out"]
          + ["%{num_connects}"] + urls.flatMap { ["--output", "/dev/null", $0] },
        in: folder.path, output: folder.file("connects"), errors: folder.file("complaints"))
      // A key that does not fit.
      let good = folder.text(of: "gw.key")
      _ = try gate.authority.issue(["other.test"], as: "other")
      try folder.write(folder.text(of: "other.key"), to: "gw.key")
      #expect(
        eventually { gate.sluice.errors.contains("certificates have changed and cannot be used") })
      #expect(gate.sluice.errors.contains("it is not the key of"))
      #expect(try serial() == before)
      try folder.write(good, to: "gw.key")
      _ = try gate.authority.issue(["gw.test", "localhost"], as: "gw")
      var asked = 0
      let swapped = try eventually {
        let outcome = try gate.curl(["--fail", gate.base + small.path])
        #expect(outcome.ending == .exited(0), "\(outcome.errors)")
        asked += 1
        return try serial() != before
      }
      #expect(swapped && asked > 0)
      #expect(try long.wait() == .exited(0), "\(folder.text(of: "complaints"))")
      #expect(folder.text(of: "connects") == "1" + String(repeating: "0", count: 119))
      let name = "sluice_tls_certificate_changes_total"
      #expect(try gate.sluice.metric(name + #"{outcome="used"}"#) >= 1)
      #expect(try gate.sluice.metric(name + #"{outcome="unusable"}"#) >= 1)
    }

    /// What has ended is not given, and its successor is as soon as it is there.
    @Test func staplesEnd() throws {
      let gate = try Gate(TestSite()) { settings, authority in
        let issued = try authority.issue(["gw.test"], as: "stapled")
        let staple = try authority.endedStaple(for: issued)
        settings.tls = [
          "certificates:",
          "  - { certificate: \(issued.certificate), key: \(issued.key), ocsp: \(staple) }",
        ]
      }
      let name = "sluice_tls_staples_expired"
      #expect(try eventually { try gate.sluice.metric(name) == 1 })
      #expect(gate.sluice.errors.contains("an OCSP answer has ended and is not stapled"))
      let without = try gate.client(["-status"])
      #expect(without.text.contains("OCSP response: no response sent"), "\(without.text)")
      #expect(without.text.contains("HTTP/1.1 200 OK"))
      let folder = gate.authority.folder
      #expect(rename(folder.file("ocsp.der"), folder.file("ended.der")) == 0)
      #expect(try eventually { try gate.sluice.metric(name) == 0 })
      let with = try gate.client(["-status"])
      #expect(with.text.contains("OCSP Response Status: successful"), "\(with.text)")
    }

    @Test func badCertificatesAreNamedAtTheStart() throws {
      let folder = try TemporaryFolder()
      try folder.write(
        """
        listen: [{ address: "127.0.0.1:0", tls: true }]
        tls: { certificates: [{ certificate: none.pem, key: none.key }] }
        admin: { address: "127.0.0.1:0" }
        """, to: "gateway.conf")
      let started = try Outcome.of(Program.path, ["serve", "--config", "gateway.conf"], in: folder)
      #expect(started.ending == .exited(1))
      #expect(started.errors.contains("tls.certificates: none.pem: no such file or directory"))
      let checked = try Outcome.of(Program.path, ["check", "--config", "gateway.conf"], in: folder)
      #expect(checked.ending == .exited(1))
      #expect(
        checked.errors
          == "gateway.conf:2:25: tls.certificates[0].certificate: none.pem: no such file or directory\n"
      )
    }

    // MARK: Servers

    @Test func serversAreVerified() throws {
      var site = TestSite()
      let file = try site.add(noise(3 << 20, seed: 305))
      let small = try site.add(noise(300, seed: 306))
      let far = try Gate(site)
      let server = "https://localhost:\(far.sluice.securePort)"
      func gateway(_ server: String, trusting authority: String?) throws -> SluiceProcess {
        var settings = SluiceProcess.Settings()
        settings.regions = ["test:", "  servers: [{ address: \"\(server)\" }]"]
        settings.sections = authority.map { ["tls: { ca_file: \($0) }"] } ?? []
        return try SluiceProcess(settings)
      }
      let good = try gateway(server, trusting: far.authority.file)
      for content in [file, small] {
        let answer = try good.request(content.path)
        let isWhole = answer.status == 200 && isSame(answer.body, content.body)
        #expect(isWhole)
      }
      #expect(try good.metric("sluice_upstream_tls_failures_total") == 0)
      #expect(try far.sluice.metric(#"sluice_requests_total{cache="miss"}"#) >= 2)

      for (address, authority, why) in [
        (server, nil, "unable to get local issuer certificate"),
        ("https://127.0.0.1:\(far.sluice.securePort)", far.authority.file, "IP address mismatch"),
        ("https://localhost:\(far.sluice.port)", far.authority.file, "wrong version number"),
      ] {
        let refused = try gateway(address, trusting: authority)
        #expect(try refused.request(file.path).status == 502)
        #expect(try refused.metric("sluice_upstream_tls_failures_total") >= 1)
        #expect(
          refused.errors.contains("a server cannot be trusted") && refused.errors.contains(why),
          "\(refused.errors)")
      }
    }
  }
}
