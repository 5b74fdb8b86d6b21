internal import COpenSSL
internal import Synchronization

/// What a server speaks TLS with, whole and unchanging: a change makes another one, and sessions that
/// have begun go on with theirs.
public final class ServerCertificates: Sendable {
  /// For each set of certificates a context; the first is for who asks for no name that is known.
  let contexts: [TLSContext]
  let names: CertificateNames
  let tickets: TicketKeys
  /// ALPN's list as it is sent: each name behind its length (RFC 7301, section 3.1).
  let protocols: [UInt8]
  /// For each context the OCSP answers of its certificates, with their keys' kinds.
  let staples: [[(kind: Int32, staple: Staple)]]
  /// Seconds since 1970, as whoever looks at the files has last told: what has ended by then is not given.
  private let wall: Atomic<Int64>
  /// How many certificates there are.
  public let count: Int

  var first: TLSContext { contexts[0] }

  /// Reads all files anew, or throws with what is wrong with one of them.
  ///
  /// - Parameters:
  ///   - protocols: What may be agreed on (ALPN), the best first: `h2`, `http/1.1`.
  ///   - wall: Seconds since 1970.
  public init(
    _ files: [CertificateFiles], from oldest: TLSVersion, protocols: [String],
    tickets: TicketKeys, at wall: Int64
  ) throws(TLSError) {
    var loaded: [LoadedCertificate] = []
    for entry in files { loaded.append(try LoadedCertificate(entry)) }
    guard !loaded.isEmpty else { throw TLSError("there is no certificate") }
    names = CertificateNames(loaded.map { ($0.names, $0.keyKind) })
    count = loaded.count
    self.tickets = tickets
    self.wall = Atomic(wall)
    self.protocols = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
    var contexts: [TLSContext] = []
    for set in names.sets {
      contexts.append(try Self.context(set.map { loaded[$0] }, files, oldest))
    }
    self.contexts = contexts
    staples = names.sets.map { set in
      set.compactMap { index in loaded[index].staple.map { (loaded[index].keyKind, $0) } }
    }
    for context in contexts { ServerCallbacks.set(on: context, for: self) }
  }

  /// The OCSP answer for a context's certificate with this kind of key, as long as it counts.
  func staple(context: Int, kind: Int32) -> Staple? {
    guard let found = staples[context].first(where: { $0.kind == kind })?.staple,
      !found.hasEnded(at: wall.load(ordering: .relaxed))
    else { return nil }
    return found
  }

  /// Takes note of the time; the files of the OCSP answers that have ended by it, each once.
  func note(_ wall: Int64) -> [String] {
    self.wall.store(wall, ordering: .relaxed)
    var ended: [String] = []
    for (_, staple) in staples.joined() where staple.hasEnded(at: wall) {
      if !ended.contains(staple.path) { ended.append(staple.path) }
    }
    return ended
  }

  private static func context(
    _ certificates: [LoadedCertificate], _ files: [CertificateFiles], _ oldest: TLSVersion
  ) throws(TLSError) -> TLSContext {
    let context = try TLSContext(isServer: true, from: oldest)
    ERR_clear_error()
    for certificate in certificates {
      var isUsed =
        unsafe SSL_CTX_use_certificate(context.pointer, certificate.leaf.pointer) == 1
        && SSL_CTX_use_PrivateKey(context.pointer, certificate.key) == 1
      for link in certificate.chain {
        isUsed = unsafe openssl_add_chain(context.pointer, link.pointer) == 1 && isUsed
      }
      guard isUsed else {
        let name = certificate.names.first.map { String(decoding: $0, as: UTF8.self) } ?? "unnamed"
        throw .latest("the certificate of \(name) cannot be used")
      }
    }
    unsafe openssl_set_dh_auto(context.pointer)
    // Sessions live in tickets alone: a cache would be one lock for all workers.
    unsafe openssl_set_cache_mode(context.pointer, Int(SSL_SESS_CACHE_OFF))
    unsafe SSL_CTX_set_timeout(context.pointer, Int(TicketKeys.ticketLife))
    return context
  }
}
