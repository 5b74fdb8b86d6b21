import Base
import CLMDB
import System

extension Index {
  /// What a process must go by that begins without the index of a folder, and finds it later; nil where there
  /// is none to find.
  ///
  /// Writes nothing, so that it can be told of a disk that takes nothing. Throws where the index cannot
  /// be read, or is not one of ours.
  static func lineage(in folder: String) throws(Fault) -> Lineage? {
    let path = folder + "/" + folderName
    do throws(Fault) {
      // One that could not even be made has less than LMDB's two head pages.
      guard try File(path: path + "/data.mdb", .read).size() >= 2 * SegmentLayout.page else {
        return nil
      }
    } catch {
      if error.errno == SystemError.notFound { return nil }
      throw error
    }
    guard try !isShort(path) else { throw Fault(.corrupt, .disk) }
    var created: OpaquePointer?
    try checkedIndex(unsafe mdb_env_create(&created), mayLackMemory: true)
    guard let environment = unsafe created else { throw Fault(.exhausted, .own) }
    defer { unsafe mdb_env_close(environment) }
    try checkedIndex(unsafe mdb_env_set_maxdbs(environment, 8))
    let flags = UInt32(MDB_RDONLY | MDB_NOLOCK | MDB_NORDAHEAD)
    try checkedIndex(unsafe mdb_env_open(environment, path, flags, 0o640), mayLackMemory: true)
    return try unsafe IndexTransaction.lineage(environment)
  }
}

extension IndexTransaction {
  /// Nil where the environment is empty.
  fileprivate static func lineage(_ environment: OpaquePointer) throws(Fault) -> Index.Lineage? {
    try unsafe reading(environment) { tables throws(Fault) in
      guard let format = try tables.number(.format) else { return nil }
      guard format == Index.format, let first = try tables.number(.secretFirst),
        let second = try tables.number(.secretSecond)
      else { throw Fault(.mismatch, .disk) }
      return Index.Lineage(
        secret: SipKey(first: first, second: second), life: try tables.number(.life) ?? 0)
    }
  }
}
