internal import Base
internal import Cache
internal import HTTP
internal import IPFS
internal import Router

/// Decides whether an upstream's answer may be kept, and as what.
///
/// An answer is kept only if it belongs to what was asked for: a misdirected upstream or a captive page
/// must not be remembered for a year.
enum AnswerPolicy {
  enum Verdict {
    /// To be kept. `subject` is the CID that the whole body is the content of, where it can be hashed
    /// against it alone: a block, or a file of a single raw leaf.
    case keep(subject: CID?)
    /// A CAR, which is kept once its end has shown it to be whole.
    case collect
    case pass(NotStored)
  }

  /// No object is larger; keeps sums of offsets far from overflow.
  static let maximumBytes: Int64 = 1 << 50

  /// Judges an answer to a GET of content (gateway digest A2).
  static func judge(_ head: ResponseHead, text: RawSpan, content: FillContent) -> Verdict {
    guard head.status == 200 else { return .pass(.status) }
    guard head.count(.setCookie) == 0 else { return .pass(.setCookie) }
    guard let etagPlace = head.value(.etag) else { return .pass(.foreignAnswer) }
    let etag = text.bytes(etagPlace)
    if etag.hasPrefix("\"DirIndex-") || etag.hasPrefix("\"DagIndex-") { return .pass(.generated) }
    guard head.count(.etag) == 1, head.count(.contentEncoding) == 0,
      let subject = subject(of: head, text, root: content.root)
    else { return .pass(.foreignAnswer) }
    if content.form == .car {
      return isCAR(head, text, etag, of: content.root) ? .collect : .pass(.foreignAnswer)
    }
    guard let suffix = strongEtag(etag, of: subject),
      isSuffix(suffix, of: content.form, subject.codec)
    else { return .pass(.foreignAnswer) }
    guard let length = head.contentLength, !head.isChunked else { return .pass(.noLength) }
    guard length <= maximumBytes else { return .pass(.foreignAnswer) }
    return .keep(subject: isBlock(content.form, suffix, subject) ? subject : nil)
  }

  /// Whether an answer of 200 is surely that of no gateway which was asked for this: a login page, or another
  /// server's content.
  ///
  /// Neither its roots nor its Etag name what was asked for. Gateways that say less than Kubo give such too, so that
  /// it counts only beside a better one.
  static func isForeign(_ head: ResponseHead, text: RawSpan, content: FillContent) -> Bool {
    guard head.status == 200, content.form != .ipnsRecord else { return false }
    if head.value(.xIpfsRoots) != nil { return subject(of: head, text, root: content.root) == nil }
    guard let place = head.value(.etag) else { return true }
    let given = text.bytes(place)
    let etag = given.extracting((given.hasPrefix("W/") ? 2 : 0)..<given.byteCount)
    if etag.hasPrefix("\"DirIndex-") || etag.hasPrefix("\"DagIndex-") { return false }
    guard etag.hasPrefix("\"") else { return true }
    var end = 1
    while end < etag.byteCount, isLetterOrDigit(etag.byte(end)) { end += 1 }
    guard let named = cid(etag.extracting(1..<end)) else { return true }
    // Below a root its files have CIDs of their own.
    return content.isBare && !named.isSameContent(as: content.root)
  }

  private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
    byte.isASCIIDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  /// Whether the head is that of a CAR of content under the root: its Etag is weak and goes on with a
  /// hash of what was asked.
  private static func isCAR(
    _ head: ResponseHead, _ text: RawSpan, _ etag: RawSpan, of root: CID
  ) -> Bool {
    guard let type = head.value(.contentType),
      text.bytes(type).hasPrefixIgnoringCase("application/vnd.ipld.car")
    else { return false }
    var expected = ByteBuffer(capacity: 160)
    expected.append("W/\"")
    root.appendText(to: &expected)
    expected.append(".car.")
    let name = expected.readable
    return etag.byteCount > name.byteCount && etag.byte(etag.byteCount - 1) == UInt8(ascii: "\"")
      && etag.extracting(0..<name.byteCount).equals(name)
  }

  /// What follows the CID's own text (v0 stays `Qm…`, v1 is base32) in a strong Etag of it, less the
  /// quotes; nil for the Etag of something else.
  private static func strongEtag(_ etag: RawSpan, of cid: CID) -> [UInt8]? {
    var expected = ByteBuffer(capacity: 128)
    expected.append("\"")
    cid.appendText(to: &expected)
    let name = expected.readable
    guard etag.byteCount > name.byteCount, etag.byte(etag.byteCount - 1) == UInt8(ascii: "\""),
      etag.extracting(0..<name.byteCount).equals(name)
    else { return nil }
    return etag.extracting(name.byteCount..<etag.byteCount - 1).array
  }

  /// Whether an Etag's suffix is one that an answer of this form has.
  private static func isSuffix(_ suffix: [UInt8], of form: ContentForm, _ codec: ContentCodec)
    -> Bool
  {
    let isCodec = codec.name.map { suffix == Array(".\($0)".utf8) } ?? false
    switch form {
    // Blocks of data are given as they are, under their codec's name.
    case .file: return suffix.isEmpty || isCodec && codec != .raw && codec != .dagPB
    // Files have either, by the gateway's version.
    case .json, .cbor: return suffix.isEmpty || suffix == Array(".\(form.name)".utf8)
    case .raw, .dagJSON, .dagCBOR: return suffix == Array(".\(form.name)".utf8)
    case .car, .tar, .ipnsRecord: return false
    }
  }

  /// Whether the body is the very block that the CID names.
  private static func isBlock(_ form: ContentForm, _ suffix: [UInt8], _ subject: CID) -> Bool {
    switch form {
    case .raw: true
    case .file: subject.codec == .raw || !suffix.isEmpty
    case .json: subject.codec == .raw || subject.codec == .json || subject.codec == .dagJSON
    case .cbor: subject.codec == .raw || subject.codec == .cbor || subject.codec == .dagCBOR
    // Gateways decode and encode these, so that a block in unusual order comes out in the usual one.
    case .dagJSON, .dagCBOR, .car, .tar, .ipnsRecord: false
    }
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

  /// The head as its readers get it; `keeps` leaves out what a hit makes anew.
  static func answerHead(
    _ head: ResponseHead, text: RawSpan, keeps: Bool, created: Int64, server: String
  ) -> AnswerHead {
    var answer = AnswerHead(
      status: head.status, totalBytes: head.isChunked ? nil : head.contentLength,
      created: created, server: server)
    let connection = ConnectionFields(head.fields, text: text)
    for field in head.fields {
      let value = text.bytes(field.value)
      if connection.contains(field, text: text) { continue }
      switch field.token {
      case .etag: answer.etag = value.array
      case .contentType: answer.contentType = value.array
      case _ where isOwn(field.token): continue
      // Of another Sluice behind this one.
      case .other where text.bytes(field.name).equalsIgnoringCase("x-ipfs-gateway"): continue
      case .altSvc, .strictTransportSecurity: continue
      case .other where isOfOrigin(text.bytes(field.name)): continue
      case .cacheControl, .acceptRanges, .xIpfsPath, .lastModified, .contentLocation:
        if !keeps { answer.fields.append(kept(field, text)) }
      default:
        if keeps && text.bytes(field.name).hasPrefixIgnoringCase("access-control-") { continue }
        answer.fields.append(kept(field, text))
      }
    }
    return answer
  }

  /// Whether a field speaks for the origin that was asked, like Alt-Svc and Strict-Transport-Security: clients would
  /// take it for this gateway's word (RFC 7838, 3; RFC 6797, 8.1), of a hit for as long as that is kept.
  private static func isOfOrigin(_ name: RawSpan) -> Bool {
    ofOrigin.contains { name.equalsIgnoringCase($0) }
  }

  private static let ofOrigin: [StaticString] = [
    "accept-ch", "clear-site-data", "critical-ch", "expect-ct", "nel", "origin-agent-cluster",
    "public-key-pins", "public-key-pins-report-only", "report-to", "reporting-endpoints",
    "service-worker-allowed",
  ]

  private static func kept(_ field: Field, _ text: RawSpan) -> Record.Field {
    Record.Field(name: text.bytes(field.name).array, value: text.bytes(field.value).array)
  }

  /// Fields of this gateway's own making.
  private static func isOwn(_ token: FieldToken) -> Bool {
    switch token {
    case .contentLength, .date, .age, .cacheStatus, .server, .via:
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
