internal import Base
public import IPFS

/// A name below `/ipns` as rules mean it, whatever its spelling.
public enum DenyName: Equatable, Sendable {
  /// A key, by the CID that has its multihash.
  case key(CID)
  /// A DNSLink name, in lower case and without a dot at its end.
  case domain([UInt8])

  /// Reads a name as it stands in a path.
  ///
  /// Keys are CIDs in any base, or base58 multihashes (`12D3KooW…`, `Qm…`). A name without a dot is one that was made a
  /// single label: `--` is `-` and any other `-` is `.` (the subdomain gateway specification).
  public init(_ text: RawSpan) {
    if let key = Self.key(text) {
      self = .key(key)
      return
    }
    var name = text.array.map(\.asciiLowercased)
    if name.count > 1, name.last == UInt8(ascii: ".") { name.removeLast() }
    // Where the record of a name stands, which resolvers take for the name itself.
    let record = Array("_dnslink.".utf8)
    if name.count > record.count, name.starts(with: record) { name.removeFirst(record.count) }
    self = .domain(name.contains(UInt8(ascii: ".")) ? name : Self.restored(name))
  }

  private static func key(_ text: RawSpan) -> CID? {
    if let cid = try? CID.parse(text) { return cid.asKey }
    // Only identity hashes begin so: those of small keys.
    guard text.byteCount > 1, text.byte(0) == UInt8(ascii: "1") else { return nil }
    return DoubleHash.multihash(base58: text)?.asKey
  }

  private static func restored(_ label: [UInt8]) -> [UInt8] {
    let hyphen = UInt8(ascii: "-")
    var name: [UInt8] = []
    var offset = 0
    while offset < label.count {
      let isDoubled =
        label[offset] == hyphen && offset + 1 < label.count && label[offset + 1] == hyphen
      name.append(label[offset] == hyphen && !isDoubled ? UInt8(ascii: ".") : label[offset])
      offset += isDoubled ? 2 : 1
    }
    return name
  }
}

extension CID {
  /// The same multihash as the CID of a key.
  fileprivate var asKey: CID {
    (try? CID(codec: .libp2pKey, hash: hash, digest: digest)) ?? self
  }
}

/// The texts of `//` rules: the multihash of what is denied, which itself is told to nobody.
enum DoubleHash {
  /// The multihash of a base58 text without prefix, as a CID that has it; nil where it is none.
  static func multihash(base58 text: RawSpan) -> CID? {
    guard text.byteCount < Multibase.maximumText else { return nil }
    var prefixed = ByteBuffer(capacity: 128)
    prefixed.append(Multibase.base58.rawValue)
    prefixed.append(text)
    guard let bytes = try? Multibase.decode(prefixed.readable) else { return nil }
    var binary = ByteBuffer(capacity: 160)
    binary.append(1)
    binary.append(UInt8(truncatingIfNeeded: ContentCodec.raw.rawValue))
    binary.append(bytes.bytes)
    guard let parsed = try? CID.parse(binary: binary.readable), parsed.count == binary.count
    else { return nil }
    return parsed.cid
  }

  /// The SHA-256 of 64 hexadecimal digits; nil for any other text.
  static func sha256(hex text: RawSpan) -> CID? {
    guard text.byteCount == 64 else { return nil }
    var digest = InlineArray<32, UInt8>(repeating: 0)
    for place in 0..<32 {
      guard let high = text.byte(2 * place).hexValue, let low = text.byte(2 * place + 1).hexValue
      else { return nil }
      digest[place] = high << 4 | low
    }
    return try? unsafe CID(codec: .raw, hash: .sha2_256, digest: digest.span.bytes)
  }
}
