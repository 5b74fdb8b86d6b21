internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Logging
internal import Telemetry
internal import Upstreams

/// Whether what comes is what its CID names.
extension FillDriver {
  // MARK: Bodies

  /// The whole body has come; false where it is not what its CID names.
  func completedWhole() -> Bool {
    guard var check = verification.take() else { return true }
    guard check.matches() else {
      blame()
      if askAnother(insteadOf: check.slices) { return false }
      fill.stopKeeping()
      fill.fail(Fault(.mismatch, .upstream))
      return false
    }
    isVerified = true
    worker.counters.add(.verifiedBytes, Int(head?.totalBytes ?? 0))
    if isKept {
      putRecord(isVerified: true)
      for (index, buffer) in check.slices { write(slice: index, buffer) }
    }
    fill.releaseAll()
    return true
  }

  /// Counts bytes that are not those of their CID against the server that sent them.
  ///
  /// Where several did, nobody knows whose were wrong, and none comes last for it.
  func blame() {
    worker.counters.add(.notStored(.mismatch))
    worker.counters.add(.upstreamError(.mismatch))
    if isSpliced { source?.countError() } else { source?.blame(at: worker.loop.now) }
    worker.tell(.wrongBytes, region: request.region, nil, story)
  }

  /// Asks a server that has not given wrong bytes yet, where no reader has seen any of those; false where
  /// there is none.
  ///
  /// Any server, once, where the bytes were of several.
  func askAnother(insteadOf slices: [(index: Int, buffer: SliceBuffer)]) -> Bool {
    guard isKept, (head?.totalBytes ?? .max) <= GatewayOptions.heldBytes, let source else {
      return false
    }
    if isSpliced {
      if wasBegunAnew { return false }
      wasBegunAnew = true
      isSpliced = false
    } else {
      avoided.append(source.number)
    }
    guard servers.contains(where: { !$0.isDrained && !avoided.contains($0.number) }) else {
      return false
    }
    worker.counters.add(.upstreamRetry)
    for (index, _) in slices { fill.discard(slice: index) }
    begin(.whole, slices: 0..<Int.max)
    isRefetching = true
    for fetch in fetches { fill.setFetch(fetch.number, fetch.slices, inOrder: true) }
    return true
  }

  /// What a line of the log says of it.
  private var story: Logger.Metadata {
    ["server": .string(head?.server ?? ""), "target": .string(targetText)]
  }

  var targetText: String { String(decoding: request.target, as: UTF8.self) }

  /// The same from another server, after bytes that were wrong: nobody has been told anything of those, so
  /// this head takes the other one's place.
  func reopened(
    _ answer: ResponseHead, text: RawSpan, by server: UpstreamServer,
    _ verdict: AnswerPolicy.Verdict
  ) {
    isRefetching = false
    guard case .keep(let subject?) = verdict else {
      // First, since the first fault is the one that counts.
      fill.fail(Fault(.mismatch, .upstream))
      for fetch in fetches { fetch.cut() }
      return
    }
    let head = answerHead(answer, text: text, keeps: true, by: server)
    keep(head, subject: subject)
  }

  // MARK: CARs

  /// A CAR: given on as it comes, and kept if its end shows that it is whole.
  ///
  /// One whose head is not that of the content is checked all the same, and not kept.
  func collect(
    _ answer: ResponseHead, text: RawSpan, by server: UpstreamServer, isForeign: Bool = false
  ) {
    guard let content = request.content else { return }
    var head = answerHead(answer, text: text, keeps: true, by: server)
    head.isCollected = true
    self.head = head
    collector = CARCollector(
      content, sliceBytes: 1 << Int(worker.sliceShift), budget: worker.gateway.memory,
      notStored: isForeign ? .foreignAnswer : nil)
    sliceShift = Fill.passedShift
    // Where the length is known the last byte waits, so that nothing wrong is ever complete; else the end
    // itself does.
    let visibleEnd = head.totalBytes.map { max(0, $0 - 1) } ?? .max
    fill.open(head, kept: false, sliceShift: sliceShift, visibleEnd: visibleEnd)
  }

  /// Holds bytes of a CAR against their CIDs; false where they are wrong, which ends it.
  func collected(_ bytes: RawSpan) -> Bool {
    do throws(CARError) {
      try collector?.take(bytes)
      return true
    } catch {
      // A block that is none to this check need not be a lie; it cannot be given as a whole answer either.
      switch error {
      case .blockTooLarge, .cid: source?.countError()
      default: blame()
      }
      collector = nil
      fill.fail(Fault(.mismatch, .upstream))
      for fetch in fetches { fetch.cut() }
      return false
    }
  }

  /// The end of what is given on has come; false where it is not the end.
  func completedPassed() -> Bool {
    guard var collector = collector.take() else { return true }
    let (report, slices) = collector.finish()
    switch report.verdict {
    case .complete, .provenAbsent:
      guard report.rootsFit, report.codecsFit else {
        blame()
        return false
      }
      if let source { worker.pool.endedWhole(source) }
      if let why = collector.notStored ?? (report.isExact ? nil : .foreignAnswer) {
        worker.counters.add(.notStored(why))
      } else {
        store(slices, count: collector.count)
      }
    case .unverifiable(let hash) where hash != request.content?.root.hash:
      // A DAG has one hash function: this block is not of it.
      source?.countError()
      return false
    case .unverifiable, .unwalkable, .tooLarge: worker.counters.add(.notStored(.unchecked))
    case .truncated, .missing:
      worker.counters.add(.notStored(.truncated))
      if let source { worker.pool.fellShort(source) }
      worker.tell(.endedCAR, region: request.region, nil, story)
      return false
    case .refused:
      blame()
      return false
    }
    fill.releaseAll()
    return true
  }

  /// Keeps what has been gathered.
  func store(_ slices: [SliceBuffer], count: Int) {
    guard var head else { return }
    head.totalBytes = Int64(count)
    stamp = worker.gateway.storage.newStamp()
    let (fill, gateway) = (fill, worker.gateway)
    guard
      let record = head.record(
        key: fill.canonicalKey, stamp: stamp, sliceShift: worker.sliceShift, isVerified: true)
    else { return }
    worker.counters.add(.verifiedBytes, count)
    fill.writeBegan()
    submit(
      .put(key: fill.key, record: record) { event in
        if case .failed(let fault) = event { gateway.diskRefused(fault) }
        fill.writeEnded()
      })
    for (index, buffer) in slices.enumerated() {
      fill.writeBegan()
      submit(
        .slice(key: fill.key, stamp: stamp, index: index, buffer) { event in
          switch event {
          case .written: return
          case .failed(let fault): gateway.diskRefused(fault)
          case .committed, .unlisted: break
          }
          fill.writeEnded()
        })
    }
  }
}
