import Base

/// A piece of a node of the IPLD data model, as it stands in a block.
enum DAGToken {
  case null
  case bool(Bool)
  case unsigned(UInt64)
  /// The number -1 - n.
  case negative(UInt64)
  case float(Double)
  /// Text, also as a map's key; its bytes are got with `DAGReader.text`.
  case text(ByteRange)
  /// Bytes; got with `DAGReader.bytes`.
  case bytes(ByteRange)
  /// A CID; got with `DAGReader.cid`.
  case link(ByteRange)
  case list
  /// Text and a value follow by turns.
  case map
  /// The innermost open list or map ends.
  case end
}

/// Reads a block of a codec of the IPLD data model token by token, without heap but for open lists and maps.
///
/// The tokens always make one well-formed value; bytes after it are an error. Memory and time are bounded by
/// the block's size, the depth by `DAGReading.maximumDepth`.
protocol DAGReader {
  init()
  /// The next token; nil at the block's end.
  mutating func next(_ block: RawSpan) throws(DAGError) -> DAGToken?
  static func text(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> [UInt8]
  static func bytes(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> [UInt8]
  static func cid(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> CID
  /// Whether a text is exactly some bytes.
  static func equals(_ block: RawSpan, _ range: ByteRange, _ name: RawSpan) throws(DAGError) -> Bool
}

enum DAGReading {
  /// Lists and maps inside each other; boxo's bound, far above what people write.
  static let maximumDepth = 1024
}

extension DAGReader {
  /// Skips the rest of the value that a token began.
  mutating func skip(_ first: DAGToken, _ block: RawSpan) throws(DAGError) {
    var open = 0
    var token = first
    while true {
      switch token {
      case .list, .map: open += 1
      case .end: open -= 1
      default: break
      }
      if open <= 0 { return }
      token = try need(block)
    }
  }

  /// The next token, where the value cannot end yet.
  mutating func need(_ block: RawSpan) throws(DAGError) -> DAGToken {
    guard let token = try next(block) else { throw .truncated }
    return token
  }
}

extension CID {
  /// Reads a binary CID that must end with the bytes.
  static func whole(_ bytes: RawSpan) throws(DAGError) -> CID {
    do throws(CIDError) {
      let (cid, count) = try CID.parse(binary: bytes)
      guard count == bytes.byteCount else { throw .trailingBytes }
      return cid
    } catch {
      throw .cid(error)
    }
  }
}
