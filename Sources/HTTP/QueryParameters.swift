public import Base

/// The pairs of a query such as `a=b&c`, one after the other, as they were sent.
///
/// Nothing is percent-decoded; ranges are relative to the span given. Empty pairs (`a&&b`) are passed over.
public struct QueryParameters: ~Escapable {
  /// One name and its value.
  public struct Parameter: Equatable, Sendable {
    public var name: ByteRange
    /// Empty where there is none.
    public var value: ByteRange
    /// Whether a `=` stands after the name.
    public var hasValue: Bool
  }

  private let query: RawSpan
  private var offset = 0

  @_lifetime(copy query)
  public init(_ query: RawSpan) {
    self.query = query
  }

  /// The next pair, or nil at the end.
  public mutating func next() -> Parameter? {
    while offset < query.byteCount {
      let start = offset
      let end = query.first(UInt8(ascii: "&"), from: start, to: query.byteCount)
      offset = end + 1
      if end == start { continue }
      let equals = query.first(UInt8(ascii: "="), from: start, to: end)
      let hasValue = equals < end
      return Parameter(
        name: ByteRange(start: start, count: equals - start),
        value: hasValue ? ByteRange(start: equals + 1, count: end - equals - 1) : .empty,
        hasValue: hasValue)
    }
    return nil
  }

  /// The value of the first pair whose name is exactly `name`; an empty range where it has no value.
  public static func value(named name: StaticString, in query: RawSpan) -> ByteRange? {
    var parameters = QueryParameters(query)
    while let parameter = parameters.next() {
      if query.bytes(parameter.name).equals(name) { return parameter.value }
    }
    return nil
  }
}
