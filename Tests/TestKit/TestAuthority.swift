import Foundation

/// An authority for certificates, made for one test by the openssl command.
public final class TestAuthority: Sendable {
  public enum Kind: String, Sendable {
    case ecdsa, rsa

    var arguments: [String] {
      switch self {
      case .ecdsa: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
      case .rsa: ["-newkey", "rsa:2048"]
      }
    }
  }

  /// A certificate's files.
  public struct Issued: Sendable {
    public var certificate: String
    public var key: String

    /// As an entry of `tls.certificates`.
    public var setting: String { "{ certificate: \(certificate), key: \(key) }" }
  }

  public let folder: TemporaryFolder
  /// The authority's own certificate, in PEM.
  public var file: String { folder.file("ca.pem") }

  public init() throws {
    folder = try TemporaryFolder()
    // Without this the machine's own configuration would add extensions.
    try folder.write("[req]\ndistinguished_name = dn\n[dn]\n", to: "req.conf")
    try request(
      Kind.ecdsa.arguments + [
        "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test authority", "-addext",
        "basicConstraints=critical,CA:TRUE",
      ])
  }

  /// Makes a certificate for names, the first of which is its common name too.
  ///
  /// - Parameter name: of its files, which it replaces.
  public func issue(
    _ names: [String], _ kind: Kind = .ecdsa, days: Int = 30, as name: String
  ) throws -> Issued {
    let listed = names.map { (Self.isAddress($0) ? "IP:" : "DNS:") + $0 }.joined(separator: ",")
    // Renamed into place, as tools that renew certificates do.
    try request(
      kind.arguments + [
        "-keyout", "new.key", "-out", "new.pem", "-subj", "/CN=\(names[0])", "-addext",
        "subjectAltName=\(listed)", "-CA", "ca.pem", "-CAkey", "ca.key",
      ], days: days)
    for end in ["key", "pem"] {
      guard rename(folder.file("new.\(end)"), folder.file("\(name).\(end)")) == 0 else {
        throw TestFailure.system("cannot rename \(name).\(end)")
      }
    }
    return Issued(certificate: folder.file("\(name).pem"), key: folder.file("\(name).key"))
  }

  /// A certificate whose time is over.
  public func expired(_ name: String) throws -> Issued {
    try folder.write("", to: "expired.txt")
    try folder.write(
      """
      [ca]
      default_ca = own
      [own]
      database = expired.txt
      serial = expired.serial
      new_certs_dir = .
      default_md = sha256
      policy = any
      [any]
      commonName = supplied
      """, to: "expired.conf")
    try run(
      "req",
      ["-new", "-config", "req.conf", "-nodes"] + Kind.ecdsa.arguments + [
        "-keyout", "expired.key", "-out", "expired.csr", "-subj", "/CN=\(name)",
      ])
    try run(
      "ca",
      [
        "-batch", "-notext", "-config", "expired.conf", "-cert", "ca.pem", "-keyfile", "ca.key",
        "-create_serial", "-startdate", "20200101000000Z", "-enddate", "20200201000000Z", "-in",
        "expired.csr", "-out", "expired.pem",
      ])
    return Issued(certificate: folder.file("expired.pem"), key: folder.file("expired.key"))
  }

  /// An OCSP answer about a certificate, in DER; the file's path.
  public func staple(for issued: Issued) throws -> String {
    try folder.write("", to: "index.txt")
    try run("ocsp", ["-issuer", "ca.pem", "-cert", issued.certificate, "-reqout", "ocsp.req"])
    try run(
      "ocsp",
      [
        "-index", "index.txt", "-rsigner", "ca.pem", "-rkey", "ca.key", "-CA", "ca.pem", "-reqin",
        "ocsp.req", "-respout", "ocsp.der", "-ndays", "7",
      ])
    return folder.file("ocsp.der")
  }

  /// The same, but that its time passed long ago: nobody would sign that now, so it is written into the answer.
  public func endedStaple(for issued: Issued) throws -> String {
    var bytes = [UInt8](
      FileManager.default.contents(atPath: try staple(for: issued)) ?? Data())
    // Times are GeneralizedTime, 20261128061500Z; the latest one is nextUpdate.
    let places = bytes.indices.filter { start in
      start + 15 <= bytes.count && bytes[start + 14] == UInt8(ascii: "Z")
        && bytes[start..<start + 14].allSatisfy {
          (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        }
    }
    guard
      let last = places.max(by: {
        bytes[$0..<$0 + 14].lexicographicallyPrecedes(bytes[$1..<$1 + 14])
      })
    else { throw TestFailure("the OCSP answer has no times") }
    bytes.replaceSubrange(last..<last + 4, with: Array("2001".utf8))
    try folder.write(bytes, to: "ended.der")
    return folder.file("ended.der")
  }

  private func request(_ arguments: [String], days: Int = 90) throws {
    try run("req", ["-x509", "-config", "req.conf", "-nodes", "-days", "\(days)"] + arguments)
  }

  private func run(_ command: String, _ arguments: [String]) throws {
    let outcome = try Outcome.of("openssl", [command] + arguments, in: folder)
    guard outcome.ending == .exited(0) else {
      throw TestFailure("openssl \(command): \(outcome.errors)")
    }
  }

  private static func isAddress(_ name: String) -> Bool {
    name.contains(":") || name.allSatisfy { $0.isNumber || $0 == "." }
  }
}
