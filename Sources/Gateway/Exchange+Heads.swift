internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Router
internal import Server
internal import Telemetry

/// What a kept answer's head says, from the index or from a fill.
struct KeptHead: ~Escapable {
  var etag: RawSpan
  var contentType: RawSpan
  var total: Int64
  /// Seconds since it was fetched.
  var age: Int64
  /// Stands for a total that only the end will tell.
  static let unknown: Int64 = -1

  @_lifetime(copy etag, copy contentType)
  init(etag: RawSpan, contentType: RawSpan, total: Int64, age: Int64) {
    self.etag = etag
    self.contentType = contentType
    self.total = total
    self.age = age
  }
}

extension Exchange {
  /// Content under a CID never changes (the gateways' own words for it).
  static let immutable: StaticString = "public, max-age=29030400, immutable"
  /// What gateways allow every site, on every answer.
  private static let crossOrigin: StaticString = """
    Access-Control-Allow-Origin: *\r
    Access-Control-Allow-Methods: GET, HEAD, OPTIONS\r
    Access-Control-Allow-Headers: Content-Type, Range, User-Agent, X-Requested-With\r
    Access-Control-Expose-Headers: Content-Length, Content-Range, X-Chunked-Output, \
    X-Ipfs-Path, X-Ipfs-Roots, X-Stream-Output\r\n
    """

  /// Writes the head of an answer that is kept, or is being kept.
  func writeKeptHead(
    _ head: borrowing KeptHead, _ wish: Wish, on stream: ClientStream,
    fields: (ClientStream) -> Void
  ) {
    switch wish {
    case .whole: stream.begin(status: 200)
    case .part: stream.begin(status: 206)
    case .notModified: stream.begin(status: 304)
    case .preconditionFailed: stream.begin(status: 412)
    case .unsatisfiable: stream.begin(status: 416)
    }
    withSpelledEtag(head.etag) { stream.field(.etag, $0) }
    // A failure that is said to be immutable would be kept as one by caches on the way.
    if wish != .preconditionFailed && wish != .unsatisfiable { writeCacheControl(on: stream) }
    if case .part(let part) = wish { stream.contentRange(part, total: head.total) }
    switch wish {
    case .whole where isPlain, .part where isPlain:
      if head.contentType.byteCount > 0 { stream.field(.contentType, head.contentType) }
      if head.total > 0 { stream.field(.acceptRanges, "bytes") }
    case .whole, .part:
      writeContentType(head.contentType, etag: head.etag, on: stream)
      writeAcceptRanges(total: head.total, on: stream)
      writeAskedName(on: stream)
    case .unsatisfiable:
      stream.unsatisfiedRange(total: head.total)
      stream.lines("Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n")
    default: break
    }
    if !isPlain { writeContentLocation(on: stream) }
    hasRepresentation = wish.hasRepresentation
    fields(stream)
    writeContentFields(on: stream)
    stream.lines(Self.crossOrigin)
    stream.field(.age, decimal: naming?.age(at: worker.loop.now) ?? head.age)
    writeCacheFields(on: stream)
    switch wish {
    case .whole:
      stream.endHead(head.total == KeptHead.unknown ? .unknown : .known(head.total))
    case .part(let part): stream.endHead(.known(part.upperBound - part.lowerBound))
    case .notModified: stream.endHead(.absent)
    case .preconditionFailed: stream.endHead(.known(0))
    case .unsatisfiable:
      var body = ByteBuffer(capacity: 128)
      body.append("416 Range Not Satisfiable: the content has " as StaticString)
      body.append(decimal: head.total)
      body.append(" bytes\n")
      stream.endHead(.known(Int64(body.count)))
      if method != .head { stream.fill(body.readable) }
    }
  }

  /// For how long the answer may be kept elsewhere.
  func writeCacheControl(on stream: ClientStream) {
    if let naming {
      stream.field(.cacheControl) {
        $0.append("public, max-age=" as StaticString)
        $0.append(decimal: naming.ttl.nanoseconds / 1_000_000_000)
      }
    } else {
      stream.field(.cacheControl, Self.immutable)
    }
  }

  /// Whether parts can be had; of nothing there are none.
  private func writeAcceptRanges(total: Int64, on stream: ClientStream) {
    guard let asked else { return }
    if !asked.form.hasRanges {
      stream.field(.acceptRanges, "none")
    } else if total > 0 || asked.form == .raw {
      stream.field(.acceptRanges, "bytes")
    }
  }

  /// The fields that repeat what was asked for, in the client's own spelling.
  func writeContentFields(on stream: ClientStream) {
    guard !path.isEmpty else { return }
    path.withReadable { path in
      stream.field(.xIpfsPath, path)
      if naming == nil { stream.field(named: "X-IPFS-Hash", path.bytes(root)) }
    }
  }

  func writeCrossOriginFields(on stream: ClientStream) { stream.lines(Self.crossOrigin) }

  /// `Cache-Status` (RFC 9211) and its older, shorter brother.
  func writeCacheFields(on stream: ClientStream) {
    switch outcome {
    case .hit where reason.isEqual(to: Self.absent):
      stream.lines("Cache-Status: sluice; hit; detail=absent\r\nX-Cache-Status: HIT\r\n")
    case .hit: stream.lines("Cache-Status: sluice; hit\r\nX-Cache-Status: HIT\r\n")
    case .miss:
      stream.lines("Cache-Status: sluice; fwd=uri-miss; stored\r\nX-Cache-Status: MISS\r\n")
    case .collapsed:
      stream.lines("Cache-Status: sluice; fwd=uri-miss; collapsed\r\nX-Cache-Status: MISS\r\n")
    case .partial:
      stream.lines("Cache-Status: sluice; fwd=partial; stored\r\nX-Cache-Status: PARTIAL\r\n")
    case .bypass:
      if reason.utf8CodeUnitCount == 0 || reason.isEqual(to: "bypass") {
        stream.lines("Cache-Status: sluice; fwd=bypass\r\nX-Cache-Status: BYPASS\r\n")
      } else {
        stream.field(.cacheStatus) { value in
          value.append("sluice; fwd=uri-miss; detail=" as StaticString)
          value.append(reason)
        }
        stream.lines("X-Cache-Status: MISS\r\n")
      }
    case .none where reason.isEqual(to: Self.denied):
      stream.lines("Cache-Status: sluice; detail=denied\r\nX-Cache-Status: NONE\r\n")
    case .none: stream.lines("Cache-Status: sluice; detail=own\r\nX-Cache-Status: NONE\r\n")
    case .error where reason.isEqual(to: Self.failing):
      stream.lines(
        "Cache-Status: sluice; fwd=uri-miss; detail=failing\r\nX-Cache-Status: ERROR\r\n")
    case .error:
      stream.lines(
        "Cache-Status: sluice; fwd=uri-miss; detail=upstream\r\nX-Cache-Status: ERROR\r\n")
    }
    if outcome != .hit { writeServer(on: stream) }
  }
}

extension StaticString {
  func isEqual(to other: StaticString) -> Bool {
    guard utf8CodeUnitCount == other.utf8CodeUnitCount else { return false }
    for offset in 0..<utf8CodeUnitCount where unsafe utf8Start[offset] != other.utf8Start[offset] {
      return false
    }
    return true
  }
}
