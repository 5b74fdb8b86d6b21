internal import Base
internal import EventLoop
internal import Gateway
public import HTTP
public import HTTP1
internal import Logging
public import Server
internal import Synchronization
internal import System
internal import Telemetry

/// Answers on the admin address: metrics, the JSON API below `/api/v1`, and a page that names them.
public final class AdminHandler: RequestHandler {
  let subject: AdminSubject
  /// Purges under way.
  var purges = 0
  /// Questions about objects under way.
  var questions = 0
  /// Whether a server is being drained or taken in.
  var isDraining = false
  private let pace = LogPace()

  public init(_ subject: AdminSubject) {
    self.subject = subject
  }

  public func handle(_ request: RequestHead, text: RawSpan, on stream: ClientStream) {
    let path = text.bytes(request.path)
    let isAPI = path.hasPrefix("/api")
    let page = AdminPage(path: path)
    let need = page?.need ?? .network
    // Who may not read is not told what there is either.
    let stranger = subject.access.refusal(
      of: request, text, from: stream.peer.networkAddress, need == .nothing ? .nothing : .network,
      token: .success(nil))
    if let stranger {
      refuse(stranger, isAPI, on: stream)
      return
    }
    if let page, request.method == .options {
      AdminAnswer.sendMethods(page.methods, on: stream)
      return
    }
    if let page, !page.takes(request.method) {
      let refusal = AdminRefusal(
        status: 405, error: "this page answers \(page.methods)",
        hint: page.isChange ? "changes are asked for by POST" : "")
      AdminAnswer.send(refusal, isAPI: isAPI, allow: page.methods, on: stream)
      return
    }
    let refusal = subject.access.refusal(
      of: request, text, from: stream.peer.networkAddress, need,
      token: need == .changing ? token : .success(nil))
    if let refusal {
      refuse(refusal, isAPI, on: stream)
      return
    }
    guard let page else {
      let pages = AdminPage.allCases.map(\.rawValue).joined(separator: " ")
      let refusal = AdminRefusal(status: 404, error: "nothing is here", hint: "there are \(pages)")
      AdminAnswer.send(refusal, isAPI: isAPI, on: stream)
      return
    }
    answer(page, request, text, on: stream)
  }

  private func answer(
    _ page: AdminPage, _ request: RequestHead, _ text: RawSpan, on stream: ClientStream
  ) {
    switch page {
    case .index:
      AdminAnswer.send(200, "text/plain; charset=utf-8", on: stream) { body in
        body.append("Sluice\n\n")
        for page in AdminPage.allCases {
          let space = String(repeating: " ", count: max(1, 26 - page.rawValue.utf8.count))
          body.append("\(page.isChange ? "POST" : "GET ") \(page.rawValue)\(space)\(page.title)\n")
        }
      }
    case .health:
      AdminAnswer.send(200, "text/plain; charset=utf-8", on: stream) { $0.append("ok\n") }
    case .metrics:
      AdminAnswer.send(200, Exposition.contentType, on: stream) {
        Exposition.write(pages: subject.pages, values: Metrics.values(of: subject), into: &$0)
      }
    case .stats:
      AdminAnswer.send(Statistics.all(of: subject, at: stream.loop.now), on: stream)
    case .why: explain(text.bytes(request.query), AdminTask(stream), stream.loop)
    case .purge:
      let loop = stream.loop
      AdminTask(stream).readBody { [self] in purge($1, $0, loop) }
    case .drain, .undrain:
      let loop = stream.loop
      AdminTask(stream).readBody { [self] in drain(page == .drain, $1, $0, loop) }
    }
  }

  private var token: Result<[UInt8]?, AdminToken.Unusable> {
    guard let token = subject.token else { return .success(nil) }
    do throws(AdminToken.Unusable) {
      return .success(try token.current())
    } catch {
      return .failure(error)
    }
  }

  private func refuse(_ refusal: AdminRefusal, _ isAPI: Bool, on stream: ClientStream) {
    subject.counters.refusals.add(1, ordering: .relaxed)
    // Whoever guesses tokens fills no log with it.
    if refusal.status == 401, let count = pace.due(at: stream.loop.now) {
      subject.log.warning(
        "a change was asked for without the token",
        metadata: [
          "client": .string(stream.peer.host), "why": .string(refusal.error),
          "count": .stringConvertible(count),
        ])
    }
    AdminAnswer.send(refusal, isAPI: isAPI, on: stream)
  }

  public func refuse(_ refusal: Refusal, on stream: ClientStream) {
    AdminAnswer.send(
      AdminRefusal(status: refusal.status, error: "\(refusal.sentence)"), isAPI: false, on: stream)
  }
}
