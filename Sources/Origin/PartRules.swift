internal import Base
internal import HTTP
internal import IPFS

/// Bodies of known length, and parts of them: conditions first, then ranges.
extension OriginRules {
  /// A body that can be asked for in parts, and what is told about it.
  struct Representation {
    enum Source {
      case file(CID)
      case bytes([UInt8])
    }

    var source: Source
    var size: Int64
    var etag: String
    /// Nil: to be found out from the first bytes.
    var type: String?
    /// Seconds since 1970; nil where the content does not say.
    var modified: Int64?
    /// Whether it is one block: of those boxo refuses more of the end than there is.
    var isBlock = false
  }

  /// Answers with a body or the part of it that was asked for.
  func answer(
    _ inquiry: Inquiry, _ shown: Representation, _ found: ResolvedPath
  ) throws(Rejection) -> OriginAnswer {
    let request = inquiry.request
    let modified = shown.modified ?? (inquiry.lifetime.isUnknown ? inquiry.now : nil)
    if inquiry.matchesNone([shown.etag])
      || (request.ifNoneMatch == nil && isUnmodified(request.ifModifiedSince, since: modified))
    {
      return inquiry.notModified(shown.etag, inquiry.lifetime.content, found)
    }
    var about: [(token: FieldToken, value: String)] = [
      (.etag, shown.etag), (.xIpfsRoots, found.roots),
    ]
    if let kept = inquiry.lifetime.content { about.append((.cacheControl, kept)) }
    if let modified { about.append((.lastModified, Self.date(modified))) }
    if failsCondition(request, shown.etag, modified) {
      // The fields of the content stay, as in boxo: the status decides.
      return OriginAnswer(412, .bytes([]), about)
    }
    var status = 200
    var range = 0..<shown.size
    switch try part(inquiry, shown, modified) {
    case .whole: break
    case .part(let part):
      status = 206
      range = part
    case .unsatisfiable:
      var rejection = Rejection(416, "invalid range: failed to overlap")
      rejection.fields = about + [(.contentRange, "bytes */\(shown.size)")]
      throw rejection
    case .malformed: throw Rejection(416, "invalid range")
    }
    var answer = OriginAnswer(status, .absent, about)
    switch shown.source {
    case .bytes(let bytes):
      answer.body = .bytes(Array(bytes[Int(range.lowerBound)..<Int(range.upperBound)]))
    case .file(let cid): answer.body = .file(FileSlice(reader, file: cid, range: range))
    }
    // Of a part from the middle with no known name, boxo tells no type either.
    if let type = shown.type {
      answer.add(.contentType, type)
    } else if range.lowerBound == 0 {
      answer.add(.contentType, try sniffed(shown))
    }
    if status == 206 {
      answer.add(
        .contentRange, "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(shown.size)")
    }
    answer.add(.acceptRanges, "bytes")
    return answer
  }

  /// Refuses a Range field that cannot be read; of a HEAD's only the size could say more.
  func checkRange(_ inquiry: Inquiry) throws(Rejection) {
    guard inquiry.request.method == .get, let text = inquiry.request.range else { return }
    if ServedRange(text, size: .max) == .malformed {
      throw Rejection(400, "invalid range request: invalid range")
    }
  }

  private func part(
    _ inquiry: Inquiry, _ shown: Representation, _ modified: Int64?
  ) throws(Rejection) -> ServedRange {
    let request = inquiry.request
    guard let text = request.range else { return .whole }
    if shown.isBlock, ServedRange.reachesBeforeStart(text, size: shown.size) {
      throw Rejection(400, "could not seek to location in range request")
    }
    if let condition = request.ifRange,
      !Etag.strongEqual(condition.rawBytes, Array(shown.etag.utf8).rawBytes)
    {
      guard let modified, HTTPDate.parse(condition.rawBytes) == modified else { return .whole }
    }
    return ServedRange(text, size: shown.size)
  }

  private func failsCondition(_ request: OriginRequest, _ etag: String, _ modified: Int64?) -> Bool
  {
    if let wanted = request.ifMatch {
      return !Etag.strongMatch(list: wanted.rawBytes, etag: Array(etag.utf8).rawBytes)
    }
    guard let modified,
      let date = request.ifUnmodifiedSince.flatMap({ HTTPDate.parse($0.rawBytes) })
    else { return false }
    return modified > date
  }

  private func isUnmodified(_ field: [UInt8]?, since modified: Int64?) -> Bool {
    guard let modified, let date = field.flatMap({ HTTPDate.parse($0.rawBytes) }) else {
      return false
    }
    return modified <= date
  }

  static func date(_ seconds: Int64) -> String {
    var text = ByteBuffer(capacity: 32)
    HTTPDate.append(seconds, to: &text)
    return text.readable.text
  }

  private func sniffed(_ shown: Representation) throws(Rejection) -> String {
    let count = min(shown.size, Int64(MediaType.sniffedBytes))
    switch shown.source {
    case .bytes(let bytes): return MediaType.sniff(Array(bytes.prefix(Int(count))))
    case .file(let cid):
      do throws(ResolveFailure) {
        return MediaType.sniff(try FileSlice.start(reader, file: cid, count: count))
      } catch {
        throw Self.rejection(error)
      }
    }
  }

  // MARK: What is to be saved

  /// The fields of what a browser is to save under a name, and never to guess the type of.
  func attach(
    _ inquiry: Inquiry, _ name: String, inline: Bool = false, to answer: inout OriginAnswer
  ) {
    let name = inquiry.request.fileName ?? Array(name.utf8)
    let attached = !inline || inquiry.request.isDownload
    answer.add(.contentDisposition, Self.disposition(attached: attached, name))
    answer.add(.xContentTypeOptions, "nosniff")
  }

  /// Content-Disposition with the name in ASCII and in full (RFC 6266, appendix D).
  static func disposition(attached: Bool, _ name: [UInt8]) -> String {
    let ascii = String(decoding: name, as: UTF8.self).unicodeScalars.map { scalar in
      scalar.isASCII ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "_")
    }
    return
      "\(attached ? "attachment" : "inline"); filename=\"\(PercentText.encode(segment: ascii))\"; "
      + "filename*=UTF-8''\(PercentText.encode(segment: name))"
  }

  func block(_ cid: CID) throws(Rejection) -> [UInt8] {
    do throws(BlockFailure) {
      return try reader.block(cid)
    } catch {
      throw Self.rejection(.block(error))
    }
  }
}
