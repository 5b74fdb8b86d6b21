internal import Base
internal import IPFS

/// The key of the digests that rules and questions are compared by; one for all lists of a process.
public struct DenyKey: Sendable {
  let sip: SipKey

  /// Makes a key that nobody outside can know.
  public init() {
    var random = SystemRandomNumberGenerator()
    sip = SipKey(first: random.next(), second: random.next())
  }
}

/// What a digest is the digest of: its last byte.
enum DenyForm: UInt8 {
  /// A path and nothing else.
  case exact = 1
  /// All that begins so.
  case prefix
  /// All below a root, and the root.
  case tree
  /// The root of prefixes, of which the lengths are known.
  case prefixes
  /// What has this hash.
  case hash
}

/// Writes down what rules and questions are about, so that both say it in the same bytes.
///
/// One buffer, used again: a list of millions is read with one.
struct DenyDigester: ~Copyable {
  private let key: SipKey
  private var bytes = ByteBuffer(capacity: 256)
  private var rootCount = 0

  init(_ key: DenyKey) {
    self.key = key.sip
  }

  /// Sets the root that paths are below: a namespace, then a multihash or a name, none the beginning of another.
  mutating func begin(_ root: DenyRule.Subject) {
    bytes.clear()
    switch root {
    case .content(let cid):
      bytes.append(UInt8(ascii: "i"))
      cid.appendMultihash(to: &bytes)
    case .name(.key(let cid)):
      bytes.append(UInt8(ascii: "k"))
      cid.appendMultihash(to: &bytes)
    case .name(.domain(let name)):
      bytes.append(UInt8(ascii: "n"))
      bytes.append(name)
    case .hash: break
    }
    bytes.append(UInt8(ascii: "/"))
    rootCount = bytes.count
  }

  /// The digest of a path below that root.
  mutating func digest(_ form: DenyForm, path: RawSpan = RawSpan()) -> Digest128 {
    bytes.dropLast(bytes.count - rootCount)
    bytes.append(path)
    bytes.append(form.rawValue)
    return SipHash.hash128(bytes.readable, key: key)
  }

  /// The digest of what has a hash; takes the root's place.
  mutating func digest(hash cid: CID) -> Digest128 {
    bytes.clear()
    cid.appendMultihash(to: &bytes)
    return digestOfHash()
  }

  /// The same for a text that is hashed by a function; nil where that cannot be.
  mutating func digest(of text: [UInt8], by function: HashFunction) -> Digest128? {
    bytes.clear()
    guard function.appendMultihash(of: text.rawBytes, to: &bytes) else { return nil }
    return digestOfHash()
  }

  private mutating func digestOfHash() -> Digest128 {
    bytes.append(DenyForm.hash.rawValue)
    rootCount = 0
    return SipHash.hash128(bytes.readable, key: key)
  }

  /// Appends the texts under which `//` rules have a path below a root, each to be hashed.
  ///
  /// The modern one: the multihash in base58, or `/ipns/<name>`, and the path behind a slash if there is one. The older
  /// one of the Bad Bits list: the CID as version 1 in base32, or the name, and a slash in any case. That one has a codec;
  /// the block of a file can be asked for by others, so those of files are asked about as well.
  static func texts(of root: DenyRule.Subject, path: RawSpan) -> [[UInt8]] {
    var modern = ByteBuffer(capacity: 256)
    var legacy: [[UInt8]]
    switch root {
    case .content(let cid):
      appendMultihash(of: cid, to: &modern)
      legacy = cid.ofFileCodecs.map(older)
    case .name(.key(let cid)):
      appendMultihash(of: cid, to: &modern)
      legacy = [older(cid)]
    case .name(.domain(let name)):
      modern.append("/ipns/" as StaticString)
      modern.append(name)
      legacy = [name]
    case .hash: return []
    }
    let below = [UInt8(ascii: "/")] + path.array
    for place in legacy.indices { legacy[place] += below }
    if path.byteCount > 0 {
      modern.append(UInt8(ascii: "/"))
      modern.append(path)
    }
    return [modern.readable.array] + legacy
  }

  /// Appends a multihash in base58, as they are written: without the base's prefix.
  private static func appendMultihash(of cid: CID, to text: inout ByteBuffer) {
    var multihash = ByteBuffer(capacity: 160)
    cid.appendMultihash(to: &multihash)
    Multibase.base58.encode(multihash.readable, to: &text)
    text.consume(1)
  }

  private static func older(_ cid: CID) -> [UInt8] {
    var text = ByteBuffer(capacity: 128)
    cid.appendText(in: .base32, to: &text)
    return text.readable.array
  }
}

extension CID {
  /// The CID, and the same hash under the codecs that files' blocks have.
  fileprivate var ofFileCodecs: [CID] {
    [self] + [ContentCodec.dagPB, .raw].filter { $0 != codec }.compactMap(with)
  }

  private func with(codec: ContentCodec) -> CID? {
    try? CID(codec: codec, hash: hash, digest: digest)
  }
}
