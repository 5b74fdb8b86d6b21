internal import Base
internal import HTTP
internal import IPFS

/// What a request is answered with: the rules of a gateway, in the order in which boxo applies them.
///
/// Blocks are read for that, but nothing is sent; one for each worker.
public final class OriginRules {
  /// Content under a CID never changes (boxo's number of seconds).
  static let immutable = "public, max-age=29030400, immutable"
  /// Generated pages do change, with the program that makes them.
  static let generated = "public, max-age=604800, stale-while-revalidate=2678400"

  let reader: BlockReader
  var resolver: Resolver { Resolver(reader) }

  public init(_ store: CARStore) {
    reader = BlockReader(store)
  }

  public func answer(_ request: OriginRequest) -> OriginAnswer {
    var answer: OriginAnswer
    do throws(Rejection) {
      answer = try decide(request)
    } catch {
      answer = ErrorPage.answer(error, request)
    }
    if answer.value(.xIpfsPath) == nil, request.path.starts(with: "/ip".utf8) {
      answer.add(.xIpfsPath, String(decoding: request.path, as: UTF8.self))
    }
    answer.add(.accessControlAllowOrigin, "*")
    answer.add(.accessControlAllowMethods, "GET, HEAD, OPTIONS")
    answer.add(
      .accessControlAllowHeaders, "Content-Type, Range, User-Agent, X-Requested-With")
    answer.add(
      .accessControlExposeHeaders,
      "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output")
    return answer
  }

  private func decide(_ request: OriginRequest) throws(Rejection) -> OriginAnswer {
    switch request.method {
    case .get, .head: break
    case .options: return OriginAnswer(200, .bytes([]))
    default:
      var rejection = Rejection(405, "only GET, HEAD and OPTIONS are answered")
      rejection.fields = [(.allow, "GET, HEAD, OPTIONS")]
      throw rejection
    }
    if let asked = request.parameter("uri") { throw try uriRedirect(asked) }
    let path = try RequestedPath(request)
    if let worker = request.serviceWorker, worker.rawBytes.equals("script"),
      path.segments.isEmpty
    {
      throw Rejection(400, "a service worker cannot have a whole gateway as its scope")
    }
    do throws(Rejection) {
      var answer = try content(request, path)
      answer.add(.xIpfsPath, String(decoding: path.text, as: UTF8.self))
      return answer
    } catch {
      var rejection = error
      rejection.fields.append((.xIpfsPath, String(decoding: path.text, as: UTF8.self)))
      throw rejection
    }
  }

  /// `?uri=ipfs://…`, as browsers send it from a registered protocol handler.
  private func uriRedirect(_ uri: [UInt8]) throws(Rejection) -> Rejection {
    for scheme in ["ipfs", "ipns"] where uri.starts(with: "\(scheme)://".utf8) {
      let rest = uri.dropFirst(scheme.utf8.count + 3)
      var rejection = Rejection(301, "the content has its own address")
      let encoded = rest.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        .map { PercentText.encode($0) }.joined(separator: "/")
      rejection.fields = [(.location, "/\(scheme)/\(encoded)")]
      return rejection
    }
    throw Rejection(400, "the uri parameter must begin with ipfs:// or ipns://")
  }

  private func content(
    _ request: OriginRequest, _ path: RequestedPath
  ) throws(Rejection) -> OriginAnswer {
    let onlyIfCached = request.cacheControl.map { $0.elementsEqual("only-if-cached".utf8) } ?? false
    let resolved: [CID]
    let format: ContentFormat
    do throws(ResolveFailure) {
      resolved = try resolver.resolve(path.root, path.segments)
    } catch {
      if onlyIfCached, case .block(.absent) = error {
        throw Rejection(412, "the content is not here")
      }
      format = try ContentFormat.choose(request)
      if case .noLink(_, let found) = error, format.kind == .car {
        return try car(request, path, format, .absentBelow(found))
      }
      throw Self.rejection(error)
    }
    if onlyIfCached {
      guard isHere(resolved[resolved.count - 1]) else {
        throw Rejection(412, "the content is not here")
      }
      // boxo answers without the representation's own fields.
      if request.method == .head { return OriginAnswer(200, .absent) }
    }
    format = try ContentFormat.choose(request)
    var answer: OriginAnswer
    switch format.kind {
    case .file, .json, .cbor: answer = try unixFS(request, path, resolved)
    case .raw: answer = try raw(request, resolved)
    case .car: return try car(request, path, format, .found(resolved))
    case .tar: throw Rejection(501, "this origin makes no TAR archives; ask for format=car")
    case .dagJSON, .dagCBOR:
      throw Rejection(406, "this origin does not convert between codecs; ask for format=raw")
    case .ipnsRecord: throw Rejection(400, "an IPNS record exists below /ipns only")
    }
    if format.fromAccept, answer.status == 200 || answer.status == 206 {
      answer.add(.contentLocation, location(request, format.kind, []))
    }
    return answer
  }

  private func isHere(_ cid: CID) -> Bool {
    cid.hash == .identity || reader.store.place(cid) != nil
  }

  /// The address that gives the same answer without Accept.
  func location(
    _ request: OriginRequest, _ kind: ContentFormat.Kind,
    _ parameters: [(name: String, value: String)]
  ) -> String {
    let mine = ["format"] + parameters.map(\.name)
    var pairs = String(decoding: request.query, as: UTF8.self).split(separator: "&")
      .filter { pair in !mine.contains { pair == $0 || pair.hasPrefix("\($0)=") } }
      .map(String.init)
    pairs.append("format=\(kind.rawValue)")
    pairs += parameters.map { "\($0.name)=\($0.value)" }
    return String(decoding: request.path, as: UTF8.self) + "?" + pairs.joined(separator: "&")
  }

  /// The page for a path that leads nowhere.
  ///
  /// A Kubo node would look for an absent block elsewhere and end with 504; here all there will ever
  /// be is in the files, so the answer is 404.
  static func rejection(_ failure: ResolveFailure) -> Rejection {
    switch failure {
    case .noLink(let name, let resolved):
      let name = String(decoding: name, as: UTF8.self)
      let parent = resolved.last.map { "\($0)" } ?? ""
      return Rejection(404, "no link named \"\(name)\" under \(parent)")
    case .block(.absent(let cid)):
      return Rejection(404, "the block \(cid) is in none of this origin's CAR files")
    case .block(.corrupt(let cid)):
      return Rejection(500, "the block \(cid) does not have the hash that it should have")
    case .block(.fault): return Rejection(500, "a CAR file could not be read")
    case .sharded(let cid):
      return Rejection(501, "the directory \(cid) is sharded, which this origin does not look into")
    case .malformed(let cid, .unsupportedCodec):
      return Rejection(
        501, "this origin shows UnixFS only; the block \(cid) can be had with format=raw")
    case .malformed(let cid, let error):
      return Rejection(500, "the block \(cid) cannot be shown: \(error.sentence)")
    }
  }
}
