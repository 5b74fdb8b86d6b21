import Base

/// Reads DAG-CBOR (ipld.io/specs/codecs/dag-cbor), strictly but for the order of keys, which only writers need.
///
/// Lengths and numbers stand in their shortest form, floats have 64 bits, keys are text, the only tag is a
/// CID's, nothing is of indefinite length.
struct DAGCBORReader: DAGReader {
  /// DAG-CBOR's tag for a CID; its bytes begin with a zero for "multibase identity".
  static let cidTag: UInt64 = 42

  private struct Open {
    /// Items that follow; a map has two for each entry.
    var rest: Int
    let isMap: Bool
  }

  private var open: [Open] = []
  private var offset = 0
  private var started = false

  init() {}

  mutating func next(_ block: RawSpan) throws(DAGError) -> DAGToken? {
    var isKey = false
    if let top = open.last {
      if top.rest == 0 {
        open.removeLast()
        return .end
      }
      isKey = top.isMap && top.rest % 2 == 0
      open[open.count - 1].rest -= 1
    } else if started {
      guard offset == block.byteCount else { throw .malformedData }
      return nil
    }
    started = true
    guard offset < block.byteCount else { throw .truncated }
    let first = block.byte(offset)
    guard !isKey || first >> 5 == 3 else { throw .malformedData }
    if first >> 5 == 7 { return try simple(block) }
    let argument = try head(block)
    switch first >> 5 {
    case 0: return .unsigned(argument)
    case 1: return .negative(argument)
    case 2: return .bytes(try run(block, argument))
    case 3: return .text(try run(block, argument))
    case 4: return try enter(block, argument, isMap: false)
    case 5: return try enter(block, argument, isMap: true)
    default: return try link(block, tag: argument)
    }
  }

  /// The number that an item's first bytes hold, in its shortest form.
  private mutating func head(_ block: RawSpan) throws(DAGError) -> UInt64 {
    guard offset < block.byteCount else { throw .truncated }
    let short = block.byte(offset) & 0x1f
    offset += 1
    if short < 24 { return UInt64(short) }
    guard short <= 27 else { throw .malformedData }
    let count = 1 << Int(short - 24)
    let value = try number(block, count)
    guard value >= (count == 1 ? 24 : 1 << UInt64(4 * count)) else { throw .malformedData }
    return value
  }

  private mutating func number(_ block: RawSpan, _ count: Int) throws(DAGError) -> UInt64 {
    guard block.byteCount - offset >= count else { throw .truncated }
    var value: UInt64 = 0
    for index in 0..<count { value = value << 8 | UInt64(block.byte(offset + index)) }
    offset += count
    return value
  }

  private mutating func run(_ block: RawSpan, _ claimed: UInt64) throws(DAGError) -> ByteRange {
    guard let count = Int(exactly: claimed), count <= block.byteCount - offset else {
      throw .truncated
    }
    defer { offset += count }
    return ByteRange(start: offset, count: count)
  }

  private mutating func enter(
    _ block: RawSpan, _ claimed: UInt64, isMap: Bool
  ) throws(DAGError) -> DAGToken {
    // Each item needs a byte: a larger claim cannot be kept, and twice a smaller one does not overflow.
    guard let count = Int(exactly: claimed), count <= block.byteCount - offset else {
      throw .truncated
    }
    guard open.count < DAGReading.maximumDepth else { throw .tooDeep }
    open.append(Open(rest: isMap ? 2 * count : count, isMap: isMap))
    return isMap ? .map : .list
  }

  private mutating func link(_ block: RawSpan, tag: UInt64) throws(DAGError) -> DAGToken {
    guard tag == Self.cidTag, offset < block.byteCount, block.byte(offset) >> 5 == 2 else {
      throw .malformedData
    }
    let bytes = try run(block, try head(block))
    guard bytes.count > 1, block.byte(Int(bytes.start)) == 0 else { throw .malformedData }
    return .link(ByteRange(start: Int(bytes.start) + 1, count: Int(bytes.count) - 1))
  }

  private mutating func simple(_ block: RawSpan) throws(DAGError) -> DAGToken {
    let first = block.byte(offset)
    offset += 1
    switch first {
    case 0xf4: return .bool(false)
    case 0xf5: return .bool(true)
    case 0xf6: return .null
    case 0xfb:
      let value = Double(bitPattern: try number(block, 8))
      guard value.isFinite else { throw .malformedData }
      return .float(value)
    default: throw .malformedData
    }
  }

  static func text(_ block: RawSpan, _ range: ByteRange) -> [UInt8] { block.bytes(range).array }
  static func bytes(_ block: RawSpan, _ range: ByteRange) -> [UInt8] { block.bytes(range).array }

  static func cid(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> CID {
    try CID.whole(block.bytes(range))
  }

  static func equals(_ block: RawSpan, _ range: ByteRange, _ name: RawSpan) -> Bool {
    block.bytes(range).equals(name)
  }
}
