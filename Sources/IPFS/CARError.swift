/// What is wrong with a CAR file.
public enum CARError: Error, Equatable, Sendable {
  case malformedVarint
  case headerTooLarge(UInt64)
  /// The header is not DAG-CBOR of the form that CAR has.
  case malformedHeader
  /// A CARv2 file, a CARv1 file inside another frame, where that is not read.
  case version2
  case unknownVersion(UInt64)
  /// A section of no bytes.
  case emptySection
  case blockTooLarge(UInt64)
  case cid(CIDError)
  /// A block is not what its CID names.
  case wrongHash(CID)
  /// The file ends inside the header or a section.
  case truncated

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .malformedVarint: "a length is not in its shortest form or too large"
    case .headerTooLarge(let count): "the header has \(count) bytes, at most 1 MiB are allowed"
    case .malformedHeader: "the header is not that of a CAR file"
    case .version2: "it is a CARv2, where only CARv1 is read"
    case .unknownVersion(let version): "the CAR version \(version) is not known"
    case .emptySection: "a section has no bytes"
    case .blockTooLarge(let count): "a section has \(count) bytes, more than a block may have"
    case .wrongHash(let cid): "the block \(cid) is not what its CID names"
    case .cid(let error): "a section's CID is invalid: \(error.sentence)"
    case .truncated: "the file ends too early"
    }
  }
}
