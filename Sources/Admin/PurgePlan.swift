internal import Base
internal import Gateway
internal import IPFS

/// A purge made ready: what is removed, and whose receipt is whose.
struct PurgePlan {
  /// One subject's part of it.
  struct Entry {
    var kind: String
    var subject: String
    /// The content's root; nil where none is known.
    var root: CID?
    /// The place among the receipts; nil where there is nothing to remove.
    var part: Int?
  }

  private(set) var batch = RemovalBatch()
  private(set) var entries: [Entry] = []
  /// Names that are forgotten, so that they are looked up anew.
  private(set) var names: [[UInt8]] = []

  init(_ request: PurgeRequest, _ gateway: Gateway, at now: Instant) {
    for subject in request.subjects {
      switch subject {
      case .cid(let cid, let text):
        entries.append(Entry(kind: "cid", subject: text, root: cid, part: batch.add(cid)))
      case .path(.cid(let cid), let below, let text):
        let part = batch.add(below, below: cid)
        entries.append(Entry(kind: "path", subject: text, root: cid, part: part))
      case .path(.name(let name), let below, let text):
        let root = gateway.root(ofName: name.rawBytes, at: now)
        names.append(name)
        let part = root.map { batch.add(below, below: $0) }
        entries.append(Entry(kind: "path", subject: text, root: root, part: part))
      case .host(let host):
        let found = gateway.locate(host: host, at: now)
        if let name = found.name { names.append(Array(name.utf8)) }
        let part = found.root.map { batch.add($0) }
        entries.append(Entry(kind: "host", subject: host, root: found.root, part: part))
      }
    }
  }

  /// What has come of it, for its sender and for the audit log.
  func receipts(_ outcome: RemovalOutcome) -> JSONValue {
    .array(
      entries.map { entry in
        var members: [JSONValue.Member] = [
          .init("kind", .string(entry.kind)), .init("subject", .string(entry.subject)),
          .init("root", entry.root.map { .string("\($0)") } ?? .null),
        ]
        guard let part = entry.part, outcome.parts.indices.contains(part) else {
          let note =
            entry.kind == "host"
            ? "no content is known of this host" : "nobody has asked for this name lately"
          members.append(.init("note", .string(note)))
          return .object(members)
        }
        let receipt = outcome.parts[part]
        members += [
          .init("objects", .integer(receipt.objects)), .init("bytes", .integer(receipt.bytes)),
          .init("answers", .integer(receipt.answers)), .init("fetches", .integer(receipt.fills)),
        ]
        return .object(members)
      })
  }

  /// All of it together.
  static func totals(_ outcome: RemovalOutcome) -> [JSONValue.Member] {
    let parts = outcome.parts
    return [
      .init("objects", .integer(parts.reduce(0) { $0 + $1.objects })),
      .init("bytes", .integer(parts.reduce(0) { $0 + $1.bytes })),
      .init("answers", .integer(parts.reduce(0) { $0 + $1.answers })),
      .init("fetches", .integer(parts.reduce(0) { $0 + $1.fills })),
      .init("lost_bytes", .integer(outcome.lostBytes)),
    ]
  }
}
