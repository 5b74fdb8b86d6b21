internal import Base
internal import EventLoop
internal import HTTP
internal import Router
internal import Server
internal import System

extension Exchange {
  /// `/cache-stats`: what the cache does, for networks that may know; false for all others.
  ///
  /// To those it is a path like any other that does not exist. Pages are others too: they may come from
  /// whoever publishes content, in the browser of an operator.
  func answerStatistics(_ request: RequestHead, _ text: RawSpan, _ site: AskedSite) -> Bool {
    guard request.method == .get || request.method == .head,
      ClusterPath.isServed(on: site, text: text), let stream,
      let client = knownClient,
      worker.gateway.options.cacheStats.contains(client), !isFromPage(request, text),
      let page = worker.gateway.statisticsPage(at: worker.loop.now)
    else { return false }
    stream.begin(status: 200)
    stream.field(.contentType, "application/json")
    stream.field(.cacheControl, "no-store")
    stream.field(.xContentTypeOptions, "nosniff")
    writeCacheFields(on: stream)
    stream.endHead(.known(Int64(page.count)))
    if method != .head { stream.fill(page.rawBytes) }
    finish()
    return true
  }
}
