internal import Base
internal import HTTP
internal import IPFS

/// UnixFS: files, directories and symbolic links.
extension OriginRules {
  func unixFS(
    _ inquiry: Inquiry, _ found: ResolvedPath
  ) throws(Rejection) -> OriginAnswer {
    let cid = found.target
    let entity = try entity(cid)
    let named = inquiry.request.fileName
    var shown = Representation(
      source: .file(cid), size: 0, etag: Inquiry.etag(cid, .file),
      type: ContentType.of(name: named ?? inquiry.path.name))
    // boxo compares these before it knows what the content is.
    let known = [shown.etag, inquiry.etag(cid), DirectoryPage.etag(cid), DAGPage.etag(cid)]
    let isKnown = inquiry.matchesNone(known)
    switch entity {
    case .file(let size):
      shown.size = size
      shown.modified = resolver.attributes(cid).modified
    case .symlink(let target):
      shown.source = .bytes(target)
      shown.size = Int64(target.count)
      shown.type = "inode/symlink"
    case .directory:
      let index = try index(of: cid)
      if isKnown, index == nil {
        return inquiry.notModified(DirectoryPage.etag(cid), inquiry.lifetime.listing, found)
      }
      if !isKnown {
        try checkRange(inquiry)
        try rejectMissingSlash(inquiry)
      }
      guard let index else { return try listing(inquiry, found) }
      guard case .file(let size) = try self.entity(index) else {
        throw Rejection(422, "the directory's index.html is not a file")
      }
      shown.source = .file(index)
      shown.size = size
      shown.type = named.flatMap { ContentType.of(name: $0) } ?? "text/html"
    }
    if isKnown { return inquiry.notModified(shown.etag, inquiry.lifetime.content, found) }
    try checkRange(inquiry)
    var answer =
      try shown.size == 0
      ? empty(inquiry, shown, found) : self.answer(inquiry, shown, found)
    // boxo heeds download only beside a name.
    if let named, answer.status < 300 {
      answer.add(
        .contentDisposition, Self.disposition(attached: inquiry.request.isDownload, named))
    }
    return answer
  }

  /// An empty file is given whole, whatever part or condition was asked for.
  private func empty(
    _ inquiry: Inquiry, _ shown: Representation, _ found: ResolvedPath
  ) -> OriginAnswer {
    var answer = OriginAnswer(200, .bytes([]))
    answer.add(.contentType, "text/plain")
    answer.add(.etag, shown.etag)
    if let kept = inquiry.lifetime.content { answer.add(.cacheControl, kept) }
    answer.add(.xIpfsRoots, found.roots)
    return answer
  }

  func entity(_ cid: CID) throws(Rejection) -> Entity {
    do throws(ResolveFailure) {
      return try resolver.entity(cid)
    } catch {
      throw Self.rejection(error)
    }
  }

  private func entries(_ directory: CID) throws(Rejection) -> [DirectoryEntry] {
    do throws(ResolveFailure) {
      return try resolver.entries(directory)
    } catch {
      throw Self.rejection(error)
    }
  }

  /// The page that stands for a directory; nil where it has none.
  private func index(of directory: CID) throws(Rejection) -> CID? {
    do throws(ResolveFailure) {
      return try resolver.resolve(directory, [Array("index.html".utf8)]).target
    } catch {
      if case .noLink = error { return nil }
      throw Self.rejection(error)
    }
  }

  private func listing(
    _ inquiry: Inquiry, _ found: ResolvedPath
  ) throws(Rejection) -> OriginAnswer {
    var answer = OriginAnswer(200, .absent)
    // For its head alone nobody reads all shards of a directory.
    if inquiry.request.method == .get {
      let page = DirectoryPage.html(
        path: inquiry.path.text, isRoot: inquiry.path.segments.isEmpty,
        try entries(found.target), on: inquiry.route.isolation)
      answer.body = .bytes(page)
    }
    answer.add(.contentType, "text/html")
    answer.add(.etag, DirectoryPage.etag(found.target))
    if let kept = inquiry.lifetime.listing { answer.add(.cacheControl, kept) }
    answer.add(.xIpfsRoots, found.roots)
    return answer
  }

  /// Sends a path to itself with a slash behind it, so that relative links lead below the directory.
  func rejectMissingSlash(_ inquiry: Inquiry) throws(Rejection) {
    let request = inquiry.request
    if request.path.last == UInt8(ascii: "/") || request.hasParameter("go-get", "1") { return }
    throw .redirect(301, to: request.target(path: request.path + [UInt8(ascii: "/")]))
  }
}
