internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Telemetry
internal import Upstreams

/// HEAD for what is not in the cache: the answer is each client's own, the search for the content is not.
extension Exchange {
  /// Asks for the head of content, or waits for who asks for it already.
  ///
  /// Whoever waited asks for itself once the content is found, which takes no search any more.
  func searchHead() {
    let canonical = canonicalKey.withReadable { $0.array }
    let host = upstreamHost ?? []
    let searches = worker.gateway.headSearches
    let joined = searches.join(
      key, canonicalKey: canonical,
      create: {
        Fill(
          key: key, canonicalKey: canonical, host: host, owner: worker.port, loop: worker.loop,
          table: searches, budget: worker.gateway.memory)
      },
      reader: { ExchangeReader($0, on: worker.port, from: 0, to: .max) })
    reason = Self.head
    guard let joined else {
      passThrough()
      return
    }
    joined.reader.exchange = self
    reader = joined.reader
    isHeadSearch = true
    if joined.isNew {
      begin(passedRequest, joined.reader.fill)
    } else {
      outcome = .collapsed
      worker.counters.add(.fillReaderJoined)
      fillChanged()
    }
  }

  /// Somebody else's search has ended with an answer.
  func joinedHeadIsKnown() {
    leaveFill()
    if !answerFailure() { passThrough() }
  }

  /// A search has ended without an answer, the client's own or another's.
  func headSearchFailed(_ fault: Fault) {
    isHeadSearch = false
    let isAnothers = readsForAnotherHost
    leaveFill()
    if isAnothers, fault.side != .own {
      askForThisHost(Self.head)
    } else if fault.side == .own, beginnings < GatewayOptions.newBeginnings {
      // It was cut, or its client left in the moment that this one came.
      beginnings += 1
      if !answerAbsence() { fetch() }
    } else if outcome == .bypass || !answerFailure() {
      refuse(fault)
    }
  }

  /// Why the answer goes past the cache.
  private static let head: StaticString = "head"
}
