internal import Base
internal import HTTP
public import IPFS

/// One rule of a denylist (IPIP-383, the compact denylist format).
///
///     /ipfs/<cid>            the block, in whatever codec, base and version
///     /ipfs/<cid>/<path>     that path alone
///     /ipfs/<cid>/<path>*    all paths that begin so; `/*` all of them and the block
///     /ipns/<name>…          the same for a key or a DNSLink name
///     //<hash>               what has this hash
///     !…                     lets pass what rules before it deny; `+` and `-` as well, as nopfs has it
///
/// Paths are percent-encoded (RFC 3986, 2.1), and read and cleaned as those of requests are. Words behind the rule are
/// hints, `key:value` or `key=value`.
public struct DenyRule: Equatable, Sendable {
  public enum Subject: Equatable, Sendable {
    /// What is below this multihash, the codec left out.
    case content(CID)
    case name(DenyName)
    /// What has this hash; with another reading of the text where there are two.
    case hash(CID, or: CID?)
  }

  public var subject: Subject
  /// Decoded, without slashes at its ends; empty for the root itself.
  public var path: [UInt8] = []
  /// Whether all paths that begin with `path` are meant.
  public var isPrefix = false
  public var allows = false
  /// What the rule's own hint says of a refusal's status; nil where it has none.
  public var isLegal: Bool?
}

/// Why a line is no rule.
public enum DenyRuleError: Error, Equatable, Sendable {
  case unknownForm
  case path(ContentPathError)
  /// A `*` where there is no path.
  case wildcard
  case hash
  /// A hash function that cannot be computed here.
  case hashFunction(UInt64)
  case tooLong

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .unknownForm: "a rule begins with /ipfs/, /ipns/ or //"
    case .path(let error): error.sentence
    case .wildcard: "the * belongs behind a path"
    case .hash: "the hash is neither 64 hexadecimal digits nor a multihash in base58"
    case .hashFunction(let code):
      "the hash function 0x\(String(code, radix: 16)) is not available here"
    case .tooLong: "the line is longer than \(DenylistText.maximumLine) bytes"
    }
  }
}

extension DenyRule {
  /// Reads a line without its end; nil for an empty one and for a comment.
  public static func parse(_ line: RawSpan) throws(DenyRuleError) -> DenyRule? {
    var scratch = ByteBuffer(capacity: 256)
    return try parse(line, scratch: &scratch)
  }

  /// The same with a buffer that is used again.
  static func parse(
    _ line: RawSpan, scratch: inout ByteBuffer
  ) throws(DenyRuleError) -> DenyRule? {
    var end = line.byteCount
    while end > 0, line.byte(end - 1).isSpace { end -= 1 }
    var start = 0
    while start < end, line.byte(start).isSpace { start += 1 }
    guard start < end, line.byte(start) != UInt8(ascii: "#") else { return nil }
    var ruleEnd = start
    while ruleEnd < end, !line.byte(ruleEnd).isSpace { ruleEnd += 1 }
    var rule = try parse(rule: line.extracting(start..<ruleEnd), &scratch)
    if ruleEnd < end { rule.isLegal = DenyHints.isLegal(line.extracting(ruleEnd..<end)) }
    return rule
  }

  private static func parse(
    rule text: RawSpan, _ scratch: inout ByteBuffer
  ) throws(DenyRuleError) -> DenyRule {
    switch text.byte(0) {
    case UInt8(ascii: "!"), UInt8(ascii: "+"), UInt8(ascii: "-"):
      var rule = try parse(plain: text.extracting(1..<text.byteCount), &scratch)
      rule.allows = true
      return rule
    default: return try parse(plain: text, &scratch)
    }
  }

  private static func parse(
    plain text: RawSpan, _ scratch: inout ByteBuffer
  ) throws(DenyRuleError) -> DenyRule {
    if text.hasPrefix("//") {
      return DenyRule(subject: try hash(text.extracting(2..<text.byteCount)))
    }
    if text.hasPrefix("/ipld/") {
      var renamed = ByteBuffer(capacity: 256)
      renamed.append("/ipfs/" as StaticString)
      renamed.append(text.extracting(6..<text.byteCount))
      return try parse(path: renamed.readable, &scratch)
    }
    guard text.hasPrefix("/ipfs/") || text.hasPrefix("/ipns/") else { throw .unknownForm }
    return try parse(path: text, &scratch)
  }

  private static func hash(_ text: RawSpan) throws(DenyRuleError) -> Subject {
    let legacy = DoubleHash.sha256(hex: text)
    // Base58 has no zero, and few hexadecimal texts are without one.
    let mayBeModern =
      text.first(UInt8(ascii: "0"), from: 0, to: text.byteCount) == text.byteCount
    let modern = mayBeModern ? DoubleHash.multihash(base58: text) : nil
    if let legacy { return .hash(legacy, or: modern?.isComputable == true ? modern : nil) }
    guard let modern else { throw .hash }
    guard modern.isComputable else { throw .hashFunction(modern.hash.rawValue) }
    return .hash(modern, or: nil)
  }

  private static func parse(
    path text: RawSpan, _ decoded: inout ByteBuffer
  ) throws(DenyRuleError) -> DenyRule {
    let star = UInt8(ascii: "*")
    let isPrefix = text.byte(text.byteCount - 1) == star
    // Before escapes are read: an escaped star is a star.
    let isBehindSlash =
      isPrefix && text.byteCount > 1 && text.byte(text.byteCount - 2) == UInt8(ascii: "/")
    let written = text.extracting(
      0..<text.byteCount - (isBehindSlash ? 2 : isPrefix ? 1 : 0))
    decoded.clear()
    let content: ContentPath
    do throws(ContentPathError) {
      content = try ContentPath.parse(written, decoded: &decoded)
    } catch {
      throw isPrefix && !isBehindSlash ? .wildcard : .path(error)
    }
    guard !isPrefix || isBehindSlash || content.hasPath else { throw .wildcard }
    let subject: Subject
    if let cid = content.cid {
      subject = .content(cid)
    } else {
      subject = .name(DenyName(decoded.readable.bytes(content.root)))
    }
    var rule = DenyRule(subject: subject)
    rule.path = DenyPath.trimmed(decoded.readable.bytes(content.remainder)).array
    rule.isPrefix = isPrefix
    return rule
  }
}

/// Paths below a root as rules and requests are compared.
enum DenyPath {
  /// The path without its slashes at both ends.
  @_lifetime(copy path)
  static func trimmed(_ path: RawSpan) -> RawSpan {
    let slash = UInt8(ascii: "/")
    var start = 0
    var end = path.byteCount
    while start < end, path.byte(start) == slash { start += 1 }
    while end > start, path.byte(end - 1) == slash { end -= 1 }
    return path.extracting(start..<end)
  }
}

/// Hints: words behind a rule, or a mapping in the file's header, of which one has a meaning here.
public enum DenyHints {
  /// The hint that tells the status of a refusal.
  public static let status = "gateway_status"

  /// What a value of that hint says: 451 is for legal reasons, 410 is not; nil for any other.
  public static func isLegal(status value: String) -> Bool? {
    value == "451" ? true : value == "410" ? false : nil
  }

  /// The same of a rule's hints as they stand on its line, the last one where there are several.
  static func isLegal(_ words: RawSpan) -> Bool? {
    var isLegal: Bool?
    for word in words.array.split(whereSeparator: \.isSpace) {
      let separator = word.firstIndex { $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: "=") }
      guard let separator, Array(word[..<separator]) == Array(status.utf8) else { continue }
      let value = String(decoding: word[(separator + 1)...], as: UTF8.self)
      isLegal = Self.isLegal(status: value) ?? isLegal
    }
    return isLegal
  }
}

extension CID {
  /// Whether some text can have this hash, by what can be computed here.
  fileprivate var isComputable: Bool { hash.digestBytes == digest.byteCount }
}

extension UInt8 {
  /// Whether words end here: a space, a tab, or a carriage return before a line's end.
  fileprivate var isSpace: Bool { self == 0x20 || self == 0x09 || self == 0x0d }
}
