internal import Base
internal import HTTP
internal import IPFS

/// What a site says of paths that it does not have, where it has an origin of its own.
extension OriginRules {
  enum Redirection {
    case answer(OriginAnswer)
    /// Other content under the same address.
    case rewrite(ImmutablePath)
  }

  /// What the site's `_redirects` says of a path; nil where it says nothing.
  func redirected(_ inquiry: Inquiry) throws(Rejection) -> Redirection? {
    let content = inquiry.content
    guard !content.segments.isEmpty, let rules = try redirects(below: content.root) else {
      return nil
    }
    let slash = [UInt8(ascii: "/")]
    let path = slash + content.segments.joined(separator: slash)
    guard let (destination, status) = rules.rule(for: path) else { return nil }
    switch status {
    case 200: return .rewrite(try rewritten(content.root, destination))
    case 404, 410, 451:
      return .answer(try customPage(inquiry, status, rewritten(content.root, destination)))
    default:
      throw .redirect(status, to: Self.location(destination))
    }
  }

  private func redirects(below root: CID) throws(Rejection) -> RedirectsFile? {
    let found: ResolvedPath
    do throws(ResolveFailure) {
      found = try resolver.resolve(root, [Array("_redirects".utf8)])
    } catch {
      if case .noLink = error { return nil }
      throw Self.trouble(root, Self.rejection(error).sentence)
    }
    guard case .file(let size) = try entity(found.target) else {
      throw Self.trouble(root, "_redirects is not a file")
    }
    let bytes = try self.bytes(
      found.target, count: min(size, Int64(RedirectsFile.maximumBytes + 1)))
    do throws(RedirectsFile.Malformed) {
      return try RedirectsFile(bytes)
    } catch {
      throw Self.trouble(root, "could not parse _redirects: \(error.sentence)")
    }
  }

  private static func trouble(_ root: CID, _ sentence: String) -> Rejection {
    Rejection(
      500, "trouble processing _redirects file at \"/ipfs/\(root)/_redirects\": \(sentence)")
  }

  /// A path of the site, as a rule names it.
  private func rewritten(
    _ root: CID, _ destination: [UInt8]
  ) throws(Rejection) -> ImmutablePath {
    do throws(ContentPathError) {
      let path = try RequestedPath(Array("/ipfs/\(root)".utf8) + Self.withoutQuery(destination))
      return ImmutablePath(root: root, segments: path.segments)
    } catch {
      throw Self.trouble(root, error.sentence)
    }
  }

  private static func withoutQuery(_ destination: [UInt8]) -> ArraySlice<UInt8> {
    destination.prefix { $0 != UInt8(ascii: "?") && $0 != UInt8(ascii: "#") }
  }

  /// The site's own page for 404, 410 or 451.
  private func customPage(
    _ inquiry: Inquiry, _ status: Int, _ page: ImmutablePath
  ) throws(Rejection) -> OriginAnswer {
    let found: ResolvedPath
    do throws(ResolveFailure) {
      found = try resolver.resolve(page.root, page.segments)
    } catch {
      throw Self.rejection(error)
    }
    guard case .file(let size) = try entity(found.target) else {
      throw Self.trouble(page.root, "could not convert node for \(status) page to file")
    }
    let slice = FileSlice(reader, file: found.target, range: 0..<size)
    var answer = OriginAnswer(status, .file(slice))
    answer.add(.contentType, "text/html")
    answer.add(.etag, Inquiry.etag(found.target, .file))
    // Below a name nobody knows for how long the path will be missing.
    if case .immutable = inquiry.lifetime { answer.add(.cacheControl, Lifetime.forever) }
    return answer
  }

  /// A file's first bytes, all of them there.
  private func bytes(_ cid: CID, count: Int64) throws(Rejection) -> [UInt8] {
    var slice = FileSlice(reader, file: cid, range: 0..<count)
    var bytes: [UInt8] = []
    do throws(ResolveFailure) {
      while let next = try slice.next() { bytes += next.block[next.bytes] }
    } catch {
      throw Self.rejection(error)
    }
    return bytes
  }

  /// Location takes ASCII only.
  private static func location(_ destination: [UInt8]) -> String {
    destination.map { $0 < 0x80 ? String(Unicode.Scalar($0)) : PercentText.encode([$0]) }.joined()
  }
}
