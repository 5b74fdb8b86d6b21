public import Base
import COpenSSL

/// A hash function: a code of the multihash table.
public struct HashFunction: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let identity = HashFunction(rawValue: 0x00)
  public static let sha1 = HashFunction(rawValue: 0x11)
  public static let sha2_256 = HashFunction(rawValue: 0x12)
  public static let sha2_512 = HashFunction(rawValue: 0x13)
  public static let sha3_512 = HashFunction(rawValue: 0x14)
  public static let sha3_384 = HashFunction(rawValue: 0x15)
  public static let sha3_256 = HashFunction(rawValue: 0x16)
  public static let sha3_224 = HashFunction(rawValue: 0x17)
  public static let shake128 = HashFunction(rawValue: 0x18)
  public static let shake256 = HashFunction(rawValue: 0x19)
  public static let blake3 = HashFunction(rawValue: 0x1e)
  public static let sha2_384 = HashFunction(rawValue: 0x20)
  public static let doubleSHA2_256 = HashFunction(rawValue: 0x56)
  /// BLAKE2 puts the output's length into the hash: the shorter ones are other functions.
  public static let blake2b_512 = HashFunction(rawValue: 0xb240)
  public static let blake2s_256 = HashFunction(rawValue: 0xb260)

  /// OpenSSL's implementation; nil where it has none.
  fileprivate var implementation: OpaquePointer? {
    switch self {
    case .sha1: unsafe EVP_sha1()
    case .sha2_256, .doubleSHA2_256: unsafe EVP_sha256()
    case .sha2_384: unsafe EVP_sha384()
    case .sha2_512: unsafe EVP_sha512()
    case .sha3_224: unsafe EVP_sha3_224()
    case .sha3_256: unsafe EVP_sha3_256()
    case .sha3_384: unsafe EVP_sha3_384()
    case .sha3_512: unsafe EVP_sha3_512()
    case .shake128: unsafe EVP_shake128()
    case .shake256: unsafe EVP_shake256()
    case .blake2b_512: unsafe EVP_blake2b512()
    case .blake2s_256: unsafe EVP_blake2s256()
    default: nil
    }
  }

  /// Whether the output is as long as one asks for.
  fileprivate var isExtendable: Bool { self == .shake128 || self == .shake256 }
}

extension HashFunction {
  /// Bytes of a whole digest; nil where the function has no length of its own, or cannot be computed here.
  public var digestBytes: Int? {
    if self == .blake3 { return BLAKE3.digestBytes }
    guard !isExtendable, self != .doubleSHA2_256, let implementation = unsafe implementation
    else { return nil }
    let count = unsafe EVP_MD_get_size(implementation)
    return count > 0 ? Int(count) : nil
  }

  /// Appends the multihash of some bytes at once: function, length and digest.
  ///
  /// - Returns: Whether it could be; if not, nothing is appended.
  public func appendMultihash(of bytes: RawSpan, to output: inout ByteBuffer) -> Bool {
    guard let count = digestBytes else { return false }
    let before = output.count
    output.append(varint: rawValue)
    output.append(varint: UInt64(count))
    if self == .blake3 {
      BLAKE3.append(of: bytes, to: &output)
      return true
    }
    guard let implementation = unsafe implementation else {
      output.dropLast(output.count - before)
      return false
    }
    // EVP_MAX_MD_SIZE is 64: no digest is longer.
    let produced = unsafe output.fill(atLeast: 64) { room in
      unsafe bytes.withUnsafeBytes { input in
        var produced: UInt32 = 0
        let start = unsafe room.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let done = unsafe EVP_Digest(
          input.baseAddress, input.count, start, &produced, implementation, nil)
        return done == 1 ? Int(produced) : 0
      }
    }
    if produced != count { output.dropLast(output.count - before) }
    return produced == count
  }
}

/// What checking bytes against a CID gave.
public enum Verdict: Sendable {
  case match, mismatch
  /// The hash function is not available here.
  case unsupported
}

/// Checks bytes against a CID as they arrive.
///
/// A digest shorter than its function's output is compared with the output's start, as the multihash
/// table allows; a longer one never matches.
@safe
public struct ContentHasher: ~Copyable {
  private let expected: CID
  /// OpenSSL's `EVP_MD_CTX`, owned; nil for identity.
  private let context: OpaquePointer?
  /// For identity: how many bytes agreed so far.
  private var agreed = 0
  private var failed = false
  private var answer: Bool?

  /// Begins a check; nil where the hash function of the CID is not available here.
  public init?(for cid: CID) {
    expected = cid
    if cid.hash == .identity {
      unsafe context = nil
      return
    }
    guard let implementation = unsafe cid.hash.implementation,
      let fresh = unsafe EVP_MD_CTX_new()
    else { return nil }
    guard unsafe EVP_DigestInit_ex(fresh, implementation, nil) == 1 else {
      unsafe EVP_MD_CTX_free(fresh)
      return nil
    }
    unsafe context = fresh
  }

  deinit {
    unsafe EVP_MD_CTX_free(context)
  }

  /// Adds the next bytes of the content; not after `matches`.
  public mutating func update(_ bytes: RawSpan) {
    precondition(answer == nil)
    if let context = unsafe context {
      let done = unsafe bytes.withUnsafeBytes {
        unsafe EVP_DigestUpdate(context, $0.baseAddress, $0.count)
      }
      if done != 1 { failed = true }
      return
    }
    guard !failed, expected.digest.byteCount - agreed >= bytes.byteCount else {
      failed = true
      return
    }
    let next = expected.digest.extracting(agreed..<agreed + bytes.byteCount)
    failed = !next.equals(bytes)
    agreed += bytes.byteCount
  }

  /// Whether all bytes together are what the CID names; ends the check.
  public mutating func matches() -> Bool {
    if let answer { return answer }
    let result = !failed && finish()
    answer = result
    return result
  }

  private mutating func finish() -> Bool {
    guard let context = unsafe context else { return agreed == expected.digest.byteCount }
    let count = expected.digest.byteCount
    // EVP_MAX_MD_SIZE is 64; extendable functions give what the digest has, at most 128.
    return unsafe withUnsafeTemporaryAllocation(byteCount: 128, alignment: 8) { output in
      guard
        let start = unsafe output.baseAddress?.bindMemory(to: UInt8.self, capacity: output.count)
      else { return false }
      var produced: UInt32 = 0
      if expected.hash.isExtendable {
        guard unsafe EVP_DigestFinalXOF(context, start, count) == 1 else { return false }
        produced = UInt32(count)
      } else {
        guard unsafe EVP_DigestFinal_ex(context, start, &produced) == 1 else { return false }
        if expected.hash == .doubleSHA2_256 {
          let first = unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: 32)
          guard let second = SHA256.digest(first) else { return false }
          return unsafe second.span.bytes.extracting(0..<min(count, 32)).equals(expected.digest)
        }
      }
      guard count <= Int(produced) else { return false }
      return unsafe RawSpan(_unsafeStart: UnsafeRawPointer(start), byteCount: count)
        .equals(expected.digest)
    }
  }
}

private enum SHA256 {
  /// The digest of some bytes at once; nil where OpenSSL fails.
  static func digest(_ bytes: RawSpan) -> InlineArray<32, UInt8>? {
    var digest = InlineArray<32, UInt8>(repeating: 0)
    var span = digest.mutableSpan
    let done = unsafe span.withUnsafeMutableBufferPointer { output in
      unsafe bytes.withUnsafeBytes { input in
        unsafe EVP_Digest(
          input.baseAddress, input.count, output.baseAddress, nil, EVP_sha256(), nil)
      }
    }
    return done == 1 ? digest : nil
  }
}

extension CID {
  /// Names content by its SHA-256, version 1; nil where OpenSSL fails.
  public init?(sha256Of content: RawSpan, codec: ContentCodec) {
    guard let digest = SHA256.digest(content) else { return nil }
    do {
      try unsafe self.init(codec: codec, hash: .sha2_256, digest: digest.span.bytes)
    } catch {
      return nil
    }
  }

  /// Checks a whole content at once.
  public func verify(_ content: RawSpan) -> Verdict {
    guard var hasher = ContentHasher(for: self) else { return .unsupported }
    hasher.update(content)
    return hasher.matches() ? .match : .mismatch
  }
}
