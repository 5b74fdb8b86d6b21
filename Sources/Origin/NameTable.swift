internal import Base
internal import IPFS

/// Why a name leads nowhere.
enum NameFailure: Error, Equatable, Sendable {
  case unknown([UInt8])
  /// The record was valid once.
  case expired([UInt8])
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

  private var byName: [[UInt8]: Entry] = [:]
  private var byKey: [CID: Entry] = [:]

  /// The names of the options; what cannot be read leads nowhere.
  init(_ options: OriginOptions = OriginOptions()) {
    for name in options.names {
      guard let target = try? RequestedPath(Array(name.target.utf8)) else { continue }
      add(Array(name.name.utf8), Entry(target: target, ttl: name.ttl))
    }
  }

  /// Adds a name; one that is a key answers to all its spellings.
  private mutating func add(_ name: [UInt8], _ entry: Entry) {
    if let key = PeerKey.parse(name) {
      byKey[key] = entry
    } else {
      byName[name] = entry
    }
  }

  func entry(_ name: [UInt8]) -> Entry? {
    byName[name] ?? PeerKey.parse(name).flatMap { byKey[$0] }
  }

  /// What a path below `/ipns` stands for at a time.
  func resolve(
    _ name: [UInt8], _ segments: [[UInt8]], now: Int64
  ) throws(NameFailure) -> (path: ImmutablePath, lifetime: Lifetime) {
    var name = name
    var segments = segments
    var ttl: Int64? = .max
    var left: Int64?
    for _ in 0..<Self.maximumDepth {
      guard let entry = entry(name) else { throw .unknown(name) }
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
