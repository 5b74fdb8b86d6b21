import Foundation
import TestKit
import Testing

extension EndToEnd {
  /// A browser, by HTTPS and HTTP/2 as they come.
  @Suite struct Browser {
    private static let program = "/usr/bin/chromium"
    private static var isHere: Bool { FileManager.default.isExecutableFile(atPath: program) }

    /// A picture of 64 by 64 points without compression (BMP): 12,342 bytes that are nobody else's.
    private static func picture(seed: UInt64) -> [UInt8] {
      func little(_ value: UInt32) -> [UInt8] {
        [0, 8, 16, 24].map { UInt8(truncatingIfNeeded: value >> $0) }
      }
      let points = noise(64 * 64 * 3, seed: seed)
      let size = UInt32(54 + points.count)
      var file = Array("BM".utf8) + little(size) + little(0) + little(54)
      // The head of Windows 3: its size, width, height, one plane of 24 bits, and no compression.
      file += little(40) + little(64) + little(64) + [1, 0, 24, 0]
      file += little(0) + little(size - 54) + [UInt8](repeating: 0, count: 16)
      return file + points
    }

    /// The page counts the pictures that it has got whole, once the browser says that all is loaded.
    private static func page(_ names: [String]) -> [UInt8] {
      let pictures = names.map { "<img src=\"\($0)\" alt=\"\">" }.joined(separator: "\n")
      let script = """
        addEventListener("load", () => {
          const whole = [...document.images].filter(one => one.complete && one.naturalWidth === 64);
          const spoken = performance.getEntriesByType("resource").filter(one => one.nextHopProtocol === "h2");
          document.title = `whole ${whole.length}, h2 ${spoken.length}`;
        });
        """
      return Array(
        "<!doctype html><title>none</title><script>\(script)</script>\n\(pictures)\n".utf8)
    }

    @Test(.enabled(if: isHere, "chromium is not installed"))
    func aPageOfAHundredPictures() throws {
      let names = (0..<100).map { "picture-\($0).bmp" }
      var files = ["index.html": Self.page(names)]
      for (number, name) in names.enumerated() {
        files[name] = Self.picture(seed: UInt64(900 + number))
      }
      var site = TestSite()
      let folder = try site.add(folder: files)
      let origin = try OriginProcess(car: site.car)
      let authority = try TestAuthority()
      var settings = SluiceProcess.Settings(upstreams: [origin.port])
      settings.tls = ["certificates: [\(try authority.issue(["gw.test"], as: "gw").setting)]"]
      let sluice = try SluiceProcess(settings)
      // Misses first, then hits.
      for round in 1...2 {
        let shown = try browse("https://gw.test:\(sluice.securePort)/ipfs/\(folder)/", authority)
        #expect(
          shown.text.contains("<title>whole 100, h2 100</title>"), "\(shown.errors) \(shown.text)")
        let requests = try sluice.metric(
          #"sluice_protocol_requests_total{protocol="HTTP/2",tls="yes"}"#)
        #expect(requests >= Double(round * 101))
      }
      let found = try sluice.metrics()
      #expect(found[#"sluice_requests_total{cache="hit"}"#] ?? 0 >= 101)
      #expect(found[#"sluice_protocol_requests_total{protocol="HTTP/1.1",tls="yes"}"#] == 0)
      #expect(found[#"sluice_responses_total{code="200"}"#] ?? 0 >= 202)
    }

    /// Loads a page with an empty profile, and gives what has become of its document.
    private func browse(_ url: String, _ authority: TestAuthority) throws -> Outcome {
      let folder = try TemporaryFolder()
      // Browsers have a store of authorities of their own: the key is named instead.
      let key = try Outcome.of(
        "sh",
        [
          "-c",
          "openssl x509 -in \(authority.folder.file("gw.pem")) -pubkey -noout "
            + "| openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64 -w0",
        ])
      return try Outcome.of(
        Self.program,
        [
          "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
          "--no-first-run", "--disable-background-networking", "--disable-component-update",
          "--user-data-dir=\(folder.path)/profile", "--host-resolver-rules=MAP * 127.0.0.1",
          "--ignore-certificate-errors-spki-list=\(key.text)", "--dump-dom", url,
        ], in: folder)
    }
  }
}
