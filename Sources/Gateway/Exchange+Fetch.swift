internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Router
internal import Server
internal import Telemetry
internal import Upstreams

extension Exchange {
  /// Joins the fill of what is missing, or begins it.
  func fetch() {
    if limits != nil, wholeHead == nil, !paysForMiss() { return }
    if method == .head {
      if let head = wholeHead {
        answerHead(head)
      } else {
        searchHead()
      }
      return
    }
    guard let isNew = join() else {
      // Two objects with one hash: the second is never kept.
      reason = "foreign_answer"
      passThrough()
      return
    }
    if isNew {
      outcome = .miss
      beginFill()
    } else {
      // What is complete is a hit, though its commit is still under way.
      outcome = reader?.fill.isWhole == true ? .hit : .collapsed
      worker.counters.add(.fillReaderJoined)
      fillChanged()
    }
  }

  /// The head of what is whole, though its commit is still under way.
  var wholeHead: AnswerHead? {
    let canonical = canonicalKey.withReadable { $0.array }
    guard let fill = worker.gateway.fills.find(key, canonicalKey: canonical), fill.isWhole
    else { return nil }
    return fill.head
  }

  /// Answers HEAD from such a head.
  private func answerHead(_ head: AnswerHead) {
    guard let stream, let total = head.totalBytes else { return }
    if let finding = denial(of: head) {
      refuse(finding)
      return
    }
    outcome = .hit
    if onlyIfCached {
      answerThatItIsHere(on: stream)
      finish()
      return
    }
    let etag = head.etag
    if acceptsHTML, hasView(etag: etag.rawBytes) {
      askForView()
      return
    }
    writeHead(head, total, wish(etag: etag.rawBytes, total: total), on: stream)
    finish()
  }

  private func writeHead(
    _ head: AnswerHead, _ total: Int64, _ wish: Wish, on stream: ClientStream
  ) {
    let etag = head.etag
    let contentType = head.contentType
    writeKeptHead(
      KeptHead(
        etag: etag.rawBytes, contentType: contentType.rawBytes, total: total,
        age: max(0, worker.loop.wallSeconds - head.created)),
      wish, on: stream
    ) { stream in
      for field in head.fields {
        writeKeptField(field.name.rawBytes, field.value.rawBytes, on: stream)
      }
    }
  }

  /// Takes part in the key's fill; whether it is a new one, nil where the key is another object's.
  private func join() -> Bool? {
    let canonical = canonicalKey.withReadable { $0.array }
    let host = upstreamHost ?? []
    let from = position
    let joined = worker.gateway.fills.join(
      key, canonicalKey: canonical,
      create: {
        Fill(
          key: key, canonicalKey: canonical, host: host, owner: worker.port, loop: worker.loop,
          table: worker.gateway.fills, budget: worker.gateway.memory)
      },
      reader: { ExchangeReader($0, on: worker.port, from: from, to: .max) })
    guard let joined else { return nil }
    joined.reader.exchange = self
    reader = joined.reader
    return joined.isNew
  }

  /// Sets a new fill going, from what the index has of the object by now.
  private func beginFill() {
    guard let reader, let content = contentRoot, let stream else { return }
    // Another worker's fill may have been committed since this turn's first look.
    worker.index.endTurn()
    let target = contentTarget
    let fields = forwardedFields + traceFields
    let request = FillRequest(
      target: target, content: fillContent(content),
      host: upstreamHost, strangerTarget: strangerTarget,
      fields: acceptsHTML ? acceptFields + fields : fields,
      absence: absenceSubject(target: target, countsFailures: true), region: region)
    let driver = FillDriver(worker, reader.fill, request)
    reader.fill.source = driver
    if let record = currentRecord(), !record.isVerified || isComplete(record) {
      driver.resume(record)
      if stream.isUntouched { outcome = begins(in: record) ? .hit : .partial }
    } else if asked?.form.hasRanges ?? true, !conditions.range.isEmpty || !stream.isUntouched {
      driver.fetchHead(beside: stream.isUntouched ? guess(content) : nil)
    } else {
      driver.fetchWhole()
    }
    if stream.isUntouched { fillChanged() }
  }

  private func fillContent(_ root: CID) -> FillContent? {
    guard let asked else { return nil }
    guard asked.form == .car else { return FillContent(asked, root: root) }
    let segments = path.withReadable { $0.bytes(asked.remainder).array }
      .split(separator: UInt8(ascii: "/")).map(Array.init)
    return FillContent(asked, root: root, segments: segments)
  }

  /// The client's part, where it can be asked for beside the head: what a bare dag-pb root names is
  /// no raw leaf, which would have to be fetched whole and checked.
  private func guess(_ content: CID) -> Range<Int64>? {
    guard content.codec == .dagPB, asked?.form == .file, root.end == path.count,
      conditions.ifRange.isEmpty,
      conditions.ifMatch.isEmpty, conditions.ifNoneMatch.isEmpty,
      let range = text.withReadable({ RangeRequest.parse($0.bytes(conditions.range)) })
    else { return nil }
    switch range.spec {
    case .from(let first) where first > 0 && first <= AnswerPolicy.maximumBytes:
      return first..<AnswerPolicy.maximumBytes + 1
    case .closed(let first, let last) where first > 0 && first <= AnswerPolicy.maximumBytes:
      return first..<min(last, AnswerPolicy.maximumBytes) + 1
    default: return nil
    }
  }

  private func currentRecord() -> Record? {
    guard !worker.gateway.doubtful.contains(key) else { return nil }
    do throws(Fault) {
      let found = try worker.index.lookUp(key) { bytes -> Record? in
        guard let record = Record(bytes),
          canonicalKey.withReadable({ record.key.rawBytes.equals($0) })
        else { return nil }
        return record
      }
      return found ?? nil
    } catch {
      return nil
    }
  }

  /// Whether every slice is here, those left out that were found bad: the index may still name them.
  private func isComplete(_ record: Record) -> Bool {
    (0..<record.sliceCount).allSatisfy { hasSlice($0, of: record) }
  }

  /// Whether the first byte of what is asked for is here.
  private func begins(in record: Record) -> Bool {
    var first: Int64 = 0
    let wish = wish(etag: record.etag.rawBytes, total: Int64(record.totalBytes))
    if case .part(let part) = wish { first = part.lowerBound }
    return record.totalBytes == 0 || hasSlice(Int(first >> Int64(record.sliceShift)), of: record)
  }

  private func hasSlice(_ number: Int, of record: Record) -> Bool {
    let slice = worker.goodSlice(number, of: key, record.sliceShift, Int64(record.totalBytes))
    return slice != nil && slice != unreadable
  }

  /// Whether the client's own request is word by word what the upstream was asked.
  var asksAsUpstreamDoes: Bool {
    naming == nil && text.withReadable { $0.bytes(target).array } == contentTarget
  }

  /// The root CID, read once more: a hit has no use for it.
  var requestedCID: CID? {
    path.withReadable { try? CID.parse($0.bytes(root)) }
  }

  /// Fetches the rest of an answer whose first slices were here; whether there is a fill to read.
  func rejoin() -> Bool {
    // What was here when the answer began has been evicted.
    if onlyIfCached, wholeHead == nil {
      breakOff()
      return false
    }
    if limits != nil, wholeHead == nil { owesForMiss() }
    // What comes in another order the next time is not spliced.
    guard asked?.form.hasRanges ?? true, let isNew = join() else {
      breakOff()
      return false
    }
    outcome = .partial
    if isNew { beginFill() }
    guard let reader else { return false }
    mustAgree = true
    reader.fill.aim(reader, at: position..<end)
    return true
  }

  /// Whether a fill joined in mid-answer brings the same object; nil while its head is not known.
  func agrees(_ reader: ExchangeReader) -> Bool? {
    guard let head = reader.fill.head else { return nil }
    mustAgree = false
    sliceShift = reader.fill.sliceShift
    return head.notStored == nil && !head.isCollected && head.totalBytes == total
      && etag.withReadable { $0.equals(head.etag.rawBytes) }
  }

  // MARK: The fill's news

  /// Something has come, or has ended.
  func fillChanged() {
    guard let stream, let reader else { return }
    if !stream.isUntouched {
      deliver()
      return
    }
    guard let head = awaitedHead(reader) else { return }
    if isHeadSearch {
      isHeadSearch = false
      if outcome == .collapsed {
        joinedHeadIsKnown()
        return
      }
    }
    if worker.denials != nil, let finding = denial(of: head) {
      refuse(finding)
      return
    }
    if head.leadsToDenied {
      // By another list than this worker's: it asks for itself.
      leaveFill()
      reason = NotStored.bypass.name
      passThrough()
      return
    }
    // Of a fetch that was over before this request came nobody was asked for it.
    if outcome != .hit { server = head.server }
    serverTimes = (head.connectTime, head.firstByteTime)
    if let why = head.notStored {
      passHead(head, why, on: stream)
    } else if head.isCollected, readsForAnotherHost {
      // Whether it is of the root only its end would show.
      leaveFill()
      askForThisHost(NotStored.foreignAnswer.name)
    } else if head.isCollected {
      collectedHead(head, on: stream)
    } else {
      keptHead(head, on: stream)
    }
  }

  /// The fill's head; nil where it has failed, or has been asked to tell when it comes.
  private func awaitedHead(_ reader: ExchangeReader) -> AnswerHead? {
    while true {
      if let head = reader.fill.head {
        steps.end(at: worker.loop.now)
        return head
      }
      switch reader.fill.next(reader, at: 0) {
      case .wait:
        steps.begin(.server, at: worker.loop.now)
        return nil
      case .failed(let fault):
        fillFailed(fault)
        return nil
      default: continue  // The head has come in between.
      }
    }
  }

  /// Begins the answer from the head of what is being kept.
  private func keptHead(_ head: AnswerHead, on stream: ClientStream) {
    guard let reader, let total = head.totalBytes else { return }
    let etag = head.etag
    if acceptsHTML, hasView(etag: etag.rawBytes) {
      askForView()
      return
    }
    let wish = wish(etag: etag.rawBytes, total: total)
    // Of a body that is held back whole nothing is said either, so that its server can still be changed.
    if reader.fill.isHeldBack, wish == .unsatisfiable || reader.fill.isHeldWhole {
      // Of no byte of it anything is wanted.
      if wish == .unsatisfiable { reader.fill.aim(reader, at: total - 1..<total) }
      awaitCheck(reader, total: total)
      return
    }
    writeHead(head, total, wish, on: stream)
    switch wish {
    case .whole: begin(0..<total, of: total, etag: etag.rawBytes)
    case .part(let part): begin(part, of: total, etag: etag.rawBytes)
    case .notModified, .preconditionFailed, .unsatisfiable:
      finish()
      return
    }
    sliceShift = reader.fill.sliceShift
    reader.fill.aim(reader, at: position..<end)
    deliver()
  }

  /// Begins the answer from the head of a CAR, whose length may not be known.
  private func collectedHead(_ head: AnswerHead, on stream: ClientStream) {
    guard let reader else { return }
    let wish = wish(etag: head.etag.rawBytes, total: head.totalBytes ?? 0)
    writeHead(head, head.totalBytes ?? KeptHead.unknown, wish, on: stream)
    guard wish == .whole else {
      finish()
      return
    }
    isCollected = true
    position = 0
    end = head.totalBytes ?? .max
    total = end
    sliceShift = Fill.passedShift
    reader.fill.aim(reader, at: 0..<end)
    deliver()
  }

  /// Waits for the last byte: until then the length is not checked either.
  private func awaitCheck(_ reader: ExchangeReader, total: Int64) {
    switch reader.fill.next(reader, at: total - 1) {
    case .failed(let fault): fillFailed(fault)
    case .absent(let index): reader.fill.want(reader, slice: index)
    case .end, .bytes, .stored: fillChanged()  // Checked in between.
    case .wait: steps.begin(.body, at: worker.loop.now)
    }
  }

  /// No more bytes will come from the fill.
  func fillFailed(_ fault: Fault) {
    guard let stream else { return }
    steps.end(at: worker.loop.now)
    if isHeadSearch {
      headSearchFailed(fault)
      return
    }
    let isAlone = outcome == .bypass || isCollected
    // What cannot be checked any more must not become complete.
    let isUnchecked =
      (reader?.fill.isHeldBack ?? false) || fault == Fault(.mismatch, .upstream)
    let isAnothers = readsForAnotherHost
    leaveFill()
    // What another client's part could not be kept for says nothing of the whole, which can be checked.
    let wasAnothers = fault == Fault(.mismatch, .own) && conditions.range.isEmpty
    let mayBeginAnew = fault.kind == .cancelled || wasAnothers
    // A beginning that brought a slice was worth it: the next is a first one again.
    if position - lastBeginning >= Int64(1) << Int64(sliceShift) { beginnings = 0 }
    if mayBeginAnew, beginnings < GatewayOptions.newBeginnings, !isAlone {
      beginnings += 1
      lastBeginning = position
      if !stream.isUntouched {
        deliver()
      } else if !answerAbsence() {
        fetch()
      }
    } else if stream.isUntouched, isAnothers, fault.side != .own {
      askForThisHost(NotStored.foreignAnswer.name)
    } else if stream.isUntouched {
      // A block outside the client's range may be what the upstream lacks, and an answer that cannot
      // be shared may still be one for this client.
      let mayAskAlone = !isAlone && !isUnchecked && !isCheckable
      let mayBeThePart = clientRange != nil && fault.kind != .connect && fault.kind != .exhausted
      if mayAskAlone && (fault.side == .own || mayBeThePart) {
        // What has just been looked for in vain is not looked for again by each who waited for it.
        if isVain(fault), answerFailure() { return }
        reason = Self.reason(of: fault)
        passThrough()
      } else if fault.side != .own || !answerAbsence() {
        refuse(fault)
      }
    } else if !isAlone, !isUnchecked, !isCheckable, !hasAskedAlone, !isVain(fault),
      !conditions.range.isEmpty || fault == Fault(.exhausted, .own)
        || fault == Fault(.mismatch, .own)
    {
      // Of the second and third nobody has been asked for just this yet.
      askForRest()
    } else {
      breakOff()
    }
  }

  /// Whether what is asked for is one block: of a part by itself nobody could say whether it is right.
  var isCheckable: Bool { blockAsked != nil }

  /// The one block that is asked for; nil where it is something else.
  var blockAsked: CID? {
    guard let asked, let root = contentRoot else { return nil }
    return FillContent(asked, root: root).block
  }

  /// Why an answer goes past the fill that could not give it.
  private static func reason(of fault: Fault) -> StaticString {
    if fault.side != .own { return NotStored.truncated.name }
    return fault == Fault(.exhausted, .own) ? NotStored.memory.name : NotStored.foreignAnswer.name
  }

  func refuse(_ fault: Fault) {
    outcome = .error
    worker.tell(.noAnswer(fault.kind), region: region, fault)
    refuse(
      status: fault.status, Self.sentence(of: fault),
      retryAfter: Self.pause(after: fault))
  }

  /// Seconds until another try is worth it: when searches have ended, or servers that could not be reached may be
  /// back; nil where that is not known.
  private static func pause(after fault: Fault) -> Int64? {
    if fault == Fault(.exhausted, .upstream) { return searchPause }
    return fault.kind == .connect ? 10 : nil
  }

  private static func sentence(of fault: Fault) -> String {
    switch fault.kind {
    case .connect, .unavailable: "no upstream server could be reached; try again later"
    case .timeout: "the upstream server did not answer in time; the content may have no provider"
    case .exhausted where fault.side == .upstream:
      "nobody gave this in time, and too much else is being looked for; try again later"
    case .exhausted: "the gateway has no room left for this; try again later"
    case .mismatch: "the upstream server's bytes are not those of the CID; try again later"
    default: "the upstream server broke off before it answered; try again later"
    }
  }
}
