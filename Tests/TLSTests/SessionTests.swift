import Base
import COpenSSL
import System
import TestKit
import Testing

@testable import TLS

@Suite struct TLSSessions {
  let all: Certificates

  init() throws { all = try Certificates.all.get() }

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func bytesGoBothWays(version: Int32) throws {
    let pair = try Pair(
      try Certificates.server([all.first]), try all.peer("first.test", atMost: version))
    pair.settle()
    #expect(pair.server.isEstablished && pair.client.isEstablished)
    #expect(pair.server.version == (version == TLS1_2_VERSION ? "TLSv1.2" : "TLSv1.3"))
    #expect(!pair.server.isResumed)
    let question = noise(3_000, seed: 1)
    let answer = noise(700_000, seed: 2)
    #expect(pair.send(question, from: pair.client) && pair.send(answer, from: pair.server))
    pair.settle()
    #expect(pair.atServer == question)
    #expect(pair.atClient == answer)
  }

  /// However the network cuts ciphertext, and however small the rooms are.
  @Test(arguments: 0..<12)
  func splitsChangeNothing(seed: UInt64) throws {
    let pair = try Pair(
      try Certificates.server([all.first]),
      try all.peer("first.test", atMost: seed % 2 == 0 ? TLS1_2_VERSION : nil))
    pair.random = SeededRandom(seed: seed)
    pair.settle()
    let question = noise(40_000, seed: seed)
    let answer = noise(100_000, seed: seed + 100)
    #expect(pair.send(question, from: pair.client) && pair.send(answer, from: pair.server))
    pair.settle()
    #expect(pair.atServer == question && pair.atClient == answer)
  }

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func closingIsTold(version: Int32) throws {
    let pair = try Pair(
      try Certificates.server([all.first]), try all.peer("first.test", atMost: version))
    pair.settle()
    #expect(pair.send([1, 2, 3], from: pair.server))
    pair.server.close()
    pair.settle()
    #expect(pair.atClient == [1, 2, 3])
    #expect(pair.client.state == .peerClosed && pair.server.state == .open)
    // The other way stays open.
    #expect(pair.send([4], from: pair.client))
    pair.settle()
    #expect(pair.atServer == [4])
    #expect(!pair.send([5], from: pair.server))
  }

  @Test func oldVersionsAreRefused() throws {
    let pair = try Pair(
      try Certificates.server([all.first], from: .tls13),
      try all.peer("first.test", atMost: TLS1_2_VERSION))
    pair.settle()
    #expect(pair.server.state == .failed && pair.client.state == .failed)
    #expect(pair.server.failure == "unsupported protocol")
  }

  @Test func protocolsAreAgreedOn() throws {
    func agreed(_ ours: [String], _ theirs: [String]) throws -> (String?, TLSSession.State) {
      let pair = try Pair(
        try Certificates.server([all.first], protocols: ours),
        try all.peer("first.test", protocols: theirs))
      pair.settle()
      #expect(pair.server.isHTTP2 == (pair.server.applicationProtocol == "h2"))
      return (pair.server.applicationProtocol, pair.server.state)
    }
    #expect(try agreed(["h2", "http/1.1"], ["http/1.1", "h2"]) == ("h2", .open))
    #expect(try agreed(["http/1.1"], ["h2", "http/1.1"]) == ("http/1.1", .open))
    #expect(try agreed(["http/1.1"], []) == (nil, .open))
    #expect(try agreed(["http/1.1"], ["spdy/1"]) == (nil, .failed))
  }

  // MARK: Certificates

  @Test func certificatesAreChosenByName() throws {
    let certificates = try Certificates.server([all.first, all.other, all.wild])
    func given(to name: String) throws -> [UInt8] {
      let peer = try all.peer(name)
      SSL_CTX_set_verify(peer.trust.context.pointer, SSL_VERIFY_NONE, nil)
      let pair = try Pair(certificates, peer)
      pair.settle()
      return pair.client.peerCertificate
    }
    #expect(try given(to: "first.test") == der(all.first))
    #expect(try given(to: "OTHER.test") == der(all.other))
    #expect(try given(to: "any.wild.test") == der(all.wild))
    #expect(try given(to: "two.labels.wild.test") == der(all.first))
    #expect(try given(to: "unknown.test") == der(all.first))
  }

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func theKindOfKeyFollowsTheClient(version: Int32) throws {
    let certificates = try Certificates.server([all.other, all.first, all.rsa])
    for (signatures, issued) in [("ECDSA+SHA256", all.first), ("RSA-PSS+SHA256", all.rsa)] {
      let pair = try Pair(
        certificates, try all.peer("www.first.test", atMost: version, signatures: signatures))
      pair.settle()
      #expect(pair.client.isEstablished, "\(signatures): \(pair.client.failure ?? "")")
      #expect(try pair.client.peerCertificate == der(issued))
    }
  }

  @Test func clientsVerifyNameAndAuthority() throws {
    let certificates = try Certificates.server([all.first])
    let wrongName = try Pair(certificates, try all.peer("other.test"))
    wrongName.settle()
    #expect(wrongName.client.state == .failed)
    #expect(wrongName.client.failure == "hostname mismatch")
    let system = try TLSTrust(authorities: nil)
    let stranger = try Pair(
      certificates, TLSPeer("first.test", isAddress: false, trust: system, protocols: []))
    stranger.settle()
    #expect(stranger.client.state == .failed)
    #expect(stranger.client.failure == "unable to get local issuer certificate")
    #expect(stranger.server.state == .failed)
    let address = try Pair(
      certificates, TLSPeer("127.0.0.1", isAddress: true, trust: try all.trust(), protocols: []))
    address.settle()
    #expect(address.client.failure == "IP address mismatch")
  }

  /// A connection whose client asks for a staple.
  private func stapled(_ certificates: ServerCertificates) throws -> [UInt8] {
    let peer = try all.peer("first.test")
    // Asked for before the first flight, which `Pair` makes.
    let context = peer.trust.context.pointer
    SSL_CTX_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, Int(TLSEXT_STATUSTYPE_ocsp), nil)
    let pair = try Pair(certificates, peer)
    pair.settle()
    #expect(pair.client.isEstablished && pair.client.state == .open)
    return pair.client.staple
  }

  /// They are good for seven days.
  @Test func staplesAreGivenUntilTheyEnd() throws {
    let staple = try all.authority.staple(for: all.first)
    let files = CertificateFiles(
      certificate: all.first.certificate, key: all.first.key, staple: staple)
    let now = Clock.wallSeconds
    let store = try CertificateStore(.init(certificates: [files]), now: 0, wall: now)
    let bytes = try Outcome.of("cat", [staple]).output
    #expect(try stapled(store.current) == bytes && !bytes.isEmpty)
    let week: Int64 = 7 * 86_400
    #expect(store.lookAtStaples(at: now + week - 100).isEmpty && store.endedStaples == 0)
    #expect(try stapled(store.current) == bytes)
    #expect(store.lookAtStaples(at: now + week) == [staple] && store.endedStaples == 1)
    #expect(try stapled(store.current).isEmpty)
    // Told once; and a clock that was wrong may be set right.
    #expect(store.lookAtStaples(at: now + week + 1).isEmpty && store.endedStaples == 1)
    #expect(store.lookAtStaples(at: now).isEmpty && store.endedStaples == 0)
    #expect(try stapled(store.current) == bytes)
    // One that has ended before the start is never given.
    let late = try CertificateStore(.init(certificates: [files]), now: 0, wall: now + week)
    #expect(try stapled(late.current).isEmpty)
    #expect(late.lookAtStaples(at: now + week) == [staple])
  }

  @Test func whatCannotBeUsedIsNamed() throws {
    func complaint(_ files: CertificateFiles) throws -> String {
      do throws(TLSError) {
        _ = try ServerCertificates(
          [files], from: .tls12, protocols: [], tickets: TicketKeys(now: 0), at: 0)
        return ""
      } catch {
        return error.sentence
      }
    }
    let folder = try TemporaryFolder()
    try folder.write("no certificate\n", to: "text")
    let good = all.first
    #expect(
      try complaint(CertificateFiles(certificate: folder.file("text"), key: good.key))
        .hasPrefix("\(folder.file("text")): it holds no certificate"))
    #expect(
      try complaint(CertificateFiles(certificate: folder.file("none"), key: good.key))
        == "\(folder.file("none")): no such file or directory")
    #expect(
      try complaint(CertificateFiles(certificate: good.certificate, key: all.other.key))
        .hasPrefix("\(all.other.key): it is not the key of \(good.certificate)"))
    #expect(
      try complaint(CertificateFiles(certificate: good.certificate, key: good.certificate))
        .contains("it holds no private key"))
    #expect(
      try complaint(
        CertificateFiles(
          certificate: good.certificate, key: good.key, staple: folder.file("text"))
      ).contains("no successful OCSP answer"))
    // A key behind a password is refused, and nobody is asked for one.
    let locked = folder.file("locked")
    _ = try Outcome.of(
      "openssl", ["pkey", "-in", good.key, "-aes256", "-passout", "pass:x", "-out", locked])
    #expect(
      try complaint(CertificateFiles(certificate: good.certificate, key: locked))
        .contains("without a password"))
  }

  // MARK: Resumption

  @Test(arguments: [TLS1_2_VERSION, TLS1_3_VERSION])
  func sessionsAreResumedAcrossCertificatesAndKeys(version: Int32) throws {
    let tickets = TicketKeys(now: 0)
    let peer = try all.peer("other.test", atMost: version)
    func connect(_ certificates: ServerCertificates) throws -> Bool {
      let pair = try Pair(certificates, peer)
      pair.settle()
      // Tickets of 1.3 come behind the handshake.
      #expect(pair.send([1], from: pair.server))
      pair.settle()
      #expect(pair.client.isEstablished && pair.atClient == [1])
      #expect(pair.client.isResumed == pair.server.isResumed)
      return pair.server.isResumed
    }
    // Each worker, and each change of certificates, has contexts of its own.
    let one = try Certificates.server([all.first, all.other], tickets: tickets)
    let two = try Certificates.server([all.first, all.other], tickets: tickets)
    #expect(try !connect(one))
    #expect(try connect(two))
    #expect(tickets.rotate(at: TicketKeys.term))
    #expect(try connect(one))
    // The last connection gave a ticket of the new key; four terms later it counts no more.
    for term in 2...5 { #expect(tickets.rotate(at: Int64(term) * TicketKeys.term)) }
    #expect(try connect(two))
    for term in 6...11 { #expect(tickets.rotate(at: Int64(term) * TicketKeys.term)) }
    #expect(try !connect(one))
    let others = try Certificates.server([all.other], tickets: TicketKeys(now: 0))
    #expect(try !connect(others))
  }

  // MARK: What is no TLS

  @Test(arguments: 0..<60)
  func garbageEndsTheSession(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pair = try Pair(try Certificates.server([all.first]), try all.peer("first.test"))
    var flight = pair.take(pair.clientBuffers)
    switch seed % 3 {
    case 0: flight = noise(Int.random(in: 6...2_000, using: &random), seed: seed)
    case 1: flight = Array("GET / HTTP/1.1\r\nHost: first.test\r\n\r\n".utf8)
    default:
      for _ in 0..<3 {
        flight[Int.random(in: 0..<flight.count, using: &random)] ^= UInt8.random(
          in: 1...255, using: &random)
      }
    }
    pair.give(flight, to: pair.server, &pair.atServer)
    #expect(pair.atServer.isEmpty && !pair.server.isEstablished)
    if seed % 3 == 1 { #expect(pair.server.failure == "http request") }
    if pair.server.state == .failed { #expect(!pair.send([1], from: pair.server)) }
  }

  @Test(arguments: 0..<40)
  func changedRecordsAreNeverPlaintext(seed: UInt64) throws {
    var random = SeededRandom(seed: seed)
    let pair = try Pair(try Certificates.server([all.first]), try all.peer("first.test"))
    pair.settle()
    let text = noise(50_000, seed: seed)
    #expect(pair.send(text, from: pair.client))
    var ciphertext = pair.take(pair.clientBuffers)
    let place = Int.random(in: 0..<ciphertext.count, using: &random)
    ciphertext[place] ^= UInt8.random(in: 1...255, using: &random)
    pair.give(ciphertext, to: pair.server, &pair.atServer)
    #expect(text.starts(with: pair.atServer) && pair.atServer.count < text.count)
  }

  /// An end without `close_notify` is not an orderly one.
  @Test func truncationIsNoEnd() throws {
    let pair = try Pair(try Certificates.server([all.first]), try all.peer("first.test"))
    pair.settle()
    #expect(pair.send(noise(1_000, seed: 9), from: pair.server))
    let ciphertext = pair.take(pair.serverBuffers)
    pair.give(Array(ciphertext.dropLast(5)), to: pair.client, &pair.atClient)
    #expect(pair.atClient.isEmpty && pair.client.state == .open)
  }
}
