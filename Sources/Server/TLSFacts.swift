internal import TLS

/// What a connection's TLS handshake came to, for logs; one for all its requests.
public final class TLSFacts: Sendable {
  /// As OpenSSL names it, `TLSv1.3`.
  public let version: [UInt8]
  /// The cipher suite, `TLS_AES_256_GCM_SHA384`.
  public let cipher: [UInt8]

  init(_ session: TLSSession) {
    version = Array(session.version.utf8)
    cipher = Array(session.cipher.utf8)
  }
}
