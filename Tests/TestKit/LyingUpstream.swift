import Base
import Foundation
import IPFS

/// Something that an upstream has, and what an honest one would say of it.
public struct Truth: Sendable {
  public enum Kind: String, CaseIterable, Sendable {
    /// `?format=raw`.
    case block
    /// A file in one raw block.
    case leaf
    /// `?format=car` of a file of several blocks.
    case car
    /// A file that cannot be checked by its CID alone.
    case opaque
  }

  public let kind: Kind
  public let cid: CID
  public let body: [UInt8]
  /// For a CAR, where its sections begin, after the header.
  public let sections: [Int]

  public var path: String { "/ipfs/\(cid)" }
  /// What a client asks for.
  public var target: String {
    switch kind {
    case .block: path + "?format=raw"
    case .car: path + "?format=car"
    case .leaf, .opaque: path
    }
  }

  public var etag: String { etag(as: kind) }

  private func etag(as kind: Kind) -> String {
    switch kind {
    case .block: "\"\(cid).raw\""
    case .car: "W/\"\(cid).car.2s3j8e4d2f\""
    case .leaf, .opaque: "\"\(cid)\""
    }
  }

  /// Makes one of a size; no other number gives the same.
  public init(_ kind: Kind, number: Int, bytes: Int) throws {
    self.kind = kind
    let content = Array("object \(number)\n".utf8) + noise(bytes, seed: 700 + UInt64(number))
    switch kind {
    case .block, .leaf:
      (cid, body, sections) = (try TestContent.raw(content).cid, content, [])
    case .opaque: (cid, body, sections) = (try TestContent.opaque(content).cid, content, [])
    case .car:
      var dag = TestDAG(chunkBytes: max(64, bytes / 5))
      cid = try dag.file(content).cid
      let block = dag.bytes(of: cid) ?? []
      var output = ByteBuffer(capacity: bytes + 1024)
      CARWriter.appendHeader(roots: [cid], to: &output)
      var starts = [output.count]
      CARWriter.appendBlock(cid, block.rawBytes, to: &output)
      for link in try PBNode.decode(block.rawBytes).links {
        let leaf = try link.cid(in: block.rawBytes)
        starts.append(output.count)
        let bytes = dag.bytes(of: leaf) ?? []
        CARWriter.appendBlock(leaf, bytes.rawBytes, to: &output)
      }
      (body, sections) = (output.readable.array, starts)
    }
  }

  /// The fields of a Kubo gateway; which form of a raw block is asked for is the asker's choice.
  func fields(of target: String) -> [(String, String)] {
    let isRaw = kind == .block || kind == .leaf
    let kind = isRaw ? target.contains("format=raw") ? Kind.block : .leaf : kind
    var fields = [
      ("Etag", etag(as: kind)), ("Cache-Control", "public, max-age=29030400, immutable"),
      ("X-Ipfs-Path", path), ("X-Ipfs-Roots", "\(cid)"),
    ]
    func attached(_ name: String) -> (String, String) {
      (
        "Content-Disposition",
        "attachment; filename=\"\(cid).\(name)\"; filename*=UTF-8''\(cid).\(name)"
      )
    }
    switch kind {
    case .block:
      fields += [("Content-Type", "application/vnd.ipld.raw"), ("Accept-Ranges", "bytes")]
      fields += [attached("bin"), ("X-Content-Type-Options", "nosniff")]
    case .car:
      fields += [
        ("Content-Type", "application/vnd.ipld.car; version=1; order=dfs; dups=n"),
        ("Accept-Ranges", "none"), attached("car"), ("X-Content-Type-Options", "nosniff"),
      ]
    case .leaf, .opaque:
      fields += [("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes")]
    }
    return fields
  }
}

/// What an upstream does instead of answering.
public enum Lie: String, CaseIterable, Sendable {
  case flippedBit, cleanCut, marker, tooLong, tooShort, wrongStatus, otherObject, otherBody
  case redirect, cookie, wrongEtag, addedBytes, otherRoot, encoding, noEnd

  /// Whether somebody who has only the head and an end can tell; all that can be asked for content
  /// that no hash can be held against.
  public var isPlain: Bool {
    switch self {
    case .marker, .tooLong, .otherObject, .redirect, .cookie, .wrongEtag, .encoding, .noEnd: true
    default: false
    }
  }
}

/// An upstream that has many objects and answers for few of them honestly.
public enum LyingUpstream {
  /// What the upstream does now.
  public final class Mood: @unchecked Sendable {
    // Unchecked: guarded by the lock.
    public enum Kind: Sendable { case lying, silent, honest }

    private let lock = NSLock()
    private var kind = Kind.lying

    public init() {}

    public var now: Kind {
      get { lock.withLock { kind } }
      set { lock.withLock { kind = newValue } }
    }
  }

  static let markerText =
    "\n\n[Gateway Error: Response truncated - unable to retrieve remaining data within timeout period]"

  /// - Parameters:
  ///   - honest: How many of a hundred answers are true while it lies.
  ///   - told: Given each lie as it is told.
  ///   - all: What it tells of; of what cannot be checked only those that are plain.
  public static func start(
    _ truths: [Truth], mood: Mood, honest: Int, seed: UInt64, told: Collected<Lie>,
    all: [Lie] = Lie.allCases
  ) throws -> ScriptedUpstream {
    let byPath = Dictionary(truths.indices.map { (truths[$0].path, $0) }) { first, _ in first }
    return try ScriptedUpstream(remembers: false) { request, reply in
      let now = mood.now
      if now == .silent { try reply.reset() }
      let path = String(request.target.prefix { $0 != "?" })
      guard let index = byPath[path] else { return try reply.answer(404, [], []) }
      var random = SeededRandom(seed: seed &* 1_000_003 &+ UInt64(request.number))
      let truth = truths[index]
      let lies = truth.kind == .opaque ? all.filter(\.isPlain) : all
      if now == .honest || random.number(in: 0...99) < honest {
        return try tell(nil, truth, truths[(index + 1) % truths.count], request, reply, &random)
      }
      let lie = lies[random.number(in: 0...lies.count - 1)]
      told.add(lie)
      let other = truths[random.number(in: 0...truths.count - 1)]
      try tell(lie, truth, other, request, reply, &random)
    }
  }

  private static func tell(
    _ lie: Lie?, _ truth: Truth, _ other: Truth, _ request: ScriptedUpstream.Request,
    _ reply: Reply, _ random: inout SeededRandom
  ) throws {
    var truth = truth
    var status = 200
    var fields = truth.fields(of: request.target)
    var body = truth.body
    if lie == .otherObject {
      (truth, fields, body) = (other, other.fields(of: other.target), other.body)
    }
    if lie == .otherBody { body = other.body }
    let isChunked = truth.kind == .car
    let part =
      isChunked ? nil : request["Range"].flatMap { Reply.part($0, of: truth.body.count) }
    if let part, lie != .wrongStatus, part.upperBound <= body.count {
      status = 206
      fields.append(
        ("Content-Range", "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(truth.body.count)"))
      body = Array(body[part])
    }
    let middle = body.isEmpty ? 0 : random.number(in: 0...body.count - 1)
    switch lie {
    case .flippedBit where !body.isEmpty: body[middle] ^= 1 << UInt8(middle % 8)
    case .cleanCut:
      let borders = [0] + truth.sections
      let border = borders[random.number(in: 0...borders.count - 1)]
      body = Array(body.prefix(isChunked ? border : middle))
    case .wrongStatus where part == nil && !body.isEmpty:
      status = 206
      fields.append(("Content-Range", "bytes 0-\(middle)/\(body.count)"))
      body = Array(body[...middle])
    case .redirect:
      status = 302
      fields.append(("Location", "http://evil.test\(truth.path)"))
    case .cookie: fields.append(("Set-Cookie", "track=1"))
    case .wrongEtag: fields[0].1 = "\"\(other.cid)\""
    case .addedBytes: body += isChunked ? Array(other.body.suffix(300)) : [0x0A]
    case .otherRoot where isChunked:
      // The header of another CAR before this one's blocks.
      let start = truth.sections.first ?? 0
      let header = other.kind == .car ? Array(other.body.prefix(start)) : []
      body = header + body[start...]
    case .encoding: fields.append(("Content-Encoding", "gzip"))
    default: break
    }
    if request.method == "HEAD" {
      // Of what cannot be checked nobody could tell.
      let length = body.count + (lie == .tooLong && truth.kind != .opaque ? 10 : 0)
      return try reply.head(
        status, fields + (isChunked ? [] : [("Content-Length", "\(length)")]))
    }
    let cut = min(middle, body.count)
    if isChunked {
      try sendChunks(lie, status, fields, body, cut: cut, reply)
    } else {
      try sendCounted(lie, status, fields, body, cut: cut, reply)
    }
  }

  private static func sendCounted(
    _ lie: Lie?, _ status: Int, _ fields: [(String, String)], _ body: [UInt8], cut: Int,
    _ reply: Reply
  ) throws {
    let claimed =
      lie == .tooLong ? body.count + 10 : lie == .tooShort ? max(0, body.count - 10) : body.count
    try reply.head(status, fields + [("Content-Length", "\(claimed)")])
    switch lie {
    case .marker:
      // It is written only where it fits into the length that was promised; often it fills it.
      let room = body.count - markerText.utf8.count
      let end = room < 0 ? cut : cut % 2 == 0 ? room : min(cut, room)
      try reply.send(Array(body[..<end]) + (room < 0 ? [] : Array(markerText.utf8)))
      try reply.reset()
    case .noEnd:
      try reply.send(body[..<cut])
      reply.close()
    case .tooLong:
      try reply.send(body)
      reply.close()
    default: try reply.send(body)
    }
  }

  private static func sendChunks(
    _ lie: Lie?, _ status: Int, _ fields: [(String, String)], _ body: [UInt8], cut: Int,
    _ reply: Reply
  ) throws {
    func chunk(_ bytes: [UInt8], claimed: Int? = nil) -> [UInt8] {
      let size = String(claimed ?? bytes.count, radix: 16)
      return Array("\(size)\r\n".utf8) + bytes + Array("\r\n".utf8)
    }
    let end = Array("0\r\n\r\n".utf8)
    try reply.head(status, fields + [("Transfer-Encoding", "chunked")])
    // A chunk of no bytes would be the end.
    let start = cut == 0 ? [] : chunk(Array(body[..<cut]))
    switch lie {
    case .marker:
      try reply.send(start + chunk(Array(markerText.utf8)))
      try reply.reset()
    case .noEnd:
      try reply.send(start)
      reply.close()
    case .tooLong:
      try reply.send(chunk(body, claimed: body.count + 10))
      reply.close()
    case .tooShort:
      try reply.send(chunk(body, claimed: max(1, body.count - 10)) + end)
      reply.close()
    default: try reply.send((body.isEmpty ? [] : chunk(body)) + end)
    }
  }
}
