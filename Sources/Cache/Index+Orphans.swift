import Base

/// Bytes on the disk that no record names: those of a key that lost their place, and those to be erased.
///
/// `orphans`: key (16 bytes), segment and offset (4 each, big endian) to the count (`SealedNumber`).
/// `erasures`: segment and offset to the count.
extension IndexTransaction {
  func noteOrphan(_ bytes: StoredBytes, of key: Digest128) throws(Fault) {
    try note(bytes, databases.orphans, Self.coded(key) + Self.place(bytes))
  }

  func takeOrphans(
    of key: Digest128, in segment: UInt32? = nil
  ) throws(Fault) -> [StoredBytes] {
    // As a rule there are none at all.
    guard try count(databases.orphans) > 0 else { return [] }
    let prefix = Self.coded(key) + (segment.map(Self.bigEndian) ?? [])
    var found: [StoredBytes] = []
    var last: [UInt8]?
    while let next = try keyAtOrAfter(databases.orphans, prefix), next.starts(with: prefix) {
      // What was removed and is found again cannot be.
      if next == last { throw Fault(.corrupt, .disk) }
      last = next
      if let bytes = try stored(databases.orphans, next, placeAt: 16) { found.append(bytes) }
      try remove(databases.orphans, next)
    }
    return found
  }

  func noteErasure(_ bytes: StoredBytes) throws(Fault) {
    try note(bytes, databases.erasures, Self.place(bytes))
  }

  func removeErasure(_ bytes: StoredBytes) throws(Fault) {
    try remove(databases.erasures, Self.place(bytes))
  }

  /// All that is to be erased.
  func erasures() throws(Fault) -> [StoredBytes] {
    var all: [StoredBytes] = []
    var from = [UInt8](repeating: 0, count: 8)
    while let next = try keyAtOrAfter(databases.erasures, from) {
      if let bytes = try stored(databases.erasures, next, placeAt: 0) { all.append(bytes) }
      from = next + [0]
    }
    return all
  }

  private func stored(
    _ database: UInt32, _ key: [UInt8], placeAt start: Int
  ) throws(Fault) -> StoredBytes? {
    guard key.count == start + 8,
      let count = try value(
        database, key, { SealedNumber.decoded($0, key).flatMap { Int(exactly: $0) } }
      ) ?? nil
    else { return nil }
    return StoredBytes(
      segment: Self.bigEndian(key, at: start), offset: Self.bigEndian(key, at: start + 4),
      count: count)
  }

  private func note(_ bytes: StoredBytes, _ database: UInt32, _ key: [UInt8]) throws(Fault) {
    try put(database, key, SealedNumber.encoded(UInt64(bytes.count), key))
  }

  private static func place(_ bytes: StoredBytes) -> [UInt8] {
    bigEndian(bytes.segment) + bigEndian(bytes.offset)
  }

}
