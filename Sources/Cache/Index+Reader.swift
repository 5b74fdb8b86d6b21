public import Base
import CLMDB

/// One worker's way to read the index.
///
/// A look-up begins a read transaction where none is open; `endTurn` ends it, so that none outlives a
/// turn of the loop (a pinned one makes the index grow for good).
///
/// A class, so that one look-up may follow another's key while the first's bytes are still read: LMDB
/// allows any number of gets in one transaction.
@safe
public final class IndexReader {
  private let index: Index
  private let transaction: OpaquePointer
  private var isReading = false

  init(_ index: Index) throws(Fault) {
    var begun: OpaquePointer?
    try checkedIndex(
      unsafe mdb_txn_begin(index.environment, nil, UInt32(MDB_RDONLY), &begun))
    guard let transaction = unsafe begun else { throw Fault(.exhausted, .own) }
    unsafe mdb_txn_reset(transaction)
    self.index = index
    unsafe self.transaction = transaction
  }

  deinit {
    unsafe mdb_txn_abort(transaction)
  }

  /// Gives `body` the bytes of a key's record, in place; nil where there is none.
  ///
  /// The caller compares the canonical key. Throws where the index cannot be read.
  public func lookUp<Result>(
    _ key: Digest128, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    var coded = (key.first.littleEndian, key.second.littleEndian)
    return try unsafe withUnsafeMutableBytes(of: &coded) { bytes throws(Fault) in
      try unsafe value(index.databases.objects, bytes, body)
    }
  }

  /// Gives `body` the bytes of a large object's block of slices (see `SliceBlock`), in place.
  public func slices<Result>(
    _ key: Digest128, block number: UInt32, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    var coded = (key.first.littleEndian, key.second.littleEndian, number.bigEndian)
    return try unsafe withUnsafeMutableBytes(of: &coded) { bytes throws(Fault) in
      let used = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<20])
      return try unsafe value(index.databases.slices, used, body)
    }
  }

  /// Ends the turn's read transaction; every turn of a loop that looked something up calls it.
  public func endTurn() {
    guard isReading else { return }
    unsafe mdb_txn_reset(transaction)
    isReading = false
  }

  private func value<Result>(
    _ database: MDB_dbi, _ key: UnsafeMutableRawBufferPointer, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    if !isReading {
      try checkedIndex(unsafe mdb_txn_renew(transaction))
      isReading = true
    }
    var wanted = unsafe MDB_val(mv_size: key.count, mv_data: key.baseAddress)
    var found = unsafe MDB_val()
    let code = unsafe mdb_get(transaction, database, &wanted, &found)
    if code == MDB_NOTFOUND { return nil }
    try checkedIndex(code)
    let bytes = unsafe UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)
    return unsafe body(bytes.bytes)
  }
}
