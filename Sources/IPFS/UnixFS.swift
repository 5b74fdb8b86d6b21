public import Base

/// The UnixFS message in the data of a dag-pb node (specs.ipfs.tech/unixfs).
///
/// Ranges lie in the node's block. All sizes fit 63 bits, also summed up.
public struct UnixFSNode: Sendable {
  public enum Kind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    case raw = 0
    case directory = 1
    case file = 2
    case metadata = 3
    case symlink = 4
    case hamtShard = 5

    public var description: String {
      switch self {
      case .raw: "raw leaf"
      case .directory: "directory"
      case .file: "file"
      case .metadata: "metadata node"
      case .symlink: "symbolic link"
      case .hamtShard: "sharded directory"
      }
    }
  }

  public struct Modified: Equatable, Sendable {
    /// Seconds since 1970; may be negative.
    public var seconds: Int64
    public var nanoseconds: UInt32
  }

  public let kind: Kind
  /// The bytes of a file's leaf, a symbolic link's target, a shard's bit field.
  public fileprivate(set) var data: ByteRange = .empty
  /// Bytes of the whole file below this node, as the node says.
  public fileprivate(set) var fileSize: Int64?
  /// Bytes below each link, in the links' order.
  public fileprivate(set) var blockSizes: [Int64] = []
  /// Multihash code that a shard's names are hashed with.
  public fileprivate(set) var hashType: UInt64?
  public fileprivate(set) var fanout: UInt64?
  /// POSIX permission bits.
  public fileprivate(set) var mode: UInt32?
  public fileprivate(set) var modified: Modified?

  /// Bytes of the file: own data and everything below.
  public var contentSize: Int64 {
    // No overflow: `decode` refuses such sums.
    blockSizes.reduce(Int64(data.count), +)
  }

  /// Reads the message in a range of a block; fields that are not known are skipped.
  public static func decode(_ block: RawSpan, in range: ByteRange) throws(DAGError) -> UnixFSNode {
    var node = UnixFSNode(kind: try kind(block, in: range))
    var reader = try ProtobufReader(block, in: range)
    while let (field, value) = try reader.next(block) {
      switch (field, value) {
      case (2, .bytes(let data)): node.data = data
      case (3, .varint(let size)): node.fileSize = try checked(size)
      case (4, .varint(let size)): try node.add(size)
      case (4, .bytes(let packed)):
        var sizes = try ProtobufReader(block, in: packed)
        while !sizes.isAtEnd { try node.add(try sizes.varint(block)) }
      case (5, .varint(let code)): node.hashType = code
      case (6, .varint(let fanout)): node.fanout = fanout
      case (7, .varint(let mode)): node.mode = UInt32(truncatingIfNeeded: mode)
      case (8, .bytes(let time)): node.modified = try modified(block, in: time)
      case (1...8, _) where !(field == 1 && value.isVarint): throw .malformed
      default: break
      }
    }
    var total = Int64(node.data.count)
    for size in node.blockSizes {
      let (sum, overflow) = total.addingReportingOverflow(size)
      guard !overflow else { throw .sizeOverflow }
      total = sum
    }
    return node
  }

  private init(kind: Kind) {
    self.kind = kind
  }

  /// The required first field, wherever it stands.
  private static func kind(_ block: RawSpan, in range: ByteRange) throws(DAGError) -> Kind {
    var reader = try ProtobufReader(block, in: range)
    while let (field, value) = try reader.next(block) {
      guard field == 1, case .varint(let type) = value else { continue }
      guard let code = UInt8(exactly: type), let kind = Kind(rawValue: code) else {
        throw .unknownType(type)
      }
      return kind
    }
    throw .notUnixFS
  }

  private static func modified(_ block: RawSpan, in range: ByteRange) throws(DAGError) -> Modified {
    var time = Modified(seconds: 0, nanoseconds: 0)
    var reader = try ProtobufReader(block, in: range)
    while let (field, value) = try reader.next(block) {
      switch (field, value) {
      case (1, .varint(let seconds)): time.seconds = Int64(bitPattern: seconds)
      case (2, .fixed32(let nanoseconds)):
        guard nanoseconds < 1_000_000_000 else { throw .malformed }
        time.nanoseconds = nanoseconds
      default: break
      }
    }
    return time
  }

  private static func checked(_ size: UInt64) throws(DAGError) -> Int64 {
    guard let size = Int64(exactly: size) else { throw .sizeOverflow }
    return size
  }

  private mutating func add(_ size: UInt64) throws(DAGError) {
    guard blockSizes.count < PBNode.maximumLinks else { throw .tooManyLinks }
    blockSizes.append(try Self.checked(size))
  }
}

extension ProtobufReader.Value {
  fileprivate var isVarint: Bool {
    if case .varint = self { true } else { false }
  }
}

/// Writes the UnixFS messages that a tree of files and directories needs, as Kubo does.
public enum UnixFSEncoder {
  /// Appends a file's message: own bytes, or the sizes below each link, or both.
  public static func appendFile(
    data: RawSpan, blockSizes: [Int64], to output: inout ByteBuffer
  ) {
    output.append(0x08)
    output.append(varint: UInt64(UnixFSNode.Kind.file.rawValue))
    if data.byteCount > 0 {
      output.append(0x12)
      output.append(varint: UInt64(data.byteCount))
      output.append(data)
    }
    var size = UInt64(data.byteCount)
    for block in blockSizes { size &+= UInt64(bitPattern: block) }
    output.append(0x18)
    output.append(varint: size)
    for block in blockSizes {
      output.append(0x20)
      output.append(varint: UInt64(bitPattern: block))
    }
  }

  public static func appendDirectory(to output: inout ByteBuffer) {
    output.append(0x08)
    output.append(varint: UInt64(UnixFSNode.Kind.directory.rawValue))
  }
}
