internal import Base
internal import IPFS

/// Why a name leads nowhere.
enum NameFailure: Error, Equatable, Sendable {
  case unknown([UInt8])
  /// The record was valid once.
  case expired([UInt8])
  /// The record is not signed by the name's key, or says nothing that can be followed.
  case invalid([UInt8])
  /// Names that lead to names without end.
  case tooDeep
}

/// Content under a path that cannot change: a root and what is below it.
struct ImmutablePath: Sendable {
  var root: CID
  var segments: [[UInt8]]
  /// As it is written, decoded; CAR Etags are made of it.
  var text: [UInt8]

  init(root: CID, segments: [[UInt8]], text: [UInt8]) {
    self.root = root
    self.segments = segments
    self.text = text
  }

  /// A path in its canonical spelling.
  init(root: CID, segments: [[UInt8]]) {
    self.root = root
    self.segments = segments
    text = segments.reduce(into: Array("/ipfs/\(root)".utf8)) { text, segment in
      text.append(UInt8(ascii: "/"))
      text += segment
    }
  }
}

/// The names below `/ipns` and what they lead to.
struct NameTable: Sendable {
  /// Names that may lead to each other in a row (namesys' bound).
  static let maximumDepth = 32

  struct Entry: Sendable {
    var target: RequestedPath
    /// Seconds; nil where it is not known.
    var ttl: Int64?
    /// When the record ends, in seconds since 1970; nil where there is none.
    var expiry: Int64?
    /// Whole, as it is served; nil for names without a record.
    var record: [UInt8]?
  }

  /// A name, or why there is none where a record should be.
  private enum Row: Sendable {
    case entry(Entry)
    case invalid
  }

  private var byName: [[UInt8]: Entry] = [:]
  private var byKey: [CID: Row] = [:]

  /// The names of the options; what cannot be read leads nowhere.
  init(_ options: OriginOptions = OriginOptions()) {
    for name in options.names {
      guard let target = try? RequestedPath(Array(name.target.utf8)) else { continue }
      add(Array(name.name.utf8), Entry(target: target, ttl: name.ttl))
    }
    for record in options.records {
      guard let key = PeerKey.parse(Array(record.key.utf8)) else { continue }
      byKey[key] = Self.entry(record.bytes, key).map { .entry($0) } ?? .invalid
    }
  }

  /// Adds a name; one that is a key answers to all its spellings.
  private mutating func add(_ name: [UInt8], _ entry: Entry) {
    if let key = PeerKey.parse(name) {
      byKey[key] = .entry(entry)
    } else {
      byName[name] = entry
    }
  }

  /// What a record says; nil where it is not to be believed.
  private static func entry(_ bytes: [UInt8], _ key: CID) -> Entry? {
    guard let record = try? IPNSRecord.parse(bytes.rawBytes),
      let target = try? RequestedPath(record.value)
    else { return nil }
    // Signatures that cannot be checked here are those of old RSA keys.
    if case .mismatch = record.isSigned(by: key) { return nil }
    return Entry(
      target: target, ttl: Int64(clamping: record.timeToLive / 1_000_000_000),
      expiry: record.endOfLife, record: bytes)
  }

  /// The name as it is in the table.
  func entry(_ name: [UInt8]) throws(NameFailure) -> Entry {
    if let entry = byName[name] { return entry }
    switch PeerKey.parse(name).flatMap({ byKey[$0] }) {
    case .entry(let entry): return entry
    case .invalid: throw .invalid(name)
    case nil: throw .unknown(name)
    }
  }

  /// Whether a DNS name is in the table.
  func hasDNSLink(_ name: [UInt8]) -> Bool { byName[name] != nil }

  /// What a path below `/ipns` stands for at a time.
  func resolve(
    _ name: [UInt8], _ segments: [[UInt8]], now: Int64
  ) throws(NameFailure) -> (path: ImmutablePath, lifetime: Lifetime) {
    var name = name
    var segments = segments
    var ttl: Int64? = .max
    var left: Int64?
    for _ in 0..<Self.maximumDepth {
      let entry = try entry(name)
      if let expiry = entry.expiry {
        guard expiry > now else { throw .expired(name) }
        left = min(left ?? .max, expiry - now)
      }
      ttl = ttl.flatMap { so in entry.ttl.map { min(so, $0) } }
      segments = entry.target.segments + segments
      switch entry.target.root {
      case .content(let cid):
        return (ImmutablePath(root: cid, segments: segments), .name(ttl: ttl, left: left))
      case .name(let next): name = next
      }
    }
    throw .tooDeep
  }
}
