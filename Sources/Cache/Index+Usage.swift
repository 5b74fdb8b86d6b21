import Base
import CLMDB

extension Index {
  /// The hundredths of the map's pages that are in use, without those on the free list.
  func usedPercent() throws(Fault) -> Int {
    var info = unsafe MDB_envinfo()
    try checkedIndex(unsafe mdb_env_info(environment, &info))
    var stat = MDB_stat()
    try checkedIndex(unsafe mdb_env_stat(environment, &stat))
    let pages = max(1, mapBytes / Int(stat.ms_psize))
    let used = min(unsafe Int(clamping: info.me_last_pgno), pages) + 1
    // The free list is only walked when it matters.
    if used * 100 / pages < DiskWriter.fullPercent { return used * 100 / pages }
    return try max(0, used - freePages()) * 100 / pages
  }

  /// Pages on the free list; LMDB shows it to read transactions alone.
  func freePages() throws(Fault) -> Int {
    var begun: OpaquePointer?
    try checkedIndex(unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun))
    guard let transaction = unsafe begun else { throw Fault(.exhausted, .own) }
    defer { unsafe mdb_txn_abort(transaction) }
    var cursor: OpaquePointer?
    // Database 0 is LMDB's own list: each value starts with how many page numbers follow.
    try checkedIndex(unsafe mdb_cursor_open(transaction, 0, &cursor))
    defer { unsafe mdb_cursor_close(cursor) }
    var total = 0
    var key = unsafe MDB_val()
    var value = unsafe MDB_val()
    while true {
      let code = unsafe mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
      if code == MDB_NOTFOUND { return total }
      try checkedIndex(code)
      let bytes = unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
      guard bytes.count >= 8 else { continue }
      let count = unsafe Int(clamping: bytes.bytes.integer(at: 0) as UInt64)
      guard count < bytes.count / 8 else { throw Fault(.corrupt, .disk) }
      total += count
    }
  }
}
