import Base
import CLMDB

/// How much of its file an index needs; read while no process has it open.
struct IndexUsage {
  private(set) var pageSize = 0
  private(set) var mapBytes = 0
  /// Pages that the file holds, and those of them that are on the free list.
  private(set) var pages = 0
  private(set) var freePages = 0
  /// Records, and how many pages a look-up goes through.
  private(set) var objects = 0
  private(set) var depth = 0

  /// - Parameter folder: the cache's.
  init(folder: String) throws(Fault) {
    var environment: OpaquePointer?
    try Self.check(unsafe mdb_env_create(&environment))
    defer { unsafe mdb_env_close(environment) }
    try Self.check(unsafe mdb_env_set_maxdbs(environment, 8))
    try Self.check(
      unsafe mdb_env_open(environment, folder + "/index", UInt32(MDB_RDONLY), 0o640))
    var info = unsafe MDB_envinfo()
    try Self.check(unsafe mdb_env_info(environment, &info))
    unsafe pages = Int(clamping: info.me_last_pgno) + 1
    unsafe mapBytes = Int(clamping: info.me_mapsize)
    var transaction: OpaquePointer?
    try Self.check(unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction))
    defer { unsafe mdb_txn_abort(transaction) }
    var database: MDB_dbi = 0
    try Self.check(unsafe mdb_dbi_open(transaction, "objects", 0, &database))
    var stat = MDB_stat()
    try Self.check(unsafe mdb_stat(transaction, database, &stat))
    pageSize = Int(stat.ms_psize)
    objects = Int(clamping: stat.ms_entries)
    depth = Int(stat.ms_depth)
    var cursor: OpaquePointer?
    try Self.check(unsafe mdb_cursor_open(transaction, 0, &cursor))
    defer { unsafe mdb_cursor_close(cursor) }
    var key = unsafe MDB_val()
    var value = unsafe MDB_val()
    while unsafe mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0 {
      // Each value of the free list starts with how many page numbers follow.
      if unsafe value.mv_size >= 8 {
        freePages += unsafe Int(clamping: value.mv_data.loadUnaligned(as: UInt64.self))
      }
    }
  }

  private static func check(_ code: Int32) throws(Fault) {
    if code != 0 { throw Fault(.io, .disk, errno: code) }
  }
}
