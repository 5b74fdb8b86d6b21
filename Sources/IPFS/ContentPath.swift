public import Base

/// What is wrong with a path as the name of content.
public enum ContentPathError: Error, Equatable, Sendable {
  /// Neither below `/ipfs/` nor below `/ipns/`: somebody else's path.
  case notContent
  /// The namespace alone.
  case missingRoot
  /// `/ipfs/ipfs/…` or `/ipfs/ipns/…`, which gateways redirect to the path without the first segment.
  case repeatedNamespace
  /// A `..` that would leave the root.
  case aboveRoot
  /// A `%` without two hexadecimal digits after it, and where it stands.
  case malformedEscape(offset: Int)
  case containsNUL
  case tooLong
  case cid(CIDError)

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .notContent: "the path is below neither /ipfs/ nor /ipns/"
    case .missingRoot: "the path names no content: a CID or a name must follow the namespace"
    case .repeatedNamespace: "the path names a namespace twice"
    case .aboveRoot: "the path leads above its root"
    case .malformedEscape(let offset): "the percent sign at offset \(offset) begins no escape"
    case .containsNUL: "the path contains a zero byte"
    case .tooLong: "the path is longer than \(ContentPath.maximumBytes) bytes"
    case .cid(let error): "invalid CID: \(error.sentence)"
    }
  }
}

/// A request's path as Kubo understands it: namespace, root and the segments below the root.
///
/// Escapes are decoded first (`%2F` is a slash like any other), then `//`, `.` and `..` are cleaned as
/// Go's `path.Clean` does; a trailing slash is kept. Segments are bytes: no case folding, no Unicode
/// rules. The ranges lie in the buffer that the path was decoded into.
public struct ContentPath: Sendable {
  public enum Namespace: UInt8, Sendable {
    case ipfs = 0x69  // i
    case ipns = 0x6e  // n
  }

  /// No path of a request is longer: heads have their own, lower limit.
  public static let maximumBytes = 64 * 1024

  public let namespace: Namespace
  /// The root of `/ipfs`; nil below `/ipns`, where the root is a key or a name.
  public let cid: CID?
  /// The root as it was written, decoded.
  public let root: ByteRange
  /// What follows the root: empty, or begins with a slash; includes the trailing one.
  public let remainder: ByteRange
  /// The last segment below the root, which content types come from; empty where there is none.
  public let lastSegment: ByteRange
  /// Whether there is at least one segment below the root.
  public let hasPath: Bool
  public let trailingSlash: Bool
  /// Whether no `//`, `.` or `..` had to be cleaned away; Go's server redirects such paths.
  public let wasClean: Bool

  /// Reads a path, without query, and appends its decoded and cleaned form to `decoded`.
  ///
  /// Ranges count from the start of what is readable in `decoded`. After an error `decoded` is as before.
  public static func parse(
    _ path: RawSpan, decoded: inout ByteBuffer
  ) throws(ContentPathError) -> ContentPath {
    guard path.byteCount <= maximumBytes else { throw .tooLong }
    let before = decoded.count
    do throws(ContentPathError) {
      var cleaner = PathCleaner(start: before)
      try cleaner.run(path, into: &decoded)
      return try ContentPath(cleaner, decoded)
    } catch {
      decoded.dropLast(decoded.count - before)
      throw error
    }
  }

  private init(_ cleaner: PathCleaner, _ decoded: borrowing ByteBuffer) throws(ContentPathError) {
    guard let namespace = cleaner.namespace else { throw .notContent }
    guard cleaner.depth > 1 else { throw .missingRoot }
    self.namespace = namespace
    let rootStart = cleaner.start + PathCleaner.prefixBytes
    root = ByteRange(start: rootStart, count: cleaner.rootEnd - rootStart)
    remainder = ByteRange(start: cleaner.rootEnd, count: decoded.count - cleaner.rootEnd)
    hasPath = cleaner.depth > 2
    trailingSlash = cleaner.trailingSlash
    wasClean = cleaner.wasClean
    lastSegment = hasPath ? cleaner.lastSegment(decoded) : .empty
    guard namespace == .ipfs else {
      cid = nil
      return
    }
    let name = decoded.readable.bytes(root)
    if name.equals("ipfs") || name.equals("ipns") { throw .repeatedNamespace }
    do throws(CIDError) {
      cid = try CID.parse(name)
    } catch {
      throw .cid(error)
    }
  }

  /// Appends what names the content whatever the spelling: namespace, root, segments, trailing slash.
  ///
  /// `decoded` is what the path was parsed into.
  public func appendKey(decoded: RawSpan, to key: inout ByteBuffer) {
    key.append(namespace.rawValue)
    if let cid {
      cid.appendKey(to: &key)
    } else {
      key.append(decoded.bytes(root))
    }
    key.append(decoded.bytes(remainder))
  }

  /// The segment below the root that begins at or after an offset of `decoded`; nil at the end.
  ///
  /// Begin with `Int(remainder.start)`, go on with the last segment's `end`.
  public func segment(at offset: Int, decoded: RawSpan) -> ByteRange? {
    let end = min(remainder.end, decoded.byteCount)
    guard offset >= Int(remainder.start), offset < end else { return nil }
    let start = decoded.byte(offset) == PathCleaner.slash ? offset + 1 : offset
    var next = start
    while next < end, decoded.byte(next) != PathCleaner.slash { next += 1 }
    return next > start ? ByteRange(start: start, count: next - start) : nil
  }
}

/// Decodes and cleans a path in one pass, segment by segment.
private struct PathCleaner {
  static let slash: UInt8 = 0x2f
  static let percent: UInt8 = 0x25
  static let dot: UInt8 = 0x2e
  /// "/ipfs/" or "/ipns/".
  static let prefixBytes = 6

  /// Where the cleaned path begins in the output.
  let start: Int
  /// Where the slash of the open segment stands.
  private var open: Int
  private(set) var namespace: ContentPath.Namespace?
  private(set) var rootEnd = 0
  private(set) var depth = 0
  private(set) var wasClean = true
  private(set) var trailingSlash = false

  init(start: Int) {
    self.start = start
    open = start
  }

  mutating func run(
    _ path: RawSpan, into output: inout ByteBuffer
  ) throws(ContentPathError) {
    guard path.byteCount > 0, path.byte(0) == Self.slash else { throw .notContent }
    output.reserve(path.byteCount + 1)
    output.append(Self.slash)
    var offset = 1
    while offset < path.byteCount {
      let plain = offset
      offset = Self.endOfPlain(path, from: offset)
      output.append(path.extracting(plain..<offset))
      guard offset < path.byteCount else { break }
      var byte = path.byte(offset)
      if byte == Self.percent {
        guard path.byteCount - offset > 2, let high = path.byte(offset + 1).hexValue,
          let low = path.byte(offset + 2).hexValue
        else { throw .malformedEscape(offset: offset) }
        byte = high << 4 | low
        offset += 2
      }
      offset += 1
      if byte == 0 { throw .containsNUL }
      if byte == Self.slash {
        try close(&output, atEnd: false)
        open = output.count
      }
      output.append(byte)
    }
    try close(&output, atEnd: true)
    if trailingSlash { output.append(Self.slash) }
  }

  /// Where the next slash, percent sign or zero byte stands; the end where there is none.
  private static func endOfPlain(_ path: RawSpan, from start: Int) -> Int {
    var offset = start
    while offset < path.byteCount {
      let byte = unsafe path.unsafeLoad(fromUncheckedByteOffset: offset, as: UInt8.self)
      if byte == slash || byte == percent || byte == 0 { break }
      offset += 1
    }
    return offset
  }

  /// Ends the open segment: keeps it, or takes it back with what it takes back itself.
  private mutating func close(
    _ output: inout ByteBuffer, atEnd: Bool
  ) throws(ContentPathError) {
    let count = output.count - open - 1
    let firstIsDot = count > 0 && output.readable.byte(open + 1) == Self.dot
    if count == 0 {
      output.dropLast(1)
      if atEnd { trailingSlash = true } else { wasClean = false }
    } else if count == 1 && firstIsDot {
      output.dropLast(2)
      wasClean = false
    } else if count == 2 && firstIsDot && output.readable.byte(open + 2) == Self.dot {
      output.dropLast(3)
      wasClean = false
      if depth == 1 || depth == 2 { throw .aboveRoot }
      if depth > 2 { dropSegment(&output) }
    } else {
      depth += 1
      if depth == 1 { try readNamespace(output) }
      if depth == 2 { rootEnd = output.count }
    }
  }

  private mutating func dropSegment(_ output: inout ByteBuffer) {
    var slash = output.count - 1
    while output.readable.byte(slash) != Self.slash { slash -= 1 }
    output.dropLast(output.count - slash)
    depth -= 1
  }

  private mutating func readNamespace(_ output: borrowing ByteBuffer) throws(ContentPathError) {
    let name = output.readable.extracting(open + 1..<output.count)
    if name.equals("ipfs") {
      namespace = .ipfs
    } else if name.equals("ipns") {
      namespace = .ipns
    } else {
      throw .notContent
    }
  }

  func lastSegment(_ output: borrowing ByteBuffer) -> ByteRange {
    let end = output.count - (trailingSlash ? 1 : 0)
    var first = end
    while output.readable.byte(first - 1) != Self.slash { first -= 1 }
    return ByteRange(start: first, count: end - first)
  }
}
