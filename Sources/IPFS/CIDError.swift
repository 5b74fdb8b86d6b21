/// What is wrong with a CID.
public enum CIDError: Error, Equatable, Sendable {
  case multibase(MultibaseError)
  /// The bytes end inside the CID.
  case truncated
  case trailingBytes
  case unknownVersion(UInt64)
  /// Version 0 is written as bare base58btc of 46 characters only (multiformats/cid).
  case version0InMultibase
  /// A varint above 63 bits or not in its shortest form.
  case malformedVarint
  /// Fewer bytes than a hash must have to be trusted, and the hash is not identity.
  case digestTooShort(Int)
  case digestTooLong(Int)

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .multibase(let error): error.sentence
    case .truncated: "the CID ends too early"
    case .trailingBytes: "bytes follow the end of the CID"
    case .unknownVersion(let version): "the CID version \(version) is not known"
    case .version0InMultibase: "a version 0 CID has no multibase prefix and 46 characters"
    case .malformedVarint: "a number in the CID is not in its shortest form or too large"
    case .digestTooShort(let count): "the digest has \(count) bytes, at least 20 are needed"
    case .digestTooLong(let count): "the digest has \(count) bytes, at most 128 are allowed"
    }
  }
}
