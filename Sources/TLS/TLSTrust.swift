internal import COpenSSL
internal import Synchronization

/// Whom a client believes: the authorities of the system's store, or those of a file.
public final class TLSTrust: Sendable {
  let context: TLSContext

  /// - Parameter authorities: A PEM file; nil for the system's store.
  ///
  /// Throws where the file cannot be used.
  public init(authorities: String?) throws(TLSError) {
    context = try TLSContext(isServer: false, from: .tls12)
    ERR_clear_error()
    if let authorities {
      guard unsafe SSL_CTX_load_verify_file(context.pointer, authorities) == 1 else {
        throw .latest("\(authorities): it holds no certificates that can be read")
      }
    } else {
      guard unsafe SSL_CTX_set_default_verify_paths(context.pointer) == 1 else {
        throw .latest("the system's store of authorities cannot be used")
      }
    }
    unsafe SSL_CTX_set_verify(context.pointer, SSL_VERIFY_PEER, nil)
    // Each peer keeps its own. OpenSSL's cache would mark a session as used up, and its successors with it.
    unsafe openssl_set_cache_mode(context.pointer, Int(SSL_SESS_CACHE_OFF))
  }
}

/// A server that a client speaks to: its name, and the last session with it.
///
/// Shared by all connections to the server, from any thread.
public final class TLSPeer: Sendable {
  let trust: TLSTrust
  /// What its certificate must be for: a DNS name, or an address.
  public let name: String
  private let isAddress: Bool
  private let protocols: [UInt8]

  /// OpenSSL's `SSL_SESSION`, owned.
  @safe
  private struct Kept: @unchecked Sendable {
    var session: OpaquePointer?
  }
  private let kept = Mutex(unsafe Kept(session: nil))

  /// - Parameters:
  ///   - name: without a port; an IPv6 address without brackets.
  ///   - protocols: what is offered (ALPN), the best first.
  public init(_ name: String, isAddress: Bool, trust: TLSTrust, protocols: [String]) {
    self.name = name
    self.isAddress = isAddress
    self.trust = trust
    self.protocols = protocols.flatMap { [UInt8(clamping: $0.utf8.count)] + Array($0.utf8) }
  }

  deinit { kept.withLock { unsafe SSL_SESSION_free($0.session) } }

  /// Sets a session up to speak to this server and no other.
  func prepare(_ ssl: OpaquePointer) throws(TLSError) {
    var isSet =
      isAddress
      ? unsafe X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1
      : unsafe SSL_set1_host(ssl, name) == 1 && openssl_set_host_name(ssl, name) == 1
    // A wildcard stands for a whole label (RFC 6125, section 6.4.3).
    unsafe SSL_set_hostflags(ssl, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
    if !protocols.isEmpty {
      // This one gives 0 where it went well.
      isSet =
        unsafe SSL_set_alpn_protos(ssl, protocols, UInt32(clamping: protocols.count)) == 0 && isSet
    }
    guard isSet else { throw .latest("no session with \(name) can be made") }
    kept.withLock { kept in
      if let session = unsafe kept.session { _ = unsafe SSL_set_session(ssl, session) }
    }
  }

  /// Keeps what a connection that stands has agreed on, for the next one.
  func keepSession(of ssl: OpaquePointer) {
    guard let session = unsafe SSL_get1_session(ssl) else { return }
    guard unsafe SSL_SESSION_is_resumable(session) == 1 else {
      unsafe SSL_SESSION_free(session)
      return
    }
    let taken = unsafe Kept(session: session)
    kept.withLock { kept in
      unsafe SSL_SESSION_free(kept.session)
      kept = taken
    }
  }
}
