import Base
import COpenSSL

/// A public key as libp2p writes it: protobuf of a type and the key's bytes (libp2p/specs, peer-ids).
struct LibP2PKey {
  static let ed25519: UInt64 = 1

  let type: UInt64
  let bytes: [UInt8]

  init(_ message: RawSpan) throws(DAGError) {
    var type: UInt64?
    var bytes: [UInt8]?
    var reader = try ProtobufReader(message, in: ByteRange(start: 0, count: message.byteCount))
    while let (field, value) = try reader.next(message) {
      switch (field, value) {
      case (1, .varint(let number)): type = number
      case (2, .bytes(let range)): bytes = message.bytes(range).array
      default: throw .malformed
      }
    }
    guard let type, let bytes else { throw .malformed }
    self.type = type
    self.bytes = bytes
  }
}

enum Ed25519 {
  static let keyBytes = 32

  /// Whether a signature of a message is a key's (RFC 8032); false also where OpenSSL fails.
  static func verify(_ message: [UInt8], signature: [UInt8], key: [UInt8]) -> Bool {
    guard key.count == keyBytes else { return false }
    return unsafe key.withUnsafeBufferPointer { key in
      guard
        let publicKey = unsafe EVP_PKEY_new_raw_public_key(
          EVP_PKEY_ED25519, nil, key.baseAddress, key.count)
      else { return false }
      defer { unsafe EVP_PKEY_free(publicKey) }
      guard let context = unsafe EVP_MD_CTX_new() else { return false }
      defer { unsafe EVP_MD_CTX_free(context) }
      guard unsafe EVP_DigestVerifyInit(context, nil, nil, nil, publicKey) == 1 else {
        return false
      }
      return unsafe signature.withUnsafeBufferPointer { signature in
        unsafe message.withUnsafeBufferPointer { message in
          unsafe EVP_DigestVerify(
            context, signature.baseAddress, signature.count, message.baseAddress, message.count)
            == 1
        }
      }
    }
  }
}
