public import Base

/// What is wrong with the parameters of a request for a CAR; a gateway answers each with 400.
public enum CARParameterError: Error, Equatable, Sendable {
  /// Gateways answer with version 1 only.
  case unknownVersion
  case unknownOrder
  /// Neither `y` nor `n`.
  case malformedDuplicates
  case unknownScope
  /// Not `from:to`, or backwards.
  case malformedEntityBytes

  /// What is wrong, for people.
  public var sentence: String {
    switch self {
    case .unknownVersion: "the CAR version is not known, only 1 is"
    case .unknownOrder: "the CAR order must be dfs or unk"
    case .malformedDuplicates: "the CAR dups parameter must be y or n"
    case .unknownScope: "the dag-scope must be block, entity or all"
    case .malformedEntityBytes: "the entity-bytes must be from:to, as 0:1023 or -1024:*"
    }
  }
}

/// What a client asks of a CAR (specs.ipfs.tech, trustless gateway; defaults as boxo has them).
///
/// Two values are equal if they mean the same: `entity-bytes=0:*` is the whole entity, as without it, and
/// beside another scope than `entity` it means nothing.
public struct CARParameters: Sendable {
  public enum Scope: UInt8, Sendable, CaseIterable {
    /// The block at the path's end.
    case block = 0x62  // b
    /// All blocks of a file, or those that name a directory's entries.
    case entity = 0x65  // e
    /// Everything that can be reached.
    case all = 0x61  // a

    /// The parameter's value.
    public var name: StaticString {
      switch self {
      case .block: "block"
      case .entity: "entity"
      case .all: "all"
      }
    }
  }

  public enum Order: UInt8, Sendable, CaseIterable {
    case depthFirst = 0x64  // d
    case unknown = 0x75  // u

    /// The parameter's value.
    public var name: StaticString { self == .depthFirst ? "dfs" : "unk" }
  }

  /// A range of a file as `from:to`, both inclusive; negative numbers count from the file's end.
  public struct EntityBytes: Hashable, Sendable {
    public let from: Int64
    /// The last byte; nil for `*`, up to the end.
    ///
    /// Never -1, which means the same.
    public let last: Int64?

    /// Reads the text; nil where it is malformed or runs backwards.
    public init?(_ text: RawSpan) {
      var offset = 0
      guard let from = Self.number(text, at: &offset), offset < text.byteCount,
        text.byte(offset) == 0x3a
      else { return nil }
      offset += 1
      self.from = from
      if text.byteCount - offset == 1, text.byte(offset) == 0x2a {
        last = nil
        return
      }
      guard let last = Self.number(text, at: &offset), offset == text.byteCount else { return nil }
      if (from < 0) == (last < 0), last < from { return nil }
      self.last = last == -1 ? nil : last
    }

    /// The number that begins at an offset, which moves behind it.
    private static func number(_ text: RawSpan, at offset: inout Int) -> Int64? {
      guard offset < text.byteCount else { return nil }
      let isNegative = text.byte(offset) == 0x2d
      if isNegative || text.byte(offset) == 0x2b { offset += 1 }
      let first = offset
      var value: Int64 = 0
      while offset < text.byteCount, text.byte(offset).isASCIIDigit {
        let digit = Int64(text.byte(offset) - 0x30)
        let (tenfold, overflow) = value.multipliedReportingOverflow(by: 10)
        let (sum, carry) =
          isNegative
          ? tenfold.subtractingReportingOverflow(digit) : tenfold.addingReportingOverflow(digit)
        guard !overflow, !carry else { return nil }
        value = sum
        offset += 1
      }
      return offset > first ? value : nil
    }

    public var isWhole: Bool { from == 0 && last == nil }

    /// The bytes of a file of this size that are meant; empty where there are none.
    public func resolve(size: Int64) -> Range<Int64> {
      let start = max(0, min(size, from < 0 ? size + max(from, -size) : from))
      guard let last else { return start..<size }
      let stop = last < 0 ? size + max(last, -size - 1) : min(last, size - 1)
      return start..<max(start, stop + 1)
    }
  }

  /// A parameter of a request.
  public enum Parameter: UInt8, Sendable {
    case scope, entityBytes, version, order, duplicates

    /// The parameter that a URL's query names so; nil for others.
    public init?(inURL name: RawSpan) {
      if name.equals("dag-scope") {
        self = .scope
      } else if name.equals("entity-bytes") {
        self = .entityBytes
      } else if name.equals("car-version") {
        self = .version
      } else if name.equals("car-order") {
        self = .order
      } else if name.equals("car-dups") {
        self = .duplicates
      } else {
        return nil
      }
    }

    /// The parameter that the media type of an Accept field names so; nil for others.
    public init?(inAccept name: RawSpan) {
      if name.equalsIgnoringCase("version") {
        self = .version
      } else if name.equalsIgnoringCase("order") {
        self = .order
      } else if name.equalsIgnoringCase("dups") {
        self = .duplicates
      } else {
        return nil
      }
    }
  }

  private var givenScope: Scope?
  private var givenBytes: EntityBytes?
  public var order = Order.depthFirst
  /// Whether a block stands again where it is met again.
  public var duplicates = false

  public init() {}

  public init(
    scope: Scope, entityBytes: EntityBytes? = nil, order: Order = .depthFirst,
    duplicates: Bool = false
  ) {
    givenScope = scope
    givenBytes = entityBytes
    self.order = order
    self.duplicates = duplicates
  }

  /// Takes a parameter's value, unescaped; a later one takes the earlier one's place.
  ///
  /// Those of the URL override those of Accept, which are not looked at then: take only what the URL
  /// does not name from Accept. An empty version, order or dups is as if it were absent.
  public mutating func take(
    _ parameter: Parameter, _ value: RawSpan
  ) throws(CARParameterError) {
    switch parameter {
    case .scope:
      guard let scope = Scope.allCases.first(where: { value.equals($0.name) }) else {
        throw .unknownScope
      }
      givenScope = scope
    case .entityBytes:
      guard let bytes = EntityBytes(value) else { throw .malformedEntityBytes }
      givenBytes = bytes
    case .version:
      guard value.byteCount == 0 || value.equals("1") else { throw .unknownVersion }
    case .order:
      guard value.byteCount > 0 else { return }
      guard let order = Order.allCases.first(where: { value.equals($0.name) }) else {
        throw .unknownOrder
      }
      self.order = order
    case .duplicates:
      guard value.byteCount > 0 else { return }
      guard value.equals("y") || value.equals("n") else { throw .malformedDuplicates }
      duplicates = value.equals("y")
    }
  }

  /// The scope; a range implies `entity`, without either it is `all`.
  public var scope: Scope { givenScope ?? (givenBytes == nil ? .all : .entity) }

  /// The range of the entity; nil where all of it is meant.
  public var entityBytes: EntityBytes? {
    guard scope == .entity, let givenBytes, !givenBytes.isWhole else { return nil }
    return givenBytes
  }

  /// Appends what tells two answers for one path apart; equal parameters give equal bytes.
  ///
  /// The bytes say where they end only by being last: nothing may follow.
  public func appendKey(to key: inout ByteBuffer) {
    key.append(scope.rawValue)
    key.append(order.rawValue)
    key.append(duplicates ? 0x79 : 0x6e)
    guard let entityBytes else { return }
    key.append(decimal: entityBytes.from)
    key.append(0x3a)
    if let last = entityBytes.last {
      key.append(decimal: last)
    } else {
      key.append(0x2a)
    }
  }

  /// Appends the media type of an answer that has this order and these duplicates.
  public func appendMediaType(to output: inout ByteBuffer) {
    output.append("application/vnd.ipld.car; version=1; order=")
    output.append(order.name)
    output.append("; dups=")
    output.append(duplicates ? 0x79 : 0x6e)
  }
}

extension CARParameters: Hashable {
  public static func == (one: CARParameters, other: CARParameters) -> Bool {
    one.scope == other.scope && one.entityBytes == other.entityBytes && one.order == other.order
      && one.duplicates == other.duplicates
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(scope)
    hasher.combine(entityBytes)
    hasher.combine(order)
    hasher.combine(duplicates)
  }
}
