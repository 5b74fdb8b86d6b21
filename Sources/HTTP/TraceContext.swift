public import Base

/// Which trace a request belongs to, as `traceparent` says it (W3C Trace Context, level 1).
public struct TraceContext: Equatable, Sendable {
  /// The trace's number of 16 bytes, never zero.
  public var traceHigh: UInt64
  public var traceLow: UInt64
  /// The number of who sends the request, never zero.
  public var parent: UInt64
  /// Whether the sender may have recorded the request (the flag `sampled`); other flags are not defined.
  public var isSampled: Bool

  public init(traceHigh: UInt64, traceLow: UInt64, parent: UInt64, isSampled: Bool = false) {
    self.traceHigh = traceHigh
    self.traceLow = traceLow
    self.parent = parent
    self.isSampled = isSampled
  }

  /// Bytes of a `traceparent` of version 00.
  public static let bytes = 55

  /// Reads `00-<trace-id>-<parent-id>-<flags>` (sections 3.2.2 and 4.3).
  ///
  /// Nil for upper case, for a trace or parent of zeros, for version `ff`, and for anything behind a version 00;
  /// a later version may have more behind a hyphen, which is left out of account.
  public init?(_ value: RawSpan) {
    guard value.byteCount >= Self.bytes, let version = Self.number(value, 0..<2), version != 0xff,
      let high = Self.number(value, 3..<19), let low = Self.number(value, 19..<35),
      let parent = Self.number(value, 36..<52), let flags = Self.number(value, 53..<55)
    else { return nil }
    let hyphen = UInt8(ascii: "-")
    guard value.byte(2) == hyphen, value.byte(35) == hyphen, value.byte(52) == hyphen,
      high | low != 0, parent != 0
    else { return nil }
    if value.byteCount > Self.bytes {
      guard version != 0, value.byte(Self.bytes) == hyphen else { return nil }
    }
    self.init(traceHigh: high, traceLow: low, parent: parent, isSampled: flags & 1 == 1)
  }

  /// Hexadecimal digits in lower case; nil for anything else.
  private static func number(_ value: RawSpan, _ places: Range<Int>) -> UInt64? {
    var number: UInt64 = 0
    for place in places {
      let byte = value.byte(place)
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(byte & 0x0f)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(byte - 0x57)
      default: return nil
      }
    }
    return number
  }

  /// Appends the trace's number as 32 digits.
  public func appendTrace(to output: inout ByteBuffer) {
    Self.append(traceHigh, to: &output)
    Self.append(traceLow, to: &output)
  }

  /// Appends the value that goes on to the next server; always in version 00.
  public func append(to output: inout ByteBuffer) {
    output.append("00-" as StaticString)
    appendTrace(to: &output)
    output.append("-" as StaticString)
    Self.append(parent, to: &output)
    output.append(isSampled ? "-01" as StaticString : "-00" as StaticString)
  }

  private static func append(_ number: UInt64, to output: inout ByteBuffer) {
    for shift in stride(from: UInt64(60), through: 0, by: -4) {
      let digit = UInt8(truncatingIfNeeded: number >> shift) & 0x0f
      output.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
    }
  }
}

extension TraceContext {
  /// The most bytes of `tracestate` that are given on; section 3.3.1.5 asks for 512 at least.
  public static let mostState = 2_048

  /// Whether a value of `tracestate` may stand in a request: printable ASCII, blanks and tabs.
  ///
  /// What its members mean is for those who wrote them.
  public static func isState(_ value: RawSpan) -> Bool {
    guard value.byteCount > 0, value.byteCount <= mostState else { return false }
    for offset in 0..<value.byteCount {
      let byte = value.byte(offset)
      guard byte == 0x09 || (byte >= 0x20 && byte < 0x7f) else { return false }
    }
    return true
  }
}
