import Base

/// Reads DAG-JSON (ipld.io/specs/codecs/dag-json).
///
/// It is JSON in which `{"/": "cid"}` is a link and `{"/": {"bytes": "base64"}}` is bytes. White space is
/// passed over, as gateways do.
struct DAGJSONReader: DAGReader {
  private struct Open {
    let isMap: Bool
    var isEmpty = true
    /// A key was given, its value follows.
    var afterKey = false
  }

  private var open: [Open] = []
  private var offset = 0
  private var started = false

  init() {}

  mutating func next(_ block: RawSpan) throws(DAGError) -> DAGToken? {
    skipSpace(block)
    guard var top = open.last else {
      if started {
        guard offset == block.byteCount else { throw .malformedData }
        return nil
      }
      started = true
      return try value(block)
    }
    if top.afterKey {
      try expect(0x3a, block)
      open[open.count - 1].afterKey = false
      skipSpace(block)
      return try value(block)
    }
    if take(top.isMap ? 0x7d : 0x5d, block) {
      open.removeLast()
      return .end
    }
    if !top.isEmpty {
      try expect(0x2c, block)
      skipSpace(block)
    }
    top.isEmpty = false
    top.afterKey = top.isMap
    open[open.count - 1] = top
    return top.isMap ? .text(try string(block)) : try value(block)
  }

  private mutating func skipSpace(_ block: RawSpan) {
    while offset < block.byteCount {
      let byte = block.byte(offset)
      guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return }
      offset += 1
    }
  }

  private mutating func take(_ byte: UInt8, _ block: RawSpan) -> Bool {
    guard offset < block.byteCount, block.byte(offset) == byte else { return false }
    offset += 1
    return true
  }

  private mutating func expect(_ byte: UInt8, _ block: RawSpan) throws(DAGError) {
    guard offset < block.byteCount else { throw .truncated }
    guard take(byte, block) else { throw .malformedData }
  }

  private mutating func value(_ block: RawSpan) throws(DAGError) -> DAGToken {
    guard offset < block.byteCount else { throw .truncated }
    switch block.byte(offset) {
    case 0x7b:
      if let special = try special(block) { return special }
      return try enter(isMap: true)
    case 0x5b: return try enter(isMap: false)
    case 0x22: return .text(try string(block))
    case 0x74: return try word("true", .bool(true), block)
    case 0x66: return try word("false", .bool(false), block)
    case 0x6e: return try word("null", .null, block)
    default: return try number(block)
    }
  }

  private mutating func enter(isMap: Bool) throws(DAGError) -> DAGToken {
    guard open.count < DAGReading.maximumDepth else { throw .tooDeep }
    offset += 1
    open.append(Open(isMap: isMap))
    return isMap ? .map : .list
  }

  private mutating func word(
    _ word: StaticString, _ token: DAGToken, _ block: RawSpan
  ) throws(DAGError) -> DAGToken {
    let rest = block.extracting(offset..<block.byteCount)
    guard rest.hasPrefix(word) else { throw .malformedData }
    offset += word.utf8CodeUnitCount
    return token
  }

  /// A link or bytes, where the map that begins here is one of their forms; else nil, and nothing is read.
  ///
  /// The form of a link with more entries is reserved, and an error.
  private mutating func special(_ block: RawSpan) throws(DAGError) -> DAGToken? {
    var ahead = self
    ahead.offset += 1
    guard try ahead.key("/", block) else { return nil }
    if ahead.offset < block.byteCount, block.byte(ahead.offset) == 0x22 {
      let text = try ahead.string(block)
      try ahead.closeMap(block)
      self = ahead
      return .link(text)
    }
    guard ahead.take(0x7b, block), try ahead.key("bytes", block),
      ahead.offset < block.byteCount, block.byte(ahead.offset) == 0x22
    else { return nil }
    let text = try ahead.string(block)
    try ahead.closeMap(block)
    try ahead.closeMap(block)
    self = ahead
    return .bytes(text)
  }

  /// Passes over a key and its colon, if the key is the given one.
  private mutating func key(
    _ name: StaticString, _ block: RawSpan
  ) throws(DAGError) -> Bool {
    skipSpace(block)
    guard offset < block.byteCount, block.byte(offset) == 0x22 else { return false }
    let range = try string(block)
    let text = try Self.text(block, range)
    guard text.rawBytes.equals(name) else { return false }
    skipSpace(block)
    try expect(0x3a, block)
    skipSpace(block)
    return true
  }

  private mutating func closeMap(_ block: RawSpan) throws(DAGError) {
    skipSpace(block)
    try expect(0x7d, block)
  }

  /// What stands between the quotes, escapes and all.
  private mutating func string(_ block: RawSpan) throws(DAGError) -> ByteRange {
    try expect(0x22, block)
    let start = offset
    while offset < block.byteCount {
      switch block.byte(offset) {
      case 0x22:
        defer { offset += 1 }
        return ByteRange(start: start, count: offset - start)
      case 0x5c: try escape(block)
      case 0..<0x20: throw .malformedData
      default: offset += 1
      }
    }
    throw .truncated
  }

  private mutating func escape(_ block: RawSpan) throws(DAGError) {
    guard block.byteCount - offset > 1 else { throw .truncated }
    guard block.byte(offset + 1) == 0x75 else {
      guard JSONText.short(block.byte(offset + 1)) != nil else { throw .malformedData }
      offset += 2
      return
    }
    guard block.byteCount - offset >= 6 else { throw .truncated }
    for index in 2..<6 where block.byte(offset + index).hexValue == nil { throw .malformedData }
    offset += 6
  }

  private mutating func number(_ block: RawSpan) throws(DAGError) -> DAGToken {
    let start = offset
    let isNegative = take(0x2d, block)
    let first = offset
    skipDigits(block)
    guard offset > first, block.byte(first) != 0x30 || offset == first + 1 else {
      throw .malformedData
    }
    let whole = offset
    if take(0x2e, block) {
      let fraction = offset
      skipDigits(block)
      guard offset > fraction else { throw .malformedData }
    }
    if take(0x65, block) || take(0x45, block) {
      if !take(0x2b, block) { _ = take(0x2d, block) }
      let exponent = offset
      skipDigits(block)
      guard offset > exponent else { throw .malformedData }
    }
    if offset > whole {
      guard let value = Double(block.extracting(start..<offset).text), value.isFinite else {
        throw .malformedData
      }
      return .float(value)
    }
    guard let magnitude = UInt64(block.extracting(first..<whole).text) else { throw .malformedData }
    guard isNegative, magnitude > 0 else { return .unsigned(magnitude) }
    return .negative(magnitude - 1)
  }

  private mutating func skipDigits(_ block: RawSpan) {
    while offset < block.byteCount, block.byte(offset).isASCIIDigit { offset += 1 }
  }

  static func text(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> [UInt8] {
    try JSONText.unescape(block.bytes(range))
  }

  static func bytes(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> [UInt8] {
    guard let bytes = Base64Text.decode(block.bytes(range)) else { throw .malformedData }
    return bytes
  }

  static func cid(_ block: RawSpan, _ range: ByteRange) throws(DAGError) -> CID {
    do throws(CIDError) {
      return try CID.parse(block.bytes(range))
    } catch {
      throw .cid(error)
    }
  }

  static func equals(
    _ block: RawSpan, _ range: ByteRange, _ name: RawSpan
  ) throws(DAGError) -> Bool {
    let text = try text(block, range)
    return text.rawBytes.equals(name)
  }
}
