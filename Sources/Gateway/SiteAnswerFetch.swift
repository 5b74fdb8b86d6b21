internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Telemetry
internal import Upstreams

/// Asks for what a site says of a path once more, this time to keep it: after it is proven that the path
/// does not exist, so that nothing but the site's own rules can have made the answer.
final class SiteAnswerFetch: UpstreamConsumer {
  private let worker: GatewayWorker
  private let key: [UInt8]
  private let request: UpstreamRequest
  private var call: UpstreamCall?
  private var head: AnswerHead?
  private var hasher: ContentHasher?
  private let body = SliceBuffer(capacity: SiteAnswer.maximumBytes)

  init(_ worker: GatewayWorker, _ key: [UInt8], _ request: UpstreamRequest) {
    self.worker = worker
    self.key = key
    self.request = request
  }

  func start() {
    worker.absenceProofs.fetchBegan()
    let call = UpstreamCall(worker.pool, request, self)
    self.call = call
    call.start()
  }

  override func received(_ head: ResponseHead, text: RawSpan, from server: UpstreamServer) {
    guard SiteAnswer.isOne(head, text: text) else {
      giveUp()
      return
    }
    var kept = AnswerPolicy.answerHead(
      head, text: text, keeps: false, created: worker.loop.wallSeconds, server: server.name)
    // One answer serves the content's own host and those of names for it, where it does not stay for good.
    kept.fields.removeAll { $0.name.rawBytes.equalsIgnoringCase("cache-control") }
    self.head = kept
    // A page of one block can be held against its name.
    if let page = SiteAnswer.page(head, text), page.codec == .raw {
      hasher = ContentHasher(for: page)
    }
  }

  override func takeBody(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    guard call != nil, head != nil, body.free > 0 else {
      giveUp()
      return false
    }
    _ = unsafe body.fill(read)
    return true
  }

  override func failed(_ fault: Fault) { over() }

  override func finished(lengthKnown: Bool) {
    guard call != nil else { return }
    over()
    let body = body
    let bytes = body.bytes.array
    guard let head, lengthKnown, head.totalBytes == Int64(bytes.count) else { return }
    hasher?.update(bytes.rawBytes)
    if let matches = hasher?.matches(), !matches { return }
    let options = worker.gateway.options
    worker.gateway.siteAnswers.set(
      key, SiteAnswer(head: head, body: bytes), until: worker.loop.now + options.negativeTTL)
  }

  private func giveUp() {
    call?.cancel()
    over()
  }

  private func over() {
    if call != nil { worker.absenceProofs.fetchEnded() }
    call = nil
  }
}
