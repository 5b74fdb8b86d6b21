internal import Base
internal import HTTP
internal import IPFS

/// What a request is answered with: the rules of a gateway, in the order in which boxo applies them.
///
/// Blocks are read for that, but nothing is sent; one for each worker.
public final class OriginRules {
  let reader: BlockReader
  let hosts: HostTable
  let names: NameTable
  let convertsCodecs: Bool
  var resolver: Resolver { Resolver(reader) }

  public init(_ store: CARStore, _ options: OriginOptions = OriginOptions()) {
    reader = BlockReader(store)
    hosts = HostTable(subdomainHosts: options.subdomainHosts)
    names = NameTable(options)
    convertsCodecs = options.convertsCodecs
  }

  /// Answers a request that came at a time, in seconds since 1970.
  public func answer(_ request: OriginRequest, now: Int64) -> OriginAnswer {
    var answer: OriginAnswer
    do throws(Rejection) {
      answer = try decide(request, now)
    } catch {
      answer = ErrorPage.answer(error, request)
    }
    answer.add(.accessControlAllowOrigin, "*")
    answer.add(.accessControlAllowMethods, Self.methods)
    answer.add(
      .accessControlAllowHeaders, "Content-Type, Range, User-Agent, X-Requested-With")
    answer.add(
      .accessControlExposeHeaders,
      "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output")
    return answer
  }

  private static let methods = "GET, HEAD, OPTIONS"

  private func decide(_ request: OriginRequest, _ now: Int64) throws(Rejection) -> OriginAnswer {
    let route = try route(request)
    switch request.method {
    case .get, .head: break
    case .options:
      var answer = OriginAnswer(200, .bytes([]))
      answer.add(.allow, Self.methods)
      return answer
    default:
      var rejection = Rejection(405, "only GET, HEAD and OPTIONS are answered")
      rejection.fields = [(.allow, Self.methods)]
      throw rejection
    }
    try rejectURI(request)
    let target = route.prefix + request.path
    if request.isServiceWorker, Self.isTooWideForWorker(target) {
      throw Rejection(
        400, "navigator.serviceWorker: registration is not allowed for this scope")
    }
    if case .dnsLink = route.isolation {} else { try rejectForeignKey(request, target) }
    let path: RequestedPath
    do throws(ContentPathError) {
      path = try RequestedPath(target)
    } catch {
      if case .repeatedNamespace = error { throw try namespaceRedirect(request, target) }
      throw Self.rejection(error, target)
    }
    let named = (FieldToken.xIpfsPath, String(decoding: path.text, as: UTF8.self))
    do throws(Rejection) {
      if request.isOnlyIfCached {
        guard isHere(path, now) else { throw Rejection(412, "not in local datastore") }
        // boxo answers without the representation's own fields.
        if request.method == .head { return OriginAnswer(200, .absent) }
      }
      var answer = try content(request, route, path, now)
      answer.add(named.0, named.1)
      return answer
    } catch {
      var rejection = error
      rejection.fields.append(named)
      throw rejection
    }
  }

  /// Whether a path leads to a block that is in the files.
  private func isHere(_ path: RequestedPath, _ now: Int64) -> Bool {
    guard let place = try? content(path, now),
      let found = try? resolver.resolve(place.path.root, place.path.segments)
    else { return false }
    return found.target.hash == .identity || reader.store.place(found.target) != nil
  }

  /// What a path stands for when all names are resolved.
  private func content(
    _ path: RequestedPath, _ now: Int64
  ) throws(Rejection) -> (path: ImmutablePath, lifetime: Lifetime) {
    switch path.root {
    case .content(let cid):
      return (ImmutablePath(root: cid, segments: path.segments, text: path.text), .immutable)
    case .name(let name):
      do throws(NameFailure) {
        return try names.resolve(name, path.segments, now: now)
      } catch {
        throw Self.rejection(error, path)
      }
    }
  }

  private func content(
    _ request: OriginRequest, _ route: HostRoute, _ path: RequestedPath, _ now: Int64
  ) throws(Rejection) -> OriginAnswer {
    let format = try ContentFormat.choose(request)
    do throws(Rejection) {
      var answer: OriginAnswer
      if format.kind == .ipnsRecord {
        answer = try record(request, path, now)
      } else {
        let place = try content(path, now)
        answer = try serve(
          Inquiry(
            request: request, route: route, path: path, format: format, content: place.path,
            lifetime: place.lifetime, now: now))
      }
      if format.fromAccept { answer.add(.contentLocation, location(request, format)) }
      return answer
    } catch {
      var rejection = error
      if format.fromAccept {
        rejection.fields.append((.contentLocation, location(request, format)))
      }
      throw rejection
    }
  }

  private func serve(_ inquiry: Inquiry) throws(Rejection) -> OriginAnswer {
    if inquiry.format.kind == .car { return try car(inquiry) }
    var inquiry = inquiry
    let found: ResolvedPath
    switch try locate(inquiry) {
    case .found(let path): found = path
    case .rewritten(let content, let path):
      inquiry.content = content
      found = path
    case .answered(let answer): return answer
    }
    do throws(Rejection) {
      switch inquiry.format.kind {
      case .raw: return try raw(inquiry, found)
      case .tar: return try tar(inquiry, found)
      case .dagJSON, .dagCBOR: return try codec(inquiry, found)
      case .file, .json, .cbor, .car, .ipnsRecord:
        return try found.target.codec.isDocument
          ? codec(inquiry, found) : unixFS(inquiry, found)
      }
    } catch {
      // Redirects and refusals tell the way that was found.
      var rejection = error
      if !rejection.fields.contains(where: { $0.token == .xIpfsRoots }) {
        rejection.fields.append((.xIpfsRoots, found.roots))
      }
      throw rejection
    }
  }

  /// Where a path that was asked for led.
  private enum Location {
    case found(ResolvedPath)
    /// By `_redirects`, to other content under the same address.
    case rewritten(ImmutablePath, ResolvedPath)
    case answered(OriginAnswer)
  }

  private func locate(_ inquiry: Inquiry) throws(Rejection) -> Location {
    let content = inquiry.content
    do throws(ResolveFailure) {
      return .found(try resolver.resolve(content.root, content.segments))
    } catch {
      guard case .noLink = error, inquiry.format.kind == .file, inquiry.route.isolation != .none,
        let outcome = try redirected(inquiry)
      else { throw Self.rejection(error) }
      switch outcome {
      case .answer(let answer): return .answered(answer)
      case .rewrite(let content):
        do throws(ResolveFailure) {
          return .rewritten(content, try resolver.resolve(content.root, content.segments))
        } catch {
          throw Self.rejection(error)
        }
      }
    }
  }

  /// The address that gives the same answer without Accept.
  private func location(_ request: OriginRequest, _ format: ContentFormat) -> String {
    var query = QueryText(request.query)
    query.set("format", format.kind.rawValue)
    if format.kind == .car {
      for (name, value) in format.parameters where ["version", "order", "dups"].contains(name) {
        if !query.contains("car-\(name)") { query.set("car-\(name)", value) }
      }
    }
    return String(decoding: request.path, as: UTF8.self) + "?" + query.text
  }

  static func rejection(_ failure: NameFailure, _ path: RequestedPath) -> Rejection {
    let text = String(decoding: path.text, as: UTF8.self)
    switch failure {
    case .unknown(let name):
      return Rejection(
        500,
        "failed to resolve \(text): \(String(decoding: name, as: UTF8.self)) is no name of this origin"
      )
    case .expired(let name):
      return Rejection(
        500,
        "failed to resolve \(text): the record of \(String(decoding: name, as: UTF8.self)) has ended"
      )
    case .invalid(let name):
      return Rejection(
        500,
        "failed to resolve \(text): the record of \(String(decoding: name, as: UTF8.self)) is not valid"
      )
    case .tooDeep:
      return Rejection(400, "failed to resolve \(text): names lead to names without end")
    }
  }

  /// The page for a path that leads nowhere.
  ///
  /// A Kubo node would look for an absent block elsewhere and end with 504; here all there will ever
  /// be is in the files, so the answer is 404.
  static func rejection(_ failure: ResolveFailure) -> Rejection {
    switch failure {
    case .noLink(let name, let found, _):
      let name = String(decoding: name, as: UTF8.self)
      return Rejection(404, "no link named \"\(name)\" under \(found.target)")
    case .block(.absent(let cid)):
      return Rejection(404, "the block \(cid) is in none of this origin's CAR files")
    case .block(.corrupt(let cid)):
      return Rejection(500, "the block \(cid) does not have the hash that it should have")
    case .block(.fault): return Rejection(500, "a CAR file could not be read")
    case .malformed(let cid, .unsupportedCodec):
      return Rejection(
        500, "blocks like \(cid) cannot be shown; the block itself can be had with format=raw")
    case .malformed(let cid, let error):
      return Rejection(500, "the block \(cid) cannot be shown: \(error.sentence)")
    }
  }
}
