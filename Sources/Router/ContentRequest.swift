public import Base
internal import HTTP
public import IPFS

/// What of which content is asked for, by places in the request's decoded path and in its text.
public struct ContentRequest: Sendable {
  public var namespace: ContentPath.Namespace
  public var form: ContentForm
  public var mode: OriginMode
  /// Whether the root carries its own bytes, and whether it is written as version 0, `Qm…`.
  public var isIdentity = false
  public var isVersion0 = false
  /// The root as the client wrote it, in the path.
  public var root: ByteRange
  /// What follows the root, in the path; empty, or begins with a slash.
  public var remainder: ByteRange
  /// The last segment below the root, in the path; empty where there is none.
  public var lastSegment: ByteRange
  /// Whether Accept chose the form, so that Content-Location has to tell.
  public var isFromAccept: Bool
  /// The query's `filename` as sent, in the request's text; empty where there is none.
  public var filename: ByteRange
  public var isDownload: Bool
  /// Whether that name's extension makes the file's type, and only a gateway knows which.
  public var hasForeignExtension = false
  /// What is asked of a CAR; means nothing for other forms.
  public var selection: CARSelection

  /// Whether a file's type follows from its name.
  public var hasTypeOfName: Bool { form == .file || form == .json || form == .cbor }

  /// Whether something below the root is asked for.
  public var hasPath: Bool { !lastSegment.isEmpty }

  /// The extension that only a gateway knows, with its dot, or a dot alone for none; else empty.
  ///
  /// Read from the request's text when it is needed: values without references are copied for nothing.
  public func foreignExtension(in text: RawSpan) -> [UInt8] {
    guard hasForeignExtension else { return [] }
    let given = MediaType.fileExtension(PercentCoding.query(text.bytes(filename)))
    return given.isEmpty ? [UInt8(ascii: ".")] : given
  }
}

/// The canonical key of an answer: one for all spellings of a request, another for all that differs in
/// more than its head (gateway digest A6).
///
/// A byte for form and origin mode, then namespace, codec, multihash and decoded path, then for a CAR a
/// zero byte, which no path contains, and what was asked of it. The same goes for an extension that the
/// query gives a file, where only a gateway knows its type.
public enum CanonicalKey {
  /// Appends the key of content under a root.
  ///
  /// - Parameters:
  ///   - text: the request's head.
  ///   - remainder: the decoded path below the root, as in `ContentRequest`.
  public static func append(
    _ request: ContentRequest, text: RawSpan, root: CID, remainder: RawSpan,
    to key: inout ByteBuffer
  ) {
    key.append(first(request.form, request.mode))
    key.append(ContentPath.Namespace.ipfs.rawValue)
    root.appendKey(to: &key)
    key.append(remainder)
    if request.form == .car {
      key.append(0)
      // A CAR's header names the root as it was asked for.
      key.append(root.version)
      request.selection.appendKey(to: &key)
    } else if request.hasForeignExtension {
      key.append(0)
      key.append(request.foreignExtension(in: text))
    }
  }

  private static func first(_ form: ContentForm, _ mode: OriginMode) -> UInt8 {
    // Forms begin where letters do, so that keys can be read in a dump.
    0x61 + form.rawValue + mode.rawValue << 4
  }

  /// What follows the first byte in the canonical keys of all content under a root.
  public static func place(of root: CID) -> [UInt8] {
    var place = ByteBuffer(capacity: 64)
    place.append(ContentPath.Namespace.ipfs.rawValue)
    root.appendKey(to: &place)
    return place.withReadable { $0.array }
  }

  /// What of which content a canonical key is of: the root and the place of the decoded path in the key.
  ///
  /// - Returns: Nil for bytes that are no such key.
  public static func content(of key: RawSpan) -> (root: CID, remainder: ByteRange)? {
    guard key.byteCount > 2, key.byte(1) == ContentPath.Namespace.ipfs.rawValue,
      let parts = Parts(key)
    else { return nil }
    return (parts.root, parts.path)
  }

  /// The parts of a canonical key, by their places in it; nil for what is none.
  public struct Parts: Sendable {
    public let form: ContentForm
    public let mode: OriginMode
    /// The root, as version 1.
    public let root: CID
    public let multihash: ByteRange
    /// The decoded path below the root; empty, or begins with a slash.
    public let path: ByteRange

    public init?(_ key: RawSpan) {
      guard key.byteCount > 2, key.byte(0) >= 0x61,
        let form = ContentForm(rawValue: (key.byte(0) - 0x61) & 0x0f),
        let mode = OriginMode(rawValue: (key.byte(0) - 0x61) >> 4),
        let read = try? CID.parse(binary: ([1] + key.extracting(2...).array).rawBytes)
      else { return nil }
      self.form = form
      self.mode = mode
      root = read.cid
      // A byte for the version was put in front of what stands at offset 2.
      let pathStart = 1 + read.count
      var hash = ByteBuffer(capacity: 64)
      read.cid.appendMultihash(to: &hash)
      multihash = ByteRange(start: pathStart - hash.count, count: hash.count)
      let end = key.first(0, from: pathStart, to: key.byteCount)
      path = ByteRange(start: pathStart, count: end - pathStart)
    }
  }
}
