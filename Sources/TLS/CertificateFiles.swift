internal import Base
internal import COpenSSL
internal import System

/// Where a certificate and what belongs to it lies.
public struct CertificateFiles: Hashable, Sendable {
  /// PEM: the certificate, and behind it those that lead to a root, in order (RFC 8446, section 4.4.2).
  public var certificate: String
  /// PEM: the private key, without a password.
  public var key: String
  /// DER: the answer of the authority's OCSP server (RFC 6960), to be stapled.
  public var staple: String?

  public init(certificate: String, key: String, staple: String? = nil) {
    self.certificate = certificate
    self.key = key
    self.staple = staple
  }

  var all: [String] { [certificate, key] + (staple.map { [$0] } ?? []) }
}

/// OpenSSL's `X509`, owned.
@safe
final class Certificate {
  let pointer: OpaquePointer

  init(owning pointer: OpaquePointer) { unsafe self.pointer = pointer }

  deinit { unsafe X509_free(pointer) }
}

/// A certificate with its chain and its key, as read from files.
///
/// Owns OpenSSL's objects; contexts hold references of their own.
@safe
final class LoadedCertificate {
  /// No chain, key or OCSP answer comes near it.
  static let mostBytes = 1 << 20
  /// Chains longer than that are refused by clients.
  static let longestChain = 10

  let leaf: Certificate
  let key: OpaquePointer
  /// What leads from the leaf to a root, less the root.
  let chain: [Certificate]
  /// Its DNS names in lower case, wildcards included.
  let names: [[UInt8]]
  /// `EVP_PKEY_RSA`, `EVP_PKEY_EC` or another: a context has one of each.
  let keyKind: Int32
  var staple: Staple?

  init(_ files: CertificateFiles) throws(TLSError) {
    let pem = try Self.contents(of: files.certificate)
    let secret = try Self.contents(of: files.key)
    let all = try Self.certificates(pem, files.certificate)
    guard let key = unsafe Self.privateKey(secret) else {
      throw .latest("\(files.key): it holds no private key that can be read without a password")
    }
    unsafe self.key = key
    leaf = all[0]
    chain = Array(all.dropFirst())
    names = unsafe Self.names(of: leaf.pointer)
    keyKind = unsafe EVP_PKEY_get_base_id(key)
    guard unsafe X509_check_private_key(leaf.pointer, key) == 1 else {
      throw .latest("\(files.key): it is not the key of \(files.certificate)")
    }
    if let path = files.staple { staple = try Staple(path: path) }
  }

  deinit { unsafe EVP_PKEY_free(key) }

  /// A whole file, which must not be large.
  static func contents(of path: String) throws(TLSError) -> ByteBuffer {
    do throws(Fault) {
      let file = try File(path: path, .read)
      let size = try file.size()
      guard size <= mostBytes else { throw Fault(.exhausted, .own) }
      var bytes = ByteBuffer(capacity: max(size, 1))
      _ = try unsafe bytes.fill(atLeast: max(size, 1)) { room throws(Fault) in
        try unsafe file.read(at: 0, into: .init(rebasing: room[..<size]))
      }
      return bytes
    } catch {
      throw TLSError(
        "\(path): " + (error.kind == .exhausted ? "it is too large" : SystemError.text(error.errno))
      )
    }
  }

  private static func memory(_ bytes: RawSpan) -> OpaquePointer? {
    unsafe bytes.withUnsafeBytes {
      unsafe BIO_new_mem_buf($0.baseAddress, Int32(clamping: $0.count))
    }
  }

  /// All certificates of a PEM file, at least one.
  private static func certificates(
    _ pem: borrowing ByteBuffer, _ path: String
  ) throws(TLSError) -> [Certificate] {
    ERR_clear_error()
    let bio = unsafe memory(pem.readable)
    defer { unsafe BIO_free(bio) }
    var found: [Certificate] = []
    while let next = unsafe PEM_read_bio_X509(bio, nil, nil, nil) {
      unsafe found.append(Certificate(owning: next))
    }
    // The end of the file is told as an error too: that there is no further beginning.
    let isEnd = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE
    guard isEnd, !found.isEmpty else {
      throw .latest("\(path): it holds no certificate that can be read")
    }
    ERR_clear_error()
    guard found.count <= longestChain else {
      throw TLSError("\(path): it holds more than \(longestChain) certificates")
    }
    return found
  }

  private static func privateKey(_ pem: borrowing ByteBuffer) -> OpaquePointer? {
    ERR_clear_error()
    let bio = unsafe memory(pem.readable)
    defer { unsafe BIO_free(bio) }
    // Without a callback OpenSSL would ask for a password on the terminal.
    return unsafe PEM_read_bio_PrivateKey(bio, nil, { _, _, _, _ in -1 }, nil)
  }

  /// The names that clients may ask for; the common name where the extension has none.
  private static func names(of certificate: OpaquePointer) -> [[UInt8]] {
    var names: [[UInt8]] = []
    if let list = unsafe openssl_names(certificate) {
      defer { unsafe openssl_free_names(list) }
      for index in 0..<(unsafe openssl_names_count(list)) {
        var count: Int32 = 0
        guard let text = unsafe openssl_dns_name(list, index, &count), count > 0 else { continue }
        let bytes = unsafe Array(UnsafeBufferPointer(start: text, count: Int(count)))
        names.append(CertificateNames.lowercased(bytes))
      }
    }
    if names.isEmpty, let subject = unsafe X509_get_subject_name(certificate) {
      let place = unsafe X509_NAME_get_index_by_NID(subject, NID_commonName, -1)
      if place >= 0,
        let text = unsafe X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)),
        let start = unsafe ASN1_STRING_get0_data(text)
      {
        let bytes = unsafe Array(
          UnsafeBufferPointer(start: start, count: Int(ASN1_STRING_length(text))))
        names.append(CertificateNames.lowercased(bytes))
      }
    }
    return names
  }
}
