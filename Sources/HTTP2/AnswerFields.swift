internal import Base
internal import CNghttp2
internal import HTTP

/// What HTTP/2 makes of one field of an answer.
public enum AnswerFieldRule: Equatable, Sendable {
  /// Sent, and remembered by the compression: the same value will come again.
  case indexed
  /// Sent, and as a rule not remembered: its value is this content's own, and would drive out what comes again.
  case literal
  /// The connection's own business with HTTP/1.1, which HTTP/2 forbids (RFC 9113, section 8.2.2).
  case dropped

  /// The rule for a name in any case of letters.
  public static func of(_ name: RawSpan) -> AnswerFieldRule {
    switch name.byteCount {
    case 7, 10, 16, 17:
      switch FieldToken.of(name) {
      case .upgrade, .connection, .keepAlive, .proxyConnection, .transferEncoding: .dropped
      case .contentLocation: .literal
      default: .indexed
      }
    case 11, 12:
      // X-Ipfs-Path, X-IPFS-Hash, X-Ipfs-Roots.
      name.hasPrefixIgnoringCase("x-ipfs-") ? .literal : .indexed
    case 13, 19:
      switch FieldToken.of(name) {
      case .contentRange, .lastModified, .contentDisposition: .literal
      default: .indexed
      }
    default: .indexed
    }
  }
}

/// The fields of one answer, as nghttp2 takes them.
///
/// What they point to is the head that `with` was given, and nobody looks at them after it.
@safe
struct AnswerFields {
  private var fields = unsafe ContiguousArray<nghttp2_nv>()
  /// How many fields there were that are a content's own.
  private var literals = 0
  /// After so many of them an answer has all of its fields remembered, as the first one has: then the others need not
  /// spell these fields' names.
  private static let namingInterval = 256
  private var nextNaming = 0

  /// Hands the fields of a head that is written as lines to `body`.
  ///
  /// - Parameter head: The status line and whole lines after it, each with its end. What is no field (no
  ///   colon) is left out. The names get their lower case when nghttp2 copies them.
  mutating func with(
    _ head: RawSpan, _ body: (UnsafePointer<nghttp2_nv>?, Int) -> Int32
  ) -> Int32 {
    unsafe fields.removeAll(keepingCapacity: true)
    let isNaming = literals >= nextNaming
    // `HTTP/1.1 200 …`
    guard head.byteCount >= 12 else { return NGHTTP2_ERR_INVALID_ARGUMENT.rawValue }
    return unsafe head.withUnsafeBytes { raw in
      guard let bytes = unsafe raw.baseAddress?.assumingMemoryBound(to: UInt8.self) else {
        return NGHTTP2_ERR_INVALID_ARGUMENT.rawValue
      }
      // nghttp2 only reads names and values, though its struct does not say so.
      let base = unsafe UnsafeMutablePointer(mutating: bytes)
      let status: StaticString = ":status"
      unsafe fields.append(
        nghttp2_nv(
          name: UnsafeMutablePointer(mutating: status.utf8Start), value: base + 9,
          namelen: status.utf8CodeUnitCount, valuelen: 3, flags: 0))
      var start = head.first(UInt8(ascii: "\r"), from: 0, to: head.byteCount) + 2
      while start < head.byteCount {
        let end = head.first(UInt8(ascii: "\r"), from: start, to: head.byteCount)
        let colon = head.first(UInt8(ascii: ":"), from: start, to: end)
        if colon < end, colon > start {
          let value = head.trimmed(from: colon + 1, to: end)
          let rule = AnswerFieldRule.of(head.extracting(start..<colon))
          if rule == .literal { literals += 1 }
          if rule != .dropped {
            unsafe fields.append(
              nghttp2_nv(
                name: base + start, value: base + Int(value.start), namelen: colon - start,
                valuelen: Int(value.count),
                flags: rule == .literal && !isNaming
                  ? UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue) : 0))
          }
        }
        start = end + 2
      }
      if isNaming && literals >= nextNaming { nextNaming = literals + Self.namingInterval }
      return unsafe fields.withUnsafeBufferPointer { unsafe body($0.baseAddress, $0.count) }
    }
  }
}
