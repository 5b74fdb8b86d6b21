import Base

/// The directives of a Cache-Control field that the gateway heeds (RFC 9111, 5.2, and RFC 8246).
public struct CacheControl: Equatable, Sendable {
  public var onlyIfCached = false
  public var noStore = false
  /// Also set by the form that names fields.
  public var noCache = false
  /// Also set by the form that names fields.
  public var isPrivate = false
  public var immutable = false
  /// Seconds.
  public var maxAge: Int64?
  /// Seconds.
  public var sMaxAge: Int64?

  public init() {}

  public static func parse(_ value: RawSpan) -> CacheControl {
    var control = CacheControl()
    control.merge(value)
    return control
  }

  /// Adds the directives of a further field; of ages the first one counts.
  public mutating func merge(_ value: RawSpan) {
    var offset = 0
    while offset < value.byteCount {
      let end = Self.directiveEnd(value, offset)
      let equals = value.first(UInt8(ascii: "="), from: offset, to: end)
      let name = value.bytes(value.trimmed(from: offset, to: equals))
      let argument = value.trimmed(from: min(equals + 1, end), to: end)
      add(name, value.bytes(argument))
      offset = end + 1
    }
  }

  /// The offset of the comma that ends a directive; commas in quoted strings do not.
  private static func directiveEnd(_ value: RawSpan, _ start: Int) -> Int {
    var offset = start
    var isQuoted = false
    while offset < value.byteCount {
      switch value.byte(offset) {
      case UInt8(ascii: "\""): isQuoted.toggle()
      case UInt8(ascii: "\\") where isQuoted: offset += 1
      case UInt8(ascii: ",") where !isQuoted: return offset
      default: break
      }
      offset += 1
    }
    return value.byteCount
  }

  private mutating func add(_ name: RawSpan, _ argument: RawSpan) {
    switch name.byteCount {
    case 7:
      if name.equalsIgnoringCase("max-age") {
        maxAge = maxAge ?? Self.seconds(argument)
      } else if name.equalsIgnoringCase("private") {
        isPrivate = true
      }
    case 8:
      if name.equalsIgnoringCase("no-store") {
        noStore = true
      } else if name.equalsIgnoringCase("no-cache") {
        noCache = true
      } else if name.equalsIgnoringCase("s-maxage") {
        sMaxAge = sMaxAge ?? Self.seconds(argument)
      }
    case 9:
      if name.equalsIgnoringCase("immutable") { immutable = true }
    case 14:
      if name.equalsIgnoringCase("only-if-cached") { onlyIfCached = true }
    default: break
    }
  }

  /// A number of seconds, bare or quoted; what does not fit is 2^31 (RFC 9111, 1.2.2).
  private static func seconds(_ argument: RawSpan) -> Int64? {
    let end = argument.byteCount
    let isQuoted =
      end >= 2 && argument.byte(0) == UInt8(ascii: "\"")
      && argument.byte(end - 1) == UInt8(ascii: "\"")
    let digits = isQuoted ? argument.extracting(1..<(end - 1)) : argument
    return digits.decimalClamped.map { min($0, 1 << 31) }
  }
}
