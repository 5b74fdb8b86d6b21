internal import HTTP
internal import IPFS

/// UnixFS as a TAR archive.
extension OriginRules {
  func tar(_ inquiry: Inquiry, _ found: ResolvedPath) throws(Rejection) -> OriginAnswer {
    let cid = found.target
    let etag = inquiry.etag(cid)
    if inquiry.matchesNone([etag, DirectoryPage.etag(cid), DAGPage.etag(cid)]) {
      return inquiry.notModified(etag, inquiry.lifetime.content, found)
    }
    do throws(ResolveFailure) {
      _ = try resolver.entity(cid)
    } catch {
      if case .malformed = error {
        throw Rejection(406, "the block \(cid) is no UnixFS, of which archives are made")
      }
      throw Self.rejection(error)
    }
    var answer = OriginAnswer(200, .tar(TarWalk(reader, root: cid, now: inquiry.now)))
    answer.add(.contentType, ContentFormat.Kind.tar.mediaType)
    answer.add(.etag, etag)
    if let kept = inquiry.lifetime.content {
      answer.add(.cacheControl, kept)
    } else {
      answer.add(.lastModified, Self.date(inquiry.now))
    }
    answer.add(.xIpfsRoots, found.roots)
    attach(inquiry, "\(cid).tar", to: &answer)
    return answer
  }
}
