import Base
import COpenSSL
import TestKit
import Testing

@testable import TLS

/// Both sides of a connection, with memory between them.
final class Pair {
  let server: TLSSession
  let client: TLSSession
  let serverBuffers = TLSBuffers()
  let clientBuffers = TLSBuffers()
  /// What each side has received.
  var atServer: [UInt8] = []
  var atClient: [UInt8] = []
  /// Cuts ciphertext into pieces of random sizes where it is given.
  var random: SeededRandom?

  init(
    _ certificates: ServerCertificates, _ peer: TLSPeer,
    preparing: (TLSSession) -> Void = { _ in }
  ) throws {
    server = try TLSSession(server: certificates, serverBuffers)
    client = try TLSSession(client: peer, clientBuffers)
    preparing(client)
    client.start()
  }

  /// Carries everything over, both ways, until nothing is left.
  func settle() {
    while true {
      let toServer = take(clientBuffers)
      let toClient = take(serverBuffers)
      if toServer.isEmpty && toClient.isEmpty { return }
      give(toServer, to: server, &atServer)
      give(toClient, to: client, &atClient)
    }
  }

  func take(_ buffers: TLSBuffers) -> [UInt8] {
    defer { buffers.output.clear() }
    return buffers.output.withReadable { $0.array }
  }

  func give(_ bytes: [UInt8], to session: TLSSession, _ received: inout [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      var piece = ByteBuffer(capacity: 1)
      piece.append(Array(rest.prefix(size(atMost: rest.count, usually: rest.count, cut: 3_000))))
      rest = rest.dropFirst(piece.count)
      var isFirst = true
      while isFirst || session.hasUnread {
        var room = [UInt8](
          repeating: 0, count: size(atMost: 20_000, usually: 20_000, cut: 5_000))
        let empty = ByteBuffer(capacity: 1)
        let count = room.withUnsafeMutableBytes { room in
          isFirst
            ? session.decrypt(piece.readable, into: room)
            : session.decrypt(empty.readable, into: room)
        }
        received += room.prefix(count)
        if count == 0 && !isFirst { break }
        isFirst = false
      }
    }
  }

  private func size(atMost most: Int, usually usual: Int, cut: Int) -> Int {
    guard var random else { return usual }
    defer { self.random = random }
    return Int.random(in: 1...min(most, cut), using: &random)
  }

  func send(_ bytes: [UInt8], from session: TLSSession) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      var piece = ByteBuffer(capacity: 1)
      piece.append(Array(rest.prefix(TLSSession.mostPlaintext)))
      guard session.encrypt(piece.readable) else { return false }
      rest = rest.dropFirst(TLSSession.mostPlaintext)
    }
    return true
  }
}

/// Certificates for all tests here: making them takes a process each.
struct Certificates {
  let authority: TestAuthority
  let first, other, wild, rsa: TestAuthority.Issued

  static let all = Result {
    let authority = try TestAuthority()
    return Certificates(
      authority: authority,
      first: try authority.issue(["first.test", "www.first.test"], as: "first"),
      other: try authority.issue(["other.test"], as: "other"),
      wild: try authority.issue(["*.wild.test"], as: "wild"),
      rsa: try authority.issue(["first.test", "www.first.test"], .rsa, as: "rsa"))
  }

  static func server(
    _ issued: [TestAuthority.Issued], from oldest: TLSVersion = .tls12,
    protocols: [String] = ["http/1.1"], tickets: TicketKeys = TicketKeys(now: 0)
  ) throws -> ServerCertificates {
    try ServerCertificates(
      issued.map { CertificateFiles(certificate: $0.certificate, key: $0.key) }, from: oldest,
      protocols: protocols, tickets: tickets, at: 0)
  }

  func trust(atMost newest: Int32? = nil, signatures: String? = nil) throws -> TLSTrust {
    let trust = try TLSTrust(authorities: authority.file)
    if let newest {
      SSL_CTX_ctrl(trust.context.pointer, SSL_CTRL_SET_MAX_PROTO_VERSION, Int(newest), nil)
    }
    if let signatures {
      signatures.withCString {
        _ = SSL_CTX_ctrl(
          trust.context.pointer, SSL_CTRL_SET_SIGALGS_LIST, 0, UnsafeMutableRawPointer(mutating: $0)
        )
      }
    }
    return trust
  }

  func peer(
    _ name: String, atMost newest: Int32? = nil, signatures: String? = nil,
    protocols: [String] = ["http/1.1"]
  ) throws -> TLSPeer {
    TLSPeer(
      name, isAddress: false, trust: try trust(atMost: newest, signatures: signatures),
      protocols: protocols)
  }
}

/// A certificate's file as OpenSSL gives a peer's: DER.
func der(_ issued: TestAuthority.Issued) throws -> [UInt8] {
  let outcome = try Outcome.of(
    "openssl", ["x509", "-in", issued.certificate, "-outform", "DER"])
  return outcome.output
}
