import Base

/// A whole node of the IPLD data model, where its entries must be put in another order.
enum DAGValue {
  case null
  case bool(Bool)
  case unsigned(UInt64)
  /// The number -1 - n.
  case negative(UInt64)
  case float(Double)
  /// UTF-8, known to be well-formed.
  case text([UInt8])
  case bytes([UInt8])
  indirect case link(CID)
  case list([DAGValue])
  case map([Entry])

  struct Entry {
    let key: [UInt8]
    let value: DAGValue
  }

  /// Values in one block; a value takes some 20 bytes in memory, more than the one that it may take in a block.
  static let maximumValues = 1 << 20

  /// Reads a block of a codec.
  static func read<Reader: DAGReader>(
    _ block: RawSpan, _: Reader.Type
  ) throws(DAGError) -> DAGValue {
    guard block.byteCount <= PBNode.maximumBlock else { throw .blockTooLarge(block.byteCount) }
    var reader = Reader()
    var left = maximumValues
    let value = try read(try reader.need(block), &reader, block, &left)
    guard try reader.next(block) == nil else { throw .malformedData }
    return value
  }

  private static func read<Reader: DAGReader>(
    _ token: DAGToken, _ reader: inout Reader, _ block: RawSpan, _ left: inout Int
  ) throws(DAGError) -> DAGValue {
    guard left > 0 else { throw .tooManyLinks }
    left -= 1
    switch token {
    case .null: return .null
    case .bool(let value): return .bool(value)
    case .unsigned(let value): return .unsigned(value)
    case .negative(let value): return .negative(value)
    case .float(let value): return .float(value)
    case .text(let range): return .text(try wellFormed(try Reader.text(block, range)))
    case .bytes(let range): return .bytes(try Reader.bytes(block, range))
    case .link(let range): return .link(try Reader.cid(block, range))
    case .list:
      var items: [DAGValue] = []
      while true {
        let next = try reader.need(block)
        if case .end = next { return .list(items) }
        items.append(try read(next, &reader, block, &left))
      }
    case .map:
      var entries: [Entry] = []
      while case .text(let key) = try reader.need(block) {
        let name = try wellFormed(try Reader.text(block, key))
        let value = try read(try reader.need(block), &reader, block, &left)
        entries.append(Entry(key: name, value: value))
      }
      return .map(entries)
    case .end: throw .malformedData
    }
  }

  private static func wellFormed(_ text: [UInt8]) throws(DAGError) -> [UInt8] {
    guard String(validating: text, as: UTF8.self) != nil else { throw .malformedData }
    return text
  }

  /// The entries of a map by an order, which must not find two alike.
  static func sorted(
    _ entries: [Entry], by order: ([UInt8], [UInt8]) -> Bool
  ) throws(DAGError) -> [Entry] {
    let sorted = entries.sorted { order($0.key, $1.key) }
    for (one, next) in zip(sorted, sorted.dropFirst()) where one.key == next.key {
      throw .duplicateField
    }
    return sorted
  }
}

extension DAGValue {
  /// Reads a dag-pb block as the data model has it: `Data` and `Links`, of these `Hash`, `Name` and `Tsize`,
  /// each where it is there (ipld.io/specs/codecs/dag-pb).
  static func readPB(_ block: RawSpan) throws(DAGError) -> DAGValue {
    // Holds the block to all rules; what is read again here keeps what is absent apart from what is empty.
    _ = try PBNode.decode(block)
    var data: ByteRange?
    var links: [DAGValue] = []
    var reader = try ProtobufReader(block, in: ByteRange(start: 0, count: block.byteCount))
    while let (field, value) = try reader.next(block) {
      guard case .bytes(let range) = value else { continue }
      if field == 1 { data = range } else { links.append(try readPBLink(block, range)) }
    }
    var entries: [Entry] = []
    if let data { entries.append(Entry("Data", .bytes(block.bytes(data).array))) }
    entries.append(Entry("Links", .list(links)))
    return .map(entries)
  }

  private static func readPBLink(
    _ block: RawSpan, _ range: ByteRange
  ) throws(DAGError) -> DAGValue {
    var entries: [Entry] = []
    var reader = try ProtobufReader(block, in: range)
    while let (field, value) = try reader.next(block) {
      switch (field, value) {
      case (1, .bytes(let hash)):
        entries.append(Entry("Hash", .link(try CID.whole(block.bytes(hash)))))
      case (2, .bytes(let name)):
        entries.append(Entry("Name", .text(try wellFormed(block.bytes(name).array))))
      case (3, .varint(let size)): entries.append(Entry("Tsize", .unsigned(size)))
      default: break
      }
    }
    return .map(entries)
  }
}

extension DAGValue.Entry {
  fileprivate init(_ key: String, _ value: DAGValue) {
    self.init(key: Array(key.utf8), value: value)
  }
}
