internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import HTTP1
internal import Server
internal import Telemetry
internal import Upstreams

/// A request to the cluster's API, from its client to one of the servers and back.
///
/// Both bodies are pulled at the same time: a piece of each is in memory, and each side waits for the other.
/// Nothing is kept, and nobody joins. It takes its exchange's place at the stream, and ends it.
final class ClusterExchange: Responder {
  /// The most of an answer that is taken from its server before the client takes it.
  private static let pieceBytes = 64 << 10

  /// Nil once it has ended.
  private var exchange: Exchange?
  private let access: ClusterAccess
  private var call: UpstreamCall?
  /// Bytes of the answer that the client has not taken yet.
  private var piece = ByteBuffer(capacity: pieceBytes)
  private var isComplete = false
  /// Whether the server has taken all that has come of the request's body, and there is more to come.
  private var awaitsUpload = false

  init(_ exchange: Exchange, _ access: ClusterAccess) {
    self.exchange = exchange
    self.access = access
  }

  private var stream: ClientStream? { exchange?.stream }

  func start(_ request: UpstreamRequest, expectsContinue: Bool) {
    guard let exchange, let stream else { return }
    var request = request
    switch stream.requestBody {
    case .absent: break
    case .known(let length): request.body = .length(length)
    case .unknown: request.body = .chunked
    }
    request.expectsContinue = expectsContinue
    stream.takeBody()
    stream.responder = self
    exchange.outcome = .bypass
    exchange.reason = NotStored.bypass.name
    let call = UpstreamCall(
      exchange.worker.pool, request, ClusterAnswer(self),
      body: request.body == .none ? nil : ClusterBody(self))
    self.call = call
    noteStep()
    call.start()
  }

  /// Lets go of everything; what is called later finds nothing to do.
  private func end() -> Exchange? {
    let ending = exchange
    exchange = nil
    call = nil
    return ending
  }

  // MARK: The client's side

  override func bodyReadable() { call?.bodyReadable() }

  /// Whether the client or the server is waited for.
  private func noteStep() {
    guard let exchange, let stream else { return }
    let step: RequestSteps.Step =
      if awaitsUpload || !piece.isEmpty { .client } else { stream.isUntouched ? .server : .body }
    exchange.steps.begin(step, at: exchange.worker.loop.now)
  }

  override func writable() {
    offer()
    noteStep()
    guard piece.isEmpty, exchange != nil else { return }
    if isComplete { finish() } else { call?.resume() }
  }

  override func aborted() {
    call?.cancel()
    end()?.aborted()
  }

  /// Offers what is at hand of the answer.
  private func offer() {
    guard let stream, !piece.isEmpty else { return }
    if case .taken(let count) = piece.withReadable({ stream.offer($0) }) {
      piece.consume(count)
    }
    exchange?.meter()
  }

  // MARK: The server's side

  fileprivate func pull(into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    guard let stream else { return .broken(Fault(.closed, .client)) }
    let pull = unsafe stream.pullBody(into: room)
    if case .bytes(let count) = pull { exchange?.meter(taken: count) }
    if case .pause = pull { awaitsUpload = true } else { awaitsUpload = false }
    noteStep()
    return pull
  }

  fileprivate func received(_ head: ResponseHead, _ text: RawSpan, from server: UpstreamServer) {
    guard let exchange, let stream else { return }
    exchange.server = server.name
    if let timing = call?.timing { exchange.serverTimes = (timing.connect, timing.firstByte) }
    stream.begin(status: head.status)
    // Who refuses is sent no more.
    if head.status >= 300 { awaitsUpload = false }
    noteStep()
    let connection = ConnectionFields(head.fields, text: text)
    for field in head.fields where !connection.contains(field, text: text) {
      let value = text.bytes(field.value)
      switch field.token {
      // This gateway's own, made anew.
      case .date, .contentLength: continue
      case .xStreamError: continue
      case .location: writeLocation(value, on: stream)
      default: stream.field(bytes: text.bytes(field.name), value)
      }
    }
    // Connections' own, and said anew: of what may come behind a body, only this is given on.
    if head.fields.contains(where: { Self.announcesError($0, text) }) {
      stream.field(.trailer, "X-Stream-Error")
    }
    // Even where a server forgets to say so, nobody on the way keeps it.
    if head.value(.cacheControl) == nil { stream.field(.cacheControl, "no-store") }
    exchange.writeCacheFields(on: stream)
    if head.status == 204 || head.status == 304 {
      stream.endHead(.absent)
    } else if let length = head.contentLength, !head.isChunked {
      stream.endHead(.known(length))
    } else {
      stream.endHead(.unknown)
    }
    if stream.bodyDue == 0 { return }
    // The head is not to wait for the first bytes, which may be long in coming.
    stream.flush()
  }

  /// An address at the server's own root is one below the prefix here.
  private func writeLocation(_ value: RawSpan, on stream: ClientStream) {
    let isPath =
      value.byteCount > 0 && value.byte(0) == UInt8(ascii: "/")
      && (value.byteCount == 1 || value.byte(1) != UInt8(ascii: "/"))
    guard isPath else {
      stream.field(.location, value)
      return
    }
    let place = access.prefix.dropLast() + value.array
    stream.field(.location, place.rawBytes)
  }

  fileprivate func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    guard piece.isEmpty, exchange != nil else { return false }
    _ = unsafe piece.fill(atLeast: Self.pieceBytes) { unsafe read($0) }
    offer()
    noteStep()
    return piece.isEmpty
  }

  fileprivate func finished() {
    isComplete = true
    if piece.isEmpty { finish() }
  }

  private static func announcesError(_ field: Field, _ text: RawSpan) -> Bool {
    field.token == .trailer && text.bytes(field.value).equalsIgnoringCase("x-stream-error")
  }

  /// Ends the answer, with the server's word that it has failed after all if there is one.
  ///
  /// Where the client cannot be given that word, the answer must not look complete.
  private func finish() {
    let error = call?.streamError ?? []
    guard let exchange = end() else { return }
    if error.isEmpty || exchange.stream?.setTrailer(.xStreamError, error.rawBytes) ?? true {
      exchange.finish()
    } else {
      exchange.breakOff()
    }
  }

  fileprivate func failed(_ fault: Fault) {
    let asked = call?.server?.name ?? ""
    guard let exchange = end() else { return }
    exchange.outcome = .error
    if exchange.server.isEmpty { exchange.askedInVain = asked }
    if fault.side != .client, let region = exchange.worker.gateway.upstreams.apart {
      exchange.worker.tell(.cluster, region: region, fault)
    }
    guard let stream = exchange.stream, stream.isUntouched else {
      exchange.breakOff()
      return
    }
    switch (fault.side, fault.kind) {
    case (.client, .timeout):
      exchange.refuse(status: 408, "the request's body did not arrive in time")
    case (.client, _): exchange.refuse(status: 400, "the request's body is malformed")
    case (_, .timeout):
      exchange.refuse(
        status: 504, "the cluster did not answer in time; it may still do what was asked")
    case (_, .connect), (_, .unavailable):
      exchange.refuse(status: 503, "no server of the cluster can be reached; try again later")
    case (_, .exhausted):
      exchange.refuse(status: 503, "the gateway has no room left for this; try again later")
    default:
      exchange.refuse(
        status: 502, "the cluster broke off before it answered; it may have done what was asked")
    }
  }
}

/// The request's body, as the server takes it.
private final class ClusterBody: UpstreamBody {
  private let owner: ClusterExchange

  init(_ owner: ClusterExchange) { self.owner = owner }

  override func pull(into room: UnsafeMutableRawBufferPointer) -> BodyPull {
    unsafe owner.pull(into: room)
  }
}

/// The server's answer, as it arrives.
private final class ClusterAnswer: UpstreamConsumer {
  private let owner: ClusterExchange

  init(_ owner: ClusterExchange) { self.owner = owner }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    owner.received(head, text, from: server)
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    unsafe owner.takeBody(read)
  }

  override func finished(lengthKnown: Bool) { owner.finished() }

  override func failed(_ fault: Fault) { owner.failed(fault) }
}
