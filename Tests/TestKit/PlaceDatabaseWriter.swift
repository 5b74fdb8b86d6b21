import Base

/// Writes small MaxMind databases (format 2.0), as MaxMind's own are: a tree of bits, a data section in
/// which equal entries are one, and metadata.
public struct PlaceDatabaseWriter {
  private final class Node {
    var children: [Child] = [.empty, .empty]
    var number = 0
  }

  private enum Child {
    case empty
    case node(Node)
    case data(Int)
  }

  private let root = Node()
  private let isIPv6: Bool
  private var data: [UInt8] = []
  private var offsets: [[String]: Int] = [:]
  /// Bits of one record: 24, 28 or 32.
  public var recordBits = 24
  /// Whether 6to4 addresses lead to the IPv4 ones, as in MaxMind's files.
  public var hasAliases = false

  public init(isIPv6: Bool = true) { self.isIPv6 = isIPv6 }

  /// Adds a network; larger ones before those that lie in them.
  public mutating func add(_ network: String, country: String?, continent: String?) throws {
    let network = try Network(network)
    var bits = network.prefixBits
    var number = UInt128(network.address.high) << 64 | UInt128(network.address.low)
    if network.isIPv4 {
      number = UInt128(UInt32(truncatingIfNeeded: network.address.low))
      if isIPv6 { bits += 96 } else { number <<= 96 }
    }
    let offset = entry(country, continent)
    var node = root
    for depth in 0..<bits {
      let side = Int(truncatingIfNeeded: number >> UInt128(127 - depth)) & 1
      if depth == bits - 1 {
        node.children[side] = .data(offset)
        return
      }
      switch node.children[side] {
      case .node(let next): node = next
      case let child:
        let next = Node()
        next.children = [child, child]
        node.children[side] = .node(next)
        node = next
      }
    }
  }

  private mutating func entry(_ country: String?, _ continent: String?) -> Int {
    let name = [country ?? "", continent ?? ""]
    if let known = offsets[name] { return known }
    let offset = data.count
    offsets[name] = offset
    var maps: [(String, [UInt8])] = []
    if let country { maps.append(("country", Self.map([("iso_code", Self.text(country))]))) }
    if let continent { maps.append(("continent", Self.map([("code", Self.text(continent))]))) }
    data += Self.map(maps)
    return offset
  }

  /// The file's bytes.
  public func bytes() -> [UInt8] {
    var nodes: [Node] = []
    func visit(_ node: Node) {
      node.number = nodes.count
      nodes.append(node)
      for case .node(let child) in node.children { visit(child) }
    }
    visit(root)
    var ipv4: Node?
    if isIPv6 && hasAliases {
      var node = root
      var depth = 0
      while depth < 96, case .node(let next) = node.children[0] {
        node = next
        depth += 1
      }
      if depth == 96 { ipv4 = node }
    }
    var tree: [UInt8] = []
    for node in nodes {
      let values = node.children.map { child -> UInt32 in
        switch child {
        case .empty: UInt32(nodes.count)
        case .node(let next): UInt32(next.number)
        case .data(let offset): UInt32(nodes.count + 16 + offset)
        }
      }
      tree += record(values[0], values[1])
    }
    if let ipv4 { alias(&tree, nodes, to: ipv4) }
    return tree + [UInt8](repeating: 0, count: 16) + data
      + [0xab, 0xcd, 0xef] + Array("MaxMind.com".utf8) + metadata(nodes.count)
  }

  private func record(_ left: UInt32, _ right: UInt32) -> [UInt8] {
    func bytes(_ value: UInt32, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * (count - 1 - $0))) }
    }
    switch recordBits {
    case 24: return bytes(left, 3) + bytes(right, 3)
    case 28:
      let middle = UInt8(left >> 24) << 4 | UInt8(right >> 24)
      return bytes(left & 0xff_ffff, 3) + [middle] + bytes(right & 0xff_ffff, 3)
    default: return bytes(left, 4) + bytes(right, 4)
    }
  }

  /// Makes the empty record on the way of `8000::/1` lead to IPv4, as if it were an alias's.
  private func alias(_ tree: inout [UInt8], _ nodes: [Node], to ipv4: Node) {
    guard case .empty = root.children[1] else { return }
    var left = UInt32(nodes.count)
    if case .node(let next) = root.children[0] { left = UInt32(next.number) }
    let first = record(left, UInt32(ipv4.number))
    tree.replaceSubrange(0..<first.count, with: first)
  }

  // MARK: The data section's encoding

  private static func control(_ type: UInt8, _ size: Int) -> [UInt8] {
    let extended = type > 7
    let first = (extended ? 0 : type << 5) | UInt8(min(size, 29))
    return [first] + (extended ? [type - 7] : []) + (size >= 29 ? [UInt8(size - 29)] : [])
  }

  static func text(_ value: String) -> [UInt8] {
    control(2, value.utf8.count) + Array(value.utf8)
  }

  private static func number(_ type: UInt8, _ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest > 0 {
      bytes.insert(UInt8(truncatingIfNeeded: rest), at: 0)
      rest >>= 8
    }
    return control(type, bytes.count) + bytes
  }

  static func map(_ pairs: [(String, [UInt8])]) -> [UInt8] {
    control(7, pairs.count) + pairs.flatMap { text($0.0) + $0.1 }
  }

  private func metadata(_ nodes: Int) -> [UInt8] {
    Self.map([
      ("node_count", Self.number(6, UInt64(nodes))),
      ("record_size", Self.number(5, UInt64(recordBits))),
      ("ip_version", Self.number(5, isIPv6 ? 6 : 4)),
      ("database_type", Self.text("Test-Country")),
      ("languages", Self.control(11, 1) + Self.text("en")),
      ("binary_format_major_version", Self.number(5, 2)),
      ("binary_format_minor_version", Self.number(5, 0)),
      ("build_epoch", Self.number(9, 1_700_000_000)),
      ("description", Self.map([("en", Self.text("for tests"))])),
    ])
  }
}
