public import Base
public import IPFS
internal import Synchronization
internal import System

/// Why CAR files cannot be served.
public enum CARStoreError: Error, Sendable {
  case cannotRead(path: String, Fault)
  /// The section, or the header, that begins at this offset of the file is not well-formed.
  case damaged(path: String, offset: UInt64, CARError)

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .cannotRead(let path, let fault):
      "\(path): cannot be read (\(SystemError.text(fault.errno)))"
    case .damaged(let path, let offset, let error):
      "\(path): damaged at offset \(offset): \(error.sentence)"
    }
  }
}

/// Why a block cannot be had.
public enum BlockFailure: Error, Sendable {
  /// No file has it.
  case absent(CID)
  /// Its bytes are not those that its CID names.
  case corrupt(CID)
  case fault(Fault)
}

/// The blocks of CAR files, found by their hash.
///
/// All files are scanned once, when they are opened; after that nothing changes but the note of which
/// blocks have been checked, so any thread may read. Blocks go by multihash alone: the codec only says
/// how to read them.
public final class CARStore: Sendable {
  /// The roots of all files in their order, each once.
  public let roots: [CID]
  private let sources: [CARSource]
  private let locations: [BlockLocation]
  private let places: [Digest128: UInt32]
  /// Names in files choose the table's keys, so the hash is keyed.
  private let hashKey: SipKey
  /// One bit for each location: whether its bytes have been compared with the CID.
  private let checked: Mutex<[UInt64]>

  /// Opens files, and all `*.car` in folders, and reads them through.
  public convenience init(paths: [String]) throws(CARStoreError) {
    var sources: [CARSource] = []
    for path in paths {
      for file in try Self.files(at: path) {
        do throws(Fault) {
          sources.append(try CARSource(path: file))
        } catch {
          throw .cannotRead(path: file, error)
        }
      }
    }
    try self.init(sources: sources)
  }

  /// Serves a CAR from memory.
  public convenience init(car: [UInt8], name: String = "memory") throws(CARStoreError) {
    try self.init(sources: [CARSource(name: name, bytes: car)])
  }

  private init(sources: [CARSource]) throws(CARStoreError) {
    var generator = SystemRandomNumberGenerator()
    hashKey = SipKey(first: generator.next(), second: generator.next())
    self.sources = sources
    var scan = CARScan(hashKey: hashKey)
    for source in sources.indices { try scan.add(sources[source], number: UInt32(source)) }
    roots = scan.roots
    locations = scan.locations
    places = scan.places
    checked = Mutex([UInt64](repeating: 0, count: (scan.locations.count + 63) / 64))
  }

  public var blockCount: Int { locations.count }
  public var fileCount: Int { sources.count }

  /// The bytes of all blocks together.
  public var contentBytes: UInt64 { locations.reduce(0) { $0 + UInt64($1.count) } }

  /// What names a block whatever its CID's spelling.
  func key(_ cid: CID) -> Digest128 { Self.key(cid, hashKey) }

  /// The number of a block's place; nil where no file has it.
  func place(_ cid: CID) -> Int? { places[key(cid)].map { Int($0) } }

  /// Reads a block, and compares it with its CID the first time.
  func read(_ cid: CID, at place: Int) throws(BlockFailure) -> [UInt8] {
    let location = locations[place]
    let bytes: [UInt8]
    do throws(Fault) {
      bytes = try sources[Int(location.file)].bytes(
        at: Int(location.offset), count: Int(location.count))
    } catch {
      throw .fault(error)
    }
    let bit: UInt64 = 1 << UInt64(place & 63)
    if checked.withLock({ $0[place >> 6] & bit != 0 }) { return bytes }
    // A hash function that is not available here is no reason to refuse, as Kubo serves what it holds.
    if cid.verify(bytes.rawBytes) == .mismatch { throw .corrupt(cid) }
    checked.withLock { $0[place >> 6] |= bit }
    return bytes
  }

  static func key(_ cid: CID, _ hashKey: SipKey) -> Digest128 {
    var text = ByteBuffer(capacity: 256)
    for shift in 0..<8 { text.append(UInt8(truncatingIfNeeded: cid.hash.rawValue >> (8 * shift))) }
    text.append(cid.digest)
    return SipHash.hash128(text.readable, key: hashKey)
  }

  private static func files(at path: String) throws(CARStoreError) -> [String] {
    do throws(Fault) {
      let names = try Folder.names(in: path)
      let prefix = path.hasSuffix("/") ? path : path + "/"
      return names.filter { $0.hasSuffix(".car") }.sorted().map { prefix + $0 }
    } catch {
      // What is no folder is a file; opening it says what else may be wrong.
      return [path]
    }
  }
}
