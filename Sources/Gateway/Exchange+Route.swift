internal import Base
internal import Cache
internal import HTTP
internal import HTTP1
internal import IPFS
internal import Router
internal import Server
internal import Telemetry

extension Exchange {
  /// Finds out what the request is for.
  func route(_ request: RequestHead, _ text: RawSpan) {
    let route = Router.route(request, text: text, path: &path, key: &canonicalKey)
    switch route {
    case .content(let request):
      asked = request
      root = request.root
      if needsItsOwnAnswer(request) {
        bypass()
      } else if !answerWithoutContent(request) {
        key = canonicalKey.withReadable { worker.gateway.storage.hash($0) }
        lookUp()
      }
    case .named(let request):
      root = request.root
      bypass()
    case .passThrough(let keepsHost):
      path.clear()
      self.keepsHost = keepsHost
      bypass()
    case .health: answerHealth()
    case .options: answerOptions()
    case .refuse(let status, let reason): refuse(status: status, reason.sentence)
    }
  }

  /// Gives the request on as it is, since its answer is of a kind that is not kept.
  private func bypass() {
    reason = NotStored.bypass.name
    passThrough(range: clientRange)
  }

  /// Answers a head that could not be understood.
  func refuse(_ refusal: Refusal, on stream: ClientStream) {
    begin(on: stream)
    refuse(status: refusal.status, "\(refusal.sentence)")
  }
}
