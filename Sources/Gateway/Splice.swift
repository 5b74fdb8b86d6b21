internal import Base
internal import Cache
internal import HTTP

/// What the rest of a body must be, so that it may stand behind what has come from another server.
///
/// Only what has a length and a strong Etag, or the same CID at the end of X-Ipfs-Roots, is spliced; never a
/// CAR, a TAR or a generated page, which two servers may write in two ways (gateway digest A5, A6).
struct Splice: Equatable {
  /// What an answer to the request for the rest is good for.
  enum Use: Equatable {
    /// It is the rest, from the byte on that was asked for.
    case rest
    /// It is all of the object: what comes before the rest is to be dropped.
    case whole
  }

  /// The Etag, less `W/`; a proxy on the way may have weakened it.
  let etag: [UInt8]
  /// The CID that ends X-Ipfs-Roots; empty where that field is absent.
  let root: [UInt8]
  /// Where in the object the body begins.
  let first: Int64
  /// The object's first byte behind the body.
  let end: Int64
  /// Bytes of the object.
  let total: Int64

  /// What may be spliced into the body under a head; nil where nothing may.
  ///
  /// - Parameter isKept: whether `AnswerPolicy` has found it to be the content's own.
  init?(_ head: AnswerHead, isKept: Bool) {
    guard let length = head.totalBytes, length > 0, !head.isCollected else { return nil }
    let etag = Self.strong(head.etag)
    self.etag = etag
    root = head.value("x-ipfs-roots").map { Self.lastEntry($0.rawBytes) } ?? []
    if !isKept {
      guard head.notStored != .generated, etag == head.etag, etag.count > 2,
        !etag.rawBytes.hasPrefix("\"DirIndex-"), !etag.rawBytes.hasPrefix("\"DagIndex-"),
        head.value("content-encoding") == nil, !Self.isSerialised(head.contentType.rawBytes)
      else { return nil }
    }
    if head.status == 206 {
      guard let range = head.value("content-range").flatMap({ ContentRange.parse($0.rawBytes) }),
        !range.isUnsatisfied, let total = range.total, range.last - range.first == length - 1
      else { return nil }
      (first, end, self.total) = (range.first, range.last + 1, total)
    } else if head.status == 200 {
      (first, end, total) = (0, length, length)
    } else {
      return nil
    }
  }

  /// What an answer to `bytes=from-(to - 1)` is good for; nil where it is none of the same object.
  func use(of answer: PartHead, from: Int64, to: Int64) -> Use? {
    guard answer.isPlain, isSame(answer) else { return nil }
    if answer.status == 200 { return answer.length == total ? .whole : nil }
    guard answer.status == 206, let range = answer.range, !range.isUnsatisfied,
      range.first == from, range.last == to - 1, range.total == total, answer.length == to - from
    else { return nil }
    return .rest
  }

  /// An Etag that is there decides; its absence leaves it to the roots.
  private func isSame(_ answer: PartHead) -> Bool {
    if !answer.etag.isEmpty { return Self.strong(answer.etag) == etag }
    return !root.isEmpty && answer.root == root
  }

  private static func strong(_ etag: [UInt8]) -> [UInt8] {
    etag.starts(with: Array("W/".utf8)) ? Array(etag.dropFirst(2)) : etag
  }

  /// Whether a body is made by a walk, whose order is the server's.
  private static func isSerialised(_ type: RawSpan) -> Bool {
    type.hasPrefixIgnoringCase("application/vnd.ipld.car")
      || type.hasPrefixIgnoringCase("application/x-tar")
      || type.hasPrefixIgnoringCase("application/vnd.ipfs.ipns-record")
  }

  /// The last entry of a list, without the spaces around it.
  static func lastEntry(_ list: RawSpan) -> [UInt8] {
    var start = list.byteCount
    while start > 0, list.byte(start - 1) != UInt8(ascii: ",") { start -= 1 }
    return list.bytes(list.trimmed(from: start, to: list.byteCount)).array
  }
}

/// What the head of a part's answer says of its place, kept until it can be held against the object's.
struct PartHead {
  let status: Int
  let etag: [UInt8]
  /// The CID that ends X-Ipfs-Roots; empty where that field is absent.
  let root: [UInt8]
  let range: ContentRange?
  let length: Int64?
  /// Whether the body is the bytes as they are: not encoded, and of a length that was told.
  let isPlain: Bool

  init(_ head: ResponseHead, text: RawSpan) {
    status = head.status
    etag = head.value(.etag).map { text.bytes($0).array } ?? []
    root = head.value(.xIpfsRoots).map { Splice.lastEntry(text.bytes($0)) } ?? []
    range = head.value(.contentRange).flatMap { ContentRange.parse(text.bytes($0)) }
    length = head.contentLength
    isPlain = head.value(.contentEncoding) == nil && !head.isChunked
  }

  /// Whether it is of the same content by its Etag, and of another length.
  func saysAnotherLength(than known: AnswerHead?) -> Bool {
    guard let known, let total = known.totalBytes, isPlain else { return false }
    if status == 416 { return range?.total.map { $0 != total } ?? false }
    guard etag == known.etag else { return false }
    if status == 200 { return length.map { $0 != total } ?? false }
    return status == 206 && range?.total.map { $0 != total } ?? false
  }
}

extension AnswerHead {
  /// The value of a field, by its name in small letters.
  func value(_ name: StaticString) -> [UInt8]? {
    fields.first { $0.name.rawBytes.equalsIgnoringCase(name) }?.value
  }
}

/// The last bytes before a splice: they are asked for once more, and must be the same.
///
/// A server that breaks off may first have written words of its own into the body. Where those are not known,
/// only that another server has other bytes there shows them.
struct Seam {
  /// How many bytes are compared: more than a server's page about an error has.
  static let bytes = 4096

  /// The last bytes of the slices before the one that is being filled.
  private var before: [UInt8] = []
  /// Bytes to be dropped before the comparison, from a server that gives all instead of the rest.
  private(set) var skipped: Int64 = 0
  /// What is to come next.
  private(set) var expected: [UInt8] = []

  /// Notes that a slice is full.
  mutating func filled(_ slice: RawSpan) { before = tail(with: slice) }

  /// The last bytes of what has come, with those of the slice under way.
  func tail(with current: RawSpan) -> [UInt8] {
    let taken = min(current.byteCount, Self.bytes)
    let rest = current.extracting((current.byteCount - taken)..<current.byteCount).array
    return before.suffix(Self.bytes - taken) + rest
  }

  /// Expects these bytes, behind others that are of no interest.
  mutating func expect(_ bytes: [UInt8], behind skipped: Int64 = 0) {
    (expected, self.skipped) = (bytes, skipped)
  }

  /// Whether bytes of the answer belong to the seam, and not yet to the rest.
  var isOpen: Bool { skipped > 0 || !expected.isEmpty }

  /// Takes as many of the bytes as belong to it; false where they are others than those that came before.
  mutating func take(_ bytes: RawSpan) -> Bool {
    let dropped = Int(min(skipped, Int64(bytes.byteCount)))
    skipped -= Int64(dropped)
    let count = min(bytes.byteCount - dropped, expected.count)
    let isSame = expected.rawBytes.extracting(0..<count).equals(
      bytes.extracting(dropped..<dropped + count))
    expected.removeFirst(count)
    return isSame
  }

  /// How many bytes it can still take.
  var missing: Int { Int(clamping: skipped) + expected.count }
}
