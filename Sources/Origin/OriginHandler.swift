internal import Base
public import EventLoop
public import HTTP
public import HTTP1
public import Server

/// Answers requests from CAR files, as a Kubo gateway would; one for each worker.
public final class OriginHandler: RequestHandler {
  private let rules: OriginRules
  private let loop: Loop

  /// The loop tells what time it is.
  public init(_ store: CARStore, _ options: OriginOptions = OriginOptions(), loop: Loop) {
    rules = OriginRules(store, options)
    self.loop = loop
  }

  public func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    let answer = rules.answer(OriginRequest(request, text), now: loop.wallSeconds)
    send(answer, on: stream, isHead: request.method == .head)
  }

  public func refuse(_ refusal: Refusal, on stream: ClientStream) {
    let request = OriginRequest(.get, target: "/")
    let rejection = Rejection(refusal.status, "\(refusal.sentence)")
    send(ErrorPage.answer(rejection, request), on: stream)
  }

  private func send(_ answer: OriginAnswer, on stream: ClientStream, isHead: Bool = false) {
    // Go tells no transfer coding of a body that it does not send.
    let unknown: BodyLength = isHead ? .absent : .unknown
    stream.begin(status: answer.status)
    for (token, value) in answer.fields { stream.field(token, text: value) }
    switch answer.body {
    case .absent:
      stream.endHead(.absent)
      stream.finish()
    case .bytes(let bytes):
      stream.endHead(.known(Int64(bytes.count)))
      respond(BytesResponder(stream, bytes), on: stream)
    case .file(let slice):
      stream.endHead(.known(slice.remaining))
      respond(FileResponder(stream, slice), on: stream)
    case .car(let walk):
      stream.endHead(unknown)
      respond(StreamResponder(stream, walk), on: stream)
    case .tar(let walk):
      stream.endHead(unknown)
      respond(StreamResponder(stream, walk), on: stream)
    }
  }

  private func respond(_ responder: Responder, on stream: ClientStream) {
    // With HEAD no byte is due.
    if stream.bodyDue == 0 {
      stream.finish()
      return
    }
    stream.responder = responder
    responder.writable()
  }
}
