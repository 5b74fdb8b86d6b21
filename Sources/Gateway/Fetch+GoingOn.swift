internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import Logging
internal import Telemetry
internal import Upstreams

/// How a body goes on after its server has broken off, stalled, or given something else: the rest is asked
/// for with Range from another server, and nobody who reads notices.
extension Fetch {
  /// Asks the next server for what is missing; false where nobody may be asked, or the rest cannot be told
  /// to be the rest.
  func goOn(after fault: Fault) -> Bool {
    guard !isOver, fault.side == .upstream, driver.request.method == .get, mayGoOn,
      // What is for nobody is not worth another request.
      driver.isOfUse, driver.fill.hasReaders, !driver.fill.hasFailed,
      let head = driver.head, let splice = Splice(head, isKept: driver.isKept)
    else { return false }
    dropUnpublished()
    let bodyEnd = kind == .run ? end : splice.end - splice.first
    guard position < bodyEnd else { return false }
    let patience = driver.worker.gateway.options.upstream.allTriesTimeout
    let servers = driver.servers
    let open = servers.filter { !$0.isDrained }.map(\.number)
      .filter { !driver.avoided.contains($0) }
    guard
      resumption.hasTime(at: position, now: driver.worker.loop.now, of: patience),
      let avoided = resumption.next(
        after: call?.tried ?? [], at: position, broughtBytes: position > callStart,
        of: servers.count, open: open)
    else {
      driver.worker.tell(.noOtherServer, region: driver.request.region, fault, story(fault))
      return false
    }
    driver.worker.counters.add(.upstreamRetry)
    driver.worker.log.debug("a body broke off; another server is asked", metadata: story(fault))
    call?.cancel()
    callStart = position
    // A hash over the whole tells more than a comparison of some bytes.
    seam.expect(driver.isChecked ? [] : lastBytes)
    let from = splice.first + position - Int64(seam.missing)
    awaited = (splice, from..<splice.first + bodyEnd)
    var asked = UpstreamRequest(
      target: driver.request.target, host: driver.request.host, firstByte: from,
      lastByte: splice.first + bodyEnd - 1,
      fields: driver.request.fields.filter { !Self.isOnlyForTheFirst($0.name) })
    asked.strangerTarget = driver.request.strangerTarget
    asked.region = driver.request.region
    asked.isContinuation = true
    asked.avoided = driver.avoided + avoided.filter { !driver.avoided.contains($0) }
    let next = UpstreamCall(driver.worker.pool, asked, self)
    call = next
    next.start()
    return true
  }

  /// Whether it is known what it brings: a run's place is, once its object's head is.
  private var mayGoOn: Bool {
    switch kind {
    case .head: false
    case .run: driver.head != nil
    case .whole: hasHead
    }
  }

  /// A client's own range and conditions, which the first answer has met.
  private static func isOnlyForTheFirst(_ name: StaticString) -> Bool {
    ["Range", "If-Range", "If-Match", "If-None-Match"].contains { name.isEqual(to: $0) }
  }

  private func story(_ fault: Fault) -> Logger.Metadata {
    [
      "target": .string(driver.targetText), "server": .string(call?.server?.name ?? ""),
      "fault": .string(fault.name), "byte": .stringConvertible(position),
    ]
  }

  /// Forgets what was held back: it may be a gateway's words, and is asked for again.
  private func dropUnpublished() {
    let buffers = held + (current.map { [$0] } ?? [])
    held = []
    marker = MarkerWatch()
    guard let first = buffers.first else { return }
    for (_, buffer) in buffers { buffer.dropUnpublished() }
    for (index, _) in buffers.dropFirst() { driver.fill.discard(slice: index) }
    current = first
    driver.fill.setFetch(
      number, first.index..<max(slices.upperBound, first.index + 1), inOrder: driver.isInOrder)
    position = Int64(first.index) << Int64(driver.sliceShift) + Int64(first.buffer.count)
  }

  /// The last bytes that readers may have.
  private var lastBytes: [UInt8] {
    if let current { return seam.tail(with: current.buffer.bytes) }
    return seam.tail(with: [UInt8]().rawBytes)
  }

  // MARK: The rest

  /// The head of an answer to the request for the rest.
  func resumed(_ part: PartHead, by server: UpstreamServer) {
    guard let (splice, place) = awaited.take() else { return }
    switch splice.use(of: part, from: place.lowerBound, to: place.upperBound) {
    case .rest: break
    case .whole
    where place.upperBound == splice.total && place.lowerBound <= GatewayOptions.skippedBytes:
      seam.expect(seam.expected, behind: place.lowerBound)
    default:
      driver.worker.log.debug(
        "a server has not the rest of a body",
        metadata: [
          "server": .string(server.name), "status": .stringConvertible(part.status),
          "target": .string(driver.targetText),
        ])
      refused(part)
      return
    }
    driver.source = server
    if position > firstByte {
      driver.isSpliced = true
      driver.worker.counters.add(.upstreamResumed)
      server.countResumed()
    }
  }

  /// An answer is not the part that was asked for: another server may have it.
  ///
  /// If none has, and one says that there is no such part, the record may be wrong.
  func refused(_ part: PartHead) {
    if kind == .run, position == firstByte, isVain(part.status) {
      driver.noteVainRun()
      stop(Fault(.timeout, .upstream))
      return
    }
    if kind == .run, part.saysAnotherLength(than: driver.head) { isLengthDoubtful = true }
    let fault = Fault(.malformed, .upstream)
    if goOn(after: fault) { return }
    if isLengthDoubtful { driver.doubtRecord() }
    stop(fault)
  }

  /// Takes the bytes before the rest, which have come once already.
  func takeSeam(_ read: (UnsafeMutableRawBufferPointer) -> Int) -> Bool {
    let isSame = unsafe withUnsafeTemporaryAllocation(
      byteCount: min(seam.missing, GatewayOptions.copiedBytes), alignment: 1
    ) { room in
      let count = unsafe read(room)
      let bytes = unsafe UnsafeRawBufferPointer(rebasing: room[..<count])
      return unsafe seam.take(RawSpan(_unsafeBytes: bytes))
    }
    guard isSame else {
      disagreed()
      return false
    }
    return !isOver
  }

  /// Two servers have different bytes at one place: which of them is wrong nobody knows, so that neither
  /// goes on, and nothing of it is kept.
  private func disagreed() {
    let fault = Fault(.mismatch, .upstream)
    driver.worker.counters.add(.upstreamError(.mismatch))
    driver.worker.tell(.disagreement, region: driver.request.region, fault, story(fault))
    if driver.isKept { driver.dropRecord(fault) }
    stop(fault)
  }
}
