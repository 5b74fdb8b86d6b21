import Base

/// What a Range field of the unit `bytes` asks for (RFC 9110, 14.2).
public struct RangeRequest: Equatable, Sendable {
  /// The first range that was asked for; offsets are inclusive.
  public enum Spec: Equatable, Sendable {
    case closed(first: Int64, last: Int64)
    case from(Int64)
    /// The last so many bytes.
    case suffix(Int64)
  }

  /// What a range means for a body of known length.
  public enum Resolved: Equatable, Sendable {
    /// The field does not apply: the whole body as 200.
    case whole
    /// These bytes as 206; never empty.
    case part(Range<Int64>)
    /// 416.
    case unsatisfiable
  }

  public var spec: Spec
  /// How many ranges the field named; only the first is kept.
  public var count: Int

  public init(spec: Spec, count: Int = 1) {
    self.spec = spec
    self.count = count
  }

  /// Reads a field's value; nil where it is malformed or of another unit and so must be ignored.
  public static func parse(_ value: RawSpan) -> RangeRequest? {
    let end = value.byteCount
    guard end > 6, value.extracting(0..<6).equalsIgnoringCase("bytes=") else { return nil }
    var first: Spec?
    var count = 0
    var offset = 6
    while offset < end {
      let comma = value.first(UInt8(ascii: ","), from: offset, to: end)
      let element = value.trimmed(from: offset, to: comma)
      offset = comma + 1
      if element.isEmpty { continue }
      guard let spec = spec(value.bytes(element)) else { return nil }
      if first == nil { first = spec }
      count += 1
    }
    guard let first else { return nil }
    return RangeRequest(spec: first, count: count)
  }

  private static func spec(_ text: RawSpan) -> Spec? {
    let end = text.byteCount
    let dash = text.first(UInt8(ascii: "-"), from: 0, to: end)
    guard dash < end else { return nil }
    // A number that does not fit is beyond the end of any body, as the largest number is.
    if dash == 0 {
      return text.extracting(1..<end).decimalClamped.map { .suffix($0) }
    }
    guard let first = text.extracting(0..<dash).decimalClamped else { return nil }
    if dash == end - 1 { return .from(first) }
    guard let last = text.extracting((dash + 1)..<end).decimalClamped, first <= last else {
      return nil
    }
    return .closed(first: first, last: last)
  }

  /// The bytes of a body of `length` bytes that are meant.
  ///
  /// An empty body ignores Range; a suffix longer than the body is the whole of it as 206. Where the first of several
  /// ranges lies beyond the end, another one may not: the field is ignored then, as it always may be.
  public func resolve(length: Int64) -> Resolved {
    guard length > 0 else { return .whole }
    let none = count > 1 ? Resolved.whole : .unsatisfiable
    switch spec {
    case .closed(let first, let last):
      return first < length ? .part(first..<(min(last, length - 1) + 1)) : none
    case .from(let first):
      return first < length ? .part(first..<length) : none
    case .suffix(let count):
      return count > 0 ? .part((length - min(count, length))..<length) : none
    }
  }
}

/// A Content-Range field of the unit `bytes` (RFC 9110, 14.4).
public struct ContentRange: Equatable, Sendable {
  /// The first byte's offset; 0 where the range was unsatisfied.
  public var first: Int64
  /// The last byte's offset, inclusive; -1 where the range was unsatisfied.
  public var last: Int64
  /// The length of the whole, nil where it is not known (`*`).
  public var total: Int64?

  public init(first: Int64, last: Int64, total: Int64?) {
    self.first = first
    self.last = last
    self.total = total
  }

  /// Whether this is the form `bytes */N` of a 416.
  public var isUnsatisfied: Bool { last < first }

  /// Reads a field's value; nil where it is malformed, contradicts itself or is of another unit.
  public static func parse(_ value: RawSpan) -> ContentRange? {
    let end = value.byteCount
    guard end > 6, value.extracting(0..<6).equalsIgnoringCase("bytes ") else { return nil }
    let slash = value.first(UInt8(ascii: "/"), from: 6, to: end)
    guard slash < end else { return nil }
    let totalText = value.extracting((slash + 1)..<end)
    let total = totalText.decimal
    guard total != nil || totalText.equals("*") else { return nil }
    if value.extracting(6..<slash).equals("*") {
      return total.map { ContentRange(first: 0, last: -1, total: $0) }
    }
    let dash = value.first(UInt8(ascii: "-"), from: 6, to: slash)
    guard dash < slash, let first = value.extracting(6..<dash).decimal,
      let last = value.extracting((dash + 1)..<slash).decimal, first <= last
    else { return nil }
    if let total, last >= total { return nil }
    return ContentRange(first: first, last: last, total: total)
  }
}
