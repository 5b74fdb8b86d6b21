import Base

/// The links of blocks of every codec that is known to have some.
public enum DAGLinks {
  /// Where a path leads inside one block.
  public enum Step: Sendable {
    /// To a link, after so many of the segments.
    case link(CID, consumed: Int)
    /// All segments were found, and what they name lies in the block itself.
    case inside
    /// The segment of this index names nothing.
    case absent(segment: Int)
  }

  /// Calls `body` with each link of a block, in their order; a raw block has none.
  ///
  /// Plain CBOR and JSON have no links either. Throws `unsupportedCodec` where the links of a codec are not known.
  public static func visit(
    _ block: RawSpan, of codec: ContentCodec, _ body: (CID) throws(DAGError) -> Void
  ) throws(DAGError) {
    switch codec {
    case .raw, .cbor, .json: break
    case .dagPB:
      for link in try PBNode.decode(block).links { try body(try link.cid(in: block)) }
    case .dagCBOR: try visit(block, DAGCBORReader.self, body)
    case .dagJSON: try visit(block, DAGJSONReader.self, body)
    default: throw .unsupportedCodec(codec)
    }
  }

  private static func visit<Reader: DAGReader>(
    _ block: RawSpan, _: Reader.Type, _ body: (CID) throws(DAGError) -> Void
  ) throws(DAGError) {
    guard block.byteCount <= PBNode.maximumBlock else { throw .blockTooLarge(block.byteCount) }
    var reader = Reader()
    while let token = try reader.next(block) {
      if case .link(let range) = token { try body(try Reader.cid(block, range)) }
    }
  }

  /// Follows segments through a dag-cbor or dag-json block: a map's keys, a list's numbers.
  ///
  /// `segments` must not be empty. Throws `unsupportedCodec` for other codecs.
  public static func resolve(
    _ segments: ArraySlice<[UInt8]>, in block: RawSpan, of codec: ContentCodec
  ) throws(DAGError) -> Step {
    guard block.byteCount <= PBNode.maximumBlock else { throw .blockTooLarge(block.byteCount) }
    switch codec {
    case .dagCBOR: return try resolve(segments, block, DAGCBORReader.self)
    case .dagJSON: return try resolve(segments, block, DAGJSONReader.self)
    default: throw .unsupportedCodec(codec)
    }
  }

  private static func resolve<Reader: DAGReader>(
    _ segments: ArraySlice<[UInt8]>, _ block: RawSpan, _: Reader.Type
  ) throws(DAGError) -> Step {
    var reader = Reader()
    var token = try reader.need(block)
    for (consumed, segment) in segments.enumerated() {
      switch token {
      case .link(let range):
        return .link(try Reader.cid(block, range), consumed: consumed)
      case .map:
        guard let value = try find(segment, &reader, block) else {
          return .absent(segment: consumed)
        }
        token = value
      case .list:
        guard let value = try item(segment, &reader, block) else {
          return .absent(segment: consumed)
        }
        token = value
      default: return .absent(segment: consumed)
      }
    }
    if case .link(let range) = token {
      return .link(try Reader.cid(block, range), consumed: segments.count)
    }
    return .inside
  }

  /// Where a key's value begins; nil where the map has no such key.
  private static func find<Reader: DAGReader>(
    _ key: [UInt8], _ reader: inout Reader, _ block: RawSpan
  ) throws(DAGError) -> DAGToken? {
    while case .text(let name) = try reader.need(block) {
      let value = try reader.need(block)
      if try Reader.equals(block, name, key.rawBytes) { return value }
      try reader.skip(value, block)
    }
    return nil
  }

  private static func item<Reader: DAGReader>(
    _ segment: [UInt8], _ reader: inout Reader, _ block: RawSpan
  ) throws(DAGError) -> DAGToken? {
    // Go's rules: a sign and leading zeros are allowed.
    guard let index = Int(segment.rawBytes.text), index >= 0 else { return nil }
    for _ in 0..<index {
      let token = try reader.need(block)
      if case .end = token { return nil }
      try reader.skip(token, block)
    }
    let token = try reader.need(block)
    if case .end = token { return nil }
    return token
  }
}
