public import Base
import CLMDB

/// One worker's way to read the index.
///
/// A look-up begins a read transaction where none is open; `endTurn` ends it, so that none outlives a
/// turn of the loop (a pinned one makes the index grow for good). Where the index is closed and opened
/// again meanwhile, the reader changes to the new one at the end of its turn; without an index
/// every look-up is a fault of kind `unavailable`.
///
/// A class, so that one look-up may follow another's key while the first's bytes are still read: LMDB
/// allows any number of gets in one transaction.
public final class IndexReader {
  private let shelf: IndexShelf
  private var epoch: Int
  private var open: ReadTransaction?

  init(_ shelf: IndexShelf) throws(Fault) {
    self.shelf = shelf
    epoch = shelf.epoch
    if let index = shelf.index { open = try ReadTransaction(index) }
  }

  /// Gives `body` the bytes of a key's record, in place; nil where there is none.
  ///
  /// The caller compares the canonical key. Throws where the index cannot be read.
  public func lookUp<Result>(
    _ key: Digest128, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    var coded = (key.first.littleEndian, key.second.littleEndian)
    let open = try current()
    return try unsafe withUnsafeMutableBytes(of: &coded) { bytes throws(Fault) in
      try trusting { () throws(Fault) in
        try unsafe open.value(open.index.databases.objects, bytes, body)
      }
    }
  }

  /// Gives `body` the bytes of a large object's block of slices (see `SliceBlock`), in place.
  ///
  /// Nil where there is none, or what is there is not that block.
  public func slices<Result>(
    _ key: Digest128, block number: UInt32, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    var coded = (key.first.littleEndian, key.second.littleEndian, number.bigEndian)
    let open = try current()
    return try unsafe withUnsafeMutableBytes(of: &coded) { bytes throws(Fault) in
      let used = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<20])
      return try trusting { () throws(Fault) in
        try unsafe open.value(open.index.databases.slices, used) { bytes in
          SliceBlock.isBlock(bytes, number: number) ? body(bytes) : nil
        } ?? nil
      }
    }
  }

  /// Gives `body` the keys and records from a key on, at most `limit` of them, in the index's order.
  ///
  /// - Returns: the last key given, to go on behind it; nil where there was none.
  public func scan(
    after key: Digest128?, limit: Int, _ body: (Digest128, RawSpan) -> Void
  ) throws(Fault) -> Digest128? {
    let open = try current()
    return try trusting { () throws(Fault) in
      try open.scan(open.index.databases.objects, nameBytes: 16, after: key, limit: limit, body)
    }
  }

  /// Gives the keys that have bytes on the disk which no record names, some more than once; as `scan` does.
  public func scanOrphans(
    after key: Digest128?, limit: Int, _ body: (Digest128) -> Void
  ) throws(Fault) -> Digest128? {
    let open = try current()
    return try trusting { () throws(Fault) in
      let orphans = open.index.databases.orphans
      return try open.scan(orphans, nameBytes: 24, after: key, limit: limit) { key, _ in body(key) }
    }
  }

  /// Ends the turn's read transaction; every turn of a loop that looked something up calls it.
  public func endTurn() {
    open?.reset()
    if epoch != shelf.epoch { change() }
  }

  private func change() {
    open = nil
    epoch = shelf.epoch
    guard let index = shelf.index else { return }
    do throws(Fault) {
      open = try ReadTransaction(index)
    } catch {
      // Tried again at the end of the next turn: no epoch is below 0.
      epoch = -1
    }
  }

  private func current() throws(Fault) -> ReadTransaction {
    guard let open else { throw Fault(.unavailable, .disk) }
    return open
  }

  /// Tells the writer of an index that no writer of ours has left so, or that gives nothing any more.
  private func trusting<Result>(
    _ body: () throws(Fault) -> Result
  ) throws(Fault) -> Result {
    do throws(Fault) {
      return try body()
    } catch {
      shelf.suspect(error)
      throw error
    }
  }
}

/// A read transaction of one index, begun anew for each turn.
@safe
private final class ReadTransaction {
  let index: Index
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

  func reset() {
    guard isReading else { return }
    unsafe mdb_txn_reset(transaction)
    isReading = false
  }

  private func begin() throws(Fault) {
    if isReading { return }
    try checkedIndex(unsafe mdb_txn_renew(transaction))
    isReading = true
  }

  func value<Result>(
    _ database: MDB_dbi, _ key: UnsafeMutableRawBufferPointer, _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    try begin()
    var wanted = unsafe MDB_val(mv_size: key.count, mv_data: key.baseAddress)
    var found = unsafe MDB_val()
    let code = unsafe mdb_get(transaction, database, &wanted, &found)
    if code == MDB_NOTFOUND { return nil }
    try checkedIndex(code)
    let bytes = unsafe UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)
    return unsafe body(bytes.bytes)
  }

  func scan(
    _ database: MDB_dbi, nameBytes: Int, after key: Digest128?, limit: Int,
    _ body: (Digest128, RawSpan) -> Void
  ) throws(Fault) -> Digest128? {
    try begin()
    var opened: OpaquePointer?
    try checkedIndex(unsafe mdb_cursor_open(transaction, database, &opened))
    guard let cursor = unsafe opened else { throw Fault(.exhausted, .own) }
    defer { unsafe mdb_cursor_close(cursor) }
    var coded = (key?.first.littleEndian ?? 0, key?.second.littleEndian ?? 0)
    var last: Digest128?
    var found = unsafe MDB_val()
    var value = unsafe MDB_val()
    var code = unsafe withUnsafeMutableBytes(of: &coded) { bytes in
      unsafe found = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
      return unsafe mdb_cursor_get(cursor, &found, &value, MDB_SET_RANGE)
    }
    var given = 0
    while code == 0 && given < limit {
      let name = unsafe UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size).bytes
      if name.byteCount == nameBytes {
        let place = Digest128(first: name.integer(at: 0), second: name.integer(at: 8))
        if place != key {
          let bytes = unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
          unsafe body(place, bytes.bytes)
          last = place
          given += 1
        }
      }
      code = unsafe mdb_cursor_get(cursor, &found, &value, MDB_NEXT)
    }
    // Whoever goes on from it would go round in circles.
    if let key, let last, !key.isListed(before: last) { throw Fault(.corrupt, .disk) }
    if code != 0 && code != MDB_NOTFOUND { try checkedIndex(code) }
    return last
  }
}

extension Digest128 {
  /// Whether the index has this key before another: it compares their bytes from the first on.
  fileprivate func isListed(before other: Digest128) -> Bool {
    let (mine, others) = (first.littleEndian.bigEndian, other.first.littleEndian.bigEndian)
    return mine != others
      ? mine < others : second.littleEndian.bigEndian < other.second.littleEndian.bigEndian
  }
}
