import Base

/// What a seed lets go wrong.
struct Troubles {
  /// How likely a node spoils an answer, for each node.
  var nodes: [Double] = [0, 0]
  /// Whether nodes may also send bytes that are not the content's, for raw content.
  var lies = false
  /// How likely the disk fails in each of the writer's operations.
  var disk = 0.0
  /// How likely the writer is held up, for up to some seconds, before it goes on.
  var slowDisk = 0.0
  /// How likely bytes of a segment are not in memory, a read of one fails, a read that waits takes
  /// long, and the threads for such reads take no more.
  var waits = 0.0
  var readFaults = 0.0
  var slowReads = 0.0
  var refusedReads = 0.0
  /// How often the gateway's process dies, and whether its machine loses power with it.
  var deaths = 0
  var losesPower = false
  /// Whether a worker drains in the middle.
  var drains = false
  /// How many segments of 4 MiB fit into the cache.
  var segments = 4
  var queueBytes = 64 << 20

  /// Whether slices may turn out to be lost again and again.
  ///
  /// Content that is checked as a whole is fetched anew each time, and given up after a few.
  var losesSlices: Bool { readFaults > 0 || refusedReads > 0 }

  var hasFaultyNodes: Bool { nodes.contains { $0 > 0 } }

  /// Whether what one node begins another one can always end.
  ///
  /// Content that is checked as a whole may turn out wrong, or be lost too often.
  func hasGoodNode(for content: Content) -> Bool {
    nodes.contains(0) && !((lies || losesSlices) && content.isRaw)
  }

  init(_ random: inout SeededRandom, class kind: UInt64) {
    nodes = (0..<random.number(in: 2...3)).map { _ in
      kind == 0 || random.chance(0.4) ? 0 : Double(random.number(in: 1...6)) / 10
    }
    lies = kind == 2
    disk = random.chance(0.3) ? 0.03 : 0
    slowDisk = random.chance(0.2) ? 0.03 : 0
    waits = random.chance(0.6) ? Double(random.number(in: 1...6)) / 10 : 0
    readFaults = random.chance(0.2) ? 0.01 : 0
    slowReads = random.chance(0.3) ? 0.1 : 0
    refusedReads = random.chance(0.2) ? 0.05 : 0
    // Three in a row that end soon after they began would make the next distrust its index.
    deaths = random.chance(0.4) ? random.number(in: 1...2) : 0
    losesPower = random.chance(0.5)
    drains = random.chance(0.2)
    segments = random.chance(0.4) ? 2 : random.number(in: 3...5)
    queueBytes = random.chance(0.3) ? 150_000 : 64 << 20
  }
}

/// One way for a node to spoil an answer.
enum NodeFault: CaseIterable {
  case closeBeforeHead, resetBeforeHead, stallBeforeHead
  case closeInBody, resetInBody, stallInBody, closeInHead
  /// A gateway's own words of giving up within the body, whole or in part, and the end.
  case markerInBody
  /// Some pieces that take long, though not too long.
  case slowBody
  case setCookie, chunked, untilClose, ignoresRange
  case notFound, serverError, gatewayTimeout
  case interim, junkAfter, closesIdle
  case otherContent, otherPart
  // Lies about content, for what can be checked.
  case flipsByte, shorterLength, longerLength

  /// The ends of bodies before their time.
  static let breaks: [NodeFault] = [.closeInBody, .resetInBody, .stallInBody, .markerInBody]

  var isLie: Bool {
    switch self {
    case .flipsByte, .shorterLength, .longerLength: true
    default: false
    }
  }
}

/// What a node does with one request.
struct Reply {
  enum Then { case keep, close, reset, stall }
  var wire: [UInt8] = []
  var then = Then.keep
  /// Closes the idle connection so long after the answer.
  var closesAfter: Interval?
  /// After how many pieces it goes on as fast as it can.
  var slowPieces = 0
}

/// An answer as a Kubo gateway gives it, before anything goes wrong.
struct NodeAnswer {
  var status = 200
  var content: Content?
  var part: Range<Int>?
  var body: [UInt8] = []
  var isHead = false
  var etag: String?
  var roots: String?
  var length: Int?
  var contentRange: String?
  var isChunked = false
  var isUntilClose = false
  var extra: [String] = []

  /// The honest answer to a request for some content.
  init(_ content: Content, isHead: Bool, range: String?) {
    self.content = content
    self.isHead = isHead
    etag = content.etag
    roots = content.roots
    let total = content.bytes.count
    body = content.bytes
    length = total
    guard total > 0, let range, let wanted = Wanted(range) else { return }
    guard let part = wanted.part(of: total) else {
      status = 416
      contentRange = "bytes */\(total)"
      body = Array("range\n".utf8)
      length = body.count
      etag = nil
      roots = nil
      return
    }
    status = 206
    self.part = part
    body = Array(content.bytes[part])
    length = body.count
    contentRange = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"
  }

  /// An error in the node's own words.
  init(status: Int, isHead: Bool) {
    self.status = status
    self.isHead = isHead
    body = Array("node says \(status)\n".utf8)
    length = body.count
  }

  func wire(_ random: inout SeededRandom) -> [UInt8] {
    var head = "HTTP/1.1 \(status) Whatever\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    if let etag {
      head += "Etag: \(etag)\r\nCache-Control: public, max-age=29030400, immutable\r\n"
    }
    if let roots { head += "X-Ipfs-Roots: \(roots)\r\nContent-Type: application/octet-stream\r\n" }
    if let contentRange { head += "Content-Range: \(contentRange)\r\n" }
    for line in extra { head += line + "\r\n" }
    if isChunked {
      head += "Transfer-Encoding: chunked\r\n"
    } else if isUntilClose {
      head += "Connection: close\r\n"
    } else if let length {
      head += "Content-Length: \(length)\r\n"
    }
    var wire = Array((head + "\r\n").utf8)
    if isHead || status == 204 || status == 304 { return wire }
    guard isChunked else { return wire + body }
    var rest = body[...]
    while !rest.isEmpty {
      let piece = rest.prefix(random.number(in: 1...40_000))
      wire += Array("\(String(piece.count, radix: 16))\r\n".utf8)
      wire += piece
      wire += [13, 10]
      rest = rest.dropFirst(piece.count)
    }
    return wire + Array("0\r\n\r\n".utf8)
  }
}

/// A Range field read anew, so that the gateway is not measured by its own reading.
struct Wanted {
  var first: Int?
  var last: Int?

  init?(_ field: String) {
    guard field.hasPrefix("bytes=") else { return nil }
    let ends = field.dropFirst(6).split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { return nil }
    first = Int(ends[0])
    last = Int(ends[1])
    if first == nil && (last == nil || !ends[0].isEmpty) { return nil }
    if last == nil && !ends[1].isEmpty { return nil }
    if let first, let last, last < first { return nil }
  }

  /// The bytes meant of that many; nil where there are none.
  func part(of total: Int) -> Range<Int>? {
    if let first {
      return first < total ? first..<min((last ?? total - 1) + 1, total) : nil
    }
    guard let last, last > 0 else { return nil }
    return max(0, total - last)..<total
  }
}
