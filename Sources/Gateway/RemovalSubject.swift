public import Base
internal import Cache
internal import HTTP
public import IPFS
internal import Router

/// What is to be removed from the cache, by canonical key (see `Router`).
public struct RemovalSubject: Sendable {
  /// One object's canonical key, where it is one.
  let key: [UInt8]?
  /// How many parts receipts tell apart.
  let parts: Int
  private let partOfKey: @Sendable (RawSpan) -> Int?
  /// The part by a CID that content was reached through; nil where keys say it all.
  private let partOfCID: (@Sendable (CID) -> Int?)?
  /// Tells by the record itself that an object is of the only part, where neither key nor CIDs say it.
  var matchesRecord: (@Sendable (RecordView, RawSpan) -> Bool)?
  /// Whether all answers and fills of it are ended before it is looked for, and what is remembered of its absence
  /// is forgotten.
  ///
  /// Where each worker judges by itself whether it may give something, only what still does once nothing of it is
  /// found any more is ended; who waits for an upstream's head is not.
  var endsAnswers = true

  init(
    key: [UInt8]? = nil, parts: Int = 1, partOfKey: @escaping @Sendable (RawSpan) -> Int?,
    partOfCID: (@Sendable (CID) -> Int?)? = nil
  ) {
    self.key = key
    self.parts = parts
    self.partOfKey = partOfKey
    self.partOfCID = partOfCID
  }

  /// One object, by its canonical key.
  public static func object(_ canonicalKey: [UInt8]) -> RemovalSubject {
    RemovalSubject(key: canonicalKey, partOfKey: { $0.equals(canonicalKey.rawBytes) ? 0 : nil })
  }

  /// All that is kept under a CID, in whatever form and at whatever path below it.
  public static func content(_ cid: CID) -> RemovalSubject {
    let place = CanonicalKey.place(of: cid)
    return .all { key in
      key.byteCount > place.count && key.extracting(1..<1 + place.count).equals(place.rawBytes)
    }
  }

  /// Every object whose canonical key `body` says yes to.
  public static func all(where body: @escaping @Sendable (RawSpan) -> Bool) -> RemovalSubject {
    RemovalSubject(partOfKey: { body($0) ? 0 : nil })
  }

  // MARK: Whether something is of it

  /// Whether Etags and fields say more than keys.
  var looksAtHeads: Bool { partOfCID != nil }

  /// Whether an object is, by its canonical key alone.
  func matches(_ canonicalKey: RawSpan) -> Bool { partOfKey(canonicalKey) != nil }

  /// The part that a record is of; nil for none.
  func part(of record: RecordView, _ bytes: RawSpan) -> Int? {
    if let part = partOfKey(bytes.bytes(record.key)) { return part }
    if let matchesRecord, matchesRecord(record, bytes) { return 0 }
    guard let partOfCID else { return nil }
    // It may be of a file that stands for its directory, which is no step of the way there.
    if let cid = Self.cid(inEtag: bytes.bytes(record.etag)), let part = partOfCID(cid) {
      return part
    }
    var part: Int?
    record.forEachField(in: bytes) { name, value in
      if part == nil, bytes.bytes(name).equalsIgnoringCase("x-ipfs-roots") {
        part = self.part(ofRoots: bytes.bytes(value))
      }
    }
    return part
  }

  /// The part that an answer under way is of, by its canonical key, its Etag and its kept fields.
  func part(ofKey key: RawSpan, etag: RawSpan, fields: [Record.Field] = []) -> Int? {
    if key.byteCount > 0, let part = partOfKey(key) { return part }
    guard let partOfCID else { return nil }
    if let cid = Self.cid(inEtag: etag), let part = partOfCID(cid) { return part }
    for field in fields where field.name.rawBytes.equalsIgnoringCase("x-ipfs-roots") {
      if let part = part(ofRoots: field.value.rawBytes) { return part }
    }
    return nil
  }

  /// The part by the CIDs along a path, `root,directory,file` (X-Ipfs-Roots).
  private func part(ofRoots roots: RawSpan) -> Int? {
    guard let partOfCID else { return nil }
    var start = 0
    while start < roots.byteCount {
      let end = roots.first(UInt8(ascii: ","), from: start, to: roots.byteCount)
      if let cid = try? CID.parse(roots.bytes(roots.trimmed(from: start, to: end))),
        let part = partOfCID(cid)
      {
        return part
      }
      start = end + 1
    }
    return nil
  }

  /// The CID that an Etag begins with: `"bafy…"`, `W/"bafy….raw"`.
  private static func cid(inEtag etag: RawSpan) -> CID? {
    let start = etag.first(UInt8(ascii: "\""), from: 0, to: etag.byteCount) + 1
    guard start < etag.byteCount else { return nil }
    let quote = etag.first(UInt8(ascii: "\""), from: start, to: etag.byteCount)
    let end = etag.first(UInt8(ascii: "."), from: start, to: quote)
    return try? CID.parse(etag.extracting(start..<end))
  }
}

/// Subjects that are removed in one go, by content; receipts tell them apart.
///
/// Content is known by its multihash, whatever codec it is read by, and wherever it is reached from: what is kept
/// below another root goes too where its way there (X-Ipfs-Roots) or its Etag names the content. Archives
/// (CARs) of a root above do not tell what is in them.
public struct RemovalBatch: Sendable {
  /// The most subjects that go together; each of them is a key in a table and a receipt.
  public static let maximumCount = 1_000

  /// Places of subjects, by the multihash of their root, with the path below it.
  private var contents: [[UInt8]: Int] = [:]
  private var paths: [[UInt8]: Int] = [:]
  /// The same for directories whose own paths give their index.html, which is a subject.
  private var indexes: [[UInt8]: Int] = [:]
  /// The roots that there are paths below.
  private var roots: Set<[UInt8]> = []
  public private(set) var count = 0

  public init() {}

  /// Adds all content of a CID; its place among the receipts, which is an earlier one's for the same.
  public mutating func add(_ cid: CID) -> Int {
    let hash = Self.multihash(of: cid)
    if let place = contents[hash] { return place }
    contents[hash] = count
    count += 1
    return count - 1
  }

  /// Adds what is at a path below a CID, and all below that.
  ///
  /// An `index.html` is also what its directory's own path gives (web path gateway specification), so that
  /// goes too; not what else is in the directory.
  ///
  /// - Parameter path: decoded, beginning with a slash; a slash at its end means nothing.
  public mutating func add(_ path: [UInt8], below cid: CID) -> Int {
    var path = path[...]
    while path.last == UInt8(ascii: "/") { path.removeLast() }
    if path.isEmpty { return add(cid) }
    let root = Self.multihash(of: cid)
    let whole = root + path
    if let place = paths[whole] { return place }
    roots.insert(root)
    paths[whole] = count
    if path.count >= Self.index.count, path.suffix(Self.index.count).elementsEqual(Self.index) {
      indexes[root + path.dropLast(Self.index.count)] = count
    }
    count += 1
    return count - 1
  }

  private static let index = Array("/index.html".utf8)

  private static func multihash(of cid: CID) -> [UInt8] {
    var hash = ByteBuffer(capacity: 64)
    cid.appendMultihash(to: &hash)
    return hash.readable.array
  }

  var subject: RemovalSubject {
    let contents = contents
    let partOfCID: @Sendable (CID) -> Int? = { cid in contents[Self.multihash(of: cid)] }
    return RemovalSubject(
      parts: count, partOfKey: { key in part(ofKey: key) },
      partOfCID: contents.isEmpty ? nil : partOfCID)
  }

  private func part(ofKey key: RawSpan) -> Int? {
    guard let parts = CanonicalKey.Parts(key) else { return nil }
    let hash = key.bytes(parts.multihash).array
    if let place = contents[hash] { return place }
    guard roots.contains(hash) else { return nil }
    let path = key.bytes(parts.path)
    // Of two paths the one that lies deeper counts: it is what was meant.
    var end = path.byteCount
    while end > 0 {
      if end == path.byteCount || path.byte(end) == UInt8(ascii: "/"),
        let place = paths[hash + path.extracting(0..<end).array]
      {
        return place
      }
      end -= 1
    }
    guard parts.form == .file else { return nil }
    // Paths of directories are asked for with a slash and without.
    end = path.byteCount
    while end > 0, path.byte(end - 1) == UInt8(ascii: "/") { end -= 1 }
    return indexes[hash + path.extracting(0..<end).array]
  }
}

/// What a removal has come to.
public struct RemovalReceipt: Equatable, Sendable {
  /// Objects that were in the index.
  public var objects = 0
  /// Bytes that were taken off the disk.
  public var bytes = 0
  /// Fills that were cut.
  public var fills = 0
  /// Answers under way that were broken off.
  public var answers = 0
  /// Why it did not go to its end; what was found until then is noted, and removed at the next start.
  public var fault: Fault?
}

/// What the removal of a batch has come to.
public struct RemovalOutcome: Equatable, Sendable {
  /// By the subjects' places.
  public internal(set) var parts: [RemovalReceipt]
  /// Bytes that went with them since nothing in the index says any more whose they were.
  public internal(set) var lostBytes = 0
  /// Why it did not go to its end.
  public internal(set) var fault: Fault?

  init(parts: Int, fault: Fault? = nil) {
    self.parts = Array(repeating: RemovalReceipt(), count: parts)
    self.fault = fault
  }

  /// All of it as one receipt.
  var sum: RemovalReceipt {
    var sum = RemovalReceipt(bytes: lostBytes, fault: fault)
    for part in parts {
      sum.objects += part.objects
      sum.bytes += part.bytes
      sum.fills += part.fills
      sum.answers += part.answers
    }
    return sum
  }
}
