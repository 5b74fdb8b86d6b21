import Base

/// What names a block among others: the first 16 bytes of its digest, and its hash function.
///
/// Not the codec: of two blocks that differ only in it, gateways send one.
struct BlockKey: Hashable {
  private let first: UInt64
  private let second: UInt64

  init(_ cid: CID) {
    let digest = cid.digest
    func word(_ start: Int) -> UInt64 {
      var word: UInt64 = 0
      for offset in start..<start + 8 where offset < digest.byteCount {
        word = word << 8 | UInt64(digest.byte(offset))
      }
      return word
    }
    first = word(0)
    second = word(8) ^ cid.hash.rawValue
  }
}

extension CID {
  var key: BlockKey { BlockKey(self) }

  /// Whether the same bytes are named, whatever they are to be read as.
  func hasMultihash(of other: CID) -> Bool { hash == other.hash && digest.equals(other.digest) }

  /// Whether a block of this codec may have links that can be followed.
  var isStructure: Bool { codec == .dagPB || codec == .dagCBOR || codec == .dagJSON }
}

/// The blocks that a CAR had, each as briefly as the walk over them allows.
///
/// What is kept is bounded; beyond the bound all is forgotten, and `isOver` says so.
struct BlockMemory {
  /// What a block may be needed for.
  enum Keep {
    /// For its presence alone.
    case nothing
    /// For its links.
    case links
    /// For everything but a file's own bytes.
    case all
  }

  /// What is kept of a block.
  enum Form: UInt8 {
    case none
    /// The block as it is.
    case whole
    /// A dag-pb node of a file without the file's bytes in it, and without names; its size counts them.
    case withoutBytes
    /// Its links' binary CIDs, one after the other.
    case links
  }

  struct Record {
    var start = 0
    var count = 0
    var codec = ContentCodec.raw
    var form = Form.none

    var range: Range<Int> { start..<start + count }
  }

  /// What a block costs beside what is kept of it: its key and record.
  static let recordBytes = 64
  /// Fewer bytes than this are not worth being cut out.
  private static let smallPayload = 64

  private let maximumBytes: Int
  private var places: [BlockKey: Int] = [:]
  private(set) var records: [Record] = []
  private(set) var bytes: [UInt8] = []
  private(set) var repeated = 0
  /// By record: blocks that stood in the stream under a second codec too.
  private(set) var conflicts: Set<Int> = []
  private(set) var isOver = false

  init(maximumBytes: Int) {
    self.maximumBytes = maximumBytes
  }

  func index(of cid: CID) -> Int? { places[cid.key] }

  /// What is kept of a block; nil where it was not met, or was met under another codec.
  func record(of cid: CID) -> Record? {
    guard let index = places[cid.key], records[index].codec == cid.codec else { return nil }
    return records[index]
  }

  /// Adds a verified block; `content` is empty where its codec is no structure.
  mutating func add(_ cid: CID, _ content: [UInt8], keep: Keep) {
    guard !isOver else { return }
    if let index = places[cid.key] {
      repeated += 1
      if records[index].codec != cid.codec { conflicts.insert(index) }
      // The same bytes under a codec that has links say more than under one that has none.
      guard cid.isStructure, records[index].form == .none else { return }
      records[index] = record(cid, content, keep)
    } else {
      places[cid.key] = records.count
      records.append(record(cid, content, keep))
    }
    guard bytes.count + records.count * Self.recordBytes > maximumBytes else { return }
    isOver = true
    places = [:]
    conflicts = []
    records = []
    bytes = []
  }

  private mutating func record(_ cid: CID, _ content: [UInt8], _ keep: Keep) -> Record {
    var record = Record(start: bytes.count, codec: cid.codec)
    guard cid.isStructure, keep != .nothing else { return record }
    if keep == .links, let links = Self.links(content, cid.codec) {
      bytes += links
      record.form = .links
    } else if cid.codec == .dagPB, let node = Self.withoutBytes(content) {
      bytes += node
      record.form = .withoutBytes
    } else {
      // Also what cannot be read: whoever needs it is told why.
      bytes += content
      record.form = .whole
    }
    record.count = bytes.count - record.start
    return record
  }

  private static func links(_ block: [UInt8], _ codec: ContentCodec) -> [UInt8]? {
    var links = ByteBuffer(capacity: 256)
    do throws(DAGError) {
      try DAGLinks.visit(block.rawBytes, of: codec) { cid in cid.appendBinary(to: &links) }
    } catch {
      return nil
    }
    return links.readable.array
  }

  /// The node of a file that has many bytes of its own, without them; nil for other nodes.
  private static func withoutBytes(_ block: [UInt8]) -> [UInt8]? {
    let bytes = block.rawBytes
    guard let node = try? PBNode.decode(bytes), let data = node.data,
      let unixFS = try? UnixFSNode.decode(bytes, in: data),
      unixFS.kind == .file || unixFS.kind == .raw, unixFS.data.count > smallPayload,
      unixFS.fileSize ?? unixFS.contentSize == unixFS.contentSize
    else { return nil }
    var message = ByteBuffer(capacity: 64)
    message.append(0x08)
    message.append(varint: UInt64(unixFS.kind.rawValue))
    message.append(0x18)
    message.append(varint: UInt64(unixFS.contentSize))
    for size in unixFS.blockSizes {
      message.append(0x20)
      message.append(varint: UInt64(size))
    }
    var output = ByteBuffer(capacity: 64)
    for link in node.links {
      guard let cid = try? link.cid(in: bytes) else { return nil }
      PBEncoder.appendLink(cid, name: RawSpan(), totalSize: 0, to: &output)
    }
    PBEncoder.appendData(message.readable, to: &output)
    return output.readable.array
  }
}
