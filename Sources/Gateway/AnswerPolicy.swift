internal import Base
internal import Cache
internal import HTTP
internal import IPFS

/// Decides whether an upstream's answer may be kept, and as what.
///
/// An answer is kept only if it belongs to what was asked for: a misdirected upstream or a captive page
/// must not be remembered for a year.
enum AnswerPolicy {
  enum Verdict {
    /// To be kept. `subject` is the CID that the whole body is the content of, where it can be hashed
    /// against it alone: a raw block or a file of a single raw leaf.
    case keep(subject: CID?)
    case pass(NotStored)
  }

  /// No object is larger; keeps sums of offsets far from overflow.
  static let maximumBytes: Int64 = 1 << 50

  /// Judges a 200 answer to `GET /ipfs/{root}…` without `format` (digest A2 of how gateways answer).
  ///
  /// - Parameter root: the CID that was asked for.
  static func judge(_ head: ResponseHead, text: RawSpan, root: CID) -> Verdict {
    guard head.status == 200 else { return .pass(.status) }
    guard head.count(.setCookie) == 0 else { return .pass(.setCookie) }
    guard let etagPlace = head.value(.etag) else { return .pass(.foreignAnswer) }
    let etag = text.bytes(etagPlace)
    if etag.hasPrefix("\"DirIndex-") || etag.hasPrefix("\"DagIndex-") { return .pass(.generated) }
    guard head.count(.etag) == 1, head.count(.contentEncoding) == 0,
      let subject = subject(of: head, text, root: root), isStrongEtag(etag, of: subject)
    else { return .pass(.foreignAnswer) }
    guard let length = head.contentLength, !head.isChunked else { return .pass(.noLength) }
    guard length <= maximumBytes else { return .pass(.foreignAnswer) }
    return .keep(subject: subject.codec == .raw ? subject : nil)
  }

  /// The CID that ends X-Ipfs-Roots, or the root where that field is absent; nil where the roots are
  /// not those of the request.
  private static func subject(of head: ResponseHead, _ text: RawSpan, root: CID) -> CID? {
    guard let place = head.value(.xIpfsRoots) else { return root }
    let roots = text.bytes(place)
    var first = 0
    while first < roots.byteCount, roots.byte(first) != UInt8(ascii: ",") { first += 1 }
    var last = roots.byteCount
    while last > 0, roots.byte(last - 1) != UInt8(ascii: ",") { last -= 1 }
    guard let begins = cid(roots.extracting(0..<first)), begins.isSameContent(as: root)
    else { return nil }
    return last == 0 ? begins : cid(roots.extracting(last..<roots.byteCount))
  }

  private static func cid(_ text: RawSpan) -> CID? {
    var start = 0
    var end = text.byteCount
    while start < end, text.byte(start) == UInt8(ascii: " ") { start += 1 }
    while end > start, text.byte(end - 1) == UInt8(ascii: " ") { end -= 1 }
    return try? CID.parse(text.extracting(start..<end))
  }

  /// Whether an Etag is `"<cid>"` in the CID's own spelling (v0 stays `Qm…`, v1 is base32).
  private static func isStrongEtag(_ etag: RawSpan, of cid: CID) -> Bool {
    var expected = ByteBuffer(capacity: 128)
    expected.append("\"")
    cid.appendText(to: &expected)
    expected.append("\"")
    return expected.readable.equals(etag)
  }

  /// The head as its readers get it; `keeps` leaves out what a hit makes anew.
  static func answerHead(
    _ head: ResponseHead, text: RawSpan, keeps: Bool, created: Int64, server: String
  ) -> AnswerHead {
    var answer = AnswerHead(
      status: head.status, totalBytes: head.isChunked ? nil : head.contentLength,
      created: created, server: server)
    var hopByHop: [UInt8] = []
    for field in head.fields where field.token == .connection {
      if !hopByHop.isEmpty { hopByHop.append(UInt8(ascii: ",")) }
      hopByHop += text.bytes(field.value).array
    }
    for field in head.fields {
      let value = text.bytes(field.value)
      if !hopByHop.isEmpty && isListed(text.bytes(field.name), in: hopByHop.rawBytes) { continue }
      switch field.token {
      case .etag: answer.etag = value.array
      case .contentType: answer.contentType = value.array
      case _ where isOwn(field.token): continue
      case .cacheControl, .acceptRanges, .xIpfsPath, .lastModified, .contentLocation:
        if !keeps { answer.fields.append(kept(field, text)) }
      default:
        if keeps && text.bytes(field.name).hasPrefixIgnoringCase("access-control-") { continue }
        answer.fields.append(kept(field, text))
      }
    }
    return answer
  }

  /// Whether a Connection value names a field (RFC 9110, section 7.6.1).
  private static func isListed(_ name: RawSpan, in list: RawSpan) -> Bool {
    var start = 0
    for offset in 0...list.byteCount
    where offset == list.byteCount || list.byte(offset) == UInt8(ascii: ",") {
      let entry = list.bytes(list.trimmed(from: start, to: offset))
      if entry.byteCount == name.byteCount
        && (0..<name.byteCount).allSatisfy({
          entry.byte($0).asciiLowercased == name.byte($0).asciiLowercased
        })
      {
        return true
      }
      start = offset + 1
    }
    return false
  }

  private static func kept(_ field: Field, _ text: RawSpan) -> Record.Field {
    Record.Field(name: text.bytes(field.name).array, value: text.bytes(field.value).array)
  }

  /// Fields of one connection or of this gateway's own making (RFC 9110, section 7.6.1).
  private static func isOwn(_ token: FieldToken) -> Bool {
    switch token {
    case .connection, .keepAlive, .te, .trailer, .transferEncoding, .upgrade, .contentLength, .date,
      .age, .cacheStatus, .server, .via:
      true
    default: false
    }
  }
}

extension CID {
  /// Whether two CIDs name the same block: version and base aside.
  func isSameContent(as other: CID) -> Bool {
    codec == other.codec && hash == other.hash && digest.equals(other.digest)
  }
}
