import Base
import IPFS

/// Builds DAGs of every kind of node that a walk passes, with known answers to questions about them.
extension FileBuilder {
  /// A value of a dag-cbor or dag-json block, enough for tests.
  indirect enum Value {
    case number(Int)
    case text(String)
    case link(CID)
    case list([Value])
    case map([(String, Value)])
  }

  mutating func cbor(_ value: Value) -> CID {
    add(appended { Self.append(value, to: &$0) }, codec: .dagCBOR)
  }

  mutating func json(_ value: Value) -> CID {
    add(Array(Self.text(value).utf8), codec: .dagJSON)
  }

  static func head(_ type: UInt8, _ count: Int, to output: inout ByteBuffer) {
    switch count {
    case 0..<24: output.append(type << 5 | UInt8(count))
    case 24..<256:
      output.append(type << 5 | 24)
      output.append(UInt8(count))
    default:
      output.append(type << 5 | 25)
      output.append(UInt8(count >> 8))
      output.append(UInt8(count & 0xff))
    }
  }

  private static func append(_ value: Value, to output: inout ByteBuffer) {
    switch value {
    case .number(let number): head(0, number, to: &output)
    case .text(let text):
      head(3, text.utf8.count, to: &output)
      output.append(text)
    case .link(let cid):
      output.append([0xd8, 0x2a])
      head(2, cid.binaryCount + 1, to: &output)
      output.append(0)
      cid.appendBinary(to: &output)
    case .list(let items):
      head(4, items.count, to: &output)
      for item in items { append(item, to: &output) }
    case .map(let entries):
      head(5, entries.count, to: &output)
      for (key, value) in entries {
        head(3, key.utf8.count, to: &output)
        output.append(key)
        append(value, to: &output)
      }
    }
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .number(let number): "\(number)"
    case .text(let text): "\"\(text)\""
    case .link(let cid): "{\"/\":\"\(cid)\"}"
    case .list(let items): "[" + items.map(text).joined(separator: ",") + "]"
    case .map(let entries):
      "{" + entries.map { "\"\($0.0)\":\(text($0.1))" }.joined(separator: ",") + "}"
    }
  }

  /// A sharded directory of a fanout, as Kubo builds it.
  mutating func sharded(
    _ entries: [(name: String, cid: CID)], fanout: Int, level: Int = 0
  ) -> CID {
    let bits = fanout.trailingZeroBitCount
    var slots: [[(name: String, cid: CID)]] = Array(repeating: [], count: fanout)
    for entry in entries {
      let hash = murmur3(bytes(entry.name))
      slots[Int((hash << UInt64(level * bits)) >> UInt64(64 - bits))].append(entry)
    }
    var field = [UInt8](repeating: 0, count: fanout / 8)
    var links: [(name: String, cid: CID)] = []
    let digits = String(fanout - 1, radix: 16).count
    for (slot, held) in slots.enumerated() where !held.isEmpty {
      field[field.count - 1 - slot / 8] |= 1 << UInt8(slot % 8)
      let hex = String(slot, radix: 16, uppercase: true)
      let prefix = String(repeating: "0", count: digits - hex.count) + hex
      if held.count == 1 {
        links.append((prefix + held[0].name, held[0].cid))
      } else {
        links.append((prefix, sharded(held, fanout: fanout, level: level + 1)))
      }
    }
    // Go trims nothing, but readers take a field without its leading zeros as well.
    if level % 2 == 1 { while field.first == 0 { field.removeFirst() } }
    let message = appended { output in
      output.append([0x08, 0x05, 0x12, UInt8(field.count)])
      output.append(field)
      output.append([0x28, 0x22, 0x30])
      if fanout >= 128 { output.append(UInt8(fanout & 0x7f | 0x80)) }
      output.append(UInt8(fanout >= 128 ? fanout >> 7 : fanout))
    }
    let block = appended { output in
      for link in links {
        PBEncoder.appendLink(link.cid, name: bytes(link.name), totalSize: 1, to: &output)
      }
      PBEncoder.appendData(message, to: &output)
    }
    return add(block, codec: .dagPB)
  }

  /// The blocks of a list of CIDs as a CAR.
  func car(roots: [CID], blocks order: [CID]) -> [UInt8] {
    appended { output in
      CARWriter.appendHeader(roots: roots, to: &output)
      for cid in order {
        if let block = blocks[cid] { CARWriter.appendBlock(cid, block, to: &output) }
      }
    }
  }

  /// Everything below a block, depth first, each block as often as it is met.
  func everything(_ root: CID) -> [CID] {
    guard root.hash != .identity, let block = blocks[root] else { return [] }
    var found = [root]
    try? DAGLinks.visit(block.rawBytes, of: root.codec) { found += everything($0) }
    return found
  }
}

/// MurmurHash3 x64 128, written a second time from the reference and byte by byte, for the tests' directories.
func murmur3(_ bytes: [UInt8]) -> UInt64 {
  func rotate(_ word: UInt64, _ bits: UInt64) -> UInt64 { word << bits | word >> (64 - bits) }
  func mix(_ word: UInt64) -> UInt64 {
    var word = (word ^ word >> 33) &* 0xff51_afd7_ed55_8ccd
    word = (word ^ word >> 33) &* 0xc4ce_b9fe_1a85_ec53
    return word ^ word >> 33
  }
  let c1: UInt64 = 0x87c3_7b91_1142_53d5
  let c2: UInt64 = 0x4cf5_ad43_2745_937f
  var h1: UInt64 = 0
  var h2: UInt64 = 0
  let padded = bytes + [UInt8](repeating: 0, count: 32)
  func load(_ start: Int) -> UInt64 {
    (0..<8).reduce(0) { $0 | UInt64(padded[start + $1]) << UInt64(8 * $1) }
  }
  let whole = bytes.count / 16 * 16
  for start in stride(from: 0, to: whole, by: 16) {
    h1 ^= rotate(load(start) &* c1, 31) &* c2
    h1 = (rotate(h1, 27) &+ h2) &* 5 &+ 0x52dc_e729
    h2 ^= rotate(load(start + 8) &* c2, 33) &* c1
    h2 = (rotate(h2, 31) &+ h1) &* 5 &+ 0x3849_5ab5
  }
  // Zeros beyond the end change nothing: a factor of zero stays zero.
  h2 ^= rotate(load(whole + 8) &* c2, 33) &* c1
  h1 ^= rotate(load(whole) &* c1, 31) &* c2
  h1 ^= UInt64(bytes.count)
  h2 ^= UInt64(bytes.count)
  h1 &+= h2
  h2 &+= h1
  return mix(h1) &+ mix(h2)
}
