internal import Admission
internal import Base
internal import Cache
internal import EventLoop
internal import HTTP
internal import IPFS
internal import Logging
internal import Router
internal import Telemetry
internal import Upstreams

/// Brings a fill its bytes, on the fill's own worker: decides which fetches there are, judges the
/// answer, checks its bytes, and hands slices to the cache writer.
///
/// Everything here runs on one thread; only the fill itself is shared.
final class FillDriver: FillSource, Search {
  private enum Tag { static let jobs: UInt32 = 0 }

  let worker: GatewayWorker
  let fill: Fill
  let request: FillRequest
  /// What every fetch must agree with, once the head is known.
  var head: AnswerHead?
  var sliceShift: UInt8
  var isKept = false
  var stamp: UInt64 = 0
  var verification: Verification?
  /// A CAR under way.
  var collector: CARCollector?
  /// Whether all that is kept has been checked: then nothing unchecked may be put beside it.
  var isVerified = false
  var fetches: [Fetch] = []
  var nextFetch = 0
  /// The server that the body comes from, and those whose bytes were wrong.
  var source: UpstreamServer?
  var avoided: [Int] = []
  /// How long the server took for the head that is being looked at.
  var timing = UpstreamTiming()
  /// Whether the body has come from more than one server, and whether it has been fetched anew for that.
  var isSpliced = false
  var wasBegunAnew = false
  /// Whether another server has been asked after wrong bytes, and has not answered yet.
  var isRefetching = false
  /// Jobs for the cache writer, oldest first; more than none wait only while its queue is full.
  var jobs: [WriteJob] = []
  var retry: JobRetry?
  var isOver = false
  /// Whether bytes have come, and nothing has been looked for in vain since.
  var isFound = false
  /// Its search for what nothing is known of, until an upstream has answered.
  private var search: Int?
  /// Its number among the worker's drivers.
  private let number: Int
  /// Kept by `StarvingFills`.
  var hunger = StarvingFills.Hunger.none

  init(_ worker: GatewayWorker, _ fill: Fill, _ request: FillRequest) {
    self.worker = worker
    self.fill = fill
    self.request = request
    sliceShift = worker.sliceShift
    number = worker.drivers.nextNumber
    super.init()
    worker.drivers.add(self, number)
    worker.counters.adjust(.fillsActive, by: 1)
    worker.counters.add(.fill)
  }

  // MARK: Beginnings

  /// Fetches all of it; the head comes with the body.
  func fetchWhole() {
    beginSearch()
    begin(.whole, slices: 0..<Int.max)
  }

  /// Asks for the head alone, since a part is wanted of something unknown: what a part says of its
  /// type is not to be trusted.
  ///
  /// `guess`, where it is given, is the part that is most likely wanted: it is asked for at once, and
  /// waits for the head to say whether it is of use.
  func fetchHead(beside guess: Range<Int64>? = nil) {
    beginSearch()
    begin(.head, slices: 0..<0)
    guard let guess else { return }
    let first = Int(guess.lowerBound >> Int64(sliceShift))
    let last = Int((guess.upperBound - 1) >> Int64(sliceShift))
    begin(.run, slices: first..<min(last, first + GatewayOptions.runSlices - 1) + 1)
  }

  /// Goes on from a record of which slices are missing; readers say which.
  func resume(_ record: Record) {
    stamp = record.stamp
    isVerified = record.isVerified
    sliceShift = record.sliceShift
    isKept = true
    let head = AnswerHead(record)
    self.head = head
    fill.open(head, kept: true, sliceShift: sliceShift)
    fill.setFetching(false)
  }

  private func beginSearch() {
    if search == nil { search = ticket(for: self) }
  }

  /// A ticket for a search; nil where what is asked for is no content.
  func ticket(for search: any Search) -> Int? {
    guard let subject = request.absence else { return nil }
    let hasFailed = worker.gateway.absences.hasFailed(subject.key, at: worker.loop.now)
    return worker.searches.begin(search, isDoubtful: hasFailed)
  }

  private func endSearch() {
    if let search = search.take() { worker.searches.end(search) }
  }

  func giveUpSearch() {
    search = nil
    for fetch in fetches where !fetch.isRun { fetch.stop(Fault(.exhausted, .upstream)) }
  }

  func begin(_ kind: Fetch.Kind, slices: Range<Int>) {
    let fetch = Fetch(self, number: nextFetch, kind, slices: slices)
    nextFetch += 1
    if fetches.isEmpty, case .served = hunger { hunger = .none }
    fetches.append(fetch)
    fill.setFetching(true)
    if !slices.isEmpty { fill.setFetch(fetch.number, slices) }
    fetch.start()
  }

  // MARK: What readers need

  override func wanted(slice: Int, end: Int64) {
    guard fill.hasReaders else { return }
    guard !isOver, let head, let total = head.totalBytes, isKept else {
      fill.fail(Fault(.cancelled, .own))
      return
    }
    if fill.isUnderWay(slice: slice) {
      // Brought meanwhile, perhaps before the reader began to wait.
      fill.landed()
      return
    }
    // Its bytes come with the rest, once it is known what of.
    if isRefetching { return }
    if isVerified || verification != nil {
      // A slice alone cannot be checked: who waits begins anew, with all of it.
      fill.fail(Fault(.cancelled, .own))
      leave()
      return
    }
    let size = Int64(1) << Int64(sliceShift)
    let last = Int((min(end, total) + size - 1) / size)
    guard slice < last else {
      fill.landed()
      return
    }
    var upper = slice + 1
    while upper < last, upper - slice < GatewayOptions.runSlices,
      !fill.isTaken(slice: upper, from: slice, by: nextFetch),
      worker.goodSlice(upper, of: fill.key, sliceShift, total) == nil
    {
      upper += 1
    }
    if let fault = vainFault {
      // For who joined while others read what is here; it is told what they were.
      fill.setFetch(nextFetch, slice..<upper)
      fill.failFetch(nextFetch, fault)
      nextFetch += 1
      return
    }
    begin(.run, slices: slice..<upper)
  }

  override func roomMade() {
    for fetch in fetches { fetch.roomMade() }
  }

  override func abandoned() {
    guard !fill.hasReaders else { return }
    for fetch in fetches { fetch.abandoned() }
  }

  override func readerLeft() {
    for fetch in fetches where fill.isForsaken(fetch.number) { fetch.forsaken() }
  }

  /// Whether the whole is held against its CID, or its blocks are.
  var isChecked: Bool { verification != nil || collector != nil }

  /// Whether bytes must come in order, for their check.
  var isInOrder: Bool { verification != nil }

  /// All servers that may be asked, those that are drained now as well.
  var servers: [UpstreamServer] { worker.gateway.upstreams.servers(from: request.region) }

  // MARK: Memory

  /// A buffer for a slice; nil where the fetch must pause, and will be told when to ask again.
  func buffer(slice index: Int) -> SliceBuffer? {
    // Who has a reserve must not queue: those before it may be waiting for just that.
    guard !fill.isKept || worker.starving.mayAsk(self) || fill.hasReserve else {
      worker.starving.add(self, bytes: Int(min(head?.totalBytes ?? .max, 1 << Int64(sliceShift))))
      return nil
    }
    let buffer = fill.buffer(slice: index)
    let lacking = buffer == nil ? fill.lackingBytes : 0
    if lacking > 0 {
      worker.starving.add(self, bytes: lacking)
    } else if case .served = hunger {
      hunger = .none
    }
    return buffer
  }

  /// There has been no memory for too long: readers go on without this fill.
  ///
  /// Under check they could not, since nothing would check their bytes: there it goes on unkept. None of its
  /// bytes has come, since it takes memory for all of them at once; but where the last slices have to come
  /// again from another server.
  func starved() {
    worker.counters.add(.notStored(.memory))
    if verification != nil && fill.hasReaders && fetches.allSatisfy({ $0.position == 0 }) {
      isKept = false
      sliceShift = Fill.passedShift
      fill.passOn()
      roomMade()
    } else {
      for fetch in fetches { fetch.starved() }
    }
  }

  /// Whether nobody waits any more.
  var isAbandoned: Bool { !fill.hasReaders }

  /// Whether bytes that come are for anybody: for readers, or for the cache.
  var isOfUse: Bool { fill.isKept || fill.hasReaders }

  // MARK: What fetches bring

  /// The head of the whole answer; false where the fetch is of no use.
  func opened(_ answer: ResponseHead, text: RawSpan, by server: UpstreamServer) {
    endSearch()
    var verdict = AnswerPolicy.Verdict.pass(.bypass)
    var leadsToDenied = false
    if let content = request.content {
      verdict = AnswerPolicy.judge(answer, text: text, content: content)
      let isForeign =
        if case .pass(.foreignAnswer) = verdict { content.form != .car } else { false }
      if !isForeign, isDenied(answer, text: text) {
        verdict = .pass(.bypass)
        leadsToDenied = true
      }
    }
    source = server
    if head != nil {
      reopened(answer, text: text, by: server, verdict)
      return
    }
    note(status: answer.status)
    switch verdict {
    case .pass(.foreignAnswer) where request.content?.form == .car:
      collect(answer, text: text, by: server, isForeign: true)
    case .pass(let reason):
      pass(answer, text: text, by: server, reason, leadsToDenied: leadsToDenied)
    case .collect: collect(answer, text: text, by: server)
    case .keep(let subject):
      let head = answerHead(answer, text: text, keeps: true, by: server)
      keep(head, subject: subject)
    }
  }

  func pass(
    _ answer: ResponseHead, text: RawSpan, by server: UpstreamServer, _ reason: NotStored,
    leadsToDenied: Bool = false
  ) {
    worker.counters.add(.notStored(reason))
    var head = answerHead(answer, text: text, keeps: false, by: server)
    head.notStored = reason
    head.leadsToDenied = leadsToDenied
    self.head = head
    sliceShift = Fill.passedShift
    guard head.status == 200, let block = request.block ?? request.content?.block else {
      fill.open(head, kept: false, sliceShift: sliceShift)
      return
    }
    // It may not be kept, but what it must be is known: nothing else becomes complete.
    verification = Verification(block)
    if head.totalBytes == 0 && !completedWhole() { return }
    for fetch in fetches { fill.setFetch(fetch.number, fetch.slices, inOrder: true) }
    let visibleEnd = head.totalBytes.map { max(0, $0 - 1) } ?? .max
    fill.open(head, kept: false, sliceShift: sliceShift, visibleEnd: visibleEnd)
  }

  func keep(_ head: AnswerHead, subject: CID?) {
    self.head = head
    isKept = true
    stamp = worker.gateway.storage.newStamp()
    let total = head.totalBytes ?? 0
    if let subject, total <= GatewayOptions.verifiedBytes {
      verification = Verification(subject)
    }
    if isInOrder {
      // Nobody may ask for a slice by itself now, however far ahead of the fetch.
      for fetch in fetches { fill.setFetch(fetch.number, fetch.slices, inOrder: true) }
    }
    if verification != nil && total == 0 {
      // Nothing to hold back: checked before anything is said of it.
      if completedWhole() { fill.open(head, kept: true, sliceShift: sliceShift) }
    } else if verification != nil {
      // A block waits for its check as a whole, so that another server can be asked for a bad one; of a
      // larger body the last byte waits, so that nothing wrong is ever complete.
      let visibleEnd = total <= GatewayOptions.heldBytes ? 0 : max(0, total - 1)
      fill.open(head, kept: true, sliceShift: sliceShift, visibleEnd: visibleEnd)
    } else {
      putRecord(isVerified: false)
      fill.open(head, kept: true, sliceShift: sliceShift)
    }
  }

  /// The head of a HEAD answer: says whether parts may be fetched and kept.
  ///
  /// - Parameter isVain: Whether it tells of a search that had its time.
  func learned(
    _ answer: ResponseHead, text: RawSpan, by server: UpstreamServer, isVain: Bool
  ) {
    endSearch()
    note(status: answer.status)
    if isDenied(answer, text: text) {
      // Who waits sees the same and refuses. Asked for a part alone a server might not say what it is of.
      var head = answerHead(answer, text: text, keeps: false, by: server)
      head.notStored = .bypass
      head.leadsToDenied = true
      worker.counters.add(.notStored(.bypass))
      self.head = head
      fill.open(head, kept: false, sliceShift: Fill.passedShift)
      for fetch in fetches { fetch.headIsLost() }
      return
    }
    guard let content = request.content,
      case .keep(let subject) = AnswerPolicy.judge(answer, text: text, content: content)
    else {
      if let content = request.content, content.isBlock, answer.status == 200 {
        // What can be checked as a whole is, whatever is said of it.
        for fetch in fetches { fetch.headIsLost() }
        fetchWhole()
        return
      }
      // Whoever waits asks for its part by itself, but for what cannot be found.
      fill.fail(isVain ? Fault(.timeout, .upstream) : Fault(.mismatch, .own))
      for fetch in fetches { fetch.headIsLost() }
      return
    }
    if subject != nil, answer.contentLength ?? 0 <= GatewayOptions.verifiedBytes {
      // A part could not be checked against the CID: all of it can.
      for fetch in fetches { fetch.headIsLost() }
      fetchWhole()
      return
    }
    let head = answerHead(answer, text: text, keeps: true, by: server)
    self.head = head
    isKept = true
    stamp = worker.gateway.storage.newStamp()
    putRecord(isVerified: false)
    for fetch in fetches { fetch.headIsKnown() }
    fill.open(head, kept: true, sliceShift: sliceShift)
  }

  /// Bytes have been added to a slice's buffer.
  func landed(_ buffer: SliceBuffer, from offset: Int, count: Int) {
    isFound = true
    worker.counters.add(.fillBytes, count)
    if collector != nil, !collected(buffer.bytes.extracting(offset..<offset + count)) { return }
    if verification != nil {
      verification?.update(buffer.bytes.extracting(offset..<offset + count))
    }
    fill.landed()
  }

  /// A slice is whole.
  func completed(slice index: Int, _ buffer: SliceBuffer) {
    guard isKept, fill.isKept else { return }
    if verification != nil {
      verification?.slices.append((index, buffer))
    } else {
      write(slice: index, buffer)
    }
  }

  /// A fetch has ended, well or badly.
  func ended(_ fetch: Fetch, _ fault: Fault?) {
    fetches.removeAll { $0 === fetch }
    if let fault, fetch.isRun {
      fill.failFetch(fetch.number, fault)
    } else if let fault {
      if isKept && fault.side != .own { worker.counters.add(.notStored(.truncated)) }
      fill.fail(fault)
      if head == nil { for other in fetches { other.headIsLost() } }
    } else if verification != nil && fetches.isEmpty {
      // Half of what can only be checked as a whole is of no use.
      fill.fail(Fault(.cancelled, .own))
    } else if head == nil && fetches.isEmpty {
      // Given up before there was an answer; who came meanwhile begins anew.
      fill.fail(Fault(.cancelled, .own))
    }
    fill.removeFetch(fetch.number)
    if fetches.isEmpty {
      endSearch()
      if jobs.isEmpty { fill.setFetching(false) }
      leave()
    }
  }

  /// Ends it at once: what it brings is being removed.
  ///
  /// Jobs that the writer has already are done before the removal's own.
  func cut() {
    verification = nil
    fill.stopKeeping()
    fill.fail(Fault(.cancelled, .own))
    dropJobs()
    for fetch in fetches { fetch.cut() }
    fill.setFetching(false)
    leave()
  }

  /// Whether a denylist names what it brings, or what its path leads through.
  func isDenied(by list: Denylist) -> Bool {
    let key = fill.canonicalKey
    guard !key.isEmpty else { return false }
    if list.denial(ofKey: key.rawBytes) != nil { return true }
    let roots = head?.fields.first { $0.name.rawBytes.equalsIgnoringCase("x-ipfs-roots") }
    guard let roots, let (_, remainder) = CanonicalKey.content(of: key.rawBytes) else {
      return false
    }
    return list.denial(ofRoots: roots.value.rawBytes, path: key.rawBytes.bytes(remainder)) != nil
  }

  /// Whether an answer says itself that its path leads through what is denied: then it is not kept, and
  /// who asked for it sees the same and refuses.
  private func isDenied(_ answer: ResponseHead, text: RawSpan) -> Bool {
    let key = fill.canonicalKey
    guard let list = worker.denials?.list,
      let (root, remainder) = CanonicalKey.content(of: key.rawBytes)
    else { return false }
    let path = key.rawBytes.bytes(remainder)
    if let place = answer.value(.xIpfsRoots),
      list.denial(ofRoots: text.bytes(place), path: path) != nil
    {
      return true
    }
    guard let place = answer.value(.etag) else { return false }
    return list.denial(ofEtag: text.bytes(place), root: root) != nil
  }

  func leave() {
    guard !isOver, fetches.isEmpty, jobs.isEmpty else { return }
    // Kept on: readers may want other slices. What is not kept has nothing more to give.
    if !isKept || fill.hasFailed { isOver = true }
  }

  deinit {
    worker.drivers.remove(number)
    worker.counters.adjust(.fillsActive, by: -1)
  }
}
