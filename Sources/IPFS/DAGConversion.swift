public import Base

/// Writes blocks of one codec of the IPLD data model in another.
public enum DAGConversion {
  /// Appends a block in another codec, in its canonical form.
  ///
  /// From dag-cbor, dag-json and dag-pb to dag-cbor and dag-json, byte for byte as go-ipld-prime writes them, but
  /// that whole floats keep their `.0`, as the specification has it. Throws `unsupportedCodec` for other pairs,
  /// `malformedData` for what the other codec cannot say: text that is no UTF-8, JSON's reserved maps. After an
  /// error `output` is as before.
  public static func append(
    _ block: RawSpan, from source: ContentCodec, to target: ContentCodec,
    to output: inout ByteBuffer
  ) throws(DAGError) {
    let value: DAGValue
    switch source {
    case .dagCBOR: value = try DAGValue.read(block, DAGCBORReader.self)
    case .dagJSON: value = try DAGValue.read(block, DAGJSONReader.self)
    case .dagPB: value = try DAGValue.readPB(block)
    default: throw .unsupportedCodec(source)
    }
    let before = output.count
    do throws(DAGError) {
      switch target {
      case .dagCBOR: try DAGCBORWriter.append(value, to: &output)
      case .dagJSON: try DAGJSONWriter.append(value, to: &output)
      default: throw .unsupportedCodec(target)
      }
    } catch {
      output.dropLast(output.count - before)
      throw error
    }
  }
}

/// Writes DAG-CBOR: shortest heads, keys by length and then by their bytes.
enum DAGCBORWriter {
  static func append(_ value: DAGValue, to output: inout ByteBuffer) throws(DAGError) {
    switch value {
    case .null: output.append(0xf6)
    case .bool(let value): output.append(value ? 0xf5 : 0xf4)
    case .unsigned(let value): CBORHead.append(0, value, to: &output)
    case .negative(let value): CBORHead.append(1, value, to: &output)
    case .float(let value):
      output.append(0xfb)
      for shift in stride(from: 56, through: 0, by: -8) {
        output.append(UInt8(truncatingIfNeeded: value.bitPattern >> UInt64(shift)))
      }
    case .text(let text):
      CBORHead.append(3, UInt64(text.count), to: &output)
      output.append(text)
    case .bytes(let bytes):
      CBORHead.append(2, UInt64(bytes.count), to: &output)
      output.append(bytes)
    case .link(let cid):
      CBORHead.append(6, DAGCBORReader.cidTag, to: &output)
      CBORHead.append(2, UInt64(cid.binaryCount + 1), to: &output)
      output.append(0)
      cid.appendBinary(to: &output)
    case .list(let items):
      CBORHead.append(4, UInt64(items.count), to: &output)
      for item in items { try append(item, to: &output) }
    case .map(let entries):
      CBORHead.append(5, UInt64(entries.count), to: &output)
      let sorted = try DAGValue.sorted(entries) { one, other in
        one.count == other.count ? one.lexicographicallyPrecedes(other) : one.count < other.count
      }
      for entry in sorted {
        CBORHead.append(3, UInt64(entry.key.count), to: &output)
        output.append(entry.key)
        try append(entry.value, to: &output)
      }
    }
  }
}

/// Writes DAG-JSON: no white space, keys by their bytes.
enum DAGJSONWriter {
  static func append(_ value: DAGValue, to output: inout ByteBuffer) throws(DAGError) {
    switch value {
    case .null: output.append("null")
    case .bool(let value): output.append(value ? "true" : "false")
    case .unsigned(let value): output.append(decimal: value)
    case .negative(let value):
      guard value < .max else { throw .malformedData }
      output.append(0x2d)
      output.append(decimal: value + 1)
    case .float(let value): JSONText.append(value, to: &output)
    case .text(let text): JSONText.append(text, to: &output)
    case .bytes(let bytes):
      output.append("{\"/\":{\"bytes\":\"")
      Base64Text.append(bytes, to: &output)
      output.append("\"}}")
    case .link(let cid):
      output.append("{\"/\":\"")
      cid.appendText(to: &output)
      output.append("\"}")
    case .list(let items):
      output.append(0x5b)
      for (number, item) in items.enumerated() {
        if number > 0 { output.append(0x2c) }
        try append(item, to: &output)
      }
      output.append(0x5d)
    case .map(let entries):
      let sorted = try DAGValue.sorted(entries) { $0.lexicographicallyPrecedes($1) }
      guard !isReserved(sorted) else { throw .malformedData }
      output.append(0x7b)
      for (number, entry) in sorted.enumerated() {
        if number > 0 { output.append(0x2c) }
        JSONText.append(entry.key, to: &output)
        output.append(0x3a)
        try append(entry.value, to: &output)
      }
      output.append(0x7d)
    }
  }

  /// Whether a map would be read as a link or as bytes, or as a malformed one of these.
  private static func isReserved(_ entries: [DAGValue.Entry]) -> Bool {
    guard let first = entries.first, first.key == [0x2f] else { return false }
    switch first.value {
    case .text: return true
    case .map(let inner):
      // Its own order does not matter: with more entries only the first of them by bytes is looked at.
      let least = inner.min { $0.key.lexicographicallyPrecedes($1.key) }
      guard let least, least.key == Array("bytes".utf8), case .text = least.value else {
        return false
      }
      return true
    default: return false
    }
  }
}
