public import Base
import CLMDB
import System

/// The map from hashed keys to records: an LMDB environment with four databases.
///
/// `meta` holds numbers of the index itself, `objects` records by key (16 bytes), `slices` blocks by key
/// and block number (20), `segments` the segment files by number. Any thread reads through an
/// `IndexReader` of its own; only the cache writer writes. The environment's handle is LMDB's to
/// share, which is what makes sharing this class safe.
@safe
public final class Index: @unchecked Sendable {
  struct Databases {
    var meta: MDB_dbi = 0
    var objects: MDB_dbi = 0
    var slices: MDB_dbi = 0
    var segments: MDB_dbi = 0
  }

  let environment: OpaquePointer
  let databases: Databases
  /// The secret that keys are hashed with; it lives as long as the index.
  public let secret: SipKey
  /// How often this index has been opened; part of every stamp.
  public let life: UInt64
  /// Bytes of the map, all of which count.
  public let mapBytes: Int

  static let format: UInt64 = 1
  static let folderName = "index"
  /// Readers at once: a worker has one, and no machine has so many cores.
  static let readers: UInt32 = 512
  /// Exits without `close` soon after opening, one after the other, until the index is suspected.
  static let uncleanLimit: UInt64 = 3

  /// Why an index was set aside.
  public enum Suspicion: String, Sendable {
    /// No LMDB file, a torn one, or one that cannot be read.
    case unreadable
    /// Written by another version, or by something else.
    case foreign
    /// The process ended three times soon after opening it.
    case uncleanExits

    /// Only what the file's content says: a full disk or a lack of rights is no reason.
    init?(_ fault: Fault) {
      switch fault.kind {
      case .corrupt: self = .unreadable
      case .mismatch: self = .foreign
      case .unavailable: self = .uncleanExits
      default: return nil
      }
    }
  }

  /// What opening found.
  public struct Opening: Sendable {
    public var index: Index
    /// The name that an index was set aside under, and why; nil where none was.
    public var setAside: SetAside?
  }

  public struct SetAside: Equatable, Sendable {
    public var name: String
    public var why: Suspicion
  }

  /// Opens the index in a cache's folder, or makes it.
  ///
  /// One that cannot be used is renamed to `index.aside-<wallSeconds>`, and a new one is begun.
  /// Throws where the folder refuses that.
  public static func open(
    folder: String, mapBytes: Int, wallSeconds: Int64
  ) throws(Fault) -> Opening {
    let path = folder + "/" + folderName
    let found: Fault
    do throws(Fault) {
      try create(path)
      return Opening(index: try Index(path: path, mapBytes: mapBytes), setAside: nil)
    } catch {
      found = error
    }
    guard let why = Suspicion(found) else { throw found }
    var name = "\(folderName).aside-\(wallSeconds)"
    var attempt = 1
    while Folder.exists(folder + "/" + name) {
      attempt += 1
      name = "\(folderName).aside-\(wallSeconds)-\(attempt)"
    }
    try Folder.rename(path, to: folder + "/" + name)
    try create(path)
    let index = try Index(path: path, mapBytes: mapBytes)
    return Opening(index: index, setAside: SetAside(name: name, why: why))
  }

  private static func create(_ path: String) throws(Fault) {
    do throws(Fault) {
      try Folder.create(path)
    } catch {
      // ENOTDIR: something else has the index's name.
      throw error.errno == 20 ? Fault(.corrupt, .disk, errno: 20) : error
    }
  }

  private init(path: String, mapBytes: Int) throws(Fault) {
    let environment = try unsafe Self.openEnvironment(path: path, mapBytes: mapBytes)
    do throws(Fault) {
      var cleared: Int32 = 0
      try checkedIndex(unsafe mdb_reader_check(environment, &cleared))
      var info = unsafe MDB_envinfo()
      var stat = MDB_stat()
      unsafe mdb_env_info(environment, &info)
      unsafe mdb_env_stat(environment, &stat)
      // A file shorter than its pages would be a SIGBUS at the first read. A new one has two.
      let size = try File(path: path + "/data.mdb", .read).size()
      let pages = unsafe Int(clamping: info.me_last_pgno) + 1
      guard size / Int(stat.ms_psize) >= pages else { throw Fault(.corrupt, .disk) }
      self.mapBytes = unsafe Int(clamping: info.me_mapsize)
      (databases, secret, life) = try unsafe Self.begin(environment)
    } catch {
      unsafe mdb_env_close(environment)
      throw error
    }
    unsafe self.environment = environment
  }

  deinit {
    unsafe mdb_env_close(environment)
  }

  private static func openEnvironment(
    path: String, mapBytes: Int
  ) throws(Fault) -> OpaquePointer {
    var created: OpaquePointer?
    try checkedIndex(unsafe mdb_env_create(&created))
    guard let environment = unsafe created else { throw Fault(.exhausted, .own) }
    do throws(Fault) {
      try checkedIndex(unsafe mdb_env_set_maxdbs(environment, 8))
      try checkedIndex(unsafe mdb_env_set_maxreaders(environment, readers))
      try checkedIndex(unsafe mdb_env_set_mapsize(environment, mapBytes))
      // NOMETASYNC: a power cut may lose the last commit, never the index.
      let flags = UInt32(MDB_NOMETASYNC | MDB_NORDAHEAD | MDB_NOTLS)
      try checkedIndex(unsafe mdb_env_open(environment, path, flags, 0o640))
    } catch {
      unsafe mdb_env_close(environment)
      throw error
    }
    return unsafe environment
  }

  /// Opens the databases, checks the format, and counts this life.
  private static func begin(
    _ environment: OpaquePointer
  ) throws(Fault) -> (Databases, SipKey, UInt64) {
    try unsafe IndexTransaction.run(environment, Databases()) { tables throws(Fault) in
      try tables.openDatabases()
      let (secret, life) = try tables.beginLife()
      return (tables.databases, secret, life)
    }
  }

  /// Runs `body` in the write transaction and commits, or leaves everything as it was and throws.
  ///
  /// For the cache writer's thread only; calls do not nest.
  func write<Result>(
    _ body: (inout IndexTransaction) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    try unsafe IndexTransaction.run(environment, databases, body)
  }

  /// A reader for one thread.
  public func reader() throws(Fault) -> IndexReader {
    try IndexReader(self)
  }

  /// Frees the places of readers whose process is gone.
  public func clearDeadReaders() {
    var cleared: Int32 = 0
    unsafe mdb_reader_check(environment, &cleared)
  }

  /// The keyed hash of a canonical key.
  public func hash(_ canonicalKey: RawSpan) -> Digest128 {
    SipHash.hash128(canonicalKey, key: secret)
  }
}

/// A result of LMDB, or the fault that it stands for.
func checkedIndex(_ code: Int32) throws(Fault) {
  switch code {
  case 0: return
  case MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC:
    throw Fault(.corrupt, .disk, errno: code)
  case MDB_VERSION_MISMATCH, MDB_INCOMPATIBLE: throw Fault(.mismatch, .disk, errno: code)
  case MDB_MAP_FULL, MDB_READERS_FULL, MDB_TXN_FULL, MDB_DBS_FULL:
    throw Fault(.exhausted, .disk, errno: code)
  default: throw Fault(.io, .disk, errno: code)
  }
}
