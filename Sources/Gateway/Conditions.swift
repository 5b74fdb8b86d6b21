internal import Base
internal import HTTP

/// What a client's conditions and range mean for one representation.
enum Wish: Equatable {
  case whole
  case part(Range<Int64>)
  case notModified
  case preconditionFailed
  case unsatisfiable

  /// Whether the answer has the content, or a part of it.
  var hasRepresentation: Bool {
    switch self {
    case .whole, .part: true
    case .notModified, .preconditionFailed, .unsatisfiable: false
    }
  }
}

/// The preconditions and the range of a request (RFC 9110, sections 13 and 14), as places in its text.
///
/// A HEAD has its range too, as with Kubo, though the RFC defines it for GET alone: its answer is then
/// that of the GET, less the body.
struct Conditions {
  var ifMatch = ByteRange.empty
  var ifNoneMatch = ByteRange.empty
  var ifRange = ByteRange.empty
  var range = ByteRange.empty

  init() {}

  init(_ head: RequestHead) {
    for field in head.fields {
      switch field.token {
      case .ifMatch where ifMatch.isEmpty: ifMatch = field.value
      case .ifNoneMatch where ifNoneMatch.isEmpty: ifNoneMatch = field.value
      case .ifRange where ifRange.isEmpty: ifRange = field.value
      case .range where range.isEmpty: range = field.value
      default: continue
      }
    }
  }

  var isEmpty: Bool {
    ifMatch.isEmpty && ifNoneMatch.isEmpty && range.isEmpty
  }

  /// In the order of RFC 9110, section 13.2.2; `ranges` says whether the representation has any.
  func wish(etag: RawSpan, total: Int64, ranges: Bool = true, in text: RawSpan) -> Wish {
    if isEmpty { return .whole }
    // Gateways do not look at it where they cannot promise the same bytes.
    if ranges, !ifMatch.isEmpty, !Etag.strongMatch(list: text.bytes(ifMatch), etag: etag) {
      return .preconditionFailed
    }
    if !ifNoneMatch.isEmpty, Etag.weakMatch(list: text.bytes(ifNoneMatch), etag: etag) {
      return .notModified
    }
    guard ranges, !range.isEmpty, let request = RangeRequest.parse(text.bytes(range)) else {
      return .whole
    }
    if !ifRange.isEmpty, !Etag.strongEqual(text.bytes(ifRange), etag) { return .whole }
    switch request.resolve(length: total) {
    case .whole: return .whole
    case .part(let part): return .part(part)
    case .unsatisfiable: return .unsatisfiable
    }
  }
}
