public import Base
internal import CMaxMindDB
internal import System

/// Reads a MaxMind database (GeoLite2 Country and its kin) into a table of regions.
///
/// All of it is read at once, off the workers: what they look into afterwards is a table of ours, in which
/// neighbours of one region are one range. So a file that is bad anywhere is seen to be so before anybody
/// depends on it, and nobody minds what becomes of the file later.
public enum PlaceDatabase {
  /// Why a file is none, for people.
  public struct Unusable: Error, Equatable, Sendable {
    public var sentence: String
  }

  /// The largest file that is read; those with every city of the world have a tenth of it.
  static let maximumBytes = 1 << 30

  /// Reads a file by the rules for countries and continents; may take a second or two.
  public static func table(path: String, _ rules: PlaceRules) throws(Unusable) -> NetworkTable {
    let copy: File
    do throws(Fault) {
      copy = try self.copy(of: path)
    } catch {
      throw Unusable(sentence: SystemError.text(error.errno))
    }
    var walk = Walk(try Database(copy), rules)
    return try walk.table()
  }

  /// A file in memory with the same bytes: the library maps what it reads, and a file that somebody shortens
  /// under a map ends the process.
  private static func copy(of path: String) throws(Fault) -> File {
    let file = try File(path: path, .read)
    let size = try file.size()
    guard size <= maximumBytes else { throw Fault(.io, .disk, errno: tooLarge) }
    let copy = try File(inMemory: "places")
    var buffer = ByteBuffer(capacity: pieceBytes)
    var offset = 0
    while offset < size {
      buffer.clear()
      let count = try unsafe buffer.fill(atLeast: pieceBytes) { room throws(Fault) in
        try unsafe file.read(at: offset, into: room)
      }
      if count == 0 { break }
      try copy.write(at: offset, buffer.readable)
      offset += count
    }
    return copy
  }

  private static let pieceBytes = 1 << 20
  private static let tooLarge: Int32 = 27  // EFBIG
}

/// An open database of the library's; its address must not change, since entries point to it.
@safe
private final class Database {
  private let handle: UnsafeMutablePointer<MMDB_s>
  private var isOpen = false

  /// The map outlives the file's descriptor.
  init(_ file: borrowing File) throws(PlaceDatabase.Unusable) {
    unsafe handle = .allocate(capacity: 1)
    unsafe handle.initialize(to: MMDB_s())
    let status = unsafe MMDB_open(file.path, UInt32(MMDB_MODE_MMAP), handle)
    guard status == MMDB_SUCCESS else { throw Self.unusable(status) }
    isOpen = true
  }

  deinit {
    // The library has let go of all itself where it could not open.
    if isOpen { unsafe MMDB_close(handle) }
    unsafe handle.deallocate()
  }

  var nodeCount: Int { unsafe Int(handle.pointee.metadata.node_count) }
  var isIPv4: Bool { unsafe handle.pointee.metadata.ip_version == 4 }

  static func unusable(_ status: Int32) -> PlaceDatabase.Unusable {
    let text = unsafe MMDB_strerror(status).map { unsafe String(cString: $0) }
    return PlaceDatabase.Unusable(sentence: text ?? "unknown error")
  }

  func node(_ number: UInt32) throws(PlaceDatabase.Unusable) -> MMDB_search_node_s {
    var node = unsafe MMDB_search_node_s()
    let status = unsafe MMDB_read_node(handle, number, &node)
    guard status == MMDB_SUCCESS else { throw Self.unusable(status) }
    return unsafe node
  }

  /// The text at a path of keys of an entry; nil where there is none.
  func text(
    _ entry: MMDB_entry_s, _ keys: StaticString...
  ) throws(PlaceDatabase.Unusable) -> String? {
    var entry = unsafe entry
    var data = unsafe MMDB_entry_data_s()
    // Static strings end in a zero and live as long as the process.
    var path: [UnsafePointer<CChar>?] = unsafe keys.map { key in
      unsafe UnsafeRawPointer(key.utf8Start).assumingMemoryBound(to: CChar.self)
    }
    unsafe path.append(nil)
    let status = unsafe MMDB_aget_value(&entry, &data, path)
    if status == MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR { return nil }
    guard status == MMDB_SUCCESS else { throw Self.unusable(status) }
    guard unsafe data.has_data, unsafe data.type == UInt32(MMDB_DATA_TYPE_UTF8_STRING),
      let start = unsafe data.utf8_string
    else { return nil }
    let bytes = unsafe UnsafeRawBufferPointer(start: start, count: Int(data.data_size))
    return unsafe String(decoding: bytes, as: UTF8.self)
  }
}

/// The walk through a database's tree, from the first address to the last.
private struct Walk {
  private let database: Database
  private let rules: PlaceRules
  private var builder = NetworkTable.Builder()
  /// The regions of entries seen, by their places in the file: few entries serve all networks.
  private var regions: [UInt32: NetworkTable.Value?] = [:]
  /// Where IPv4 begins in a tree of IPv6 addresses; other ways lead there too.
  private var ipv4Start: UInt32?
  private var visits = 0

  private struct Step {
    var node: UInt32
    var first: UInt128
    var bits: Int
  }

  private static let ipv4Bits = 96

  init(_ database: Database, _ rules: PlaceRules) {
    self.database = database
    self.rules = rules
  }

  mutating func table() throws(PlaceDatabase.Unusable) -> NetworkTable {
    if !database.isIPv4 { ipv4Start = try findIPv4() }
    var open = [Step(node: 0, first: 0, bits: 0)]
    while let step = open.popLast() {
      visits += 1
      // A tree has each node once; where nodes lead back up there is no end.
      guard visits <= database.nodeCount + 1 else {
        throw PlaceDatabase.Unusable(sentence: "its nodes are no tree")
      }
      let node = try unsafe database.node(step.node)
      let bits = step.bits + 1
      guard bits <= (database.isIPv4 ? 32 : 128) else {
        throw PlaceDatabase.Unusable(sentence: "its nodes are no tree")
      }
      let second = step.first | UInt128(1) << UInt128(128 - bits)
      try unsafe take(
        node.right_record, node.right_record_type, node.right_record_entry,
        Step(node: 0, first: second, bits: bits), &open)
      try unsafe take(
        node.left_record, node.left_record_type, node.left_record_entry,
        Step(node: 0, first: step.first, bits: bits), &open)
    }
    return builder.build()
  }

  /// Goes down the way of `::/96`; nil where it ends before.
  private func findIPv4() throws(PlaceDatabase.Unusable) -> UInt32? {
    var number: UInt32 = 0
    for _ in 0..<Self.ipv4Bits {
      let node = try unsafe database.node(number)
      guard unsafe node.left_record_type == UInt8(MMDB_RECORD_TYPE_SEARCH_NODE),
        let next = unsafe UInt32(exactly: node.left_record)
      else { return nil }
      number = next
    }
    return number
  }

  private mutating func take(
    _ record: UInt64, _ type: UInt8, _ entry: MMDB_entry_s, _ place: Step, _ open: inout [Step]
  ) throws(PlaceDatabase.Unusable) {
    switch Int32(type) {
    case MMDB_RECORD_TYPE_EMPTY: return
    case MMDB_RECORD_TYPE_SEARCH_NODE:
      guard let node = UInt32(exactly: record) else { return }
      // What stands for IPv4 elsewhere (6to4, Teredo, mapped) is the same once more.
      if node == ipv4Start, place.first != 0 || place.bits != Self.ipv4Bits { return }
      open.append(Step(node: node, first: place.first, bits: place.bits))
    case MMDB_RECORD_TYPE_DATA:
      if let region = try unsafe region(of: entry) { add(place, region) }
    default: throw PlaceDatabase.Unusable(sentence: "a record of its tree leads nowhere")
    }
  }

  private mutating func add(_ place: Step, _ region: NetworkTable.Value) {
    if database.isIPv4 {
      let first = UInt32(truncatingIfNeeded: place.first >> 96)
      builder.add(ipv4: first, bits: place.bits, region)
    } else if place.bits >= Self.ipv4Bits, place.first >> 32 == 0 {
      let first = UInt32(truncatingIfNeeded: place.first)
      builder.add(ipv4: first, bits: place.bits - Self.ipv4Bits, region)
    } else {
      builder.add(ipv6: place.first, bits: place.bits, region)
    }
  }

  private mutating func region(
    of entry: MMDB_entry_s
  ) throws(PlaceDatabase.Unusable) -> NetworkTable.Value? {
    if let known = unsafe regions[entry.offset] { return known }
    var country = try unsafe database.text(entry, "country", "iso_code")
    if country == nil {
      country = try unsafe database.text(entry, "registered_country", "iso_code")
    }
    let continent = try unsafe database.text(entry, "continent", "code")
    let region = rules.region(country: country, continent: continent)
    let value = region.flatMap { NetworkTable.Value(exactly: $0) }
    unsafe regions.updateValue(value, forKey: entry.offset)
    return value
  }
}
