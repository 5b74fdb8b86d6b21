import Base

/// What is wrong with an IPNS record.
public enum IPNSRecordError: Error, Equatable, Sendable {
  /// Above 10 KiB, which nobody passes on.
  case tooLarge(Int)
  /// Not well-formed protobuf of the record's schema.
  case malformed
  /// Without signed data: a record of version 1, which is no longer believed.
  case unsigned
  /// The signed data has not the fields of a record.
  case malformedData
  /// An unsigned copy of version 1 says something else than what is signed.
  case contradiction

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .tooLarge(let count): "the record has \(count) bytes, at most 10 KiB are allowed"
    case .malformed: "the record is not well-formed protobuf"
    case .unsigned: "the record has no signed data"
    case .malformedData: "the record's signed data is not that of a record"
    case .contradiction: "the record's unsigned fields are not those that are signed"
    }
  }
}

/// An IPNS record: what a name leads to, signed by the name's key (specs.ipfs.tech/ipns/ipns-record).
///
/// Only what version 2 signs is read; copies of version 1 are held against it. Nothing here is to be believed
/// before `isSigned` has said so, and not beyond `endOfLife`.
public struct IPNSRecord: Sendable {
  /// The specification's bound.
  public static let maximumBytes = 10 * 1024

  /// The content path that the name leads to, as bytes.
  public let value: [UInt8]
  /// When the record ends to be valid: seconds since 1970, parts of a second left away.
  public let endOfLife: Int64
  /// Of two records the one with the larger number is newer.
  public let sequence: UInt64
  /// For how long the record may be taken for the newest, in nanoseconds.
  public let timeToLive: UInt64

  private let data: [UInt8]
  private let signature: [UInt8]
  /// A libp2p public key; empty where the name has it.
  private let publicKey: [UInt8]

  public static func parse(_ bytes: RawSpan) throws(IPNSRecordError) -> IPNSRecord {
    guard bytes.byteCount <= maximumBytes else { throw .tooLarge(bytes.byteCount) }
    let entry: Entry
    do throws(DAGError) {
      entry = try Entry(bytes)
    } catch {
      throw .malformed
    }
    guard !entry.data.isEmpty, !entry.signature.isEmpty else { throw .unsigned }
    let signed: Signed
    do throws(DAGError) {
      signed = try Signed(entry.data)
    } catch {
      throw .malformedData
    }
    return try IPNSRecord(entry, signed)
  }

  private init(_ entry: Entry, _ signed: Signed) throws(IPNSRecordError) {
    guard let value = signed.value, let validity = signed.validity, signed.validityType == 0,
      let sequence = signed.sequence, let timeToLive = signed.timeToLive,
      let end = InternetTime.seconds(validity.rawBytes)
    else { throw .malformedData }
    if entry.hasVersion1 {
      // Protobuf leaves out numbers that are 0.
      guard entry.value == value, entry.validity == validity, entry.validityType == 0,
        entry.sequence == sequence, entry.timeToLive == timeToLive
      else { throw .contradiction }
    }
    self.value = value
    self.sequence = sequence
    self.timeToLive = timeToLive
    endOfLife = end
    data = entry.data
    signature = entry.signature
    publicKey = entry.publicKey
  }

  /// Whether the record is signed by the key of a name; `unsupported` for keys that are not Ed25519.
  ///
  /// A name is a CID whose multihash is that of the public key, or has the key itself in it.
  public func isSigned(by name: CID) -> Verdict {
    if name.hash == .identity {
      guard publicKey.isEmpty || publicKey.rawBytes.equals(name.digest) else { return .mismatch }
      return isSigned(by: name.digest)
    }
    guard !publicKey.isEmpty else { return .mismatch }
    let named = name.verify(publicKey.rawBytes)
    guard case .match = named else { return named }
    return isSigned(by: publicKey.rawBytes)
  }

  private func isSigned(by key: RawSpan) -> Verdict {
    guard let key = try? LibP2PKey(key) else { return .mismatch }
    guard key.type == LibP2PKey.ed25519 else { return .unsupported }
    let message = Array("ipns-signature:".utf8) + data
    return Ed25519.verify(message, signature: signature, key: key.bytes) ? .match : .mismatch
  }
}

extension IPNSRecord {
  /// The protobuf message around the signed data; the last of repeated fields counts.
  private struct Entry {
    var value: [UInt8] = []
    var validityType: UInt64 = 0
    var validity: [UInt8] = []
    var sequence: UInt64 = 0
    var timeToLive: UInt64 = 0
    var publicKey: [UInt8] = []
    var signature: [UInt8] = []
    var data: [UInt8] = []
    var hasVersion1 = false

    init(_ bytes: RawSpan) throws(DAGError) {
      var reader = try ProtobufReader(bytes, in: ByteRange(start: 0, count: bytes.byteCount))
      while let (field, value) = try reader.next(bytes) {
        switch (field, value) {
        case (1, .bytes(let range)):
          self.value = bytes.bytes(range).array
          hasVersion1 = true
        case (2, .bytes(let range)): hasVersion1 = hasVersion1 || !range.isEmpty
        case (3, .varint(let type)): validityType = type
        case (4, .bytes(let range)): validity = bytes.bytes(range).array
        case (5, .varint(let number)): sequence = number
        case (6, .varint(let number)): timeToLive = number
        case (7, .bytes(let range)): publicKey = bytes.bytes(range).array
        case (8, .bytes(let range)): signature = bytes.bytes(range).array
        case (9, .bytes(let range)): data = bytes.bytes(range).array
        case (1...9, _): throw .malformed
        default: break
        }
      }
    }
  }

  /// The fields of the signed data, which is DAG-CBOR; others are passed over.
  private struct Signed {
    var value: [UInt8]?
    var validity: [UInt8]?
    var validityType: UInt64?
    var sequence: UInt64?
    var timeToLive: UInt64?

    init(_ data: [UInt8]) throws(DAGError) {
      let block = data.rawBytes
      var reader = DAGCBORReader()
      guard case .map = try reader.need(block) else { throw .malformedData }
      while case .text(let range) = try reader.need(block) {
        let key = block.bytes(range)
        let token = try reader.need(block)
        switch token {
        case .bytes(let range) where key.equals("Value"): value = block.bytes(range).array
        case .bytes(let range) where key.equals("Validity"): validity = block.bytes(range).array
        case .unsigned(let number) where key.equals("ValidityType"): validityType = number
        case .unsigned(let number) where key.equals("Sequence"): sequence = number
        case .unsigned(let number) where key.equals("TTL"): timeToLive = number
        default: try reader.skip(token, block)
        }
      }
      guard try reader.next(block) == nil else { throw .malformedData }
    }
  }
}
