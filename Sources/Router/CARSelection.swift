internal import Base
internal import HTTP
internal import IPFS

/// What is asked of a CAR, as it stands in keys and in upstream requests (specs.ipfs.tech, trustless
/// gateway).
///
/// What was not said and what was said to be the default are kept apart: gateways may differ in their
/// defaults, and two entries for one answer are better than one for two.
public struct CARSelection: Equatable, Sendable {
  public enum Scope: UInt8, Sendable { case unsaid, block, entity, all }
  public enum Order: UInt8, Sendable { case unsaid, depthFirst, unknown }
  public enum Duplicates: UInt8, Sendable { case unsaid, yes, no }

  public var scope = Scope.unsaid
  public var order = Order.unsaid
  public var duplicates = Duplicates.unsaid
  /// The range of a file's bytes, both ends inclusive; negative numbers count from the end, a last of
  /// nil means up to the end.
  public var bytes: (first: Int64, last: Int64?)?
  /// What the URL has said, which the media type's parameters do not change.
  private var saidByURL: UInt8 = 0
  /// What the media type has said beside it.
  private var saidByType: UInt8 = 0

  public init() {}

  public static func == (one: CARSelection, other: CARSelection) -> Bool {
    one.scope == other.scope && one.order == other.order && one.duplicates == other.duplicates
      && one.bytes?.first == other.bytes?.first && one.bytes?.last == other.bytes?.last
  }

  /// Takes a value; false for one that is not known, which the upstream is to judge.
  mutating func set(_ part: CARParameters.Parameter, _ value: RawSpan, isFromURL: Bool) -> Bool {
    let bit = UInt8(1) << part.rawValue
    // Of several the first one counts, and the URL before the media type.
    if saidByURL & bit != 0 { return true }
    // Gateways take an empty value for none, but not of these two.
    if value.byteCount == 0 { return part != .scope && part != .entityBytes }
    // Two parameters of one name make a type malformed.
    if saidByType & bit != 0 { return false }
    if isFromURL { saidByURL |= bit } else { saidByType |= bit }
    switch part {
    case .scope:
      if value.equals("block") {
        scope = .block
      } else if value.equals("entity") {
        scope = .entity
      } else if value.equals("all") {
        scope = .all
      } else {
        return false
      }
    case .entityBytes:
      guard let read = Self.bytes(value) else { return false }
      bytes = read
    case .version: return value.equals("1")
    case .order:
      if value.equals("dfs") {
        order = .depthFirst
      } else if value.equals("unk") {
        order = .unknown
      } else {
        return false
      }
    case .duplicates:
      if value.equals("y") {
        duplicates = .yes
      } else if value.equals("n") {
        duplicates = .no
      } else {
        return false
      }
    }
    return true
  }

  /// `from:to`, where `to` may be `*`.
  private static func bytes(_ text: RawSpan) -> (first: Int64, last: Int64?)? {
    let colon = text.first(UInt8(ascii: ":"), from: 0, to: text.byteCount)
    guard colon < text.byteCount, let first = signed(text.extracting(0..<colon)) else { return nil }
    let end = text.extracting((colon + 1)..<text.byteCount)
    if end.equals("*") { return (first, nil) }
    guard let last = signed(end) else { return nil }
    return (first, last)
  }

  private static func signed(_ text: RawSpan) -> Int64? {
    guard text.byteCount > 0 else { return nil }
    if text.byte(0) != UInt8(ascii: "-") { return text.decimal }
    return text.extracting(1..<text.byteCount).decimal.map { -$0 }
  }

  // MARK: Writing

  /// The range, where the scope lets it mean something.
  private var effectiveBytes: (first: Int64, last: Int64?)? {
    scope == .unsaid || scope == .entity ? bytes : nil
  }

  func appendKey(to key: inout ByteBuffer) {
    key.append(scope.rawValue | order.rawValue << 2 | duplicates.rawValue << 4)
    guard let bytes = effectiveBytes else { return }
    key.append(decimal: bytes.first)
    key.append(UInt8(ascii: ":"))
    if let last = bytes.last { key.append(decimal: last) }
  }

  /// Appends what a query says of it after `format=car`; empty where nothing was said.
  public func appendQuery(to target: inout [UInt8]) {
    switch scope {
    case .unsaid: break
    case .block: target += Array("&dag-scope=block".utf8)
    case .entity: target += Array("&dag-scope=entity".utf8)
    case .all: target += Array("&dag-scope=all".utf8)
    }
    if let bytes = effectiveBytes {
      target += Array("&entity-bytes=\(bytes.first):\(bytes.last.map { "\($0)" } ?? "*")".utf8)
    }
    if order != .unsaid {
      target += Array("&car-order=\(order == .depthFirst ? "dfs" : "unk")".utf8)
    }
    if duplicates != .unsaid {
      target += Array("&car-dups=\(duplicates == .yes ? "y" : "n")".utf8)
    }
  }

  /// What the media type in Accept said and the URL did not, by the names that a query has for it.
  public var typeParameters: [(name: String, value: String)] {
    var parameters: [(name: String, value: String)] = []
    if said(.version) { parameters.append(("car-version", "1")) }
    if said(.order) { parameters.append(("car-order", order == .depthFirst ? "dfs" : "unk")) }
    if said(.duplicates) { parameters.append(("car-dups", duplicates == .yes ? "y" : "n")) }
    return parameters
  }

  private func said(_ part: CARParameters.Parameter) -> Bool {
    saidByType & (1 << part.rawValue) != 0
  }
}
