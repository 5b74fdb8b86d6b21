internal import Base
internal import HTTP
internal import IPFS

/// UnixFS: files, directories and symbolic links.
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
    /// The last one is the entity.
    var roots: [CID]
    /// Nil: to be found out from the first bytes.
    var type: String?
  }

  func unixFS(
    _ request: OriginRequest, _ path: RequestedPath, _ resolved: [CID]
  ) throws(Rejection) -> OriginAnswer {
    let cid = resolved[resolved.count - 1]
    let entity = try entity(cid)
    let named = request.parameter("filename").flatMap { $0.isEmpty ? nil : $0 }
    var shown = Representation(
      source: .file(cid), size: 0, etag: "\"\(cid)\"", roots: resolved,
      type: ContentType.of(name: named ?? path.name))
    var isDirectory = false
    switch entity {
    case .file(let size): shown.size = size
    case .symlink(let target):
      shown.source = .bytes(target)
      shown.size = Int64(target.count)
      shown.type = "inode/symlink"
    case .directory(let entries):
      isDirectory = true
      let index = entries.first { $0.name.rawBytes.equals("index.html") }
      let listingEtag = DirectoryPage.etag(cid)
      let etag = index == nil ? listingEtag : shown.etag
      if matchesNone(request, [shown.etag, listingEtag]) {
        return notModified(etag, index == nil ? Self.generated : Self.immutable, resolved)
      }
      if !path.trailingSlash, !request.hasParameter("go-get", "1") {
        return slashRedirect(request)
      }
      guard let index else { return listing(path, entries, resolved) }
      guard case .file(let size) = try self.entity(index.cid) else {
        throw Rejection(422, "the directory's index.html is not a file")
      }
      shown.source = .file(index.cid)
      shown.size = size
      shown.type = "text/html"
    }
    if !isDirectory, matchesNone(request, [shown.etag]) {
      return notModified(shown.etag, Self.immutable, resolved)
    }
    var answer = try self.answer(request, shown)
    // boxo heeds download only beside a name.
    if let named {
      let attached = request.hasParameter("download", "true")
      answer.add(.contentDisposition, Self.disposition(attached: attached, named))
    }
    return answer
  }

  func entity(_ cid: CID) throws(Rejection) -> Entity {
    do throws(ResolveFailure) {
      return try resolver.entity(cid)
    } catch {
      throw Self.rejection(error)
    }
  }

  private func listing(
    _ path: RequestedPath, _ entries: [DirectoryEntry], _ resolved: [CID]
  ) -> OriginAnswer {
    let page = DirectoryPage.html(path: path.text, isRoot: path.segments.isEmpty, entries)
    var answer = OriginAnswer(200, .bytes(page))
    answer.add(.contentType, "text/html")
    answer.add(.etag, DirectoryPage.etag(resolved[resolved.count - 1]))
    answer.add(.cacheControl, Self.generated)
    answer.add(.xIpfsRoots, Self.roots(resolved))
    return answer
  }

  /// The same path with a slash behind it, so that relative links lead below the directory.
  private func slashRedirect(_ request: OriginRequest) -> OriginAnswer {
    var answer = OriginAnswer(301, .bytes([]))
    answer.add(.location, request.target(path: request.path + [UInt8(ascii: "/")]))
    return answer
  }

  // MARK: Bodies and parts of them

  /// Answers with a body or the part of it that was asked for.
  func answer(
    _ request: OriginRequest, _ shown: Representation
  ) throws(Rejection) -> OriginAnswer {
    if let wanted = request.ifMatch,
      !Etag.strongMatch(list: wanted.rawBytes, etag: Array(shown.etag.utf8).rawBytes)
    {
      throw Rejection(412, "the content does not have the entity tag that was asked for")
    }
    var status = 200
    var range = 0..<shown.size
    switch part(request, shown) {
    case .whole: break
    case .part(let part):
      status = 206
      range = part
    case .unsatisfiable:
      var rejection = Rejection(416, "the range lies behind the content's end")
      rejection.fields = [(.contentRange, "bytes */\(shown.size)")]
      throw rejection
    }
    var answer = OriginAnswer(status, .absent)
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
    answer.add(.etag, shown.etag)
    answer.add(.cacheControl, Self.immutable)
    answer.add(.xIpfsRoots, Self.roots(shown.roots))
    return answer
  }

  private func part(_ request: OriginRequest, _ shown: Representation) -> RangeRequest.Resolved {
    guard let text = request.range, let range = RangeRequest.parse(text.rawBytes) else {
      return .whole
    }
    if let condition = request.ifRange,
      !Etag.strongEqual(condition.rawBytes, Array(shown.etag.utf8).rawBytes)
    {
      return .whole
    }
    return range.resolve(length: shown.size)
  }

  private func sniffed(_ shown: Representation) throws(Rejection) -> String {
    let count = min(shown.size, Int64(ContentType.sniffedBytes))
    switch shown.source {
    case .bytes(let bytes): return ContentType.sniff(Array(bytes.prefix(Int(count))))
    case .file(let cid):
      do throws(ResolveFailure) {
        return ContentType.sniff(try FileSlice.start(reader, file: cid, count: count))
      } catch {
        throw Self.rejection(error)
      }
    }
  }

  // MARK: Conditions and fields

  /// Whether If-None-Match names one of the tags.
  func matchesNone(_ request: OriginRequest, _ etags: [String]) -> Bool {
    guard let list = request.ifNoneMatch else { return false }
    return etags.contains { etag in
      Etag.weakMatch(list: list.rawBytes, etag: Array(etag.utf8).rawBytes)
    }
  }

  func notModified(_ etag: String, _ cacheControl: String, _ resolved: [CID]) -> OriginAnswer {
    var answer = OriginAnswer(304, .absent)
    answer.add(.etag, etag)
    answer.add(.cacheControl, cacheControl)
    answer.add(.xIpfsRoots, Self.roots(resolved))
    return answer
  }

  static func roots(_ resolved: [CID]) -> String {
    resolved.map { "\($0)" }.joined(separator: ",")
  }

  /// Content-Disposition with the name in ASCII and in full (RFC 6266, appendix D).
  static func disposition(attached: Bool, _ name: [UInt8]) -> String {
    let ascii = String(decoding: name, as: UTF8.self).unicodeScalars.map { scalar in
      scalar.isASCII ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "_")
    }
    return "\(attached ? "attachment" : "inline"); filename=\"\(PercentText.encode(ascii))\"; "
      + "filename*=UTF-8''\(PercentText.encode(name))"
  }
}
