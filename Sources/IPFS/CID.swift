public import Base

/// What a CID's bytes are to be read as: a code of the multicodec table.
public struct ContentCodec: RawRepresentable, Hashable, Sendable {
  public var rawValue: UInt64

  public init(rawValue: UInt64) {
    self.rawValue = rawValue
  }

  public static let cbor = ContentCodec(rawValue: 0x51)
  public static let raw = ContentCodec(rawValue: 0x55)
  public static let dagPB = ContentCodec(rawValue: 0x70)
  public static let dagCBOR = ContentCodec(rawValue: 0x71)
  public static let libp2pKey = ContentCodec(rawValue: 0x72)
  public static let dagJSON = ContentCodec(rawValue: 0x0129)
  public static let json = ContentCodec(rawValue: 0x0200)

  /// The multicodec table's name; nil for codes that a gateway has no rule for.
  public var name: StaticString? {
    switch self {
    case .cbor: "cbor"
    case .raw: "raw"
    case .dagPB: "dag-pb"
    case .dagCBOR: "dag-cbor"
    case .libp2pKey: "libp2p-key"
    case .dagJSON: "dag-json"
    case .json: "json"
    default: nil
    }
  }
}

/// A content identifier: what to read the bytes as, and the hash that they must have.
///
/// Version 0 is a bare SHA-256 multihash of a dag-pb node and written `Qm…`; version 1 names its codec
/// (multiformats/cid). Everything lies in place: a CID is copied, stored and compared without heap.
/// Two CIDs are equal only if their versions are; what they share is the key (`appendKey`).
public struct CID: Sendable {
  /// Boxo's bounds for digests (verifcid); identity digests may be shorter.
  public static let digestBytes = 20...128
  /// The longest binary form: version, two 9-byte varints, a 2-byte length and the digest.
  public static let maximumBinary = 1 + 9 + 9 + 2 + 128

  public let version: UInt8
  public let codec: ContentCodec
  public let hash: HashFunction
  private var digestStorage: InlineArray<128, UInt8>
  private let digestCount: UInt8

  /// Makes a version 1 CID.
  public init(codec: ContentCodec, hash: HashFunction, digest: RawSpan) throws(CIDError) {
    try self.init(version: 1, codec: codec, hash: hash, digest: digest)
  }

  private init(
    version: UInt8, codec: ContentCodec, hash: HashFunction, digest: RawSpan
  ) throws(CIDError) {
    let count = digest.byteCount
    guard count <= Self.digestBytes.upperBound else { throw .digestTooLong(count) }
    guard count >= Self.digestBytes.lowerBound || hash == .identity else {
      throw .digestTooShort(count)
    }
    guard codec.rawValue < 1 << 63, hash.rawValue < 1 << 63 else { throw .malformedVarint }
    self.version = version
    self.codec = codec
    self.hash = hash
    digestCount = UInt8(count)
    digestStorage = InlineArray(repeating: 0)
    var span = digestStorage.mutableSpan
    unsafe span.withUnsafeMutableBytes { storage in
      unsafe digest.withUnsafeBytes { unsafe storage.copyMemory(from: $0) }
    }
  }

  /// The hash itself, without its code and length; for an identity CID the content.
  public var digest: RawSpan {
    @_lifetime(borrow self)
    get { unsafe digestStorage.span.bytes.extracting(0..<Int(digestCount)) }
  }

  /// Reads a CID from its text: `Qm…` or version 1 in any base of `Multibase`.
  public static func parse(_ text: RawSpan) throws(CIDError) -> CID {
    guard text.byteCount > 1 else { throw .truncated }
    let decoded: ShortBytes
    let isVersion0 = text.byteCount == 46 && text.byte(0) == 0x51 && text.byte(1) == 0x6d
    do throws(MultibaseError) {
      decoded =
        try isVersion0 ? Multibase.base58.decode(digits: text, from: 0) : Multibase.decode(text)
    } catch {
      throw .multibase(error)
    }
    let parsed = try parse(binary: decoded.bytes)
    guard parsed.count == decoded.count else { throw .trailingBytes }
    guard (parsed.cid.version == 0) == isVersion0 else { throw .version0InMultibase }
    return parsed.cid
  }

  /// Reads the CID that some bytes begin with, and how many of them it takes.
  public static func parse(binary bytes: RawSpan) throws(CIDError) -> (cid: CID, count: Int) {
    if bytes.byteCount >= 2, bytes.byte(0) == 0x12, bytes.byte(1) == 0x20 {
      guard bytes.byteCount >= 34 else { throw .truncated }
      let digest = bytes.extracting(2..<34)
      return (try CID(version: 0, codec: .dagPB, hash: .sha2_256, digest: digest), 34)
    }
    var offset = 0
    let version = try varint(bytes, at: &offset)
    guard version == 1 else { throw .unknownVersion(version) }
    let codec = ContentCodec(rawValue: try varint(bytes, at: &offset))
    let hash = HashFunction(rawValue: try varint(bytes, at: &offset))
    let claimed = try varint(bytes, at: &offset)
    guard let count = Int(exactly: claimed), count <= digestBytes.upperBound else {
      throw .digestTooLong(Int(clamping: claimed))
    }
    guard bytes.byteCount - offset >= count else { throw .truncated }
    let digest = bytes.extracting(offset..<offset + count)
    return (try CID(version: 1, codec: codec, hash: hash, digest: digest), offset + count)
  }

  private static func varint(_ bytes: RawSpan, at offset: inout Int) throws(CIDError) -> UInt64 {
    switch bytes.varint(at: offset) {
    case .value(let value, let next):
      offset = next
      return value
    case .incomplete: throw .truncated
    case .malformed: throw .malformedVarint
    }
  }
}

extension CID: Hashable {
  public static func == (one: CID, other: CID) -> Bool {
    one.version == other.version && one.codec == other.codec && one.hash == other.hash
      && one.digest.equals(other.digest)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(version)
    hasher.combine(codec)
    hasher.combine(hash)
    unsafe digest.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  }
}

extension CID: CustomStringConvertible {
  public var description: String {
    var text = ByteBuffer(capacity: 128)
    appendText(to: &text)
    return text.readable.text
  }

  /// Appends the canonical text, as Etags have it: version 0 as `Qm…`, version 1 in base32.
  public func appendText(to output: inout ByteBuffer) {
    if version == 1 {
      appendText(in: .base32, to: &output)
    } else {
      Multibase.base58.encodeDigits(binary(version: 0).bytes, to: &output)
    }
  }

  /// Appends the text of this content as a version 1 CID in a base, as host names need it.
  public func appendText(in base: Multibase, to output: inout ByteBuffer) {
    base.encode(binary(version: 1).bytes, to: &output)
  }

  /// The same content named by version 1.
  public var version1: CID {
    version == 1 ? self : (try? CID(codec: codec, hash: hash, digest: digest)) ?? self
  }

  /// Appends the binary form, as CAR files and dag-pb links have it.
  public func appendBinary(to output: inout ByteBuffer) {
    output.reserve(Self.maximumBinary)
    if version == 1 {
      output.append(1)
      output.append(varint: codec.rawValue)
    }
    appendMultihash(to: &output)
  }

  /// How many bytes `appendBinary` appends.
  public var binaryCount: Int {
    let multihash =
      hash.rawValue.varintCount + UInt64(digestCount).varintCount + Int(digestCount)
    return version == 1 ? 1 + codec.rawValue.varintCount + multihash : multihash
  }

  /// Appends what names the content whatever its spelling: codec and multihash.
  ///
  /// `Qm…` and its version 1 twin give the same bytes; raw and dag-pb of one hash do not. The bytes
  /// say where they end, so that more may follow.
  public func appendKey(to output: inout ByteBuffer) {
    output.reserve(Self.maximumBinary)
    output.append(varint: codec.rawValue)
    appendMultihash(to: &output)
  }

  /// Appends the multihash alone: function, length and digest.
  public func appendMultihash(to output: inout ByteBuffer) {
    output.append(varint: hash.rawValue)
    output.append(varint: UInt64(digestCount))
    output.append(digest)
  }

  /// The binary form of a version; inside the capacity, since `maximumBinary` is below it.
  private func binary(version: UInt8) -> ShortBytes {
    var form = ShortBytes()
    unsafe form.fill { output in
      var count = 0
      func append(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
          unsafe output[count] = UInt8(truncatingIfNeeded: rest) | 0x80
          count += 1
          rest >>= 7
        }
        unsafe output[count] = UInt8(truncatingIfNeeded: rest)
        count += 1
      }
      if version == 1 {
        append(1)
        append(codec.rawValue)
      }
      append(hash.rawValue)
      append(UInt64(digestCount))
      unsafe digest.withUnsafeBytes {
        unsafe UnsafeMutableRawBufferPointer(rebasing: output[count...]).copyMemory(from: $0)
      }
      return count + Int(digestCount)
    }
    return form
  }
}
