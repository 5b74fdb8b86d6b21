import Base
import HTTP
import HTTP1

/// An answer as a client takes it, measured against what was asked.
struct Answer {
  /// Who answers.
  enum Kind {
    /// The gateway itself, of an error.
    case own
    /// An upstream, through the gateway.
    case passed
    /// The cache, or a fill on its way there.
    case kept
    /// The gateway, from what it remembers of content that could not be had.
    case remembered
  }

  let ask: Ask
  let status: Int
  let kind: Kind
  var reader: BodyReader
  /// The content that the body is of, where it is of any.
  private var content: Content?
  private var base = 0
  private(set) var position = 0
  private(set) var complaint: String?
  /// What is wrong with an answer that a lie went into: it must not come to its end.
  private var lie: String?
  private let cacheStatus: String

  /// - Parameter start: when the request was sent.
  init(
    _ ask: Ask, _ head: ResponseHead, _ text: RawSpan, _ world: World, since start: Instant
  ) {
    func field(_ token: FieldToken) -> String? { head.value(token).map { text.bytes($0).text } }
    self.ask = ask
    status = head.status
    reader = BodyReader(.ofResponse(head, requestMethod: ask.isHead ? .head : .get))
    cacheStatus = field(.cacheStatus) ?? ""
    if cacheStatus.isEmpty {
      kind = .own
    } else if cacheStatus.hasSuffix("detail=failing") || cacheStatus.hasSuffix("detail=absent") {
      kind = .remembered
    } else if cacheStatus.contains("detail=") || cacheStatus.contains("fwd=bypass") {
      kind = .passed
    } else {
      kind = .kept
    }
    if status < 200 || reader.framing == .untilClose { complaint = "status \(status), no framing" }
    for token in [FieldToken.contentLength, .contentRange, .etag, .cacheStatus]
    where head.count(token) > 1 {
      complaint = "\(token) is repeated"
    }
    if status == 429 {
      world.limited += 1
      if !world.isTight { complaint = "a refusal, though the limits are wide" }
      if field(.retryAfter).flatMap({ Int($0) }) ?? 0 < 1 { complaint = "429 without Retry-After" }
      return
    }
    let denial = world.denialComplaint(
      ask, status, kind, etag: field(.etag), since: start)
    if let denial { complaint = "\(denial) (status \(status), \(cacheStatus))" }
    if status == 410 {
      world.denied += 1
      if field(.etag) != nil || field(.cacheControl) != "no-store" {
        complaint = "a denial that says of what, or may be kept"
      }
      return
    }
    let problem: String? =
      switch kind {
      case .own: checkOwn(world)
      case .passed:
        checkPassed(
          world, etag: field(.etag), range: field(.contentRange), length: head.contentLength)
      case .kept:
        checkKept(
          etag: field(.etag), range: field(.contentRange), length: head.contentLength,
          path: field(.xIpfsPath))
      case .remembered: checkRemembered(world, retryAfter: field(.retryAfter))
      }
    guard let problem else { return }
    if kind != .own && kind != .remembered && world.troubles.lies && ask.content.isRaw {
      lie = problem
    } else {
      complaint = "\(problem) (status \(status), \(cacheStatus))"
    }
  }

  private func checkOwn(_ world: World) -> String? {
    if !world.troubles.hasFaultyNodes { return "an error without need" }
    return [500, 502, 503, 504].contains(status) ? nil : "an error of its own that makes no sense"
  }

  /// All content is there, so a failure is remembered only where a node has just had it.
  private func checkRemembered(_ world: World, retryAfter: String?) -> String? {
    if cacheStatus.hasSuffix("detail=absent") { return "what is there is said to be absent" }
    guard let seconds = retryAfter.flatMap({ Int($0) }), (1...60).contains(seconds) else {
      return "Retry-After \(retryAfter ?? "none")"
    }
    return world.hasJustFailed(ask.content, status) ? nil : "a failure that no node has just had"
  }

  private mutating func checkKept(
    etag: String?, range: String?, length: Int64?, path: String?
  ) -> String? {
    let expected = ask.expected
    let total = ask.content.bytes.count
    if status != expected.status { return "status \(expected.status) was due" }
    if path == nil { return "X-Ipfs-Path is missing" }
    if status != 416 && etag != ask.content.etag { return "Etag \(etag ?? "none")" }
    switch status {
    case 304: return length == nil ? nil : "a length without a body"
    case 416:
      return range == "bytes */\(total)" && length != nil ? nil : "Content-Range \(range ?? "")"
    default: break
    }
    guard let part = expected.part else { return "no part" }
    if length != Int64(part.count) { return "Content-Length \(length ?? -1)" }
    let due = "bytes \(part.lowerBound)-\(part.upperBound - 1)/\(total)"
    if range != (status == 206 ? due : nil) { return "Content-Range \(range ?? "none")" }
    content = ask.content
    base = part.lowerBound
    return nil
  }

  private mutating func checkPassed(
    _ world: World, etag: String?, range: String?, length: Int64?
  ) -> String? {
    if !world.troubles.hasFaultyNodes {
      if cacheStatus.hasSuffix("detail=disk") { return "the disk's trouble reached a client" }
      if !(ask.isHead && cacheStatus.hasSuffix("detail=head")) { return "passed without need" }
      if status != ask.expected.status { return "status \(ask.expected.status) was due" }
    }
    if status >= 400 { return nil }
    guard let etag, let content = Content.byEtag[etag] else { return "no Etag" }
    if status == 304 { return ask.condition == .noneMatch ? nil : "304 without need" }
    self.content = content
    let total = content.bytes.count
    let isLie = world.troubles.lies && content.isRaw
    if status == 206 {
      // Of the content that was given, which may be another's.
      var due = ask
      due.content = content
      if ![206, 416].contains(due.expected.status) && ![206, 416].contains(ask.expected.status) {
        return "a part without need"
      }
      guard let range, let place = ContentRange.parse(Array(range.utf8).rawBytes) else {
        return "no Content-Range"
      }
      base = Int(place.first)
      if isLie { return nil }
      if place.total != Int64(total) { return "Content-Range \(range)" }
      if let length, length != place.last - place.first + 1 { return "length \(length)" }
      return nil
    }
    if status != 200 { return "an odd status" }
    if let length, length != Int64(total), !isLie { return "length \(length)" }
    return nil
  }

  /// Measures a piece of the body.
  mutating func took(_ piece: UnsafeRawBufferPointer, _ world: World) {
    guard let content else {
      position += piece.count
      return
    }
    if !content.matches(piece, at: base + position) {
      let problem = "wrong bytes at \(base + position) (+\(piece.count))"
      if world.troubles.lies && content.isRaw {
        lie = problem
      } else {
        complaint = "\(problem) (status \(status), \(cacheStatus))"
      }
    }
    position += piece.count
  }

  /// What an answer that its client takes for complete must not have.
  func complaintAtEnd(_ world: World) -> String? {
    // What is passed through for a part, or a head, cannot be checked, and is not kept.
    if kind == .passed && (ask.range != nil || ask.isHead) { return nil }
    return lie.map { "\($0) in a complete answer (status \(status), \(cacheStatus))" }
  }
}
