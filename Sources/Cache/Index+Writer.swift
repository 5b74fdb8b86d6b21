import Base
import CLMDB
import System

/// The write transaction of the index, with typed values; only the cache writer has one.
@safe
struct IndexTransaction: RecordTables {
  private let transaction: OpaquePointer
  private(set) var databases: Index.Databases

  /// Begins a transaction, runs `body` and commits; aborts where something throws.
  static func run<Result>(
    _ environment: OpaquePointer, _ databases: Index.Databases,
    _ body: (inout IndexTransaction) throws(Fault) -> Result
  ) throws(Fault) -> Result {
    var begun: OpaquePointer?
    try checkedIndex(unsafe mdb_txn_begin(environment, nil, 0, &begun), mayLackMemory: true)
    guard let transaction = unsafe begun else { throw Fault(.exhausted, .own) }
    var tables = unsafe IndexTransaction(transaction: transaction, databases: databases)
    let result: Result
    do throws(Fault) {
      result = try body(&tables)
    } catch {
      unsafe mdb_txn_abort(transaction)
      throw error
    }
    // A failed commit has ended the transaction too.
    try checkedIndex(unsafe mdb_txn_commit(transaction), mayLackMemory: true)
    return result
  }

  /// Runs `body` in a transaction that reads the numbers of the index itself; nil where there are none.
  static func reading<Result>(
    _ environment: OpaquePointer, _ body: (IndexTransaction) throws(Fault) -> Result?
  ) throws(Fault) -> Result? {
    var begun: OpaquePointer?
    try checkedIndex(
      unsafe mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &begun), mayLackMemory: true)
    guard let transaction = unsafe begun else { throw Fault(.exhausted, .own) }
    defer { unsafe mdb_txn_abort(transaction) }
    var tables = unsafe IndexTransaction(transaction: transaction, databases: Index.Databases())
    let code = unsafe mdb_dbi_open(transaction, "meta", 0, &tables.databases.meta)
    if code == MDB_NOTFOUND { return nil }
    try checkedIndex(code)
    return try body(tables)
  }

  private init(transaction: OpaquePointer, databases: Index.Databases) {
    unsafe self.transaction = transaction
    self.databases = databases
  }

  mutating func openDatabases() throws(Fault) {
    let create = UInt32(MDB_CREATE)
    try checkedIndex(unsafe mdb_dbi_open(transaction, "meta", create, &databases.meta))
    try checkedIndex(unsafe mdb_dbi_open(transaction, "objects", create, &databases.objects))
    try checkedIndex(unsafe mdb_dbi_open(transaction, "slices", create, &databases.slices))
    try checkedIndex(unsafe mdb_dbi_open(transaction, "segments", create, &databases.segments))
    try checkedIndex(unsafe mdb_dbi_open(transaction, "orphans", create, &databases.orphans))
    try checkedIndex(unsafe mdb_dbi_open(transaction, "erasures", create, &databases.erasures))
  }

  // MARK: Numbers of the index itself

  enum Number: String {
    case format, sequence, life, secretFirst, secretSecond
    /// The next segment's number.
    case nextSegment
    /// Lives that ended without a word soon after they began.
    case uncleanExits
    /// 1 after a life that was closed in order, so that its open segment may be appended to.
    case closed
  }

  /// Throws `corrupt` where what is there was not written as it is.
  func number(_ name: Number) throws(Fault) -> UInt64? {
    let key = Array(name.rawValue.utf8)
    let found = try value(databases.meta, key) { bytes -> UInt64? in
      // The format's number is bare in every format, so that each can tell the others.
      if name == .format { return bytes.byteCount == 8 ? bytes.integer(at: 0) : nil }
      return SealedNumber.decoded(bytes, key)
    }
    guard let found else { return nil }
    guard let number = found else { throw Fault(.corrupt, .disk) }
    return number
  }

  func set(_ name: Number, _ number: UInt64) throws(Fault) {
    let key = Array(name.rawValue.utf8)
    var bytes: [UInt8] = []
    if name == .format {
      bytes.append(littleEndian: number)
    } else {
      bytes = SealedNumber.encoded(number, key)
    }
    try put(databases.meta, key, bytes)
  }

  /// Checks the format and counts a life; makes what a new index starts with.
  ///
  /// Throws `mismatch` for another format, `unavailable` after too many unclean exits.
  func beginLife(_ lineage: Index.Lineage? = nil) throws(Fault) -> (secret: SipKey, life: UInt64) {
    guard let format = try number(.format) else {
      // An environment with content but no format is somebody else's.
      guard try count(databases.objects) == 0, try count(databases.meta) == 0 else {
        throw Fault(.mismatch, .disk)
      }
      let secret = if let lineage { lineage.secret } else { try SipKey.random() }
      try set(.format, Index.format)
      try set(.secretFirst, secret.first)
      try set(.secretSecond, secret.second)
      try set(.nextSegment, 1)
      try set(.sequence, 0)
      return try beginLife(lineage)
    }
    guard format == Index.format, let first = try number(.secretFirst),
      let second = try number(.secretSecond)
    else { throw Fault(.mismatch, .disk) }
    let unclean = try number(.uncleanExits) ?? 0
    guard unclean < Index.uncleanLimit else { throw Fault(.unavailable, .disk) }
    let secret = SipKey(first: first, second: second)
    // Within a process keys stay what they are.
    if let lineage, lineage.life > 0, secret != lineage.secret { throw Fault(.mismatch, .disk) }
    let life = max(try number(.life) ?? 0, lineage?.life ?? 0) &+ 1
    try set(.life, life)
    // Taken back once this life has lasted a while, or ends in order. To be opened again by the same process
    // is no exit.
    if (lineage?.life ?? 0) == 0 { try set(.uncleanExits, unclean + 1) }
    return (secret, life)
  }

  func advanceSequence() throws(Fault) -> UInt64 {
    let next = (try number(.sequence) ?? 0) &+ 1
    try set(.sequence, next)
    return next
  }

  // MARK: Records and blocks

  func record(_ key: Digest128) throws(Fault) -> Record? {
    try value(databases.objects, Self.coded(key)) { Record($0) } ?? nil
  }

  func summary(_ key: Digest128) throws(Fault) -> RecordSummary? {
    try value(databases.objects, Self.coded(key)) { RecordSummary($0) } ?? nil
  }

  func put(_ record: Record, _ key: Digest128) throws(Fault) {
    guard let bytes = record.encoded() else { throw Fault(.malformed, .own) }
    try put(databases.objects, Self.coded(key), bytes)
  }

  func removeRecord(_ key: Digest128) throws(Fault) {
    try remove(databases.objects, Self.coded(key))
  }

  func block(_ key: Digest128, _ number: UInt32) throws(Fault) -> SliceBlock? {
    try value(databases.slices, Self.coded(key, number)) { SliceBlock($0, number: number) } ?? nil
  }

  func put(_ block: SliceBlock, _ key: Digest128, _ number: UInt32) throws(Fault) {
    try put(databases.slices, Self.coded(key, number), block.encoded(number: number))
  }

  func removeBlock(_ key: Digest128, _ number: UInt32) throws(Fault) {
    try remove(databases.slices, Self.coded(key, number))
  }

  func anyBlock(of key: Digest128) throws(Fault) -> UInt32? {
    let prefix = Self.coded(key)
    guard let found = try keyAtOrAfter(databases.slices, prefix), found.count == 20,
      found.starts(with: prefix)
    else { return nil }
    return Self.bigEndian(found, at: 16)
  }

  var recordCount: Int {
    get throws(Fault) { try count(databases.objects) }
  }

  /// A key's 16 bytes, in one allocation: there are several of them in each record's life.
  static func coded(_ key: Digest128) -> [UInt8] { coded(key, nil) }

  static func coded(_ key: Digest128, _ number: UInt32?) -> [UInt8] {
    unsafe [UInt8](unsafeUninitializedCapacity: 20) { buffer, count in
      let bytes = UnsafeMutableRawBufferPointer(buffer)
      unsafe bytes.storeBytes(of: key.first.littleEndian, as: UInt64.self)
      unsafe bytes.storeBytes(of: key.second.littleEndian, toByteOffset: 8, as: UInt64.self)
      count = 16
      guard let number else { return }
      unsafe bytes.storeBytes(of: number.bigEndian, toByteOffset: 16, as: UInt32.self)
      count = 20
    }
  }

  static func bigEndian(_ number: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: number >> $0) }
  }

  static func bigEndian(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  // MARK: LMDB

  func value<Result>(
    _ database: MDB_dbi, _ key: [UInt8], _ body: (RawSpan) -> Result
  ) throws(Fault) -> Result? {
    var key = key
    var found = unsafe MDB_val()
    let code = unsafe key.withUnsafeMutableBytes { bytes in
      var wanted = unsafe MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
      return unsafe mdb_get(transaction, database, &wanted, &found)
    }
    if code == MDB_NOTFOUND { return nil }
    try checkedIndex(code)
    let value = unsafe UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size)
    return unsafe body(value.bytes)
  }

  func put(_ database: MDB_dbi, _ key: [UInt8], _ value: [UInt8]) throws(Fault) {
    var key = key
    var value = value
    let code = unsafe key.withUnsafeMutableBytes { keyBytes in
      unsafe value.withUnsafeMutableBytes { valueBytes in
        var coded = unsafe MDB_val(mv_size: keyBytes.count, mv_data: keyBytes.baseAddress)
        var data = unsafe MDB_val(mv_size: valueBytes.count, mv_data: valueBytes.baseAddress)
        return unsafe mdb_put(transaction, database, &coded, &data, 0)
      }
    }
    try checkedIndex(code)
  }

  func remove(_ database: MDB_dbi, _ key: [UInt8]) throws(Fault) {
    var key = key
    let code = unsafe key.withUnsafeMutableBytes { bytes in
      var coded = unsafe MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
      return unsafe mdb_del(transaction, database, &coded, nil)
    }
    if code != MDB_NOTFOUND { try checkedIndex(code) }
  }

  /// The first key at or after one.
  func keyAtOrAfter(_ database: MDB_dbi, _ key: [UInt8]) throws(Fault) -> [UInt8]? {
    var cursor: OpaquePointer?
    try checkedIndex(unsafe mdb_cursor_open(transaction, database, &cursor))
    defer { unsafe mdb_cursor_close(cursor) }
    var key = key
    // LMDB points the key it is given at the key it found.
    var found = unsafe MDB_val()
    let code = unsafe key.withUnsafeMutableBytes { bytes in
      unsafe found = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
      var value = unsafe MDB_val()
      return unsafe mdb_cursor_get(cursor, &found, &value, MDB_SET_RANGE)
    }
    if code == MDB_NOTFOUND { return nil }
    try checkedIndex(code)
    let next = unsafe [UInt8](UnsafeRawBufferPointer(start: found.mv_data, count: found.mv_size))
    // Whoever goes on from it would go round in circles.
    if next.lexicographicallyPrecedes(key) { throw Fault(.corrupt, .disk) }
    return next
  }

  func count(_ database: MDB_dbi) throws(Fault) -> Int {
    var stat = MDB_stat()
    try checkedIndex(unsafe mdb_stat(transaction, database, &stat))
    return Int(clamping: stat.ms_entries)
  }
}

extension SipKey {
  static func random() throws(Fault) -> SipKey {
    let bytes = try SystemRandom.bytes(16)
    return SipKey(first: bytes.rawBytes.integer(at: 0), second: bytes.rawBytes.integer(at: 8))
  }
}
