internal import COpenSSL

/// The oldest version that is spoken.
public enum TLSVersion: String, CaseIterable, Sendable {
  case tls12 = "1.2"
  case tls13 = "1.3"

  var number: Int32 { self == .tls12 ? TLS1_2_VERSION : TLS1_3_VERSION }
}

/// What sessions have in common: OpenSSL's `SSL_CTX`, owned.
///
/// Unchecked: OpenSSL's contexts may be shared by threads once they are set up, which is done before
/// anybody else sees this.
@safe
final class TLSContext: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Mozilla's "intermediate" suites of TLS 1.2 (Server Side TLS, version 5.7); those of 1.3 are OpenSSL's own.
  private static let ciphers = """
    ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:\
    ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
    DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305
    """

  init(isServer: Bool, from oldest: TLSVersion) throws(TLSError) {
    guard let context = unsafe SSL_CTX_new(isServer ? TLS_server_method() : TLS_client_method())
    else { throw .latest("no context can be made") }
    unsafe pointer = context
    let isSet =
      unsafe openssl_set_min_version(context, oldest.number) == 1
      && SSL_CTX_set_cipher_list(context, Self.ciphers) == 1
      && openssl_set_groups(context, "X25519:P-256:P-384") == 1
    guard isSet else { throw .latest("the ciphers are not available") }
    // Compression and renegotiation have been attacks for their own sake; early data can be replayed, and is
    // off unless somebody asks for it.
    unsafe openssl_forbid_old(context)
    // An idle connection would hold 34 KiB. `SSL_free_buffers` would do the same for many records at once, but until
    // OpenSSL 3.0.14 it freed a buffer that was in use where a record's head had come without its body (CVE-2024-4741).
    unsafe openssl_set_mode(context, Int(SSL_MODE_RELEASE_BUFFERS))
  }

  deinit { unsafe SSL_CTX_free(pointer) }
}
