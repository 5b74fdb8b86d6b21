public import Base
import CLMDB
import System

/// The map from hashed keys to records: an LMDB environment with six databases.
///
/// `meta` holds numbers of the index itself, `objects` records by key (16 bytes), `slices` blocks by key
/// and block number (20), `segments` the segment files by number, `orphans` bytes of a key that no
/// record names any more, `erasures` bytes that are to be taken off the disk. Any thread reads through an
/// `IndexReader` of its own; only the cache writer writes. The environment's handle is LMDB's to
/// share, which is what makes sharing this class safe.
@safe
public final class Index: @unchecked Sendable {
  struct Databases {
    var meta: MDB_dbi = 0
    var objects: MDB_dbi = 0
    var slices: MDB_dbi = 0
    var segments: MDB_dbi = 0
    var orphans: MDB_dbi = 0
    var erasures: MDB_dbi = 0
  }

  /// What an index takes over from the one before it in the same process, or from a test.
  struct Lineage {
    /// What a new index hashes with.
    var secret: SipKey
    /// Stamps of this life are out, the index's own life must be a later one; 0 where there was none.
    var life: UInt64 = 0
  }

  let environment: OpaquePointer
  /// The file that LMDB writes.
  private let path: String
  /// What the disk has not set aside of the room for the whole map; nil where it has it all.
  public let shortage: Shortage?
  let databases: Databases
  /// The secret that keys are hashed with; it lives as long as the index.
  public let secret: SipKey
  /// How often this index has been opened; part of every stamp.
  public let life: UInt64
  /// Bytes of the map, all of which count.
  public let mapBytes: Int
  /// What write transactions meet, in tests; set before the first.
  var faults: DiskFaults?

  static let format: UInt64 = 2
  /// LMDB's word for an environment that must be opened again.
  static let panic = MDB_PANIC
  /// LMDB's word for a map without a free page.
  static let mapFull = MDB_MAP_FULL
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
    /// The process ended three times soon after opening it, and had not committed anything.
    case uncleanExits
    /// The process died three times by a fault of its own soon after opening it.
    case crashes
    /// More of it is in use than `max_size` leaves room for beside segments.
    case tooLarge
    /// It stayed full when every segment had left: of records that no segment names any more.
    case full
    /// A reader or the writer met what cannot be in an index.
    case damaged

    /// Only what the file's content says: a full disk or a lack of rights is no reason.
    init?(_ fault: Fault) {
      switch fault.kind {
      case .corrupt: self = .unreadable
      case .mismatch: self = .foreign
      case .unavailable: self = .uncleanExits
      // Not even the opening finds a page: `max_size` was larger once, or the head page is damaged.
      case .exhausted where fault.errno == Index.mapFull: self = .tooLarge
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

  /// Room that the index may want one day, and that nobody keeps for it.
  public struct Shortage: Equatable, Sendable {
    /// Bytes beside those that its file has.
    public var needed: Int
    /// Bytes that were free on the disk; nil where it does not say.
    public var free: Int?
  }

  public struct SetAside: Equatable, Sendable {
    public var name: String
    public var why: Suspicion
  }

  /// Opens the index in a cache's folder, or makes it.
  ///
  /// One that cannot be used, or is distrusted, is renamed to `index.aside-<wallSeconds>`, and a new one
  /// is begun. An index aside is kept for one life: an opening that finds nothing wrong removes it.
  /// Throws where the folder refuses that.
  static func open(
    folder: String, mapBytes: Int, wallSeconds: Int64, lineage: Lineage? = nil,
    distrust: Suspicion? = nil
  ) throws(Fault) -> Opening {
    let path = folder + "/" + folderName
    var why = distrust
    if why == nil {
      do throws(Fault) {
        try create(path)
        let index = try Index(path: path, mapBytes: mapBytes, lineage)
        removeAsides(in: folder)
        return Opening(index: index, setAside: nil)
      } catch {
        guard let found = Suspicion(error) else { throw error }
        why = found
      }
    }
    removeAsides(in: folder)
    let name = "\(folderName).aside-\(wallSeconds)"
    if Folder.exists(path) { try Folder.rename(path, to: folder + "/" + name) }
    try create(path)
    let index = try Index(path: path, mapBytes: mapBytes, lineage)
    return Opening(index: index, setAside: why.map { SetAside(name: name, why: $0) })
  }

  /// Removes what earlier lives have set aside; what cannot be removed hinders nobody.
  static func removeAsides(in folder: String) {
    for name in (try? Folder.names(in: folder)) ?? [] where name.hasPrefix(folderName + ".aside-") {
      try? Folder.removeAll(folder + "/" + name)
    }
  }

  /// Bytes of an index that was set aside; they count as long as it is there.
  static func asideBytes(in folder: String) -> Int {
    let names = (try? Folder.names(in: folder)) ?? []
    return names.filter { $0.hasPrefix(folderName + ".aside-") }
      .reduce(0) { $0 + ((try? Folder.usedBytes(folder + "/" + $1 + "/data.mdb")) ?? 0) }
  }

  private static func create(_ path: String) throws(Fault) {
    do throws(Fault) {
      try Folder.create(path)
    } catch {
      // ENOTDIR: something else has the index's name.
      throw error.errno == SystemError.notFolder
        ? Fault(.corrupt, .disk, errno: SystemError.notFolder) : error
    }
  }

  private init(path: String, mapBytes: Int, _ lineage: Lineage?) throws(Fault) {
    let environment = try unsafe Self.openEnvironment(path: path, mapBytes: mapBytes)
    do throws(Fault) {
      var cleared: Int32 = 0
      try checkedIndex(unsafe mdb_reader_check(environment, &cleared))
      var info = unsafe MDB_envinfo()
      var stat = MDB_stat()
      unsafe mdb_env_info(environment, &info)
      unsafe mdb_env_stat(environment, &stat)
      // A file shorter than its pages would be a SIGBUS at the first read. A new one has two.
      let file = try File(path: path + "/data.mdb", .readWrite)
      let pages = unsafe Int(clamping: info.me_last_pgno) + 1
      guard try file.size() / Int(stat.ms_psize) >= pages else { throw Fault(.corrupt, .disk) }
      self.mapBytes = unsafe Int(clamping: info.me_mapsize)
      // All of the map counts; taken at once it cannot be missing later. Not every file system can.
      // Beyond its end lies what a larger max_size had reserved.
      if try Folder.usedBytes(path + "/data.mdb") > self.mapBytes {
        try file.truncate(bytes: try file.size())
      }
      shortage = Self.reserve(file, path: path + "/data.mdb", bytes: self.mapBytes)
      self.path = path + "/data.mdb"
      (databases, secret, life) = try unsafe Self.begin(environment, lineage)
    } catch {
      unsafe mdb_env_close(environment)
      throw error
    }
    unsafe self.environment = environment
  }

  deinit {
    unsafe mdb_env_close(environment)
  }

  /// Takes room for the whole map, or none.
  ///
  /// A part of it would leave the disk full, and neither segments nor the index itself any room.
  private static func reserve(_ file: borrowing File, path: String, bytes: Int) -> Shortage? {
    do throws(Fault) {
      let needed = max(0, bytes - (try Folder.usedBytes(path)))
      let free = try? Folder.space(at: path).free
      if free.map({ $0 >= needed }) ?? true, (try? file.reserve(bytes: bytes)) != nil { return nil }
      // What this try took, or one of an earlier life.
      try file.truncate(bytes: try file.size())
      return Shortage(needed: needed, free: free)
    } catch {
      return Shortage(needed: bytes, free: nil)
    }
  }

  private static func openEnvironment(
    path: String, mapBytes: Int
  ) throws(Fault) -> OpaquePointer {
    var created: OpaquePointer?
    try checkedIndex(unsafe mdb_env_create(&created), mayLackMemory: true)
    guard let environment = unsafe created else { throw Fault(.exhausted, .own) }
    do throws(Fault) {
      try checkedIndex(unsafe mdb_env_set_maxdbs(environment, 8))
      try checkedIndex(unsafe mdb_env_set_maxreaders(environment, readers))
      try checkedIndex(unsafe mdb_env_set_mapsize(environment, mapBytes))
      // NOMETASYNC: a power cut may lose the last commit, never the index.
      let flags = UInt32(MDB_NOMETASYNC | MDB_NORDAHEAD | MDB_NOTLS)
      // LMDB keeps its readers' table in a mapped file beside the data. On the disk each write-back
      // would make the next look-up's store wait for the file system, and a disk that stands still would
      // stop the workers: so it lies in memory. Other processes are kept out by the cache's own lock.
      let table = try File(inMemory: "sluice-readers")
      // Whatever has that name.
      try Folder.removeAll(path + "/lock.mdb")
      try table.link(at: path + "/lock.mdb")
      let code = unsafe mdb_env_open(environment, path, flags, 0o640)
      try Folder.remove(file: path + "/lock.mdb")
      // EISDIR: a folder has the file's name. ENOMEM: LMDB maps as much as the file says is in use.
      if code == 21 || (code == SystemError.noMemory && (try? isShort(path)) == true) {
        throw Fault(.corrupt, .disk, errno: code)
      }
      try checkedIndex(code, mayLackMemory: true)
    } catch {
      unsafe mdb_env_close(environment)
      throw error
    }
    return unsafe environment
  }

  /// Whether one of the file's two head pages says that more pages are in use than it has.
  static func isShort(_ path: String) throws(Fault) -> Bool {
    let file = try File(path: path + "/data.mdb", .read)
    let pages = UInt64(try file.size() / SegmentLayout.page)
    for head in 0..<2 {
      var last: UInt64 = 0
      _ = try unsafe withUnsafeMutableBytes(of: &last) { buffer throws(Fault) in
        try unsafe file.read(at: head * SegmentLayout.page + 136, into: buffer)
      }
      if UInt64(littleEndian: last) >= pages { return true }
    }
    return false
  }

  /// Opens the databases, checks the format, and counts this life.
  private static func begin(
    _ environment: OpaquePointer, _ lineage: Lineage?
  ) throws(Fault) -> (Databases, SipKey, UInt64) {
    try unsafe IndexTransaction.run(environment, Databases()) { tables throws(Fault) in
      try tables.openDatabases()
      let (secret, life) = try tables.beginLife(lineage)
      return (tables.databases, secret, life)
    }
  }

  /// Runs `body` in the write transaction and commits, or leaves everything as it was and throws.
  ///
  /// For the cache writer's thread only; calls do not nest.
  func write<Result>(
    _ body: (inout IndexTransaction) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    try faults?.before(.commit)
    return try unsafe IndexTransaction.run(environment, databases, body)
  }

  /// A reader for one thread.
  public func reader() throws(Fault) -> IndexReader {
    try IndexReader(IndexShelf(self))
  }

  /// Whether the index's file is still where it was opened: somebody may have removed the folder.
  func isInPlace() -> Bool {
    var descriptor: Int32 = -1
    unsafe mdb_env_get_fd(environment, &descriptor)
    // Where nobody can tell nothing has been removed.
    return (try? FileReference(descriptor: descriptor).isAt(path)) ?? true
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
///
/// - Parameter mayLackMemory: Whether the call takes much memory; else ENOMEM is of a list of free pages that says
///   it were longer than anything can be.
func checkedIndex(_ code: Int32, mayLackMemory: Bool = false) throws(Fault) {
  switch code {
  case 0: return
  case SystemError.noMemory where mayLackMemory: throw Fault(.io, .disk, errno: code)
  // From CURSOR_FULL on they too are only met where LMDB's file is damaged: a tree too deep, a page with
  // less room than it says, a database whose flags or keys are not those that we gave it, more pages in
  // use than the map had at its opening, a root that is no page (which LMDB finds out when it meets the
  // database, and tells with whatever comes next), a free page whose number no file can have (EINVAL, EFBIG).
  case MDB_INVALID, MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_PANIC, MDB_CURSOR_FULL, MDB_PAGE_FULL,
    MDB_INCOMPATIBLE, MDB_BAD_VALSIZE, MDB_MAP_RESIZED, MDB_BAD_TXN, SystemError.noMemory, 22, 27:
    throw Fault(.corrupt, .disk, errno: code)
  case MDB_VERSION_MISMATCH: throw Fault(.mismatch, .disk, errno: code)
  case MDB_MAP_FULL, MDB_READERS_FULL, MDB_TXN_FULL, MDB_DBS_FULL:
    throw Fault(.exhausted, .disk, errno: code)
  default: throw Fault(.io, .disk, errno: code)
  }
}
