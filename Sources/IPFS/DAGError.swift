/// What is wrong with a block as a node of a DAG, or with a node as what it was taken for.
public enum DAGError: Error, Equatable, Sendable {
  /// Above 2 MiB, which no peer would pass on (Bitswap's limit).
  case blockTooLarge(Int)
  /// The block's bytes end inside a field.
  case truncated
  /// A tag, wire type or number that protobuf or the schema does not have.
  case malformed
  /// A field stands twice that may stand once.
  case duplicateField
  case tooManyLinks
  /// A link without a CID.
  case missingHash
  case cid(CIDError)
  /// A dag-pb node that holds no UnixFS message.
  case notUnixFS
  case unknownType(UInt64)
  /// Sizes that do not fit 63 bits together.
  case sizeOverflow
  /// A node is not as long as it says itself or as its parent says.
  case sizeMismatch
  /// Not one block size for each link.
  case linkCountMismatch
  case unsupportedCodec(ContentCodec)
  case notAFile(UnixFSNode.Kind)
  case notADirectory(UnixFSNode.Kind)
  /// A dag-cbor or dag-json block that is not strictly of its codec.
  case malformedData
  /// A block of a sharded directory whose fields do not fit together, or whose hash is not murmur3.
  case malformedShard
  /// A sharded directory, which is not looked into.
  case hamtNotSupported
  case tooDeep
  /// A block was supplied to a walk that wants none.
  case nothingWanted

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .blockTooLarge(let count): "the block has \(count) bytes, at most 2 MiB are allowed"
    case .truncated: "the node ends inside a field"
    case .malformed: "the node is not well-formed protobuf of its schema"
    case .duplicateField: "a field of the node stands twice"
    case .tooManyLinks: "there are more links than can be followed"
    case .missingHash: "a link of the node has no CID"
    case .cid(let error): "a link of the node has an invalid CID: \(error.sentence)"
    case .notUnixFS: "the node holds no UnixFS message"
    case .unknownType(let type): "the UnixFS type \(type) is not known"
    case .sizeOverflow: "the sizes in the node are too large"
    case .sizeMismatch: "the node is not as long as it should be"
    case .linkCountMismatch: "the node does not have one size for each link"
    case .unsupportedCodec(let codec):
      "the codec 0x\(String(codec.rawValue, radix: 16)) holds no UnixFS"
    case .notAFile(let kind): "the node is a \(kind), not a file"
    case .notADirectory(let kind): "the node is a \(kind), not a directory"
    case .malformedData: "the block is not well-formed data of its codec"
    case .malformedShard: "the block is not a well-formed part of a sharded directory"
    case .hamtNotSupported: "the directory is sharded, which is not supported"
    case .tooDeep: "the tree is too deep"
    case .nothingWanted: "no block was wanted"
    }
  }
}
