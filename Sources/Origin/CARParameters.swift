internal import Base

/// What a client asks of a CAR (specs.ipfs.tech, trustless gateway).
struct CARParameters: Equatable, Sendable {
  enum Scope: String, Sendable {
    case block, entity, all
  }

  /// A range of a file as `from:to`, both inclusive; negative numbers count from the end.
  struct EntityBytes: Equatable, Sendable {
    var from: Int64
    /// Nil for `*`: up to the end.
    var last: Int64?

    /// Reads the text; nil where it is malformed or runs backwards.
    init?(_ text: String) {
      let parts = text.split(separator: ":", omittingEmptySubsequences: false)
      guard parts.count == 2, let from = Int64(parts[0]) else { return nil }
      self.from = from
      if parts[1] == "*" { return }
      guard let last = Int64(parts[1]) else { return nil }
      if (from < 0) == (last < 0), last < from { return nil }
      self.last = last
    }

    /// The bytes of a file of this size that are meant; empty where there are none.
    func resolve(size: Int64) -> Range<Int64> {
      let start = max(0, min(size, from < 0 ? size + max(from, -size) : from))
      guard let last else { return start..<size }
      let stop = last < 0 ? size + max(last, -size - 1) : min(last, size - 1)
      return start..<max(start, stop + 1)
    }
  }

  enum Order: String, Sendable {
    case dfs
    /// Any; depth first is one that it allows.
    case unknown = "unk"
  }

  var scope = Scope.all
  var order = Order.dfs
  var entityBytes: EntityBytes?
  /// Whether a block stands again where it is met again.
  var duplicates = false

  init() {}

  /// Reads the parameters: those of the URL override those of Accept.
  init(_ request: OriginRequest, _ format: ContentFormat) throws(Rejection) {
    func value(_ inAccept: String, _ inURL: StaticString) -> String? {
      if let bytes = request.parameter(inURL), !bytes.isEmpty {
        return String(decoding: bytes, as: UTF8.self)
      }
      return format.parameters.first { $0.name == inAccept }?.value
    }
    let version = value("version", "car-version") ?? "1"
    guard version == "1" else { throw Rejection(400, "the CAR version \(version) is not known") }
    if let text = value("order", "car-order") {
      guard let order = Order(rawValue: text) else {
        throw Rejection(400, "the CAR order \(text) is not known")
      }
      self.order = order
    }
    let duplicates = value("dups", "car-dups") ?? "n"
    guard duplicates == "y" || duplicates == "n" else {
      throw Rejection(400, "the CAR dups parameter must be y or n")
    }
    self.duplicates = duplicates == "y"
    if let text = request.parameter("entity-bytes").map({ String(decoding: $0, as: UTF8.self) }),
      !text.isEmpty
    {
      guard let bytes = EntityBytes(text) else {
        throw Rejection(400, "the entity-bytes must be from:to, as 0:1023 or -1024:*")
      }
      entityBytes = bytes
      scope = .entity
    }
    if let text = request.parameter("dag-scope").map({ String(decoding: $0, as: UTF8.self) }),
      !text.isEmpty
    {
      guard let scope = Scope(rawValue: text) else {
        throw Rejection(400, "the dag-scope must be block, entity or all")
      }
      guard entityBytes == nil || scope == .entity else {
        throw Rejection(400, "entity-bytes goes with dag-scope=entity only")
      }
      self.scope = scope
    }
  }

  /// The media type of the answer.
  var contentType: String {
    "application/vnd.ipld.car; version=1; order=\(order.rawValue); dups=\(duplicates ? "y" : "n")"
  }

  /// All that tells two answers for one path apart, as boxo puts it into the Etag's hash.
  var identity: [UInt8] {
    var identity: [UInt8] = []
    func append(_ name: String, _ value: String) {
      identity.append(0)
      identity += "\(name)=\(value)".utf8
    }
    if scope != .all { append("scope", scope.rawValue) }
    if order != .dfs { append("order", order.rawValue) }
    if duplicates { append("dups", "y") }
    if let bytes = entityBytes, bytes.from != 0 || bytes.last != nil {
      append("range", "")
      for number in [bytes.from, bytes.last].compactMap(\.self) {
        for shift in stride(from: 0, to: 64, by: 8) {
          identity.append(UInt8(truncatingIfNeeded: number >> Int64(shift)))
        }
      }
    }
    return identity
  }
}
