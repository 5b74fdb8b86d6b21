internal import Admission
internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import IPFS
internal import Router
internal import Server
internal import Telemetry
internal import Upstreams

/// The life of one request, from its head to its line in the log.
///
///     route ─► admit ─► look up ─┬─ hit ──────────────────────► deliver ─► log
///                                └─ miss ─► fetch (or join) ─► deliver ─► log
///
/// Each step is a method of its own file's name; a step ends by calling the next, by waiting for the
/// stream, the fill or the disk, or by `finish`. A hit that its client takes at once runs through
/// without waiting and without allocating. Exchanges are used again.
final class Exchange: Responder {
  let worker: GatewayWorker
  /// The client; nil between requests.
  var stream: ClientStream?
  /// Its place among the worker's exchanges.
  var slot = 0
  /// Which use of this object is running; messages of an earlier one are stale.
  var life: UInt64 = 0

  // What was asked.
  /// The request's head, which the places below refer to.
  var text = ByteBuffer(capacity: 2048)
  var method = Method.get
  var target = ByteRange.empty
  var referer = ByteRange.empty
  var userAgent = ByteRange.empty
  /// The values of Accept; nearly always one.
  var accept = ByteRange.empty
  var moreAccepts: [ByteRange] = []
  var host = ByteRange.empty
  /// What a trusted proxy says of where the client is.
  var regionMark = ByteRange.empty
  /// What the client says of the trace that the request belongs to, and whether it says so twice.
  var traceParent = ByteRange.empty
  var hasManyTraces = false
  var traceStates: [ByteRange] = []
  /// The trace that goes on from here; nil where there is none.
  var trace: TraceContext?
  var conditions = Conditions()
  var acceptsHTML = false
  var onlyIfCached = false
  /// The decoded path, as X-Ipfs-Path repeats it; empty where the request is no content's.
  var path = ByteBuffer(capacity: 256)
  var root = ByteRange.empty
  /// The decoded path of what is passed through, for the denylist; empty for all else.
  var passedPath = ByteBuffer(capacity: 64)
  /// What of which content is asked for; nil where it is passed through or none.
  var asked: ContentRequest?
  /// Whether a file is asked for by its CID and nothing else, whose head is what was kept: the way of nearly
  /// all hits, which then looks at nothing of `asked`.
  var isPlain = false
  /// What the name that was asked for leads to; nil for content by CID.
  var naming: NameEntry?
  /// Whether the client came by https.
  var isSecure = false
  /// Who asks, as far as it is to be believed; nil for the peer.
  var client: NetworkAddress?
  /// Whether the host itself names the content, so that an upstream has to be told of it.
  var keepsHost = false
  var key = Digest128(first: 0, second: 0)
  var canonicalKey = ByteBuffer(capacity: 256)
  /// Whether nothing of the content is denied, all that its path leads through included.
  var isCleared = false
  /// The rule by which it is denied.
  var deniedBy: DenyFinding?

  // Where it stands.
  var outcome = Outcome.none
  var reason: StaticString = ""
  var server = ""
  /// The server asked last by a fetch that has brought no head for this request.
  var askedInVain = ""
  /// What the host stands for, as metrics have it.
  var hostClass = HostClass.none
  /// The region's place, once it was looked up; below 0 before.
  var regionPlace = -1
  /// What was waited for.
  var steps = RequestSteps()
  /// How long the server took that the answer's head came from.
  var serverTimes = (connect: Interval.zero, firstByte: Interval.zero)
  /// The next byte of the object to send, and the end of what is due.
  var position: Int64 = 0
  var end: Int64 = 0
  var sliceShift: UInt8 = 20
  /// Bytes of the whole object, and its Etag: what every piece of one answer must agree with.
  var total: Int64 = 0
  var etag = ByteBuffer(capacity: 128)
  /// Whether the head that is being written is that of the content itself, or of a part of it.
  var hasRepresentation = true
  /// The slice last looked up.
  var located: (index: Int, slice: Slice)?
  /// Whether the fill's head has still to be held against the answer that has begun.
  var mustAgree = false
  /// Bytes that a disk thread has just read: taken once without asking whether they are in memory.
  var justRead: (slice: Slice, place: Int, count: Int)?
  /// The slice last passed over, since it is bad or cannot be had now: looked for no further.
  var unreadable: Slice?
  /// The slice last checked for this answer, which may be one that has no marks.
  var checked: Slice?
  /// The slice last read from the disk for this answer, and whether it is to leave memory after it.
  var broughtIn: (slice: StoredSlice, isPassing: Bool)?
  /// The slice whose hit was noted last; -1 for none.
  var noted = -1
  var reader: ExchangeReader?
  /// Where the reader's first byte lies in the object: above 0 for a part asked for by itself.
  var readerBase: Int64 = 0
  /// The Etag that the rest of an answer must have, until its head has come; nil for all else.
  var restEtag: [UInt8]?
  /// Whether the answer is a CAR that is given on while it is checked: no other can go on with it.
  var isCollected = false
  /// Whether the client's own range has been asked for already, after a fill that could not.
  var hasAskedAlone = false
  /// Whether it waits for the head of content that is being looked for, by its own request or by another's.
  var isHeadSearch = false
  /// How often it has begun anew, after a fill that was given up or lost what it had.
  var beginnings = 0
  /// Where it last began anew.
  var lastBeginning: Int64 = 0
  var isWaitingForDisk = false

  // What the operator's limits have let it have.
  /// The limits that have admitted it; nil where none have been asked.
  var limits: WorkerLimits?
  var hold = RateLimitHold()
  /// Bytes of the answer's body that have been noted there.
  var metered: Int64 = 0

  /// What the cache did for a request; the names are stable, in logs and metrics.
  enum Outcome {
    case none, hit, miss, collapsed, partial, bypass, error
  }

  init(_ worker: GatewayWorker) {
    self.worker = worker
  }

  /// Begins a new life and lives it as far as it goes without waiting.
  func run(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    begin(on: stream)
    self.text.append(text)
    method = request.method
    target = request.target
    conditions = Conditions(request)
    for field in request.fields {
      switch field.token {
      case .referer: referer = field.value
      case .userAgent: userAgent = field.value
      case .accept:
        acceptsHTML = acceptsHTML || text.bytes(field.value).contains("text/html")
        if accept.isEmpty { accept = field.value } else { moreAccepts.append(field.value) }
      case .cacheControl:
        onlyIfCached = onlyIfCached || text.bytes(field.value).equals("only-if-cached")
      case .traceparent:
        hasManyTraces = !traceParent.isEmpty
        traceParent = field.value
      case .tracestate: traceStates.append(field.value)
      default: continue
      }
    }
    if !traceParent.isEmpty || worker.startsTraces { readTrace(text) }
    route(request, text)
  }

  func begin(on stream: ClientStream) {
    life &+= 1
    self.stream = stream
    stream.responder = self
    text.clear()
    path.clear()
    passedPath.clear()
    canonicalKey.clear()
    method = .get
    target = .empty
    referer = .empty
    userAgent = .empty
    accept = .empty
    if !moreAccepts.isEmpty { moreAccepts = [] }
    host = .empty
    regionMark = .empty
    if !traceParent.isEmpty || trace != nil || !traceStates.isEmpty { forgetTrace() }
    root = .empty
    asked = nil
    isPlain = false
    naming = nil
    isCleared = false
    if deniedBy != nil { deniedBy = nil }
    isSecure = false
    client = nil
    keepsHost = false
    conditions = Conditions()
    acceptsHTML = false
    onlyIfCached = false
    outcome = .none
    reason = ""
    server = ""
    if !askedInVain.isEmpty { askedInVain = "" }
    hostClass = .none
    regionPlace = -1
    if steps.isUsed { steps = RequestSteps() }
    serverTimes = (.zero, .zero)
    position = 0
    end = 0
    total = 0
    etag.clear()
    located = nil
    mustAgree = false
    justRead = nil
    unreadable = nil
    checked = nil
    broughtIn = nil
    noted = -1
    readerBase = 0
    restEtag = nil
    isCollected = false
    hasAskedAlone = false
    isHeadSearch = false
    beginnings = 0
    lastBeginning = 0
    isWaitingForDisk = false
    sliceShift = worker.sliceShift
  }

  // MARK: Events

  override func writable() { deliver() }

  override func aborted() {
    worker.counters.add(.clientAbort)
    if let stream { log(stream, isAborted: true) }
    conclude()
  }

  // MARK: The end

  /// Ends the answer and the exchange.
  func finish() {
    guard let stream else { return }
    log(stream)
    stream.finish()
    conclude()
  }

  /// Cuts the answer off, so that the client sees that it is not whole.
  func breakOff() {
    guard let stream else { return }
    outcome = .error
    log(stream)
    stream.abort()
    conclude()
  }

  private func conclude() {
    guard let stream else { return }
    if let limits { leaveLimits(limits, stream) }
    self.stream = nil
    letGo()
    leaveFill()
    life &+= 1
    worker.recycle(self)
  }

  /// Whether it waits for what an upstream says, with nothing said to the client yet and nothing known of the answer.
  var awaitsUpstream: Bool {
    guard let stream, let reader else { return false }
    return stream.isUntouched && reader.fill.head == nil
  }

  func leaveFill() {
    guard let reader else { return }
    self.reader = nil
    if server.isEmpty { askedInVain = reader.fill.asked }
    reader.exchange = nil
    reader.fill.detach(reader)
  }
}

/// An exchange's place in a fill.
final class ExchangeReader: FillReader, @unchecked Sendable {
  // Unchecked like its parent: the exchange is touched on the worker's thread only.

  /// Let go by `Exchange.leaveFill`, which every exchange comes to.
  var exchange: Exchange?

  override func fillChanged() { exchange?.fillChanged() }
}
